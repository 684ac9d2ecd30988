"""Fifty kinds of bad CDRs (trust F23): of each field that must be there what it cannot be, and dates that there are not."""

from collections.abc import Iterator

NEEDED = (
    "start_date_time", "end_date_time", "cdr_token", "auth_method", "cdr_location", "currency", "charging_periods",
    "total_cost", "total_energy", "total_time", "last_updated",
)  # fmt: skip
WRONG = (None, {"x": []}, [[]])
NO_DATES = ("yesterday", "2026-02-30T00:00:00Z")
KINDS = len(NEEDED) * (len(WRONG) + 1) + 3 * len(NO_DATES)


def spoiled(cdrs: list[dict]) -> Iterator[dict]:
    """Each of KINDS good CDRs spoiled in another way; whose it is and its id stay."""
    changes = [
        *(lambda cdr, name=name: cdr.pop(name) for name in NEEDED),
        *(lambda cdr, name=name, value=value: cdr.update({name: value}) for name in NEEDED for value in WRONG),
        *(
            lambda cdr, name=name, value=value: cdr.update({name: value})
            for name in NEEDED
            if name.endswith(("_time", "_updated")) and name != "total_time"
            for value in NO_DATES
        ),
    ]
    for cdr, change in zip(cdrs, changes, strict=True):
        bad = dict(cdr)
        change(bad)
        yield bad
