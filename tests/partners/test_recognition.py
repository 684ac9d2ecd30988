"""What comes again byte for byte is not read again, and whatever is not quite so is."""

import pytest

from apps.charging import intake
from apps.charging.models import Cdr
from apps.locations import store as locations
from apps.locations.models import Evse, Location
from apps.locations.patches import patch_evse
from apps.ocpi import objects
from apps.partners.taking import Sending
from apps.tariffs import store as tariffs
from apps.tariffs.models import Tariff
from tests.partners.mirrors import NOW, V211, V221, encoded, evse, example, location, make_partner, tariff

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner():
    return make_partner()


@pytest.fixture
def pulled(partner):
    """As a pull takes them that is not the first; of each whether it had not to be read, and what became of it."""

    def pulled(*bodies: bytes, by=locations.INTAKE, of=partner, version=V221):
        taken = Sending(by, of, version).take_again(list(bodies), NOW)
        return [(one.standing is not None, str(one.outcome)) for one in taken]

    return pulled


READ_NEW, KNOWN = (False, "created"), (True, "unchanged")


def test_the_same_bytes_are_known(pulled):
    page = encoded(location(id="L-1"), location(id="L-2"))
    assert pulled(*page) == [READ_NEW, READ_NEW]
    assert pulled(*page, *encoded(location(id="L-3"))) == [KNOWN, KNOWN, READ_NEW]


def test_what_is_known_has_key_date_and_row(pulled, partner):
    (body,) = encoded(location())
    pulled(body)
    (taken,) = Sending(locations.INTAKE, partner, V221).take_again([body], NOW)
    place = Location.objects.get()
    assert (taken.told.key, taken.told.last_updated, taken.row) == (
        (place.party_id, place.ocpi_id.upper()), place.last_updated, place.pk,
    )  # fmt: skip


def test_other_bytes_are_read(pulled):
    (body,) = encoded(location())
    pulled(body)
    assert pulled(body.replace(b", ", b" , ")) == [(False, "unchanged")]
    assert pulled(*encoded(location(name="Elsewhere"))) == [(False, "updated")]


def test_another_version_is_another_body(pulled, partner):
    (body,) = encoded(location())
    pulled(body)
    Location.objects.update(version="2.1.1")
    assert pulled(body)[0][0] is False


def test_what_changed_since_is_read(pulled, partner):
    (body,) = encoded(location())
    pulled(body)
    uid = Evse.objects.first().uid
    patch = objects.EvsePatch(status="CHARGING", last_updated=NOW)
    patch_evse(partner.parties.get(), location()["id"], uid, patch, NOW)
    assert pulled(body)[0][0] is False
    assert Evse.objects.get(uid=uid).status == "CHARGING", "it is older than the status"


def test_what_had_vanished_comes_back(pulled):
    (body,) = encoded(location())
    pulled(body)
    Location.objects.update(vanished_at=NOW)
    assert pulled(body)[0][0] is False
    assert Location.objects.get().vanished_at is None


def test_an_id_that_comes_twice_is_read(pulled):
    old, new = encoded(location(), location(evses=[evse(status="BLOCKED")]))
    pulled(old)
    assert [was_known for was_known, _ in pulled(new, old)] == [False, False]


def test_somebody_elses_object_is_not_known(pulled):
    (body,) = encoded(location())
    pulled(body)
    other = make_partner("Another", ("SE", "OTH"))
    assert pulled(body, of=other) == [(False, "refused")]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"id": 1}', b'{"id": "\\u0000"}', b'{"id": "\xc3\xa5"}', b"[" * 5000]
)
def test_what_is_odd_is_read_as_ever(pulled, body):
    assert pulled(body) == [(False, "refused")]


def test_a_tariff_is_known_until_it_was_deleted(pulled, partner):
    (body,) = encoded(tariff())
    pulled(body, by=tariffs.INTAKE)
    assert pulled(body, by=tariffs.INTAKE) == [KNOWN]
    tariffs.remove_tariff(partner.parties.get(), Tariff.objects.get().ocpi_id, NOW)
    assert pulled(body, by=tariffs.INTAKE)[0][0] is False
    assert Tariff.objects.get().deleted_at is None


@pytest.mark.parametrize("version", [V211, V221])
def test_a_cdr_is_known(pulled, version):
    (body,) = encoded(example("cdr", version.number))
    assert pulled(body, by=intake.INTAKE, version=version) == [READ_NEW]
    assert pulled(body, by=intake.INTAKE, version=version) == [KNOWN]
    assert Cdr.objects.count() == 1
