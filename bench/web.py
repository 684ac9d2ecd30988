"""What partners call most, under wrk, beside a view that does nothing in the same server (decision 26)."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.charging.models import Cdr
from apps.ocpi.versions import VERSIONS
from apps.simulator.cpo import World
from apps.simulator.dialects import spoken
from apps.simulator.wire import encode

from . import world
from .measures import Measure

VERSION = "2.2.1"
CONNECTIONS, SECONDS, ROUNDS = 8, 4, 3
TARGETS = {"authorize": 0.15, "EVSE status PATCH": 0.15, "CDR POST": 0.12}
AS_FAST = 0.8
"""Of the rate of the usual version."""

HEAD = """
local headers = {{ ["Authorization"] = "{token}", ["Content-Type"] = "application/json" }}
local counter = 0
math.randomseed(os.time())
local lines = {{}}
for line in io.lines("{lines}") do lines[#lines + 1] = line end
local thread_number = 0
function setup(thread) thread:set("number", thread_number); thread_number = thread_number + 1 end
"""

SCRIPTS = {
    "bare view": 'function request() return wrk.format("GET", "/ocpi/bare", headers) end',
    "authorize": """
function request()
    return wrk.format("POST", "/ocpi/%(version)s/tokens/" .. lines[math.random(#lines)] .. "/authorize", headers)
end""",
    "EVSE status PATCH": """
local kinds = { "AVAILABLE", "CHARGING", "BLOCKED", "OUTOFORDER" }
function request()
    counter = counter + 1
    local minute = os.date("!%%Y-%%m-%%dT%%H:%%M:", %(clock)d + math.floor(counter / 60000))
    local at = minute .. string.format("%%06.3fZ", counter %% 60000 / 1000)
    local body = '{"status":"' .. kinds[math.random(4)] .. '","last_updated":"' .. at .. '"}'
    return wrk.format("PATCH", "/ocpi/%(version)s/locations/" .. lines[math.random(#lines)], headers, body)
end""",
    "CDR POST": """
local template = [==[%(cdr)s]==]
function request()
    counter = counter + 1
    local id = "P%(round)s-" .. number .. "-" .. counter
    local body = template:gsub("THE%%-ID", id):gsub("THE%%-CARD", lines[math.random(#lines)])
    return wrk.format("POST", "/ocpi/%(version)s/cdrs", headers, body)
end""",
}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The platform under its own gunicorn; where."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "bench.wsgi", "--bind", f"127.0.0.1:{port}", "--max-requests", "0"]
    with (folder / "web.log").open("w") as log:
        web = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"LOG_LEVEL": "WARNING", "WEB_STOP_PAUSE": "0"}
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        yield f"http://127.0.0.1:{port}"
    finally:
        web.terminate()
        web.wait()


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=2).read()  # noqa: S310  our own address
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"{url} does not answer")


def measure(token: str, uids: list[str], size: int, folder: Path) -> Iterator[Measure]:
    with served(folder) as url:
        found = best_of_rounds(url, token, {"bare view": [""]} | _lines(uids, size), folder)
    for name, bar in TARGETS.items():
        yield Measure(name, size, found[name], found["bare view"], "bare view", "requests", bar)


def of_versions(token: str, uids: list[str], size: int, folder: Path) -> Iterator[Measure]:
    """What the other versions cost beside the usual one."""
    with served(folder) as url:
        found = {version: best_of_rounds(url, token, _lines(uids, size), folder, version) for version in VERSIONS}
    for version in VERSIONS.keys() - {VERSION}:
        for name in TARGETS:
            usual = found[VERSION][name]
            yield Measure(f"{name}, {version}", size, found[version][name], usual, VERSION, "requests", AS_FAST)


def _lines(uids: list[str], size: int) -> dict[str, list[str]]:
    return {"authorize": uids, "EVSE status PATCH": world.evse_paths(size), "CDR POST": uids}


def best_of_rounds(
    url: str, token: str, lines: dict[str, list[str]], folder: Path, version: str = VERSION
) -> dict[str, float]:
    """All in turn in every round, so that whatever else the machine does meanwhile falls on all of them."""
    found = dict.fromkeys(lines, 0.0)
    for number in range(ROUNDS):
        for name, paths in lines.items():
            found[name] = max(found[name], checked_run(name, url, token, paths, folder, number, version))
    return found


def checked_run(name: str, url: str, token: str, lines: list[str], folder: Path, number: int, version: str) -> float:
    before = Cdr.objects.count()
    rate = run(name, url, token, lines, folder, number, version)
    if name == "CDR POST" and Cdr.objects.count() - before < rate * SECONDS * 0.9:
        raise RuntimeError("CDRs that were posted are not here")
    return rate


def run(name: str, url: str, token: str, lines: list[str], folder: Path, number: int, version: str) -> float:
    (folder / "lines").write_text("\n".join(lines))
    header = VERSIONS[version].authorization(token)
    values = {
        "version": version,
        "clock": int(time.time()),
        "round": f"{time.time_ns()}-{number}",
        "cdr": cdr_template(version),
    }
    script = folder / "wrk.lua"
    script.write_text(HEAD.format(token=header, lines=folder / "lines") + SCRIPTS[name] % values)
    command = [wrk(), "-t2", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script), url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(f"{name}: {said}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def cdr_template(version: str) -> str:
    like = world.cdr_like()
    body = like | {
        "id": "THE-ID",
        "session_id": "THE-ID",
        "cdr_token": like["cdr_token"] | {"uid": "THE-CARD", "contract_id": "NOBODYS"},
    }
    return encode(spoken(version, "cdrs", body, World.small().locations)).decode()


def wrk() -> str:
    found = shutil.which("wrk")
    if not found:
        raise SystemExit("make bench needs wrk to load the web server: apt-get install wrk")
    return found
