"""A partner that adds to its roles waits for staff, and nothing it sends meanwhile is lost (trust S10)."""

import json

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.charging.models import Cdr, Session
from apps.locations.models import Location
from apps.ocpi.versions import VERSIONS
from apps.partners import quarantine, scope
from apps.partners.models import Party, Quarantined
from apps.partners.taking import take
from apps.staff.models import User
from emsp.intakes import INTAKES
from emsp.tasks import take_approved
from tests.charging.conftest import CDR
from tests.ocpi.bodies import as_bytes
from tests.ocpi.bodies import sent as body_of
from tests.security.test_takeover import hostile, role, said

__all__ = ["hostile"]
pytestmark = [pytest.mark.control("S10"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def claiming(hostile, cpo):
    """The simulated CPO, which says that SE*NEW is its as well."""
    answer = hostile.call("PUT", "credentials", json=said(cpo, "LAD", "NEW"))
    assert answer.json()["status_code"] == 1000
    return type(hostile)(hostile.site, answer.json()["data"]["token"])


@pytest.fixture
def new(claiming):
    return Party.objects.get(party_id="NEW")


def location(party):
    return as_bytes(body_of("2.2.1", "location") | {"country_code": "SE", "party_id": party, "id": "L1"})


def test_a_role_that_is_added_waits(claiming, new, registered, client):
    assert (new.partner, new.claimed_by) == (None, registered)
    client.force_login(User.objects.create_superuser("anna"))
    assert "Parties that wait to be approved" in client.get(reverse("admin:index")).content.decode()


def test_roles_of_a_first_registration_are_what_staff_let_in(registered):
    assert {str(party) for party in registered.parties.all()} == {"SE*LAD", "DE*LAD"}
    assert not Party.objects.exclude(claimed_by=None).exists()


def test_what_is_pushed_meanwhile_is_kept_and_taken_once_staff_approve(claiming, new, registered, client):
    session = as_bytes(body_of("2.2.1", "session") | {"country_code": "SE", "party_id": "NEW", "id": "S1"})
    headers = {"OCPI-from-country-code": "SE", "OCPI-from-party-id": "NEW"}
    answers = [
        claiming.call("PUT", "locations/SE/NEW/L1", content=location("NEW")),
        claiming.call("PUT", "sessions/SE/NEW/S1", content=session, headers=headers),
        claiming.call("POST", "cdrs", json=CDR | {"party_id": "NEW"}, headers=headers),
    ]
    assert [(answer.status_code, answer.json()["status_code"]) for answer in answers] == [(200, 2001)] * 3
    assert all("waits to be approved" in answer.json()["status_message"] for answer in answers)
    assert set(Quarantined.objects.values_list("module", "code", "party")) == {
        (module, "WAIT", new.pk) for module in ("locations", "sessions", "cdrs")
    }
    assert quarantine.take_approved(INTAKES, timezone.now()) == 0
    client.force_login(User.objects.create_superuser("anna"))
    client.post(reverse("admin:partners_party_approve", args=[new.pk]), {"_form_submitted": "on"})
    assert take_approved() == 3
    for model in (Location, Session, Cdr):
        assert model.objects.get(party=new).party.partner == registered
    assert not Quarantined.objects.filter(state="OPEN").exists()


def test_nothing_of_it_is_read_or_changed_meanwhile(claiming, new, make_partner):
    """The party may have been another's before, with objects of its own."""
    make_partner("SE*OLD", name="Old")
    for method, path in (
        ("GET", "locations/SE/NEW/L1"), ("PATCH", "locations/SE/NEW/L1"), ("PUT", "locations/SE/NEW/L1/E1"),
        ("PUT", "locations/SE/NEW/L1/E1/1"), ("DELETE", "tariffs/SE/NEW/T1"), ("GET", "sessions/SE/NEW/1"),
    ):  # fmt: skip
        answer = claiming.call(method, path, **({} if method in ("GET", "DELETE") else {"json": {}}))
        nobodys = claiming.call(
            method, path.replace("NEW", "XXX"), **({} if method in ("GET", "DELETE") else {"json": {}})
        )
        assert answer.status_code == nobodys.status_code == 404, (method, path)
        assert answer.json() | {"timestamp": ""} == nobodys.json() | {"timestamp": ""}


def test_a_claim_that_is_rejected_leaves_what_was_sent_in_quarantine(claiming, new):
    claiming.call("POST", "cdrs", json=CDR | {"party_id": "NEW"})
    scope.reject(new)
    assert take_approved() == 0
    assert Quarantined.objects.get().state == "OPEN"
    with pytest.raises(ValueError, match="nothing of SE\\*NEW waits"):
        scope.approve(Party.objects.get(party_id="NEW"))


def test_of_two_that_claim_a_party_the_first_waits(claiming, new, registered, make_partner, as_partner):
    other = make_partner("SE*OTH", name="Other")
    new.refresh_from_db()
    assert new.claimed_by == registered
    assert as_partner(other).call("PUT", "locations/SE/NEW/L1", content=location("NEW")).status_code == 404


def test_a_claim_that_is_given_up_is_gone(claiming, new, cpo):
    assert claiming.call("PUT", "credentials", json=said(cpo, "LAD")).json()["status_code"] == 1000
    new.refresh_from_db()
    assert new.claimed_by is None


def test_what_fails_for_another_reason_stays_and_is_not_tried_again(claiming, new):
    claiming.call("PUT", "locations/SE/NEW/L1", content=location("NEW"))
    Quarantined.objects.update(body=json.dumps({"country_code": "SE", "party_id": "NEW", "id": "L1"}).encode())
    scope.approve(new)
    assert take_approved() == 0
    kept = Quarantined.objects.get()
    assert (kept.state, kept.code) == ("OPEN", "")
    assert not quarantine.approved().exists()


@pytest.fixture
def told(make_partner, as_partner):
    """A hub, and what it said of SE*NEW before anybody here had heard of it; so did another partner, whose it never was."""
    hub, other = make_partner("NL*HUB", name="Hub", role="HUB"), make_partner("SE*OTH", name="Other")
    for sender in (hub, other):
        take(INTAKES["locations"], sender, VERSIONS["2.2.1"], [location("NEW")], timezone.now())
    assert as_partner(hub).call("POST", "cdrs", json=CDR | {"party_id": "NEW"}).json()["status_code"] == 2001
    return hub


def claims_new(hub, as_partner):
    client = {"country_code": "SE", "party_id": "NEW", "role": "CPO", "status": "CONNECTED"}
    assert as_partner(hub).call("PUT", "hubclientinfo/SE/NEW", json=client).json()["status_code"] == 1000
    return Party.objects.get(party_id="NEW")


def kept():
    rows = Quarantined.objects.filter(state="OPEN").order_by("pk")
    return list(rows.values_list("partner__name", "module", "code", "owner"))


def test_what_a_hub_sent_of_a_party_that_nobody_knew_is_taken_once_staff_approve(told, as_partner):
    """And of nobody else: what another partner said of it stays refused."""
    of_other, of_hub = ("Other", "locations", "V-05", "SE*NEW"), ("Hub", "locations", "V-05", "SE*NEW")
    assert kept() == [of_hub, of_other, ("Hub", "cdrs", "V-05", "SE*NEW")]
    assert "SE*NEW is not a role of its sender" in str(Quarantined.objects.first().reasons)
    new = claims_new(told, as_partner)
    assert take_approved() == 0
    assert not Location.objects.exists()
    scope.approve(new)
    assert take_approved() == 2
    assert (Location.objects.get().party, Cdr.objects.get().party) == (new, new)
    assert kept() == [of_other]


@pytest.mark.control("S17")
def test_nothing_that_a_hub_sent_of_a_party_with_its_own_connection_is_taken_unless_staff_move_it(
    told, as_partner, make_partner
):
    direct = make_partner("SE*NEW", name="Direct")
    new = claims_new(told, as_partner)
    assert (new.partner, new.claimed_by, take_approved()) == (direct, None, 0)
    assert not Location.objects.exists()
    assert as_partner(direct).call("PUT", "locations/SE/NEW/L1", content=location("NEW")).json()["status_code"] == 1000
    Party.objects.filter(pk=new.pk).update(partner=told)
    assert take_approved() == 2
    assert kept() == [("Other", "locations", "V-05", "SE*NEW")]


def test_what_was_tried_too_early_is_still_taken_later(told, as_partner):
    new = claims_new(told, as_partner)
    for row in Quarantined.objects.all():
        assert not quarantine.retry(row, INTAKES, timezone.now())
    scope.approve(new)
    assert take_approved() == 2


def test_what_is_seen_again_while_its_party_waits_is_kept_once(told, as_partner):
    new = claims_new(told, as_partner)
    take(INTAKES["locations"], told, VERSIONS["2.2.1"], [location("NEW")], timezone.now())
    assert ("Hub", "locations", "WAIT", "SE*NEW") in kept()
    scope.approve(new)
    assert take_approved() == 2


def test_workers_that_take_the_same_at_once_take_it_once(told, as_partner, monkeypatch):
    scope.approve(claims_new(told, as_partner))
    due = list(quarantine.approved())
    assert quarantine.take_approved(INTAKES, timezone.now(), limit=1) == 1
    monkeypatch.setattr(quarantine, "approved", lambda: Quarantined.objects.filter(pk__in=[row.pk for row in due]))
    assert quarantine.take_approved(INTAKES, timezone.now()) == 1


FORBIDDEN = ["name", "role", "state", "is_private", "pace", "slowed_until", "token_form", "version", "parties", "claims",
             "claimed_by", "partner", "partner_id", "outbound_token", "connected_at", "id", "pk", "created_at"]  # fmt: skip


@pytest.mark.parametrize("path", ["credentials", "cdrs", "locations/SE/LAD/L1"])
def test_no_body_sets_a_field_of_our_rows(path, hostile, registered, cpo):
    """Whatever names our columns have, a body that carries them changes none."""
    bodies = {"credentials": said(cpo, "LAD"), "cdrs": CDR, "locations/SE/LAD/L1": json.loads(location("LAD"))}
    planted = dict.fromkeys(FORBIDDEN, "planted") | {"is_private": True, "pace": 1000, "partner": 1, "state": "INVITED"}
    before = {name: getattr(registered, name) for name in ("name", "role", "is_private", "pace", "slowed_until", "pk")}
    body = planted | bodies[path] | {"roles": [role("LAD") | {"claimed_by": 1, "partner": 1}]}
    hostile.call("POST" if path == "cdrs" else "PUT", path, json=body)
    registered.refresh_from_db()
    assert {name: getattr(registered, name) for name in before} == before
    assert registered.state == "CONNECTED"
