"""Does a card of ours charge with the partner: told and kept, held to a reader, started and stopped from afar, billed.

The charge that is made is a real one, at an EVSE that staff name, with a card that they name.
"""

from datetime import timedelta

from apps.charging import checking, checks, commands, dispatch
from apps.charging.models import Cdr, Command, Finding, Session
from apps.locations.finding import find_evse
from apps.ocpi import modules
from apps.ocpi.errors import OcpiError
from apps.onboarding.trial import Check, Failed, Trial, Untried
from apps.partners import ourselves
from apps.partners.models import Party, Quarantined
from apps.tokens.cards import Card, cards_of, describe
from apps.tokens.models import Authorization
from apps.tokens.push import url_of
from apps.tokens.sight import seen_by

State = Command.State
LATELY = timedelta(days=7)


# The card


def card_of(trial: Trial) -> Card:
    pk = trial.report.card_id
    if pk is None:
        raise Untried("No card was named to try it with.")
    if not seen_by(trial.partner.pk, [pk], trial.clock()):
        raise Untried("The partner does not see this card, by what was agreed.")
    return cards_of([pk], trial.clock())[pk]


def card_url(trial: Trial, card: Card) -> str:
    return url_of(card, trial.endpoint("tokens", modules.RECEIVER), trial.version, ourselves.us())


def wording(trial: Trial, card: Card) -> dict:
    return trial.version.write("token", describe(card, ourselves.us()))


def pushed(trial: Trial) -> str:
    """(mod_tokens, Receiver Interface, PUT)"""
    url = card_url(trial, card := card_of(trial))
    trial.peer("tokens").put(url, wording(trial, card))
    return f"It took card {card.uid}."


def read_back(trial: Trial) -> str:
    """(mod_tokens, Receiver Interface, GET): a card that is not kept as told may charge when it must not."""
    url = card_url(trial, card := card_of(trial))
    if trial.partner.is_hub:
        raise Untried(
            "What is pushed to a hub goes to all behind it, and is asked back of none (TR-25).", is_needed=False
        )
    answer = trial.get("tokens", url)
    held = trial.version.write("token", trial.version.read_token(answer.data or b"null", ourselves.us()).object)
    told = wording(trial, card)
    other = [
        f"{name} is {held.get(name)!r}, and we said {value!r}"
        for name, value in told.items()
        if held.get(name) != value
    ]
    if other:
        raise Failed(f"Card {card.uid} is not kept as told: {'; '.join(other)} (TOK-07).")
    return f"Card {card.uid} is kept as we told it."


def authorized(trial: Trial) -> str:
    """What they asked us, not what we authorised ourselves for a command."""
    card = card_of(trial)
    ours = Command.objects.filter(token=trial.report.card_id).values_list("authorization_reference", flat=True)
    asked = Authorization.objects.filter(
        partner=trial.partner, token=trial.report.card_id, at__gt=trial.began_at - LATELY
    ).exclude(reference__in=[reference for reference in ours if reference])
    newest = asked.first()
    if newest is None:
        raise Untried(f"Nobody held card {card.uid} to a reader of theirs in the last {LATELY.days} days.")
    place = f" at {newest.location_id}" if newest.location_id else ""
    return f"It asked for card {card.uid}{place} on {newest.at:%Y-%m-%d %H:%M}: {newest.get_allowed_display()}."


# A charge


def started(trial: Trial) -> str:
    card_of(trial)
    trial.endpoint("commands", modules.RECEIVER)
    evse = _evse(trial)
    try:
        asked = commands.request_start(
            evse, trial.report.card, trial.clock(), connector_id=trial.report.connector_id, by=trial.report.requested_by
        )
    except commands.CannotCommand as error:
        raise Untried(f"It cannot be asked: {error}.") from error
    trial.memory["start"] = asked
    return _carried_out(trial, asked)


def _evse(trial: Trial):
    report = trial.report
    if not report.evse_uid:
        raise Untried("No EVSE was named to try it at.")
    for party in Party.objects.filter(partner=trial.partner).order_by("pk"):
        try:
            return find_evse(party, report.location_id, report.evse_uid)
        except OcpiError:
            continue
    raise Untried(
        f"EVSE {report.evse_uid} of {report.location_id} is not among those it told us of: pull its locations."
    )


def _carried_out(trial: Trial, asked: Command) -> str:
    """Send it, and wait for what the CPO and then the charge point say (CMD-04, CMD-05)."""
    dispatch.send_due(trial.clock())
    trial.wait_for(lambda: _is_settled(trial, asked))
    said = " ".join(filter(None, [asked.response, asked.result, asked.message, asked.last_error])) or "nothing"
    if asked.state not in (State.DONE, State.PROVEN):
        raise Failed(f"{asked.get_kind_display().capitalize()}: {asked.get_state_display()} ({said}; CMD-05).")
    return f"{asked.get_kind_display().capitalize()}: {asked.get_state_display()} ({said})."


def _is_settled(trial: Trial, asked: Command) -> bool:
    commands.give_up(trial.clock())
    asked.refresh_from_db()
    return not asked.is_open


def told(trial: Trial) -> str:
    """Only a session shows that somebody charges (CMD-05)."""
    trial.require_sessions()
    start = trial.memory["start"]

    def look():
        start.refresh_from_db()
        return start.session

    session = trial.wait_for(look)
    if session is None:
        raise Failed(f"No session was told within {trial.report.wait_s} s of the start (SES-03, CMD-05).")
    trial.memory["session"] = session
    return f"Session {session} is {session.status}."


def stopped(trial: Trial) -> str:
    session: Session = trial.memory["session"]
    try:
        asked = commands.request_stop(session, trial.clock(), by=trial.report.requested_by)
    except commands.CannotCommand as error:
        raise Untried(f"It cannot be asked: {error}.") from error
    said = _carried_out(trial, asked)

    def look():
        session.refresh_from_db()
        return session.status in commands.OVER

    if not trial.wait_for(look):
        raise Failed(f"Session {session} is {session.status} still, {trial.report.wait_s} s after the stop (SES-03).")
    return f"{said} Session {session} is {session.status}."


# What it costs


def billed(trial: Trial) -> str:
    cdr = trial.wait_for(lambda: _cdr(trial) or _refused(trial))
    if cdr is None:
        raise Failed(f"No CDR came within {trial.report.wait_s} s of the end of the session (CDR-01).")
    if isinstance(cdr, Quarantined):
        reasons = "; ".join(": ".join(filter(None, map(str, reason))) for reason in cdr.reasons)
        raise Failed(f"CDR {cdr.ocpi_id or '(no id)'} could not be taken: {reasons} (CDR-06).")
    checking.check_due(trial.clock())
    held = cdr.findings.filter(cpo_severity__gte=Finding.Severity.HOLD).exclude(code=checks.ON_TEST_CARD)
    if found := [f"{finding.code} {finding.reason}" for finding in held]:
        raise Failed(f"CDR {cdr.ocpi_id} came, and cannot be paid: {'; '.join(found)}.")
    cost = f"{cdr.cost_before_taxes.normalize():f} {cdr.currency}"
    return f"CDR {cdr.ocpi_id}: {cdr.energy.normalize():f} kWh, {cost} net."


def _cdr(trial: Trial) -> Cdr | None:
    """Of the session; older versions name none in a CDR, nor the card, so by contract and time (CDR-05)."""
    session: Session = trial.memory["session"]
    came = Cdr.objects.filter(party=session.party, received_at__gte=trial.began_at)
    named = came.filter(session_id__iexact=session.ocpi_id)
    nameless = came.filter(session_id="", contract=trial.report.card.contract, ended_at__gte=session.started_at)
    return named.first() or nameless.first()


def _refused(trial: Trial) -> Quarantined | None:
    """Nothing else of theirs is expected meanwhile."""
    since = {"last_seen_at__gte": trial.began_at, "state": Quarantined.State.OPEN}
    return Quarantined.objects.filter(partner=trial.partner, module="cdrs", **since).first()


CHECKS = (
    Check("tokens.push", "A card is told", "TOK-07", ("details",), pushed),
    Check("tokens.read_back", "The card is kept as told", "TOK-07", ("tokens.push",), read_back),
    Check("authorize", "A card is held to a reader", "TOK-02", ("versions",), authorized),
    Check("start", "Start from afar", "CMD-04, CMD-05", ("details",), started),
    Check("session", "The session is told", "SES-03, CMD-05", ("start",), told),
    Check("stop", "Stop from afar", "CMD-04, CMD-05", ("session",), stopped),
    Check("cdr", "The CDR comes", "CDR-01, CDR-06", ("stop",), billed),
)
