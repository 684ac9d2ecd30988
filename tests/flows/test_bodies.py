"""Spoiled bodies over HTTP: a few of those that `make trust` sends."""

import pytest

from trust import bodies

pytestmark = pytest.mark.django_db(transaction=True)
COUNT = 39 * 5


def test_spoiled_bodies_are_taken_as_what_they_say_or_refused_in_an_envelope(live_server, settings):
    settings.PUBLIC_URL = live_server.url
    sender = bodies.Sender(live_server.url, bodies.connected())
    sender.furnish()
    for number in range(COUNT):
        sender.send(bodies.make(number, seed=7))
    assert sender.wrong == []
    assert list(bodies.invented(sender.taken)) == []
    assert sender.taken.keys() == {"location", "tariff", "session", "cdr"}
    assert {kind.rpartition(" ")[2] for kind in sender.outcomes} > {"200", "201", "400"}
