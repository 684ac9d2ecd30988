"""All processes of one machine: started together, stopped together, and two copies side by side."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from emsp import local
from emsp.processes import Family, Process, ProcessEnded

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]
FAILING = [sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"]


@pytest.fixture
def family(tmp_path):
    made = Family(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def start(family, tmp_path):
    def started(name: str, command: list[str]) -> Process:
        return family.start(Process(name, command, tmp_path / f"{name}.log"))

    return started


def until(holds, patience: float = 10):
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def test_what_a_program_says_is_in_its_log(start, tmp_path):
    start("one", SLEEP)
    until(lambda: "up" in (tmp_path / "one.log").read_text())


def test_one_that_is_killed_on_purpose_alarms_nobody_and_can_come_back(start, family):
    start("one", SLEEP)
    start("other", SLEEP)
    alarm = threading.Event()
    family.watch(alarm.set)

    killed = family.kill("other")

    assert killed.exit_code == -signal.SIGKILL
    assert not alarm.wait(0.6)
    family.start(killed)
    assert family.member("other").exit_code is None


def test_one_that_ends_is_told_with_its_last_words(start, family):
    start("one", SLEEP)
    alarm = threading.Event()
    family.watch(alarm.set)
    start("other", FAILING)
    assert alarm.wait(10)
    assert "other ended with 3" in str(family.failure)
    assert "no such thing" in str(family.failure)


def test_a_check_raises_for_one_that_has_ended(start, family):
    failing = start("one", FAILING)
    failing.child.wait()
    with pytest.raises(ProcessEnded, match="one ended with 3"):
        family.check()


def test_one_with_lives_left_is_started_again(family, tmp_path):
    alarm, log = threading.Event(), tmp_path / "one.log"
    family.start(Process("one", FAILING, log, lives=3))
    family.watch(alarm.set)
    assert alarm.wait(20)
    assert log.read_text().count("no such thing") == 3
    assert "one ended with 3" in str(family.failure)


def test_stopping_is_no_failure(start, family):
    alarm = threading.Event()
    start("one", SLEEP)
    family.watch(alarm.set)
    family.stop()
    assert not alarm.wait(0.5)
    assert family.failure is None


def test_one_that_does_not_listen_is_killed(start, family, monkeypatch, tmp_path):
    monkeypatch.setattr("emsp.processes.GRACE", 0.5)
    stubborn = start("one", STUBBORN)
    until(lambda: "up" in (tmp_path / "one.log").read_text())
    family.stop()
    assert stubborn.exit_code == -signal.SIGKILL


def test_a_large_log_is_set_aside(start, tmp_path, monkeypatch):
    monkeypatch.setattr("emsp.processes.LARGEST_LOG", 10)
    (tmp_path / "one.log").write_text("of last time, and long")
    start("one", SLEEP)
    assert (tmp_path / "one.log.1").read_text() == "of last time, and long"


class Machine:
    """`make run` in a folder."""

    def __init__(self, data: Path):
        self.data = data
        self.environment = {name: value for name, value in os.environ.items() if name != "PORT"} | {
            "DATA_DIR": str(data)
        }

    def launch(self, command: str, **options) -> subprocess.Popen:
        arguments = [sys.executable, "-m", "emsp.launch", command]
        return subprocess.Popen(
            arguments,
            cwd=local.PROJECT,
            env=self.environment,
            text=True,
            stdout=-1,
            stderr=subprocess.STDOUT,
            **options,
        )

    def do(self, command: str) -> tuple[int, str]:
        done = self.launch(command)
        said, _ = done.communicate(timeout=60)
        return done.returncode, said

    def python(self, code: str) -> str:
        return subprocess.check_output(
            [sys.executable, "-c", code], cwd=local.PROJECT, env=self.environment, text=True
        ).strip()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{(self.data / 'port').read_text()}"

    @contextmanager
    def starting(self):
        """Its process, and the lines it has said until now."""
        platform = self.launch("run")
        seen: list[str] = []
        reader = threading.Thread(target=lambda: seen.extend(platform.stdout), daemon=True)
        reader.start()
        try:
            yield platform, seen
        finally:
            platform.send_signal(signal.SIGTERM)
            platform.wait(timeout=20)
            reader.join(5)
            platform.stdout.close()


def wait_for(platform, seen):
    until(lambda: any("emsp runs at" in line for line in seen) or platform.poll() is not None, 150)
    assert platform.poll() is None, "".join(seen)


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_two_copies_run_side_by_side_and_stop_within_ten_seconds(machine):
    one, other = Machine(machine()), Machine(machine())
    with one.starting() as (first, seen), other.starting() as (second, seen_of_second):
        wait_for(first, seen)
        wait_for(second, seen_of_second)
        assert one.url != other.url
        assert (status(f"{one.url}/readyz"), status(f"{other.url}/readyz")) == (200, 200)
        assert status(f"{one.url}/admin/login/") == 200
        assert stat.S_IMODE((one.data / "admin.txt").stat().st_mode) == 0o600
        password = (one.data / "admin.txt").read_text().strip()
        until(lambda: password in "".join(seen))
        assert "already running" in one.do("run")[1]
        started = time.monotonic()
        second.send_signal(signal.SIGINT)
        assert second.wait(timeout=20) == 0
        assert time.monotonic() - started < 10
        assert status(f"{one.url}/readyz") == 200, "the other one is none of its business"
        assert one.do("stop") == (0, "")
        assert first.wait(timeout=20) == 0
    assert one.python(
        "from emsp import local; print(local.postgresql().is_running(), local.valkey().is_running())"
    ) == ("False False")


KILL_BEAT = """
import time
from emsp import launch
try:
    with launch.running() as platform:
        platform.family.members[-1].child.kill()
        time.sleep(20)
        print("nobody noticed")
except launch.ProcessEnded as problem:
    print(problem)
print(launch.local.postgresql().is_running())
"""


def test_when_a_process_ends_all_are_stopped_and_it_is_named(machine):
    said = Machine(machine()).python(KILL_BEAT)
    assert said.startswith("beat ended with -9")
    assert said.endswith("False")


def test_a_demo_and_real_use_do_not_share_a_database(machine):
    one = Machine(machine())
    assert one.do("reset")[1].endswith("holds no demo: nothing was removed\n")
    one.python("from emsp import local; local.ensure(broker=False); local.mark_demo(); print(local.is_demo())")
    code, said = one.do("run")
    assert (code, "make demo-reset" in said) == (1, True)
    assert one.do("reset") == (0, "")
    assert not list(one.data.glob("pg*"))
    assert (
        one.python("from emsp import local; local.ensure(broker=False); print(local.is_demo()); local.stop()")
        == "False"
    )
