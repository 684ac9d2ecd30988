"""python -m emsp.demo [--check [--sabotage N|all]]: the main job with simulated charge point operators, and its proof."""

import argparse
import signal
import sys

from emsp import launch, local
from emsp.demo import cast

FAULTS = range(1, 9)


def main() -> int:
    options = _options()
    try:
        return _demo(options)
    except launch.Stopped:
        return 0 if not options.check else 1
    except launch.FAILURES as problem:
        sys.stderr.write(f"{problem}\n")
        return 1


def _demo(options: argparse.Namespace) -> int:
    with launch.running(*(role.simulated for role in cast.ROLES)) as platform:
        local.set_up_django()
        from emsp.demo import theatre

        stage = theatre.open_stage(cast.ROLES, options.months)
        is_told = theatre.perform(stage)
        if options.check or not is_told:
            return int(not (is_told and theatre.prove(stage, options.sabotage)))
        theatre.show_around(stage, platform)
        while True:
            signal.pause()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emsp.demo", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="recount every figure, stop everything, exit 1 if one is wrong"
    )
    parser.add_argument(
        "--sabotage", type=_faults, default=(None,), metavar="N|all", help="plant fault 1 to 8, or try all"
    )
    parser.add_argument(
        "--months", type=int, choices=range(1, 13), metavar="1-12", help="so many, of which the last is last month"
    )
    return parser.parse_args()


def _faults(text: str) -> tuple[int | None, ...]:
    if text == "all":
        return (None, *FAULTS)
    if text not in map(str, FAULTS):
        raise argparse.ArgumentTypeError(f"{text}: 1 to {FAULTS[-1]}, or all")
    return (int(text),)


if __name__ == "__main__":
    sys.exit(main())
