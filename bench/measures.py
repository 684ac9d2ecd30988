"""What a measurement is: how much was done in what time, beside a ceiling that did the like of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """`ours` and `ceiling` are in `unit` per second; `bar` is the least ratio asked for, None if none is."""

    name: str
    rows: int | None
    ours: float
    ceiling: float
    ceiling_name: str
    unit: str
    bar: float | None = None

    @property
    def ratio(self) -> float:
        return self.ours / self.ceiling

    @property
    def is_met(self) -> bool:
        return self.bar is None or self.ratio >= self.bar

    def cells(self) -> list[str]:
        bar = "" if self.bar is None else f"{self.bar:.2f} {'met' if self.is_met else 'MISSED'}"
        rows = f"{self.rows:,}" if self.rows else ""
        return [
            self.name,
            rows,
            f"{self.ours:,.0f} {self.unit}",
            self.ceiling_name,
            f"{self.ceiling:,.0f}",
            f"{self.ratio:.3f}",
            bar,
        ]


HEADER = ["path", "rows", "ours, per second", "ceiling", "per second", "ratio", "bar"]


def as_table(measures: list[Measure]) -> str:
    """A Markdown table."""
    lines = [HEADER, ["---"] * len(HEADER), *(measure.cells() for measure in measures)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def rate(count: int, work: Callable[[], object]) -> float:
    """How many a second."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)
