"""python -m apps.simulator --data-dir DIR [--port N] [--month YYYY-MM] [--versions 2.2.1] [--hub NL*HUB] [--fault NAME] …"""

import argparse
import json
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apps.simulator.cpo import LADDNAT, OPERATORS, World
from apps.simulator.dialects import HOME
from apps.simulator.server import Simulator


def main() -> int:
    options = _options()
    world = _world(options)
    simulator = _open(options, world)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    for name, how in map(_fault, options.fault):
        simulator.fault(name, **how)
    with simulator:
        sys.stdout.write(
            f"simulated CPO at {simulator.versions_url}, seed {options.seed}, data in {options.data_dir}\n"
        )
        sys.stdout.write(_for_people(simulator) if options.for_people else "")
        sys.stdout.flush()
        stop.wait()
    return 0


def _world(options: argparse.Namespace) -> World:
    made = World.make(options.seed, options.locations, options.evses, OPERATORS[options.operator])
    return made.of(*options.countries.split(","))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m apps.simulator", description="A charge point operator to play with."
    )
    parser.add_argument(
        "--data-dir", type=Path, required=True, help="port, credentials, objects and ledger are kept here"
    )
    parser.add_argument("--port", type=int, help="on 127.0.0.1; else the one of last time, else any free one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--month", help="YYYY-MM, of the CDRs")
    parser.add_argument("--locations", type=int, default=60)
    parser.add_argument("--evses", type=int, default=200)
    parser.add_argument("--clock-off", type=float, default=0, help="hours our clock is ahead of everybody's")
    parser.add_argument("--versions", default=HOME, help="of OCPI, with commas; 2.1.1 only with --countries SE")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME[:JSON]", help="see faults.py; may be given several times"
    )
    parser.add_argument("--for-people", action="store_true", help="say how to connect, and how to pull its strings")
    parser.add_argument("--operator", choices=OPERATORS, default=LADDNAT.party_id, help="who it is: its party_id")
    parser.add_argument("--hub", metavar="NL*HUB", help="be that hub, and have one party of each country behind it")
    parser.add_argument("--countries", default="SE,DE", help="one party for each")
    return parser.parse_args()


def _fault(written: str) -> tuple[str, dict[str, Any]]:
    """`status:{"value": 500, "module": "cdrs", "chance": 0.2}`"""
    name, _, how = written.partition(":")
    return name, json.loads(how or "{}")


def _for_people(simulator: Simulator) -> str:
    """Its token A is nobody's secret: it holds no object of anybody."""
    return (
        f"  versions URL  {simulator.versions_url}\n"
        f"  token A       {simulator.token_a()}\n"
        f"  strings       POST {simulator.url}/control/play, /control/fault, … with the header\n"
        f"                X-Control-Key: {simulator.control_key}\n"
    )


def _open(options: argparse.Namespace, world: World) -> Simulator:
    """At the port of last time if it is free, for the eMSP knows it."""

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(hours=options.clock_off)

    def at(port: int) -> Simulator:
        how = {
            "seed": options.seed,
            "month": options.month,
            "versions": tuple(options.versions.split(",")),
            "hub": options.hub,
        }
        return Simulator(options.data_dir, world=world, port=port, clock=clock, **how)

    if options.port is not None:
        return at(options.port)
    try:
        return at(_last_port(options.data_dir))
    except OSError:
        return at(0)


def _last_port(folder: Path) -> int:
    state = folder / "state.json"
    return json.loads(state.read_text())["port"] if state.exists() else 0


if __name__ == "__main__":
    sys.exit(main())
