"""The check of the demo: its figures and its export as files, and a recount of them by a program that knows nothing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from django.db import transaction

from apps.billing.exports import stream

from . import recount, sabotage
from .story import Stage
from .summary import summarise


def check(stage: Stage, folder: Path, fault: int | None = None) -> tuple[bool, str]:
    """Whether everything ties out, and what the recount said. A planted fault is gone when this returns."""
    with transaction.atomic():
        if fault is not None:
            sabotage.without_guards()
            sabotage.SABOTAGES[fault].plant(stage.world.month)
        write_files(stage, folder)
        transaction.set_rollback(fault is not None)
    done = subprocess.run(
        [sys.executable, "-I", recount.__file__, str(folder)], capture_output=True, text=True, check=False
    )
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def write_files(stage: Stage, folder: Path) -> None:
    months = stage.world.months
    folder.mkdir(parents=True, exist_ok=True)
    for operator in stage.operators:
        shutil.copy(operator.ledger, folder / operator.role.planned()["ledger"])
    (folder / "world.json").write_text(json.dumps(stage.planned(), ensure_ascii=False))
    (folder / "summary.json").write_text(json.dumps(summarise(months), ensure_ascii=False, indent=1))
    for month in months:
        with (folder / f"export-{month:%Y-%m}.csv").open("wb") as file:
            file.writelines(stream(month, "csv"))
