"""What is odd about a CDR (BIL-32): every finding apart for the driver's bill and for what we pay the CPO (BIL-33).

A rule is a small function that says what is wrong, with what was expected and what came, or says nothing. Rules never
change a CDR, and may run again at any time; those about what we do not know yet (V-20, V-41) do so when it comes.
V-02 (another CDR of a known id) and V-05 (not the sender's party) are codes of the quarantine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple, get_args

from apps.charging.models import Cdr, Finding
from apps.ocpi import objects, vocabulary
from apps.ocpi.errors import InvalidObject
from apps.ocpi.versions import VERSIONS
from apps.partners import agreements
from apps.partners.models import Agreement
from apps.tokens.cards import ALWAYS_ASKED
from apps.tokens.models import Authorization, Token

TOLERANCE = Decimal("0.01")
"""In the CDR's currency: what rounding explains."""

WHITELIST_GRACE = timedelta(hours=24)
"""How long a charge point may go by its own list after a card was blocked (V-21)."""

ON_TEST_CARD = "TEST"

NOBODY_CHARGED = 2015
"""What is of a year before this one is no charging session (V-11)."""

INFO, WARN, HOLD, BLOCK = Finding.Severity.INFO, Finding.Severity.WARN, Finding.Severity.HOLD, Finding.Severity.BLOCK


class Reference(NamedTuple):
    """What a credit CDR without a link points to: a CDR of its party, and who owns one of that id if not its party."""

    is_known: bool
    is_credit: bool
    credited_by: str | None
    owner: str | None


@dataclass(frozen=True)
class Facts:
    """What the rules look at. `object` is what the CPO sent, None if we cannot read it any more. `agreement` is the last
    with its party that had begun when charging did; `agreed` is it while it holds."""

    cdr: Cdr
    reference: Reference | None = None
    agreement: Agreement | None = None
    has_session: bool = False
    is_test: bool = False

    @cached_property
    def agreed(self) -> Agreement | None:
        holds = self.agreement is not None and self.agreement.holds_on(agreements.day_of(self.cdr.started_at))
        return self.agreement if holds else None

    @cached_property
    def object(self) -> objects.Cdr | None:
        return None if self.unreadable else self._read.object

    @cached_property
    def unreadable(self) -> str:
        return str(self._read) if isinstance(self._read, InvalidObject) else ""

    @cached_property
    def _read(self):
        owner = objects.Party(self.cdr.party.country_code, self.cdr.party.party_id)
        try:
            return VERSIONS[self.cdr.version].read_cdr(bytes(self.cdr.body), owner)
        except InvalidObject as error:
            return error


def end_before_start(facts: Facts) -> str:
    cdr = facts.cdr
    return (
        f"ends at {_at(cdr.ended_at)}, before it starts at {_at(cdr.started_at)}"
        if cdr.ended_at < cdr.started_at
        else ""
    )


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _plain(amount: Decimal) -> str:
    """All its digits, but no zeros at the end."""
    return f"{amount.normalize():f}"


def placeholder_dates(facts: Facts) -> str:
    """1970 stands for a time that is not known, and only where both sides agreed to it (mod_cdrs, CDR object; CDR-08)."""
    first = min(facts.cdr.started_at, facts.cdr.ended_at)
    return f"is of {_at(first)}, before anybody charged: a placeholder" if first.year < NOBODY_CHARGED else ""


def nobodys(facts: Facts) -> str:
    """Nobody to bill: neither the card nor the contract nor our authorization is known."""
    cdr = facts.cdr
    if cdr.contract_id is not None:
        return ""
    return f"card {cdr.token_uid or '(not told)'} of contract {cdr.sent_contract_id or '(not told)'} is not known"


def token_not_valid(facts: Facts) -> str:
    """The card was not in order when charging began; what we allowed ourselves is."""
    cdr, token = facts.cdr, facts.cdr.token
    if token is None or _was_allowed(cdr):
        return ""
    if token.valid_from and cdr.started_at < token.valid_from:
        return f"card {token} is valid from {_at(token.valid_from)} only; charging began at {_at(cdr.started_at)}"
    grace = timedelta() if token.whitelist == Token.Whitelist.NEVER or token.type in ALWAYS_ASKED else WHITELIST_GRACE
    for reason, since in _ends(token):
        if since and cdr.started_at > since + grace:
            return f"{reason} since {_at(since)}; charging began at {_at(cdr.started_at)}"
    return ""


def _was_allowed(cdr: Cdr) -> bool:
    answer = cdr.authorization
    return answer is not None and answer.allowed == Authorization.Allowed.ALLOWED and answer.token_id == cdr.token_id


def _ends(token: Token) -> list[tuple[str, datetime | None]]:
    """Since when it must not charge; a card marked as not valid was so at the latest when we last announced it."""
    return [
        (f"card {token} is blocked", token.blocked_at),
        (f"the driver of card {token} is blocked", token.contract.driver.blocked_at),
        (f"card {token} has expired", token.expires_at),
        (f"card {token} is marked as not valid", None if token.is_valid else token.last_updated),
    ]


def in_another_currency(facts: Facts) -> str:
    """Than its own tariff, so that nobody can tell what the amounts are; or than we agreed on."""
    cdr, agreed = facts.object, facts.agreed
    tariffs = sorted({tariff.currency for tariff in cdr.tariffs} - {cdr.currency}) if cdr else []
    expected = [f"its tariff in {', '.join(tariffs)}"] if tariffs else []
    if agreed and agreed.currency not in ("", facts.cdr.currency):
        expected.append(f"agreed is {agreed.currency}")
    return f"is in {facts.cdr.currency}, {' and '.join(expected)}" if expected else ""


def components_do_not_add_up(facts: Facts) -> str:
    """Skips credit CDRs: of them only the total is negative (mod_cdrs, Credit CDRs)."""
    cdr = facts.object
    if cdr is None or facts.cdr.is_credit:
        return ""
    parts = [part.before_taxes for name in COMPONENTS if (part := getattr(cdr, name)) is not None]
    total, summed = cdr.total_cost.before_taxes, sum(parts, Decimal(0))
    if not parts or abs(total - summed) <= TOLERANCE:
        return ""
    difference = f"{'+' if total > summed else ''}{_plain(total - summed)} {cdr.currency}"
    return f"total cost is {_plain(total)}, its components add up to {_plain(summed)}: {difference}"


COMPONENTS = (
    "total_fixed_cost",
    "total_energy_cost",
    "total_time_cost",
    "total_parking_cost",
    "total_reservation_cost",
)


def taxes_do_not_fit(facts: Facts) -> str:
    if facts.object is None:
        return ""
    prices = [(name, getattr(facts.object, name)) for name in ("total_cost", *COMPONENTS)]
    return "; ".join(reason for name, price in prices if price is not None and (reason := _misfit(name, price)))


def _misfit(name: str, price: objects.Price) -> str:
    """A tax that is not its percentage of the net amount, or that makes the gross amount the smaller one."""
    for tax in price.taxes or ():
        expected = tax.amount if tax.percentage is None else price.before_taxes * tax.percentage / 100
        if abs(tax.amount - expected) > TOLERANCE:
            percentage = f"{_plain(tax.percentage)} % of {_plain(price.before_taxes)}"
            return f"{name}: {tax.name} is {_plain(tax.amount)}, {percentage} is {_plain(expected)}"
    total = price.tax_total or Decimal(0)
    if (-total if price.before_taxes < 0 else total) < -TOLERANCE:
        return f"{name}: {_plain(price.before_taxes)} before taxes is more than {_plain(price.before_taxes + total)} with them"
    return ""


def wrong_sign(facts: Facts) -> str:
    cdr = facts.cdr
    if cdr.is_credit and cdr.cost_before_taxes > 0:
        return f"a credit CDR, but its total cost is {_plain(cdr.cost_before_taxes)} {cdr.currency}"
    if not cdr.is_credit and cdr.cost_before_taxes < 0:
        return f"no credit CDR, but its total cost is {_plain(cdr.cost_before_taxes)} {cdr.currency}"
    return ""


def credits_nothing_known(facts: Facts) -> str:
    """Parked until its original comes (BIL-45)."""
    cdr = facts.cdr
    if not cdr.is_credit or cdr.credits_id is not None or wrong_reference(facts):
        return ""
    if not cdr.credit_reference_id:
        return "a credit CDR that does not say which CDR it takes back"
    return f"takes back CDR {cdr.credit_reference_id}, which has not come"


def not_the_negative(facts: Facts) -> str:
    """Partial credit is not foreseen (CDR-04)."""
    cdr, original = facts.cdr, facts.cdr.credits
    if original is None:
        return ""
    taken = (cdr.cost_before_taxes, cdr.cost_taxes or Decimal(0), cdr.currency)
    if taken == (-original.cost_before_taxes, -(original.cost_taxes or Decimal(0)), original.currency):
        return ""
    return f"takes back {_amount(cdr)}, but CDR {original.ocpi_id} was {_amount(original)}"


def _amount(cdr: Cdr) -> str:
    taxes = "" if cdr.cost_taxes is None else f" with {_plain(cdr.cost_taxes)} of taxes"
    return f"{_plain(cdr.cost_before_taxes)} {cdr.currency}{taxes}"


def wrong_reference(facts: Facts) -> str:
    """A second credit of one CDR, a credit of a credit, or of another party's CDR (V-43)."""
    cdr, reference = facts.cdr, facts.reference
    if reference is None:
        return ""
    if reference.is_credit:
        return f"takes back CDR {cdr.credit_reference_id}, which is a credit CDR itself"
    if reference.credited_by is not None:
        return f"takes back CDR {cdr.credit_reference_id}, which credit CDR {reference.credited_by} took back already"
    if not reference.is_known and reference.owner:
        return f"takes back CDR {cdr.credit_reference_id}, which is {reference.owner}'s"
    return ""


def unknown_money_words(facts: Facts) -> str:
    """Words that decide what is paid for, and that we do not know (TR-40)."""
    cdr = facts.object
    if cdr is None:
        return facts.unreadable
    said = {dimension.type for period in cdr.charging_periods for dimension in period.dimensions}
    unknown = sorted(said - set(get_args(vocabulary.CdrDimensionType)))
    methods = [] if cdr.auth_method in get_args(vocabulary.AuthMethod) else [cdr.auth_method]
    named = [*(f"dimension {word}" for word in unknown), *(f"authorization method {word}" for word in methods)]
    return f"not known: {', '.join(named)}" if named else ""


def drivers_own_electricity(facts: Facts) -> str:
    """Charged at home, for the driver to be paid back and not to be billed (mod_cdrs, home_charging_compensation)."""
    is_home = facts.object is not None and facts.object.home_charging_compensation
    return "charged at home: the driver is to be compensated" if is_home else ""


def on_a_test_card(facts: Facts) -> str:
    """Made for its partner to try us out: nobody pays."""
    return f"charged with a test card, {facts.cdr.token_uid or facts.cdr.sent_contract_id}" if facts.is_test else ""


def nothing_agreed(facts: Facts) -> str:
    """The agreement had ended. Before the first began, nothing was agreed and nothing is missed."""
    if facts.agreement is None or facts.agreed:
        return ""
    ended, began = facts.agreement.valid_until, agreements.day_of(facts.cdr.started_at)
    return f"charging began on {began}, the agreement with {facts.cdr.party} ended on {ended}"


def sold_by_the_cpo(facts: Facts) -> str:
    """No revenue of ours (BIL-02), and no purchase."""
    return _by_model(facts, Agreement.CommercialModel.DISCLOSED_AGENT)


def of_our_own_network(facts: Facts) -> str:
    """Our revenue, but nothing is bought from anybody (BIL-02)."""
    return _by_model(facts, Agreement.CommercialModel.OWN_NETWORK)


def _by_model(facts: Facts, model: Agreement.CommercialModel) -> str:
    agreed = facts.agreed
    if agreed is None or agreed.commercial_model != model:
        return ""
    return f"{facts.cdr.party}, by the agreement from {agreed.valid_from}: {model.label}"


def not_as_agreed(facts: Facts) -> str:
    """What was agreed that a partner sends, and did not come so. It is a word with the partner, and holds nothing."""
    cdr, agreed = facts.cdr, facts.agreed
    if agreed is None:
        return ""
    days = (agreements.day_of(cdr.received_at) - agreements.day_of(cdr.ended_at)).days
    departures = (
        (agreed.cdr_days is not None and days > agreed.cdr_days, f"came {days} days after charging, agreed {agreed.cdr_days}"),
        (cdr.is_credit and not agreed.may_credit, "is a credit, agreed are none"),
        (not (cdr.is_credit or cdr.cost_before_taxes or agreed.may_be_free), "costs nothing, agreed is that none does"),
        (agreed.sends_sessions and not (cdr.is_credit or facts.has_session), "no session was told of, agreed is that all are"),
    )  # fmt: skip
    return "; ".join(reason for is_so, reason in departures if is_so)


class Rule(NamedTuple):
    """`title` says in a few words what the code means; `advice` what staff can do about it, if anything."""

    code: str
    holds: Callable[[Facts], str]
    driver: Finding.Severity
    cpo: Finding.Severity
    title: str
    advice: str


RULES = (
    Rule("V-07", end_before_start, BLOCK, BLOCK, "ends before it starts", "The CPO must credit it and send it anew."),
    Rule("V-11", placeholder_dates, HOLD, HOLD, "placeholder for a time", "Ask the CPO when it was, or release it."),
    Rule(
        "V-20",
        nobodys,
        HOLD,
        HOLD,
        "unknown card",
        "Attach the card to a contract, or enrol it; it matches by itself then.",
    ),
    Rule(
        "V-21", token_not_valid, HOLD, HOLD, "card was not valid", "Release it to bill it, or dispute it with the CPO."
    ),
    Rule(
        "V-28",
        in_another_currency,
        HOLD,
        BLOCK,
        "another currency",
        "The CPO must credit it and send it anew.",
    ),
    Rule("V-35", components_do_not_add_up, WARN, HOLD, "costs do not add up", "Ask the CPO which is right."),
    Rule(
        "V-38", taxes_do_not_fit, INFO, WARN, "taxes do not fit", "Ask the CPO for a corrected CDR if taxes are owed."
    ),
    Rule("V-40", wrong_sign, BLOCK, BLOCK, "wrong sign of the cost", "The CPO must correct it."),
    Rule(
        "V-41",
        credits_nothing_known,
        HOLD,
        HOLD,
        "credit of a CDR that has not come",
        "It is linked as soon as the CDR comes.",
    ),
    Rule(
        "V-42",
        not_the_negative,
        HOLD,
        HOLD,
        "credit of another amount",
        "Release it to credit the driver in full, or ask the CPO.",
    ),
    Rule("V-43", wrong_reference, BLOCK, BLOCK, "credit that must not be", "The CPO must explain it."),
    Rule("V-46", drivers_own_electricity, HOLD, HOLD, "charged at home", "Pay the driver back; it is no sale to him."),
    Rule(
        "V-52",
        nothing_agreed,
        HOLD,
        HOLD,
        "no agreement any more",
        "Enter the agreement that followed, or release it.",
    ),
    Rule(ON_TEST_CARD, on_a_test_card, BLOCK, BLOCK, "test card", "Nothing: it was a trial."),
    Rule("SOLD", sold_by_the_cpo, BLOCK, BLOCK, "not our sale", "Nothing, if the agreement is right."),
    Rule("OURS", of_our_own_network, INFO, BLOCK, "not our purchase", "Nothing, if the agreement is right."),
    Rule("DEAL", not_as_agreed, WARN, WARN, "not as agreed", "Tell the CPO, or change what is agreed."),
    Rule(
        "ENUM",
        unknown_money_words,
        HOLD,
        HOLD,
        "unknown words about money",
        "Release it if they do not matter, or ask the CPO.",
    ),
)
"""The defaults of the billing rules. V-21 may be disputed, so it is not paid for before somebody looked."""

AGREED = ("V-28", "V-52", "SOLD", "OURS", "DEAL")
"""What an agreement that is entered or changed may let go, or a session that comes after its CDR."""

BY_CODE = {rule.code: rule for rule in RULES}


def judge(facts: Facts) -> list[tuple[Rule, str]]:
    return [(rule, reason) for rule in RULES if (reason := rule.holds(facts))]
