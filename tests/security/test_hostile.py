"""More than three hundred hostile texts in every field that partners fill, on every page that shows them (trust S37).

What runs in a browser is tried in tests/browser; here every page is read as a browser's parser would.
"""

from html.parser import HTMLParser

import pytest
from django.urls import reverse

from apps.charging.models import Cdr, Session
from apps.locations.models import Location
from apps.ocpi.versions import VERSIONS
from apps.partners.models import Alarm, Exchange, Partner, Party, Quarantined
from apps.partners.taking import take
from apps.staff.office import url_of
from apps.tariffs.models import Tariff
from emsp.intakes import INTAKES
from tests.admin.conftest import admin, as_role
from tests.admin.furnished import NOW
from tests.charging.conftest import CDR
from tests.ocpi.bodies import as_bytes, sent
from tests.security.hostile import MARK, PAYLOADS

__all__ = ["admin", "as_role"]
pytestmark = [pytest.mark.control("S37"), pytest.mark.django_db]
RUNS = ("javascript:", "data:", "vbscript:")
FIXED = {"country_code", "party_id", "id", "currency", "status", "type", "dimension", "standard", "format", "power_type",
         "auth_method", "role", "time_zone", "uid", "evse_id", "latitude", "longitude", "country", "language", "category"}  # fmt: skip


class Page(HTMLParser):
    """Finds where a text has become markup."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.wrong, self.inside = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.inside = tag if tag in ("script", "style") else ""
        for name, value in attributes:
            lowered = (value or "").lower()
            runs = name.startswith(("on", "x-", "@", ":")) and MARK in lowered
            leads = name in ("href", "src", "action", "formaction") and lowered.strip().startswith(RUNS)
            if MARK in name.lower() or (runs and name != "x-text") or (leads and MARK in lowered) or MARK in tag:
                self.wrong.append((tag, name, value))

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside and MARK in data.lower():
            self.wrong.append((self.inside, data[:200]))

    def handle_comment(self, data):
        if MARK in data.lower():
            self.wrong.append(("comment", data[:200]))


def test_the_corpus_is_large_and_would_be_seen():
    assert len(set(PAYLOADS)) >= 300
    raw = "".join(f"<p>{text}</p>" for text in PAYLOADS)
    assert len(Page(raw).wrong) > 50


def poisoned(value, text, name=""):
    """The same object with the text in every field that is free text."""
    if isinstance(value, dict):
        return {key: poisoned(part, text, key) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [poisoned(part, text, name) for part in value]
    is_free = isinstance(value, str) and name not in FIXED and not value[:4].isdigit() and value.upper() != value
    return text if is_free else value


@pytest.fixture
def world(db):
    """Every hostile text as every free text of every kind of object; what was refused is in the quarantine."""
    partner = Partner.objects.create(name=PAYLOADS[0], state="CONNECTED", version="2.2.1", connected_at=NOW,
                                     versions_url="https://cpo.example/", roles=[])  # fmt: skip
    party = Party.objects.create(country_code="SE", party_id="LAD", name=PAYLOADS[1][:100], partner=partner)
    told = {"country_code": "SE", "party_id": "LAD"}
    kinds = {"tariffs": sent("2.2.1", "tariff"), "locations": sent("2.2.1", "location"),
             "sessions": sent("2.2.1", "session"), "cdrs": CDR}  # fmt: skip
    for module, like in kinds.items():
        bodies = [as_bytes(poisoned(like, text) | told | {"id": f"N{n}"}) for n, text in enumerate(PAYLOADS)]
        take(INTAKES[module], partner, VERSIONS["2.2.1"], bodies, NOW)
    for number, text in enumerate(PAYLOADS):
        Exchange.objects.create(
            partner=partner, direction="IN", method="GET", url=text, error=text, at=NOW, request_body=text.encode(),
            response_body=text.encode(), request_id=text[:64], correlation_id=text[:64], module="cdrs",
        )  # fmt: skip
        Quarantined.objects.create(
            partner=partner, party=party, module="cdrs", version="2.2.1", ocpi_id=text[:255], body=text.encode(),
            digest=number.to_bytes(4, "big"), reasons=[[text, text]], first_seen_at=NOW, last_seen_at=NOW,
        )  # fmt: skip
    Alarm.objects.create(partner=partner, kind="HASTE", reason=PAYLOADS[2], count=1, first_at=NOW, last_at=NOW)
    return partner


def pages(partner):
    yield reverse("admin:index")
    for model in (Partner, Party, Location, Tariff, Session, Cdr, Exchange, Quarantined, Alarm):
        rows = model.objects.order_by("pk")
        for number in range(1, 2 + (rows.count() - 1) // 50):
            yield f"{url_of(model)}?p={number}"
        for row in [*rows[:13], *rows[13::29]]:
            yield url_of(row)


def test_no_text_of_a_partner_becomes_markup(world, admin):
    wrong, seen = [], 0
    for url in pages(world):
        answer = admin.get(url)
        assert answer.status_code == 200, url
        text = answer.content.decode()
        seen += MARK in text.lower()
        wrong += [(url, *found) for found in Page(text).wrong]
        assert not [name for name in answer.headers if MARK in name.lower()]
    assert wrong == []
    assert seen > 60


def test_no_search_for_it_becomes_markup(world, admin):
    for model in (Partner, Party, Location, Tariff, Session, Cdr, Exchange, Quarantined):
        for text in PAYLOADS[::40]:
            answer = admin.get(url_of(model), {"q": text})
            assert answer.status_code == 200, (model, text)
            assert Page(answer.content.decode()).wrong == [], (model, text)


def test_a_link_that_a_partner_chose_is_none_unless_it_is_a_web_page(world, admin):
    """Pages of locations show images and websites."""
    for row in Location.objects.order_by("pk")[::37]:
        text = admin.get(url_of(row)).content.decode().lower()
        assert 'href="javascript' not in text
        assert 'src="javascript' not in text
