"""Tables of a version, by path: what it requires (REQUIRED, EXPECTED), and how it spells (SPELT)."""

import re
from collections.abc import Iterator
from operator import itemgetter

from .collector import Path

INDEX = re.compile(r"\[\d+\]")


class Demands:
    """Names that must be there, and the objects to look into for more; in a list every object is looked into."""

    def __init__(self, paths: tuple[str, ...]):
        self.names = tuple(path for path in paths if "." not in path)
        several = self.names if len(self.names) > 1 else self.names * 2  # itemgetter of one name would give no tuple
        self._pick = itemgetter(*several) if several else _nothing
        inside: dict[str, list[str]] = {}
        for path in paths:
            first, _, rest = path.partition(".")
            if rest:
                inside.setdefault(first, []).append(rest)
        self.inside = tuple((name, Demands(tuple(rest))) for name, rest in inside.items())

    def are_met(self, sent: dict) -> bool:
        try:
            if self.names and None in self._pick(sent):
                return False
        except KeyError:
            return False
        for name, demands in self.inside:
            value = sent.get(name)
            if type(value) is dict:
                if not demands.are_met(value):
                    return False
            elif type(value) is list:
                for item in value:
                    if type(item) is dict and not demands.are_met(item):
                        return False
        return True

    def missing(self, sent: dict, path: Path = ()) -> Iterator[Path]:
        yield from ((*path, name) for name in self.names if sent.get(name) is None)
        for name, demands in self.inside:
            value = sent.get(name)
            if type(value) is dict:
                yield from demands.missing(value, (*path, name))
            elif type(value) is list:
                for index, item in enumerate(value):
                    if type(item) is dict:
                        yield from demands.missing(item, (*path, name, index))


def _nothing(sent: dict) -> tuple:
    return ()


def respelt(path: str, spelt: dict[str, str]) -> str:
    """Replace the longest known beginning of a path; indices stay with the lists they belong to.

    >>> respelt("evses[2].connectors[0].tariff_ids[1]", {"evses[].connectors[].tariff_ids[]": "evses[].connectors[].tariff_id"})
    'evses[2].connectors[0].tariff_id'
    """
    shape, indices = INDEX.sub("[]", path), INDEX.findall(path)
    for end in [len(shape), *(match.start() for match in reversed(list(re.finditer(r"\.|\[\]", shape))))]:
        beginning, rest = shape[:end], shape[end:]
        if beginning in spelt:
            first, later = indices[: beginning.count("[]")], indices[beginning.count("[]") :]
            return _filled(spelt[beginning], first) + _filled(rest, later)
    return path


def _filled(shape: str, indices: list[str]) -> str:
    for index in indices[: shape.count("[]")]:
        shape = shape.replace("[]", index, 1)
    return shape
