"""Partners as we call them."""

from collections.abc import Callable

from django.conf import settings

from apps import sealing
from apps.ocpi.client import Peer
from apps.ocpi.errors import MissingEndpoints, PeerFailed
from apps.ocpi.modules import WITHOUT_ROUTING
from apps.ocpi.objects import Party
from apps.ocpi.versions import VERSIONS

from . import encryption, exchanges, ourselves
from .models import Partner
from .scope import hub_of


def place_of_token(partner: Partner) -> str:
    """What the sealed token is bound to (trust S3)."""
    return sealing.place(partner, "outbound_token")


def token_of(partner: Partner) -> str:
    """The credentials token we present to the partner; PeerFailed where there is none that can be read."""
    if not partner.outbound_token:
        raise PeerFailed(f"{partner} gave us no credentials token", permanent=True)
    try:
        return sealing.unseal(partner.outbound_token, place_of_token(partner))
    except sealing.Unreadable as error:
        raise PeerFailed(str(error), permanent=True) from error


def peer_of(
    partner: Partner,
    module: str,
    *,
    patience: float | None = None,
    them: Party | None = None,
    keep: Callable[[exchanges.Said], None] = exchanges.keep,
) -> Peer:
    """A connected partner, to be called. The record looks at the module; of credentials nothing but the fact is kept.

    The routing headers name `them`, else whom `_addressee` does; a hub that does not say who it is finds out by itself
    (TR-25). Configuration modules have no such headers (TR-23), nor does what goes to all parties of a platform.
    `keep` is handed what is said, for the record.
    """
    if not partner.is_connected:
        raise PeerFailed(f"{partner} is not connected", permanent=True)
    how = {} if patience is None else {"patience": patience}
    them = them or _addressee(partner)
    is_routed = module not in WITHOUT_ROUTING and (them is not None or partner.is_hub)
    return Peer(
        token_of(partner),
        version=VERSIONS[partner.version],
        form=partner.token_form,
        private_hosts=settings.OCPI_PRIVATE_HOSTS,
        is_private=partner.is_private,
        us=ourselves.us() if is_routed else None,
        them=them if is_routed else None,
        record=exchanges.recorder(partner, module, keep),
        habits=partner.habits,
        tls=encryption.tls_of(partner),
        **how,
    )


def _addressee(partner: Partner) -> Party | None:
    """Of a hub itself, for a push to all behind it and a request for all that they have; else the only party, if there
    is but one: several are told apart by the objects themselves."""
    if partner.is_hub:
        return hub_of(partner)
    parties = partner.parties.values_list("country_code", "party_id")[:2]
    return Party(*parties[0]) if len(parties) == 1 else None


def endpoint(partner: Partner, identifier: str, role: str) -> str:
    """Where the partner serves a module; MissingEndpoints if it does not. 2.1.1 names one URL for both roles."""
    urls = partner.endpoints.filter(identifier=identifier, role=role).values_list("url", flat=True)
    if not urls:
        raise MissingEndpoints(f"{partner} has no {identifier} as {role}")
    return urls[0]
