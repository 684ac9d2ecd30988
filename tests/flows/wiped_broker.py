"""python -m tests.flows.wiped_broker: a card is blocked while the workers sleep, the broker is wiped, they wake up."""

import os
import signal
import sys
import time

import redis

from emsp import launch, local
from emsp.demo import cast


def main() -> int:
    with launch.running(cast.LADDNAT.simulated) as platform:
        local.set_up_django()
        from django.utils import timezone

        from apps.tokens.blocking import block_token, known_by
        from apps.tokens.models import Token
        from emsp.demo import story
        from emsp.demo.theatre import open_stage

        stage = open_stage([cast.LADDNAT])
        for chapter in (story.company, story.registration, story.publication, story.cards):
            chapter(stage)
        card = Token.objects.filter(blocked_at=None, expires_at=None).first()
        tell(platform, signal.SIGSTOP)
        hang_up()
        block_token(card, timezone.now())
        wipe()
        tell(platform, signal.SIGCONT)
        return wait_until(lambda: known_by(card, timezone.now()) == (1, 1))


def tell(platform: launch.Platform, number: signal.Signals) -> None:
    for process in platform.family.members:
        if process.name in ("worker", "waits"):
            os.killpg(process.child.pid, number)


def hang_up() -> None:
    """A worker that sleeps has asked for the next message already, and would find it when it wakes up."""
    with redis.Redis(unix_socket_path=str(local.valkey().socket)) as broker:
        broker.client_kill_filter(_type="normal", skipme=True)


def wipe() -> None:
    with redis.Redis(unix_socket_path=str(local.valkey().socket)) as broker:
        lost = broker.llen("roaming")
        broker.flushall()
    sys.stdout.write(f"messages lost: {lost}\n")


def wait_until(is_known) -> int:
    began = time.monotonic()
    while not is_known():
        if time.monotonic() - began > 60:
            sys.stdout.write("after a minute the partner still does not know that the card is blocked\n")
            return 1
        time.sleep(0.2)
    sys.stdout.write(f"known after {time.monotonic() - began:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
