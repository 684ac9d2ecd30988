"""Registration of two platforms with each other: begun by us or by the partner, renewed, ended (credentials).

Calls to the partner are made before anything is stored, and what is stored is stored at once: a handshake that fails
leaves everything as it was (CRED-03, CRED-04). Any reply may get lost, and must lock nobody out (decision 27).
"""

import logging
import re
import time
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
from django.conf import settings
from django.db import transaction

from apps import pace, sealing
from apps.ocpi import modules, objects
from apps.ocpi.client import Peer
from apps.ocpi.errors import (
    InvalidObject,
    MethodNotAllowed,
    MissingEndpoints,
    OcpiError,
    PeerFailed,
    Problem,
    UnsupportedVersion,
    UnusableClient,
)
from apps.ocpi.versions import LISTED, Version, best_mutual, read_versions
from apps.work import ring

from . import credentials, encryption, exchanges, ourselves, peers, pull
from .credentials import Caller
from .models import CredentialsToken, Endpoint, Partner, Party
from .scope import NO_KEY, key_of

log = logging.getLogger(__name__)

PATIENCE = 5
"""Seconds for all calls we make while a partner waits for our answer (trust S11)."""

OUR_PATIENCE = 15
"""Seconds for each call of a handshake that we begin; somebody waits before a page."""

Left = Callable[[], float]
"""Seconds that the next call may take."""

TOKEN = re.compile(r"[!-~]{1,64}")
REFUSALS = range(2000, 4000)
HUB = Partner.Role.HUB.value
OWNERS = frozenset({"CPO", HUB})
"""Roles whose parties own what we take."""


class Offer(NamedTuple):
    """What a platform shows under a version of its own, and how it wants to read its token."""

    version: Version
    endpoints: tuple[objects.Endpoint, ...]
    form: str

    def url(self, identifier: str) -> str | None:
        return next((endpoint.url for endpoint in self.endpoints if endpoint.identifier == identifier), None)

    def missing(self) -> list[str]:
        return modules.missing_modules({(endpoint.identifier, endpoint.role) for endpoint in self.endpoints})


class Invitation(NamedTuple):
    """What a partner needs to register with us, by a safe way other than OCPI (CRED-01)."""

    partner: Partner
    versions_url: str
    token: str
    expires_at: datetime


# Staff begin


@transaction.atomic
def invite(
    name: str, party: objects.Party, now: datetime, *, role: str = Partner.Role.CPO, is_private: bool = False
) -> Invitation:
    """Issue a token A for a partner that will register with us; an earlier one that is open is dead (decision 16).

    A partner that is connected stays as private as it is, or its feeds would stop. ValueError if the party is reached
    through a hub already: staff have to move it first.
    """
    owner = _party(party)
    partner = owner.partner or Partner()
    if partner.role == Partner.Role.HUB != role and partner.pk:
        raise ValueError(f"{owner} is reached through {partner}: move the party first")
    partner.name, partner.role = name, role
    partner.is_private = partner.is_private if partner.is_connected else is_private
    partner.state = partner.state if partner.is_connected else Partner.State.INVITED
    partner.save()
    owner.partner, owner.claimed_by = partner, None
    owner.save()
    open_invitations = credentials.valid(partner, now).filter(kind=CredentialsToken.Kind.INVITATION)
    open_invitations.update(revoked_at=now)
    token = credentials.issue(partner, CredentialsToken.Kind.INVITATION, now)
    return Invitation(partner, ourselves.versions_url(), token, now + credentials.INVITATION_LIFE)


def connect(name: str, versions_url: str, token_a: str, now: datetime, *, is_private: bool = False) -> Partner:
    """Register with a partner that gave us its versions URL and a token A (CRED-02).

    PeerFailed, UnsupportedVersion or MissingEndpoints if it cannot be; ValueError if the name is connected already.
    """
    partner = _new_partner(name, is_private)
    offer = _look(partner, versions_url, token_a, LISTED)
    _refuse_incomplete(offer)
    return _tell("POST", partner, offer, versions_url, token_a, now)


def renew(partner: Partner, now: datetime) -> Partner:
    """Exchange the tokens of both sides, read the partner's endpoints anew, and go on in the newest version that both
    speak by now (CRED-06, CRED-10)."""
    token = peers.token_of(partner)
    offer = _look(partner, partner.versions_url, token, LISTED)
    _refuse_incomplete(offer)
    return _tell("PUT", partner, offer, partner.versions_url, token, now)


def end(partner: Partner, now: datetime) -> str:
    """Unregister: both sides' tokens are dead, data stays (CRED-08). Why the partner could not be told, or ""."""
    error = ""
    try:
        url = peers.endpoint(partner, "credentials", modules.SENDER)
        peers.peer_of(partner, "credentials", patience=OUR_PATIENCE).delete(url)
    except (PeerFailed, OcpiError) as failed:
        error = str(failed)
    _forget(partner, now)
    return error


# Partners begin


def accept(caller: Caller, version: Version, theirs: objects.Credentials, now: datetime) -> str:
    """The partner registers with the token A we gave it; returns the token it is to call us with (CRED-03)."""
    if caller.token.kind != CredentialsToken.Kind.INVITATION:
        raise MethodNotAllowed("You are registered: PUT renews", allowed=("GET", "PUT", "DELETE"))
    return _accept(caller, version, theirs, now)


def accept_renewal(caller: Caller, version: Version, theirs: objects.Credentials, now: datetime) -> str:
    """The partner's token, address or roles changed, or it wants another version; returns its new token (CRED-06)."""
    _refuse_unregistered(caller)
    return _accept(caller, version, theirs, now)


def accept_end(caller: Caller, now: datetime) -> None:
    """The partner leaves; for a new beginning it needs a new token A (CRED-08)."""
    _refuse_unregistered(caller)
    _forget(caller.partner, now)


def _refuse_unregistered(caller: Caller) -> None:
    if caller.token.kind != CredentialsToken.Kind.CREDENTIALS or not caller.partner.is_connected:
        raise MethodNotAllowed("You are not registered: POST does that", allowed=("GET", "POST"))


def _accept(caller: Caller, version: Version, theirs: objects.Credentials, now: datetime) -> str:
    partner = caller.partner
    pace.require((partner.pk, "handshakes"), pace.LIMITS["handshakes"].times(partner.pace))
    _refuse_odd_token(theirs.token)
    offer = _look_back(partner, version, theirs)
    with transaction.atomic():
        locked = Partner.objects.select_for_update().get(pk=partner.pk)
        _refuse_withdrawn(caller.token)
        _keep(locked, offer, theirs, now)
        return credentials.replace(locked, now)


def _refuse_withdrawn(token: CredentialsToken) -> None:
    """Our look at the partner takes as long as it likes: a token that died meanwhile must bring nothing back."""
    if not CredentialsToken.objects.filter(pk=token.pk, revoked_at=None).exists():
        raise OcpiError("The token was withdrawn", http_status=HTTPStatus.UNAUTHORIZED, status_code=2001)


def _refuse_odd_token(token: str) -> None:
    if not TOKEN.fullmatch(token):
        raise InvalidObject([Problem("token", "up to 64 printable characters without blanks (CRED-10)")])


def _look_back(partner: Partner, version: Version, theirs: objects.Credentials) -> Offer:
    """The partner's own endpoints, with its own token, in the version it speaks to us (CRED-04)."""
    try:
        offer = _look(partner, theirs.url, theirs.token, (version,), left=_within(PATIENCE))
    except PeerFailed as error:
        raise UnusableClient(f"{error.url or theirs.url}: {error.reason}") from error
    _refuse_incomplete(offer)
    return offer


def _within(seconds: float) -> Left:
    """For calls that share the time: one after the other gets what is left of it."""
    end = time.monotonic() + seconds
    return lambda: max(0.001, end - time.monotonic())


# Both


def _look(
    partner: Partner, versions_url: str, token: str, ours: tuple[Version, ...], *, left: Left = lambda: OUR_PATIENCE
) -> Offer:
    """Versions, and details of the newest that both speak (VER-04). PeerFailed also where the answer makes no sense."""
    urls, form = _offered_versions(partner, versions_url, token, ours, left)
    version = best_mutual(urls, ours)
    if version is None:
        spoken = ", ".join(known.number for known in ours)
        raise UnsupportedVersion(f"{versions_url} offers {', '.join(sorted(urls)) or 'no version'}; we speak {spoken}")
    _refuse_foreign_host(versions_url, f"version {version.number}", urls[version.number])
    peer = stranger(partner, token, version, form, left())
    details = _read(peer.get(urls[version.number]).data, version.read_version_details, urls[version.number]).object
    for endpoint in details.endpoints:
        _refuse_foreign_host(versions_url, endpoint.identifier, endpoint.url)
    return Offer(version, details.endpoints, form)


def _offered_versions(partner, versions_url, token, ours, left: Left) -> tuple[dict[str, str], str]:
    """URLs by version. A peer that does not know the token may read it in the other form: tried once (TR-03)."""
    newest = ours[-1]
    forms = _forms(partner.token_form, newest)
    for form in forms:
        try:
            answer = stranger(partner, token, newest, form, left()).get(versions_url)
        except PeerFailed as error:
            if error.http_status != HTTPStatus.UNAUTHORIZED or form == forms[-1]:
                raise
        else:
            refs = _read(answer.data, read_versions, versions_url)
            return {ref.version: ref.url for ref in refs}, form
    raise AssertionError("the last form either answers or raises")


def _forms(form: str, version: Version) -> tuple[str, str]:
    encodes = version.encodes_token if form == Partner.TokenForm.AUTO else form == Partner.TokenForm.BASE64
    return form, Partner.TokenForm.RAW.value if encodes else Partner.TokenForm.BASE64.value


def stranger(partner: Partner, token: str, version: Version, form: str, patience: float = OUR_PATIENCE) -> Peer:
    """A platform we are not registered with yet, or not by this token. No routing headers here (TR-23)."""
    return Peer(
        token,
        version=version,
        form=form,
        private_hosts=settings.OCPI_PRIVATE_HOSTS,
        is_private=partner.is_private,
        record=exchanges.recorder(partner if partner.pk else None, "credentials"),
        patience=patience,
        habits=partner.habits,
        tls=encryption.tls_of(partner),
    )


def _read(data: bytes | None, reader, url: str):
    try:
        return reader(data or b"null")
    except InvalidObject as error:
        raise PeerFailed(f"cannot be used: {error.message}", permanent=True, url=url) from error


def _refuse_incomplete(offer: Offer) -> None:
    if missing := offer.missing():
        raise MissingEndpoints(f"We need one of: {', '.join(missing)}")


def _refuse_foreign_host(versions_url: str, name: str, url: str) -> None:
    """The token must not leave for somebody else's platform (trust S23)."""
    if _domain(url) != _domain(versions_url):
        reason = f"{name} leads to another host than its versions: {url}"
        raise PeerFailed(reason, permanent=True, url=versions_url)


def _domain(url: str) -> str:
    """The host's last two labels, which one organisation has; of an address all of it."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
    is_address = ":" in host or host.replace(".", "").isdigit()
    return host if is_address else ".".join(host.split(".")[-2:])


def _new_partner(name: str, is_private: bool) -> Partner:
    known = Partner.objects.filter(name=name)
    if known.filter(state=Partner.State.CONNECTED).exists():
        raise ValueError(f"{name} is connected already")
    partner = known.order_by("pk").first() or Partner(name=name)
    partner.is_private = is_private
    return partner


def _tell(method: str, partner: Partner, offer: Offer, versions_url: str, token: str, now: datetime) -> Partner:
    """Hand over a token for the partner, and take the one it answers with. Ours works while the call is open."""
    url = offer.url("credentials")
    if url is None:
        raise MissingEndpoints(f"{versions_url} has no credentials")
    partner.save()
    ours = credentials.issue(partner, CredentialsToken.Kind.CREDENTIALS, now, expires_at=now + credentials.GRACE)
    peer = stranger(partner, token, offer.version, offer.form)
    body = offer.version.write_credentials(ourselves.credentials(ours), flat=partner.flat_credentials)
    try:
        answer = peer.post(url, body) if method == "POST" else peer.put(url, body)
        theirs = _read(answer.data, offer.version.read_credentials, url).object
        _refuse_odd_token(theirs.token)
    except (PeerFailed, InvalidObject) as error:
        _settle_token(ours, now, is_refused=isinstance(error, PeerFailed) and _is_refusal(error))
        raise
    offer = _offer_behind(partner, offer, versions_url, theirs)
    with transaction.atomic():
        locked = Partner.objects.select_for_update().get(pk=partner.pk)
        _keep(locked, offer, theirs, now)
        _settle_token(ours, now, is_refused=False)
    return locked


def _is_refusal(error: PeerFailed) -> bool:
    """The partner said no. Whatever else happened, it may have taken our token before its answer got lost."""
    if error.http_status is None or error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return False
    return error.http_status >= HTTPStatus.BAD_REQUEST or error.status_code in REFUSALS


def _settle_token(token: str, now: datetime, *, is_refused: bool) -> None:
    """The call that handed it over has ended: the token is dead, or as good as any (trust S12 c)."""
    row = CredentialsToken.objects.filter(digest=credentials.digest(token))
    row.update(revoked_at=now) if is_refused else row.update(expires_at=None)


def _offer_behind(partner: Partner, offer: Offer, versions_url: str, theirs: objects.Credentials) -> Offer:
    """Endpoints are read again if the partner now names another address (CRED-02)."""
    if theirs.url == versions_url:
        return offer
    return _look(partner, theirs.url, theirs.token, (offer.version,))


def _keep(partner: Partner, offer: Offer, theirs: objects.Credentials, now: datetime) -> None:
    """All that a registration leaves behind. Nothing of it is a trust flag: those are ours to set (trust S10)."""
    parties = _claimed(partner, theirs)
    _release(partner, parties)
    _route(partner, parties)
    if not partner.is_connected or partner.version != offer.version.number:
        partner.connected_at = now  # what it was told before it may have lost, or had no words for
    partner.state, partner.version = Partner.State.CONNECTED, offer.version.number
    partner.versions_url, partner.token_form = theirs.url, offer.form
    partner.outbound_token = sealing.seal(theirs.token, peers.place_of_token(partner))
    partner.roles = msgspec.to_builtins(_roles(theirs))
    partner.save()
    _keep_endpoints(partner, offer)
    pull.open_feeds(partner, now)
    ring("apps.tokens.tasks.sweep_tokens")


def _route(partner: Partner, parties: list[Party]) -> None:
    """Who registers was let in by staff, with the roles it has. What it adds to them later waits for staff (trust S10)."""
    named = Party.objects.filter(pk__in=[party.pk for party in parties])
    unrouted = named.filter(partner=None)  # asked again: somebody else may have been quicker
    if partner.is_connected:
        unrouted.filter(claimed_by=None).update(claimed_by=partner)
    else:
        unrouted.update(partner=partner, claimed_by=None)


def _claimed(partner: Partner, theirs: objects.Credentials) -> list[Party]:
    """The parties of the partner's roles, those apart that belong to another connection: staff would have to move them
    (decision 16). Whoever was invited as one party must be that party (CRED-01)."""
    named = [objects.Party(role.country_code, role.party_id) for role in _roles(theirs) if role.role in OWNERS]
    parties = [_party(party, _name_of(party, theirs)) for party in named]
    free = [party for party in parties if _is_free(party, partner)]
    for party in parties:
        if party not in free:
            log.warning("%s claims %s, which is reached through %s", partner, party, party.partner)
    if not free:
        raise InvalidObject([Problem("roles", "no role of a CPO that is not connected otherwise")])
    expected = set(partner.parties.all())
    if expected and not expected & set(free):
        raise InvalidObject([Problem("roles", f"none is {', '.join(sorted(map(str, expected)))}, who was invited")])
    return free


def _roles(theirs: objects.Credentials) -> tuple[objects.CredentialsRole, ...]:
    """With the hub that a platform says it is: in 2.2.1 one of its roles, since then a party beside them (CRED-12)."""
    key = key_of(theirs.hub_party_id[:2], theirs.hub_party_id[2:]) if theirs.hub_party_id else NO_KEY
    if key == NO_KEY or any(role.role == HUB for role in theirs.roles):
        return theirs.roles
    hub = objects.Party(*key)
    named = {"country_code": hub.country_code, "party_id": hub.party_id}
    details = objects.BusinessDetails(name=str(hub))
    return (objects.CredentialsRole(role=HUB, business_details=details, **named), *theirs.roles)


def _is_free(party: Party, partner: Partner) -> bool:
    """Also who is only invited, or left, keeps its parties: else any partner could become it by naming it."""
    return party.partner is None or party.partner == partner


def _name_of(party: objects.Party, theirs: objects.Credentials) -> str:
    roles = (role for role in theirs.roles if objects.Party(role.country_code, role.party_id) == party)
    return next((role.business_details.name for role in roles), "")[:100]


def _party(party: objects.Party, name: str = "") -> Party:
    """The row of a party, made if it is new."""
    known = Party.objects.select_related("partner")
    row = known.filter(country_code__iexact=party.country_code, party_id__iexact=party.party_id).first()
    return row or Party.objects.create(country_code=party.country_code.upper(), party_id=party.party_id, name=name)


def _release(partner: Partner, kept: list[Party]) -> None:
    """Roles that the partner gave up are no longer its to speak for; parties that staff gave it stay."""
    before = {key_of(role["country_code"], role["party_id"]) for role in partner.roles}
    for party in partner.parties.exclude(pk__in=[party.pk for party in kept]):
        if key_of(party.country_code, party.party_id) in before:
            Party.objects.filter(pk=party.pk).update(partner=None)
    partner.claims.exclude(pk__in=[party.pk for party in kept]).update(claimed_by=None)


def _keep_endpoints(partner: Partner, offer: Offer) -> None:
    rows = [row for endpoint in offer.endpoints for row in _endpoint_rows(partner, endpoint)]
    rows = {(row.identifier, row.role): row for row in rows}
    partner.endpoints.all().delete()
    Endpoint.objects.bulk_create(rows.values())


def _endpoint_rows(partner: Partner, endpoint: objects.Endpoint) -> list[Endpoint]:
    """2.1.1 has one URL for both roles, and of credentials the role means nothing (VER-02)."""
    if len(endpoint.identifier) > Endpoint._meta.get_field("identifier").max_length:
        return []
    roles = [endpoint.role] if endpoint.role else [modules.SENDER, modules.RECEIVER]
    if endpoint.identifier == "credentials":
        roles = [modules.SENDER]
    return [Endpoint(partner=partner, identifier=endpoint.identifier, role=role, url=endpoint.url) for role in roles]


@transaction.atomic
def _forget(partner: Partner, now: datetime) -> None:
    """All that was automatic stops; objects, parties and the record stay (CRED-08, trust S13)."""
    locked = Partner.objects.select_for_update().get(pk=partner.pk)
    credentials.revoke_all(locked, now)
    locked.state, locked.outbound_token = Partner.State.DISCONNECTED, ""
    locked.save()
    locked.feeds.update(due_at=None)
    ring("apps.locations.tasks.recognise_routes")
    partner.state, partner.outbound_token = locked.state, ""
