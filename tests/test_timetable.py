"""The timetable, the queues and the doors that ring: every name there is a task's (architecture 4.9)."""

import re

import pytest

from emsp import local
from emsp.celery import app

QUEUES = {"roaming", "billing", "driver_waits", "celery"}


@pytest.fixture(scope="module")
def tasks() -> set[str]:
    app.autodiscover_tasks(force=True)
    return set(app.tasks)


@pytest.mark.parametrize("entry", sorted(app.conf.beat_schedule))
def test_a_timetable_entry_names_a_task(entry, tasks):
    assert app.conf.beat_schedule[entry]["task"] in tasks


def test_what_is_rung_is_a_task(tasks):
    rung = set()
    for file in local.PROJECT.glob("apps/**/*.py"):
        rung.update(re.findall(r"\bring\(\s*\"([^\"]+)\"", file.read_text()))
    assert rung, "nobody rings, or this test no longer sees it"
    assert rung <= tasks


def test_every_task_goes_to_a_queue_that_a_worker_listens_to(tasks):
    ours = {name for name in tasks if name.startswith("apps.")}
    assert ours
    assert {app.amqp.router.route({}, name)["queue"].name for name in ours} <= QUEUES


def test_the_workers_of_every_queue_of_ours_hear_the_timetable(tasks):
    heard = [entry for entry in app.conf.beat_schedule.values() if entry["task"] == "emsp.tasks.hear_timetable"]
    assert {entry["options"]["queue"] for entry in heard} == QUEUES - {"celery"}
    assert all([entry["options"]["queue"]] == entry["args"] for entry in heard)


def test_the_workers_of_one_machine_and_of_the_procfile_listen_to_the_same_queues():
    from emsp import launch

    here = {queue for command in launch.commands(0).values() for queue in listened(" ".join(map(str, command)))}
    there = {queue for line in (local.PROJECT / "Procfile").read_text().splitlines() for queue in listened(line)}
    assert here == there == QUEUES


def listened(command: str) -> list[str]:
    found = re.search(r"-Q (\S+)", command)
    return found.group(1).split(",") if found else []
