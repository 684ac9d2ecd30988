"""Whether all that must always be true still is: a door to `emsp.invariants`."""

import json
import sys

from django.core.management.base import BaseCommand
from django.utils import timezone

from emsp.invariants import inspecting
from emsp.invariants.inspecting import Found


class Command(BaseCommand):
    help = "Look at what must always be true: held, broken (and by whom), or not applicable. Exits with 1 if one is broken."

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def handle(self, *, json, **_options):
        now = timezone.now()
        findings = inspecting.inspect(now)
        inspecting.keep(findings, now)
        self.stdout.write(as_json(findings) if json else "\n".join(map(as_text, findings)))
        if any(found.is_broken for found in findings):
            sys.exit(1)


def as_json(findings: list[Found]) -> str:
    return json.dumps([found.as_json() for found in findings], ensure_ascii=False)


def as_text(found: Found) -> str:
    why = f" ({found.reason})" if found.reason else ""
    lines = [f"{found.code:4}{found.verdict.value}{why}: {found.rule}, {found.seconds} s"]
    lines += [f"      {one.name}: {one.fault}" for one in found.faults]
    if found.count > len(found.faults):
        lines.append(f"      and {found.count - len(found.faults)} more")
    return "\n".join(lines)
