"""How often anybody may call (trust S42): each class of a partner, whoever is refused, and when nobody can count."""

import time

import pytest
import redis
from celery import current_app

from apps import pace
from apps.partners import handshake
from apps.partners.models import Alarm, Exchange, Partner
from emsp.servers import Valkey
from tests.charging.conftest import CDR

pytestmark = [pytest.mark.control("S42"), pytest.mark.django_db(transaction=True)]


def said(answer):
    return answer.status_code, answer.headers.get("Retry-After"), answer.json()["status_code"]


CALLS = {
    "authorize": ("POST", "tokens/NOBODYS/authorize", {}),
    "messages": ("GET", "tariffs/SE/LAD/none", {}),
    "cdrs": ("POST", "cdrs", {"json": CDR}),
    "lists": ("GET", "tokens", {}),
}


@pytest.mark.parametrize("kind", CALLS)
def test_beyond_its_pace_a_partner_is_told_when_to_come_again(kind, caller, partner, monkeypatch):
    monkeypatch.setitem(pace.LIMITS, kind, pace.Limit(0.2, 2))
    method, path, body = CALLS[kind]
    answers = [caller.call(method, path, **body) for _ in range(4)]
    assert [answer.status_code == 429 for answer in answers] == [False, False, True, True]
    assert said(answers[-1]) == (429, "5", 2000)
    assert set(answers[-1].json()) >= {"status_code", "status_message", "timestamp"}
    alarm = Alarm.objects.get(partner=partner)
    assert (alarm.kind, alarm.count) == ("HASTE", 1)  # said once a minute, however often it calls
    assert not Exchange.objects.filter(http_status=429).exists()


def test_one_kind_of_call_does_not_slow_down_another(caller, monkeypatch):
    """A partner that reads our list over and over still gets its drivers authorised."""
    monkeypatch.setitem(pace.LIMITS, "lists", pace.Limit(0.2, 1))
    assert [caller.call("GET", "tokens").status_code for _ in range(2)] == [200, 429]
    assert caller.call("POST", "tokens/NOBODYS/authorize").status_code == 404


def test_one_partner_does_not_slow_down_another(caller, make_partner, as_partner, monkeypatch):
    monkeypatch.setitem(pace.LIMITS, "lists", pace.Limit(0.2, 1))
    other = as_partner(make_partner("SE*OTH", name="Other"))
    assert [who.call("GET", "tokens").status_code for who in (caller, caller, other)] == [200, 429, 200]


def test_a_partner_may_be_given_a_higher_pace(caller, partner, monkeypatch):
    monkeypatch.setitem(pace.LIMITS, "lists", pace.Limit(0.2, 1))
    Partner.objects.filter(pk=partner.pk).update(pace=3)
    assert [caller.call("GET", "tokens").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_strangers_of_one_network_are_slowed_down_after_twenty(as_partner, site, partner, monkeypatch):
    monkeypatch.setattr(pace, "STRANGERS", pace.STRANGERS._replace(rate=0.1))
    stranger, friend = as_partner("nobody-knows_this"), as_partner(partner)
    answers = [stranger.call("GET", "tokens") for _ in range(22)]
    assert [answer.status_code for answer in answers] == [401] * 20 + [429] * 2
    assert friend.call("GET", "tokens").status_code == 200  # who is known is not kept out by who is not


def test_the_usual_pace_is_what_we_promise():
    promised = {"authorize": (50, 200), "messages": (200, 1000), "cdrs": (50, 200), "lists": (5, 20)}
    assert {kind: pace.LIMITS[kind][:2] for kind in promised} == promised
    assert pace.STRANGERS[:2] == (10, 20)
    assert pace.LIMITS["handshakes"] == (6 / 3600, 6, False)


# The bucket itself


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    server = Valkey(tmp_path_factory.mktemp("valkey"), tmp_path_factory.mktemp("s"))
    server.start()
    yield f"redis+socket://{server.socket}"
    server.stop()


@pytest.fixture
def broker(monkeypatch):
    def use(url):
        monkeypatch.setattr(current_app.conf, "broker_url", url)

    return use


def done(paces, times, limit, key=("somebody", "tries")):
    """How many of so many tries are let through, by processes in turn."""
    return sum(not paces[number % len(paces)].wait(key, limit) for number in range(times))


def test_processes_draw_from_one_bucket(valkey, broker):
    broker(valkey)
    together = done([pace.Pace(), pace.Pace(), pace.Pace()], 300, pace.Limit(5, 100))
    assert 100 <= together <= 106


def test_a_bucket_fills_up_again(valkey, broker):
    broker(valkey)
    process, limit, key = pace.Pace(), pace.Limit(20, 1), ("another", "tries")
    assert [process.wait(key, limit), process.wait(key, limit)] == [0, 1]
    time.sleep(0.1)
    assert process.wait(key, limit) == 0


def test_what_a_process_holds_goes_stale(broker):
    """Else many processes could hoard what one partner may do."""
    broker("memory://")
    process, limit = pace.Pace(), pace.Limit(10, 10)
    process.wait(("a",), limit)
    assert process._hands["a",][0] == 1
    process._hands["a",][1] = 0.0
    process.wait(("a",), limit)
    assert process._buckets["a",].left < 7


def test_without_redis_every_process_counts_by_itself(broker):
    broker("amqp://nowhere")
    assert 100 <= done([pace.Pace()], 300, pace.Limit(5, 100)) <= 106


def test_while_redis_is_away_drivers_are_authorised_and_nobody_registers(broker, tmp_path):
    broker(f"redis+socket://{tmp_path}/gone.sock")
    process, started = pace.Pace(), time.monotonic()
    assert done([process], 100, pace.LIMITS["authorize"]) == 100
    assert process.wait(("somebody", "registers"), pace.LIMITS["handshakes"]) == 5
    assert time.monotonic() - started < 1


def test_a_redis_that_hangs_holds_nobody_up(broker, monkeypatch):
    broker("redis://127.0.0.1:1/0")

    def hang(*args, **how):
        time.sleep(pace.PATIENCE_S)
        raise redis.TimeoutError

    process = pace.Pace()
    monkeypatch.setattr(process._everybodys(), "_hasty", hang)
    started = time.monotonic()
    assert done([process], 100, pace.LIMITS["authorize"]) == 100
    assert time.monotonic() - started < 0.5


def test_a_redis_that_was_slow_turns_no_handshake_away(valkey, broker):
    """It is left alone for a while by all that may be done without it; a handshake may not."""
    broker(valkey)
    process = pace.Pace()
    process._everybodys()._silent_until = time.monotonic() + pace.SILENCE_S
    assert process.wait(("who was late", "handshakes"), pace.LIMITS["handshakes"]) == 0


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(pace, "MOST_REMEMBERED", 10)
    process = pace.Pace()
    for number in range(100):
        process.wait(("stranger", str(number)), pace.STRANGERS)
    assert len(process._buckets) <= 10
    assert len(process._hands) <= 10


def test_handshakes_are_six(invitation, as_partner, cpo):
    """The seventh within the hour is told to come later, before we call anybody."""
    limit = pace.LIMITS["handshakes"]
    partner = Partner.objects.get()
    assert [pace.PACE.wait((partner.pk, "handshakes"), limit) for _ in range(6)] == [0] * 6
    body = {"token": "a-token_of_theirs", "url": cpo.versions_url, "roles": []}
    before = len(cpo.requests)
    answer = as_partner(invitation.token).call("POST", "credentials", json=body | {"roles": [ROLE]})
    assert answer.status_code == 429
    assert 500 < int(answer.headers["Retry-After"]) <= 600
    assert len(cpo.requests) == before


ROLE = {"role": "CPO", "country_code": "SE", "party_id": "LAD", "business_details": {"name": "CPO"}}


@pytest.mark.control("S11")
def test_all_calls_of_a_handshake_share_five_seconds():
    left = handshake._within(0.2)
    time.sleep(0.15)
    assert 0 < left() < 0.06
    time.sleep(0.1)
    assert left() <= 0.001
