import httpx
import pytest

from apps.locations.store import INTAKE
from apps.partners.taking import take
from tests.partners.mirrors import NOW, V221, encoded, header_of, make_partner


@pytest.fixture
def partner(db):
    return make_partner()


@pytest.fixture
def party(partner):
    return partner.parties.get()


@pytest.fixture
def put(partner):
    """Put whole locations by the way in that all of them take; the outcomes."""

    def put(*bodies: dict, version=V221, at=NOW):
        return [str(one.outcome) for one in take(INTAKE, partner, version, encoded(*bodies), at)]

    return put


@pytest.fixture
def call(transactional_db, live_server, partner, settings):
    """Calls as the partner makes them, over HTTP; the path is below the version."""
    settings.PUBLIC_URL = live_server.url
    header = header_of(partner)
    with httpx.Client(headers=header, trust_env=False) as client:

        def call(method, path, body=None, version="2.2.1", request_id="1"):
            url = f"{live_server.url}/ocpi/{version}/{path}"
            how = {"content": body} if isinstance(body, bytes) else {"json": body}
            return client.request(method, url, headers={"X-Request-ID": request_id}, **how)

        yield call
