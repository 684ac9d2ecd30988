"""A second factor: who has one is asked for it, who must have one sets it up, and nothing is reachable before (trust S46)."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps import sealing
from apps.partners import resealing
from apps.staff import logins, pauses, second_factor
from apps.staff.models import FailedCode, RecoveryCode, SecondFactor, User
from apps.staff.office import url_of
from emsp import local
from tests.admin.conftest import as_role
from tests.security import inventory
from tests.security.factors import later, shown

__all__ = ["as_role"]
pytestmark = [pytest.mark.control("S46"), pytest.mark.django_db]
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
PASSWORD = "right-and-long"
HOME, PROVE, ENROL, MINE = (
    "/admin/",
    "/admin/second-factor/prove/",
    "/admin/second-factor/enrol/",
    "/admin/second-factor/",
)
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.fixture
def anna(db):
    return User.objects.create_superuser("anna", "", PASSWORD)


@pytest.fixture
def required(settings):
    settings.SECOND_FACTOR_REQUIRED = True


def equip(user, now=None):
    """The secret and the recovery codes of somebody who has set up a telephone, a while ago."""
    sealed = second_factor.draft(user)
    secret = second_factor.spell(user, sealed)
    at = now or timezone.now() - timedelta(hours=1)
    _, codes = second_factor.confirm(user, sealed, shown(secret, at.timestamp()), at)
    return secret, codes


def with_password(username="anna", client=None, **more):
    client = client or Client()
    answer = client.post(reverse("admin:login"), {"username": username, "password": PASSWORD}, **more)
    assert answer.status_code == 302
    return client


def give(client, code="", recovery="", **more):
    """What is answered to a code: where it leads, or what is said."""
    answer = client.post(f"{PROVE}?next=/admin/drivers/driver/", {"code": code, "recovery": recovery}, **more)
    return answer.url if answer.status_code == 302 else " ".join(answer.context["form"].non_field_errors())


def is_in(client):
    return client.get(HOME).status_code == 200


# Codes


@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_the_standard(anna, at, code):
    """Appendix B of RFC 6238, its last six digits; the telephone of these tests is held to it as well."""
    sealed = sealing.seal(RFC_SECRET, second_factor.place_of_secret(anna))
    assert shown(RFC_SECRET, at) == code
    second_factor.confirm(anna, sealed, code, datetime.fromtimestamp(at, UTC))
    with pytest.raises(second_factor.WrongCode):
        second_factor.confirm(anna, sealed, code, datetime.fromtimestamp(at + 90, UTC))


def test_a_code_is_good_one_step_before_and_after_and_once(anna):
    secret, _ = equip(anna, NOW - timedelta(hours=1))
    factor = SecondFactor.objects.get()

    def opens(step):
        try:
            second_factor.prove(factor, shown(secret, NOW.timestamp() + 30 * step), "", NOW)
        except second_factor.WrongCode:
            return False
        FailedCode.objects.all().delete()
        return True

    assert [opens(step) for step in (-2, 2)] == [False, False]
    assert [opens(step) for step in (-1, -1, 0, 0, -1, 1, 1, 0)] == [
        True,
        False,
        True,
        False,
        False,
        True,
        False,
        False,
    ]


def test_the_code_that_confirmed_is_used(anna):
    secret, _ = equip(anna, NOW)
    with pytest.raises(second_factor.WrongCode):
        second_factor.prove(SecondFactor.objects.get(), shown(secret, NOW.timestamp()), "", NOW)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_show_the_same_code_at_once_one_gets_in(anna):
    secret, codes = equip(anna, NOW - timedelta(hours=1))
    factor = SecondFactor.objects.select_related("user").get()

    def attempt(code, place):
        try:
            second_factor.prove(factor, code, f"192.0.{place}.1", NOW)
        except second_factor.WrongCode:
            return False
        else:
            return True
        finally:
            connection.close()

    for code in (shown(secret, NOW.timestamp()), codes[0]):
        with ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(attempt, [code] * 12, range(12))) == 1


def test_what_is_kept_opens_nothing(anna):
    secret, codes = equip(anna)
    factor = SecondFactor.objects.get()
    kept = [factor.secret, *RecoveryCode.objects.values_list("digest", flat=True)]
    plain = [secret.replace(" ", ""), *(code.replace("-", "") for code in codes)]
    assert not [one for one in plain if any(one in row for row in kept)]
    other = User.objects.create_superuser("bert", "", PASSWORD)
    SecondFactor.objects.create(user=other, secret=factor.secret, last_step=0, made_at=NOW)
    with pytest.raises(second_factor.NotTaken):
        second_factor.prove(other.second_factor, shown(secret), "", timezone.now())


def test_a_new_key_seals_it_again_and_without_any_a_recovery_code_still_helps(anna, settings):
    secret, codes = equip(anna, NOW - timedelta(hours=1))
    new = local.new_field_key()
    settings.FIELD_KEYS = [new, *settings.FIELD_KEYS]
    assert resealing.reseal().count == 1
    settings.FIELD_KEYS = [new]
    second_factor.prove(SecondFactor.objects.get(), shown(secret, NOW.timestamp()), "", NOW)
    settings.FIELD_KEYS = [local.new_field_key()]
    with pytest.raises(second_factor.NotTaken, match="recovery code"):
        second_factor.prove(SecondFactor.objects.get(), shown(secret, NOW.timestamp() + 30), "", NOW)
    second_factor.prove(SecondFactor.objects.get(), codes[0], "", NOW)


# Wrong codes


def test_wrong_codes_are_paused_like_passwords_and_a_new_password_does_not_count_anew(anna):
    secret, _ = equip(anna)
    client = with_password()
    assert [give(client, "000000") for _ in range(4)] == [
        "This code is not right, or was used. Wait for the next one."
    ] * 4
    with_password(client=client)
    give(client, "000000")
    assert "Too many tries. Try again in 1 min." in give(client, shown(secret))
    assert not is_in(client)


def test_a_stranger_elsewhere_keeps_nobody_out(anna):
    secret, _ = equip(anna)
    thief = with_password(REMOTE_ADDR="203.0.113.7")
    said = [give(thief, "000000", REMOTE_ADDR="203.0.113.7") for _ in range(8)]
    assert "Too many tries" in said[-1]
    assert give(with_password(), shown(secret)) == "/admin/drivers/driver/"
    stranger = Client().post(PROVE, {"code": "000000"}, REMOTE_ADDR="198.51.100.7")
    assert stranger.url.startswith(reverse("admin:login")), "who knows no password tries no code"


def test_codes_guessed_from_everywhere_leave_recovery_codes_alone(anna):
    secret, codes = equip(anna, NOW - timedelta(hours=1))
    factor = SecondFactor.objects.get()
    for place in range(34):
        FailedCode.objects.create(user=anna, network=f"203.0.{place}.0", tries=3, last_at=NOW)
    with pytest.raises(second_factor.NotTaken, match="knows your password"):
        second_factor.prove(factor, shown(secret, NOW.timestamp()), "192.0.2.1", NOW)
    second_factor.prove(factor, codes[0], "192.0.2.1", NOW)
    tomorrow = NOW + timedelta(days=1, minutes=1)
    second_factor.prove(factor, shown(secret, tomorrow.timestamp()), "192.0.2.1", tomorrow)


def test_who_is_paused_gets_in_by_a_recovery_code(anna):
    _, codes = equip(anna)
    client = with_password()
    for _ in range(6):
        give(client, "000000")
    assert give(client, recovery=codes[0]) == "/admin/drivers/driver/"


def test_wrong_codes_are_forgotten(anna):
    pauses.admit(FailedCode, NOW, user=anna, network="")
    assert logins.forget(NOW + timedelta(hours=23)) == 0
    assert logins.forget(NOW + timedelta(hours=25)) == 1


# The login


def test_who_has_one_is_asked_for_it_and_led_on(anna):
    secret, _ = equip(anna)
    client = with_password()
    asked = client.get("/admin/drivers/driver/?q=eva")
    assert (asked.status_code, asked.url) == (302, f"{PROVE}?next=%2Fadmin%2Fdrivers%2Fdriver%2F%3Fq%3Deva")
    before = client.cookies["sessionid"].value
    assert give(client, shown(secret)) == "/admin/drivers/driver/"
    assert client.cookies["sessionid"].value != before
    assert is_in(client)
    assert not is_in(with_password()), "it is asked for at each login"


def test_a_code_that_was_used_opens_no_second_session(anna):
    secret, _ = equip(anna)
    code = shown(secret)
    assert give(with_password(), code) == "/admin/drivers/driver/"
    assert "was used" in give(with_password(), code)


def test_a_recovery_code_opens_once(anna):
    _, codes = equip(anna)
    client = with_password()
    assert give(client, recovery=codes[3].lower()) == "/admin/drivers/driver/"
    assert "9 recovery codes are left" in client.get(HOME).content.decode()
    assert "not right" in give(with_password(), recovery=codes[3])
    assert len(codes) == len(set(codes)) == 10


def test_the_password_again_makes_no_half_session_whole(anna):
    """Whoever takes over a browser whose session has ended knows no code."""
    secret, _ = equip(anna)
    client = with_password()
    give(client, shown(secret))
    with_password(client=client)
    assert not is_in(client)


def test_a_next_that_is_not_ours_leads_home(anna):
    secret, _ = equip(anna)
    client = with_password()
    answer = client.post(f"{PROVE}?next=https://evil.example/", {"code": shown(secret)})
    assert answer.url == HOME


# Nothing in between


def addresses():
    """Every URL under /admin/ that the inventory knows, with something in the place of each id."""
    for route, _ in inventory.routes():
        if route.startswith("admin/"):
            path = (
                re.sub(r"\(\?P<app_label>(\w+).*?\)|\(\?P<url>\.\*\)", r"\1", route).replace("^", "").replace("$", "")
            )
            yield "/" + re.sub(r"<[^>]+>", "1", path)


OPEN = {"/admin/login/", "/admin/logout/", "/admin/jsi18n/", PROVE, ENROL}


@pytest.mark.parametrize("step", [PROVE, ENROL], ids=["a code is asked", "none was set up"])
def test_nothing_is_reachable_between_the_password_and_the_second_factor(anna, required, step):
    if step == PROVE:
        equip(anna)
    client, seen = with_password(), 0
    for url in addresses():
        if url in OPEN:
            continue
        for method in ("get", "post", "head", "put", "delete"):
            answer = getattr(client, method)(url)
            assert (answer.status_code, answer.url.partition("?")[0]) == (302, step), (method, url)
            seen += 1
        dialog = client.get(url, headers={"HX-Request": "true"})
        assert dialog.headers["HX-Redirect"].startswith(step), url
    assert seen > 1000


def test_a_page_in_between_offers_nothing_of_the_back_office(anna, required):
    text = with_password().get(ENROL).content.decode()
    assert set(re.findall(r'(?:href|action)="(/admin/[^"]*)"', text)) == {reverse("admin:logout")}


def test_strangers_get_to_no_page_of_it(client):
    for url in (PROVE, ENROL, MINE):
        answer = client.get(url)
        assert (answer.status_code, answer.url.partition("?")[0]) == (302, reverse("admin:login")), url


def test_who_is_not_of_the_staff_sets_up_nothing(client):
    client.force_login(User.objects.create_user("outsider", password=PASSWORD))
    assert client.get(ENROL).url.startswith(reverse("admin:login"))


# Who must have one


def test_it_is_demanded_where_it_is_demanded_alone(anna, settings):
    settings.SECOND_FACTOR_REQUIRED = False
    client = with_password()
    assert is_in(client)
    settings.SECOND_FACTOR_REQUIRED = True
    assert client.get(HOME).url == f"{ENROL}?next=%2Fadmin%2F"


def secret_on(page):
    return re.search(r'id="secret">([A-Z2-7 ]+)<', page.content.decode())[1]


def test_who_has_none_sets_it_up_and_is_in(anna, required):
    client = with_password()
    page = client.get(f"{ENROL}?next=/admin/drivers/driver/")
    secret = secret_on(page)
    assert 'src="data:image/svg+xml' in page.content.decode()
    assert f"secret={secret.replace(' ', '')}" in page.content.decode()
    assert "no-store" in page.headers["Cache-Control"]
    assert secret_on(client.get(ENROL)) == secret, "whoever reloads the page has read the picture already"

    wrong = client.post(ENROL, {"code": "000000"})
    assert "not what the app shows" in wrong.content.decode()
    assert not SecondFactor.objects.exists()

    done = client.post(f"{ENROL}?next=/admin/drivers/driver/", {"code": shown(secret)})
    codes = re.findall(r"<li>([A-Z2-7-]{19})</li>", done.content.decode())
    assert len(codes) == 10
    assert "no-store" in done.headers["Cache-Control"]
    assert 'href="/admin/drivers/driver/"' in done.content.decode()
    assert is_in(client)
    assert give(with_password(), recovery=codes[0]) == "/admin/drivers/driver/"
    assert give(with_password(), later(secret)) == "/admin/drivers/driver/"


def test_a_secret_is_in_no_session_as_it_is_read(anna, required):
    client = with_password()
    secret = secret_on(client.get(ENROL)).replace(" ", "")
    assert secret not in str(dict(client.session))


def test_an_old_password_sets_up_nothing(anna, required):
    client = with_password()
    session = client.session
    session["proved_at"] -= 16 * 60
    session.save()
    asked = client.get(ENROL)
    assert asked.url == f"{PROVE}?next=%2Fadmin%2Fsecond-factor%2Fenrol%2F"
    assert client.post(asked.url, {"password": "wrong"}).status_code == 200
    assert client.post(asked.url, {"password": PASSWORD}).url == ENROL
    assert client.get(ENROL).status_code == 200


def test_it_is_offered_where_it_is_not_demanded(anna):
    client = with_password()
    assert f'href="{MINE}"' in client.get(HOME).content.decode()
    assert f'href="{ENROL}?next={MINE}"' in client.get(MINE).content.decode()
    client.post(ENROL, {"code": shown(secret_on(client.get(ENROL)))})
    assert not is_in(with_password())


# One's own


@pytest.fixture
def equipped(anna):
    secret, codes = equip(anna)
    client = with_password()
    give(client, shown(secret))
    return client, secret, codes


def test_ones_own_is_removed_with_a_fresh_code_alone(equipped):
    client, secret, _ = equipped
    client.post(MINE, {"what": "remove", "code": "000000"})
    client.post(MINE, {"what": "remove"})
    assert FailedCode.objects.get().tries == 1, "to write nothing is no try"
    assert SecondFactor.objects.exists()
    assert client.post(MINE, {"what": "remove", "code": later(secret)}).url == MINE
    assert not SecondFactor.objects.exists()
    assert is_in(client)
    assert is_in(with_password())


def test_where_it_is_demanded_nobody_removes_ones_own(equipped, required):
    client, secret, _ = equipped
    assert 'value="remove"' not in client.get(MINE).content.decode()
    client.post(MINE, {"what": "remove", "code": later(secret)})
    assert SecondFactor.objects.exists()


def test_another_telephone_takes_the_place_of_the_first(equipped):
    client, secret, codes = equipped
    led = client.post(MINE, {"what": "replace", "code": later(secret)}).url
    new = secret_on(client.get(led))
    client.post(led, {"code": shown(new)})
    assert new != secret
    assert is_in(client)
    assert "not right" in give(with_password(), recovery=codes[0])
    assert give(with_password(), later(new)) == "/admin/drivers/driver/"


def test_another_telephone_takes_a_proof_of_this_moment(equipped):
    client, *_ = equipped
    session = client.session
    session["proved_at"] -= 6 * 60
    session.save()
    assert client.get(ENROL).url.startswith(PROVE)
    assert client.post(ENROL, {"code": "000000"}).url.startswith(PROVE)


def test_new_recovery_codes_end_the_old_ones(equipped):
    client, secret, old = equipped
    text = client.post(MINE, {"what": "codes", "code": later(secret)}).content.decode()
    new = re.findall(r"<li>([A-Z2-7-]{19})</li>", text)
    assert len(new) == 10
    assert "not right" in give(with_password(), recovery=old[0])
    assert give(with_password(), recovery=new[0]) == "/admin/drivers/driver/"


# The telephone is lost, and the codes as well


def events():
    return list(
        apps.get_model("staff", "SecondFactorEvent").objects.order_by("pgh_id").values_list("pgh_label", flat=True)
    )


def test_an_administrator_takes_it_away_and_that_is_kept(anna, as_role, equipped):
    theirs, *_ = equipped
    administrator = as_role("admin")
    url = reverse("admin:staff_user_take_second_factor_away", args=[anna.pk])
    assert url in administrator.get(url_of(anna)).content.decode()
    assert administrator.post(url, {"_form_submitted": "on"}).url == url_of(anna)

    assert not SecondFactor.objects.exists()
    assert LogEntry.objects.get().change_message == "Took the second factor away."
    assert events() == ["insert", "delete"]
    event = apps.get_model("staff", "SecondFactorEvent").objects.latest("pgh_id")
    assert event.pgh_context.metadata["user"] == User.objects.get(username="admin").pk
    assert theirs.get(HOME).url.startswith(reverse("admin:login")), "sessions that a thief may have end"
    assert is_in(with_password())
    assert url not in administrator.get(url_of(anna)).content.decode()


@pytest.mark.parametrize("role", ["operations", "auditor"])
def test_nobody_else_takes_it_away(anna, as_role, role):
    equip(anna)
    client = as_role(role)
    url = reverse("admin:staff_user_take_second_factor_away", args=[anna.pk])
    assert client.post(url, {"_form_submitted": "on"}).status_code == 403
    assert SecondFactor.objects.exists()


def test_the_server_takes_it_away(anna, capsys):
    equip(anna)
    call_command("staff", "reset-second-factor", "anna")
    assert "logs in by password alone" in capsys.readouterr().out
    assert events() == ["insert", "delete"]
    call_command("staff", "reset-second-factor", "anna", "--json")
    assert capsys.readouterr().out.strip() == '{"taken_away": false}'
    with pytest.raises(CommandError, match="nobody logs in"):
        call_command("staff", "reset-second-factor", "emil")
