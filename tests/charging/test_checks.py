import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from apps.charging.checking import LOOKED_AT_FOR, CannotRelease, check_due, hold_again, look_again, release
from apps.charging.checks import RULES
from apps.charging.intake import INTAKE
from apps.charging.models import Cdr, Finding, Standing
from apps.charging.verdicts import standing, verdicts
from apps.ocpi.objects import Party as Named
from apps.ocpi.versions import VERSIONS
from apps.partners.models import Party
from apps.partners.taking import take
from apps.tokens.models import Authorization, Token
from apps.tokens.sandbox import reset, uid_of
from tests.partners.agreeing import agree

from .conftest import NOW, V221, cdr_body, credit_body, session_body

pytestmark = pytest.mark.django_db
STARTED = datetime(2026, 10, 19, 8, tzinfo=UTC)
INFO, WARN, HOLD, BLOCK = Finding.Severity


@pytest.fixture
def findings(now):
    """The codes that a CDR has after its checks."""

    def findings(cdr) -> dict:
        check_due(now)
        return {finding.code: finding for finding in Finding.objects.filter(cdr=cdr)}

    return findings


@pytest.fixture
def found(send_cdr, findings):
    """The codes and reasons that a CDR gets, sent and checked."""

    def found(body=None, **changes) -> dict:
        return {code: finding.reason for code, finding in findings(send_cdr(body, **changes)).items()}

    return found


def test_a_cdr_without_fault_has_no_finding(token, found):
    assert found() == {}


def test_v07_ends_before_it_starts(token, found):
    reasons = found(end_date_time="2026-10-19T07:59:59Z")
    assert reasons == {"V-07": "ends at 2026-10-19 07:59:59, before it starts at 2026-10-19 08:00:00"}


def test_v07_may_end_as_it_starts(token, found):
    assert found(end_date_time="2026-10-19T08:00:00Z") == {}


@pytest.mark.ocpi("CDR-07")
def test_v20_nobodys(found):
    assert found() == {"V-20": "card 04AB of contract SE-EMP-C00000001 is not known"}


def test_v20_is_gone_once_somebody_is_found(send_cdr, findings, token):
    cdr = send_cdr(cdr_token__uid="X", cdr_token__contract_id="Y")
    assert "V-20" in findings(cdr)
    Cdr.objects.filter(pk=cdr.pk).update(contract=token.contract, checked_at=None)
    assert findings(cdr) == {}


class TestTokens:
    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"valid_from": STARTED + timedelta(hours=1)}, "is valid from 2026-10-19 09:00:00 only"),
            ({"expires_at": STARTED - timedelta(hours=25)}, "has expired since 2026-10-18 07:00:00"),
            ({"blocked_at": STARTED - timedelta(hours=25)}, "is blocked since"),
            ({"is_valid": False, "last_updated": STARTED - timedelta(days=2)}, "is marked as not valid since"),
            ({"whitelist": "NEVER", "blocked_at": STARTED - timedelta(seconds=1)}, "is blocked since"),
        ],
    )
    def test_v21_was_not_valid(self, values, reason, make_token, found):
        make_token("04AB", **values)
        assert reason in found()["V-21"]

    @pytest.mark.parametrize(
        "values",
        [
            {"valid_from": STARTED},
            {"expires_at": STARTED},
            {"expires_at": STARTED - timedelta(hours=23)},
            {"blocked_at": STARTED - timedelta(hours=23)},
            {"blocked_at": STARTED + timedelta(hours=1)},
            {"whitelist": "NEVER", "blocked_at": STARTED},
        ],
    )
    def test_v21_was_valid_or_the_charge_point_could_not_know(self, values, make_token, found):
        make_token("04AB", **values)
        assert found() == {}

    def test_v21_the_driver_was_blocked(self, token, driver, found):
        driver.blocked_at = STARTED - timedelta(days=3)
        driver.save()
        assert "the driver of card 04AB is blocked" in found()["V-21"]

    @pytest.mark.parametrize(("allowed", "codes"), [("ALLOWED", set()), ("BLOCKED", {"V-21"})])
    def test_v21_what_we_allowed_ourselves_is_in_order(self, allowed, codes, partner, make_token, found):
        token = make_token("04AB", blocked_at=STARTED - timedelta(days=3))
        given = Authorization.objects.create(
            partner=partner, token=token, token_uid="04AB", token_type="RFID", allowed=allowed, reason="", at=STARTED
        )
        assert set(found(authorization_reference=str(given.reference))) == codes


class TestCosts:
    @pytest.mark.parametrize(("currency", "codes"), [("EUR", {"V-28"}), ("SEK", set())])
    def test_v28_a_tariff_in_another_currency(self, currency, codes, token, found):
        price = {"type": "ENERGY", "price": 0.4, "step_size": 1}
        tariff = {"id": "T", "country_code": "SE", "party_id": "LAD", "last_updated": "2026-10-01T00:00:00Z"}
        tariffs = [tariff | {"currency": currency, "elements": [{"price_components": [price]}]}]
        assert found(tariffs=tariffs).keys() == codes

    @pytest.mark.parametrize(("flag", "codes"), [(True, {"V-46"}), (False, set())])
    @pytest.mark.ocpi("CDR-10")
    def test_v46_charged_at_home(self, flag, codes, token, found):
        assert found(home_charging_compensation=flag).keys() == codes

    def test_v35_components_do_not_add_up(self, token, found):
        reasons = found(total_time_cost={"excl_vat": 2.5, "incl_vat": 3.125})
        assert reasons == {"V-35": "total cost is 40, its components add up to 42.5: -2.5 SEK"}

    @pytest.mark.parametrize(
        "components",
        [{"total_energy_cost": None}, {"total_energy_cost__excl_vat": 40.01}, {"total_energy_cost__excl_vat": 39.99}],
    )
    def test_v35_within_a_cent_or_without_components(self, components, token, found):
        assert "V-35" not in found(**components)

    def test_v35_not_of_credits(self, token, send, findings):
        """Of them only the total is negative."""
        send(cdr_body(), credit_body())
        assert findings(Cdr.objects.get(is_credit=True)) == {}

    def test_v38_a_tax_that_is_not_its_percentage(self, token, send, findings):
        taxed = {"before_taxes": 40.00, "taxes": [{"name": "VAT", "percentage": 25, "amount": 9.00}]}
        send(cdr_body(total_cost=taxed, total_energy_cost=None), version=VERSIONS["2.3.0"])
        reason = findings(Cdr.objects.get())["V-38"].reason
        assert reason == "total_cost: VAT is 9, 25 % of 40 is 10"

    def test_v38_gross_below_net(self, token, found):
        reasons = found(total_cost__incl_vat=30, total_energy_cost=None)
        assert reasons == {"V-38": "total_cost: 40 before taxes is more than 30 with them"}

    @pytest.mark.parametrize("gross", [40.00, 50.00, 50.01, None])
    def test_v38_taxes_that_fit(self, gross, token, found):
        assert found(total_cost__incl_vat=gross, total_energy_cost=None) == {}

    def test_v40_negative_without_credit(self, token, found):
        reasons = found(total_cost={"excl_vat": -40}, total_energy_cost=None)
        assert reasons == {"V-40": "no credit CDR, but its total cost is -40 SEK"}

    def test_v40_positive_with_credit(self, token, send, findings):
        send(cdr_body(), credit_body(total_cost={"excl_vat": 40.00, "incl_vat": 50.00}))
        assert {"V-40", "V-42"} == set(findings(Cdr.objects.get(is_credit=True)))

    @pytest.mark.parametrize("cost", [{"excl_vat": 0}, {"excl_vat": 40}])
    def test_v40_free_or_with_a_price(self, cost, token, found):
        assert found(total_cost=cost, total_energy_cost=None) == {}


class TestAgreed:
    """What the agreement of the day on which charging began says."""

    def test_v28_another_currency_than_agreed(self, party, token, found):
        agree(party, currency="EUR")
        assert found() == {"V-28": "is in SEK, agreed is EUR"}
        assert "V-28" not in found(id="CDR-2", currency="EUR")

    def test_any_currency_where_none_is_agreed(self, party, token, found):
        agree(party)
        assert found() == {}

    def test_v52_after_the_agreement_ended(self, party, token, found):
        agree(party, valid_until=date(2026, 10, 19))
        assert found() == {"V-52": "charging began on 2026-10-19, the agreement with SE*LAD ended on 2026-10-19"}
        assert found(id="CDR-2", start_date_time="2026-10-18T21:59:00Z") == {}, "still the 18th in Stockholm"

    def test_nothing_is_missed_before_the_first_agreement(self, party, token, found):
        agree(party, valid_from=date(2026, 10, 20), currency="EUR")
        assert found() == {}

    def test_who_sells_decides_what_is_billed_and_owed(self, party, token, send_cdr, findings):
        agreement = agree(party, commercial_model="disclosed_agent", valid_until=date(2026, 10, 19))
        agree(party, commercial_model="own_network", valid_from=date(2026, 10, 19))
        agents = findings(send_cdr(id="CDR-2", start_date_time="2026-10-18T08:00:00Z"))["SOLD"]
        assert (agents.driver_severity, agents.cpo_severity) == (BLOCK, BLOCK)
        assert (
            agents.reason
            == f"SE*LAD, by the agreement from {agreement.valid_from}: it sells to the driver itself, we are its agent"
        )
        ours = findings(send_cdr())["OURS"]
        assert (ours.driver_severity, ours.cpo_severity) == (INFO, BLOCK)
        for finding in (agents, ours):
            with pytest.raises(CannotRelease):
                release(finding, NOW)

    def test_nobody_pays_for_what_is_charged_on_a_test_card(self, party, token, send_cdr, findings):
        reset(party.partner, NOW, Named("SE", "EMP"))
        test = Token.objects.get(uid=uid_of(party.partner, 1))
        card = {"cdr_token__uid": test.uid, "cdr_token__contract_id": test.contract.contract_id}
        tried = findings(send_cdr(id="CDR-2", **card))["TEST"]
        assert (tried.driver_severity, tried.cpo_severity) == (BLOCK, BLOCK)
        assert tried.reason == f"charged with a test card, {test.uid}"
        with pytest.raises(CannotRelease):
            release(tried, NOW)
        assert "TEST" not in findings(send_cdr())

    def test_what_comes_otherwise_than_agreed_is_marked_and_holds_nothing(self, party, token, send, findings):
        agree(party, cdr_days=0, may_be_free=False, may_credit=False, sends_sessions=True)
        free = cdr_body(id="CDR-2", total_cost={"excl_vat": 0}, total_energy_cost=None)
        send(cdr_body(), credit_body(), free)
        said = {cdr.ocpi_id: findings(cdr)["DEAL"] for cdr in Cdr.objects.all()}
        late, without = "came 1 days after charging, agreed 0", "no session was told of, agreed is that all are"
        assert {key: finding.reason for key, finding in said.items()} == {
            "CDR-1": f"{late}; {without}",
            "CDR-1-C": f"{late}; is a credit, agreed are none",
            "CDR-2": f"{late}; costs nothing, agreed is that none does; {without}",
        }
        assert {(one.driver_severity, one.cpo_severity) for one in said.values()} == {(WARN, WARN)}

    def test_what_comes_as_agreed_is_not_marked(self, party, token, send_session, found):
        agree(party, cdr_days=1, may_be_free=False, may_credit=False, sends_sessions=True)
        send_session(session_body(id="s-1"))
        assert found() == {}

    def test_what_an_agreement_let_go_is_looked_at_again(self, party, token, send_session, send_cdr, findings):
        agreement = agree(party, currency="EUR", sends_sessions=True)
        cdr = send_cdr()
        assert set(findings(cdr)) == {"V-28", "DEAL"}
        assert (look_again(NOW + LOOKED_AT_FOR), look_again(NOW)) == (0, 1)
        assert set(findings(cdr)) == {"V-28", "DEAL"}

        agreement.currency = "SEK"
        agreement.save()
        send_session(session_body())
        look_again(NOW)
        assert findings(cdr) == {}
        assert look_again(NOW) == 0

    def test_one_statement_asks_what_was_agreed_of_all(self, party, token, send):
        def statements(*keys):
            send(*(cdr_body(id=key) for key in keys))
            with CaptureQueriesContext(connections["default"]) as queries:
                check_due(NOW)
            return len(queries)

        agree(party)
        assert statements("A") == statements(*"BCDEFG")


class TestCredits:
    def test_v41_waits_for_its_original(self, token, send_cdr, findings):
        credit = send_cdr(credit_body())
        assert findings(credit)["V-41"].reason == "takes back CDR CDR-1, which has not come"
        send_cdr()
        assert findings(credit) == {}

    def test_v41_does_not_say_what_it_takes_back(self, token, found):
        body = credit_body(credit_reference_id=None)
        assert found(body) == {"V-41": "a credit CDR that does not say which CDR it takes back"}

    def test_v42_takes_back_another_amount(self, token, send, findings):
        send(cdr_body(), credit_body(total_cost={"excl_vat": -30, "incl_vat": -37.5}))
        assert findings(Cdr.objects.get(is_credit=True))["V-42"].reason == (
            "takes back -30 SEK with -7.5 of taxes, but CDR CDR-1 was 40 SEK with 10 of taxes"
        )

    def test_v42_takes_back_all(self, token, send, findings):
        send(cdr_body(), credit_body())
        assert findings(Cdr.objects.get(is_credit=True)) == {}

    def test_v43_a_second_credit(self, token, send, findings):
        send(cdr_body(), credit_body(), credit_body(id="CDR-1-D"))
        assert findings(Cdr.objects.get(ocpi_id="CDR-1-D"))["V-43"].reason == (
            "takes back CDR CDR-1, which credit CDR CDR-1-C took back already"
        )
        assert findings(Cdr.objects.get(ocpi_id="CDR-1-C")) == {}

    def test_v43_a_credit_of_a_credit(self, token, send, findings):
        send(cdr_body(), credit_body(), credit_body("CDR-1-C"))
        assert set(findings(Cdr.objects.get(ocpi_id="CDR-1-C-C"))) == {"V-43"}

    def test_v43_a_credit_of_somebody_elses(self, token, send, findings, partner):
        Party.objects.create(country_code="SE", party_id="XYZ", partner=partner)
        send(cdr_body(), credit_body(party_id="XYZ"))
        assert findings(Cdr.objects.get(is_credit=True))["V-43"].reason == "takes back CDR CDR-1, which is SE*LAD's"


class TestWords:
    def test_enum_a_dimension_we_do_not_know(self, token, found):
        periods = [{"start_date_time": "2026-10-19T08:00:00Z", "dimensions": [{"type": "STARSHINE", "volume": 1}]}]
        assert found(charging_periods=periods) == {"ENUM": "not known: dimension STARSHINE"}

    def test_enum_an_authorization_method_we_do_not_know(self, token, found):
        assert found(auth_method="TELEPATHY") == {"ENUM": "not known: authorization method TELEPATHY"}

    def test_enum_other_words_do_not_matter(self, token, found):
        assert found(cdr_location__connector_standard="FUTURE_PLUG") == {}


def rows_read(cursor, table):
    """By this transaction."""
    cursor.execute("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = %s", [table])
    return cursor.fetchone()[0]


class TestChecking:
    def test_each_rule_has_its_code_once_and_says_what_it_is(self):
        codes = [rule.code for rule in RULES]
        assert len(set(codes)) == len(codes)
        assert all(rule.title and rule.advice for rule in RULES)

    def test_again_changes_nothing(self, send_cdr, now):
        send_cdr()
        check_due(now)
        first = Finding.objects.get()
        Cdr.objects.update(checked_at=None)
        assert check_due(now + timedelta(days=1)) == 1
        assert Finding.objects.get().found_at == first.found_at

    def test_only_what_is_due(self, send_cdr, now):
        send_cdr()
        assert (check_due(now), check_due(now)) == (1, 0)

    def test_no_more_than_asked_for(self, send, now):
        send(*(cdr_body(id=f"C-{number}") for number in range(5)))
        assert [check_due(now, 2) for _ in range(4)] == [2, 2, 1, 0]

    def test_many_are_due_where_there_used_to_be_few(self, send, now):
        """What PostgreSQL knows is the quiet time before: then it joined and sorted all of them for each few."""
        send(*(cdr_body(id=f"C-{number}") for number in range(300)))
        with connections["default"].cursor() as cursor:
            Cdr.objects.update(checked_at=NOW)
            cursor.execute("ANALYZE charging_cdr")
            Cdr.objects.update(checked_at=None)
            before = rows_read(cursor, "charging_cdr")
            assert check_due(now, 10) == 10
            assert rows_read(cursor, "charging_cdr") - before < 100

    def test_findings_of_others_stay(self, send_cdr, now, token):
        """Billing's rules write findings too."""
        cdr = send_cdr()
        cdr.findings.create(code="V-27", driver_severity=HOLD, cpo_severity=BLOCK, reason="in SEK", found_at=now)
        check_due(now)
        assert [finding.code for finding in cdr.findings.all()] == ["V-27"]

    def test_a_zone_that_nobody_knows_becomes_that_of_the_country(self, send_cdr, make_location, now):
        make_location("LOC-1", time_zone="Sweden/Stockholm")
        cdr = send_cdr()
        check_due(now)
        cdr.refresh_from_db()
        assert cdr.time_zone == "Europe/Stockholm"

    def test_a_handful_of_statements_however_many(self, send, now, django_assert_max_num_queries, token):
        send(*(cdr_body(id=f"C-{number}", total_energy_cost__excl_vat=1) for number in range(50)))
        send(*(credit_body(f"C-{number}") for number in range(50)))
        with django_assert_max_num_queries(10):
            assert check_due(now) == 100

    @pytest.mark.django_db(transaction=True)
    def test_two_workers_share_the_work(self, partner, now):
        take(INTAKE, partner, V221, [cdr_body(id=f"C-{number}") for number in range(200)], NOW)
        checked = []

        def work():
            try:
                while count := check_due(now, 20):
                    checked.append(count)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert (sum(checked), Finding.objects.count()) == (200, 200)


class TestStanding:
    """What stands between a CDR and the bill, in words, in lists, and for rating."""

    def standings(self):
        return {cdr.ocpi_id: cdr.standing for cdr in Cdr.objects.with_standing()}

    def test_each(self, token, send, now):
        send(
            cdr_body(id="FIT"), cdr_body(id="NOBODYS", cdr_token={**card("X", "Y")}),
            cdr_body(id="BLOCKED", end_date_time="2026-10-19T07:00:00Z"), cdr_body(id="HELD", auth_method="TELEPATHY"),
        )  # fmt: skip
        assert set(self.standings().values()) == {Standing.UNCHECKED}
        check_due(now)
        expected = {"FIT": "FIT", "NOBODYS": "UNMATCHED", "BLOCKED": "BLOCKED", "HELD": "HELD"}
        assert self.standings() == expected
        assert {cdr.ocpi_id: standing(cdr) for cdr in Cdr.objects.all()} == expected
        assert [cdr.ocpi_id for cdr in Cdr.objects.fit_to_bill()] == ["FIT"]
        assert [cdr.ocpi_id for cdr in Cdr.objects.unmatched()] == ["NOBODYS"]

    def test_what_is_not_checked_is_fit_for_nothing(self, token, send_cdr):
        send_cdr()
        assert not Cdr.objects.fit_to_bill().exists()
        assert not Cdr.objects.fit_to_pay().exists()

    def test_a_wrong_cost_is_billed_and_not_paid(self, token, send_cdr, now):
        """A wrong price of the CPO must not delay the invoice of a driver at a flat price (BIL-33)."""
        send_cdr(total_energy_cost__excl_vat=1, total_energy_cost__incl_vat=1.25)
        check_due(now)
        assert (Cdr.objects.fit_to_bill().count(), Cdr.objects.fit_to_pay().count()) == (1, 0)

    def test_released_it_is_fit(self, token, send_cdr, now):
        cdr = send_cdr(auth_method="TELEPATHY")
        check_due(now)
        release(Finding.objects.get(), now)
        assert (standing(cdr), Cdr.objects.fit_to_bill().count(), Cdr.objects.fit_to_pay().count()) == ("FIT", 1, 1)
        hold_again(Finding.objects.get())
        assert standing(cdr) == "HELD"

    def test_released_it_stays_so_when_checked_again(self, token, send_cdr, now):
        send_cdr(auth_method="TELEPATHY")
        check_due(now)
        release(Finding.objects.get(), now)
        Cdr.objects.update(checked_at=None)
        check_due(now)
        assert Finding.objects.get().is_released

    def test_released_it_is_held_again_when_it_says_something_else(self, send_cdr, findings, now, driver, token):
        cdr = send_cdr(auth_method="TELEPATHY")
        finding = findings(cdr)["ENUM"]
        release(finding, now)
        Finding.objects.update(reason="not known: something of last year")
        Cdr.objects.update(checked_at=None)
        assert not findings(cdr)["ENUM"].is_released

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"end_date_time": "2026-10-19T07:00:00Z"}, "V-07 blocks the CDR"),
            ({"cdr_token": {}}, "attach the card to a contract first"),
            ({"credit": True, "total_cost": {"excl_vat": -1}}, "nothing to credit before"),
            ({"total_cost__incl_vat": 1, "total_energy_cost": None}, "V-38 holds nothing"),
        ],
    )
    def test_some_cannot_be_released(self, changes, reason, token, send_cdr, now):
        if "cdr_token" in changes:
            changes = {"cdr_token": card("X", "Y")}
        send_cdr(**changes)
        check_due(now)
        with pytest.raises(CannotRelease, match=reason):
            release(Finding.objects.get(), now)

    def test_blocked_for_the_cpo_it_is_not_paid_whatever_is_released(self, token, send_cdr, now):
        cdr = send_cdr()
        check_due(now)
        finding = cdr.findings.create(code="V-28", driver_severity=HOLD, cpo_severity=BLOCK, reason="", found_at=now)
        release(finding, now)
        assert (Cdr.objects.fit_to_bill().count(), Cdr.objects.fit_to_pay().count()) == (1, 0)


def test_verdicts_are_in_words_and_the_gravest_comes_first(token, send_cdr, now):
    cdr = send_cdr(auth_method="TELEPATHY", total_cost__incl_vat=1, total_energy_cost=None)
    check_due(now)
    first, second = verdicts(cdr)
    assert (first.code, first.title, first.driver, first.cpo) == ("ENUM", "unknown words about money", "hold", "hold")
    assert (second.code, second.driver, second.cpo) == ("V-38", "info", "warning")
    assert (first.can_be_released, second.can_be_released) == (True, False)


def test_verdicts_of_other_rules_say_their_reason(token, send_cdr, now):
    cdr = send_cdr()
    cdr.findings.create(code="V-27", driver_severity=HOLD, cpo_severity=BLOCK, reason="in EUR", found_at=now)
    assert [(one.title, one.advice, one.cpo) for one in verdicts(cdr)] == [("in EUR", "", "block")]


def card(uid, contract_id):
    return {"country_code": "SE", "party_id": "EMP", "uid": uid, "type": "RFID", "contract_id": contract_id}
