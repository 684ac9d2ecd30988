"""People of the back office: a door to `staff.second_factor`."""

import json

from django.core.management.base import BaseCommand, CommandError

from apps.staff import second_factor
from apps.staff.models import User


class Command(BaseCommand):
    help = "Help people back in who lost what they log in with."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True)
        reset = verbs.add_parser("reset-second-factor", help="take it away: the next login asks for the password alone")
        reset.add_argument("user", help="the name they log in with")
        reset.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def handle(self, *, user, json: bool, **_options):
        person = User.objects.filter(username=user).first()
        if person is None:
            raise CommandError(f"{user}: nobody logs in by that name")
        had_one = second_factor.take_away(person)
        self.stdout.write(as_json(had_one) if json else as_text(person, had_one))


def as_json(had_one: bool) -> str:
    return json.dumps({"taken_away": had_one})


def as_text(person: User, had_one: bool) -> str:
    return f"{person} logs in by password alone, and sets up another." if had_one else f"{person} had none."
