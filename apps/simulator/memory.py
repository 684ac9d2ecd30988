"""What the simulated CPO still knows after a restart: its state (atomic file) and its objects (journal)."""

import json
import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from apps.simulator.wire import encode, moment


class Memory:
    """Port, credentials and steps played; readable by its owner alone, for credentials tokens are in it."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._path = folder / "state.json"
        self._lock = threading.Lock()
        self._facts: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def get(self, name: str, default: Any = None) -> Any:
        return self._facts.get(name, default)

    def put(self, **facts: Any):
        with self._lock:
            self._facts |= facts
            write_private(self._path, json.dumps(self._facts, indent=1, default=str))


def write_private(path: Path, text: str):
    """Whole or not at all, mode 0600."""
    draft = path.with_suffix(".draft")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


class Item(NamedTuple):
    key: str
    last_updated: str | None
    body: bytes


class Shelf:
    """The objects of one module in the order they were made (transport_and_format, Paginated Response)."""

    def __init__(self):
        self._items: dict[str, Item] = {}
        self._lock = threading.Lock()

    def put(self, item: Item):
        with self._lock:
            self._items[item.key] = item

    def get(self, key: str) -> bytes | None:
        item = self._items.get(key.upper())
        return item.body if item else None

    def between(self, date_from: str | None, date_to: str | None) -> list[Item]:
        """`date_from` inclusive, `date_to` exclusive; an object without a date is always there."""
        with self._lock:
            items = list(self._items.values())
        since, until = date_from and moment(date_from), date_to and moment(date_to)
        return [item for item in items if _is_between(item.last_updated, since, until)]

    def clear(self):
        with self._lock:
            self._items.clear()

    def __len__(self) -> int:
        return len(self._items)


def _is_between(last_updated: str | None, since: Any, until: Any) -> bool:
    if last_updated is None or not (since or until):
        return True
    at = moment(last_updated)
    return (not since or at >= since) and (not until or at < until)


class _Kept(msgspec.Struct):
    module: str
    key: str
    last_updated: str | None
    body: msgspec.Raw


class Journal:
    """Every change of an object, appended; read again at the start, the last one wins."""

    def __init__(self, path: Path):
        self._path = path
        self._lock = threading.Lock()
        self._file = path.open("ab")

    def append(self, module: str, key: str, body: bytes, last_updated: str | None):
        line = encode(_Kept(module, key, last_updated, msgspec.Raw(body))) + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()

    def read(self) -> list[tuple[str, Item]]:
        with self._path.open("rb") as lines:
            kept = [msgspec.json.decode(line, type=_Kept) for line in lines if line.endswith(b"\n")]
        return [(entry.module, Item(entry.key, entry.last_updated, bytes(entry.body))) for entry in kept]

    def close(self):
        self._file.close()
