"""python -m trust.day [--seed 1] [--minutes 3]: a day of traffic in minutes, by two operators with every fault there is.

Both play CDRs, sessions and EVSE statuses, one of them in 2.1.1, while their own servers answer late, wrongly, twice or
not at all, cards are blocked and unblocked, and everything is pulled again and again. Then the faults end, a week passes,
and what is here has to equal both ledgers: nothing lost, nothing invented, nothing doubled (trust T2, T3).
"""

import argparse
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from emsp import launch, local
from emsp.demo import cast

MOST_SHOWN = 20
CHAPTERS = ("company", "registration", "publication", "cards")
A_WEEK = timedelta(days=8)
"""After so long everything is compared as a whole, and not only what changed."""

ROUND_S = 2
CDRS: dict[str, Any] = {"step": "cdrs", "count": 40, "pull_only": 8}
STEPS: tuple[dict[str, Any], ...] = (
    {"step": "sessions", "count": 8, "others": 4},
    {"step": "status", "count": 12},
    CDRS,
)
RARE, OFTEN = 0.01, 0.03
FAULTS: tuple[dict[str, Any], ...] = (
    {"name": "slow", "value": 2, "chance": OFTEN},
    {"name": "busy", "value": 1, "chance": OFTEN},
    {"name": "busy_silent", "chance": OFTEN},
    {"name": "status", "value": 500, "chance": OFTEN},
    {"name": "code", "value": 3000, "chance": RARE},
    {"name": "code", "value": 2000, "chance": RARE},
    {"name": "down", "chance": OFTEN},
    {"name": "lost_reply", "chance": OFTEN},
    {"name": "cut_body", "chance": OFTEN},
    {"name": "not_json", "chance": RARE},
    {"name": "gzip_bomb", "value": 32, "chance": RARE},
    {"name": "redirect", "value": "/elsewhere", "chance": RARE},
    {"name": "rotated_token", "chance": RARE},
    {"name": "page_limit", "value": 1, "chance": OFTEN},
    {"name": "shrinking_page", "chance": OFTEN},
    {"name": "foreign_next", "value": "http://127.0.0.1:9/elsewhere", "chance": OFTEN},
    {"name": "cycle", "chance": OFTEN},
    {"name": "no_headers", "chance": OFTEN},
    {"name": "no_total", "chance": OFTEN},
    {"name": "no_link", "chance": OFTEN},
    {"name": "ignored_limit", "chance": OFTEN},
    {"name": "ignored_offset", "chance": RARE},
    {"name": "ignored_dates", "chance": OFTEN},
    {"name": "repeated_id", "chance": OFTEN},
    {"name": "bumped", "module": "cdrs", "chance": OFTEN},
    {"name": "missing", "value": "currency", "module": "cdrs", "method": "GET", "chance": OFTEN},
    {"name": "sent_missing", "value": "currency", "module": "cdrs", "method": "POST", "chance": OFTEN},
)
"""All but those that lie for good about what they hold, which nobody can mend afterwards."""


def main() -> int:
    options = _options()
    roles = [_role(role, options.seed) for role in (cast.LADDNAT, cast.KUSTEL)]
    with launch.running(*(role.simulated for role in roles)) as platform:
        local.set_up_django()
        return _told(Day(_opened(platform, roles, options.seed), options.seed), options)


def _role(role: cast.Role, seed: int) -> cast.Role:
    simulated = role.simulated
    return role._replace(simulated=launch.Simulated(simulated.name, (*simulated.options, "--seed", str(seed))))


def _opened(platform: launch.Platform, roles: list[cast.Role], seed: int):
    from django.utils import timezone

    from emsp.demo import story
    from emsp.demo.cpo import Operator
    from emsp.demo.world import month_before
    from trust.field import Field, world_of

    dice = random.Random(seed)
    month = month_before(timezone.localdate())
    stage = story.Stage(
        tuple(map(Operator, roles)), world_of(month, dice), local.data_dir() / "books", _say, lambda _: None
    )
    for chapter in CHAPTERS:
        _say(getattr(story, chapter)(stage))
    return Field(platform, stage, dice)


class Day:
    """The traffic of both, each played by a thread; `months` are those whose CDRs were sent."""

    def __init__(self, field, seed: int):
        self.field, self.dice = field, random.Random(f"day {seed}")
        self.months: dict[str, list[str]] = {operator.role.name: [] for operator in field.stage.operators}
        self.played: Counter[str] = Counter()
        self.errors: list[str] = []
        self._is_over = threading.Event()

    def pass_by(self, seconds: float) -> None:
        players = [threading.Thread(target=self._play, args=(one,)) for one in self.field.stage.operators]
        for operator, player in zip(self.field.stage.operators, players, strict=True):
            for fault in FAULTS:
                operator.do("fault", **fault)
            player.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._disturb()
            time.sleep(ROUND_S)
        self._is_over.set()
        for player in players:
            player.join()

    def _play(self, operator) -> None:
        from trust.field import months_before

        months = months_before(self.field.stage.world.month)
        try:
            while not self._is_over.is_set():
                for step in STEPS:
                    self._step(operator, step, months)
        except Exception as error:
            self.errors.append(f"{operator.role.name}: {error!r}")
            raise

    def _step(self, operator, step: dict, months: Iterator[str]) -> None:
        if step is CDRS:
            self.months[operator.role.name].append(next(months))
            _send_month(operator, self.months[operator.role.name][-1])
        else:
            operator.do("play", **step)
        self.played[step["step"]] += 1

    def _disturb(self) -> None:
        """Hours pass, everything is asked for, and a card is taken from its driver or given back."""
        from django.utils import timezone

        from apps.tokens.blocking import block_token, unblock_token

        self.field.pass_time()
        self.field.knock()
        card = self.field.some_card()
        block_token(card, timezone.now())
        if self.dice.random() < 0.5:
            unblock_token(card, timezone.now())
        self.played["cards"] += 1

    def repeat(self) -> None:
        """What got no answer is sent again, as an operator does."""
        for operator in self.field.stage.operators:
            for month in self.months[operator.role.name]:
                _send_month(operator, month)


def _send_month(operator, month: str) -> None:
    operator.do("play", **CDRS, month=month, odd=operator.role.is_odd)


def _told(day: Day, options: argparse.Namespace) -> int:
    from trust import history

    day.pass_by(options.minutes * 60)
    healing = day.field.heal(span=A_WEEK)
    day.repeat()
    healing += day.field.heal()
    wrong = [*day.errors, *history.complaints(day.field.stage)]
    struck = Counter(entry["id"] for ledger in history.read(day.field.stage) for entry in ledger.entries["fault"])
    _say(f"seed {options.seed}: played {', '.join(f'{count} of {step}' for step, count in day.played.items())}")
    _say(f"faults that struck: {', '.join(f'{name} {count}' for name, count in struck.most_common())}")
    _say(
        f"here: {', '.join(f'{count} {name}' for name, count in history.effects().items())}; healed in {healing:.0f} s"
    )
    for line in wrong[:MOST_SHOWN]:
        _say(f"  {line}")
    _say(f"{len(wrong)} wrong")
    return int(bool(wrong))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trust.day", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
