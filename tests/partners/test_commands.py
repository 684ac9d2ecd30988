"""`manage.py partner` as operators and scripts use it: text, --json, and what the process exits with."""

import json
import re

import pytest

from apps.partners.models import CredentialsToken, Partner
from emsp.management.commands.partner import Command

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def manage(site, capsys):
    """Run the command as manage.py does; what it exits with, and both of its streams."""

    def manage(*arguments):
        capsys.readouterr()
        code = 0
        try:
            Command().run_from_argv(["manage.py", "partner", *map(str, arguments)])
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return manage


@pytest.fixture
def as_json(manage):
    def as_json(*arguments):
        code, out, err = manage(*arguments, "--json")
        assert out, err
        return code, json.loads(out)

    return as_json


def test_a_partner_is_invited_and_registers(as_json, cpo, site):
    code, made = as_json("invite", "--name", "Laddbolaget", "--party", "SE-LAD", "--private")
    assert (code, made["partner"], made["versions_url"]) == (0, "SE*LAD", f"{site}/ocpi/versions")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made["expires_at"])
    assert cpo.register(made["versions_url"], made["token"]).is_ok
    (status,) = as_json("status", "SE*LAD")[1]
    assert (status["partner"], status["name"], status["state"], status["version"]) == (
        "SE*LAD", "Laddbolaget", "CONNECTED", "2.2.1",
    )  # fmt: skip
    nothing_yet = {"last_good": None, "age_s": None, "failures": 0, "error": ""}
    assert status["modules"] == dict.fromkeys(("tariffs", "locations", "sessions", "cdrs"), nothing_yet)


def test_an_invitation_is_text_for_people_too(manage):
    code, out, err = manage("invite", "--name", "A hub", "--party", "SEHUB", "--role", "HUB")
    token = re.search(r"CREDENTIALS_TOKEN_A +(\S+)", out)[1]
    assert (code, err, token[-4:]) == (0, "", CredentialsToken.objects.get().last_four)
    assert (Partner.objects.get().role, Partner.objects.get().is_private) == ("HUB", False)


def test_we_connect(as_json, cpo):
    code, made = as_json(
        "connect", "--name", "CPO", "--versions-url", cpo.versions_url, "--token", cpo.token_a(), "--private"
    )
    assert (code, made["partner"], made["version"]) == (0, "SE*LAD", "2.2.1")
    assert made["roles"] == ["CPO SE*LAD", "CPO DE*LAD"]
    assert made["modules"] == ["cdrs", "commands", "credentials", "locations", "sessions", "tariffs", "tokens"]


@pytest.mark.parametrize("written", [["--token", "-x"], ["--token=-x"]])
def test_a_token_may_begin_with_a_dash(manage, cpo, written):
    code, _, err = manage("connect", "--name", "CPO", "--versions-url", cpo.versions_url, *written, "--private")
    assert (code, "401" in err) == (1, True)


def test_a_connection_that_fails_says_why(manage, cpo):
    code, out, err = manage(
        "connect", "--name", "CPO", "--versions-url", cpo.versions_url, "--token", "wrong", "--private", "--json"
    )
    assert (code, out) == (1, "")
    assert "401" in err


def test_without_private_this_machine_is_not_called(manage, cpo):
    code, _, err = manage("connect", "--name", "CPO", "--versions-url", cpo.versions_url, "--token", cpo.token_a())
    assert (code, "OCPI_PRIVATE_HOSTS" in err) == (1, True)
    assert not cpo.requests


def test_pull_and_push(as_json, registered, cpo):
    code, pulled = as_json("pull", "SE*LAD")
    assert (code, list(pulled)) == (0, ["tariffs", "locations", "sessions", "cdrs"])
    locations = pulled["locations"]
    assert (locations["seen"], locations["stored"], locations["complete"]) == (
        locations["stored"],
        locations["seen"],
        True,
    )
    assert locations["seen"] > 0
    assert all(
        set(counts) == {"seen", "stored", "unchanged", "stale", "quarantined", "complete", "error"}
        for counts in pulled.values()
    )
    again = as_json("pull", "DE-LAD", "--module", "locations", "--full")[1]
    assert (list(again), again["locations"]["unchanged"], again["locations"]["stored"]) == (
        ["locations"],
        locations["seen"],
        0,
    )
    assert as_json("push", "SE*LAD") == (0, {"tokens": {"due": 0, "confirmed": 0, "behind": 0}})


def test_a_pull_that_breaks_off_exits_1_and_still_prints(manage, registered, cpo):
    cpo.fault("status", value=500, module="tariffs")
    code, out, err = manage("pull", "SELAD", "--json")
    pulled = json.loads(out)
    assert (code, pulled["tariffs"]["complete"], pulled["locations"]["complete"]) == (1, False, True)
    assert "tariffs" in err
    code, out, _ = manage("status", "SE*LAD")
    assert (code, "tariffs    last good never; failed 1 times: HTTP 500" in out) == (0, True)
    assert "SILENT" in out


def test_a_party_nobody_reaches(manage):
    for verb in ("pull", "push", "status"):
        code, out, err = manage(verb, "SE*XXX", "--json")
        assert (code, out, "SE*XXX" in err) == (1, "", True)


def test_who_is_not_connected_is_not_pushed_to(manage, make_partner):
    make_partner("SE*LAD", state="INVITED")
    assert manage("push", "SE*LAD")[0] == 1


def test_status_of_nobody(as_json, manage):
    assert as_json("status") == (0, [])
    assert "no partners" in manage("status")[1]


@pytest.mark.parametrize(
    "arguments",
    [[], ["nothing"], ["invite", "--name", "x"], ["invite", "--name", "x", "--party", "SWE*LAD"], ["pull"],
     ["pull", "SE*LAD", "--module", "tokens"], ["invite", "--name", "x", "--party", "SE*LAD", "--role", "EMSP"]],
)  # fmt: skip
def test_wrong_usage_exits_2(arguments, manage):
    code, out, err = manage(*arguments)
    assert (code, out) == (2, "")
    assert "usage" in err
