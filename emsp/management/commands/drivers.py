"""Enrol drivers from a CSV file: a door to `billing.enrolment`."""

import json
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.billing import fleet_file
from apps.billing.enrolment import Result, enrol
from apps.ocpi.objects import Party


class Command(BaseCommand):
    help = "Enrol drivers with their accounts, contracts and cards."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True)
        importing = verbs.add_parser("import", help="create or update what a CSV file says")
        importing.add_argument("file", type=Path)
        importing.add_argument("--dry-run", action="store_true", help="say what would happen, and change nothing")
        importing.add_argument("--accept-good", action="store_true", help="take the good lines if others are wrong")
        importing.add_argument("--json", action="store_true", help="one JSON document on stdout")
        verbs.add_parser("template", help="print a file to fill in")

    def handle(self, *, verb, **options):
        if verb == "template":
            self.stdout.write(fleet_file.template(), ending="")
        else:
            self._import(**options)

    def _import(self, *, file: Path, dry_run: bool, accept_good: bool, json: bool, **_options):
        try:
            content = file.read_bytes()
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error
        us = Party(settings.OCPI_COUNTRY_CODE, settings.OCPI_PARTY_ID)
        result = enrol(fleet_file.read(content), now=timezone.now(), us=us, dry_run=dry_run, accept_good=accept_good)
        self.stdout.write(as_json(result) if json else as_text(result, dry_run))
        if not result.is_good:
            raise CommandError(f"{file}: {len(result.errors)} errors, nothing was imported")


def as_json(result: Result) -> str:
    counts = {name: getattr(result, name) for name in ("created", "updated", "unchanged")}
    return json.dumps(counts | {"errors": [error._asdict() for error in result.errors]}, ensure_ascii=False)


def as_text(result: Result, dry_run: bool) -> str:
    lines = ["Dry run: nothing is changed."] if dry_run else []
    for name in ("created", "updated", "unchanged"):
        counts = ", ".join(f"{count} {kind}" for kind, count in getattr(result, name).items())
        lines.append(f"{name}: {counts}")
    lines += [f"line {line}, {column or 'whole line'}: {reason}" for line, column, reason in result.errors]
    return "\n".join(lines)
