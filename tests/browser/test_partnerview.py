"""The partner's view on a desk and on a telephone, full of what hostile partners wrote."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.partners import ourselves
from apps.partners.models import Partner
from apps.partnerview import links
from apps.tokens import sandbox
from tests.browser import hostile
from tests.browser.conftest import DESK, TELEPHONE
from tests.browser.test_pages import faults_of


@pytest.mark.parametrize("viewport", [DESK, TELEPHONE], ids=["desk", "telephone"])
def test_a_partner_reads_what_became_of_its_cdrs(watched, office, viewport):
    hostile.spoil()
    address = links.make(Partner.objects.get(pk=office.pk), "Bokföring", timedelta(days=9), "eva", timezone.now())
    sandbox.reset(office, timezone.now(), ourselves.us())
    page = watched(viewport)
    for query in ("", "?month=all&state=refused", "?id=nothing", "/tests"):
        assert page.goto(f"/view/{address}{query}").status == 200
        assert not faults_of(page), query
