"""Keys that seal what we must be able to read again: a door to `partners.resealing`."""

import json
from dataclasses import asdict

from django.core.management.base import BaseCommand, CommandError

from apps.partners import resealing
from emsp import local


class Command(BaseCommand):
    help = "Make a key for FIELD_KEYS, and seal everything again with the first of them."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("new", help="print a new key; it is kept nowhere")
        again = verbs.add_parser("reseal", help="seal everything with the first of FIELD_KEYS")
        again.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def handle(self, *, verb, **options):
        self.stdout.write(local.new_field_key() if verb == "new" else self.reseal(options["json"]))

    def reseal(self, as_json: bool) -> str:
        done = resealing.reseal()
        if done.unreadable:
            raise CommandError("\n".join(["Older keys are still needed, or lost:", *done.unreadable]))
        if as_json:
            return json.dumps(asdict(done))
        return f"sealed again: {done.count}. Only the first of FIELD_KEYS is needed now."
