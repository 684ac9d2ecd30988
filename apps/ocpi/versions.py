"""The stair of versions: reading climbs to 2.3.0 one version at a time, writing descends from it."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from types import ModuleType
from typing import Any, NamedTuple

import msgspec

from . import modules, objects, reader, v211, v221, v230
from .collector import written
from .demands import Demands, respelt
from .errors import MOST_PROBLEMS, InvalidObject, Problem
from .leniency import concerns_money
from .objects import Party
from .settling import texts_of
from .types import write_moment

STRICT = frozenset({"cdr", "session", "session_patch", "tariff"})
"""Where money depends on the bytes having one meaning only (decision 14)."""

LONGEST_HEADER = 512


class Reading(NamedTuple):
    """An object, and what was odd about it."""

    object: Any
    warnings: list[Problem]


class Version:
    """One version of OCPI, and the next newer one that it is explained by."""

    def __init__(self, number: str, differences: ModuleType, newer: "Version | None" = None):
        self.number = number
        self.newer = newer
        self.modules = modules.MODULES[number]
        self.offered = frozenset(module.identifier for module in self.modules)
        self.commands = differences.COMMANDS
        self.encodes_token = newer is None or newer.newer is None
        self.knows_unknown_token = self.encodes_token
        self.has_fractions = self.encodes_token
        self.has_routing = self.encodes_token
        self.has_types_of_tokens = self.encodes_token
        self.patches_tariffs = not self.encodes_token
        self.embeds_places = not self.encodes_token
        self._differences = differences
        required, expected = differences.REQUIRED, differences.EXPECTED
        self._required = _demands(required)
        self._expected = _demands(expected)
        self._demanded = _demands(
            {kind: (*required.get(kind, ()), *expected.get(kind, ())) for kind in {*required, *expected}}
        )
        self._ascent = {kind: tuple(self._steps("UPGRADES", kind)) for kind in v230.OBJECTS}
        written_kinds = (*v230.OBJECTS, *map(str.lower, v230.COMMANDS))
        self._descent = {kind: tuple(reversed(list(self._steps("DOWNGRADES", kind)))) for kind in written_kinds}

    def __str__(self) -> str:
        return self.number

    def __repr__(self) -> str:
        return f"Version({self.number!r})"

    def _steps(self, name: str, kind: str):
        step = getattr(self._differences, name).get(kind)
        if step is not None:
            yield step
        if self.newer is not None:
            yield from self.newer._steps(name, kind)

    def upgrade(self, kind: str, data, owner: Party):
        """Climb to 2.3.0. Steps never fail: judging is the reader's."""
        for step in self._ascent[kind]:
            data = step(data, owner)
        return data

    def spell(self, kind: str, path: str) -> str:
        """A canonical path in the words of this version."""
        newer = self.newer.spell(kind, path) if self.newer is not None else path
        return respelt(newer, self._differences.SPELT.get(kind, {}))

    def read(self, kind: str, body: bytes, owner: Party, *, forgives_gaps: bool = False) -> Reading:
        """Read an object; InvalidObject lists every problem, spelt as the sender spells it (decision 10).

        `forgives_gaps`: where this version demands more than we need, what is missing is a warning, unless an amount is
        in doubt without it.
        """
        sent = reader.decode(reader.only_one(body), strict=kind in STRICT)
        if not isinstance(sent, dict):
            raise InvalidObject([Problem("", "expected an object")])
        missing, unexpected = self._missing(kind, sent)
        if forgives_gaps:
            unexpected = [*unexpected, *(gap for gap in missing if not concerns_money(gap))]
            missing = [gap for gap in missing if concerns_money(gap)]
        canonical = self.upgrade(kind, sent, owner)
        usual = reader.usual_object(canonical, v230.OBJECTS[kind], texts_of(body))
        if usual is not None and not missing and not unexpected:
            return Reading(usual, [])
        judged = reader.collected(canonical, v230.OBJECTS[kind])
        if judged.problems or missing:
            raise InvalidObject(_unique([*self._spelt(kind, judged.problems), *missing]))
        return Reading(judged.object, [*self._spelt(kind, judged.warnings), *unexpected])

    def _missing(self, kind: str, sent: dict) -> tuple[Sequence[Problem], Sequence[Problem]]:
        """Fields that are required, and fields that are only expected."""
        demanded = self._demanded.get(kind)
        if demanded is None or demanded.are_met(sent):
            return NOTHING_MISSING
        return _missing(self._required.get(kind), sent), _missing(self._expected.get(kind), sent)

    def _spelt(self, kind: str, findings: list) -> list[Problem]:
        return [Problem(self.spell(kind, written(path)), reason) for path, reason in findings]

    def read_location(self, body: bytes, owner: Party) -> Reading:
        return self.read("location", body, owner)

    def read_evse(self, body: bytes, owner: Party) -> Reading:
        return self.read("evse", body, owner)

    def read_connector(self, body: bytes, owner: Party) -> Reading:
        return self.read("connector", body, owner)

    def read_tariff(self, body: bytes, owner: Party) -> Reading:
        return self.read("tariff", body, owner)

    def read_session(self, body: bytes, owner: Party) -> Reading:
        return self.read("session", body, owner)

    def read_cdr(self, body: bytes, owner: Party) -> Reading:
        return self.read("cdr", body, owner)

    def read_token(self, body: bytes, owner: Party) -> Reading:
        return self.read("token", body, owner)

    def read_location_references(self, body: bytes, owner: Party | None = None) -> Reading:
        return self.read("location_references", body, owner or NOBODY)

    def read_authorization(self, body: bytes, owner: Party | None = None) -> Reading:
        return self.read("authorization", body, owner or NOBODY)

    def read_credentials(self, body: bytes, owner: Party | None = None) -> Reading:
        return self.read("credentials", body, owner or NOBODY)

    def read_version_details(self, body: bytes, owner: Party | None = None) -> Reading:
        return self.read("version_details", body, owner or NOBODY)

    def read_command_response(self, body: bytes, owner: Party | None = None) -> Reading:
        return self.read("command_response", body, owner or NOBODY)

    def read_command_result(self, body: bytes, owner: Party | None = None) -> Reading:
        return self.read("command_result", body, owner or NOBODY)

    def read_location_patch(self, body: bytes, owner: Party, *, undated: bool = False) -> Reading:
        return self.read("location_patch", body, owner, forgives_gaps=undated)

    def read_evse_patch(self, body: bytes, owner: Party, *, undated: bool = False) -> Reading:
        return self.read("evse_patch", body, owner, forgives_gaps=undated)

    def read_connector_patch(self, body: bytes, owner: Party, *, undated: bool = False) -> Reading:
        return self.read("connector_patch", body, owner, forgives_gaps=undated)

    def read_session_patch(self, body: bytes, owner: Party, *, undated: bool = False) -> Reading:
        return self.read("session_patch", body, owner, forgives_gaps=undated)

    def write(self, kind: str, canonical, *, nulls: bool = False) -> dict:
        """The object in the words of this version: what says nothing is left out, or null; times are text."""
        data = _in_full(canonical, self.has_fractions) if nulls else _present(canonical, self.has_fractions)
        for step in self._descent[kind]:
            data = step(data)
        return data

    def write_credentials(self, credentials: objects.Credentials, *, flat: bool = False) -> dict:
        """Flat: the party also where the oldest version has it, which some look for in every version."""
        told = self.write("credentials", credentials)
        return V211.write("credentials", credentials) | told if flat else told

    def write_session(self, session: objects.Session, place: Any = None) -> dict:
        """A session, in 2.1.1 with its whole location, as far as that is known (mod_sessions, Session object)."""
        told = self.write("session", session)
        if self.embeds_places and place is not None:
            told["location"] = self.write("location", place)
        return told

    def place_in(self, session: bytes, owner: Party) -> objects.Location | None:
        """The location that a session of 2.1.1 brought along; None where a version only names it."""
        if not self.embeds_places:
            return None
        try:
            return self.read_location(reader.part_of(session, "location"), owner).object
        except InvalidObject:
            return None

    def authorization(self, token: str, form: str = "auto") -> str:
        """The Authorization header. Since 2.2 the token is in base64; many peers did not notice (TR-02, TR-03)."""
        encoded = form == "base64" or (form == "auto" and self.encodes_token)
        return "Token " + (base64.b64encode(token.encode()).decode() if encoded else token)

    def status_code(self, code: int) -> int:
        """2.1.1 has no code for an unknown token (status_codes, 2xxx)."""
        return 2001 if code == 2004 and not self.knows_unknown_token else code


NOTHING_MISSING = (), ()

NOBODY = Party("", "")
"""Objects that belong to no party need no owner."""


def _demands(paths_of_kinds: dict[str, tuple[str, ...]]) -> dict[str, Demands]:
    return {kind: Demands(paths) for kind, paths in paths_of_kinds.items() if paths}


def _missing(demands: Demands | None, sent: dict) -> list[Problem]:
    """As many as are told, and one more (see `errors.MOST_PROBLEMS`)."""
    if demands is None:
        return []
    paths = islice(demands.missing(sent), MOST_PROBLEMS + 1)
    return [Problem(written(path), "required") for path in paths]


def _unique(problems: Iterable[Problem]) -> list[Problem]:
    """One field, one problem: what a version requires is often required canonically too."""
    return list({problem.path: problem for problem in reversed(list(problems))}.values())[::-1]


def _present(value, fractions: bool):
    """Builtins without whatever is None or empty."""
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value, builtin_types=(datetime, Decimal))
    if isinstance(value, dict):
        kept = {name: _present(item, fractions) for name, item in value.items() if item is not None}
        return {name: item for name, item in kept.items() if item != [] or name == "taxes"}
    if isinstance(value, (list, tuple)):
        return [_present(item, fractions) for item in value]
    return write_moment(value, fraction=fractions) if isinstance(value, datetime) else value


def _in_full(value, fractions: bool):
    """Builtins with whatever is None or empty, which msgspec would leave out."""
    if isinstance(value, msgspec.Struct):
        value = {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(type(value))}
    if isinstance(value, dict):
        return {name: _in_full(item, fractions) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_full(item, fractions) for item in value]
    return write_moment(value, fraction=fractions) if isinstance(value, datetime) else value


V230 = Version("2.3.0", v230)
V221 = Version("2.2.1", v221, newer=V230)
V211 = Version("2.1.1", v211, newer=V221)

VERSIONS = {version.number: version for version in (V211, V221, V230)}

for _struct in (*v230.OBJECTS.values(), objects.VersionRef):
    msgspec.json.Decoder(_struct)
"""msgspec learns a class at its first use; if another thread uses it meanwhile, the process dies. So that is done here."""

LISTED = tuple(VERSIONS.values())
"""What /ocpi/versions shows: versions whose modules are all built (decision 4)."""


def best_mutual(numbers: Iterable[str], ours: tuple[Version, ...] = LISTED) -> Version | None:
    """The newest version both speak; what we never heard of is ignored (VER-04)."""
    offered = set(numbers)
    return next(
        (version for version in reversed(VERSIONS.values()) if version in ours and version.number in offered), None
    )


def read_versions(body: bytes) -> list[objects.VersionRef]:
    """The list of versions a platform speaks; it is the same in every version, and of unknown ones only the name."""
    sent = reader.decode(body)
    if not isinstance(sent, list):
        raise InvalidObject([Problem("", "expected a list of versions")])
    judged = [reader.judge(item, objects.VersionRef) for item in sent]
    return [judgement.object for judgement in judged if judgement.object is not None]


def read_preferences_response(body: bytes) -> str:
    """What a CPO says to charging preferences: one word, the same in every version (mod_sessions, PUT Method)."""
    said = reader.decode(body)
    if not isinstance(said, str):
        raise InvalidObject([Problem("", "expected a word, such as ACCEPTED")])
    return said


def token_forms(header: str) -> list[str]:
    """The credentials tokens that an Authorization header may mean: as written, and decoded (TR-03, trust S5)."""
    match = re.fullmatch(r"token +([!-~]+)", header.strip(" "), re.IGNORECASE | re.ASCII)
    if match is None or len(header) > LONGEST_HEADER:
        return []
    decoded = _decoded(match[1])
    return [match[1]] if decoded in (None, match[1]) else [match[1], decoded]


def _decoded(token: str) -> str | None:
    """Strict base64, padding forgiven; both examples of the specification end in a line break."""
    try:
        padded = token.rstrip("=") + "=" * (-len(token.rstrip("=")) % 4)
        decoded = base64.b64decode(padded, validate=True).decode("ascii").rstrip("\r\n")
    except (binascii.Error, ValueError):
        return None
    return decoded if re.fullmatch(r"[!-~]+", decoded) else None


def same_cdr(a: objects.Cdr, b: objects.Cdr, version_a: Version, version_b: Version) -> bool:
    """Do two CDRs of one identity say the same, as far as both versions can say it (decision 19)?"""
    older = min(version_a, version_b, key=list(VERSIONS.values()).index)
    first, second = (_without_identity(older.write("cdr", cdr)) for cdr in (a, b))
    return first == second


def _without_identity(cdr: dict) -> dict:
    return {name: value for name, value in cdr.items() if name not in IDENTITY}


IDENTITY = ("country_code", "party_id", "id", "last_updated")

_LAST_UPDATED = b'"last_updated":"'


def content_hash(struct: msgspec.Struct) -> bytes:
    """What an object says, whenever it was updated: some partners renew last_updated at every publishing (TR-20).

    The dates of its parts are of what it says: by them a part may be newer than the one we have, though it looks alike.
    """
    said = msgspec.json.encode(struct)
    start = said.rfind(_LAST_UPDATED)
    if start >= 0 and said.find(b'"', start + len(_LAST_UPDATED)) == len(said) - 2:  # the last field
        said = said[:start] + said[-1:]
    return hashlib.sha256(said).digest()
