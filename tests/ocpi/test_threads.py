"""Whoever reads first does not read alone: web has threads from its first request on."""

import subprocess
import sys

from emsp import local

READ_AT_ONCE = """
import sys, threading
from pathlib import Path
from apps.ocpi import v230
from apps.ocpi.objects import Party
from apps.ocpi.versions import VERSIONS, read_versions

bodies = {kind: Path(f"tests/ocpi/bodies/2.3.0/{kind}.json").read_bytes() for kind in v230.OBJECTS}
sys.setswitchinterval(1e-6)
start, read = threading.Barrier(8), []

def read_all(first):
    start.wait()
    for kind in [*bodies][first:] + [*bodies][:first]:
        read.append(VERSIONS["2.3.0"].read(kind, bodies[kind], Party("SE", "LAD")).object)
    read_versions(b'[{"version": "2.2.1", "url": "https://cpo.example/2.2.1"}]')

threads = [threading.Thread(target=read_all, args=(number,)) for number in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
assert len(read) == 8 * len(bodies), len(read)
"""


def test_a_process_whose_threads_read_at_once_survives():
    for _ in range(3):
        program = [sys.executable, "-c", READ_AT_ONCE]
        done = subprocess.run(program, cwd=local.PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.returncode, done.stderr)
