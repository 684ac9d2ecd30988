"""Contracts with their tokens, charging sessions, and what charge points are asked for."""

from django.urls import reverse
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.charging import commands
from apps.charging.models import Command
from apps.drivers.models import contract_key
from apps.locations.models import Evse
from apps.ocpi import objects
from apps.tokens.cards import cards_of

from . import problems, scope
from .frame import ApiView
from .locations import shown
from .schema import described
from .shapes import CommandShape, ContractShape, Paged, Row, SessionShape, Start, Wanted, page_of


class Contracts(ApiView):
    @described("contract", ContractShape)
    def get(self, request, contract_id):
        """A contract by its eMA ID, however it is spelt: where the ids of its driver and tokens come from."""
        rows = scope.contracts(self.key).filter(key=contract_key(contract_id.replace("\x00", "")))
        contract = self.one(rows.prefetch_related("tokens"))
        cards = cards_of([token.pk for token in contract.tokens.all()], self.now)
        return Response(ContractShape(contract, context={"cards": cards}).data)


class DriverSessions(ApiView):
    @described("driver_sessions", page_of(SessionShape), asks=Paged)
    def get(self, request, driver_id):
        """A driver's sessions, the newest first."""
        asked = self.read(Paged, request.query_params.dict())
        driver = self.only(scope.drivers(self.key), driver_id)
        rows = scope.sessions(self.key).filter(token__contract__driver=driver).order_by("-started_at", "-pk")
        return self.page(rows, asked, SessionShape, now=self.now)


class SessionDetail(ApiView):
    @described("session", SessionShape)
    def get(self, request, session_id):
        """A session by its id."""
        session = self.only(scope.sessions(self.key), session_id)
        return Response(SessionShape(session, context={"now": self.now}).data)


class Commanding(ApiView):
    """One that asks something of a charge point; the answer is how to find out what becomes of it."""

    acts = True

    def asked(self, ask, *args, **how) -> Response:
        try:
            command = ask(*args, self.now, by=f"API key {self.key}", **how)
        except commands.CardRefused as error:
            raise problems.Conflict("This token may not charge", token=error.allowed) from error
        except commands.CannotCommand as error:
            raise problems.Conflict(str(error)) from error
        content = CommandShape(command).data
        return self.accepted(content, reverse("api-command", args=[content["id"]]))


class Sessions(Commanding):
    @described("start_session", CommandShape, takes=Start, status=202)
    def post(self, request):
        """Let a token charge at an EVSE. The same wish while it is open is the same command."""
        asked = self.read(Start, request.data)
        evse = asked["evse"].shown
        named = self._connector(evse, asked["connector"])
        self._require_shown(evse, asked["token"])
        return self.asked(commands.request_start, evse, asked["token"], connector_id=named)

    def _connector(self, evse: Evse, named: str) -> str:
        found = evse.connectors.filter(ocpi_id__iexact=named).first() if named else None
        if named and found is None:
            raise ValidationError({"connector": "This EVSE has no such connector."})
        return found.ocpi_id if found else ""

    def _require_shown(self, evse: Evse, token) -> None:
        """A private EVSE is nobody's but theirs who may be shown it (LOC-05)."""
        if not shown(token.contract).filter(pk=evse.location_id).exists():
            raise ValidationError({"evse": Row.default_error_messages["unknown"]})


class StopSession(Commanding):
    @described("stop_session", CommandShape, takes=None, status=202)
    def post(self, request, session_id):
        """End a session."""
        return self.asked(commands.request_stop, self.only(scope.sessions(self.key), session_id))


class Preferences(Commanding):
    @described("charging_preferences", CommandShape, takes=Wanted, status=202)
    def post(self, request, session_id):
        """Tell what the driver wants of a session. The operator may refuse; what it wants to know then is its answer."""
        session = self.only(scope.sessions(self.key), session_id)
        wanted = objects.ChargingPreferences(**self.read(Wanted, request.data))
        return self.asked(commands.request_preferences, session, wanted)


class CommandDetail(ApiView):
    @described("command", CommandShape)
    def get(self, request, command_id):
        """What became of a start, a stop or preferences."""
        command: Command = self.only(scope.commands(self.key), command_id)
        return Response(CommandShape(command).data)
