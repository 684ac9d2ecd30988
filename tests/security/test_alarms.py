"""What partners do that a person has to look at, and where that person sees it (trust S8, S9, S43)."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.partners import alarms, credentials
from apps.partners.models import Alarm, CredentialsToken, Partner
from apps.staff.models import User
from apps.staff.office import url_of
from apps.tokens import guessing
from apps.tokens.models import Authorization
from tests.tokens.conftest import make_driver, make_token

__all__ = ["make_driver", "make_token"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def office(client):
    client.force_login(User.objects.create_superuser("anna"))
    return client


def home(office):
    return office.get(reverse("admin:index")).content.decode()


# A token that is dead


@pytest.mark.control("S9")
def test_a_token_that_is_dead_is_refused_like_any_other_and_said_to_staff(caller, partner, office, caplog):
    stranger = caller.call("GET", "tokens", headers={"Authorization": "Token nobody-knows_this"}).json()
    credentials.revoke_all(partner, timezone.now())
    answers = [caller.call("GET", "tokens") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401] * 3
    assert answers[0].json() | {"timestamp": ""} == stranger | {"timestamp": ""}
    alarm = Alarm.objects.get()
    assert (alarm.partner, alarm.kind, alarm.count) == (partner, "STALE_TOKEN", 3)
    assert alarm.reason == f"token C …{caller.token[-4:]}, from 127.0.0.1"
    assert "a token that is dead was used" in caplog.text
    for page in (
        home(office),
        office.get(url_of(partner)).content.decode(),
        office.get(url_of(alarm)).content.decode(),
    ):
        assert "a token that is dead was used" in page


@pytest.mark.control("S9")
def test_a_token_that_was_replaced_alarms_from_the_first_use_of_the_new_one_on(caller, partner, as_partner):
    now = timezone.now()
    assert caller.call("GET", "tokens").status_code == 200
    successor = as_partner(credentials.replace(partner, now))
    assert caller.call("GET", "tokens").status_code == 200  # the answer may have got lost: it is still good
    assert not Alarm.objects.exists()
    assert successor.call("GET", "tokens").status_code == 200
    assert caller.call("GET", "tokens").status_code == 401
    assert Alarm.objects.get().kind == "STALE_TOKEN"


@pytest.mark.control("S9")
def test_a_token_that_never_was_alarms_nobody(as_partner, partner):
    assert as_partner("nobody-knows_this").call("GET", "tokens").status_code == 401
    assert not Alarm.objects.exists()


@pytest.mark.control("S9")
def test_an_alarm_is_settled_by_staff_and_comes_back_if_it_happens_again(partner, office, now):
    alarms.sound(partner.pk, Alarm.Kind.STALE_TOKEN, "…abcd", now)
    alarm = Alarm.objects.get()
    act = reverse("admin:partners_alarm_settle", args=[alarm.pk])
    office.post(act, {"_form_submitted": "on"})
    alarm.refresh_from_db()
    assert alarm.settled_at is not None
    assert "a token that is dead" not in home(office)
    alarms.sound(partner.pk, Alarm.Kind.STALE_TOKEN, "…abcd", now)
    assert Alarm.objects.filter(settled_at=None).get().count == 1
    with pytest.raises(ValueError, match="settled already"):
        alarms.settle(alarm, now)


# A token that is old


@pytest.mark.control("S8")
@pytest.mark.parametrize(("days", "said"), [(29, None), (31, "older than 30 days"), (46, "older than 45 days")])
def test_an_old_token_is_pointed_out(days, said, partner, office):
    credentials.issue(partner, CredentialsToken.Kind.CREDENTIALS, timezone.now())
    CredentialsToken.objects.update(created_at=timezone.now() - timedelta(days=days))
    page = home(office)
    assert ("Partners with tokens older than" in page) == (said is not None)
    assert said is None or said in page


@pytest.mark.control("S8")
def test_one_click_renews_it(registered, office, cpo):
    CredentialsToken.objects.update(created_at=timezone.now() - timedelta(days=50))
    assert "older than 45 days" in home(office)
    office.post(reverse("admin:partners_partner_renew", args=[registered.pk]), {"_form_submitted": "on"})
    assert "tokens older than" not in home(office)


# Who tries out cards


def ask(caller, uids):
    return [caller.call("POST", f"tokens/{uid}/authorize").status_code for uid in uids]


@pytest.mark.control("S43")
def test_many_unknown_cards_in_a_minute_alarm_and_slow_down(caller, partner, office, make_token, now):
    make_token("KNOWN")
    assert set(ask(caller, [f"GUESS{number}" for number in range(30)])) == {404}
    assert not Alarm.objects.exists()
    ask(caller, [f"MORE{number}" for number in range(10)])
    alarm = Alarm.objects.get(kind="GUESSING")
    assert alarm.reason == "40 unknown cards in a minute"
    assert "asks for cards that there are not" in home(office)
    assert ask(caller, ["KNOWN", "KNOWN", "KNOWN"])[1:] == [429, 429]
    assert caller.call("GET", "tokens").status_code == 200  # it is slowed down in this alone
    alarms.settle(alarm, now)
    assert ask(caller, ["KNOWN"] * 3) == [200] * 3


@pytest.mark.control("S43")
@pytest.mark.parametrize(("unknown", "is_suspicious"), [(20, False), (21, True)])
def test_more_than_a_fifth_of_a_hundred_is_suspicious(unknown, is_suspicious, partner, now):
    """Slowly, over many minutes, as somebody would who does not want to be seen."""
    asked = [("UNKNOWN" if number < unknown else "ALLOWED", number) for number in range(100)]
    Authorization.objects.bulk_create(
        Authorization(partner=partner, token_uid=f"{number}", allowed=allowed, at=now - timedelta(seconds=30 * number))
        for allowed, number in asked
    )
    reason = guessing.suspicion(partner.pk, now)
    assert reason == (f"{unknown} of the last 100 cards were unknown" if is_suspicious else "")


@pytest.mark.control("S43")
def test_few_unknown_cards_among_many_are_everyday(partner, now):
    Authorization.objects.bulk_create(
        Authorization(partner=partner, token_uid="1", allowed="UNKNOWN", at=now - timedelta(seconds=number))
        for number in range(30)
    )
    assert guessing.suspicion(partner.pk, now) == ""  # fewer than a hundred, and not more than thirty a minute


@pytest.mark.control("S43")
def test_a_partner_is_slowed_down_for_an_hour_at_most(caller, partner, make_token):
    make_token("KNOWN")
    Partner.objects.filter(pk=partner.pk).update(slowed_until=timezone.now() - timedelta(seconds=1))
    assert ask(caller, ["KNOWN"] * 3) == [200] * 3
