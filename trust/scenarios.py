"""Each scenario lays hands on the platform while it works, and says what it did. Healing and judging is the campaign's.

F1, F2 …: the faults of the catalogue of reliability goals. Where time is compressed, the table says so.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from celery import current_app
from django.utils import timezone

from apps.billing.models import Document
from apps.charging.models import Cdr
from apps.ocpi import objects
from apps.ocpi.errors import PeerFailed
from apps.partners import handshake, quarantine
from apps.partners.models import Exchange, Quarantined
from apps.simulator.emsp import Emsp
from apps.simulator.ledger import Ledger
from apps.simulator.memory import Memory
from apps.simulator.wire import encode
from apps.tokens.blocking import block_token, unblock_token
from emsp.demo import cast, sabotage
from emsp.intakes import INTAKES

from . import history, spoiling
from .field import LONGEST, Field, NotHealed, command, until

TWO_HOURS, THREE_DAYS = timedelta(hours=2), timedelta(days=3)
RATING = ("billing_charge", "billing_payable", "billing_held")
RUN = (
    "billing_invoicerun",
    "billing_numberseries",
    "billing_invoice",
    "billing_invoiceline",
    "billing_taxsubtotal",
    "billing_document",
)
"""In the order in which a run writes them: before its number, with it, lines written, before the end."""

HANDS = 4
PARTY = "*".join(cast.LADDNAT.party)
SOON_S, SWAYING = 2.5, 5
"""Seconds to a 503 that lets a reader fall back (trust R26), 2 of them waited for a connection; and how many times what an
answer takes anyway, on a machine that others use too."""


@dataclass(frozen=True)
class Scenario:
    """`span` is how much time passes while it heals. One that is not hurried gets no help: the timetable alone heals.

    Once everything is issued, the books are recounted too.
    """

    fault: str
    name: str
    play: Callable[[Field], str]
    span: timedelta = LONGEST
    is_hurried: bool = True
    is_issued: bool = False


def lost_post(field: Field) -> str:
    """We register, the operator takes it, and its answer is lost; with a new token A we register again."""
    field.fault("lost_reply", module="credentials", method="POST", times=1)
    try:
        _connect(field)
    except PeerFailed as failed:
        lost = str(failed)
    else:
        raise NotHealed("the answer was not lost")
    _connect(field)
    _expect(field.partners().exists(), "not connected after the second try")
    return f"answer to our POST lost ({lost[:40]}), sent again"


def _connect(field: Field) -> None:
    ticket = field.stage.operator.ticket()
    handshake.connect(cast.LADDNAT.name, ticket["versions_url"], ticket["token"], timezone.now(), is_private=True)


def lost_answer_to_post(field: Field) -> str:
    """The operator leaves and registers anew; web dies before it answers, and the operator repeats with the same A."""
    handshake.end(field.partners().get(), timezone.now())
    invitation = handshake.invite(
        cast.LADDNAT.name, objects.Party(*cast.LADDNAT.party), now=timezone.now(), is_private=True
    )
    field.strike("POST", "credentials", sure=True)
    said = {"versions_url": invitation.versions_url, "token_a": invitation.token}
    first = field.stage.operator.do("register", **said)
    _expect(first["outcome"] == "UNKNOWN", f"the first answer came: {first}")
    second = field.stage.operator.do("register", **said)
    _expect(second["outcome"] == "OK", f"the second POST was not taken: {second}")
    return "web died after its POST was stored; sent again with token A"


def lost_put(field: Field) -> str:
    field.fault("lost_reply", module="credentials", method="PUT", times=1)
    try:
        handshake.renew(field.partners().get(), timezone.now())
    except PeerFailed:
        field.heal()
        _expect(_told(field), "after the lost answer the operator cannot call us")
        handshake.renew(field.partners().get(), timezone.now())
        return "answer to our PUT lost; both sides went on, then sent again"
    raise NotHealed("the answer was not lost")


def lost_answer_to_put(field: Field) -> str:
    field.strike("PUT", "credentials", sure=True)
    first = field.stage.operator.do("renew")
    _expect(first["outcome"] == "UNKNOWN", f"the first answer came: {first}")
    _expect(_told(field), "after the lost answer the operator cannot call us")
    second = field.stage.operator.do("renew")
    _expect(second["outcome"] == "OK", f"the second PUT was not taken: {second}")
    return "web died after its PUT was stored; sent again"


def _told(field: Field) -> bool:
    """Whether the operator's calls are taken."""
    return field.stage.operator.do("play", step="publish", locations=1, tariffs=1).get("locations OK") == 1


def _expect(holds: bool, complaint: str) -> None:
    if not holds:
        raise NotHealed(complaint)


def killed_between_pages(field: Field) -> str:
    field.charge(count=44, pull_only=36)
    field.fault("page_limit", module="cdrs", value=5)
    field.fault("slow", module="cdrs", value=1)
    told = []
    for _ in range(2):
        pages = served(field)
        field.pass_time()
        field.want()
        until(lambda pages=pages: served(field) > pages + 1, "nobody pulls", 60)
        time.sleep(field.dice.uniform(0, 1.5))
        told.append(field.kill_worker())
    return f"kill -9 of {', then '.join(told)}, at 36 CDRs in pages of 5"


def served(field: Field) -> int:
    return field.stage.operator.state()["ledger"].get("served", {}).get("None", 0)


def killed_in_a_page(field: Field) -> str:
    field.charge(count=44, pull_only=36)
    field.fault("page_limit", module="cdrs", value=10)
    with field.blocked("charging_cdr") as wait:
        field.pass_time()
        field.want()
        wait()
        what = field.kill_worker()
    return f"kill -9 of {what}, inside the transaction of a page"


def killed_while_rating(field: Field) -> str:
    table = field.dice.choice(RATING)
    with field.blocked(table) as wait:
        field.charge(count=30)
        field.knock()
        wait()
        what = field.kill_worker()
    return f"kill -9 of {what}, about to write {table}"


def delayed(field: Field) -> str:
    """All that is rung is kept back for two hours, and comes in reverse when the timetable has done all of it."""
    with field.asleep():
        block_token(field.some_card(), timezone.now())
        field.charge(count=20, pull_only=6)
        field.want()
        field.knock(2)
        held = field.hold_messages()
    field.heal(span=TWO_HOURS)
    before = history.effects()
    late = field.release_messages(held)
    field.drain()
    after = history.effects()
    _expect(after == before, f"late messages had effects: {before}, then {after}")
    return f"{late} messages 2 h late and in reverse, after all was done: no effect"


def poisoned(field: Field) -> str:
    """Messages that no worker survives, or knows, or can call; all others flow meanwhile."""
    usual = field.platform.family.member("worker").command
    field.restart("worker", ["trust.poison" if part == "emsp.celery" else part for part in usual])
    for _ in range(2):
        for name in ("trust.poison.abort", "trust.poison.killed", "trust.nobody.knows"):
            current_app.send_task(name, queue="billing", ignore_result=True)
        for name in ("apps.billing.tasks.rate_new_cdrs", "apps.charging.tasks.pull_due"):
            current_app.send_task(name, args=["what", {"is": "this"}], ignore_result=True)
    field.charge(count=20, pull_only=6)
    field.heal()
    field.drain()
    field.restart("worker", usual)
    return "10 messages: two that kill their worker, twice, an unknown one, bad arguments; none came again"


def bad_cdrs(field: Field) -> str:
    """What is good of them waits on the operator's shelf; staff mend every other, the pull brings the rest."""
    field.charge(count=100, pull_only=spoiling.KINDS)
    good = [cdr for _, cdr in states(field, "cdrs")[-spoiling.KINDS :]]
    bad = [encode(cdr) for cdr in spoiling.spoiled(good)]
    with calling(field) as emsp:
        answers = [emsp.send("POST", "cdrs", "", body) for body in bad]
    odd = [answer for answer in answers if (answer.http_status, answer.status_code) != (200, 2001)]
    _expect(not odd, f"{len(odd)} were not refused with 2001, first {odd[:1]}")
    stored = Cdr.objects.filter(ocpi_id__in=[cdr["id"] for cdr in good]).count()
    _expect(stored == 0, f"{stored} of them are stored")
    kept = [Quarantined.objects.get(module="cdrs", body=body, state="OPEN") for body in bad]
    for row, cdr in list(zip(kept, good, strict=True))[::2]:
        quarantine.mend(row, encode(cdr), INTAKES, timezone.now())
    for row in kept[1::2]:
        quarantine.dismiss(row, timezone.now())
    return (
        f"{len(bad)} kinds of bad CDRs beside 50 good: each 2001 and kept; every other mended by staff, the rest pulled"
    )


def states(field: Field, *modules: str) -> list[tuple[str, dict]]:
    """Module and body of every state of the operator's objects, in the order in which they were made."""
    lines = (field.stage.operator.folder / "objects.jsonl").read_text().splitlines()
    made = [json.loads(line, parse_float=Decimal) for line in lines]
    return [(state["module"], state["body"]) for state in made if state["module"] in modules]


@contextmanager
def calling(field: Field) -> Iterator[Emsp]:
    """We, as the operator calls us, with what it knows after a handshake."""
    emsp = Emsp(Memory(field.stage.operator.folder))
    try:
        yield emsp
    finally:
        emsp.close()


def web_died(field: Field) -> str:
    """After the commit and before the answer; the operator repeats what got none."""
    field.strike("POST", "cdrs", 5)
    month = field.charge(count=40)
    unanswered = field.unanswered()
    field.charge(count=40, repeat=month)
    return f"web died 5 times after it stored a CDR: {unanswered} unanswered, sent again"


def web_killed(field: Field) -> str:
    """All of web, in the middle of pushes."""
    finish = field.charge_aside()
    time.sleep(field.dice.uniform(0.2, 1))
    field.restart("web")
    field.wait_for_web()
    finish()
    return "kill -9 of all of web under 60 pushes; sent again"


def postgresql_killed(field: Field) -> str:
    finish = field.charge_aside()
    time.sleep(field.dice.uniform(0.2, 1))
    began = time.monotonic()
    field.kill_postgresql()
    field.wait_for_web()
    took = time.monotonic() - began
    finish()
    return f"kill -9 of the postmaster under 60 pushes; back after {took:.1f} s"


def postgresql_stopped(field: Field) -> str:
    finish = field.charge_aside()
    usual = max(answer[2] for answer in asked_meanwhile(field, seconds=field.dice.uniform(0.5, 1.5)))
    with field.standing_still():
        answers = asked_meanwhile(field, seconds=8)
    odd = [answer for answer in answers if answer[:2] != (503, 3000)]
    slowest, soon = max(answer[2] for answer in answers), SOON_S + SWAYING * usual
    _expect(not odd, f"{len(odd)} of {len(answers)} answers are not 503, first {odd[:1]}")
    _expect(slowest < soon, f"the slowest 503 came after {slowest:.1f} s, where {soon:.1f} s are soon")
    field.wait_for_web()
    finish()
    return f"SIGSTOP for 8 s under 60 pushes: {len(answers)} cards asked, each told 503 within {slowest:.1f} s"


def asked_meanwhile(field: Field, seconds: float) -> list[tuple]:
    """What drivers at readers are told, by four hands: HTTP status, OCPI status, seconds. It is in the ledger as well."""
    end, uids = time.monotonic() + seconds, [row["token_uid"] for row in field.stage.world.rows]
    ledger = Ledger(field.stage.operator.ledger)
    with calling(field) as emsp, ThreadPoolExecutor(HANDS) as hands:
        found = [hands.submit(_asked_until, end, emsp, ledger, uids[hand::HANDS]) for hand in range(HANDS)]
        return [answer for hand in found for answer in hand.result()]


def _asked_until(end: float, emsp: Emsp, ledger: Ledger, uids: list[str]) -> list[tuple]:
    found = []
    while (began := time.monotonic()) < end:
        uid = uids[len(found) % len(uids)]
        answer = emsp.send("POST", "tokens", f"/{uid}/authorize", party=PARTY, role="SENDER")
        found.append((answer.http_status, answer.status_code, time.monotonic() - began))
        if answer.is_ok:
            ledger.write(timezone.now(), "authorization", uid, PARTY, answer, allowed=answer.data["allowed"])
        time.sleep(0.05)
    return found


def broker_wiped(field: Field) -> str:
    with field.asleep():
        card = field.some_card()
        block_token(card, timezone.now())
        field.charge(count=20, pull_only=6)
        field.want()
        lost = field.wipe_broker()
    return f"{lost} messages wiped: a blocked card, 20 CDRs, a pull"


def broker_down(field: Field) -> str:
    field.kill_broker()
    card = field.some_card()
    began = time.monotonic()
    block_token(card, timezone.now())
    took = time.monotonic() - began
    month = field.charge(count=30, pull_only=6)
    refused = field.unanswered(month)
    _expect(refused == 0, f"{refused} pushes were not taken without the broker")
    time.sleep(max(0, 15 - (time.monotonic() - began)))
    field.start_broker()
    return f"kill -9, 15 s for 10 min; a card blocked in {took:.1f} s, 30 CDRs meanwhile"


def partner_down(field: Field) -> str:
    """Three days in hops of two hours, each followed by what the timetable would do."""
    cards = [field.some_card() for _ in range(3)]
    simulator = field.platform.family.kill("simulator")
    for card in cards:
        block_token(card, timezone.now())
    before = Exchange.objects.filter(direction=Exchange.Direction.OUT).count()
    hops = 36
    for _ in range(hops):
        field.pass_time(THREE_DAYS / hops)
        field.knock()
        field.drain()
    unblock_token(cards[0], timezone.now())
    calls = Exchange.objects.filter(direction=Exchange.Direction.OUT).count() - before
    _expect(calls >= 3, "nobody tried")
    _expect(calls <= 10 * hops, f"{calls} calls in {hops} rounds to somebody who does not answer")
    field.start(simulator)
    field.stage.until(field.stage.operator.is_up, "the operator answers")
    field.charge(count=20, pull_only=12)
    return f"kill -9, 3 days compressed to {hops} rounds: {calls} calls; 3 cards blocked, 1 unblocked"


def token_replies_lost(field: Field) -> str:
    field.fault("lost_reply", module="tokens", method="PUT", times=3)
    for _ in range(3):
        block_token(field.some_card(), timezone.now())
    for _ in range(20):
        if not field.stage.operator.state()["faults"]:
            break
        field.pass_time()
        field.knock()
        time.sleep(1)
    _expect(not field.stage.operator.state()["faults"], "nobody told the operator")
    return "answers to 3 of our PUTs lost after they were taken"


def shrinking(field: Field) -> str:
    return _bent_pages(field, "shrinking_page", "objects vanish from pages read before")


def repeating(field: Field) -> str:
    return _bent_pages(field, "cycle", "next leads to the same page again")


def _bent_pages(field: Field, fault: str, what: str) -> str:
    field.charge(count=44, pull_only=36)
    field.fault("page_limit", module="cdrs", value=9)
    field.fault(fault, module="cdrs")
    pages = served(field)
    field.pass_time()
    field.want()
    until(lambda: served(field) > pages + 1, "nobody pulls", 60)
    time.sleep(2)
    asked = served(field) - pages
    _expect(asked < 200, f"{asked} pages were asked for")
    return f"{what}: {asked} pages of 9 read"


def clock_off(field: Field) -> str:
    """What it made while its clock was ahead is later than all it makes for two days."""
    for hours in field.dice.sample((48, -48), 2):
        field.set_clock(hours)
        field.charge(count=24, pull_only=10)
        field.pass_time()
        field.want()
        time.sleep(3)
    field.set_clock(0)
    field.charge(count=24, pull_only=10)
    return "its clock 48 h ahead, 48 h behind, then right; two days compressed"


def bells(field: Field) -> str:
    """Every task five times at once, while CDRs come in."""
    finish = field.charge_aside()
    for _ in range(3):
        field.knock(5)
        time.sleep(1)
    finish()
    return "every task 15 times at once under 60 pushes"


def shuffled(field: Field) -> str:
    """Sessions and EVSEs change, and then every state they ever had is sent again, in any order, a fifth twice.

    Of states with one date nobody can tell the newest: what came last counts, until a pull says what is true.
    """
    field.stage.operator.do("play", step="sessions", count=30)
    sent = states(field, "sessions", "locations")
    sent += field.dice.sample(sent, len(sent) // 5)
    field.dice.shuffle(sent)
    with calling(field) as emsp, ThreadPoolExecutor(HANDS) as hands:
        answers = list(hands.map(lambda state: _put(emsp, *state), sent))
    odd = [answer for answer in answers if answer.http_status is None or answer.http_status >= 500]
    _expect(not odd, f"{len(odd)} were not answered, first {odd[:1]}")
    return f"{len(sent)} old states by {HANDS} hands in any order"


def _put(emsp: Emsp, module: str, body: dict):
    path = f"/{body['country_code']}/{body['party_id']}/{body['id']}"
    return emsp.send("PUT", module, path, body, f"{body['country_code']}*{body['party_id']}")


def run_killed(field: Field) -> str:
    """At three places, each deeper than the one before or the same; then others end it, and die of rendering.

    The others are two runs at once, or the worker, which goes on with a run that was left.
    """
    with field.asleep():
        places = _kill_runs(field)
        is_by_hand = field.dice.random() < 0.5
        if is_by_hand:
            _run_twice(field)
        field.pass_time()
    with field.blocked("billing_document") as wait:
        field.knock()
        wait()
        what = field.kill_worker()
    field.pass_time()
    field.knock()
    until(lambda: Document.objects.filter(rendered_at__isnull=False).exists(), "nobody renders", 60)
    what += f", then of {field.kill_worker()}, with {Document.objects.filter(rendered_at=None).count()} left to render"
    who = "two runs at once" if is_by_hand else "the worker"
    return f"kill -9 about to write {', '.join(places)}; {who} went on; kill -9 of {what}"


def _kill_runs(field: Field) -> list[str]:
    places = sorted(field.dice.sample(range(len(RUN)), 3))
    for place in places:
        with field.blocked(RUN[place]) as wait:
            run = _issue(field)
            wait()
            run.kill()
            run.communicate()
        until_nobody_writes(field, RUN[place])
    return [RUN[place].removeprefix("billing_") for place in places]


def _run_twice(field: Field) -> None:
    runs = [_issue(field) for _ in range(2)]
    said = [run.communicate(timeout=240)[0] for run in runs]
    _expect(all(run.returncode == 0 for run in runs), f"a run failed: {said}")


def _issue(field: Field) -> subprocess.Popen:
    return command("invoices", "run", "--period", f"{field.stage.world.month:%Y-%m}", "--issue")


def until_nobody_writes(field: Field, table: str) -> None:
    """The backend of a killed client ends once it notices, which it does at its next word to it."""
    with field.blocked(table):
        pass


def watched(field: Field) -> str:
    """No fault at all, but faults planted in the tables: a check that sees none of them proves nothing."""
    if missed := history.overlooked(field.stage, field.stage.folder.with_name("planted")):
        raise NotHealed(f"nobody noticed: {', '.join(missed)}")
    return f"{len(history.PLANTED) + len(sabotage.SABOTAGES)} faults planted in the tables, each noticed and taken back"


SCENARIOS = (
    Scenario("F28", "handshake: answer to our POST lost", lost_post),
    Scenario("F28", "handshake: our answer to POST lost", lost_answer_to_post),
    Scenario("F28", "handshake: answer to our PUT lost", lost_put),
    Scenario("F28", "handshake: our answer to PUT lost", lost_answer_to_put),
    Scenario("F1 F2", "worker killed between pages", killed_between_pages),
    Scenario("F1 F2", "worker killed in a page", killed_in_a_page),
    Scenario("F3", "worker killed while rating", killed_while_rating),
    Scenario("F4", "web dies before it answers", web_died),
    Scenario("F4", "web killed", web_killed),
    Scenario("F5", "PostgreSQL killed", postgresql_killed),
    Scenario("F7", "PostgreSQL stands still", postgresql_stopped),
    Scenario("F8", "broker wiped", broker_wiped, is_hurried=False),
    Scenario("F9", "broker down", broker_down, is_hurried=False),
    Scenario("F12", "every bell rung many times", bells),
    Scenario("F13", "messages late and in reverse", delayed),
    Scenario("F14", "poisoned messages", poisoned),
    Scenario("F15", "partner down", partner_down),
    Scenario("F36", "answers to pushed cards lost", token_replies_lost),
    Scenario("F22", "pages shrink while they are read", shrinking),
    Scenario("F21", "pages repeat", repeating),
    Scenario("F23", "fifty kinds of bad CDRs", bad_cdrs),
    Scenario("F25", "old states in any order", shuffled, span=timedelta(hours=8)),
    Scenario("F26", "partner's clock off", clock_off, span=timedelta(days=2)),
    Scenario("F3", "invoice run and rendering killed", run_killed, is_issued=True),
    Scenario("T2", "the checks themselves", watched, is_issued=True),
)
