"""The main job, told in chapters: two companies register, drivers charge, CDRs become invoices.

Every chapter does only what is still to be done and waits until the workers have done their part, which it sees in
rows: so a second telling goes on with the same data. Nothing here is a shortcut: cards go through the enrolment, the
operator speaks HTTP, Celery pulls, pushes, rates and renders.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from apps.billing import invoicing
from apps.billing.models import Document, Invoice, Netting
from apps.charging.models import Cdr
from apps.ocpi import objects
from apps.partners import handshake
from apps.partners.models import Feed, Partner, Party
from apps.partners.pull import want
from apps.tokens.models import Token, TokenDelivery

from . import founding
from .cpo import Operator
from .world import World, make_world

STRANGER = "04D00DFEED0B0E"
"""A card that nobody enrolled."""

PATIENCE_S = 180
PAUSE_S = 0.2
NAME = "LAD Laddnät"
PARTY = ("SE", "LAD")
PACE = 50
"""The operator plays a month in seconds, and may call so many times as often as others."""
CDRS, PULL_ONLY, SESSIONS = 2500, 120, 20


class TooSlow(Exception):
    """The workers did not do their part in time; the logs beside the data tell why."""


@dataclass(frozen=True)
class Stage:
    """What the story is played with. `say` writes one line, `show` the state of what is going on."""

    operator: Operator
    world: World
    folder: Path
    say: Callable[[str], None]
    show: Callable[[str], None]

    def until(self, holds: Callable[[], bool], wanted: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                raise TooSlow(f"{wanted}: not within {PATIENCE_S} s; see {settings.DATA_DIR / 'logs'}")
            time.sleep(PAUSE_S)


def world_of(folder: Path, now: datetime) -> World:
    """The world of this demo: of the month before its first telling, whenever it is told again."""
    file = folder / "world.json"
    if file.exists():
        return make_world(date.fromisoformat(json.loads(file.read_text())["month"] + "-01"))
    month = (timezone.localdate(now).replace(day=1) - timedelta(days=1)).replace(day=1)
    world = make_world(month)
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(world.planned(), ensure_ascii=False, indent=1))
    return world


def play(stage: Stage) -> None:
    """The whole story, from nothing to documents."""
    for number, chapter in enumerate(CHAPTERS, 1):
        started = time.monotonic()
        told = chapter(stage)
        stage.say(f"{number:2}  {told}  ({time.monotonic() - started:.1f} s)")


def company(stage: Stage) -> str:
    founding.found(stage.world, us(), timezone.now())
    rows = stage.world.rows
    return f"Enrolled {len({row['account'] for row in rows})} accounts with {len(rows)} drivers and cards, four plans."


def registration(stage: Stage) -> str:
    stage.until(stage.operator.is_up, "the charge point operator answers")
    if not partners().exists():
        now = timezone.now()
        invitation = handshake.invite(NAME, objects.Party(*PARTY), now=now, is_private=True)
        stage.operator.ask("register", versions_url=invitation.versions_url, token_a=invitation.token)
    stage.until(partners().exists, "the operator is registered")
    partners().update(pace=PACE)
    partner = partners().get()
    parties = " and ".join(str(party) for party in partner.parties.all())
    return f"{partner} registered with us over HTTP: OCPI {partner.version}, {parties}."


def publication(stage: Stage) -> str:
    modules = [Feed.Module.TARIFFS, Feed.Module.LOCATIONS]
    feeds = Feed.objects.filter(partner__in=partners(), module__in=modules, last_good_at__isnull=False)
    stage.until(lambda: feeds.count() == len(modules), "tariffs and locations are pulled")
    places = stage.operator.state()
    return f"Celery pulled its tariffs and {places['objects']['locations']} locations with {places['evses']} EVSEs."


def cards(stage: Stage) -> str:
    known = TokenDelivery.objects.filter(confirmed_version=F("token__version"))
    total = Token.objects.count()

    def are_known() -> bool:
        stage.show(f"{known.count()} of {total}")
        return known.count() == total

    stage.until(are_known, "the operator knows all cards")
    return f"Celery told it of {total} cards, and of those that may not charge."


def readers(stage: Stage) -> str:
    """Cards at readers: in order, blocked, expired, unknown."""
    if not stage.operator.has_played("authorize"):
        withdrawn = set(stage.world.blocked + stage.world.expired)
        usual = [row["token_uid"] for row in stage.world.rows if row["token_uid"] not in withdrawn][:10]
        presented = [*usual, *stage.world.blocked[:2], *stage.world.expired[:2], STRANGER]
        stage.operator.play("authorize", stage.show, uids=presented)
    answers = stage.operator.state()["played"]["authorize"]["answers"]
    allowed = sum(answer["allowed"] == "ALLOWED" for answer in answers)
    return f"{len(answers)} cards were held to readers: {allowed} may charge, {len(answers) - allowed} may not."


def sessions(stage: Stage) -> str:
    if not stage.operator.has_played("sessions"):
        stage.operator.play("sessions", stage.show, count=SESSIONS)
    told = stage.operator.state()["played"]["sessions"]
    return f"Drivers charge: {told['sessions'].get('ACTIVE', 0)} sessions run, {told['sessions'].get('COMPLETED', 0)} ended."


def pushes(stage: Stage) -> str:
    if not stage.operator.has_played("cdrs"):
        stage.operator.play("cdrs", stage.show, month=f"{stage.world.month:%Y-%m}", count=CDRS, pull_only=PULL_ONLY)
    told = stage.operator.state()["played"]["cdrs"]
    return (
        f"{told['made']} CDRs of {stage.world.month:%B %Y}: all but {told['pull_only']} were pushed, one was refused."
    )


def pull(stage: Stage) -> str:
    feed = Feed.objects.get(partner__in=partners(), module=Feed.Module.CDRS)
    if not (stage.folder / "pulled").exists():
        asked_at = timezone.now()
        want(feed, asked_at)
        stage.until(lambda: Feed.objects.filter(pk=feed.pk, last_good_at__gte=asked_at).exists(), "the CDRs are pulled")
        (stage.folder / "pulled").touch()
    return f"Celery pulled the rest: {Cdr.objects.count()} CDRs are here."


def rating(stage: Stage) -> str:
    stage.until(lambda: is_all_judged(stage), "every CDR is rated or held")
    return f"Celery rated them; {Cdr.objects.filter(held__isnull=False).count()} is held, with its reason."


def is_all_judged(stage: Stage) -> bool:
    of_netting = Netting.objects.filter(original=OuterRef("pk")) | Netting.objects.filter(credit=OuterRef("pk"))
    open_ones = Cdr.objects.filter(charges=None, held=None).exclude(Exists(of_netting)).count()
    stage.show(f"{open_ones} left")
    return open_ones == 0 and not Cdr.objects.filter(checked_at=None).exists()


def run(stage: Stage) -> str:
    if not Invoice.objects.filter(period=stage.world.month).exists():
        invoicing.issue(stage.world.month, timezone.now())
    return f"The run of {stage.world.month:%B %Y} issued {Invoice.objects.count()} numbered invoices with VAT."


def documents(stage: Stage) -> str:
    def are_rendered() -> bool:
        left = Document.objects.filter(rendered_at=None).count()
        stage.show(f"{left} left")
        return left == 0

    stage.until(are_rendered, "the invoices are rendered")
    return f"Celery rendered {Document.objects.count()} PDFs."


CHAPTERS = (company, registration, publication, cards, readers, sessions, pushes, pull, rating, run, documents)


def partners():
    return Partner.objects.filter(
        parties__in=Party.objects.filter(country_code=PARTY[0], party_id=PARTY[1]), state=Partner.State.CONNECTED
    )


def us() -> objects.Party:
    return objects.Party(settings.OCPI_COUNTRY_CODE, settings.OCPI_PARTY_ID)
