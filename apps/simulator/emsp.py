"""The eMSP as the simulated CPO knows it: its endpoints, and every call to it."""

import copy
import json
import time
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import httpx

from apps.simulator.dialects import HOME, ONE_PARTY, VERSIONS, Locations, spoken
from apps.simulator.faults import Faults, without
from apps.simulator.memory import Memory
from apps.simulator.wire import authorization, encode

PATIENCE = 3


@dataclass
class Answer:
    outcome: str
    http_status: int | None = None
    status_code: int | None = None
    data: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    message: str | None = None

    @property
    def is_ok(self) -> bool:
        return self.outcome == "OK"


class Offer(NamedTuple):
    """The newest version that both speak, and the eMSP's endpoints in it."""

    version: str
    endpoints: list[dict[str, str]]

    def url(self, module: str, role: str = "RECEIVER") -> str:
        """Where the eMSP takes a module; the role of `credentials` means nothing (version details, Endpoint class)."""
        for endpoint in self.endpoints:
            if endpoint["identifier"] == module and (module == "credentials" or endpoint.get("role", role) == role):
                return endpoint["url"].rstrip("/")
        raise LookupError(f"the eMSP offers no {module} as {role}")


class Emsp:
    def __init__(self, memory: Memory, locations: Locations | None = None):
        self.memory = memory
        self.locations = {} if locations is None else locations
        self.faults = Faults()
        self._http = httpx.Client(trust_env=False, timeout=15, limits=httpx.Limits(max_keepalive_connections=16))

    @property
    def is_registered(self) -> bool:
        return bool(self.memory.get("token_for_us"))

    @property
    def version(self) -> str:
        """The one of the registration."""
        return self.memory.get("version", HOME)

    @property
    def endpoints(self) -> list[dict[str, str]]:
        return self.memory.get("emsp_endpoints", [])

    @property
    def party(self) -> str:
        roles = self.memory.get("emsp_roles") or [{"country_code": "", "party_id": ""}]
        role = next((role for role in roles if role.get("role") == "EMSP"), roles[0])
        return f"{role['country_code']}*{role['party_id']}"

    def url(self, module: str, role: str = "RECEIVER") -> str:
        return Offer(self.version, self.endpoints).url(module, role)

    def send(
        self,
        method: str,
        module: str,
        path: str = "",
        body: Any = None,
        party: str | None = None,
        role: str = "RECEIVER",
    ) -> Answer:
        """One call to a functional module, with routing headers (transport_and_format, Message Routing Headers).

        An object is told in the words of the version; bytes are sent as they are."""
        said = self._bent(method, module, spoken(self.version, module, body, self.locations))
        headers = {} if self.version == ONE_PARTY else routing(party, self.party)
        return self.call(method, self.url(module, role) + path, said, routing=headers)

    def _bent(self, method: str, module: str, said: Any) -> Any:
        struck = self.faults.met(module, method, "sent_missing") if isinstance(said, dict) else {}
        if struck:
            said = copy.deepcopy(said)
            without(said, struck["sent_missing"].split("."))
        return said

    def send_patiently(
        self, method: str, module: str, path: str = "", body: Any = None, party: str | None = None
    ) -> Answer:
        """A busy eMSP is asked again; every other failure is left for the pull (transport_and_format, Offline behaviour)."""
        for _ in range(PATIENCE):
            answer = self.send(method, module, path, body, party)
            if answer.http_status not in (429, 503):
                break
            time.sleep(min(float(answer.headers.get("retry-after", 1)), 2))
        return answer

    def call(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        token: str | None = None,
        version: str | None = None,
        routing: dict[str, str] | None = None,
    ) -> Answer:
        """`body` is an object, or bytes to be sent as they are."""
        presented = token or self.memory.get("token_for_us") or ""
        headers = {
            "Authorization": authorization(presented, is_encoded=(version or self.version) != ONE_PARTY),
            "X-Request-ID": str(uuid.uuid4()),
            "X-Correlation-ID": str(uuid.uuid4()),
            "Content-Type": "application/json",
            **(routing or {}),
        }
        content = body if body is None or isinstance(body, bytes) else encode(body)
        try:
            return _answer(self._http.request(method, url, content=content, headers=headers))
        except httpx.HTTPError as error:
            return Answer("UNKNOWN", message=repr(error))

    def discover(self, versions_url: str, token: str, speaks: tuple[str, ...]) -> Offer:
        """(credentials, Registration): versions, then the details of the newest that both speak."""
        versions = self.call("GET", versions_url, token=token, version=max(speaks))
        offered = {entry["version"]: entry["url"] for entry in versions.data or []}
        mutual = [version for version in VERSIONS if version in speaks and version in offered]
        if not mutual:
            raise LookupError(f"{versions_url} offers {sorted(offered)}, not {' or '.join(speaks)}: {versions}")
        details = self.call("GET", offered[mutual[-1]], token=token, version=mutual[-1])
        if not details.is_ok:
            raise LookupError(f"{offered[mutual[-1]]} gave no details: {details}")
        return Offer(mutual[-1], details.data["endpoints"])

    def close(self):
        self._http.close()


def routing(from_party: str | None, to_party: str) -> dict[str, str]:
    if not from_party:
        return {}
    sides = {"from": from_party, "to": to_party}
    headers = {}
    for side, party in sides.items():
        country, _, key = party.partition("*")
        headers |= {f"OCPI-{side}-country-code": country, f"OCPI-{side}-party-id": key}
    return headers


def _answer(response: httpx.Response) -> Answer:
    try:
        envelope = json.loads(response.content, parse_float=Decimal) if response.content else {}
        code = envelope.get("status_code")
    except (ValueError, AttributeError):
        envelope, code = {}, None
    outcome = _outcome(response.status_code, code)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(outcome, response.status_code, code, envelope.get("data"), headers, envelope.get("status_message"))


def _outcome(status: int, code: Any) -> str:
    is_number = isinstance(code, int)
    if 200 <= status < 300 and is_number and 1000 <= code < 2000:
        return "OK"
    if 400 <= status < 500 or (200 <= status < 300 and is_number and 2000 <= code < 3000):
        return "REFUSED"
    return "UNKNOWN"
