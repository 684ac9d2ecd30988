"""python -m trust.campaign SEED OUT [GOAL]: one world and its scenarios. OUT holds the rows of the table as JSON."""

import json
import random
import sys
import time
from pathlib import Path

from emsp import launch, local
from emsp.demo import cast

MOST_SHOWN = 5


def main(seed: int, out: Path, only: str = "") -> int:
    try:
        return _campaign(seed, out, only)
    except launch.FAILURES as problem:
        sys.stdout.write(f"{problem}\n")
        return 1


def _campaign(seed: int, out: Path, only: str) -> int:
    found = []
    with launch.running(_operator(seed).simulated) as platform:
        local.set_up_django()
        for row in _played(platform, seed, only):
            found.append(row)
            out.write_text(json.dumps(found))
    return int(any(row["verdict"] != "good" for row in found))


def _operator(seed: int):
    return cast.LADDNAT._replace(simulated=launch.Simulated("simulator", ("--seed", str(seed))))


def _played(platform: launch.Platform, seed: int, only: str):
    """The first handshake always: without it nobody is connected."""
    from trust import scenarios

    field = _open(platform, seed)
    first, *others = scenarios.SCENARIOS
    for scenario in (first, *(one for one in others if not only or only in one.fault.split())):
        yield _tried(field, scenario, seed)


def _open(platform: launch.Platform, seed: int):
    from django.utils import timezone

    from apps.partners.models import Partner
    from emsp.demo import founding, story
    from emsp.demo.cpo import Operator
    from emsp.demo.world import month_before
    from trust.field import Field, world_of

    platform.family.start(mortal(platform.family.kill("web")))
    dice = random.Random(seed)
    month = month_before(timezone.localdate())
    world = world_of(month, dice)
    founding.found(world, story.us(), timezone.now())
    Partner.objects.get_or_create(name=cast.LADDNAT.name, defaults={"pace": story.PACE})
    stage = story.Stage((Operator(_operator(seed)),), world, local.data_dir() / "books", _say, _say)
    made = Field(platform, stage, dice)
    made.wait_for_web()
    return made


def mortal(web):
    """Web served by trust.wsgi, on the socket that it had."""
    from emsp.processes import Process

    return Process("web", [*web.command, "trust.wsgi"], web.log, pass_fds=web.pass_fds)


def _tried(field, scenario, seed: int) -> dict:
    from trust import history
    from trust.field import NotHealed

    began, injected, healed = time.monotonic(), "", 0.0
    try:
        injected = scenario.play(field)
        healed = field.heal(span=scenario.span, is_hurried=scenario.is_hurried)
        wrong = history.complaints(field.stage)
        if scenario.is_issued:
            wrong += history.books(field.stage, field.stage.folder)
    except Exception as failure:  # a scenario that breaks must not hide the others
        wrong = [f"{type(failure).__name__}: {failure}"]
        if not isinstance(failure, NotHealed):
            sys.excepthook(*sys.exc_info())
    counted = "" if wrong else ", ".join(f"{count} {name}" for name, count in history.effects().items())
    row = {
        "counted": counted,
        "fault": scenario.fault, "name": scenario.name, "seed": seed, "injected": injected,
        "seconds": time.monotonic() - began, "healed": healed, "wrong": wrong, "verdict": "FAILED" if wrong else "good",
    }  # fmt: skip
    _print(row)
    return row


def _print(row: dict) -> None:
    times = f"{row['seconds']:5.0f} s {row['healed']:5.0f} s"
    sys.stdout.write(
        f"{row['fault']:6} {row['name']:36} {row['seed']:4} {row['verdict']:6} {times}  {row['injected']}\n"
        f"{'':54}counted {row['counted']}\n"
    )
    for complaint in row["wrong"][:MOST_SHOWN]:
        sys.stdout.write(f"         {complaint}\n")
    if len(row["wrong"]) > MOST_SHOWN:
        sys.stdout.write(f"         and {len(row['wrong']) - MOST_SHOWN} more\n")
    sys.stdout.flush()


def _say(_text: str) -> None:
    """The table says it."""


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
