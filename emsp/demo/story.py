"""The main job, told in chapters: operators register, drivers charge, CDRs become invoices.

Every chapter does only what is still to be done and waits until the workers have done their part, which it sees in
rows: so a second telling goes on with the same data. Nothing here is a shortcut: cards go through the enrolment, the
operators speak HTTP, Celery pulls, pushes, rates and renders.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from apps.billing import invoicing
from apps.billing.models import Document, Invoice, Netting
from apps.charging.models import Cdr
from apps.locations.models import Location
from apps.ocpi import objects
from apps.partners import handshake, scope
from apps.partners.models import Feed, Partner, Party
from apps.partners.pull import want
from apps.tariffs.models import Tariff
from apps.tokens.models import Token, TokenDelivery

from . import founding
from .cast import Role
from .cpo import Operator
from .world import World, make_world, month_before

STRANGER = "04D00DFEED0B0E"
"""A card that nobody enrolled."""

PATIENCE_S = 180
PAUSE_S = 0.2
PACE = 50
"""An operator plays a month in seconds, and may call so many times as often as others."""


class TooSlow(Exception):
    """The workers did not do their part in time; the logs beside the data tell why."""


@dataclass(frozen=True)
class Stage:
    """What the story is played with: the first operator plays what is odd, too. `say` writes one line, `show` the state
    of what is going on."""

    operators: tuple[Operator, ...]
    world: World
    folder: Path
    say: Callable[[str], None]
    show: Callable[[str], None]

    @property
    def operator(self) -> Operator:
        return self.operators[0]

    def planned(self) -> dict:
        """The plan as JSON, for the recount."""
        return self.world.planned() | {"operators": [operator.role.planned() for operator in self.operators]}

    def until(self, holds: Callable[[], bool], wanted: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                raise TooSlow(f"{wanted}: not within {PATIENCE_S} s; see {settings.DATA_DIR / 'logs'}")
            time.sleep(PAUSE_S)


def world_of(folder: Path, now: datetime, length: int | None) -> World:
    """The world of this demo: of the month before its first telling, whenever it is told again, and of those before it
    that were ever asked for."""
    file = folder / "world.json"
    known = json.loads(file.read_text()) if file.exists() else None
    month = date.fromisoformat(f"{known['month']}-01") if known else month_before(timezone.localdate(now))
    world = make_world(month, max(length or 1, len(known["months"]) if known else 1))
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(world.planned(), ensure_ascii=False, indent=1))
    return world


def play(stage: Stage) -> None:
    """The whole story, from nothing to documents."""
    monthly = (partial(chapter, month=month) for month in stage.world.months for chapter in MONTHLY)
    for number, chapter in enumerate((*CHAPTERS, *monthly), 1):
        started = time.monotonic()
        told = chapter(stage)
        stage.say(f"{number:2}  {told}  ({time.monotonic() - started:.1f} s)")


def company(stage: Stage) -> str:
    founding.found(stage.world, us(), timezone.now())
    rows = stage.world.rows
    return f"Enrolled {len({row['account'] for row in rows})} accounts with {len(rows)} drivers and cards, four plans."


def registration(stage: Stage) -> str:
    return (
        "Over HTTP registered with us " + "; ".join(_registered(stage, operator) for operator in stage.operators) + "."
    )


def _registered(stage: Stage, operator: Operator) -> str:
    role, partners = operator.role, partners_of(operator)
    stage.until(operator.is_up, f"{role.name} answers")
    if not partners.exists():
        kind = Partner.Role.HUB if role.is_hub else Partner.Role.CPO
        invitation = handshake.invite(role.name, objects.Party(*role.party), timezone.now(), role=kind, is_private=True)
        operator.do("register", versions_url=invitation.versions_url, token_a=invitation.token)
    stage.until(partners.exists, f"{role.name} is registered")
    partners.update(pace=PACE)
    partner = partners.get()
    if role.is_hub:
        _approve(stage, partner)
    founding.agree(partner)
    parties = " and ".join(str(party) for party in partner.parties.all())
    return f"{partner} by OCPI {partner.version} as {parties}"


def _approve(stage: Stage, hub: Partner) -> None:
    """Of whom a hub tells us staff approve, as they do in the back office; what it sent of them meanwhile was kept, and
    is taken then."""
    stage.until(lambda: not hub.feeds.filter(last_good_at=None).exists(), f"{hub} tells who is behind it, and of them")
    for party in hub.claims.all():
        scope.approve(party)


def publication(stage: Stage) -> str:
    states = [operator.state() for operator in stage.operators]
    published = [sum(state["objects"][module] for state in states) for module in ("locations", "tariffs")]
    stage.until(
        lambda: [Location.objects.count(), Tariff.objects.count()] == published, "tariffs and locations are pulled"
    )
    locations, evses = sum(state["objects"]["locations"] for state in states), sum(state["evses"] for state in states)
    return f"Celery pulled their tariffs and {locations} locations with {evses} EVSEs."


def cards(stage: Stage) -> str:
    told = TokenDelivery.objects.filter(confirmed_version=F("token__version"))
    cards = Token.objects.count()
    total = cards * len(stage.operators)

    def are_known() -> bool:
        stage.show(f"{told.count()} of {total}")
        return told.count() == total

    stage.until(are_known, "every operator knows all cards")
    return f"Celery told each of {cards} cards, and of those that may not charge."


def readers(stage: Stage) -> str:
    """Cards at readers: in order, blocked, expired, unknown."""
    withdrawn = set(stage.world.blocked + stage.world.expired)
    usual = [row["token_uid"] for row in stage.world.rows if row["token_uid"] not in withdrawn][:10]
    presented = [*usual, *stage.world.blocked[:2], *stage.world.expired[:2], STRANGER]
    answers = _played(stage, stage.operator, "authorize", uids=presented)["answers"]
    allowed = sum(answer["allowed"] == "ALLOWED" for answer in answers)
    return f"{len(answers)} cards were held to readers: {allowed} may charge, {len(answers) - allowed} may not."


def sessions(stage: Stage) -> str:
    told = [_played(stage, one, "sessions", count=one.role.sessions)["sessions"] for one in stage.operators]
    running, ended = (sum(states.get(state, 0) for states in told) for state in ("ACTIVE", "COMPLETED"))
    return f"Drivers charge: {running} sessions run, {ended} ended."


def pushes(stage: Stage, month: date) -> str:
    is_last = month == stage.world.month
    told = [_played(stage, one, "cdrs", **_month_of(one.role, month, is_last)) for one in stage.operators]
    made, pull_only = (sum(said[name] for said in told) for name in ("made", "pull_only"))
    return f"{made} CDRs of {month:%B %Y}: all but {pull_only} were pushed{', one was refused' if is_last else ''}."


def _month_of(role: Role, month: date, is_last: bool) -> dict:
    """What is odd is of the last month."""
    counts = {"count": role.cdrs, "pull_only": role.pull_only, "odd": role.is_odd and is_last}
    return {"name": f"cdrs {month:%Y-%m}", "month": f"{month:%Y-%m}"} | counts


def _played(stage: Stage, operator: Operator, step: str, name: str = "", **how) -> dict:
    """What a step resulted in; it is played once by its name."""
    if not operator.has_played(name or step):
        operator.play(step, stage.show, name=name or step, **how)
    return operator.state()["played"][name or step]


def pull(stage: Stage, month: date) -> str:
    done = stage.folder / f"pulled-{month:%Y-%m}"
    if not done.exists():
        asked_at = timezone.now()
        feeds = Feed.objects.filter(module=Feed.Module.CDRS)
        for feed in feeds:
            want(feed, asked_at)
        stage.until(lambda: not feeds.exclude(last_good_at__gte=asked_at).exists(), "the CDRs are pulled")
        done.touch()
    return f"Celery pulled the rest: {Cdr.objects.count()} CDRs are here."


def rating(stage: Stage, month: date) -> str:
    stage.until(lambda: is_all_judged(stage), "every CDR is rated or held")
    return f"Celery rated them; {Cdr.objects.filter(held__isnull=False).count()} is held, with its reason."


def is_all_judged(stage: Stage) -> bool:
    of_netting = Netting.objects.filter(original=OuterRef("pk")) | Netting.objects.filter(credit=OuterRef("pk"))
    open_ones = Cdr.objects.filter(charges=None, held=None).exclude(Exists(of_netting)).count()
    stage.show(f"{open_ones} left")
    return open_ones == 0 and not Cdr.objects.filter(checked_at=None).exists()


def run(stage: Stage, month: date) -> str:
    issued = Invoice.objects.filter(period=month)
    if not issued.exists():
        invoicing.issue(month, timezone.now())
    return f"The run of {month:%B %Y} issued {issued.count()} numbered invoices with VAT."


def documents(stage: Stage, month: date) -> str:
    def are_rendered() -> bool:
        left = Document.objects.filter(rendered_at=None).count()
        stage.show(f"{left} left")
        return left == 0

    stage.until(are_rendered, "the invoices are rendered")
    return f"Celery rendered {Document.objects.count()} PDFs."


CHAPTERS = (company, registration, publication, cards, readers, sessions)
MONTHLY = (pushes, pull, rating, run, documents)


def partners_of(operator: Operator):
    """The connected partner that it is, as a queryset."""
    country_code, party_id = operator.role.party
    parties = Party.objects.filter(country_code=country_code, party_id=party_id)
    return Partner.objects.filter(parties__in=parties, state=Partner.State.CONNECTED)


def us() -> objects.Party:
    return objects.Party(settings.OCPI_COUNTRY_CODE, settings.OCPI_PARTY_ID)
