"""The check of the demo: its figures and its export as files, and a recount of them by a program that knows nothing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from django.db import transaction

from apps.billing.exports import stream

from . import recount, sabotage
from .summary import summarise
from .world import World


def check(world: World, ledger: Path, folder: Path, fault: int | None = None) -> tuple[bool, str]:
    """Whether everything ties out, and what the recount said. A planted fault is gone when this returns."""
    with transaction.atomic():
        if fault is not None:
            sabotage.without_guards()
            sabotage.SABOTAGES[fault].plant(world.month)
        write_files(world, ledger, folder)
        transaction.set_rollback(fault is not None)
    done = subprocess.run(
        [sys.executable, "-I", recount.__file__, str(folder)], capture_output=True, text=True, check=False
    )
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def write_files(world: World, ledger: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ledger, folder / "ledger.jsonl")
    (folder / "world.json").write_text(json.dumps(world.planned(), ensure_ascii=False))
    (folder / "summary.json").write_text(json.dumps(summarise(world.month), ensure_ascii=False, indent=1))
    with (folder / "export.csv").open("wb") as file:
        file.writelines(stream(world.month, "csv"))
