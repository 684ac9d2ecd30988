"""The only way in for objects that partners send: a push, a page of a pull, and what staff mended are the same.

Every body is read by itself, so that one bad object costs one row of the quarantine and spoils no other (trust D13).
What we cannot take is kept there with every reason (decision 3); what we take is handed to the room of its module,
one object per key and in key order (decision 18).
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from django.db import DataError, IntegrityError, InterfaceError, OperationalError, transaction

from apps.ocpi import objects
from apps.ocpi.errors import InvalidObject, NotJson, OcpiError, Problem
from apps.ocpi.versions import Reading, Version, content_hash
from apps.partners import quarantine
from apps.partners.models import Partner, Party
from apps.partners.recognition import Kept, Standing, named
from apps.partners.scope import Key, claim_of, key_of, oldest_party_of, parties_of

log = logging.getLogger(__name__)

ANOTHER_CONTENT = "V-02"
FOREIGN = ("is not a role of its sender", quarantine.NOT_THEIRS)
OUR_FAULT = (Problem("", "we failed to process it; it is kept"),)


class Outcome(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"
    """Older than what we have: it changes nothing, and the sender is told 1000, or it would repeat it for ever."""
    CONFLICT = "conflict"
    """Says otherwise than what can no longer change."""
    REFUSED = "refused"
    FAILED = "failed"
    """The fault is ours: unforeseen, logged with its traceback, the bytes kept (decision 1)."""


KEPT_ASIDE = frozenset({Outcome.CONFLICT, Outcome.REFUSED, Outcome.FAILED})


class Incoming(NamedTuple):
    """An object that could be read, of a party that its sender may speak for."""

    party: Party
    object: Any
    version: Version
    body: bytes
    warnings: list[Problem]

    @property
    def key(self) -> tuple[int, str]:
        return self.party.pk, self.object.id.upper()

    @property
    def last_updated(self) -> datetime:
        return self.object.last_updated


class Stored(NamedTuple):
    """What a room did with an incoming object; `row` is how the room knows it (a primary key, a public id)."""

    outcome: Outcome
    row: Any = None
    problems: tuple[Problem, ...] = ()


Put = Callable[[Partner, list[Incoming], datetime], list[Stored]]


@dataclass(frozen=True)
class Intake:
    """A module's way in. `put` gets readable objects in key order and says of each what became of it.

    `kind` is what `Version.read` calls the object. `newest_only`: of one key only the newest is handed over; a room
    that must see every copy, because the first is the one that counts, says False. `kept` is where to recognise what
    comes again.
    """

    module: str
    kind: str
    put: Put
    newest_only: bool = True
    kept: Kept | None = None

    def sending(self, partner: Partner, version: Version) -> "Sending":
        return Sending(self, partner, version)

    def attempt(
        self,
        partner: Partner,
        version: Version,
        body: bytes,
        now: datetime,
        *,
        owner: Party | None = None,
        context: dict | None = None,
    ) -> "Taken":
        """As `take`, but what cannot be taken is only said, not kept: for staff who try a mended body."""
        (taken,) = Sending(self, partner, version, owner, context or {}).attempt([body], now)
        return taken


class Taken(NamedTuple):
    """What became of one body. `incoming` is None where it could not be read or is not the sender's to send, and where
    it had not to be read: then `standing` is what we have. `owner` is whose it is that is not the sender's to send."""

    body: bytes
    outcome: Outcome
    row: Any = None
    problems: tuple[Problem, ...] = ()
    code: str = ""
    incoming: Incoming | None = None
    standing: Standing | None = None
    owner: str = ""
    claim: Party | None = None
    quarantined: int | None = None

    @property
    def is_kept_aside(self) -> bool:
        return self.outcome in KEPT_ASIDE

    @property
    def told(self) -> Incoming | Standing | None:
        """What has a key and a date, if it was understood."""
        return self.incoming or self.standing

    def require(self) -> "Taken":
        """Raise what the sender is to be told if it was not taken: 2001 with every reason, or 3000."""
        if self.outcome is Outcome.FAILED:
            raise OcpiError(str(self.problems[0]), status_code=3000)
        if self.is_kept_aside:
            raise InvalidObject(list(self.problems))
        return self


class NotAtOnce(Exception):
    """What was taken in hope could not be stored as it is: roll everything back and take it again, not in hope."""


def take(
    intake: Intake,
    partner: Partner,
    version: Version,
    bodies: Iterable[bytes],
    now: datetime,
    *,
    owner: Party | None = None,
    context: dict | None = None,
    in_hope: bool = False,
) -> list[Taken]:
    """Take objects as they were sent, and keep aside what cannot be taken; one answer per body, in their order.

    `owner` is the party of the URL, or that a hub names as the sender: objects of others are refused then. Without it
    every party that the partner speaks for is good, and where the version names none it is the partner's own (LOC-10).
    `context` is what the URL said; an `id` in it must be the object's (TR-27). With a `method` in it NotJson is raised
    for a body that is none. `in_hope` spares the savepoint that nearly nobody needs: NotAtOnce is raised if it was
    needed after all.
    """
    return Sending(intake, partner, version, owner, context or {}, in_hope).take(list(bodies), now)


@dataclass(frozen=True)
class Sending:
    """How objects of one sender are taken: whose they are, how they are read, where they go."""

    intake: Intake
    partner: Partner
    version: Version
    owner: Party | None = None
    context: dict = field(default_factory=dict)
    in_hope: bool = False

    def take(self, bodies: list[bytes], now: datetime) -> list[Taken]:
        return [self._keep(one, now) if one.is_kept_aside else one for one in self.attempt(bodies, now)]

    def take_again(self, bodies: list[bytes], now: datetime) -> list[Taken]:
        """As `take`, where we have most of it: what we have to the byte is not even read."""
        standing = self._standing(bodies)
        pairs = list(zip(bodies, standing, strict=True))
        taken = iter(self.take([body for body, one in pairs if one is None], now))
        return [Taken(body, Outcome.UNCHANGED, one.row, standing=one) if one else next(taken) for body, one in pairs]

    def _standing(self, bodies: list[bytes]) -> list[Standing | None]:
        if self.intake.kept is None:
            return [None] * len(bodies)
        said = [named(body, self.version, self._implied_owner) for body in bodies]
        parties = self._parties_of({one.owner for one in said if one})
        names = [one and _with_party(parties.get(one.owner.key), one.id) for one in said]
        return self.intake.kept.standing(names, bodies, self.version)

    def attempt(self, bodies: list[bytes], now: datetime) -> list[Taken]:
        read = [self._read(body) for body in bodies]
        parties = self._parties_of({one.object.owner for one in read if isinstance(one, Reading)})
        judged = [self._judge(body, one, parties) for body, one in zip(bodies, read, strict=True)]
        stored = self._store([one.incoming for one in judged if one.incoming], now)
        return [_with_outcome(one, next(stored)) if one.incoming else one for one in judged]

    def _read(self, body: bytes) -> Reading | Stored:
        try:
            return self.version.read(self.intake.kind, body, self._implied_owner, forgives_gaps=self.partner.gaps)
        except InvalidObject as error:
            if isinstance(error, NotJson) and "method" in self.context:
                raise  # a message that is no JSON is no object of anybody (decision 1)
            return Stored(Outcome.REFUSED, problems=tuple(error.problems))
        except Exception:
            log.exception("a %s could not be read, and the fault is ours", self.intake.kind)
            return Stored(Outcome.FAILED, problems=OUR_FAULT)

    @cached_property
    def _implied(self) -> Party | None:
        """Whose an object is that does not say it: in 2.1.1 the URL does, or the connection, which is of one party."""
        if self.owner is None and not self.version.has_routing:
            return oldest_party_of(self.partner)
        return self.owner

    @cached_property
    def _implied_owner(self) -> objects.Party:
        party = self._implied
        return objects.Party(party.country_code, party.party_id) if party else objects.Party("", "")

    def _parties_of(self, owners: set[objects.Party]) -> dict[Key, Party]:
        """The party of the URL was looked up with the caller, and is mostly the only one, as is that of a connection."""
        implied = self._implied
        if implied is not None and implied.partner_id == self.partner.pk:
            key = key_of(implied.country_code, implied.party_id)
            if all(key_of(one.country_code, one.party_id) == key for one in owners):
                return {key: implied}
        return parties_of(self.partner, owners)

    def _judge(self, body: bytes, read: Reading | Stored, parties: dict[Key, Party]) -> Taken:
        """Is it the sender's to send, and is it what the URL says? (decision 16, TR-24, TR-27)"""
        if isinstance(read, Stored):
            return Taken(body, read.outcome, problems=read.problems)
        party = parties.get(read.object.owner.key)
        if party is None:
            return self._foreign(body, read.object.owner)
        problems = tuple(self._against_url(read.object, party))
        incoming = None if problems else Incoming(party, read.object, self.version, body, read.warnings)
        return Taken(body, Outcome.REFUSED, problems=problems, incoming=incoming)

    def _foreign(self, body: bytes, owner: objects.Party) -> Taken:
        """Not the sender's; or not yet, and then it is taken once staff approve of it (trust S10)."""
        key = key_of(owner.country_code, owner.party_id)
        claim = claim_of(self.partner, key)
        reason, code = ("waits to be approved here; this is kept", quarantine.NOT_YET) if claim else FOREIGN
        problems = (Problem("party_id", f"{owner} {reason}"),)
        named = "*".join(filter(None, key))
        return Taken(body, Outcome.REFUSED, problems=problems, code=code, owner=named, claim=claim)

    def _against_url(self, read, party: Party) -> Iterator[Problem]:
        if self.owner is not None and party != self.owner:
            yield Problem("party_id", f"{party} is not {self.owner}, of whom the message is")
        named = self.context.get("id")
        if named is not None and named.upper() != read.id.upper():
            yield Problem("id", f"{read.id} is not the one of the URL")

    def _store(self, incomings: list[Incoming], now: datetime) -> Iterator[Stored]:
        """What became of each, in the order given."""
        kept = _one_per_key(incomings) if self.intake.newest_only else incomings
        ordered = sorted(kept, key=lambda incoming: incoming.key)
        outcomes = {id(one): stored for one, stored in zip(ordered, self._put(ordered, now), strict=True)}
        heirs = {one.key: one for one in kept} if len(kept) < len(incomings) else {}
        for one in incomings:
            yield outcomes[id(one)] if id(one) in outcomes else _overtaken(one, heirs[one.key], outcomes)

    def _put(self, incomings: list[Incoming], now: datetime) -> list[Stored]:
        """Store all in one go, or find the one that does not fit by halving, log2(n) times (trust R12)."""
        if not incomings:
            return []
        try:
            with transaction.atomic(savepoint=not self.in_hope):
                return self.intake.put(self.partner, incomings, now)
        except (OperationalError, InterfaceError):
            raise  # the database, not the object: nothing is lost, the sender or the pull repeats it
        except Exception as error:
            if self.in_hope:
                raise NotAtOnce from error
            if len(incomings) == 1:
                return [_misfit(error)]
        half = len(incomings) // 2
        return self._put(incomings[:half], now) + self._put(incomings[half:], now)

    def _keep(self, one: Taken, now: datetime) -> Taken:
        row = quarantine.keep(
            self.partner,
            self.intake.module,
            self.version,
            one.body,
            one.problems,
            now,
            party=one.incoming.party if one.incoming else one.claim or self.owner,
            context=self.context,
            code=one.code,
            owner=one.owner,
        )
        return one._replace(quarantined=row)


def _with_party(party: Party | None, ocpi_id: str) -> tuple[Party, str] | None:
    return (party, ocpi_id) if party else None


def _one_per_key(incomings: list[Incoming]) -> list[Incoming]:
    """The newest, of equals the last (decision 18)."""
    kept: dict[tuple[int, str], Incoming] = {}
    for one in incomings:
        if one.key not in kept or kept[one.key].object.last_updated <= one.object.last_updated:
            kept[one.key] = one
    return list(kept.values())


def _overtaken(one: Incoming, heir: Incoming, outcomes: dict[int, Stored]) -> Stored:
    """Another copy in the same page was stored instead."""
    same = content_hash(one.object) == content_hash(heir.object)
    return Stored(Outcome.UNCHANGED if same else Outcome.STALE, outcomes[id(heir)].row)


def _misfit(error: Exception) -> Stored:
    if isinstance(error, InvalidObject):
        return Stored(Outcome.REFUSED, problems=tuple(error.problems))
    if isinstance(error, (DataError, IntegrityError)):
        return Stored(Outcome.REFUSED, problems=(_unfit(error),))
    log.error("an object could not be stored, and the fault is ours", exc_info=error)
    return Stored(Outcome.FAILED, problems=OUR_FAULT)


def _unfit(error: Exception) -> Problem:
    return Problem("", f"cannot be stored: {error}".splitlines()[0])


@contextmanager
def fitting() -> Iterator[None]:
    """What no column holds, a text without end in a field of few letters, is the sender's to hear: InvalidObject."""
    try:
        yield
    except DataError as error:
        raise InvalidObject([_unfit(error)]) from error


def _with_outcome(one: Taken, stored: Stored) -> Taken:
    code = ANOTHER_CONTENT if stored.outcome is Outcome.CONFLICT else ""
    return Taken(one.body, stored.outcome, stored.row, tuple(stored.problems), code, one.incoming)
