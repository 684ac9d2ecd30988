"""Try every fault of the list in a copy of the project, and say which of them no test noticed. Arguments choose by file."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emsp import local
from tests.breakages.breakages import BREAKAGES, Breakage

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".local", "__pycache__", ".pytest_cache", ".ruff_cache")
NOTICED, UNNOTICED = 1, 0
"""What pytest ends with when tests failed, and when none did."""


def main(words: list[str]) -> int:
    chosen = [one for one in BREAKAGES if not words or any(word in one.file for word in words)]
    with _copy() as copy:
        missed = [one for one in chosen if not _is_noticed(one, copy)]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} faults were noticed")
    return bool(missed)


@contextmanager
def _copy() -> Iterator[Path]:
    """With servers of its own, which must not be inside a folder of one user alone."""
    folder = Path(tempfile.mkdtemp(prefix="emsp-breakages-"))
    folder.chmod(0o755)
    copy = folder / "emsp"
    shutil.copytree(local.PROJECT, copy, ignore=LEFT_OUT)
    try:
        yield copy
    finally:
        subprocess.run([sys.executable, "-m", "emsp.launch", "stop"], cwd=copy, env=_environment(copy), check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _is_noticed(one: Breakage, copy: Path) -> bool:
    file = copy / one.file
    whole = file.read_text()
    file.write_text(whole.replace(one.old, one.new))
    try:
        ended, said = _test(one, copy)
    finally:
        file.write_text(whole)
    verdict = {NOTICED: "noticed", UNNOTICED: "NOT NOTICED"}.get(ended, f"NOT TRIED, pytest ended with {ended}")
    print(f"{verdict}: {one.file}: {one.old.strip()} by {one.test}", flush=True)
    if ended not in (NOTICED, UNNOTICED):
        print(said, file=sys.stderr)
    return ended == NOTICED


def _test(one: Breakage, copy: Path) -> tuple[int, str]:
    where, name = one.test.split("::")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--reuse-db", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, f"tests/{where}", "-k", f"test_{name}"],
        cwd=copy,
        env=_environment(copy),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout[-2000:] + done.stderr[-2000:]


def _environment(copy: Path) -> dict[str, str]:
    return os.environ | {"DATA_DIR": str(copy / ".local"), "PYTHONDONTWRITEBYTECODE": "1"}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers of the copy must not stay behind
    sys.exit(main(sys.argv[1:]))
