"""What the tests of mirrored objects share: bodies in three versions, a partner, and a CPO to pull from."""

import base64
import copy
import json
from datetime import UTC, datetime
from pathlib import Path

from django.utils import timezone

from apps.ocpi.versions import VERSIONS
from apps.partners import credentials
from apps.partners.models import CredentialsToken, Endpoint, Partner, Party
from apps.partners.peers import place_of_token
from apps.sealing import seal

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
V211, V221, V230 = (VERSIONS[number] for number in ("2.1.1", "2.2.1", "2.3.0"))
BODIES = Path(__file__).parents[1] / "ocpi/bodies"
TOKEN = "we-are-the-emsp_0123456789"


def example(kind: str, version: str = "2.2.1", **changes) -> dict:
    """One and the same object, in the words of a version; None takes a field out."""
    body = json.loads((BODIES / version / f"{kind}.json").read_text())
    return {name: value for name, value in (body | changes).items() if value is not None}


def location(**changes) -> dict:
    return example("location", **changes)


def evse(uid: str = "LAD-7-1", **changes) -> dict:
    return copy.deepcopy(location()["evses"][0]) | {"uid": uid} | changes


def tariff(**changes) -> dict:
    return example("tariff", **changes)


def encoded(*bodies: dict) -> list[bytes]:
    return [json.dumps(body).encode() for body in bodies]


def make_partner(name: str = "Laddnät", *parties: tuple[str, str], **values) -> Partner:
    values = {"state": Partner.State.CONNECTED, "version": "2.2.1", "connected_at": NOW} | values
    partner = Partner.objects.create(name=name, **values)
    for country_code, party_id in parties or [("SE", "LAD")]:
        Party.objects.create(country_code=country_code, party_id=party_id, partner=partner)
    return partner


def header_of(partner: Partner) -> dict[str, str]:
    """What the partner presents: a new token, spelt as versions since 2.2 want it."""
    token = credentials.issue(partner, CredentialsToken.Kind.CREDENTIALS, timezone.now())
    return {"Authorization": f"Token {base64.b64encode(token.encode()).decode()}"}


def connect(partner: Partner, base_url: str, *modules: str) -> Partner:
    """Give the partner endpoints of these modules, and us a token for them."""
    for module in modules or ("locations", "tariffs"):
        url = f"{base_url}/ocpi/{partner.version}/{module}"
        Endpoint.objects.create(partner=partner, identifier=module, role="SENDER", url=url)
    partner.is_private = True
    partner.outbound_token = seal(TOKEN, place_of_token(partner))
    partner.save()
    return partner
