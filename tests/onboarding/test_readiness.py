"""A partner is really called, and each planted fault turns its own line and no other."""

import pytest
from django.utils import timezone

from apps.onboarding import lists, readiness, sheet
from apps.onboarding.models import Report
from apps.partners.models import Endpoint, Partner
from tests.ocpi.certifying import Authority, Showing
from tests.onboarding.conftest import by_check
from tests.partners.agreeing import agree

pytestmark = pytest.mark.django_db(transaction=True)

FAILED, UNTRIED, PASSED = readiness.FAILED, readiness.UNTRIED, readiness.PASSED


@pytest.mark.parametrize("version", ["2.1.1", "2.2.1", "2.3.0"])
def test_a_clean_partner_of_any_version_has_no_fault(check):
    report = check()
    assert by_check(report, FAILED) == {}
    assert by_check(report, UNTRIED) == {"certificate": "It is called without TLS, as a private host."}
    assert (report.outcome, len(report.lines)) == (Report.Outcome.PASSED, report.checks)


PLANTED = {
    "versions are answered 401, for the token was changed without a word": ("versions", "rotated_token", {}),
    "no versions": ("versions", "not_json", {"module": "versions"}),
    "details lack the endpoints": ("details", "missing", {"value": "endpoints", "module": "2.2.1"}),
    "credentials lack the roles": ("credentials", "missing", {"value": "roles", "module": "credentials"}),
    "whoever asks is let in": ("refusal", "any_token", {"module": "versions"}),
    "slow": ("tariffs.list", "slow", {"value": 3.2, "module": "tariffs"}),
    "too busy, and silent about it": ("cdrs.list", "busy_silent", {"module": "cdrs"}),
    "too busy all the time": ("sessions.list", "busy", {"module": "sessions"}),
    "random 500": ("locations.list", "status", {"value": 500, "module": "locations", "chance": 0.5}),
    "cut JSON": ("tariffs.list", "cut_body", {"module": "tariffs"}),
    "a gzip bomb": ("locations.list", "gzip_bomb", {"module": "locations"}),
    "a redirect": ("sessions.list", "redirect", {"value": "/elsewhere", "module": "sessions"}),
    "down": ("cdrs.list", "down", {"module": "cdrs"}),
    "one object a page": ("locations.paging", "page_limit", {"module": "locations"}),
    "pages that shrink": ("cdrs.paging", "shrinking_page", {"module": "cdrs"}),
    "next leads round in a circle": ("tariffs.paging", "cycle", {"module": "tariffs"}),
    "next leads elsewhere": ("sessions.paging", "foreign_next", {"module": "sessions"}),
    "no next": ("locations.paging", "no_link", {"module": "locations"}),
    "no total": ("tariffs.paging", "no_total", {"module": "tariffs"}),
    "limit is ignored": ("sessions.paging", "ignored_limit", {"module": "sessions"}),
    "offset is ignored": ("cdrs.paging", "ignored_offset", {"module": "cdrs"}),
    "dates are ignored": ("cdrs.dates", "ignored_dates", {"module": "cdrs"}),
    "last_updated is bumped": ("locations.dates", "bumped", {"module": "locations"}),
    "an id twice": ("sessions.objects", "repeated_id", {"module": "sessions"}),
    "locations without coordinates": ("locations.objects", "missing", {"value": "coordinates", "module": "locations"}),
    "connectors without a standard": (
        "locations.objects", "missing", {"value": "evses.connectors.standard", "module": "locations"},
    ),
    "tariffs without elements": ("tariffs.objects", "missing", {"value": "elements", "module": "tariffs"}),
    "sessions without kWh": ("sessions.objects", "missing", {"value": "kwh", "module": "sessions"}),
    "CDRs without a cost": ("cdrs.objects", "missing", {"value": "total_cost", "module": "cdrs"}),
    "CDRs of somebody else": ("cdrs.objects", "altered", {"value": {"party_id": "FOE"}, "module": "cdrs"}),
    "the answer to a card is lost": ("tokens.push", "lost_reply", {"module": "tokens", "method": "PUT"}),
    "a card is forgotten": ("tokens.read_back", "altered", {"value": {"valid": False}, "module": "tokens"}),
    "a start is refused": ("start", "command_response", {"value": "REJECTED"}),
    "a start fails": ("start", "command_result", {"value": "FAILED"}),
    "a start has no result": ("start", "command_result", {"value": None}),
    "no session": ("session", "no_session", {}),
    "a stop is refused": ("stop", "command_response", {"value": "REJECTED", "module": "commands", "skip": 1}),
    "a CDR never comes": ("cdr", "late_cdr", {"value": None}),
    "a CDR cannot be read": ("cdr", "sent_missing", {"value": "currency", "module": "cdrs"}),
}  # fmt: skip


def test_each_planted_fault_turns_its_own_line_and_no_other(cpo, check, monkeypatch):
    """Each at an EVSE of its own: who cannot stop charging goes on."""
    turned = {}
    for planted, (_, fault, how) in PLANTED.items():
        cpo.fault(fault, **how)
        if fault != "bumped":  # the only one that takes a second to be seen
            monkeypatch.setattr(lists, "APART", 0 * lists.A_SECOND)
        turned[planted] = list(by_check(check(wait_s=2), FAILED))
        cpo.faults.clear()
        monkeypatch.undo()
    assert turned == {planted: [line] for planted, (line, *_) in PLANTED.items()}
    assert set(Report.objects.values_list("outcome", flat=True)) == {Report.Outcome.FAILED}
    assert by_check(check(), FAILED) == {}


def test_a_partner_that_tells_of_no_sessions_lacks_none(cpo, partner, check):
    Partner.objects.update(no_sessions=True)
    partner.refresh_from_db()
    cpo.requests.clear()

    report = check()

    untried = by_check(report, UNTRIED)
    assert set(untried) == {f"sessions.{kind}" for kind in ("list", "paging", "dates", "objects")} | {
        "certificate",
        "session",
        "stop",
        "cdr",
    }
    assert "tells of no sessions" in untried["session"]
    assert (by_check(report, FAILED), report.outcome) == ({}, Report.Outcome.PASSED)
    assert not [request for request in cpo.requests if "/sessions" in request.path]


@pytest.mark.control("S52")
def test_until_when_their_certificate_holds_is_a_line(cpo, partner, check, server, tmp_path):
    authority = Authority()
    issued = authority.issue("127.0.0.1", days=40)
    Showing(server, tmp_path, issued)
    Endpoint.objects.filter(identifier="tokens").update(url=f"https://127.0.0.1:{server.server_port}/tokens")
    assert "certificate verify failed" in by_check(check(), FAILED)["certificate"]
    Partner.objects.update(certificate_authority=authority.certificate)
    partner.refresh_from_db()
    told = f"127.0.0.1:{server.server_port} until {issued.ends_at:%Y-%m-%d}."
    assert by_check(check(), PASSED)["certificate"] == told


@pytest.mark.control("S18")
def test_a_card_that_the_partner_does_not_see_is_not_tried_with_it(cpo, partner, check):
    for party in partner.parties.all():
        agree(party, cards="none")
    cpo.requests.clear()
    untried = by_check(check(), UNTRIED)
    assert "does not see this card" in untried["tokens.push"]
    assert not [request for request in cpo.requests if request.method in {"PUT", "POST"}]


def test_the_sheet_tells_our_limits_and_their_quirks(partner):
    report = Report(partner=partner, version="2.2.1", requested_at=timezone.now(), outcome=Report.Outcome.PASSED)
    assert "Everything is as OCPI says" in sheet.as_html(report)
    partner.page_size, partner.slash = 50, True
    said = {name: value for name, value, _ in sheet.habits(partner)}
    assert (said["page size"], said["slash at the end"], said["Pull of CDRs"]) == ("50", "yes", "every 1 h")
    assert "Every URL of theirs that we call ends in a slash" in sheet.as_html(report)
    assert sheet.as_pdf(report).startswith(b"%PDF")
