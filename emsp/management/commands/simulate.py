"""Serve the simulated charge point operator to people and their programs: a door to `python -m apps.simulator`."""

import os
import sys

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Serve a charge point operator to play with, until Ctrl-C."

    def run_from_argv(self, argv):
        """What it is told is the simulator's own to read, which takes over this process: it shares nothing with the
        platform but OCPI."""
        folder = settings.DATA_DIR / "simulated"
        program = [sys.executable, "-m", "apps.simulator", f"--data-dir={folder}", "--for-people", *argv[2:]]
        os.chdir(settings.BASE_DIR)
        os.execv(program[0], program)  # noqa: S606 the program is ours
