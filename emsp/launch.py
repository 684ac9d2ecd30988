"""Every process of the platform on one machine: web, workers, beat and, for the demo, the simulated CPO.

    with launch.running(launch.Simulated("simulator")) as platform:
        print(platform.url)

Call it before Django is set up: it finds the port, and the settings read it (decision 32).
"""

import errno
import fcntl
import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from emsp import local
from emsp.processes import Family, Process, ProcessEnded

HOST = "127.0.0.1"
FIRST_PORT = 8000
PORTS = 100  # how many we try
PATIENCE = 90  # seconds until everything answers
AS_ROOT = "ignore:You're running the worker with superuser privileges"  # a danger with pickle; we take only JSON
CELERY = [sys.executable, "-W", AS_ROOT, "-m", "celery", "-A", "emsp.celery"]
AT_ONCE = ["--graceful-timeout", "4", "--env", "WEB_STOP_PAUSE=0"]  # nobody stands before it, and Ctrl-C waits for it
FAILURES = (*local.FAILURES, ProcessEnded)


class Stopped(BaseException):
    """Somebody wants us to stop (INT, TERM), or a process has ended. No Exception: nothing on the way may catch it."""


LIVES = 4


@dataclass(frozen=True)
class Simulated:
    """A simulated charge point operator: its name is that of its folder, its options those of apps.simulator."""

    name: str
    options: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return local.data_dir() / self.name

    def process(self, *, echo: bool) -> Process:
        command = [sys.executable, "-m", "apps.simulator", "--data-dir", self.folder, *self.options]
        return Process(self.name, command, log_of(self.name), echo=echo)

    @property
    def port(self) -> int:
        """The one that it wrote down; FileNotFoundError before it has."""
        return json.loads((self.folder / "state.json").read_text())["port"]

    def answers(self) -> bool:
        """Whether it listens at its port; any answer is one."""
        if not (self.folder / "state.json").exists():
            return False
        with socket.socket() as line:
            return line.connect_ex((HOST, self.port)) == 0


@dataclass
class Platform:
    """What runs, and where it answers."""

    port: int
    family: Family
    admin_password: str | None = None  # known at the first start only

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"{self.url}/admin/"

    @property
    def versions_url(self) -> str:
        return f"{self.url}/ocpi/versions"

    def check(self) -> None:
        """Raise ProcessEnded if a process has ended."""
        self.family.check()


@contextmanager
def running(*simulators: Simulated, echo: bool = False) -> Iterator[Platform]:
    """Start everything, yield when all answer, stop what was started. With a simulator the database is a demo's.

    `echo` shows the logs in the terminal. Raises local.Refused, ServerFailed, ProcessEnded (also out of the block, when
    a process ends) or Stopped (INT and TERM).
    """
    if not local.is_local():
        raise local.Refused("SECRET_KEY or DATABASE_URL is set, so this is production: start what the Procfile names")
    with stoppable() as alarm, alone(), embedded(), closing(listen()) as listener:
        port = keep_port(listener)
        local.mark_demo() if simulators else local.refuse_demo()
        local.migrate()
        family = Family(local.PROJECT)
        platform = Platform(port, family, admin_password=local.make_admin())
        try:
            for process in [*programs(listener, echo), *(one.process(echo=echo) for one in simulators)]:
                family.start(process)
            wait_until_ready(platform, simulators)
            family.watch(alarm)
            yield platform
        except Stopped:
            raise family.failure or Stopped from None
        finally:
            ignore_signals()
            family.stop()


def programs(listener: socket.socket, echo: bool) -> list[Process]:
    """A worker that ends is started again: kombu may fail when a broker that was lost comes back."""
    handed, lives = {"web": [listener.fileno()]}, {"worker": LIVES, "waits": LIVES}
    return [
        Process(name, command, log_of(name), echo=echo, pass_fds=handed.get(name, []), lives=lives.get(name, 1))
        for name, command in commands(listener.fileno()).items()
    ]


def commands(listener: int) -> dict[str, list[str]]:
    """The processes of the Procfile. By who waits: a driver has a worker that nothing else can keep busy."""
    worker = [*CELERY, "worker", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    return {
        "web": [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener}", *AT_ONCE],
        "worker": [*worker, "-n", "worker@%h", "-c", "2", "-Q", "roaming,billing,celery"],
        "waits": [*worker, "-n", "waits@%h", "-c", "1", "-Q", "driver_waits"],
        "beat": [*CELERY, "beat"],
    }


def log_of(name: str) -> Path:
    return local.data_dir() / "logs" / f"{name}.log"


@contextmanager
def alone() -> Iterator[None]:
    """One platform per DATA_DIR. The lock dies with us, so what it guards says who lives."""
    local.make_private(local.data_dir())
    with open(local.data_dir() / "running", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise local.Refused(f"already running at http://{HOST}:{local.kept_port()}: stop it first") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def embedded() -> Iterator[None]:
    """The servers we found running stay; those we had to start go with us, also when we are stopped halfway."""
    ours = [server for server in (local.valkey(), local.postgresql()) if not server.is_running()]
    try:
        local.ensure()
        yield
    finally:
        ignore_signals()
        local.stop(ours)


def listen() -> socket.socket:
    """The socket web answers on, taken here so that nobody else can have its port (decision 32)."""
    if wanted := local.wanted_port():
        return taken(wanted) or refuse_port(wanted)
    kept = local.kept_port()
    for port in [*([kept] if kept else []), *range(FIRST_PORT, FIRST_PORT + PORTS)]:
        if listener := taken(port):
            return listener
    raise local.Refused(f"no port from {FIRST_PORT} on is free: set PORT")


def taken(port: int) -> socket.socket | None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT of our last run is no obstacle
    try:
        listener.bind((HOST, port))
        listener.listen(socket.SOMAXCONN)  # SO_REUSEADDR lets two bind; only one may listen
    except OSError as problem:
        listener.close()
        if problem.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        return None
    return listener


def refuse_port(port: int) -> socket.socket:
    raise local.Refused(f"PORT is {port}, and something else listens there: set another, or unset it")


def keep_port(listener: socket.socket) -> int:
    port = listener.getsockname()[1]
    local.keep_port(port)
    return port


@contextmanager
def stoppable() -> Iterator:
    """INT, TERM and the alarm become Stopped in the main thread; afterwards the signals mean what they did."""
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: os.kill(os.getpid(), signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop(*_signal) -> None:
    ignore_signals()
    raise Stopped


def ignore_signals() -> None:
    """A second Ctrl-C must not leave half of the processes behind."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def wait_until_ready(platform: Platform, simulators: Sequence[Simulated]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (answers(f"{platform.url}/readyz") and all(one.answers() for one in simulators)):
        platform.check()
        if time.monotonic() > deadline:
            raise ProcessEnded(f"not ready after {PATIENCE} seconds: see {log_of('web')}")
        time.sleep(0.1)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  our own address
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def run() -> None:
    with running(echo=True) as platform:
        say_where(platform)
        while True:
            signal.pause()


def say_where(platform: Platform) -> None:
    password = f"password {platform.admin_password}, kept in" if platform.admin_password else "password in"
    sys.stdout.write(
        f"\nemsp runs at {platform.admin_url}\n"
        f"  user admin, {password} {local.admin_file()}\n"
        f"  partners register at {platform.versions_url}\n"
        "  Ctrl-C stops everything.\n\n"
    )
    sys.stdout.flush()


def stop_running() -> None:
    """Whatever runs on this DATA_DIR: the platform first, then the servers."""
    pid = running_pid()
    if pid:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 15
    while running_pid() and time.monotonic() < deadline:
        time.sleep(0.05)
    local.stop()


def reset() -> None:
    """Forget the demo: its database, files, simulator and logs. A database in real use is left alone."""
    with alone():
        local.ensure(broker=False)
        marked = local.is_demo()
        local.stop()
        if not marked:
            raise local.Refused(f"{local.data_dir()} holds no demo: nothing was removed")
        local.forget()


def running_pid() -> int | None:
    """The launcher that holds the lock of this DATA_DIR."""
    file = local.data_dir() / "running"
    if not file.exists():
        return None
    with open(file) as held:
        try:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(held.read())
    return None


COMMANDS = {"run": run, "stop": stop_running, "reset": reset}


def main(arguments: list[str]) -> int:
    """python -m emsp.launch run|stop|reset"""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        sys.stderr.write(f"usage: {main.__doc__}\n")
        return 2
    try:
        COMMANDS[arguments[0]]()
    except Stopped:
        return 0
    except FAILURES as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
