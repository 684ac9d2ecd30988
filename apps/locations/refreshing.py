"""One location, fetched by itself: for staff who doubt what they see (mod_locations, Sender Interface, GET Object; LOC-12)."""

from datetime import datetime
from urllib.parse import quote

from apps.locations.store import INTAKE
from apps.ocpi import objects
from apps.ocpi.errors import PeerFailed
from apps.ocpi.modules import SENDER
from apps.ocpi.versions import VERSIONS
from apps.partners import peers
from apps.partners.models import Party
from apps.partners.taking import Taken, take

PATIENCE_S = 15
"""Somebody waits at a page."""


def refresh(party: Party, location_id: str, now: datetime) -> Taken:
    """Take a location as its CPO has it now, whether we know it or not.

    MissingEndpoints or PeerFailed where it does not come; what comes and cannot be taken is kept aside.
    """
    partner = party.partner
    if partner is None:
        raise PeerFailed(f"{party} has no connection", permanent=True)
    them = objects.Party(party.country_code, party.party_id)
    url = f"{peers.endpoint(partner, INTAKE.module, SENDER).rstrip('/')}/{quote(location_id, safe='')}"
    answer = peers.peer_of(partner, INTAKE.module, patience=PATIENCE_S, them=them).get(url)
    how = {"owner": party, "context": {"id": location_id}}
    (taken,) = take(INTAKE, partner, VERSIONS[partner.version], [answer.data or b"null"], now, **how)
    return taken
