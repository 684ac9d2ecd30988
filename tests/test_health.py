"""Probes and gauges, asked over HTTP like a load balancer and Prometheus would."""

from datetime import timedelta

import pytest
from celery import current_app
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from apps.partners.models import Feed, Partner, Quarantined
from emsp import health
from emsp.models import Heartbeat
from emsp.servers import Valkey
from emsp.tasks import hear_timetable

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_such_broker(monkeypatch, tmp_path):
    monkeypatch.setattr(current_app.conf, "broker_url", f"redis+socket://{tmp_path}/nobody")


def test_we_live_without_asking_anybody(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/healthz").content == b"ok\n"


def test_we_are_ready_when_everything_we_need_answers(client):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.content) == (200, b"database: ok\nmigrations: ok\nbroker: ok\n")


def test_a_missing_migration_makes_us_unready(client):
    MigrationRecorder(connection).migration_qs.filter(app="billing", name="0001_initial").delete()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert b"migrations: 1 to be applied" in answer.content


def test_a_broker_that_is_gone_is_said_in_a_word_and_stops_nobody(client, no_such_broker):
    """Trust O6, R26: a card is authorised without it, so no load balancer may turn away from us."""
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert b"broker: unreachable\n" in answer.content


def test_the_broker_of_this_machine_answers(tmp_path_factory, monkeypatch):
    server = Valkey(tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("sockets"))
    server.start()
    try:
        monkeypatch.setattr(current_app.conf, "broker_url", f"redis+socket://{server.socket}")
        assert health.broker() == ""
    finally:
        server.stop()
    assert health.broker() == "unreachable"


def test_probes_are_no_pages(client):
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path).headers["Content-Type"].startswith("text/plain")


def test_metrics_are_for_this_machine_when_there_is_no_token(client):
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="10.1.2.3").status_code == 403
    assert client.get("/metrics", REMOTE_ADDR="").status_code == 403


def test_what_a_proxy_forwards_is_not_from_this_machine(client):
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403


def test_metrics_are_for_whoever_knows_the_token_when_there_is_one(client, settings):
    settings.METRICS_TOKEN = "correct horse"
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer battery"}).status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer correct horse"}).status_code == 200


def test_gauges_say_what_waits(client):
    now = timezone.now()
    partner = Partner.objects.create(name="Ladestation", state=Partner.State.CONNECTED, connected_at=now)
    Feed.objects.create(
        partner=partner, module="cdrs", interval=timedelta(hours=1), due_at=now - timedelta(hours=1),
        last_good_at=now - timedelta(hours=2), failures=3, attempts=1, last_error="no answer",
    )  # fmt: skip
    Quarantined.objects.create(
        partner=partner,
        module="cdrs",
        version="x",
        body=b"{",
        digest=b"1",
        reasons=[],
        first_seen_at=now,
        last_seen_at=now,
    )
    found = gauges(client)
    assert found['emsp_due{queue="feeds"}'] == 1
    assert found['emsp_due_failing{queue="feeds"}'] == 1
    assert found['emsp_due_oldest_seconds{queue="feeds"}'] == pytest.approx(3600, abs=60)
    assert found[f'emsp_feed_age_seconds{{module="cdrs",partner="{partner.pk}"}}'] == pytest.approx(7200, abs=60)
    assert found[f'emsp_feed_failures{{module="cdrs",partner="{partner.pk}"}}'] == 3
    assert found['emsp_quarantine_open{module="cdrs"}'] == 1
    assert found["emsp_cdrs_unrated"] == 0
    assert found['emsp_partners{state="CONNECTED"}'] == 1


def test_a_queue_whose_workers_hear_nothing_shows(client):
    for _ in range(2):
        hear_timetable("roaming")
    hear_timetable("billing")
    Heartbeat.objects.filter(queue="billing").update(heard_at=timezone.now() - timedelta(hours=1))
    found = gauges(client)
    assert found['emsp_heartbeat_age_seconds{queue="roaming"}'] == pytest.approx(0, abs=60)
    assert found['emsp_heartbeat_age_seconds{queue="billing"}'] == pytest.approx(3600, abs=60)


def gauges(client) -> dict[str, float]:
    lines = client.get("/metrics").content.decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}
