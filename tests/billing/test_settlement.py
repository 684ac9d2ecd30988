"""What a CPO says that its invoices are for, over HTTP, and beside our own rows."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from apps.billing import settlement
from apps.billing.models import BilledToUs, Payable
from apps.billing.pull import PULL
from apps.billing.settlement import reconcile
from apps.charging.intake import INTAKE
from apps.charging.models import Cdr
from apps.ocpi.versions import VERSIONS
from apps.partners.models import Quarantined
from apps.partners.pull import open_feeds, pull_due, pull_partner
from apps.partners.taking import take
from apps.simulator.server import Simulator
from tests.partners.mirrors import NOW, TOKEN, connect, example, header_of, make_partner

pytestmark = pytest.mark.django_db(transaction=True)
PLACE = "invoicereconciliation/SE/LAD/R-1"
NEWER, OLDER = "2026-12-02T00:00:00Z", "2026-11-02T00:00:00Z"
RECORD = {
    "country_code": "SE", "party_id": "LAD", "id": "R-1", "invoice_id": "F-2026-11", "cdrs": ["CDR-1", "CDR-2"],
    "last_updated": "2026-12-01T00:00:00Z",
}  # fmt: skip


@pytest.fixture
def partner(db):
    return make_partner(version="2.3.0")


@pytest.fixture
def cpo(tmp_path, settings):
    settings.OCPI_PRIVATE_HOSTS = ["127.0.0.1"]
    with Simulator(tmp_path, versions=tuple(VERSIONS)) as simulator:
        simulator.memory.put(tokens_of_emsp=[TOKEN])
        yield simulator


@pytest.fixture
def calls_of(transactional_db, live_server, settings):
    """Calls as a partner makes them; the codes of HTTP and OCPI, and the data."""
    settings.PUBLIC_URL = live_server.url

    def calls_of(partner):
        header = header_of(partner)

        def call(method, path, body=None, version="2.3.0"):
            content = None if body is None else json.dumps(body).encode()
            url = f"{live_server.url}/ocpi/{version}/{path}".rstrip("/")
            answer = httpx.request(method, url, content=content, headers=header, trust_env=False)
            return answer.status_code, answer.json()["status_code"], answer.json().get("data")

        return call

    return calls_of


@pytest.fixture
def call(calls_of, partner):
    return calls_of(partner)


def owe(partner, ocpi_id, net, currency="SEK", is_accepted=True):
    """A CDR of the partner, and what we owe for it."""
    body = json.dumps(example("cdr", "2.3.0", id=ocpi_id)).encode()
    take(INTAKE, partner, VERSIONS["2.3.0"], [body], NOW)
    cdr = Cdr.objects.get(ocpi_id=ocpi_id)
    if net is not None:
        owed = {"net": Decimal(net), "currency": currency, "is_accepted": is_accepted, "decided_at": NOW}
        Payable.objects.create(cdr=cdr, **owed)


@pytest.mark.ocpi("IR-01", "2.3.0")
def test_a_record_is_posted_put_read_and_deleted(call):
    assert call("POST", "invoicereconciliation", RECORD) == (201, 1000, None)
    assert call("GET", PLACE) == (200, 1000, RECORD)
    assert call("PUT", PLACE, RECORD | {"cdrs": ["CDR-3"], "last_updated": NEWER})[:2] == (200, 1000)
    assert call("PUT", PLACE, RECORD | {"cdrs": ["OLD"], "last_updated": OLDER})[:2] == (200, 1000)
    assert call("GET", PLACE.lower())[2]["cdrs"] == ["CDR-3"]
    assert [call("DELETE", PLACE)[:2] for _ in range(2)] == [(200, 1000)] * 2
    assert call("GET", PLACE)[0] == 404
    assert call("DELETE", "invoicereconciliation/SE/LAD/NONE")[0] == 404
    assert call("PATCH", PLACE, {})[0] == 405
    assert BilledToUs.objects.get().deleted_at is not None


@pytest.mark.ocpi("IR-03", "2.3.0")
def test_the_same_again_is_the_same_and_another_of_its_id_is_kept_aside(call):
    call("POST", "invoicereconciliation", RECORD)
    assert call("POST", "invoicereconciliation", RECORD)[:2] == (200, 1000)
    assert call("POST", "invoicereconciliation", RECORD | {"cdrs": ["CDR-9"], "last_updated": NEWER})[:2] == (200, 2001)
    assert BilledToUs.objects.get().cdrs == ["CDR-1", "CDR-2"]
    assert Quarantined.objects.get().reasons[0][0] == "id"


def test_what_is_no_record_is_refused_by_field_and_kept(call):
    for wrong in (
        {"cdrs": []},
        {"invoice_id": None},
        {"cdrs": "CDR-1"},
        {"last_updated": "yesterday"},
        {"party_id": "FOE"},
    ):
        assert call("POST", "invoicereconciliation", RECORD | wrong)[:2] == (200, 2001), wrong
    assert Quarantined.objects.filter(module="invoicereconciliation").count() == 5
    assert not BilledToUs.objects.exists()


@pytest.mark.control("S15")
def test_anothers_record_is_like_nobodys(call, calls_of):
    call("POST", "invoicereconciliation", RECORD)
    other = calls_of(make_partner("Other", ("SE", "OTH"), version="2.3.0"))
    for method in ("GET", "PUT", "DELETE"):
        theirs, nobodys = (other(method, f"invoicereconciliation/SE/{party}/R-1", RECORD) for party in ("LAD", "NON"))
        assert theirs == nobodys and theirs[0] == 404, method
    assert other("POST", "invoicereconciliation", RECORD)[:2] == (200, 2001)
    assert BilledToUs.objects.get().deleted_at is None


def test_versions_before_do_not_have_it(call):
    for version in ("2.1.1", "2.2.1"):
        offered = {endpoint["identifier"] for endpoint in call("GET", "", version=version)[2]["endpoints"]}
        assert "invoicereconciliation" not in offered
        assert call("POST", "invoicereconciliation", RECORD, version)[0] == 404
        assert call("GET", PLACE, version=version)[0] == 404
    assert "invoicereconciliation" in {each["identifier"] for each in call("GET", "")[2]["endpoints"]}


@pytest.mark.ocpi("IR-02", "IR-03", "2.3.0")
def test_the_list_decides_and_what_does_not_fit_is_named(call, partner):
    owe(partner, "CDR-1", "100.10")
    owe(partner, "CDR-2", "50", is_accepted=False)
    owe(partner, "CDR-3", "7", currency="EUR")
    owe(partner, "CDR-4", None)
    owe(partner, "ELSEWHERE", "9")
    call("POST", "invoicereconciliation", RECORD | {"cdrs": ["cdr-1", "CDR-2", "CDR-3", "CDR-4", "CDR-1", "NOWHERE"]})
    found = reconcile(BilledToUs.objects.get())
    assert [(one.currency, one.count, one.net, one.accepted) for one in found.owed] == [
        ("EUR", 1, Decimal(7), Decimal(7)), ("SEK", 2, Decimal("150.10"), Decimal("100.10")),
    ]  # fmt: skip
    assert (found.gaps, found.twice, found.unpriced) == (["NOWHERE"], [], ["CDR-4"])

    call("POST", "invoicereconciliation", RECORD | {"id": "R-2", "invoice_id": "F-2", "cdrs": ["CDR-2"]})
    assert reconcile(BilledToUs.objects.get(ocpi_id="R-1")).twice == ["CDR-2"]
    call("DELETE", "invoicereconciliation/SE/LAD/R-2")
    assert reconcile(BilledToUs.objects.get(ocpi_id="R-1")).twice == []


@pytest.mark.ocpi("IR-01", "2.3.0")
def test_records_that_were_not_pushed_are_pulled_and_none_is_taken_for_deleted(cpo, partner):
    told = RECORD | {"last_updated": "2025-12-01T00:00:00Z"}
    connect(partner, cpo.url, settlement.MODULE)
    open_feeds(partner, NOW)
    (feed,) = partner.feeds.all()
    for number in range(12):
        cpo.interfaces.put(settlement.MODULE, told | {"id": f"R-{number}", "cdrs": [f"CDR-{number}"]})
    cpo.interfaces.put(settlement.MODULE, told | {"id": "EMPTY", "cdrs": []})
    assert pull_due(PULL, NOW)[str(partner)] == {
        "seen": 13, "stored": 12, "unchanged": 0, "stale": 0, "quarantined": 1, "complete": True, "error": "",
    }  # fmt: skip
    assert Quarantined.objects.get().reasons == [["cdrs", "at least one is required"]]
    assert BilledToUs.objects.get(ocpi_id="R-7").cdrs == ["CDR-7"]

    cpo.interfaces.shelf(settlement.MODULE).clear()
    cpo.interfaces.put(
        settlement.MODULE, told | {"id": "r-7", "cdrs": ["CDR-8"], "last_updated": "2025-12-02T00:00:00Z"}
    )
    assert pull_partner(PULL, partner, NOW, full=True)["stored"] == 1
    assert BilledToUs.objects.get(ocpi_id="R-7").cdrs == ["CDR-8"]
    assert BilledToUs.objects.filter(deleted_at=None).count() == 12
    assert {request.path for request in cpo.requests} == {"/ocpi/2.3.0/invoicereconciliation"}
    feed.refresh_from_db()
    assert feed.watermark == datetime(2025, 12, 1, 23, 45, tzinfo=UTC), "the newest we saw, and a bit before"


@pytest.mark.parametrize("version", ["2.1.1", "2.2.1"])
def test_an_older_version_has_no_such_list(version, cpo):
    older = connect(make_partner("Older", ("SE", "OLD"), version=version), cpo.url, settlement.MODULE, "cdrs")
    open_feeds(older, NOW)
    assert [feed.module for feed in older.feeds.all()] == ["cdrs"]


def test_the_simulated_cpo_bills_each_cdr_once(cpo):
    """As it is served to people: what was billed is on its list, for the pull."""
    for key in ("A", "B"):
        cpo.interfaces.put("cdrs", example("cdr", id=key))
    cpo.play("invoice", number="F1", push=False)
    cpo.interfaces.put("cdrs", example("cdr", id="C"))
    cpo.play("invoice", number="F2", push=False)
    told = [json.loads(item.body) for item in cpo.interfaces.shelf(settlement.MODULE).between(None, None)]
    assert [(one["invoice_id"], one["cdrs"]) for one in told] == [("F1-SE", ["A", "B"]), ("F2-SE", ["C"])]
