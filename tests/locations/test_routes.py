"""The same EVSE by several routes: recognised by its EVSE ID, and shown once (features E2, X15)."""

import pytest
from django.db import connection
from django.urls import reverse

from apps.locations import map as maps
from apps.locations.models import Evse, Location
from apps.locations.routes import recognise, shown_once
from apps.locations.store import INTAKE
from apps.partners.models import Partner, Party
from apps.partners.taking import take
from apps.staff.models import User
from tests.partners.mirrors import NOW, V221, encoded, evse, location, make_partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def direct(db):
    return make_partner("Laddnät")


@pytest.fixture
def hub(db):
    return make_partner("Knutpunkt", ("NL", "KNP"), role=Partner.Role.HUB)


def tell(partner, *evse_ids, place="P", **changes):
    """A location of the partner's first party, with an EVSE for each of these EVSE IDs; their rows."""
    party = partner.parties.order_by("pk").first()
    owner = {"country_code": party.country_code, "party_id": party.party_id, "id": place}
    evses = [evse(f"U{number}", evse_id=evse_id) for number, evse_id in enumerate(evse_ids)]
    (taken,) = take(INTAKE, partner, V221, encoded(location(**owner, evses=evses, **changes)), NOW)
    assert not taken.is_kept_aside, taken.problems
    return list(Evse.objects.filter(location__party=party, location__ocpi_id=place).order_by("uid"))


def shown_as(one):
    return Evse.objects.get(pk=one.pk).shown


@pytest.mark.parametrize(
    ("ours", "theirs", "is_one"),
    [
        ("SE*LAD*E1234*1", "SELADE12341", True),
        ("SE*LAD*E1", "se-lad-e1", True),
        ("SE*LAD*E1", "SE LAD E1", True),
        ("SE*LAD*E1", "SE*LAD*E2", False),
        ("SE*LAD*E1", "SE*LAA*E1", False),
        ("1", "1", False),
        ("E1", "E1", False),
        ("SE*LAD*P1", "SE*LAD*P1", False),
    ],
)
def test_one_is_known_by_its_id_however_it_is_spelt_and_by_no_other_text(ours, theirs, is_one, direct, hub):
    (here,), (there,) = tell(direct, ours), tell(hub, theirs)
    assert recognise() == is_one
    assert (shown_as(there) == here, shown_as(here)) == (is_one, here)
    assert recognise() == 0


@pytest.mark.parametrize("evse_id", ["SE*LAD*E1", "DE*ABC*E1"], ids=["its own", "of another brand"])
def test_the_direct_route_is_preferred_whoever_was_first(hub, evse_id):
    (there,) = tell(hub, evse_id)
    (here,) = tell(make_partner("Laddnät"), evse_id)
    recognise()
    assert (shown_as(here), shown_as(there)) == (here, here)


def test_of_two_hubs_it_is_the_one_that_has_the_party_itself_and_else_the_older(hub):
    as_its_own, other = tell(hub, "SE*LAD*E1", "DE*ABC*E2"), make_partner("Hub 2", ("SE", "LAD"), role="HUB")
    of_party = tell(other, "SE*LAD*E1", "DE*ABC*E2")
    recognise()
    assert [shown_as(one) for one in as_its_own] == [of_party[0], as_its_own[1]]
    assert [shown_as(one) for one in of_party] == [of_party[0], as_its_own[1]]


def test_a_route_that_is_gone_gives_way_until_it_is_back(direct, hub):
    (here,), (there,) = tell(direct, "SE*LAD*E1"), tell(hub, "SE*LAD*E1")
    for state, shown in (("CONNECTED", here), ("DISCONNECTED", there), ("CONNECTED", here)):
        Partner.objects.filter(pk=direct.pk).update(state=state)
        recognise()
        assert {shown_as(here), shown_as(there)} == {shown}
    for gone in ({"status": "REMOVED"}, {"status": "AVAILABLE"}):
        Evse.objects.filter(pk=here.pk).update(**gone)
        recognise()
        assert shown_as(there) == (there if gone["status"] == "REMOVED" else here)
    Location.objects.filter(pk=here.location_id).update(vanished_at=NOW)
    recognise()
    assert shown_as(there) == there
    Party.objects.filter(pk=here.location.party_id).update(partner=None)
    Location.objects.update(vanished_at=None)
    recognise()
    assert shown_as(here) == there


def test_what_one_partner_tells_twice_is_shown_as_it_tells_it(direct):
    first, second = tell(direct, "SE*LAD*E1", "SE*LAD*E1*")
    recognise()
    assert (shown_as(first), shown_as(second)) == (first, second)


def test_what_is_told_again_stays_recognised(direct, hub):
    (here,), (there,) = tell(direct, "SE*LAD*E1"), tell(hub, "SE*LAD*E1")
    recognise()
    tell(hub, "SE*LAD*E1", name="Another name")
    assert shown_as(there) == here


def test_a_place_is_shown_once_and_what_only_the_hub_tells_of_it_too(direct, hub):
    here, there = tell(direct, "SE*LAD*E1", "SE*LAD*E2"), tell(hub, "SE*LAD*E1", "SE*LAD*E2")
    recognise()
    assert list(shown_once(Location.objects.all())) == [here[0].location]
    tell(hub, "SE*LAD*E1", "SE*LAD*E2", "SE*LAD*E3")
    recognise()
    assert set(shown_once(Location.objects.all())) == {here[0].location, there[0].location}
    Evse.objects.filter(evse_id="SE*LAD*E3").update(status="REMOVED")
    assert list(shown_once(Location.objects.all())) == [here[0].location]


def test_a_place_without_evses_is_a_place(direct):
    Evse.objects.filter(pk__in=[one.pk for one in tell(direct, "SE*LAD*E1")]).delete()
    assert shown_once(Location.objects.all()).count() == 1


@pytest.mark.django_db(transaction=True)
def test_whoever_is_being_written_is_not_waited_for(direct, hub):
    (here,), (there,) = tell(direct, "SE*LAD*E1"), tell(hub, "SE*LAD*E1")
    writer = connection.copy()
    try:
        with connection.cursor() as ours, writer.cursor() as theirs:
            ours.execute("SET lock_timeout = '3s'")
            theirs.execute("BEGIN")
            theirs.execute("UPDATE locations_evse SET status = 'CHARGING' WHERE id = %s", [there.pk])
            assert recognise() == 0
            theirs.execute("COMMIT")
            assert recognise() == 1
            ours.execute("RESET lock_timeout")
    finally:
        writer.close()
    assert shown_as(there) == here


def test_the_office_shows_it_once_and_says_who_else_tells_of_it(direct, hub, client):
    client.force_login(User.objects.create_superuser("anna"))
    (here,), (there,) = tell(direct, "SE*LAD*E1", name="Torget"), tell(hub, "SE*LAD*E1", name="Torget (Knutpunkt)")
    recognise()

    def page(name, *args, **query):
        return client.get(reverse(f"admin:locations_{name}", args=args), query).content.decode()

    listed = page("location_changelist")
    assert ("Knutpunkt" in listed, "Torget (Knutpunkt)" in listed) == (True, False)
    assert "Torget (Knutpunkt)" in page("location_changelist", routes="every")
    assert "also by" in page("location_change", here.location_id)
    assert "shown as that of" in page("location_change", there.location_id)
    assert "NL*KNP (Knutpunkt)" in page("evse_change", here.pk)
    assert f"/{here.pk}/change/" in page("evse_changelist")
    assert f"/{there.pk}/change/" not in page("evse_changelist")
    assert "SE*LAD (Laddnät)" in page("evse_change", there.pk)
    (marker,) = maps.markers(maps.whole())
    assert marker.only == here.location
