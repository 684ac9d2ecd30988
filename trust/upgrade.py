"""python -m trust.upgrade COMMIT: the release before at work while its database is migrated for this one (trust R23, F30).

The code of COMMIT is set up aside, plays the demo and works on. While cards are held to readers, statuses change, CDRs come
in and staff look at every page, the code here migrates its database; the code of COMMIT has to push, rate and invoice on
it afterwards, and then the code here. No request may fail, and none may wait longer than PATIENCE_S.

Exits with 1 if any did. Everything is under DATA_DIR/trust/upgrade, and stays there if something went wrong.
"""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import httpx

from emsp import local

PATIENCE_S = 2.5
"""How long a request may take while tables change: an authorisation is given up after so long (trust R23)."""

EVERY_S = 0.1
PHASE_S = 10
PULLED = "SE*LAD"
LOGS = ("web.log", "worker.log", "waits.log", "beat.log")
WRONG = re.compile(rb"Traceback|\[(?:error|critical) *\]|\"level\": \"(?:error|critical)\"")

Ask = Callable[[httpx.Client], httpx.Response]


def main() -> int:
    if len(sys.argv) != 2:
        sys.stderr.write(f"usage: {__doc__.partition(':')[0]}\n")
        return 2
    base = local.data_dir() / "trust" / "upgrade"
    os.environ["DATA_DIR"] = str(base / "world")
    os.environ.pop("PORT", None)
    _remove(base)
    is_good = _tried(_unpacked(sys.argv[1], base / "before"))
    if is_good:
        _remove(base)
    return int(not is_good)


def _tried(before: Path) -> bool:
    with platform(before, "emsp.demo", until_said="Ctrl-C stops everything"):
        logs = Logs.now()
        with Load() as load:
            load.phase("the release before, as it was")
            began = time.monotonic()
            command(local.PROJECT, "migrate", "--noinput")
            load.mark(f"migrated meanwhile, in {time.monotonic() - began:.1f} s")
            load.phase("the release before, on the new tables")
            works_on(before)
            load.mark("it pushed, rated and invoiced meanwhile")
        with local.connect() as hand:  # `make run` refuses what the demo made
            hand.execute(f'COMMENT ON DATABASE "{local.DATABASE}" IS NULL')
    with platform(local.PROJECT, "emsp.launch", "run", until_said="Ctrl-C"), Load() as after:
        after.phase("this release")
        works_on(local.PROJECT)
        after.mark("it pushed, rated and invoiced meanwhile")
    command(local.PROJECT, "invariants")
    wrong = logs.wrong()
    sys.stdout.write("".join(f"{line}\n" for line in wrong[:20]))
    return not (load.failures or after.failures or wrong)


def works_on(tree: Path) -> None:
    """What the timetable and staff would do: our side of everything that tables hold."""
    command(tree, "partner", "push", PULLED)
    command(tree, "cdrs", "rate")
    last_month = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    command(tree, "invoices", "run", "--period", f"{last_month:%Y-%m}", "--issue")
    command(tree, "partner", "status")


# The two releases


def _unpacked(commit: str, folder: Path) -> Path:
    """The code of a commit, set up with packages of its own."""
    packed = subprocess.run(["git", "archive", commit], cwd=local.PROJECT, capture_output=True, check=True)  # noqa: S607
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    subprocess.run([sys.executable, "-m", "emsp.install"], cwd=folder, check=True)
    return folder


@contextmanager
def platform(tree: Path, *module: str, until_said: str) -> Iterator[None]:
    """All processes of one release, from when it says that it is there."""
    started = [tree / ".venv/bin/python", "-um", *module]
    with subprocess.Popen(started, cwd=tree, stdout=subprocess.PIPE, text=True) as process:
        try:
            if not any(until_said in line for line in process.stdout):
                raise RuntimeError(f"{tree} did not start: see {local.data_dir() / 'logs'}")
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield
        finally:
            process.send_signal(signal.SIGINT)


def command(tree: Path, *words: str) -> None:
    """A command of one of the releases; whatever it says when it fails is the end."""
    done = subprocess.run(
        [tree / ".venv/bin/python", "manage.py", *words], cwd=tree, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{tree.name}: {' '.join(words)} exited with {done.returncode}: {done.stdout}{done.stderr}")


def _remove(base: Path) -> None:
    if base.exists():
        subprocess.run([sys.executable, "-m", "emsp.launch", "stop"], cwd=local.PROJECT, check=False)
        shutil.rmtree(base)


@dataclass
class Logs:
    """What the processes said since now."""

    sizes: dict[Path, int]

    @classmethod
    def now(cls) -> "Logs":
        files = [local.data_dir() / "logs" / name for name in LOGS]
        return cls({file: file.stat().st_size for file in files})

    def wrong(self) -> list[str]:
        return [f"{file.name}: {line[:200]!r}" for file, size in self.sizes.items() for line in _faults(file, size)]


def _faults(file: Path, size: int) -> list[bytes]:
    with file.open("rb") as log:
        log.seek(size)
        return [line for line in log if WRONG.search(line)]


# What is asked meanwhile


@dataclass
class Load:
    """Hands that ask without pause; what they got since the last mark."""

    failures: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Load":
        self.hands = [threading.Thread(target=self._ask, args=[asks], daemon=True) for asks in hands()]
        for hand in self.hands:
            hand.start()
        return self

    def __exit__(self, *_error) -> None:
        self.over.set()
        for hand in self.hands:
            hand.join()

    def _ask(self, asks: Iterator[Ask]) -> None:
        with httpx.Client(base_url=local.public_url(), timeout=30, trust_env=False) as client:
            for ask in asks:
                if self.over.wait(EVERY_S):
                    return
                self._once(client, ask)

    def _once(self, client: httpx.Client, ask: Ask) -> None:
        began = time.monotonic()
        try:
            answer = ask(client)
            problem = fault_of(answer)
        except httpx.HTTPError as error:
            problem = repr(error)
        took = time.monotonic() - began
        self.waits.append(took)
        if problem or took > PATIENCE_S:
            self.failures.append(problem or f"took {took:.1f} s")

    def phase(self, name: str) -> None:
        time.sleep(PHASE_S)
        self.mark(name)

    def mark(self, name: str) -> None:
        waits, self.waits = self.waits, []
        if not waits:
            raise RuntimeError("nobody asked")
        slowest = f"{max(waits) * 1000:,.0f} ms"
        sys.stdout.write(
            f"{name:44} {len(waits):5} requests, slowest {slowest:>8}, {len(self.failures)} failed so far\n"
        )
        sys.stdout.write("".join(f"    {failure[:300]}\n" for failure in self.failures[-3:]))
        sys.stdout.flush()


def fault_of(answer: httpx.Response) -> str:
    """Empty where it was as it should be."""
    is_ours = answer.request.url.path.startswith("/ocpi/")
    is_good = answer.is_success and (not is_ours or answer.json()["status_code"] == 1000)
    where = f"{answer.request.method} {answer.request.url.path}"
    return "" if is_good else f"{where}: {answer.status_code} {answer.text[:200]}"


def hands() -> list[Iterator[Ask]]:
    with local.connect() as eye:
        cards = [uid for (uid,) in eye.execute("SELECT uid FROM tokens_token ORDER BY uid LIMIT 200")]
        evses = eye.execute(EVSES).fetchall()
        cdrs = [json.loads(body) for (body,) in eye.execute(CDRS)]
    state = json.loads((local.data_dir() / "simulator/state.json").read_text())
    key = {"Authorization": f"Token {b64encode(state['token_for_us'].encode()).decode()}"}
    return [authorizations(cards, key), statuses(evses, key), charges(cdrs, key), pages()]


EVSES = """
    SELECT l.ocpi_id, e.uid FROM locations_evse e
    JOIN locations_location l ON l.id = e.location_id JOIN partners_party p ON p.id = l.party_id
    WHERE p.country_code = 'SE' AND p.party_id = 'LAD' ORDER BY e.id LIMIT 200"""
CDRS = """
    SELECT c.body FROM charging_cdr c JOIN partners_party p ON p.id = c.party_id
    WHERE p.country_code = 'SE' AND p.party_id = 'LAD' AND NOT c.is_credit ORDER BY c.id LIMIT 200"""


def authorizations(cards: list[str], key: dict) -> Iterator[Ask]:
    for uid in itertools.cycle(cards):
        yield lambda client, uid=uid: client.post(f"/ocpi/2.2.1/tokens/{uid}/authorize", headers=key)


def statuses(evses: list[tuple[str, str]], key: dict) -> Iterator[Ask]:
    for (location, evse), status in zip(itertools.cycle(evses), itertools.cycle(["AVAILABLE", "CHARGING", "BLOCKED"])):
        body = {"status": status, "last_updated": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        path = f"/ocpi/2.2.1/locations/SE/LAD/{location}/{evse}"
        yield lambda client, path=path, body=body: client.patch(path, json=body, headers=key)


def charges(cdrs: list[dict], key: dict) -> Iterator[Ask]:
    """CDRs of last month again, under ids that nobody knows."""
    began = f"{datetime.now(UTC):%H%M%S}"
    for number, cdr in enumerate(itertools.cycle(cdrs)):
        body = cdr | {"id": f"UPG-{began}-{number}"}
        yield lambda client, body=body: client.post("/ocpi/2.2.1/cdrs", json=body, headers=key)


def pages() -> Iterator[Ask]:
    """Every page of the side bar, again and again, by somebody who logs in first."""
    yield lambda client: client.get("/admin/login/")
    yield _log_in
    found: list[str] = []

    def home(client: httpx.Client) -> httpx.Response:
        answer = client.get("/admin/")
        found[:] = sorted(set(re.findall(r'href="(/admin/\w+/\w+/)"', answer.text)))
        return answer

    while True:
        yield home
        yield from (lambda client, path=path: client.get(path) for path in list(found))


def _log_in(client: httpx.Client) -> httpx.Response:
    form = {"username": "admin", "password": local.admin_file().read_text().strip(), "next": "/admin/"}
    form["csrfmiddlewaretoken"] = client.cookies["csrftoken"]
    return client.post("/admin/login/", data=form, follow_redirects=True)


if __name__ == "__main__":
    sys.exit(main())
