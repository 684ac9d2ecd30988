"""Work by workers of their own: half a million EVSEs pulled by one, CDRs of two partners and cards pushed by two."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from django.utils import timezone

from apps.locations.models import Evse
from apps.ocpi.objects import Party
from apps.partners.models import Partner
from apps.tokens.announcing import enlist
from apps.tokens.models import TokenDelivery

from . import rooms, world
from .measures import Measure, rate

EVSES, PAGE, MEGABYTES = 500_000, 1000, 400
SLOWER, QUICKER = 2.5, 4
"""What a first pull may take beside upserts of the same rows, and a second one beside the first."""

CDRS, OWNERS = 20_000, (world.OWNER, Party("DE", "TWO"))
GAIN = 1.6
"""What a second worker has to bring."""


def measure(folder: Path) -> Iterator[Measure]:
    yield from large_sync(folder)
    yield from second_worker(folder)
    yield from tokens_pushed(folder)


def large_sync(folder: Path) -> Iterator[Measure]:
    world.empty()
    partner, _ = world.connect()
    with rooms.operator(world.locations(EVSES), PAGE, folder) as url:
        world.offer(partner, "locations", f"{url}/locations")
        (first,), (again,) = worked("locations", partner), worked("locations", partner)
    if Evse.objects.count() != EVSES:
        raise RuntimeError(f"{Evse.objects.count()} EVSEs are here")
    ours, unchanged = EVSES / first["seconds"], EVSES / again["seconds"]
    larger = {upsert: count * PAGE // rooms.PAGE_OF_LOCATIONS for upsert, count in rooms.PLACES.items()}
    floor = rate(EVSES, rooms.upserting(larger))
    yield Measure("location pull, first", EVSES, ours, floor, "upsert", "EVSEs", 1 / SLOWER)
    yield Measure("location pull, unchanged", EVSES, unchanged, ours, "first pull", "EVSEs", QUICKER)
    most = max(first["megabytes"], again["megabytes"])
    yield Measure(
        "EVSEs pulled for a megabyte of memory", EVSES, EVSES / most, EVSES / MEGABYTES, "asked for", "EVSEs", 1
    )


def second_worker(folder: Path) -> Iterator[Measure]:
    one, two = (CDRS * len(owners) / cdrs_pulled(owners, folder) for owners in (OWNERS[:1], OWNERS))
    yield Measure("CDR pull, two workers", 2 * CDRS, two, one, "one worker", "CDRs", GAIN)


def cdrs_pulled(owners: Sequence[Party], folder: Path) -> float:
    """Seconds, until the last worker has those of its partner."""
    world.empty()
    uids = world.enrol_cards(CDRS)
    partners = [world.connect(owner)[0] for owner in owners]
    with ExitStack() as operators:
        for owner, partner in zip(owners, partners, strict=True):
            bodies = world.cdrs(uids, CDRS, owner)
            url = operators.enter_context(rooms.operator(bodies, rooms.PAGE_OF_CDRS, folder))
            world.offer(partner, "cdrs", f"{url}/cdrs")
        rooms.settle()
        return max(one["seconds"] for one in worked("cdrs", *partners))


def tokens_pushed(folder: Path) -> Iterator[Measure]:
    """Every card, to somebody who takes it at once."""
    world.empty()
    world.enrol_cards(CDRS)
    partner, _ = world.connect()
    with rooms.operator([], rooms.PAGE_OF_CDRS, folder) as url:
        world.listen(partner, f"{url}/tokens")
        enlist(partner, timezone.now())
        took = max(one["seconds"] for one in worked("tokens", partner, partner))
    if (known := TokenDelivery.objects.filter(due_at=None, confirmed_version__gt=0).count()) != CDRS:
        raise RuntimeError(f"{known} tokens are known to the partner, and not {CDRS}")
    yield Measure("token push, two workers", CDRS, CDRS / took, 2_000, "asked for", "tokens", 1)


def worked(module: str, *partners: Partner) -> list[dict]:
    """What the workers say, one for each that is named, that begin together."""
    commands = ([sys.executable, "-m", "bench.hand", module, partner.name] for partner in partners)
    hands = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for command in commands
    ]
    for hand in hands:
        hand.stdout.readline()
    for hand in hands:
        hand.stdin.write("\n")
        hand.stdin.flush()
    return [json.loads(hand.communicate()[0]) for hand in hands]
