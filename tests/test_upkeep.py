"""A child that Celery did not see die is replaced all the same (trust F1, F9)."""

from types import SimpleNamespace

from kombu.asynchronous import Hub

from emsp.celery import app
from emsp.upkeep import EVERY_S, Upkeep


def test_every_worker_looks_after_its_children():
    assert Upkeep in app.steps["worker"]


def test_it_looks_at_once_when_the_broker_is_found_again_and_then_goes_on():
    looked = []
    worker = SimpleNamespace(pool=SimpleNamespace(maintain_pool=lambda: looked.append(True)))
    hub, step = Hub(), Upkeep(None)
    for times in (1, 2):
        step.register_with_event_loop(worker, hub)
        assert len(looked) == times
    going = [entry for _, _, entry in hub.timer.queue if not entry.canceled]
    assert len(going) == 1, "one that repeats, however often the broker was lost"
    going[0]()
    assert len(looked) == 3 and EVERY_S < 60
