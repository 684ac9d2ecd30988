"""python -m bench [--size N …] [--no-table]: measure every hot path, print the table, and keep it in docs/benchmarks.md."""

import argparse
import os
import platform
import sys
from datetime import date
from pathlib import Path

from emsp import local

TABLE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
SIZES = (5_000, 50_000)


def main() -> int:
    options = _options()
    os.environ["DATA_DIR"] = str(local.data_dir() / "bench")  # its own database: it is emptied
    started = local.ensure()
    try:
        local.migrate()
        local.set_up_django()
        measures = _measure(options.size)
    finally:
        local.stop(started)
    if not options.no_table:
        TABLE.write_text(_page(measures))
    return 0 if all(measure.is_met for measure in measures) else 1


def _measure(sizes: list[int]) -> list:
    from bench import busy, hands, multitude, reading, rooms, slow, web, world
    from bench import measures as of_measures
    from emsp import garbage

    folder, found = local.data_dir() / "files", []
    folder.mkdir(parents=True, exist_ok=True)

    def note(measures) -> None:
        for measure in measures:
            found.append(measure)
            sys.stdout.write("  ".join(measure.cells()) + "\n")
            sys.stdout.flush()

    note(reading.measure())
    garbage.leave_what_stays()  # as in a worker, which does what is measured from here on
    for size in sizes:
        world.empty()
        uids = []
        note(rooms.enrolment(uids, size))
        partner, token = world.connect()
        note(rooms.pulls(partner, uids, size, folder))
        note(rooms.billing(size))
        rooms.settle()
        note(web.measure(token, uids, size, folder))
    if len(sizes) > 1:
        note(rooms.growth(found))
    note(web.of_versions(token, uids, sizes[-1], folder))
    note(slow.measure(token, uids, folder))
    note(multitude.measure())
    note(multitude.cards_and_places(token, uids, folder))
    note(busy.measure(folder))
    note(hands.measure(folder))
    sys.stdout.write("\n" + of_measures.as_table(found))
    return found


def _page(measures: list) -> str:
    from bench.measures import as_table

    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return PAGE.format(day=date.today(), machine=machine, table=as_table(measures))  # noqa: DTZ011 of whoever measures


PAGE = """# Benchmarks

Made by `make bench` on {day} ({machine}; database, workers and load on the same machine). Every path stands beside a
ceiling of the same run: what matters is the ratio, for it stays when the machine changes.

- *bare view*: a Django view that returns `{{}}`, in the same gunicorn (2 workers of 4 threads) behind the same middleware,
  under the same load (wrk, 8 connections, best of 3 rounds of 4 seconds).
- *2.2.1*: the same path in that version of OCPI.
- *upsert*: the row floor, upserts of the very rows that were written, a page at a time, from rows that need no reading.
- *first pull*, *smaller world*: the same path before, and with a tenth of the rows. *asked for*: a number of our own.
- *smaller world, by its floor*: the same path with a tenth of the rows, as much slower as COPY or the upserts are in the larger
  world, if they are: what a row costs us may grow by 15 % more than what it costs PostgreSQL alone.
- *COPY*: PostgreSQL's COPY of the very rows that were written, into tables with the same indexes.
- *one pass*: reading every row of the same tables once, but not the PDFs. The bar of the invariants is a minute for a
  million CDRs, with a PDF of 40 kB for every tenth of them.
- *alone*: the same requests while nothing else goes on, through the same proxy (nginx, as shipped) where slow clients are
  there; the rates are one over the time within which 99 of 100 are answered. Beside slow clients eight others ask every 60 ms,
  beside sync, push and run as fast as they can.
- CDRs are pulled in pages of 1,000, locations in pages of 100; half a million EVSEs in pages of 1,000 locations, by a
  worker that is a process of its own.
- *one worker*, *first 100 pages*: the same by one worker instead of two, and the beginning of the same list.
- *msgspec.json.decode*: decoding the same bytes without looking at them, in turn with reading; medians of 200 rounds.

{table}"""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--size", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--no-table", action="store_true", help="leave docs/benchmarks.md as it is")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
