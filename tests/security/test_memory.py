"""What an answer may cost us at most, measured in a process of its own (trust S32)."""

import subprocess
import sys
import zlib

import pytest

from emsp import local
from tests.ocpi.conftest import server

__all__ = ["server"]
GOOD = b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z","data":{}}'


def packed(*parts: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*map(packer.compress, parts), packer.flush()])


BOMBS = {
    "200 MB of blanks": lambda: packed(*[b" " * 2**20] * 200),
    "200 MB behind an honest beginning": lambda: packed(GOOD, *[b" " * 2**20] * 200),
    "packed twice": lambda: packed(packed(*[b" " * 2**20] * 200)),
    "one after the other": lambda: packed(b" " * 2**21) * 100,
}


@pytest.mark.control("S32")
@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_costs_forty_megabytes_at_most(kind, server):
    body = BOMBS[kind]()
    assert len(body) < 2**20

    def answer(handler, request):
        if request.path == "/small":
            handler.reply(GOOD)
        else:
            handler.reply(body, Content_Encoding="gzip")

    server.answer = answer
    command = [sys.executable, "-m", "tests.security.bomb", server.url("").rstrip("/")]
    said = subprocess.run(command, cwd=local.PROJECT, capture_output=True, text=True, check=True).stdout
    assert int(said.split()[0]) < 40 * 1024, said
