"""The frame of every endpoint that partners call, and the first three: versions, version details, credentials.

A view returns data or raises an OcpiError; the frame knows the caller, reads the body, puts the envelope around the
answer and writes the exchange down. No answer is without an envelope, and none is HTML (decision 1).
"""

import logging
import re
import time
from datetime import timedelta
from http import HTTPStatus
from typing import NoReturn

from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.http import HttpResponse
from django.utils import timezone
from django.utils.functional import cached_property
from rest_framework.response import Response
from rest_framework.views import APIView

from apps import pace
from apps.ocpi import envelope, reader
from apps.ocpi.errors import InvalidObject, MethodNotAllowed, OcpiError, Problem, UnknownObject
from apps.ocpi.modules import WITHOUT_ROUTING
from apps.ocpi.versions import Version
from apps.postgresql.base import is_silent

from . import alarms, clients, credentials, exchanges, handshake, ourselves, quarantine, scope
from .models import Alarm, CredentialsToken, Exchange, Party
from .scope import NO_KEY, key_of
from .taking import NotAtOnce, Outcome

log = logging.getLogger(__name__)

SAFE = frozenset({"GET"})
KEEPING = frozenset({"PUT", "POST"})
LIMITS = {"PATCH": reader.PATCH_LIMIT}
JSON = re.compile(r"(?:application/(?:[\w.-]+\+)?json|text/plain)\s*(?:;|\Z)", re.IGNORECASE | re.ASCII)
"""Text too: wsgiref says so where the sender said nothing, and a body that is no JSON is refused anyway (TR-09)."""

ROUTING = {
    "from": ("HTTP_OCPI_FROM_COUNTRY_CODE", "HTTP_OCPI_FROM_PARTY_ID"),
    "to": ("HTTP_OCPI_TO_COUNTRY_CODE", "HTTP_OCPI_TO_PARTY_ID"),
}
"""The headers that name a party (transport_and_format, Message Routing)."""

ACCEPTABLE_ID = re.compile(r"[!-~]{1,64}")
RETRY_AFTER_S = 5
NOTED = pace.Limit(1 / 60, 1)


class Unauthorized(OcpiError):
    """One answer for every reason, so that it tells a stranger nothing (TR-04, trust S5, S6)."""

    http_status = HTTPStatus.UNAUTHORIZED
    status_code = 2001

    def __init__(self):
        super().__init__("No valid credentials token")


class PartnerView(APIView):
    """An endpoint that one partner calls.

    Handlers are called with the version and what else the URL holds, find `partner`, `us`, `now` and `body` here, and
    return a Response of plain data, which gets the envelope. `module` is for the record; a view with `log` False writes
    none where all went well. `in_one` views commit the record together with the work (decision 25).
    """

    module = ""
    log = True
    in_one = False
    is_registration = False
    """Versions and credentials: open to a token A as well, and without routing headers (TR-04, TR-23)."""
    paced_as = "messages"
    """Which of `pace.LIMITS` its calls count for."""
    body_limit = reader.BODY_LIMIT
    is_hopeful = True
    """What `in_one` views give to `take` for `in_hope`."""
    http_method_names = ("get", "post", "put", "patch", "delete")

    def dispatch(self, request, *args, version: Version | None = None, **kwargs):
        self.started, self.now, self.version, self.kwargs = time.monotonic(), timezone.now(), version, kwargs
        self.http_request, self.caller = request, None
        try:
            self._admit(request)
            response = self._in_one_transaction() if self._is_in_one() else self._answered()
        except Exception as error:
            response = self._failed(error)
            self._record(response)
        return response

    def _admit(self, request) -> None:
        """The caller, who must be known before anything it says is looked at."""
        self.caller = self._find_caller(request.META.get("HTTP_AUTHORIZATION", ""))
        if self.caller is None or not self._opens(self.caller):
            self._turn_away(request)
        self._keep_pace()
        credentials.note_use(self.caller.token, self.now)

    def _turn_away(self, request) -> NoReturn:
        """A stranger. One that was none until lately is for staff to know: lost its way, or stole it (trust S9)."""
        is_known, self.caller = self.caller is not None, None
        pace.require(("stranger", pace.network_of(request.origin)), pace.STRANGERS)
        dead = None if is_known else credentials.find_dead(request.META.get("HTTP_AUTHORIZATION", ""))
        if dead is not None:
            reason = f"token {dead.kind} …{dead.last_four}, from {request.origin}"
            alarms.sound(dead.partner_id, Alarm.Kind.STALE_TOKEN, reason, self.now)
        raise Unauthorized

    def _keep_pace(self) -> None:
        """So much of a kind a second, from all connections of the partner together (trust S42, S43)."""
        partner, limit = self.caller.partner, pace.LIMITS[self.paced_as]
        is_slowed = (
            partner.slowed_until is not None and self.paced_as == "authorize" and self.now < partner.slowed_until
        )
        key = (partner.pk, "slowed" if is_slowed else self.paced_as)
        limit = pace.SLOWED if is_slowed else limit.times(partner.pace)
        if wait := pace.PACE.wait(key, limit):
            self._note_haste(partner, key[1])
            raise pace.TooOften(wait)

    def _note_haste(self, partner, kind: str) -> None:
        """Once a minute of each process: whoever calls too often is not to make us write as often."""
        if not pace.PACE.wait((partner.pk, "noted", kind), NOTED):
            alarms.sound(partner.pk, Alarm.Kind.HASTE, f"{kind}: more than its pace allows", self.now)

    def _find_caller(self, header: str):
        """The first thing asked of a connection that was kept: if it died meanwhile, ask again over a new one.

        That makes Django's own look at its health, another round trip for every request, superfluous.
        """
        asked = (header, self.now, self._owner_key(), self._sender_key())
        try:
            return credentials.find(*asked)
        except OperationalError:
            if is_silent():
                raise
            connection.close()
            return credentials.find(*asked)
        finally:
            connection.health_check_done = True

    def _opens(self, caller: credentials.Caller) -> bool:
        """Token A opens the registration alone, and a partner that is not connected has nothing to tell us."""
        return self.is_registration or (
            caller.token.kind == CredentialsToken.Kind.CREDENTIALS and caller.partner.is_connected
        )

    def _is_in_one(self) -> bool:
        return self.in_one and self.http_request.method not in SAFE

    def _in_one_transaction(self) -> HttpResponse:
        """What is expected commits, refusals too: their bytes are kept. What is not rolls everything back.

        What was taken in hope and did not fit is done again from the start, with the care that costs.
        """
        try:
            with transaction.atomic():
                return self._answered()
        except NotAtOnce:
            self.is_hopeful = False
        with transaction.atomic():
            return self._answered()

    def _answered(self) -> HttpResponse:
        try:
            response = self._wrapped(self._handle())
        except OcpiError as error:
            response = self._refused(error)
        self._record(response)
        return response

    def _handle(self):
        name = self.http_request.method.lower()
        handler = getattr(self, name, None) if name in self.http_method_names else None
        if handler is None:
            raise MethodNotAllowed(allowed=self.allowed)
        self._check_routing()
        self._check_body()
        self._check_version()
        self.request = self.initialize_request(self.http_request)
        named = {} if self.version is None else {"version": self.version}
        return handler(self.request, **named, **self.kwargs)

    @property
    def allowed(self) -> tuple[str, ...]:
        return tuple(name.upper() for name in self.http_method_names if hasattr(self, name))

    # What the caller says

    @property
    def partner(self):
        return self.caller.partner

    @cached_property
    def us(self):
        return ourselves.us()

    def _owner_key(self):
        """The party of the URL, for which `OwnedView` asks."""
        return NO_KEY

    @property
    def _has_route(self) -> bool:
        return self.module not in WITHOUT_ROUTING

    def _sender_key(self):
        if not self._has_route:
            return NO_KEY
        return self._key("from")

    def _check_routing(self) -> None:
        """From one of the caller's parties, to us (TR-24). Who leaves it out speaks for itself (TR-23)."""
        if not self._has_route:
            return
        problems = []
        if self._named("from") and self.caller.sender is None and not self._claims(self._key("from")):
            problems.append(Problem("OCPI-from-party-id", f"{self._named('from')} is not a role of the sender"))
        if self._named("to") and self._key("to") != self.us.key:
            problems.append(Problem("OCPI-to-party-id", f"{self._named('to')} is not served here"))
        if problems:
            raise InvalidObject(problems)

    def _claims(self, key) -> bool:
        """Whether it is a party that the partner may get: what it sends of it is kept until then (trust S10)."""
        return self.http_request.method in KEEPING and scope.claim_of(self.partner, key) is not None

    def _named(self, side: str) -> str:
        return "*".join(self._parts(side)) if any(self._parts(side)) else ""

    def _key(self, side: str):
        return key_of(*self._parts(side))

    def _parts(self, side: str) -> tuple[str, str]:
        country_code, party_id = ROUTING[side]
        return self._header(country_code), self._header(party_id)

    def _header(self, name: str) -> str:
        """By its name in WSGI: a dict of all headers by their own names would be made for each request."""
        return self.http_request.META.get(name, "").strip()

    def _check_version(self) -> None:
        """In a version without the module this is no URL."""
        if not self.is_registration and self.module not in self.version.offered:
            raise UnknownObject(f"OCPI {self.version} has no {self.module}")

    def _check_body(self) -> None:
        """Judged by its headers, before a byte of it is read (trust S25, S35)."""
        meta = self.http_request.META
        if meta.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
            raise OcpiError("Bodies are sent as they are, not packed", http_status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if _number(meta.get("CONTENT_LENGTH")) > self._limit():
            raise self._too_large()
        if self.http_request.method not in SAFE and self.sent.strip():
            self._check_type(meta.get("CONTENT_TYPE", ""))

    def _check_type(self, content_type: str) -> None:
        if content_type and not JSON.match(content_type):
            raise OcpiError("Bodies are application/json", http_status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)

    def _limit(self) -> int:
        return min(LIMITS.get(self.http_request.method, self.body_limit), self.body_limit)

    @cached_property
    def body(self) -> bytes:
        """The object that was sent, also where it came as the only one of a list."""
        return reader.only_one(self.sent)

    @cached_property
    def sent(self) -> bytes:
        """The bytes as sent; chunked ones are read to their end, where the server says that there is one."""
        meta = self.http_request.META
        try:
            if "HTTP_TRANSFER_ENCODING" not in meta or not meta.get("wsgi.input_terminated"):
                return self.http_request.body
            read = meta["wsgi.input"].read(self._limit() + 1)
        except OSError as error:
            raise OcpiError("The body broke off", http_status=HTTPStatus.BAD_REQUEST) from error
        if len(read) > self._limit():
            raise self._too_large()
        return read

    @property
    def _read_body(self) -> bytes:
        """What was read of it, and nothing that was not."""
        return self.__dict__.get("sent", b"")

    def _too_large(self) -> OcpiError:
        return OcpiError(f"More than {self._limit()} bytes", http_status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    @cached_property
    def speaker(self) -> Party | None:
        """The party behind a hub that the message is of; None where the hub itself speaks, for all of them (TR-25), and
        of a platform whose parties are its own."""
        sender = self.caller.sender if self.partner.is_hub else None
        hub = sender and scope.hub_of(self.partner)
        return None if hub and hub.key == self._key("from") else sender

    # What we answer

    def _wrapped(self, response) -> HttpResponse:
        self.status_code = envelope.SUCCESS
        return self._said(envelope.success(response.data, self.now), response.status_code, response.headers)

    def _refused(self, error: OcpiError) -> HttpResponse:
        self.status_code = self.version.status_code(error.status_code) if self.version else error.status_code
        content = envelope.failure(self.status_code, error.message, None, self.now)
        return self._said(content, error.http_status, headers_of(error))

    def _said(self, content: bytes, http_status: int, headers) -> HttpResponse:
        response = HttpResponse(content, status=http_status, content_type="application/json")
        for name, value in (*headers.items(), *self._echoed().items()):
            if name != "Content-Type":
                response.headers[name] = value
        return response

    def _echoed(self) -> dict[str, str]:
        """The ids of the request (TR-22), and who speaks to whom, swapped (TR-23)."""
        echoed = {"X-Request-ID": self.request_id, "X-Correlation-ID": self.correlation_id}
        if self.caller is None or self.caller.sender is None:
            return echoed
        return echoed | {
            "OCPI-from-country-code": self.us.country_code,
            "OCPI-from-party-id": self.us.party_id,
            "OCPI-to-country-code": self.caller.sender.country_code,
            "OCPI-to-party-id": self.caller.sender.party_id,
        }

    @cached_property
    def request_id(self) -> str:
        return self.http_request.id

    @cached_property
    def correlation_id(self) -> str:
        given = self._header("HTTP_X_CORRELATION_ID")
        return given if ACCEPTABLE_ID.fullmatch(given) else self.request_id

    def _failed(self, error: Exception) -> HttpResponse:
        """What nobody foresaw is ours, and HTTP 200: the sender did nothing wrong and shall not see a web page."""
        if isinstance(error, OcpiError):
            return self._refused(error)
        if isinstance(error, (OperationalError, InterfaceError)):
            return self._refused(unavailable())
        log.error("an OCPI request failed, and the fault is ours", exc_info=error)
        self._keep_body()
        return self._refused(OcpiError("Our server failed; the message is kept", status_code=3000))

    def _keep_body(self) -> None:
        if self.caller and not self.is_registration and self.http_request.method not in SAFE and self._read_body:
            context = {"method": self.http_request.method, "path": self.http_request.path}
            problems = [Problem("", "we failed to process it")]
            quarantine.keep(
                self.partner, self.module, self.version, self._read_body, problems, self.now, context=context
            )

    def _record(self, response: HttpResponse) -> None:
        """Strangers leave no record, nor does who calls too often: they could fill the disk. The log has them."""
        if (
            self.caller is None
            or response.status_code == HTTPStatus.TOO_MANY_REQUESTS
            or (not self.log and self.status_code == envelope.SUCCESS)
        ):
            return
        try:
            exchanges.keep(self._exchange(response))
        except DatabaseError:
            if self._is_in_one():
                raise
            log.exception("an exchange could not be written down")

    def _exchange(self, response: HttpResponse) -> exchanges.Said:
        return exchanges.Said(
            partner_id=self.partner.pk,
            direction=Exchange.Direction.IN,
            module=self.module,
            method=self.http_request.method,
            url=self.http_request.get_full_path(),
            request_body=self._read_body,
            response_body=response.content,
            http_status=response.status_code,
            status_code=self.status_code,
            error="",
            request_id=self.request_id,
            correlation_id=self.correlation_id,
            duration=timedelta(seconds=time.monotonic() - self.started),
            at=self.now,
        )


class OwnedView(PartnerView):
    """An endpoint whose URL names the party that owns the object: `self.party`, one that the caller speaks for.

    Foreign parties and those that there are not look the same (TR-24, trust S15).
    """

    is_of_whole_objects = False
    """Whether what is PUT goes through `taking`, which keeps what is not the partner's yet (trust S10)."""

    def _owner_key(self):
        return key_of(self.kwargs["country_code"], self.kwargs["party_id"])

    @cached_property
    def party(self):
        if self.caller.owner is None and self.is_of_whole_objects and self.http_request.method == "PUT":
            return scope.claim_of(self.partner, self._owner_key())
        return self.caller.owner

    def _check_routing(self) -> None:
        super()._check_routing()
        if self.party is None:
            raise UnknownObject("There is no such party for you here", status_code=2001)
        if self.speaker not in (None, self.party):
            raise InvalidObject([Problem("OCPI-from-party-id", f"{self.speaker} does not speak for {self.party}")])
        if any("\x00" in str(named) for named in self.kwargs.values()):
            raise UnknownObject("Nothing can be called so")  # no column holds it, so it cannot even be asked for


def _number(written: str | None) -> int:
    """As Django reads Content-Length: nonsense is none."""
    return int(written) if written and written.isascii() and written.isdigit() else 0


def headers_of(error: OcpiError) -> dict[str, str]:
    """What HTTP demands beside the status."""
    if isinstance(error, MethodNotAllowed):
        return {"Allow": ", ".join(error.allowed)}
    if error.http_status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return {"Retry-After": str(getattr(error, "retry_after", RETRY_AFTER_S))}
    if error.http_status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": "Token"}
    return {}


def status_of(outcome: Outcome) -> HTTPStatus:
    """201 where the object is new, else 200, also for what is older than ours: nobody need repeat it (TR-07, trust R7)."""
    return HTTPStatus.CREATED if outcome is Outcome.CREATED else HTTPStatus.OK


def unavailable() -> OcpiError:
    return OcpiError("Not available now, try again", http_status=HTTPStatus.SERVICE_UNAVAILABLE, status_code=3000)


class Clients(PartnerView):
    """Parties behind a hub, as it tells of them (mod_hub_client_info, Receiver Interface)."""

    module = "hubclientinfo"

    def get(self, request, version, country_code, party_id):
        known = clients.told_of(self._hub(), key_of(country_code, party_id))
        return Response(version.write("client_info", known))

    def put(self, request, version, country_code, party_id):
        hub = self._hub()
        outcome = clients.put(hub, version, self.body, key_of(country_code, party_id), self.now)
        return Response(status=status_of(outcome))

    def _hub(self):
        """The caller, who must be one."""
        if not self.partner.is_hub:
            raise OcpiError("Only a hub has parties behind it, and you are none here")
        return self.partner


class Versions(PartnerView):
    """GET: which versions we speak (version_information_endpoint)."""

    module = "versions"
    is_registration = True

    def get(self, request):
        listed = [{"version": ref.version, "url": ref.url} for ref in ourselves.versions()]
        return Response(listed)


class VersionDetails(PartnerView):
    """GET: our endpoints of one version."""

    module = "versions"
    is_registration = True

    def get(self, request, version):
        return Response(version.write("version_details", ourselves.details(version)))


class Credentials(PartnerView):
    """Registration, its renewal and its end (credentials, Interfaces and endpoints)."""

    module = "credentials"
    is_registration = True

    def get(self, request, version):
        """With the token that was presented: only its digest is stored (CRED-09)."""
        return Response(self._ours(version, self.caller.presented))

    def post(self, request, version):
        theirs = version.read_credentials(self.body).object
        return Response(self._ours(version, handshake.accept(self.caller, version, theirs, self.now)))

    def put(self, request, version):
        theirs = version.read_credentials(self.body).object
        return Response(self._ours(version, handshake.accept_renewal(self.caller, version, theirs, self.now)))

    def delete(self, request, version):
        handshake.accept_end(self.caller, self.now)
        return Response(None)

    def _ours(self, version: Version, token: str) -> dict:
        return version.write_credentials(ourselves.credentials(token), flat=self.partner.flat_credentials)
