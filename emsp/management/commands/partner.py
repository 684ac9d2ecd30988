"""Connect with partners, and see how it goes: a door to `partners.handshake`, `pull`, `tokens.push` and `health`."""

import json
from argparse import ArgumentTypeError

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.locations.refreshing import refresh
from apps.ocpi.errors import OcpiError, PeerFailed
from apps.ocpi.objects import Party
from apps.ocpi.types import write_moment
from apps.onboarding import readiness
from apps.onboarding.models import Report
from apps.partners import handshake, health, pull
from apps.partners.models import Partner
from apps.partners.ourselves import us
from apps.partners.scope import partner_of, party_of
from apps.tokens.finding import find_card
from apps.tokens.push import push_partner, trouble_with
from apps.tokens.sandbox import numbered, reset
from emsp.intakes import PULLS


class Command(BaseCommand):
    help = "Connect with charge point operators and hubs, exchange data with them now, and see how it goes."

    def run_from_argv(self, argv):
        """A token may begin with a dash, which argparse would take for an option: it is joined to its own."""
        super().run_from_argv(_joined(argv, "--token"))

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True)
        self._invite_arguments(verbs.add_parser("invite", help="make a token A for a partner that registers with us"))
        self._connect_arguments(verbs.add_parser("connect", help="register with a partner that gave us a token A"))
        pulling = verbs.add_parser("pull", help="fetch what changed, now")
        pulling.add_argument("party", type=party)
        pulling.add_argument("--module", choices=list(PULLS), help="only this one")
        pulling.add_argument("--full", action="store_true", help="everything, whatever we have")
        fetching = verbs.add_parser("fetch", help="fetch one location, now")
        fetching.add_argument("party", type=party)
        fetching.add_argument("location", help="the CPO's id")
        verbs.add_parser("push", help="tell the partner of all our cards, now").add_argument("party", type=party)
        cards = verbs.add_parser("sandbox", help="make its test cards, or make them as they were at first again")
        cards.add_argument("party", type=party)
        self._check_arguments(verbs.add_parser("check", help="call the partner, and say what works and what does not"))
        verbs.add_parser("status", help="how the feeds go").add_argument("party", type=party, nargs="?")
        for verb in verbs.choices.values():
            verb.add_argument("--json", action="store_true", help="one JSON document on stdout")

    def _invite_arguments(self, inviting):
        inviting.add_argument("--name", required=True)
        inviting.add_argument("--party", type=party, required=True, help="such as SE*LAD or SE-LAD")
        inviting.add_argument("--role", choices=Partner.Role.values, default=Partner.Role.CPO)
        inviting.add_argument("--private", action="store_true", help="may be on a host of OCPI_PRIVATE_HOSTS")

    def _connect_arguments(self, connecting):
        connecting.add_argument("--name", required=True)
        connecting.add_argument("--versions-url", required=True)
        connecting.add_argument("--token", required=True, help="the token A the partner gave us")
        connecting.add_argument("--private", action="store_true", help="may be on a host of OCPI_PRIVATE_HOSTS")

    def _check_arguments(self, checking):
        checking.add_argument("party", type=party)
        checking.add_argument("--card", default="", help="UID of a card of ours, to push and to charge with")
        checking.add_argument("--location", default="", help="the CPO's id of the place of the test EVSE")
        checking.add_argument("--evse", default="", help="the CPO's uid of an EVSE that may be started")
        checking.add_argument("--connector", default="", help="the CPO's id, where it must be told")
        checking.add_argument("--wait", type=int, default=120, help="seconds for a result, a session, a CDR")

    def handle(self, *, verb, **options):
        """The answer is printed in any case; `failure` says why it is not the one that was wished for."""
        try:
            answer, lines, failure = getattr(self, f"_{verb}")(timezone.now(), **options)
        except (readiness.CannotCheck, PeerFailed, OcpiError, ValueError, LookupError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(answer, ensure_ascii=False) if options["json"] else "\n".join(lines))
        if failure:
            raise CommandError(failure)

    def _invite(self, now, *, name, party, role, private, **_options):
        made = handshake.invite(name, party, now, role=role, is_private=private)
        answer = {
            "partner": str(party),
            "versions_url": made.versions_url,
            "token": made.token,
            "expires_at": write_moment(made.expires_at, fraction=False),
        }
        lines = [
            f"{name} ({party}) may register with us until {answer['expires_at']}. Hand over by a safe way:",
            f"  versions URL         {made.versions_url}",
            f"  CREDENTIALS_TOKEN_A  {made.token}",
            "The token is shown this once.",
        ]
        return answer, lines, ""

    def _connect(self, now, *, name, versions_url, token, private, **_options):
        partner = handshake.connect(name, versions_url, token, now, is_private=private)
        roles = [f"{role['role']} {role['country_code']}*{role['party_id']}" for role in partner.roles]
        offered = sorted(set(partner.endpoints.values_list("identifier", flat=True)))
        answer = {
            "partner": health.health_of(partner, now).name,
            "version": partner.version,
            "roles": roles,
            "modules": offered,
        }
        lines = [
            f"Connected with {name} by OCPI {partner.version}.",
            f"  roles    {', '.join(roles)}",
            f"  modules  {', '.join(offered)}",
        ]
        return answer, lines, ""

    def _pull(self, _now, *, party, module, full, **_options):
        """Each module from its own beginning: leases and marks are about when it is pulled."""
        partner = partner_of(party)
        offered = partner.feeds.values_list("module", flat=True)
        wanted = [module] if module else [name for name in PULLS if name in offered]
        if not wanted:
            raise LookupError(f"{partner} offers nothing to pull")
        answer = {name: pull.pull_partner(PULLS[name], partner, timezone.now(), full=full) for name in wanted}
        broken = [f"{name}: {counts['error']}" for name, counts in answer.items() if not counts["complete"]]
        return answer, [_as_line(name, counts) for name, counts in answer.items()], "; ".join(broken)

    def _fetch(self, now, *, party, location, **_options):
        taken = refresh(party_of(party), location, now)
        reasons = [str(problem) for problem in taken.problems]
        failure = f"kept aside: {'; '.join(reasons)}" if taken.is_kept_aside else ""
        told = {"location": location, "outcome": str(taken.outcome), "reasons": reasons}
        return told, [f"{location}: {taken.outcome}"], failure

    def _push(self, now, *, party, **_options):
        partner = partner_of(party)
        if not partner.is_connected:
            raise LookupError(f"{partner} is not connected")
        counts = push_partner(partner, now, us())
        failure = f"{counts['behind']} cards could not be told: {trouble_with(partner)}" if counts["behind"] else ""
        return {"tokens": counts}, [_as_line("tokens", counts)], failure

    def _sandbox(self, now, *, party, **_options):
        partner = partner_of(party)
        reset(partner, now, us())
        cards = [{"uid": uid, "purpose": card.purpose, "answer": str(card.answer)} for uid, card in numbered(partner)]
        lines = [f"{card['uid']}  {card['answer']:11}  {card['purpose']}" for card in cards]
        return {"partner": str(party), "cards": cards}, lines, ""

    def _check(self, now, *, party, card, location, evse, connector, wait, **_options):
        token = find_card(card) if card else None
        wishes = {"card": token, "location_id": location, "evse_uid": evse, "connector_id": connector, "wait_s": wait}
        report = readiness.make(partner_of(party), now, requested_by="command line", **wishes)
        failed = [line["title"] for line in report.lines if line["outcome"] == readiness.FAILED]
        failure = f"failed: {', '.join(failed)}" if failed else report.last_error
        return _report_of(str(party), report), _report_lines(report), failure

    def _status(self, now, *, party, **_options):
        found = [health.health_of(partner_of(party), now)] if party else health.health_of_all(now)
        lines = [line for one in found for line in _status_lines(one)] or ["There are no partners yet."]
        return [_status_of(one) for one in found], lines, ""


def party(written: str) -> Party:
    try:
        return Party.parse(written)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def _joined(argv: list[str], option: str) -> list[str]:
    place = argv.index(option) if option in argv[:-1] else len(argv)
    return [*argv[:place], *(["=".join(argv[place : place + 2])] if argv[place:] else []), *argv[place + 2 :]]


def _as_line(name: str, counts: dict) -> str:
    numbers = ", ".join(f"{value} {key}" for key, value in counts.items() if key not in ("complete", "error"))
    return f"{name}: {numbers}" + (f"; {counts['error']}" if counts.get("error") else "")


def _report_of(named: str, report: Report) -> dict:
    return {
        "partner": named,
        "version": report.version,
        "at": write_moment(report.requested_at, fraction=False),
        "outcome": report.outcome,
        "error": report.last_error,
        "lines": [{name: line[name] for name in LINE} for line in report.lines],
    }


LINE = ("check", "title", "demands", "outcome", "reason", "took_s")


def _report_lines(report: Report) -> list[str]:
    marks = {readiness.PASSED: "ok", readiness.FAILED: "FAILED", readiness.UNTRIED: "-"}
    lines = [f"{marks[line['outcome']]:<7} {line['title']:<26} {line['reason']}" for line in report.lines]
    return [*lines, f"{report.partner}: {report.get_outcome_display()}"]


def _status_of(one: health.Health) -> dict:
    return {
        "partner": one.name,
        "name": one.partner.name,
        "state": one.partner.state,
        "version": one.partner.version or None,
        "modules": {feed.module: _feed_of(feed) for feed in one.feeds},
    }


def _feed_of(feed: health.FeedHealth) -> dict:
    return {
        "last_good": feed.last_good and write_moment(feed.last_good, fraction=False),
        "age_s": None if feed.age is None else int(feed.age.total_seconds()),
        "failures": feed.failures,
        "error": feed.error,
    }


def _status_lines(one: health.Health) -> list[str]:
    version = f", OCPI {one.partner.version}" if one.partner.version else ""
    parties = ", ".join(one.parties) or "no party"
    return [f"{one.partner.name} ({parties}): {one.partner.get_state_display()}{version}", *map(_feed_line, one.feeds)]


def _feed_line(feed: health.FeedHealth) -> str:
    good = "never" if feed.age is None else f"{write_moment(feed.last_good, fraction=False)}"
    silent = "  SILENT" if feed.is_silent else ""
    failed = f"; failed {feed.failures} times: {feed.error}" if feed.failures else ""
    return f"  {feed.module:<10} last good {good}{failed}{silent}"
