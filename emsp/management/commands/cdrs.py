"""Rate CDRs now, and say why one costs what it costs: a door to `billing.rating` and `billing.explanation`."""

import json
from dataclasses import asdict

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.billing import explanation, rating


class Command(BaseCommand):
    help = "Rate charge detail records, and explain them."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True)
        rate = verbs.add_parser("rate", help="match, check and rate what is due, as the timetable does")
        explain = verbs.add_parser("explain", help="periods, quantities, prices, VAT and verdicts of a CDR")
        explain.add_argument("id", help="our number, the UUID, or SE*LAD:CDRID")
        for verb in (rate, explain):
            verb.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def handle(self, *, verb, json, **options):
        self.stdout.write(self._rate(json) if verb == "rate" else self._explain(options["id"], json))

    def _rate(self, as_json: bool) -> str:
        counts = rating.catch_up(timezone.now())
        if as_json:
            return json.dumps(asdict(counts))
        return f"rated: {counts.rated}\nheld: {counts.held}\nunmatched: {counts.unmatched}"

    def _explain(self, name: str, as_json: bool) -> str:
        try:
            told = explanation.explain(explanation.find(name))
        except explanation.NoSuchCdr as error:
            raise CommandError(str(error)) from error
        return json.dumps(told, ensure_ascii=False) if as_json else explanation.as_text(told)
