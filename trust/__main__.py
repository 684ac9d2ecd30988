"""python -m trust [--seeds N] [--at-once N] [--first SEED] [--only GOAL] [--cases N]: every scenario in a world of each
seed; a day of traffic (trust/day.py) and spoiled bodies (trust/bodies.py) in worlds of their own.

Exits with 1 if any came out wrong. A world is DATA_DIR/trust/SEED; one in which something went wrong stays, logs and
ledger with it.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from emsp import local

HEAD = f"{'goal':6} {'scenario':36} {'seed':>4} {'':6} {'all':>7} {'healed':>7}  what was done to it"


def main() -> int:
    options = _options()
    base = local.data_dir() / "trust"
    load = os.getloadavg()[0]
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {load:.1f}, ")
    sys.stdout.write(f"Python {platform.python_version()}, commit {_commit()}\n\n{HEAD}\n")
    sys.stdout.flush()
    began = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
    with ThreadPoolExecutor(options.at_once) as hands:
        others = [] if options.only else [["day"], ["bodies", "--cases", str(options.cases)]]
        worlds = [hands.submit(_program, base, *words) for words in others]
        worlds += [hands.submit(_world, base, seed, options.only) for seed in seeds]
        rows = [row for world in worlds for row in world.result()]
    wrong = sum(row["verdict"] != "good" for row in rows)
    sys.stdout.write(f"\n{len(rows)} scenarios, {wrong} wrong, {(time.monotonic() - began) / 60:.1f} min\n")
    return int(wrong > 0)


def _world(base: Path, seed: int, only: str) -> list[dict]:
    folder = base / str(seed)
    environment = _founded(folder)
    out = folder / "rows.json"
    with (folder / "campaign.log").open("wb") as log:  # what the platform says in our process, and our own mistakes
        command = [sys.executable, "-m", "trust.campaign", str(seed), str(out), only]
        done = subprocess.run(command, env=environment, stderr=log, check=False)
    rows = json.loads(out.read_text()) if out.exists() else []
    if done.returncode and all(row["verdict"] == "good" for row in rows):
        rows.append({"verdict": "FAILED"})
        sys.stdout.write(f"seed {seed} came to no end, exit {done.returncode}: see {folder / 'campaign.log'}\n")
    if done.returncode == 0:
        _remove(folder, environment)
    return rows


def _program(base: Path, name: str, *options: str) -> list[dict]:
    """Another of ours in a world of its own; it says itself what came of it."""
    folder = base / name
    environment = _founded(folder)
    with (folder / "campaign.log").open("wb") as log:
        command = [sys.executable, "-m", f"trust.{name}", *options]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, check=False)
    more = f"see {folder / 'campaign.log'}\n" if done.returncode else ""
    sys.stdout.write(f"\n{name}\n{done.stdout}{more}\n")
    sys.stdout.flush()
    if done.returncode == 0:
        _remove(folder, environment)
    return [{"verdict": "FAILED" if done.returncode else "good"}]


def _founded(folder: Path) -> dict[str, str]:
    """A new world; the environment of the processes that live in it."""
    environment = {name: value for name, value in os.environ.items() if name != "PORT"} | {"DATA_DIR": str(folder)}
    _remove(folder, environment)
    folder.mkdir(parents=True)
    return environment


def _remove(folder: Path, environment: dict) -> None:
    if folder.exists():
        subprocess.run([sys.executable, "-m", "emsp.launch", "stop"], env=environment, check=False)
        shutil.rmtree(folder)


def _commit() -> str:
    said = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)  # noqa: S607
    return said.stdout.strip() or "unknown"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trust", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="how many worlds")
    parser.add_argument("--at-once", type=int, default=2, help="how many of them beside each other")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--cases", type=int, default=100_000, help="how many spoiled bodies")
    parser.add_argument("--only", default="", help="only the scenarios of this goal (F25), after the first handshake")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
