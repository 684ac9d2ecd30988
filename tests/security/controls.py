"""Which control of the threat model is held by which tests. `make lists` writes docs/security-controls.md from it.

Tests say themselves what they show: `@pytest.mark.control("S8")`, or `pytestmark` for a whole file.
"""

from collections import defaultdict
from typing import NamedTuple

from emsp import local
from tests import marks

FILE = local.PROJECT / "docs/security-controls.md"
BUILT, PARTLY, NOT_APPLICABLE = "built", "partly", "not applicable"


class Control(NamedTuple):
    """`note` says what is missing of one that is partly built, and why one does not apply."""

    promise: str
    state: str = BUILT
    note: str = ""


CONTROLS = {
    "S1": Control("Tokens we issue: 32 random bytes, printable, never valid Base64"),
    "S2": Control("Of tokens presented to us only a digest is kept, and they are in no log, record, page or dump"),
    "S3": Control("Tokens given to us are sealed, bound to their row; weak keys are refused at the start"),
    "S4": Control("A token is shown once"),
    "S5": Control("The Authorization header: raw and Base64 are taken, every refusal is the same answer"),
    "S6": Control("Strangers and token A open no functional endpoint, whatever the URL says"),
    "S7": Control("Token A: once, seven days, one connection; registrations at once make one"),
    "S8": Control("A token that is revoked is dead at once; old ones are pointed out, and renewed by one click"),
    "S9": Control(
        "A replaced token ends with the first use of the new one, at most after a day; whoever uses it later is said to staff"
    ),
    "S10": Control(
        "A partner changes its URL and token; what it adds to its roles waits for staff, and is kept until then"
    ),
    "S11": Control("A handshake that fails changes nothing, and how often we are made to call back is bounded"),
    "S12": Control("A reply that gets lost locks nobody out"),
    "S13": Control("Whoever leaves, or is thrown out, is a stranger at once"),
    "S14": Control("One rule says for which parties a partner reads and writes, for push, pull and what staff mended"),
    "S15": Control("What belongs to another partner is as if it were not"),
    "S16": Control("The Location of a CDR is a random UUID"),
    "S17": Control("A platform speaks for the parties whose route it is; nobody takes another's, a hub neither"),
    "S18": Control(
        "A partner is told of the cards that it was agreed it sees",
        PARTLY,
        "a connection sees what any of its parties may; there is one eMSP party",
    ),
    "S19": Control("An authorisation names no driver; an unknown card is 404 with 2004"),
    "S20": Control("What is checked is the address that is connected to, however it is wrapped"),
    "S21": Control("Spellings of inner addresses lead nowhere"),
    "S22": Control("URLs of partners: https, a host, an honest port, nothing else"),
    "S23": Control("A Link, an endpoint or a version on another host gets nothing of us"),
    "S24": Control("No redirects, no proxies of the environment, inner hosts only where named and allowed"),
    "S25": Control("Bodies, depth, texts and numbers are bounded"),
    "S26": Control("Whatever is sent, the answer is an envelope, and soon"),
    "S27": Control("What decoders differ in is refused"),
    "S28": Control("What a column cannot hold is refused: NaN, numbers without end, the character NUL"),
    "S29": Control("Signs that steer are not shown, and the bytes stay; an id has none"),
    "S31": Control("Fields nobody knows refuse nothing, and count for the size"),
    "S30": Control("A key that comes twice is refused where money depends on it"),
    "S32": Control("No answer, packed or not, costs more memory than its bound"),
    "S33": Control("One deadline covers a whole call"),
    "S34": Control("A list that leads in a circle or nowhere ends"),
    "S35": Control("Packed bodies are 415"),
    "S36": Control("Slow clients wait at the proxy"),
    "S37": Control("Texts of partners are text: on every page, in documents, in exports"),
    "S38": Control(
        "Pages run scripts of our own files alone, load from us alone, and are in no frame",
        PARTLY,
        "styles may stand in a page, and the admin's frame works with Alpine, which needs eval",
    ),
    "S39": Control("No text becomes a formula in an export, and numbers stay numbers"),
    "S40": Control("A log line is one JSON object; nothing a partner sends can forge one"),
    "S41": Control(
        "Logs and records of messages name neither cards nor contracts nor tokens; records are kept 7 to 90 days",
        PARTLY,
        "there is no act that makes a driver unknown yet; CDRs and quarantined objects keep the bytes they came in",
    ),
    "S42": Control("How often anybody may call is bounded, for all processes together; beyond it 429 with Retry-After"),
    "S43": Control("Trying out which cards there are is noticed, said to staff, and slowed down"),
    "S44": Control("The same messages once more change nothing"),
    "S45": Control(
        "The result of a command is told once, by whom we asked, at a URL nobody guesses, for an hour after its time"
    ),
    "S46": Control(
        "Staff log in with a second factor; tries are bounded, and nobody is kept out by a stranger; sessions end, and what is "
        "dear is asked again"
    ),
    "S48": Control("Issued documents and stored CDRs cannot be changed: triggers refuse it whoever asks"),
    "S49": Control(
        "What staff changed is kept with who did it, in which request and why; a chain of digests over the days tells what was "
        "changed afterwards",
    ),
    "S50": Control(
        "Web, worker and reports have roles of the database that cannot change tables, and a statement takes no longer than "
        "its process allows: 5 s in web, 15 min elsewhere"
    ),
    "S51": Control("Our URLs come from the settings, and strange hosts are refused"),
    "S52": Control(
        "Certificates of partners are checked, always, by TLS 1.2 or newer; a private authority and a certificate of ours "
        "are of one connection; whatever ends is said three weeks before"
    ),
    "S53": Control("No secret is in what we publish, and keys are for their owner alone"),
    "S54": Control(
        "Every package is pinned with its hashes; workers take JSON alone",
        PARTLY,
        "no bill of materials and no signed release; advisories are looked up by whoever releases",
    ),
    "S55": Control("What is dangerous is not written: ruff's security rules, and our own"),
    "S56": Control("The list of URLs is made from the code, and a test fails when it is not current"),
    "S57": Control("Whoever finds a weakness knows where to say so, and nothing of tests is served"),
}

HEAD = """# Security controls

What the platform promises against abuse, and the tests that show it. Made by `make lists` from the marks of the tests;
a test fails where it is not current, or where something that is built has no test.

"""


def marked() -> dict[str, list[str]]:
    """Tests by control, as `file: name`."""
    found = defaultdict(dict)
    for test, ids in marks.marked("control"):
        for control in ids:
            found[control][test] = None
    return {control: list(tests) for control, tests in found.items()}


def number(control: str) -> int:
    return int(control[1:])


def table() -> str:
    tests = marked()
    rows = [_row(control, tests.get(control, [])) for control in sorted(CONTROLS, key=number)]
    return HEAD + "| | promise | state | shown by |\n|---|---|---|---|\n" + "".join(rows)


def _row(control: str, tests: list[str]) -> str:
    promise, state, note = CONTROLS[control]
    said = f"{state}: {note}" if note else state
    return f"| {control} | {promise} | {said} | {'<br>'.join(tests) or '–'} |\n"
