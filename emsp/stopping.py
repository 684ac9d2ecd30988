"""That this web is about to stop: said by gunicorn's master, seen by its workers at /readyz (trust R24)."""

import mmap

_told = mmap.mmap(-1, 1)
"""Shared with every process that is forked after this was imported."""


def announce() -> None:
    _told[0] = 1


def is_announced() -> bool:
    return _told[0] == 1
