import json
import threading

import pytest
from django.db import IntegrityError, connection, connections, transaction

from apps.charging.intake import EVIDENCE, INTAKE, evidence
from apps.charging.matching import link_credits
from apps.charging.models import Cdr
from apps.ocpi.versions import VERSIONS
from apps.partners.models import Partner, Party, Quarantined
from apps.partners.taking import Incoming, take

from .conftest import NOW, V221, cdr_body, credit_body

pytestmark = pytest.mark.django_db


def outcomes(taken):
    return [str(one.outcome) for one in taken]


def test_a_cdr_is_kept_as_it_was_sent(send_cdr, partner, party):
    body = cdr_body()
    cdr = send_cdr(body)
    assert (bytes(cdr.body), cdr.version, cdr.party, cdr.partner) == (body, "2.2.1", party, partner)
    assert (str(cdr.energy), str(cdr.cost_before_taxes), str(cdr.cost_taxes)) == (
        "15.3420000000", "40.0000000000", "10.0000000000",
    )  # fmt: skip
    assert (cdr.received_at, cdr.checked_at, cdr.city, cdr.evse_id) == (NOW, None, "Stockholm", "SE*LAD*E1*1")


def test_the_same_again_is_the_same_row(send, send_cdr):
    first = send_cdr()
    (again,) = send(cdr_body())
    assert (again.outcome, again.row, Cdr.objects.count()) == ("unchanged", first.public_id, 1)


def test_renewed_and_spelt_otherwise_it_is_still_the_same(send, send_cdr):
    first = send_cdr()
    body = json.dumps(json.loads(cdr_body(last_updated="2026-10-20T00:00:00Z", id="cdr-1")), indent=1).encode()
    (again,) = send(body)
    assert (again.outcome, again.row) == ("unchanged", first.public_id)


@pytest.mark.parametrize("how", ["apart", "in one page"])
def test_another_content_is_kept_aside_and_the_first_stays(how, send, now):
    bodies = [cdr_body(), cdr_body(total_energy=99)]
    taken = [*send(bodies[0]), *send(bodies[1])] if how == "apart" else send(*bodies)
    assert outcomes(taken) == ["created", "conflict"]
    kept = Quarantined.objects.get()
    assert (kept.code, kept.module, bytes(kept.body), kept.ocpi_id) == ("V-02", "cdrs", bodies[1], "CDR-1")
    assert kept.reasons == [
        ["id", f"a CDR of this id, received at {now:%Y-%m-%dT%H:%M:%SZ}, says otherwise; a CDR cannot be changed"]
    ]
    assert bytes(Cdr.objects.get().body) == bodies[0]


def test_twice_in_one_page_is_one_row_and_no_conflict(send):
    assert outcomes(send(cdr_body(), cdr_body(id="CDR-0"), cdr_body(), cdr_body(id="cdr-1"))) == [
        "created", "created", "unchanged", "unchanged",
    ]  # fmt: skip
    assert (Cdr.objects.count(), Quarantined.objects.count()) == (2, 0)


def test_of_a_long_page_the_first_copy_counts(send):
    """Enough rows that PostgreSQL may join in another order than that of the page."""
    bodies = [cdr_body(id=f"CDR-{number}", total_energy=copy) for number in range(400) for copy in (1, 2)]
    assert outcomes(send(*bodies)) == ["created", "conflict"] * 400
    assert {cdr.energy for cdr in Cdr.objects.all()} == {1}


def test_somebody_elses_cdr_is_refused_and_kept(send):
    (taken,) = send(cdr_body(party_id="XYZ"))
    assert (taken.outcome, taken.code, Cdr.objects.exists()) == ("refused", "V-05", False)
    assert Quarantined.objects.get().code == "V-05"


def test_a_party_reached_through_a_hub_may_send(send, partner):
    Party.objects.create(country_code="SE", party_id="XYZ", partner=partner)
    assert outcomes(send(cdr_body(party_id="xyz"))) == ["created"]


def test_what_nobody_could_read_is_kept_with_every_reason(send):
    (taken,) = send(cdr_body(total_energy="much", currency=None))
    assert taken.outcome == "refused"
    assert {path for path, _ in Quarantined.objects.get().reasons} == {"total_energy", "currency"}


def test_one_bad_cdr_spoils_no_other(send):
    assert outcomes(send(cdr_body(), b"{}", cdr_body(id="CDR-2"))) == ["created", "refused", "created"]


@pytest.mark.ocpi("CDR-05")
def test_nothing_that_we_lack_refuses_a_cdr(send):
    (taken,) = send(cdr_body(session_id=None, authorization_reference="who-knows", cdr_token__uid="NOBODYS"))
    assert taken.outcome == "created"


@pytest.mark.control("S28")
def test_a_number_too_exact_for_us_is_refused_not_rounded(send):
    (taken,) = send(cdr_body(total_energy=1.00000000001))
    assert (taken.outcome, taken.problems[0].path) == ("refused", "total_energy")


def test_by_another_route_it_is_the_same_cdr(send, send_cdr, party):
    first = send_cdr()
    hub = Partner.objects.create(name="Hub", state="CONNECTED", version="2.2.1")
    party.partner = hub
    party.save()
    (again,) = send(cdr_body(), partner=hub)
    assert (again.outcome, again.row) == ("unchanged", first.public_id)


def test_the_zone_is_that_of_the_location(send_cdr, make_location):
    make_location("loc-1", time_zone="Europe/Helsinki")
    assert send_cdr().time_zone == "Europe/Helsinki"


@pytest.mark.parametrize(("country", "zone"), [("SWE", "Europe/Stockholm"), ("DEU", "Europe/Berlin"), ("ESP", "")])
def test_without_location_the_country_tells_the_zone(country, zone, send_cdr):
    assert send_cdr(cdr_location__country=country).time_zone == zone


OLD = {
    "id": "CDR-1", "start_date_time": "2026-10-19T08:00:00Z", "stop_date_time": "2026-10-19T09:30:00Z",
    "auth_id": "SE-EMP-C00000001", "auth_method": "WHITELIST", "currency": "SEK", "total_cost": 40.00,
    "location": {
        "id": "LOC-1", "type": "ON_STREET", "name": "Hötorget", "address": "Sveavägen 1", "city": "Stockholm",
        "postal_code": "11157", "country": "SWE", "last_updated": "2026-10-01T00:00:00Z",
        "coordinates": {"latitude": "59.334591", "longitude": "18.063240"},
        "evses": [{
            "uid": "EVSE-1", "evse_id": "SE*LAD*E1*1", "status": "CHARGING", "last_updated": "2026-10-01T00:00:00Z",
            "connectors": [{
                "id": "1", "standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE",
                "voltage": 230, "amperage": 16, "last_updated": "2026-10-01T00:00:00Z",
            }],
        }],
    },
    "charging_periods": [{
        "start_date_time": "2026-10-19T08:00:00Z",
        "dimensions": [{"type": "ENERGY", "volume": 15.342}, {"type": "TIME", "volume": 1.5}],
    }],
    "total_energy": 15.342, "total_time": 1.5, "last_updated": "2026-10-19T09:31:00Z",
}  # fmt: skip


class TestVersions:
    def bodies(self):
        taxed = {"before_taxes": 40.00, "taxes": [{"name": "VAT", "amount": 10.00}]}
        return {
            "2.1.1": json.dumps(OLD).encode(),
            "2.2.1": cdr_body(),
            "2.3.0": cdr_body(total_cost=taxed, total_energy_cost=taxed),
        }

    @pytest.mark.parametrize("first", ["2.1.1", "2.2.1", "2.3.0"])
    @pytest.mark.ocpi("CDR-03", "all")
    @pytest.mark.ocpi("CDR-02", "all")
    def test_the_same_cdr_in_three_versions_is_one_row(self, first, send):
        bodies = self.bodies()
        order = [first, *(number for number in bodies if number != first)]
        taken = [send(bodies[number], version=VERSIONS[number])[0] for number in order]
        assert outcomes(taken) == ["created", "unchanged", "unchanged"], [one.problems for one in taken]
        assert Cdr.objects.get().version == first

    def test_what_all_versions_can_say_is_read_alike(self, partner, party):
        bodies = self.bodies()
        rows = {number: self.row(VERSIONS[number], body, partner, party) for number, body in bodies.items()}
        later = {"session_id", "token_uid", "token_type", "cost_taxes"}
        differing = {"public_id", "body", "version", "content_hash", "warnings"}
        assert self.without(rows["2.2.1"], differing) == self.without(rows["2.3.0"], differing)
        assert self.without(rows["2.1.1"], differing | later) == self.without(rows["2.2.1"], differing | later)

    def row(self, version, body, partner, party) -> dict:
        read = version.read_cdr(body, party)
        row = evidence(partner, Incoming(party, read.object, version, body, read.warnings), NOW)
        return dict(zip((*EVIDENCE, "zone"), row, strict=True))

    def without(self, row: dict, names: set) -> dict:
        return {name: value for name, value in row.items() if name not in names}

    def test_another_cost_in_another_version_is_a_conflict(self, send):
        send(cdr_body())
        (taken,) = send(json.dumps(OLD | {"total_cost": 41}).encode(), version=VERSIONS["2.1.1"])
        assert taken.outcome == "conflict"


class TestCredits:
    @pytest.mark.ocpi("CDR-04")
    def test_a_credit_is_linked_to_its_original(self, send_cdr):
        original, credit = send_cdr(), send_cdr(credit_body())
        assert (credit.is_credit, credit.credits) == (True, original)

    def test_a_late_original_is_linked_and_checked_anew(self, send_cdr, now):
        credit = send_cdr(credit_body(credit_reference_id="cdr-1"))
        assert credit.credits is None
        Cdr.objects.update(checked_at=now)
        original = send_cdr()
        credit.refresh_from_db()
        assert (credit.credits, credit.checked_at) == (original, None)

    def test_both_in_one_page(self, send):
        assert outcomes(send(credit_body(), cdr_body())) == ["created", "created"]
        assert Cdr.objects.get(is_credit=True).credits == Cdr.objects.get(is_credit=False)

    def test_what_still_takes_nothing_back_is_looked_at_again(self, send, now):
        """Of two credits that wait for one CDR the second has another finding, once it comes."""
        send(credit_body(), credit_body(id="CDR-1-D"))
        Cdr.objects.update(checked_at=now)
        send(cdr_body())
        assert set(Cdr.objects.filter(is_credit=True).values_list("checked_at", flat=True)) == {None}

    def test_of_two_credits_one_is_linked(self, send):
        send(cdr_body(), credit_body(), credit_body(id="CDR-1-D"))
        assert [credit.credits_id is None for credit in Cdr.objects.filter(is_credit=True).order_by("pk")] == [
            False,
            True,
        ]

    def test_another_partys_cdr_is_not_credited(self, send, partner):
        Party.objects.create(country_code="SE", party_id="XYZ", partner=partner)
        send(cdr_body(), credit_body(party_id="XYZ"))
        assert Cdr.objects.get(is_credit=True).credits is None

    def test_a_credit_cannot_be_credited(self, send):
        send(cdr_body(), credit_body(), credit_body("CDR-1-C"))
        assert Cdr.objects.get(ocpi_id="CDR-1-C-C").credits is None


class TestSeal:
    @pytest.mark.parametrize("change", ["cost_before_taxes = 1", "body = ''", "ocpi_id = 'X'", "party_id = party_id"])
    @pytest.mark.ocpi("CDR-03")
    def test_what_was_sent_cannot_be_changed(self, change, send_cdr):
        cdr = send_cdr()
        with pytest.raises(IntegrityError, match="CDRs are evidence"), transaction.atomic():
            self.execute(f"UPDATE charging_cdr SET {change} WHERE id = {cdr.pk}")

    @pytest.mark.parametrize("statement", ["DELETE FROM charging_cdr", "TRUNCATE charging_cdr CASCADE"])
    def test_none_can_go(self, statement, send_cdr):
        send_cdr()
        self.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError, match="CDRs are evidence"), transaction.atomic():
            self.execute(statement)

    def test_every_column_of_the_sender_is_sealed(self):
        """What is not sealed is what we find out; a new column must be sorted into one of the two."""
        found = {"token", "contract", "authorization", "credits", "checked_at", "time_zone"}
        columns = {field.column for field in Cdr._meta.concrete_fields if field.name not in found}
        assert columns == {*EVIDENCE, "id"}
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT attname FROM pg_trigger JOIN pg_attribute ON attrelid = tgrelid AND attnum = ANY(tgattr)"
                " WHERE tgname = 'cdr_is_sealed'"
            )
            assert {name for (name,) in cursor.fetchall()} == columns

    def test_not_a_number_is_no_cost(self, send_cdr):
        with pytest.raises(IntegrityError), transaction.atomic():
            self.execute(
                'INSERT INTO charging_cdr SELECT (jsonb_populate_record(cdr, \'{"id": 999, "ocpi_id": "X",'
                ' "cost_before_taxes": "NaN", "public_id": "00000000-0000-4000-8000-000000000000"}\')).*'
                f" FROM charging_cdr cdr WHERE id = {send_cdr().pk}"
            )

    def execute(self, statement):
        with connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def run(self, work, count=20):
        ready, done = threading.Barrier(count), []

        def one(number):
            try:
                ready.wait(timeout=30)
                done.append(work(number))
            finally:
                connections.close_all()

        threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert len(done) == count
        return done

    def test_the_same_cdr_twenty_times_is_one_row(self, partner):
        def post(_):
            with transaction.atomic():
                return take(INTAKE, partner, V221, [cdr_body()], NOW)[0]

        taken = self.run(post)
        assert sorted(outcomes(taken)) == ["created"] + ["unchanged"] * 19
        assert {one.row for one in taken} == {Cdr.objects.get().public_id}
        assert not Quarantined.objects.exists()

    def test_twenty_different_ones_of_one_id_are_one_row_and_nineteen_kept_aside(self, partner):
        def post(number):
            with transaction.atomic():
                return take(INTAKE, partner, V221, [cdr_body(total_energy=number + 1)], NOW)[0]

        assert sorted(outcomes(self.run(post))) == ["conflict"] * 19 + ["created"]
        assert (Cdr.objects.count(), Quarantined.objects.filter(code="V-02").count()) == (1, 19)

    def test_pages_that_share_cdrs_never_deadlock(self, partner):
        bodies = [cdr_body(id=f"CDR-{number}") for number in range(60)]

        def pull(number):
            page = bodies[::-1] if number % 2 else bodies
            return outcomes(take(INTAKE, partner, V221, page, NOW)).count("created")

        assert sum(self.run(pull, 6)) == Cdr.objects.count() == 60

    def test_two_credits_of_one_cdr_at_once_link_one(self, partner):
        take(INTAKE, partner, V221, [cdr_body()], NOW)

        def post(number):
            return take(INTAKE, partner, V221, [credit_body(id=f"CDR-1-C{number}")], NOW)[0].outcome

        assert self.run(post, 8) == ["created"] * 8
        assert Cdr.objects.filter(credits__isnull=False).count() == 1

    def test_credit_and_original_at_once_find_each_other(self, partner):
        def post(number):
            pair = number // 2
            body = credit_body(f"CDR-{pair}") if number % 2 else cdr_body(id=f"CDR-{pair}")
            return take(INTAKE, partner, V221, [body], NOW)[0].outcome

        assert self.run(post, 16) == ["created"] * 16
        link_credits()
        assert Cdr.objects.filter(credits__isnull=False).count() == 8
