from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from apps.partners.models import Exchange, Quarantined
from apps.partners.pull import open_feeds, pull_partner
from apps.simulator.server import Simulator
from apps.tariffs import tasks
from apps.tariffs.models import Tariff, TariffRevision
from apps.tariffs.pull import PULL
from apps.tariffs.store import canonical_tariff, remove_tariff
from tests.partners.mirrors import NOW, TOKEN, V211, V221, V230, connect, encoded, example, make_partner, tariff

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
PATH = "tariffs/SE/LAD/DAY"
AT, NEWER, OLDER = "2026-02-01T00:00:00Z", "2026-03-02T06:00:00Z", "2026-01-05T00:00:00Z"


def code(answer):
    return answer.status_code, answer.json()["status_code"]


def test_a_tariff_has_its_row_and_its_first_revision(put):
    assert put(tariff()) == ["created"]
    kept, revision = Tariff.objects.get(), TariffRevision.objects.get()
    assert (kept.ocpi_id, kept.currency, kept.type, kept.deleted_at) == ("DAY", "SEK", "REGULAR", None)
    assert (kept.start_date_time, kept.end_date_time) == (datetime.fromisoformat("2026-01-01T00:00:00Z"), None)
    assert bytes(kept.body) == bytes(revision.body) == encoded(tariff())[0]


@pytest.mark.ocpi("TAR-01")
def test_every_content_stays_as_a_revision_and_repetitions_do_not(put):
    put(tariff())
    assert put(tariff()) == ["unchanged"]
    assert put(tariff(currency="EUR", last_updated=NEWER)) == ["updated"]
    assert put(tariff(currency="NOK", last_updated=OLDER)) == ["stale"]
    assert Tariff.objects.get().currency == "EUR"
    assert [b'"NOK"' in bytes(revision.body) for revision in TariffRevision.objects.order_by("last_updated")] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("version", [V211, V230], ids=str)
def test_the_same_tariff_in_three_versions_gives_the_same_columns(version, put):
    def columns():
        (row,) = Tariff.objects.values("ocpi_id", "currency", "last_updated", "party_id")
        return row

    put(tariff())
    first = columns()
    Tariff.objects.all().delete()
    assert put(example("tariff", version.number), version=version) == ["created"]
    assert columns() == first


def test_a_deleted_tariff_can_still_be_read_and_comes_back_with_a_put(put, party):
    put(tariff())
    remove_tariff(party, "day", NOW)
    kept = Tariff.objects.get()
    assert kept.deleted_at == NOW
    assert canonical_tariff(kept).elements[0].price_components[0].type == "ENERGY"
    remove_tariff(party, "DAY", NOW + HOUR)
    assert Tariff.objects.get().deleted_at == NOW
    assert put(tariff()) == ["updated"]
    assert Tariff.objects.get().deleted_at is None


@pytest.mark.parametrize("version", ["2.1.1", "2.2.1", "2.3.0"])
@pytest.mark.ocpi("TAR-01", "TR-27", "TR-28", "all")
@pytest.mark.ocpi("TR-07", "all")
def test_a_tariff_is_put_read_and_deleted_over_http(version, call):
    body = example("tariff", version)
    assert code(call("PUT", PATH, body, version)) == (201, 1000)
    assert code(call("PUT", PATH, body, version)) == (200, 1000)
    assert call("GET", PATH, version=version).json()["data"] == body
    assert code(call("DELETE", PATH, version=version)) == (200, 1000)
    assert code(call("GET", PATH, version=version)) == (404, 2000)
    assert code(call("DELETE", PATH, version=version)) == (200, 1000)
    assert code(call("DELETE", "tariffs/SE/LAD/NIGHT", version=version)) == (404, 2000)


def test_what_cannot_be_accepted_is_named_and_kept_with_its_message(call):
    answer = call("PUT", PATH, tariff(currency=None, elements=[]))
    assert code(answer) == (200, 2001)
    assert {"currency", "elements"} <= {
        problem.split(":")[0] for problem in answer.json()["status_message"].split("; ")
    }
    kept = Quarantined.objects.get()
    assert (kept.module, kept.ocpi_id, kept.context["method"]) == ("tariffs", "DAY", "PUT")
    assert Exchange.objects.get().status_code == 2001
    assert not Tariff.objects.exists()


def test_the_same_key_twice_is_refused_where_prices_are_meant(call):
    """Two readers would see two prices (trust S30)."""
    (body,) = encoded(tariff())
    answer = call("PUT", PATH, body.replace(b'"currency": "SEK"', b'"currency": "SEK", "currency": "EUR"'))
    assert code(answer) == (200, 2001)
    assert Quarantined.objects.get().state == "OPEN"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"id": {}}', b'{"elements": [[[]]]}'])
def test_no_body_gets_anything_but_an_envelope(body, call):
    answer = call("PUT", PATH, body)
    assert answer.status_code in (200, 400)
    assert 2000 <= answer.json()["status_code"] < 3000


def test_a_tariff_is_not_patched_since_2_2(call):
    answer = call("PATCH", PATH, {"currency": "EUR", "last_updated": NEWER})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, PUT, DELETE")


@pytest.mark.ocpi("TAR-04")
def test_others_tariffs_cannot_be_touched(call):
    make_partner("Foe", ("SE", "FOE"))
    assert call("PUT", "tariffs/SE/FOE/DAY", tariff(party_id="FOE")).status_code == 404
    assert call("DELETE", "tariffs/SE/FOE/DAY").status_code == 404


@pytest.fixture
def cpo(tmp_path, settings):
    settings.OCPI_PRIVATE_HOSTS = ["127.0.0.1"]
    with Simulator(tmp_path) as simulator:
        simulator.memory.put(tokens_of_emsp=[TOKEN])
        yield simulator


@pytest.mark.ocpi("TAR-02")
def test_tariffs_are_pulled_and_what_a_complete_list_lacks_is_deleted(cpo):
    partner = connect(make_partner("CPO", ("SE", "LAD"), ("DE", "LAD")), cpo.url, "tariffs")
    open_feeds(partner, NOW)
    published = list(cpo.world.tariffs.values())
    assert tasks.pull_due()["CPO"]["stored"] == len(published) == Tariff.objects.count()
    now = timezone.now()
    assert pull_partner(PULL, partner, now, full=True)["unchanged"] == len(published)
    cpo.serve("tariffs", published[1:])
    assert pull_partner(PULL, partner, now + HOUR, full=True)["error"] == ""
    (gone,) = Tariff.objects.exclude(deleted_at=None)
    assert gone.ocpi_id == published[0]["id"]
    assert V221.write("tariff", canonical_tariff(gone))["id"] == gone.ocpi_id
