"""Clients that send a byte a second, before the shipped proxy, while others ask whether a card may charge (trust S36)."""

import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

from apps.ocpi.versions import VERSIONS

from . import proxy, web
from .measures import Measure

CLIENTS, SECONDS, ROUNDS = 200, 8, 3
WORSE = 1.2
"""How much longer the slowest one in a hundred may take."""

BEGUN = b"POST /ocpi/2.2.1/cdrs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
ASK = 'function request() return wrk.format("POST", lines[math.random(#lines)], headers) end\n'
UNHURRIED = ASK + "function delay() return math.random(40, 80) end\n"
"""Milliseconds between an answer and the next question: a machine at its limit says nothing about who slows it down."""


def measure(token: str, uids: list[str], folder: Path) -> Iterator[Measure]:
    """Rates are one over the time of the slowest one in a hundred: what 200 slow clients cost the others."""
    if not proxy.nginx():
        raise SystemExit("make bench needs nginx for the proxy: apt-get install nginx")
    script, alone, beside = asking(token, uids, folder, UNHURRIED), [], []
    with web.served(folder) as url, proxy.proxied(folder / "nginx", url.removeprefix("http://")) as port:
        for _ in range(ROUNDS):
            alone.append(slowest(f"https://127.0.0.1:{port}", script))
            with slow_clients(port):
                beside.append(slowest(f"https://127.0.0.1:{port}", script))
    yield Measure(
        f"authorize beside {CLIENTS} slow clients, slowest 1 %", len(uids), 1 / min(beside), 1 / min(alone), "alone",
        "requests", 1 / WORSE,
    )  # fmt: skip


def asking(token: str, uids: list[str], folder: Path, how: str = ASK) -> Path:
    """The script of somebody who asks for one card after the other."""
    script, lines = folder / "asking.lua", folder / "lines"
    lines.write_text("\n".join(f"/ocpi/{web.VERSION}/tokens/{uid}/authorize" for uid in uids))
    header = VERSIONS[web.VERSION].authorization(token)
    script.write_text(web.HEAD.format(token=header, lines=lines) + how)
    return script


def slowest(url: str, script: Path, seconds: int = SECONDS) -> float:
    """Seconds below which 99 of 100 are answered."""
    command = [
        web.wrk(),
        "-t2",
        f"-c{web.CONNECTIONS}",
        f"-d{seconds}s",
        "--latency",
        "-s",
        script,
        url,
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"authorize: {said}")
    figure, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
    return float(figure) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[unit]


@contextmanager
def slow_clients(port: int) -> Iterator[None]:
    """Half of them never end their headers, half drip a body; who is cut comes back."""
    over = threading.Event()
    drips = threading.Thread(target=drip, args=[port, over])
    drips.start()
    time.sleep(2)
    try:
        yield
    finally:
        over.set()
        drips.join()


def drip(port: int, over: threading.Event) -> None:
    """A byte of each in a second, one after the other: 200 strangers do not keep step."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    lines = [open_line(context, port, number) for number in range(CLIENTS)]
    turns = cycle(range(CLIENTS))
    while not over.wait(1 / CLIENTS):
        number = next(turns)
        try:
            lines[number].send(b"X")
        except OSError:
            lines[number].close()
            lines[number] = open_line(context, port, number)
    for line in lines:
        line.close()


def open_line(context: ssl.SSLContext, port: int, number: int) -> ssl.SSLSocket:
    line = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10))
    line.sendall(BEGUN if number % 2 else BEGUN[:40])
    return line
