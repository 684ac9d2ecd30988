"""What is kept, and what with: keys that are keys, and a record that a partner cannot fill our disk with (trust S3)."""

import json
from base64 import urlsafe_b64encode
from datetime import timedelta

import pytest

from apps.ocpi.client import Call
from apps.partners import exchanges
from apps.partners.models import Exchange, Partner
from emsp import local
from tests.test_settings import manage

WHOLE = local.new_field_key()


WEAK = {
    "a word": "changeme",
    "too short": urlsafe_b64encode(b"x" * 16).decode(),
    "an empty one beside it": f"{WHOLE},",
    "a letter too many": f"{WHOLE}é",
}


@pytest.mark.control("S3", "S53")
@pytest.mark.parametrize("keys", WEAK.values(), ids=WEAK)
def test_production_takes_no_weak_key(keys, tmp_path):
    refused = manage(tmp_path, "check", FIELD_KEYS=keys)
    assert refused.returncode != 0
    assert "FIELD_KEYS are 32 random bytes" in refused.stderr
    assert keys not in refused.stderr


def test_production_takes_a_whole_key_and_an_older_one(tmp_path):
    assert manage(tmp_path, "check", FIELD_KEYS=f"{WHOLE},{local.new_field_key()}").returncode == 0


@pytest.mark.django_db
def test_of_an_endless_page_only_the_beginning_is_kept():
    partner = Partner.objects.create(name="CPO")
    page = json.dumps({"data": "x" * 2**21}).encode()
    said = ("GET", "https://cpo.example/cdrs", b"", page, 200, 1000, "", timedelta(seconds=1), "1", "2")
    exchanges.recorder(partner, "cdrs")(Call(*said))
    assert len(bytes(Exchange.objects.get().response_body)) == exchanges.LONGEST_BODY
