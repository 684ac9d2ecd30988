"""Bodies of every kind as a CPO in Stockholm would send them in each version; they say the same, as far as it can."""

import json
from decimal import Decimal
from pathlib import Path

from apps.ocpi.objects import Party

FOLDER = Path(__file__).parent / "bodies"
VERSIONS = ("2.1.1", "2.2.1", "2.3.0")
KINDS = tuple(sorted({path.stem for path in FOLDER.glob("*/*.json")}))
EVERY = tuple((version, kind) for version in VERSIONS for kind in KINDS if (FOLDER / version / f"{kind}.json").exists())
"""Before 2.2 nobody told of who is behind a hub, and before 2.3 of what an invoice is for."""

OWNER = Party("SE", "LAD")


def body(version: str, kind: str) -> bytes:
    return (FOLDER / version / f"{kind}.json").read_bytes()


def sent(version: str, kind: str) -> dict:
    """The same as builtins, to be changed by a test; numbers are exact."""
    return json.loads(body(version, kind), parse_float=Decimal)


def as_bytes(value) -> bytes:
    return json.dumps(value, default=float).encode()


def without(whole: dict, path: str) -> dict:
    """The body without one field; the path names the place as a problem does: evses[0].uid."""
    place, last = _place(whole, path)
    del place[last]
    return whole


def replaced(whole: dict, path: str, value) -> dict:
    """The body with one field set to something else."""
    place, last = _place(whole, path)
    place[last] = value
    return whole


def _place(whole, path: str):
    *parents, last = [int(step[1:-1]) if step.startswith("[") else step for step in path.replace("[", ".[").split(".")]
    for step in parents:
        whole = whole[step]
    return whole, last
