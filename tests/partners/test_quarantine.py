import json
from datetime import timedelta

import pytest
from django.db import connection

from apps.locations.models import Location
from apps.locations.store import INTAKE
from apps.ocpi.errors import InvalidObject, Problem
from apps.partners.models import Party, Quarantined
from apps.partners.quarantine import dismiss, keep, mend, rehearse, retry
from apps.partners.taking import take
from tests.partners.mirrors import NOW, V221, encoded, location, make_partner

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=1)
INTAKES = {"locations": INTAKE}


@pytest.fixture
def partner():
    return make_partner()


@pytest.fixture
def refused(partner):
    """A location without coordinates, as a PUT brought it."""
    bodies = encoded(location(coordinates=None))
    (taken,) = take(
        INTAKE, partner, V221, bodies, NOW, owner=partner.parties.get(), context={"method": "PUT", "id": "LOC-7"}
    )
    return Quarantined.objects.get(pk=taken.quarantined)


def test_the_same_bytes_again_only_count(partner, refused):
    (again,) = take(INTAKE, partner, V221, [bytes(refused.body)], LATER)
    assert again.quarantined == refused.pk
    refused.refresh_from_db()
    assert (refused.seen, refused.first_seen_at, refused.last_seen_at) == (2, NOW, LATER)


def test_what_staff_dismissed_stays_dismissed(partner, refused):
    dismiss(refused, LATER)
    take(INTAKE, partner, V221, [bytes(refused.body)], LATER)
    refused.refresh_from_db()
    assert (refused.state, refused.seen, refused.settled_at) == ("DISMISSED", 2, LATER)
    with pytest.raises(ValueError, match="settled"):
        dismiss(refused, LATER)


@pytest.mark.parametrize(
    ("body", "ocpi_id"),
    [
        (b'{"id": "A\\u0000B"}', "A\ufffdB"),
        (b'{"id": 7}', ""),
        (b"[1]", ""),
        (b"{", ""),
        (b"\xff\x00", ""),
        (b"[" * 5000, ""),
    ],
)
def test_anything_can_be_kept(body, ocpi_id, partner):
    keep(partner, "locations", V221, body, [Problem("name\x00", "odd\x00")], NOW)
    kept = Quarantined.objects.get()
    assert (bytes(kept.body), kept.ocpi_id, kept.reasons) == (body, ocpi_id, [["name\ufffd", "odd\ufffd"]])


def test_a_mended_body_goes_the_way_of_all(refused):
    body = json.dumps(location()).encode()
    assert mend(refused, body, INTAKES, LATER).outcome == "created"
    refused.refresh_from_db()
    assert (refused.state, bytes(refused.mended), refused.settled_at) == ("MENDED", body, LATER)
    assert b"coordinates" not in bytes(refused.body).split(b'"evses"')[0]
    assert Location.objects.get().received_at == LATER
    with pytest.raises(ValueError, match="settled"):
        mend(refused, body, INTAKES, LATER)


@pytest.mark.parametrize("change", [{"coordinates": None}, {"id": "LOC-8"}, {"party_id": "FOE"}])
def test_what_is_still_wrong_stays_open_and_changes_nothing(change, refused):
    with pytest.raises(InvalidObject):
        mend(refused, json.dumps(location(**change)).encode(), INTAKES, LATER)
    refused.refresh_from_db()
    assert (refused.state, refused.mended) == ("OPEN", None)
    assert (Location.objects.count(), Quarantined.objects.count()) == (0, 1)


def test_a_retry_finds_that_the_party_has_been_moved_here(partner):
    moved = Party.objects.create(country_code="SE", party_id="NEW")
    (taken,) = take(INTAKE, partner, V221, encoded(location(party_id="NEW")), NOW)
    row = Quarantined.objects.get(pk=taken.quarantined)
    assert not retry(row, INTAKES, LATER)
    Party.objects.filter(pk=moved.pk).update(partner=partner)
    assert retry(row, INTAKES, LATER)
    assert (Location.objects.get().party, Quarantined.objects.get().state) == (moved, "MENDED")


def test_a_retry_in_vain_tells_the_reasons_of_now(refused):
    Quarantined.objects.update(reasons=[["", "an old one"]])
    assert not retry(refused, INTAKES, LATER)
    assert Quarantined.objects.get().reasons == [["coordinates", "required"]]


def contents():
    """Every row of every table, as one text."""
    rows = {}
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names()):
            cursor.execute(f"SELECT md5(string_agg(held::text, '|' ORDER BY held::text)) FROM {table} AS held")
            rows[table] = cursor.fetchone()[0]
    return rows


def test_to_try_it_dry_changes_no_row(partner, refused):
    before = contents()
    (problem,) = rehearse(refused, INTAKES, LATER)
    assert problem.path == "coordinates"
    assert contents() == before


def test_what_would_be_taken_now_is_said_and_not_taken(partner):
    """Its party was not the partner's when it came."""
    (body,) = encoded(location(party_id="OTH"))
    (taken,) = take(INTAKE, partner, V221, [body], NOW)
    held = Quarantined.objects.get(pk=taken.quarantined)
    Party.objects.create(country_code="SE", party_id="OTH", partner=partner)
    before = contents()
    assert rehearse(held, INTAKES, LATER) == []
    assert contents() == before
    assert retry(held, INTAKES, LATER)
    assert Location.objects.get().party.party_id == "OTH"


def test_what_is_settled_is_not_tried_dry(refused):
    dismiss(refused, LATER)
    with pytest.raises(ValueError, match="settled"):
        rehearse(refused, INTAKES, LATER)
