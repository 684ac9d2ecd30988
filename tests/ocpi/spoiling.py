"""Bodies spoiled by chance: fields dropped, doubled, renamed, swapped or set to what they cannot be, and bytes cut."""

import random
from copy import deepcopy

STOP = 0.2

VALUES = [
    *(None, True, False, 0, -1, 1, 7, 2**31, 2**63, 2**64, 10**20, 10**25, -(10**30), 0.5, 1e300, 1e-300, 1.5e-11),
    *("", " ", "x", "7", "2.00", "NaN", "Infinity", "-0", "1e5", "1_000", "٣", "true", "null", "a" * 300, "a" * 70000),
    *("\x00", "a\x00b", "\ud7ff", "\u202e", "\u0085", "é", "😀", "\x7f", "2026-02-30T00:00:00Z", "2026-03-01T12:00:00"),
    *("2026-03-01T12:00:00+01:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:60Z", "2026-03-01", "24:00", "S"),
    *([], {}, [[]], [{}], [None], {"a": {}}, {"id": None}, [1, "2", {}], {"excl_vat": "x"}, {"before_taxes": []}),
]
BYTES = [
    b"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b'"',
    b"\\",
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\\ud800",
    b"1e999",
    b"-",
    b"\n",
]


NAMES = ["", "id", "uid", "location", "evses", "total_cost", "\x00", "ID"]


def spoiled(whole, chance: random.Random):
    """The body with one to three of its places changed, dropped, doubled, renamed or swapped."""
    for _ in range(chance.randint(1, 3)):
        if not whole:
            break
        holder, key = place(whole, chance)
        change = chance.randrange(6)
        if change == 0:
            del holder[key]
        elif change == 1 and isinstance(holder, list):
            holder.insert(key, holder[key])
        elif change == 2 and isinstance(holder, dict):
            holder[chance.choice(NAMES)] = holder[key]
        elif change == 3:
            other, name = place(whole, chance)
            holder[key] = deepcopy(other[name])
        elif change == 4:
            holder[key] = [holder[key]]
        else:
            holder[key] = deepcopy(chance.choice(VALUES))
    return whole


def place(value, chance: random.Random):
    """Any place of a body: its own fields as often as those far inside."""
    while True:
        key = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
        inside = value[key]
        if not isinstance(inside, dict | list) or not inside or chance.random() < STOP:
            return value, key
        value = inside


def cut(body: bytes, chance: random.Random) -> bytes:
    """The bytes with something put in, taken out, or the end missing."""
    at, until = sorted(chance.randrange(len(body)) for _ in range(2))
    change = chance.randrange(3)
    if change == 0:
        return body[:at] + chance.choice(BYTES) + body[at:]
    return body[:at] + body[min(until, at + 9) :] if change == 1 else body[:at]
