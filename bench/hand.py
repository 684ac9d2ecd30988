"""python -m bench.hand MODULE PARTNER: a worker with one pull to do, or with tokens to push, as its own process: it says
when it is ready, waits for a line, and says how many seconds it took and how many megabytes it had at most."""

import json
import re
import sys
import time
from pathlib import Path

from emsp import local


def main() -> None:
    local.set_up_django()
    from apps.partners.models import Partner
    from bench.rooms import WORK
    from emsp import garbage

    garbage.leave_what_stays()
    work, partner = WORK[sys.argv[1]], Partner.objects.get(name=sys.argv[2])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    started = time.perf_counter()
    work(partner)
    took = time.perf_counter() - started
    sys.stdout.write(json.dumps({"seconds": took, "megabytes": most_memory()}))


def most_memory() -> float:
    """Of this program: `ru_maxrss` begins with what its parent had."""
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(kilobytes) / 1024


if __name__ == "__main__":
    main()
