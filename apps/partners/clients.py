"""Parties behind hubs: the room of HubClientInfo (HCI-01), and whom we send nothing to because it is not there (HCI-02).

A hub tells only of its own route: what it says of a party changes nothing for one that is connected otherwise (trust S17).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from apps.bulk import Upsert
from apps.ocpi import objects
from apps.ocpi.errors import InvalidObject, PeerFailed, Problem, UnknownObject
from apps.ocpi.versions import Version
from apps.partners import quarantine
from apps.partners.models import Client, Feed, Partner, Party
from apps.partners.pull import Pull
from apps.partners.recognition import Standing
from apps.partners.scope import NO_KEY, Key, key_of
from apps.partners.taking import Outcome, Taken, fitting

OWNER = "CPO"
NOBODY = objects.Party("", "")

CLIENTS = Upsert(
    model=Client,
    columns=("hub", "country_code", "party_id", "role", "status", "last_updated", "received_at"),
    target="hub_id, country_code, party_id, role",
    update=("status", "last_updated", "received_at"),
    guard="old.last_updated <= excluded.last_updated",
    returning=("id",),
)


def told_of(hub: Partner, key: Key) -> objects.ClientInfo:
    """What the hub last said of a party; of several roles its CPO first. UnknownObject if it said nothing."""
    known = list(hub.clients.filter(country_code=key[0], party_id=key[1]))
    if not known:
        raise UnknownObject("You told us of no such party")
    row = min(known, key=lambda client: client.role != OWNER)
    said = {name: getattr(row, name) for name in ("country_code", "party_id", "role", "status", "last_updated")}
    return objects.ClientInfo(**said)


def put(hub: Partner, version: Version, body: bytes, key: Key, now: datetime) -> Outcome:
    """Take what a hub says of a party; InvalidObject if it is not the party of the URL, too."""
    info = version.read("client_info", body, NOBODY).object
    if key == NO_KEY or key_of(info.country_code, info.party_id) != key:
        raise InvalidObject([Problem("party_id", f"{info.owner} is not the one of the URL")])
    return _store(hub, info, now).outcome


def _store(hub: Partner, info: objects.ClientInfo, now: datetime, body: bytes = b"") -> Taken:
    country_code, party_id = key_of(info.country_code, info.party_id)
    told_at = info.last_updated or now
    with fitting(), transaction.atomic():
        written = CLIENTS.write([(hub.pk, country_code, party_id, info.role, info.status, told_at, now)])
        if info.role == OWNER and info.status == Client.Status.CONNECTED:
            _claim(hub, country_code, party_id)
    outcome = Outcome.STALE
    if written:
        outcome = Outcome.CREATED if written[0][-1] else Outcome.UPDATED
    return Taken(body, outcome, standing=Standing(None, (hub.pk, f"{country_code}*{party_id} {info.role}"), told_at))


def _claim(hub: Partner, country_code: str, party_id: str) -> None:
    """A party that is new behind the hub waits for staff to approve it; one with a route keeps it (trust S10, S17)."""
    Party.objects.bulk_create([Party(country_code=country_code, party_id=party_id)], ignore_conflicts=True)
    free = Party.objects.filter(country_code__iexact=country_code, party_id__iexact=party_id, partner=None)
    free.filter(claimed_by=None).update(claimed_by=hub)


@dataclass(frozen=True)
class ClientSending:
    """How a page of a hub's list is taken."""

    hub: Partner
    version: Version

    def take(self, bodies: list[bytes], now: datetime) -> list[Taken]:
        return [self._keep(one, now) if one.is_kept_aside else one for one in self.attempt(bodies, now)]

    take_again = take

    def attempt(self, bodies: list[bytes], now: datetime) -> list[Taken]:
        return [self._attempt(body, now) for body in bodies]

    def _attempt(self, body: bytes, now: datetime) -> Taken:
        try:
            return _store(self.hub, _named(self.version.read("client_info", body, NOBODY).object), now, body)
        except InvalidObject as error:
            return Taken(body, Outcome.REFUSED, problems=tuple(error.problems))

    def _keep(self, one: Taken, now: datetime) -> Taken:
        held = quarantine.keep(self.hub, Feed.Module.CLIENTS, self.version, one.body, one.problems, now)
        return one._replace(quarantined=held)


def _named(info: objects.ClientInfo) -> objects.ClientInfo:
    if key_of(info.country_code, info.party_id) == NO_KEY:
        raise InvalidObject([Problem("party_id", f"nobody is called {info.owner}")])
    return info


class ClientIntake:
    """The way in of what hubs tell of others: it is the hub's, whoever it is about."""

    module = str(Feed.Module.CLIENTS)

    def sending(self, hub: Partner, version: Version) -> ClientSending:
        return ClientSending(hub, version)

    def attempt(self, hub: Partner, version: Version, body: bytes, now: datetime, **_url) -> Taken:
        (taken,) = self.sending(hub, version).attempt([body], now)
        return taken


def vanish(hub: Partner, seen: set[tuple[int, str]], now: datetime) -> str:
    """What a complete list, begun `now`, no longer names is no longer valid (mod_hub_client_info, GET)."""
    older = hub.clients.filter(received_at__lt=now)
    gone = [row.pk for row in older if (hub.pk, str(row)) not in seen]
    Client.objects.filter(pk__in=gone).delete()
    return ""


PULL = Pull(ClientIntake(), vanish=vanish)


def require_connected(hub: Partner, parties: Iterable[Party]) -> None:
    """PeerFailed if the hub says of each of the parties that it is not there now: nothing is sent to them (HCI-02).

    Of whom it has told nothing we do not know better.
    """
    parties = list(parties)
    away = {
        (row.country_code, row.party_id): row
        for row in hub.clients.filter(role=OWNER).exclude(status=Client.Status.CONNECTED)
    }
    found = [away.get(key_of(party.country_code, party.party_id)) for party in parties]
    if parties and all(found):
        told = ", ".join(f"{row.country_code}*{row.party_id} is {row.get_status_display()}" for row in found[:5])
        raise PeerFailed(f"{told}, says {hub}", permanent=True)
