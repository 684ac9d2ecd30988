"""Why a CDR is held, credited or refused, in sentences for the CPO's bookkeeper.

What staff read of a finding may name our driver, our card or another partner. So a reason is only repeated where it says
nothing but what the CPO's own CDRs say; every other code has a sentence of its own, and an unknown one tells nothing.
"""

from collections.abc import Iterable

MEANINGS = {
    "accepted": "We take its cost before taxes as what we owe you for it.",
    "held": "It has come, and is not accepted yet. Why, and what you can do, stands beside it.",
    "credited": "It and the credit CDR that takes it back: together nothing is owed.",
    "refused": "It could not be taken. We keep what you sent; it counts for nothing until it is corrected.",
    "being checked": "It came a moment ago. Usually decided on within minutes.",
}
"""By the word for the state."""

REPEATED = frozenset({"V-07", "V-11", "V-28", "V-35", "V-40", "V-41", "V-42", "ENUM"})

SENTENCES = {
    "V-20": "The card is not known here",
    "V-21": "The card was not valid when charging began",
    "V-43": "Takes back a CDR that is a credit itself, was taken back already, or is not of this party",
    "V-46": "Charged at home, for the driver to be paid back",
    "V-52": "No agreement was in force when charging began",
    "TEST": "Charged with a test card, so nothing is owed for it",
    "SOLD": "You sell to the driver yourself, as agreed, so we do not buy it from you",
    "OURS": "It is of our own network, as agreed, so nothing is owed for it",
}
UNTOLD = "We are looking at it"

ADVICE = {
    "V-07": "Credit it, and send it right under another id",
    "V-11": "Tell us when it was",
    "V-28": "Credit it, and send it right under another id",
    "V-35": "Tell us which is right",
    "V-40": "Send it right under another id",
    "V-41": "It is decided on as soon as that CDR comes",
    "V-42": "Tell us which is right",
}

MOST_REASONS = 10
"""One object may be wrong in a thousand places."""


def why_held(findings: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Code and reason of each finding that keeps us from accepting it; none is left where staff let them all pass."""
    told = tuple(_sentences(code, reason) for code, reason in findings)
    return told or ("It was looked at, and is accepted within minutes.",)


def _sentences(code: str, reason: str) -> str:
    said = reason if code in REPEATED else SENTENCES.get(code, UNTOLD)
    return " ".join(f"{part[:1].upper()}{part[1:]}." for part in (said, ADVICE.get(code)) if part)


def why_credited(other: str, is_credit: bool) -> tuple[str, ...]:
    if not other:
        return ()
    return (f"Takes back CDR {other}." if is_credit else f"Taken back by CDR {other}.",)


def why_refused(reasons: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Each field with what is wrong with it."""
    told = tuple(f"{path}: {reason}" if path else reason for path, reason in reasons)
    more = len(told) - MOST_REASONS
    return (*told[:MOST_REASONS], f"and {more} more") if more > 0 else told
