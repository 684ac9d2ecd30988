"""Issue and export the documents of a month: a door to `billing.invoicing` and `billing.exports`."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import BinaryIO

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.billing import exports, highwater, invoicing
from apps.billing.outcome import Outcome
from apps.billing.readiness import NotReady


def month(text: str) -> date:
    """`2026-10` as its first day."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: a month such as 2026-10") from None


class Command(BaseCommand):
    help = "Preview or issue a month's invoices and credit notes, export them, and mend their numbers after a restore."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True)
        running = verbs.add_parser("run", help="preview (default) or issue a month's documents")
        running.add_argument("--period", type=month, required=True, metavar="YYYY-MM")
        either = running.add_mutually_exclusive_group()
        either.add_argument("--preview", action="store_true", help="say what would be issued, and change nothing")
        either.add_argument("--issue", action="store_true", help="issue; documents cannot be changed afterwards")
        running.add_argument("--json", action="store_true", help="one JSON document on stdout")
        exporting = verbs.add_parser("export", help="write a month's documents and their lines to a file")
        exporting.add_argument("--period", type=month, required=True, metavar="YYYY-MM")
        exporting.add_argument("--format", choices=sorted(exports.FORMATS), required=True)
        exporting.add_argument("--out", required=True, metavar="FILE", help="- is stdout")

        numbering = verbs.add_parser("numbers", help="after a restore: give no number again that FILE names")
        numbering.add_argument("--given", required=True, metavar="FILE", help="NUMBERS_FILE as it was kept outside")

    def handle(self, *, verb, **options):
        return {"run": self.run, "export": self.export, "numbers": self.numbers}[verb](**options)

    def run(self, *, period: date, issue: bool, json: bool, **_options):
        try:
            outcome = (invoicing.issue if issue else invoicing.preview)(period, timezone.now())
        except NotReady as error:
            raise CommandError("Nothing was issued.\n" + "\n".join(error.reasons)) from error
        except invoicing.TakenOver as error:
            raise CommandError(str(error)) from error
        self.stdout.write(as_json(outcome) if json else as_text(outcome))

    def numbers(self, *, given: str, **_options):
        try:
            with Path(given).open() as lines:
                lost = highwater.skip_given(lines, timezone.now())
        except OSError as error:
            raise CommandError(f"{given}: {error.strerror}") from error
        except ValueError as error:
            raise CommandError(f"{given}: {error}") from error
        told = [f"{one.series.prefix}: {one.first} to {one.last} are lost, {one.last + 1} is next" for one in lost]
        self.stdout.write("\n".join(told) or "No number was given that is not here.")

    def export(self, *, period: date, format: str, out: str, **_options):  # noqa: A002  the option is called so
        try:
            with opened(out) as file:
                file.writelines(exports.stream(period, format))
        except OSError as error:
            raise CommandError(f"{out}: {error.strerror}") from error


@contextmanager
def opened(out: str) -> Iterator[BinaryIO]:
    """The file to write, which takes its name once it is whole; or stdout."""
    if out == "-":
        yield sys.stdout.buffer
        return
    part = Path(f"{out}.part")
    with part.open("wb") as file:
        yield file
    part.replace(out)


def as_json(outcome: Outcome) -> str:
    return json.dumps(outcome.as_json(), ensure_ascii=False)


def as_text(outcome: Outcome) -> str:
    told = outcome.as_json()
    lines = [f"{told['period']}: {'would be' if outcome.is_preview else 'were'} issued"]
    lines += [
        f"  {row['country']} {row['currency']}: {row['count']} documents, "
        f"net {row['net']}, VAT {row['vat']}, gross {row['gross']}"
        for row in told["documents"]
    ] or ["  nothing"]
    lines += [f"  waits: {row['reason']}, {row['count']}, net {row['net']}" for row in told["held"]]
    lines += [f"  in the way: {reason}" for reason in outcome.obstacles]
    return "\n".join(lines)
