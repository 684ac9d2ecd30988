"""Programs that live and die together: each has a log file, and when one ends, all are stopped."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

GRACE = 5.0  # seconds a program has to end by itself once it is told to
LARGEST_LOG = 10 * 1024 * 1024  # bytes; a larger one is set aside at the next start
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
TAIL = 2000  # characters of a log shown when its program has failed


class ProcessEnded(Exception):
    """A program that should have gone on has ended; the message holds its last words."""


class Process:
    """One program and what it says: every line goes to its log, and to the terminal if `echo`.

    `lives`: how often it may be started before its end is a failure, as a server's supervisor would start it again.
    """

    def __init__(
        self,
        name: str,
        command: Sequence,
        log: Path,
        *,
        echo: bool = False,
        pass_fds: Sequence[int] = (),
        lives: int = 1,
    ):
        self.name, self.command, self.log, self.echo, self.pass_fds = name, command, log, echo, pass_fds
        self.lives = lives

    def start(self, folder: Path) -> None:
        set_aside(self.log)
        self.child = subprocess.Popen(
            [str(part) for part in self.command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=self.pass_fds,
            start_new_session=True,  # Ctrl-C reaches us alone, and we tell the others in order
            preexec_fn=die_with_parent,  # noqa: PLW1509  it imports and locks nothing, whatever threads we have
        )
        self.reader = threading.Thread(target=self.copy, daemon=True)
        self.reader.start()

    def copy(self) -> None:
        with self.child.stdout as lines, open(self.log, "ab", buffering=0) as file:
            for line in lines:
                file.write(line)
                if self.echo:
                    sys.stdout.write(f"{self.name:<10.10} | {line.decode(errors='replace')}")
                    sys.stdout.flush()

    @property
    def exit_code(self) -> int | None:
        return self.child.poll()

    def tell(self, number: signal.Signals) -> None:
        """Signal the program, or, to kill it, everything it has started."""
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.child.pid, number)
            elif self.exit_code is None:
                self.child.send_signal(number)

    def ended(self) -> ProcessEnded:
        self.reader.join(1)
        said = self.log.read_text(errors="replace")[-TAIL:]
        return ProcessEnded(f"{self.name} ended with {self.exit_code}. {self.log} ends with:\n{said}")


class Family:
    """Processes that live and die together."""

    def __init__(self, folder: Path):
        self.folder, self.members = folder, []
        self.failure: ProcessEnded | None = None
        self._stopping, self._looking = threading.Event(), threading.Lock()
        self._watcher: threading.Thread | None = None

    def start(self, process: Process) -> Process:
        process.start(self.folder)
        self.members = [*self.members, process]  # the watcher may be looking at the old list
        return process

    def member(self, name: str) -> Process:
        """LookupError: none of that name runs."""
        for process in self.members:
            if process.name == name:
                return process
        raise LookupError(f"{name} does not run")

    def kill(self, name: str) -> Process:
        """End a member without a warning, with all it has started; nobody is alarmed, and `start` takes it back."""
        process = self.member(name)
        self.members = [member for member in self.members if member is not process]
        process.tell(signal.SIGKILL)
        process.child.wait()
        process.reader.join(1)
        return process

    def check(self) -> None:
        """Start again what has ended and has lives left; raise ProcessEnded if one has ended for good."""
        with self._looking:
            for process in self.members:
                if process.exit_code is not None and not self._stopping.is_set():
                    self._revive(process)

    def _revive(self, process: Process) -> None:
        if process.lives <= 1:
            raise process.ended()
        process.lives -= 1
        process.reader.join(1)
        process.start(self.folder)

    def watch(self, alarm: Callable[[], None]) -> None:
        """Call `alarm` once, from a thread, when a member ends by itself; `failure` says which."""
        self._watcher = threading.Thread(target=self._watch, args=[alarm], daemon=True)
        self._watcher.start()

    def _watch(self, alarm: Callable[[], None]) -> None:
        while not self._stopping.wait(0.2):
            try:
                self.check()
            except ProcessEnded as problem:
                if not self._stopping.is_set():
                    self.failure = problem
                    alarm()
                return

    def stop(self) -> None:
        """Ask all at once, wait for GRACE seconds, then kill what is left with all it has started."""
        self._stopping.set()
        with self._looking:
            pass  # nothing is started from here on
        if self._watcher:
            self._watcher.join()
        for process in self.members:
            process.tell(signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline and any(process.exit_code is None for process in self.members):
            time.sleep(0.02)
        for process in self.members:
            process.tell(signal.SIGKILL)
            process.child.wait()
            process.reader.join(1)


def set_aside(log: Path) -> None:
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    log.touch(mode=0o600)


def die_with_parent() -> None:
    """Where the system can (Linux): a launcher that is killed takes its programs with it."""
    if LIBC:
        LIBC.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
