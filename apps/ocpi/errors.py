"""What goes wrong, and what the peer is told: an HTTP status and an OCPI status code."""

from typing import NamedTuple

HUB_ERRORS = range(4000, 5000)
"""Codes of a hub that met trouble on the way (status_codes, 4xxx)."""

WENT_NOWHERE = frozenset({4001, 4003})
"""Of them those by which a hub says that it passed nothing on: it knows no such receiver, or has no connection to it."""

MOST_PROBLEMS = 200
"""Of one object. Four megabytes of nothing but faults would make an answer thirty times as long, and minutes of work."""


class Problem(NamedTuple):
    """One thing that is wrong with an object; the path is spelt as its sender spells it."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


class OcpiError(Exception):
    """An expected failure. A valid body on an existing resource never gets an HTTP error (TR-05)."""

    http_status = 200
    status_code = 2000

    def __init__(self, message: str = "", *, http_status: int | None = None, status_code: int | None = None):
        super().__init__(message)
        self.message = message
        self.http_status = http_status or self.http_status
        self.status_code = status_code or self.status_code


class InvalidObject(OcpiError):
    """The peer sent an object that the specification does not allow: every problem, not only the first; but an end."""

    status_code = 2001

    def __init__(self, problems: list[Problem]):
        told = problems[:MOST_PROBLEMS]
        self.problems = [problem if isinstance(problem, Problem) else Problem("", problem) for problem in told]
        if len(problems) > MOST_PROBLEMS:
            self.problems.append(Problem("", "and more that is wrong"))
        super().__init__("; ".join(map(str, self.problems)))


class NotJson(InvalidObject):
    """The bytes are not JSON. Also of one object of a page, so whoever keeps invalid objects keeps it too."""

    http_status = 400
    status_code = 2000


class TooDeep(NotJson):
    """Nested deeper than any OCPI object could be (trust S25)."""


class NotEnoughInformation(OcpiError):
    status_code = 2002


class UnknownObject(OcpiError):
    http_status = 404
    status_code = 2000


class UnknownLocation(UnknownObject):
    status_code = 2003


class UnknownToken(UnknownObject):
    status_code = 2004


class MethodNotAllowed(OcpiError):
    http_status = 405

    def __init__(self, message: str = "", *, allowed: tuple[str, ...] = ()):
        super().__init__(message or "This method is not part of the module")
        self.allowed = allowed


class UnusableClient(OcpiError):
    """The caller's own versions or version details cannot be used (credentials, Errors during registration)."""

    status_code = 3001


class UnsupportedVersion(OcpiError):
    status_code = 3002


class MissingEndpoints(OcpiError):
    status_code = 3003


class PeerFailed(Exception):
    """What a call to a peer ended in, when it did not end well.

    `http_status` and `status_code` are what the peer said, None where it said nothing. `permanent` says that the same
    call will fail again until somebody changes something: repeating it is no use. `retry_after` are the seconds for
    which the peer asks to be left alone.
    """

    def __init__(
        self,
        reason: str,
        *,
        http_status: int | None = None,
        status_code: int | None = None,
        permanent: bool = False,
        url: str = "",
        retry_after: float | None = None,
    ):
        super().__init__(reason)
        self.reason = reason
        self.http_status = http_status
        self.status_code = status_code
        self.permanent = permanent
        self.url = url
        self.retry_after = retry_after

    @property
    def is_of_hub(self) -> bool:
        """A hub could not reach the party: nothing is said by whom the message was for (TR-26)."""
        return self.status_code in HUB_ERRORS
