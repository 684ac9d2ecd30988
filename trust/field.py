"""Where faults are played: the processes of one machine, and every hand that can be laid on them."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import redis
from celery import current_app
from django.db import connection
from django.db.models import Count, F, Q
from django.utils import timezone

from apps.billing.models import Document, InvoiceRun
from apps.charging.models import Cdr
from apps.partners.models import Feed
from apps.tokens.models import Token, TokenDelivery
from emsp import launch, local
from emsp.celery import app
from emsp.demo import story
from emsp.demo.world import World, make_world
from emsp.processes import Process
from emsp.servers import ServerFailed

from . import history

PATIENCE_S = 120
"""How long after the healing everything may take to be in order (trust T3)."""

LONGEST = timedelta(minutes=80)
"""Longer than any lease, pause or interval of what the scenarios wait for, but the one of tariffs and locations."""

LONGEST_TASK_S = 15
CARDS = 90
SLEEPERS = ("worker", "waits")
QUEUES = ("roaming", "billing", "driver_waits", "celery")


class NotHealed(Exception):
    """Something was still not in order after PATIENCE_S."""


def world_of(month: date, dice: random.Random) -> World:
    """The first cards of the demo's world; they have been valid for years, since CDRs come from many months."""
    since = f"{month.year - 4}-01-01"
    rows = [row | {"valid_from": since} for row in make_world(month).rows[:CARDS]]
    chosen = dice.sample([row["token_uid"] for row in rows], 5)
    return World(month, rows, blocked=chosen[:3], expired=chosen[3:])


@dataclass
class Field:
    """One platform under trial. `months` gives the month of each batch of CDRs."""

    platform: launch.Platform
    stage: story.Stage
    dice: random.Random
    months: Iterator[str] = field(init=False)
    knocked: float = 0

    def __post_init__(self):
        self.months = months_before(self.stage.world.month)

    # What happens anyway

    def charge(self, *, count: int = 26, pull_only: int = 0, repeat: str | None = None) -> str:
        """The operator's CDRs of a month, the odd ones among them; `repeat` sends what got no answer once more."""
        month = repeat or next(self.months)
        self.stage.operator.do("play", step="cdrs", month=month, count=count, pull_only=pull_only)
        return month

    def charge_aside(self, *, count: int = 60) -> Callable[[], None]:
        """The same meanwhile; returns what waits for the end and lets the operator repeat what got no answer."""
        month = next(self.months)
        aside = threading.Thread(target=self.charge, kwargs={"count": count, "repeat": month}, daemon=True)
        aside.start()

        def finish() -> None:
            aside.join(PATIENCE_S)
            self.charge(count=count, repeat=month)

        return finish

    def unanswered(self, month: str | None = None) -> int:
        """CDRs that were pushed last in vain: no answer, or that of a broken server."""
        last = {entry["id"]: entry for entry in history.read(self.stage)[0].entries["cdr"]}
        return sum(
            entry["outcome"] == "UNKNOWN" and (month is None or month.replace("-", "") in entry["id"])
            for entry in last.values()
        )

    def fault(self, name: str, **how) -> None:
        self.stage.operator.do("fault", name=name, **how)

    def partners(self):
        return story.partners_of(self.stage.operator)

    def feed(self, module: str = "cdrs") -> Feed:
        return Feed.objects.get(partner__in=self.partners(), module=module)

    def want(self, module: str = "cdrs") -> None:
        from apps.partners.pull import want

        want(self.feed(module), timezone.now())

    def some_card(self) -> Token:
        usable = Token.objects.filter(blocked_at=None, expires_at=None).order_by("uid")
        return self.dice.choice(list(usable))

    # What should not happen

    def kill_worker(self) -> str:
        """The whole worker, which is started again, or its children alone, which it replaces itself."""
        if self.dice.random() < 0.5:
            children = children_of(self.platform.family.member("worker").child.pid)
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            return f"its {len(children)} children"
        self.restart("worker")
        return "all of it"

    def restart(self, name: str, command: list | None = None) -> None:
        """kill -9, and start it again, perhaps by another command."""
        self.start(self.platform.family.kill(name), command)

    def start(self, process: Process, command: list | None = None) -> None:
        self.platform.family.start(
            Process(process.name, command or process.command, process.log, pass_fds=process.pass_fds)
        )

    def strike(self, method: str, path: str, times: int = 1, *, sure: bool = False) -> None:
        """Let web die so many times after such a request was done and before it is answered."""
        strikes().mkdir(exist_ok=True)
        for number in range(times):
            (strikes() / f"{method}-{path}.{'sure' if sure else number}").touch()

    @contextmanager
    def blocked(self, table: str) -> Iterator[Callable[[], None]]:
        """Nobody can write this table. Gives what waits until somebody tries: he then stands inside a transaction."""
        with local.connect() as hand, hand.transaction():
            hand.execute(f"LOCK TABLE {table} IN SHARE MODE")

            def wait(patience: float = 60) -> None:
                until(lambda: self._is_waited_for(table), f"nobody wrote {table}", patience)

            yield wait

    def _is_waited_for(self, table: str) -> bool:
        asked = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = %s::regclass)"
        with local.connect() as eye:
            return eye.execute(asked, [table]).fetchone()[0]

    def kill_postgresql(self) -> None:
        """kill -9 of the postmaster, and the next one at once: it has to wait until the last backend is gone."""
        os.kill(postmaster(), signal.SIGKILL)
        until(lambda: not local.postgresql().is_running(), "the postmaster does not die", 10)
        connection.close()
        deadline = time.monotonic() + 60
        while True:
            try:
                local.postgresql().start()
            except ServerFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
            else:
                return

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """PostgreSQL neither works nor says so."""
        pids = [postmaster(), *children_of(postmaster())]
        signal_all(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            signal_all(pids, signal.SIGCONT)

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """The workers do nothing, and have asked for no message."""
        groups = [self.platform.family.member(name).child.pid for name in SLEEPERS]
        for group in groups:
            os.killpg(group, signal.SIGSTOP)
        with redis.Redis(unix_socket_path=str(local.valkey().socket)) as broker:
            broker.client_kill_filter(_type="normal", skipme=True)
        try:
            yield
        finally:
            for group in groups:
                os.killpg(group, signal.SIGCONT)

    def wipe_broker(self) -> int:
        with redis.Redis(unix_socket_path=str(local.valkey().socket)) as broker:
            lost = broker.llen("roaming") + broker.llen("billing")
            broker.flushall()
        return lost

    def hold_messages(self) -> dict[str, list[bytes]]:
        """Take what waits out of the broker; the workers have to be asleep."""
        with redis.Redis(unix_socket_path=str(local.valkey().socket)) as broker:
            held = {queue: broker.lrange(queue, 0, -1) for queue in QUEUES}
            broker.delete(*QUEUES)
        return held

    def release_messages(self, held: dict[str, list[bytes]]) -> int:
        """Put it back in reverse; how many messages that were."""
        with redis.Redis(unix_socket_path=str(local.valkey().socket)) as broker:
            for queue, messages in held.items():
                for message in reversed(messages):  # workers take from the end, where the oldest stood
                    broker.rpush(queue, message)
        return sum(map(len, held.values()))

    def drain(self) -> None:
        """Wait until no message waits and none is being worked on. One that a killed worker had stays noted for an hour."""
        with redis.Redis(unix_socket_path=str(local.valkey().socket)) as broker:
            lately = lambda: broker.zcount("unacked_index", time.time() - LONGEST_TASK_S, "+inf")  # noqa: E731
            until(lambda: not any([*map(broker.llen, QUEUES), lately()]), "messages wait", 60)

    def kill_broker(self) -> None:
        with redis.Redis(unix_socket_path=str(local.valkey().socket)) as broker:
            pid = broker.info("server")["process_id"]
        os.kill(pid, signal.SIGKILL)

    def start_broker(self) -> None:
        local.valkey().start()

    def wait_for_web(self) -> None:
        until(lambda: launch.answers(f"{self.platform.url}/readyz"), "web is not ready", 60)

    def set_clock(self, hours: int) -> None:
        """The operator starts again with a clock that is off."""
        process = self.platform.family.kill("simulator")
        command = [part for part in process.command if not str(part).startswith("--clock-off")]
        self.start(process, [*command, f"--clock-off={hours}"])
        self.stage.until(self.stage.operator.is_up, "the operator answers")

    # What makes it good again

    def pass_time(self, span: timedelta = LONGEST) -> None:
        """So much time passes for whatever waits for a moment: it is compressed, we do not wait for it."""
        moved = {name: F(name) - span for name in ("due_at", "leased_until")}
        Feed.objects.update(**moved, last_full_at=F("last_full_at") - span, last_good_at=F("last_good_at") - span)
        TokenDelivery.objects.update(**moved)
        Document.objects.update(**moved)
        InvoiceRun.objects.update(**moved)

    def knock(self, times: int = 1) -> None:
        """A round of the timetable at once; the hourly one too."""
        for _ in range(times):
            for entry in app.conf.beat_schedule.values():
                options = entry.get("options", {})
                current_app.send_task(entry["task"], entry.get("args"), ignore_result=True, **options)

    def heal(self, *, span: timedelta = LONGEST, is_hurried: bool = True) -> float:
        """End every fault and wait until all is in order; seconds that took. Nobody helps but the timetable."""
        connection.close()
        for operator in self.stage.operators:
            self.stage.until(operator.is_up, f"{operator.role.name} answers")
            operator.do("fault")
        for strike in strikes().glob("*"):
            strike.unlink(missing_ok=True)
        self.platform.check()
        began = self.knocked = time.monotonic()
        self.pass_time(span)
        if is_hurried:
            self.knock()
        until(lambda: not self.open_ends(is_hurried), self.open_ends, PATIENCE_S)
        return time.monotonic() - began

    def open_ends(self, is_hurried: bool = False) -> str:
        """What is not in order yet, in words; empty when everything is."""
        if is_hurried and time.monotonic() > self.knocked + 5:
            self.knocked = time.monotonic()
            self.knock()
        now = timezone.now()
        late = list(Feed.objects.exclude(due_at__gt=now, leased_until=None, failures=0))  # before what a pull brings
        # in one statement: between two of them cards that nobody counted may be enlisted
        told = Count("deliveries", filter=Q(deliveries__confirmed_version=F("version"), deliveries__due_at=None))
        untold = Token.objects.annotate(told=told).filter(told__lt=len(self.stage.operators)).count()
        judged = story.is_all_judged(self.stage) and not Cdr.objects.filter(payable=None).exists()
        unrendered = Document.objects.filter(rendered_at=None).count()
        runs = InvoiceRun.objects.filter(due_at__isnull=False).count()
        found = [f"{feed.module}: {feed.last_error or 'waits'}" for feed in late]
        found += [f"{untold} cards untold"] if untold else []
        found += [] if judged else ["CDRs wait for their verdict"]
        found += [f"{runs} invoice runs are not finished"] if runs else []
        found += [f"{unrendered} documents are not rendered"] if unrendered else []
        return "; ".join(found)


def command(*arguments: str) -> subprocess.Popen:
    """manage.py in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=local.PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def until(holds: Callable[[], bool], complaint, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise NotHealed(f"{complaint() if callable(complaint) else complaint}, after {patience:.0f} s")
        time.sleep(0.1)


def months_before(month: date) -> Iterator[str]:
    """Every other month going back, so that what is late in one does not lie in the next."""
    while True:
        yield f"{month:%Y-%m}"
        month = (month - timedelta(days=45)).replace(day=1)


def strikes() -> Path:
    return local.data_dir() / "strikes"


def postmaster() -> int:
    return int(local.postgresql().pid_file()[0])


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
