"""What staff changed: sealed, verified and written out. A door to `emsp.audit`."""

import json as encoder
import sys
from datetime import date

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from emsp.audit import chain, exporting
from emsp.audit.chain import Verdict
from emsp.management.commands.invoices import opened


class Command(BaseCommand):
    help = "Seal days of changes that are over, compute all sealed days anew, and write changes to a file."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True)
        sealing = verbs.add_parser("seal", help="what the timetable does every night, now")
        verifying = verbs.add_parser("verify", help="is every sealed day as it was? Exits with 1 if one is not")
        verifying.add_argument(
            "--kept", default="", metavar="DIGEST", help="one that was kept elsewhere: some day must have it"
        )
        writing = verbs.add_parser("export", help="write changes to a file, as one JSON object a line")
        writing.add_argument("--from", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD", dest="first")
        writing.add_argument("--to", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD", dest="last")
        writing.add_argument("--out", required=True, metavar="FILE", help="- is stdout")
        for verb in (sealing, verifying, writing):
            verb.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def handle(self, *, verb, **options):
        {"seal": self.seal, "verify": self.verify, "export": self.export}[verb](**options)

    def seal(self, *, json: bool, **_options):
        days = [{"day": str(one.day), "changes": one.count, "digest": one.digest} for one in chain.seal(timezone.now())]
        told = [f"{one['day']}: {one['changes']} changes, digest {one['digest']}" for one in days]
        self.stdout.write(encoder.dumps(days) if json else "\n".join(told) or "No day is over that is not sealed.")

    def verify(self, *, kept: str, json: bool, **_options):
        found = chain.verify(kept)
        self.stdout.write(encoder.dumps(found.as_json()) if json else as_text(found))
        if found.faults:
            sys.exit(1)

    def export(self, *, first: date, last: date, out: str, json: bool, **_options):
        if last < first:
            raise CommandError(f"--to {last} is before --from {first}")
        try:
            with opened(out) as file:
                count = exporting.write(file, first, last)
        except OSError as error:
            raise CommandError(f"{out}: {error.strerror}") from error
        self.tell_export(count, chain.newest_until(last), self.stderr if out == "-" else self.stdout, json)

    def tell_export(self, count: int, newest, stream, json: bool):
        told = {"changes": count} | ({"day": str(newest.day), "digest": newest.digest} if newest else {})
        of_day = f"The digest of {newest.day} is {newest.digest}." if newest else "None of these days is sealed yet."
        stream.write(encoder.dumps(told) if json else f"{count} changes. {of_day}")


def as_text(found: Verdict) -> str:
    newest = found.newest
    told = f"{found.days} days up to {newest.day}, {found.changes} changes" if newest else "No day is sealed yet"
    if found.faults:
        faults = [f"  {one.name}: {one.fault}" for one in found.faults]
        return "\n".join([f"{told}: not as they were sealed, first {found.faults[0].name}.", *faults])
    return f"{told}: all as they were sealed. The digest of {newest.day} is {newest.digest}." if newest else f"{told}."
