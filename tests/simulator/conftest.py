import json
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import httpx
import pytest

from apps.simulator.cpo import World
from apps.simulator.server import Simulator
from apps.simulator.wire import authorization
from tests.simulator.receiver import TOKEN_A, TakesEverything, token

CARDS = [f"04A1B2C3{number:04d}" for number in range(12)]


class AsEmsp:
    """Calls to the simulated CPO with the credentials it gave."""

    def __init__(self, cpo: Simulator, token_of_cpo: str):
        self.cpo, self.version = cpo, cpo.interfaces.versions[-1]
        self.http = httpx.Client(headers={"Authorization": authorization(token_of_cpo)}, trust_env=False)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        url = path if path.startswith("http") else f"{self.cpo.url}/ocpi/{self.version}/{path}"
        return self.http.request(method, url, json=body, headers=headers)

    def get(self, path: str) -> httpx.Response:
        return self.call("GET", path)

    def pages(self, path: str) -> Iterator[list[Any]]:
        url: str | None = path
        while url:
            response = self.get(url)
            yield json.loads(response.content, parse_float=Decimal)["data"]
            url = response.links.get("next", {}).get("url")

    def push(self, uid: str, **changed: Any) -> httpx.Response:
        body = token(uid, **changed)
        if self.version == "2.1.1":
            body["auth_id"] = body.pop("contract_id")
            del body["country_code"], body["party_id"]
        return self.call("PUT", f"tokens/SE/EMO/{uid}", body)


@pytest.fixture
def version() -> str:
    """What they speak with each other."""
    return "2.2.1"


@pytest.fixture
def receiver(version) -> Iterator[TakesEverything]:
    with TakesEverything(version) as taking:
        yield taking


@pytest.fixture
def cpo(tmp_path, version) -> Iterator[Simulator]:
    world = World.small().of("SE") if version == "2.1.1" else World.small()
    with Simulator(tmp_path / "cpo", month="2026-10", world=world, versions=(version,)) as simulator:
        yield simulator


@pytest.fixture
def emsp(cpo, receiver) -> Iterator[AsEmsp]:
    """Registered with each other, and twelve cards are known; the last one is blocked."""
    cpo.register(receiver.versions_url, TOKEN_A)
    calling = AsEmsp(cpo, receiver.credentials_of_cpo["token"])
    with closing(calling.http):
        for uid in CARDS:
            calling.push(uid, valid=uid != CARDS[-1])
        yield calling


@pytest.fixture
def control(cpo):
    with httpx.Client(
        base_url=f"{cpo.url}/control", headers={"X-Control-Key": cpo.control_key}, trust_env=False
    ) as client:
        yield client
