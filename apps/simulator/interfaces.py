"""The OCPI interfaces of the simulated CPO: what the eMSP can ask of it."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from apps.simulator import preferences
from apps.simulator.dialects import HOME, NEWEST, ONE_PARTY, spoken, understood
from apps.simulator.faults import Faults, bent, instead, module_of, to_slash
from apps.simulator.hub import CLIENTS, Hub
from apps.simulator.ledger import Ledger
from apps.simulator.memory import Item, Journal, Shelf
from apps.simulator.registration import Registration
from apps.simulator.wire import Reply, Request, answer, encode, list_answer, moment, presented_tokens, utc

SENT = ("locations", "tariffs", "sessions", "cdrs")
INVOICES = "invoicereconciliation"
PAGE = 100
HIDING = ("no_headers", "no_total")


class Wanted(NamedTuple):
    """The page that is asked for; `ceiling` is the most we give."""

    offset: int
    limit: int
    ceiling: int
    date_from: str | None
    date_to: str | None


class Interfaces:
    """`shelves` by (version, module); `base_url` is ours, without a slash at the end."""

    def __init__(
        self, registration: Registration, ledger: Ledger, journal: Journal, clock: Callable[[], datetime], base_url: str
    ):
        self.registration = registration
        self.ledger = ledger
        self.journal = journal
        self.clock = clock
        self.base_url = base_url
        self.versions: tuple[str, ...] = (HOME,)
        self.shelves: dict[tuple[str, str], Shelf] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.faults = Faults()
        self.take_command: Callable[[Request, str, str, dict[str, Any]], Reply] | None = None

    @property
    def hub(self) -> Hub | None:
        return self.registration.hub

    def lists(self, version: str) -> tuple[str, ...]:
        invoices = (INVOICES,) if version == NEWEST else ()
        return (*SENT, CLIENTS, *invoices) if self.hub else (*SENT, *invoices)

    def shelf(self, module: str, version: str = HOME) -> Shelf:
        return self.shelves.setdefault((version, module), Shelf())

    def put(self, module: str, body: dict[str, Any], key: str | None = None):
        """Serve an object from now on, and after a restart."""
        item = Item((key or body["id"]).upper(), body["last_updated"], encode(body))
        self.shelf(module).put(item)
        self.journal.append(module, item.key, item.body, item.last_updated)

    def restore(self):
        for module, item in self.journal.read():
            if module == "tokens":
                self.tokens[item.key] = msgspec.json.decode(item.body)
            else:
                self.shelf(module).put(item)

    def reply(self, request: Request) -> Reply:
        struck = self.faults.take(request)
        self._note(request, struck)
        said = instead(struck) or (to_slash(request.target) if "slashes" in struck else None)
        if said is None:
            said = bent(self._answer(request, struck), struck)
        for name in ("X-Request-ID", "X-Correlation-ID"):
            if name in request.headers:
                said.headers[name] = request.headers[name]
        if self.hub:
            said.headers |= self.hub.answering(module_of(request), request.headers)
        return said

    def _note(self, request: Request, struck: dict[str, Any]):
        for name, value in struck.items():
            facts = {"module": module_of(request), "method": request.method, "value": value}
            self.ledger.write(self.clock(), "fault", name, **facts)

    def _answer(self, request: Request, struck: dict[str, Any]) -> Reply:
        parts = [part for part in request.path.split("/") if part][1:]
        known = self.registration.known_as(presented_tokens(request.headers.get("Authorization")))
        known = "emsp" if "any_token" in struck else known
        if known is None or (known == "stranger" and parts[0] != "versions" and parts[1:] not in ([], ["credentials"])):
            return self._error(401, 2001, "these credentials open nothing here")
        if parts == ["versions"]:
            return self._versions(request)
        if not parts or parts[0] not in self.versions:
            return self._error(404, 2000, "there is nothing at this URL")
        return self._of_version(request, parts[0], parts[1:], known, struck)

    def _of_version(
        self, request: Request, version: str, parts: list[str], known: str, struck: dict[str, Any]
    ) -> Reply:
        if not parts:
            return self._details(request, version)
        if parts == ["credentials"]:
            return self._credentials(request, version, known)
        if self.hub and (obstacle := self.hub.obstacle(parts[0], request.headers)):
            return answer(self.clock(), code=obstacle[0], message=obstacle[1])
        if parts[0] == "tokens" and len(parts) == 4:
            return self._token(request, version, parts[1:], struck)
        if parts[0] == "commands" and len(parts) == 2 and self.take_command:
            return self._command(request, version, parts[1], struck)
        if parts[0] == "sessions" and parts[2:] == ["charging_preferences"] and version != ONE_PARTY:
            return self._preferences(request, parts[1], struck)
        if parts[0] in self.lists(version):
            return self._sent(request, version, parts, struck)
        return self._error(404, 2000, "there is nothing at this URL")

    def _error(self, status: int, code: int, message: str) -> Reply:
        reply = answer(self.clock(), status=status, code=code, message=message)
        if status == 405:
            reply.headers["Allow"] = message
        return reply

    def _versions(self, request: Request) -> Reply:
        if request.method != "GET":
            return self._error(405, 2000, "GET")
        listed = [{"version": version, "url": f"{self.base_url}/ocpi/{version}"} for version in self.versions]
        return answer(self.clock(), listed)

    def _details(self, request: Request, version: str) -> Reply:
        if request.method != "GET":
            return self._error(405, 2000, "GET")
        taken = ("tokens", "commands")
        modules = [("credentials", "SENDER"), *((module, "RECEIVER") for module in taken)]
        modules += [(module, "SENDER") for module in self.lists(version)]
        endpoints = [
            {"identifier": module, "role": role, "url": f"{self.base_url}/ocpi/{version}/{module}"}
            for module, role in modules
        ]
        details = {"version": version, "endpoints": endpoints}
        return answer(self.clock(), spoken(version, "details", details, {}))

    def _credentials(self, request: Request, version: str, known: str) -> Reply:
        """(credentials, Interfaces): POST is for who is not registered, PUT and DELETE for who is."""
        allowed = ("GET", "POST") if known == "stranger" else ("GET", "PUT", "DELETE")
        if request.method not in allowed:
            return self._error(405, 2000, ", ".join(allowed))
        if request.method == "GET":
            presented = presented_tokens(request.headers["Authorization"])[0]
            return answer(self.clock(), self.registration.credentials(presented, version))
        if request.method == "DELETE":
            self.registration.forget()
            self.ledger.write(self.clock(), "registration", None, act="deleted by the eMSP")
            return answer(self.clock())
        return self._registered(request, version)

    def _registered(self, request: Request, version: str) -> Reply:
        try:
            credentials = self.registration.accept(request.json(), version)
        except (KeyError, TypeError, ValueError) as reason:
            return answer(self.clock(), code=2001, message=f"not credentials: {reason!r}")
        except LookupError as reason:
            return answer(self.clock(), code=3001, message=str(reason))
        self.ledger.write(
            self.clock(), "registration", None, self.registration.emsp.party, act=f"{request.method} by the eMSP"
        )
        return answer(self.clock(), credentials)

    def _token(self, request: Request, version: str, parts: list[str], struck: dict[str, Any]) -> Reply:
        """(mod_tokens, Receiver Interface)"""
        key = self._token_key(request, version, parts)
        if request.method == "GET":
            held = self.tokens.get(key)
            said = held and spoken(version, "tokens", held, {})
            return answer(self.clock(), said) if held else self._error(404, 2004, "this token was never sent")
        if request.method not in ("PUT", "PATCH"):
            return self._error(405, 2000, "GET, PUT, PATCH")
        if "forgotten_token" in struck:
            return answer(self.clock())
        if request.method == "PATCH" and key not in self.tokens:
            return self._error(404, 2004, "this token was never sent")
        return self._keep_token(request, version, key, *parts[:2])

    def _token_key(self, request: Request, version: str, parts: list[str]) -> str:
        """Before 2.2 a URL names no type, so there is one token of a uid; a newer version finds it again by its type."""
        known = "/".join(parts).upper()
        if version != ONE_PARTY:
            return f"{known}/{request.query.get('type', 'RFID').upper()}"
        held = next((key for key in self.tokens if key.startswith(f"{known}/")), None)
        return held or f"{known}/{_type_in(request)}"

    def _keep_token(self, request: Request, version: str, key: str, country: str, party: str) -> Reply:
        held = self.tokens.get(key, {})
        try:
            sent = understood(version, "tokens", request.json(), country, party)
            token = (held if request.method == "PATCH" else {}) | sent
            is_stale = bool(held) and moment(token["last_updated"]) < moment(held["last_updated"])
            facts = {name: token[name] for name in ("type", "valid", "whitelist", "contract_id", "last_updated")}
        except (KeyError, TypeError, ValueError, AttributeError) as reason:
            return answer(self.clock(), code=2001, message=f"not a token: {reason!r}")
        if not is_stale:
            self.tokens[key] = token
            self.journal.append("tokens", key, encode(token), token["last_updated"])
        who = f"{country}*{party}"
        self.ledger.write(self.clock(), "token", token["uid"], who, method=request.method, is_stale=is_stale, **facts)
        return answer(self.clock(), status=200 if held else 201)

    def _command(self, request: Request, version: str, kind: str, struck: dict[str, Any]) -> Reply:
        if request.method != "POST":
            return self._error(405, 2000, "POST")
        return self.take_command(request, version, kind, struck)

    def _preferences(self, request: Request, session_id: str, struck: dict[str, Any]) -> Reply:
        if request.method != "PUT":
            return self._error(405, 2000, "PUT")
        held = self.shelf("sessions").get(session_id)
        session = held and msgspec.json.decode(held)
        location = session and self.registration.world.locations[session["location_id"]]
        evse = location and _inside(location, [session["evse_uid"]])
        if not evse or preferences.CAPABLE not in evse["capabilities"]:
            return self._error(404, 2001, "this EVSE takes no charging preferences")
        try:
            wanted = request.json()
            said = struck.get("preferences_response") or preferences.said_to(wanted, evse)
        except (KeyError, TypeError, ValueError) as reason:
            return answer(self.clock(), code=2001, message=f"no preferences: {reason!r}")
        party = f"{session['country_code']}*{session['party_id']}"
        self.ledger.write(self.clock(), "preferences", session_id, party, response=said, wanted=wanted)
        return answer(self.clock(), said)

    def _sent(self, request: Request, version: str, parts: list[str], struck: dict[str, Any]) -> Reply:
        if request.method != "GET":
            return self._error(405, 2000, "GET")
        if len(parts) > 1:
            return self._one(parts, version)
        try:
            return self._page(request, version, parts[0], struck)
        except ValueError as reason:
            return answer(self.clock(), code=2001, message=f"not a page we can give: {reason}")

    def _one(self, parts: list[str], version: str) -> Reply:
        """A location, or an EVSE or connector in it (mod_locations, Sender Interface)."""
        body = self._held(version, "locations", parts[1]) if parts[0] == "locations" else None
        found = body and _inside(msgspec.json.decode(body), parts[2:])
        return answer(self.clock(), found) if found else self._error(404, 2003, "there is no such location")

    def _shelf_behind(self, version: str, module: str) -> Shelf:
        """What `serve` gave for this version, or else all of ours, in its words."""
        return self.shelf(module, version if (version, module) in self.shelves else HOME)

    def _held(self, version: str, module: str, key: str) -> bytes | None:
        body = self._shelf_behind(version, module).get(key)
        return body and self._worded(version, module, Item(key, None, body)).body

    def _worded(self, version: str, module: str, item: Item) -> Item:
        if version == HOME or (version, module) in self.shelves:
            return item
        body = json.loads(item.body, parse_float=Decimal)
        return item._replace(body=encode(spoken(version, module, body, self.registration.world.locations)))

    def _page(self, request: Request, version: str, module: str, struck: dict[str, Any]) -> Reply:
        """(transport_and_format, Pagination)"""
        wanted = self._wanted(request, struck)
        items = self._listed(version, module, wanted, struck)
        end = wanted.offset + wanted.limit
        page = [self._worded(version, module, item) for item in items[wanted.offset : end]]
        reply = list_answer(self.clock(), [item.body for item in page])
        if "bumped" in struck:
            reply = bent(reply, {"altered": {"last_updated": utc(self.clock())}})
        reply.headers |= {"X-Total-Count": str(len(items)), "X-Limit": str(wanted.ceiling)}
        if end < len(items) and "no_link" not in struck:
            url = self._next(request, version, module, wanted._replace(offset=end), struck)
            reply.headers["Link"] = f'<{url}>; rel="next"'
        for name in {"no_total": ["X-Total-Count"], "no_headers": list(reply.headers)}.get(_first(HIDING, struck), []):
            del reply.headers[name]
        facts = {"module": module, "offset": wanted.offset, "total": len(items), "ids": [item.key for item in page]}
        if module == "locations":
            facts["evses"] = [len(msgspec.json.decode(item.body)["evses"]) for item in page]
        self.ledger.write(self.clock(), "served", f"{version} {module}", **facts)
        return reply

    def _wanted(self, request: Request, struck: dict[str, Any]) -> Wanted:
        query = {name: value for name, value in request.query.items() if f"ignored_{name}" not in struck}
        dates = {} if "ignored_dates" in struck else query
        if "long_range" in struck:
            self._refuse_long(query, struck["long_range"])
        ceiling = int(struck.get("page_limit") or (1 if "page_limit" in struck else PAGE))
        limit = max(min(int(query.get("limit", ceiling)), ceiling), 1)
        return Wanted(int(query.get("offset", 0)), limit, ceiling, dates.get("date_from"), dates.get("date_to"))

    def _refuse_long(self, query: dict[str, str], days: int):
        since = moment(query.get("date_from", "2015-01-01T00:00:00Z"))
        until = moment(query["date_to"]) if "date_to" in query else self.clock()
        if until - since > timedelta(days=days):
            raise ValueError(f"more than {days} days")

    def _listed(self, version: str, module: str, wanted: Wanted, struck: dict[str, Any]) -> list[Item]:
        items = self._shelf_behind(version, module).between(wanted.date_from, wanted.date_to)
        if "repeated_id" in struck:
            items = [*items[:1], *items]
        return items[1:] if "shrinking_page" in struck and wanted.offset else items

    def _next(self, request: Request, version: str, module: str, after: Wanted, struck: dict[str, Any]) -> str:
        if "foreign_next" in struck:
            return str(struck["foreign_next"] or "http://203.0.113.9/ocpi/next")
        filters = {name: request.query[name] for name in ("date_from", "date_to") if name in request.query}
        offset = int(request.query.get("offset", 0)) if "cycle" in struck else after.offset
        return (
            f"{self.base_url}/ocpi/{version}/{module}?{urlencode(filters | {'offset': offset, 'limit': after.limit})}"
        )


def _first(names: tuple[str, ...], struck: dict[str, Any]) -> str | None:
    return next((name for name in names if name in struck), None)


def _type_in(request: Request) -> str:
    try:
        return str(request.json()["type"])
    except (KeyError, TypeError, ValueError):
        return "RFID"


def _inside(location: dict[str, Any], path: list[str]) -> Any:
    found: Any = location
    for key, (name, identity) in zip(path, (("evses", "uid"), ("connectors", "id")), strict=False):
        found = next((entry for entry in found.get(name, []) if entry[identity].upper() == key.upper()), None)
        if found is None:
            return None
    return found
