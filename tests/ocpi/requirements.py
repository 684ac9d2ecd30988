"""Which requirement of OCPI is held by which tests, per version. `make ocpi-matrix` writes docs/ocpi.md from it.

Tests say themselves what they show: `@pytest.mark.ocpi("CDR-02")` in 2.2.1, `ocpi("CDR-02", "2.1.1")` in the versions
named, `ocpi("CDR-02", "all")` in every version that has it.
"""

from collections import defaultdict
from typing import NamedTuple

from apps.ocpi.versions import VERSIONS
from emsp import local
from tests import marks

FILE = local.PROJECT / "docs/ocpi.md"
ALL = tuple(VERSIONS)
LATER = ALL[1:]
NEWEST = ALL[2:]
USUAL = ALL[1]
NOT_COVERED, NOT_BUILT, ABSENT = "not covered", "not built", "n/a"


class Requirement(NamedTuple):
    """What OCPI demands of an eMSP. `is_built` False: the module is not, and is not offered to partners.

    `strength`: M of what OCPI demands, S of what it advises, P of what it leaves open and we decided.
    """

    promise: str
    versions: tuple[str, ...] = ALL
    is_built: bool = True
    strength: str = "M"


def advice(strength: str, promise: str, versions: tuple[str, ...] = ALL, *, is_built: bool = True) -> Requirement:
    return Requirement(promise, versions, is_built, strength)


REQUIREMENTS = {
    "TR-01": Requirement("Certificates are checked, and every request carries a token"),
    "TR-02": Requirement("The token in the Authorization header: as it is in 2.1.1, in Base64 later"),
    "TR-03": advice("P", "The token is understood and sent in either spelling"),
    "TR-04": Requirement("Unknown tokens are 401; token A opens versions and credentials alone"),
    "TR-05": Requirement("What is no JSON is 400; JSON of an authenticated partner gets no HTTP error"),
    "TR-06": advice("S", "What there is not is 404, and is fetched where somebody changes it"),
    "TR-07": advice("S", "201 where it is new, 200 where it was there"),
    "TR-08": advice("P", "405 with Allow, 3000 for our own faults, 503 without the database"),
    "TR-09": Requirement("Bodies are application/json"),
    "TR-10": advice("P", "URLs with and without a slash at the end, and ids of any characters"),
    "TR-11": Requirement("Every answer is in the envelope"),
    "TR-12": Requirement("Status codes say what is wrong, and of whom"),
    "TR-13": advice("S", "A code outside 1xxx is a failure, whatever HTTP says"),
    "TR-14": Requirement("Lists know offset, limit, date_from and date_to"),
    "TR-15": Requirement("Pages say how many there are, how many at once, and where it goes on"),
    "TR-16": advice("S", "Lists are in the order of creation"),
    "TR-17": advice("P", "Wrong parameters are 2001, beyond the end is nothing"),
    "TR-18": advice("S", "Pages that shift lose nothing, and one bad object costs itself"),
    "TR-19": advice("P", "Links lead to their own origin, and somewhere else each time"),
    "TR-20": advice("P", "How far we are is said by their clock, and overlaps"),
    "TR-21": Requirement("What is not pushed is pulled"),
    "TR-22": Requirement("Every request has ids of its own, and answers repeat them", LATER),
    "TR-23": Requirement("Routing headers on functional modules alone, swapped in the answer", LATER),
    "TR-24": advice("P", "Who calls speaks for its own parties alone", LATER),
    "TR-25": Requirement("Broadcasts and open routing through a hub", LATER),
    "TR-26": Requirement("4xxx of a hub is no refusal by the far side", LATER),
    "TR-27": Requirement("Objects are put at their owner, and the body is of whom and what the URL names"),
    "TR-28": Requirement("PUT replaces the whole object"),
    "TR-29": Requirement("PATCH changes what it names, and says when since 2.2"),
    "TR-30": advice("P", "null clears what is optional, and nothing else"),
    "TR-31": advice("P", "What is older is taken and changes nothing"),
    "TR-32": advice("S", "After an outage the state is told, and no queue of changes"),
    "TR-33": advice("S", "What a partner did not confirm is put whole"),
    "TR-35": Requirement("Ids have no case; texts, numbers and URLs are what the tables say"),
    "TR-36": Requirement("Times are UTC"),
    "TR-37": Requirement("Optional is absent, null or empty"),
    "TR-38": Requirement("#NA where a required id cannot be", LATER),
    "TR-39": Requirement("Unknown fields refuse nothing", NEWEST),
    "TR-40": Requirement("Unknown values of open enumerations refuse nothing", NEWEST),
    "TR-41": advice("P", "Texts that are too long are kept"),
    "VER-01": Requirement("Versions and their details, to token A too"),
    "VER-02": Requirement("Endpoints by module, with a role since 2.2"),
    "VER-03": advice("P", "What we offer in which version"),
    "VER-04": advice("P", "The newest version of both is spoken; unknown ones are let be"),
    "CRED-01": Requirement("An invitation is a token of its own for one partner"),
    "CRED-02": Requirement("We register with a partner"),
    "CRED-03": Requirement("A partner registers with us, and is looked at with its own token"),
    "CRED-04": Requirement("A registration that cannot be: 3001, 3002, 3003, and nothing is stored"),
    "CRED-05": Requirement("POST is for who is not registered, PUT and DELETE for who is"),
    "CRED-06": Requirement("PUT gives a new token, and may change the version"),
    "CRED-07": advice("P", "A lost answer to a renewal locks nobody out"),
    "CRED-08": Requirement("DELETE ends it for both sides"),
    "CRED-09": Requirement("GET shows the token that was presented"),
    "CRED-10": Requirement("Tokens are up to 64 printable characters"),
    "CRED-11": Requirement("Roles: several parties of one platform", LATER),
    "CRED-12": Requirement("Hubs: a role in 2.2.1, a party beside the roles in 2.3.0", LATER),
    "CRED-13": advice("P", "Nobody leads us to addresses that are not public"),
    "CRED-14": advice("P", "A registration that fails says why"),
    "LOC-01": Requirement("What is below raises the date of what is above"),
    "LOC-02": Requirement("A new EVSE is added by its PUT"),
    "LOC-03": Requirement("Nothing is deleted: EVSEs are REMOVED"),
    "LOC-04": Requirement("What a complete list no longer has is no longer valid"),
    "LOC-05": Requirement("Unpublished locations are for certain cards only", LATER),
    "LOC-06": Requirement("Without an operator it is the role's business details"),
    "LOC-07": Requirement("No tariff is an unknown price, never a free one"),
    "LOC-08": Requirement("Opening hours and status schedules are shown, and decide nothing"),
    "LOC-09": advice("P", "EVSEs in a PATCH of their location are changed or added"),
    "LOC-10": Requirement("Without an owner in it an object is the connection's", ALL[:1]),
    "LOC-11": Requirement("Parking places may be ignored", NEWEST),
    "LOC-12": advice("S", "One location is fetched by itself"),
    "LOC-13": advice("P", "Odd coordinates and countries are kept and said"),
    "SES-01": Requirement("PUT of a session replaces its periods"),
    "SES-02": Requirement("PATCH of a session adds periods"),
    "SES-03": Requirement("A completed session stays so, and none is billed"),
    "SES-04": Requirement("A session starts when it becomes active", LATER),
    "SES-05": Requirement("The cost so far; absent is not free"),
    "SES-06": Requirement("Our reference finds the card", LATER),
    "SES-07": advice("P", "A session that falls silent is asked for, and marked"),
    "SES-08": Requirement("Charging preferences are put to sessions, and their answer is kept", LATER),
    "SES-09": advice("P", "Nothing that we lack refuses a session"),
    "CDR-01": Requirement("POST of a CDR answers where it can be read"),
    "CDR-02": advice("P", "The same CDR again is the same; another of its id is kept aside"),
    "CDR-03": Requirement("A CDR is never changed, and shown as it was sent"),
    "CDR-04": Requirement("Credits take one CDR back", LATER),
    "CDR-05": Requirement("Nothing that we lack refuses a CDR"),
    "CDR-06": Requirement("What is required is required, with every reason"),
    "CDR-07": Requirement("The card is one of ours, or somebody finds out", LATER),
    "CDR-08": Requirement("A reservation that was not used", LATER),
    "CDR-09": advice("S", "CDRs are pulled as well, by the same way in"),
    "CDR-10": Requirement("Charged at home: the money goes to the driver", LATER),
    "TAR-01": Requirement("Tariffs are put and deleted, and every revision stays"),
    "TAR-02": Requirement("A complete list replaces what is known"),
    "TAR-03": Requirement("A tariff has a type and a time", LATER),
    "TAR-04": Requirement("Ids of tariffs are their party's alone"),
    "TOK-01": Requirement("The list of tokens, with those that may not charge"),
    "TOK-02": Requirement("Authorize by uid and type, with or without a place"),
    "TOK-03": Requirement("Unknown is 404, refused is an answer"),
    "TOK-04": Requirement("2002 where a place is needed and none is given"),
    "TOK-05": Requirement("The answer: token and reference since 2.2, the place only if allowed"),
    "TOK-06": Requirement("Neither opening hours nor status decide"),
    "TOK-07": Requirement("Tokens are pushed, and blocked by it"),
    "TOK-08": Requirement("Whitelists; apps are always asked"),
    "TOK-09": advice("P", "The case of a uid says nothing"),
    "CMD-01": Requirement("The token of a command is ours"),
    "CMD-02": Requirement("The connector where the EVSE wants it", LATER),
    "CMD-03": advice("S", "A result is for one command, once, of whoever was asked"),
    "CMD-04": Requirement("Answers and results of commands"),
    "CMD-05": advice("S", "Without a result nobody knows, and a session proves it"),
    "CMD-06": Requirement("A reservation may be cancelled later by the CPO", LATER),
    "CMD-07": Requirement("Unlocking is for the help desk"),
    "CMD-08": advice("P", "A command is sent at most once"),
    "CHP-01": Requirement("Charging profiles are set, read and cleared", LATER, is_built=False),
    "CHP-02": Requirement("Results and active profiles are received", LATER, is_built=False),
    "CHP-03": Requirement("Limits are maxima, and those of two parties are never mixed", LATER, is_built=False),
    "HCI-01": Requirement("Parties behind a hub, told and pulled", LATER),
    "HCI-02": Requirement("Nothing is sent to who is not connected", LATER),
    "IR-01": Requirement(
        "Records of what invoices are for are received and pulled; we bill nobody in reverse and send none", NEWEST
    ),
    "IR-02": Requirement("An invoice is the list of its CDRs", NEWEST),
    "IR-03": advice("P", "Invoices of unknown CDRs are gaps", NEWEST),
    "PAY-01": advice("P", "What payments and bookings add to other modules refuses nothing", NEWEST),
    "BOOK-01": Requirement("Places and times that can be booked, and bookings", NEWEST, is_built=False),
    "BOOK-02": Requirement("A booking ends once, and its session and CDR name it", NEWEST, is_built=False),
    "BOOK-03": advice("P", "The module by either of its names", NEWEST, is_built=False),
}
"""What is demanded, advised or decided, by the ids that the code cites."""

UNCOVERED: dict[str, tuple[str, ...]] = {}
"""What no test shows yet, with the versions. Only ever take from here."""

HEAD = """# OCPI

What OCPI demands of an eMSP, version by version, and the tests that send or receive the bytes. Made by `make ocpi-matrix`
from the marks of the tests; a test fails where it is not current, or where something covered has lost its last test.

*M* OCPI demands it, *S* it advises it, *P* it leaves it open and we decided so.
*n/a*: the version has no such thing. *not built*: the module is not, and no partner is offered it. *not covered*: built or
to be built, and shown by no test. Bookings, payments and charging profiles are tolerated and not built (an eMSP has no
role in payments). What a price is made of (step sizes, restrictions, taxes) is not a matter of the wire, and held by the
tests of pricing. That each object is the same in every version that has it is held by `ocpi/test_stair.py`.

"""


def covered() -> dict[tuple[str, str], list[str]]:
    """Tests by requirement and version."""
    found = defaultdict(dict)
    for test, said in marks.marked("ocpi"):
        ids = [word for word in said if word in REQUIREMENTS]
        versions = [word for word in said if word in ALL]
        for known in ids:
            for version in _versions(known, versions or ([] if "all" in said else [USUAL]), is_all="all" in said):
                found[known, version][test] = None
    return {key: list(tests) for key, tests in found.items()}


def _versions(known: str, named: list[str], *, is_all: bool) -> list[str]:
    return [version for version in REQUIREMENTS[known].versions if is_all or version in named]


def unknown() -> set[str]:
    """Words in marks that are neither requirements nor versions."""
    return {word for _, said in marks.marked("ocpi") for word in said} - {*REQUIREMENTS, *ALL, "all"}


def uncovered() -> set[tuple[str, str]]:
    """Of what is built, whether demanded, advised or decided."""
    shown = covered()
    built = (
        (known, version) for known, wanted in REQUIREMENTS.items() if wanted.is_built for version in wanted.versions
    )
    return {key for key in built if key not in shown}


def table() -> str:
    shown = covered()
    head = f"| | is | promised | {' | '.join(ALL)} | shown by |\n|---|---|---|{'---|' * len(ALL)}---|\n"
    return HEAD + head + "".join(_row(known, shown) for known in REQUIREMENTS)


def _row(known: str, shown: dict) -> str:
    states = [_state(known, version, shown) for version in ALL]
    tests = dict.fromkeys(test for version in ALL for test in shown.get((known, version), []))
    wanted = REQUIREMENTS[known]
    return f"| {known} | {wanted.strength} | {wanted.promise} | {' | '.join(states)} | {'<br>'.join(tests) or '–'} |\n"


def _state(known: str, version: str, shown: dict) -> str:
    wanted = REQUIREMENTS[known]
    if version not in wanted.versions:
        return ABSENT
    if not wanted.is_built:
        return NOT_BUILT
    return str(len(shown[known, version])) if (known, version) in shown else NOT_COVERED


if __name__ == "__main__":
    FILE.write_text(table())
