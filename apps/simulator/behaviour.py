"""What the simulated CPO does when told: a story in steps, each played once and in sight."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import msgspec

from apps.simulator import records
from apps.simulator.costs import Bill
from apps.simulator.cpo import Place, World
from apps.simulator.dialects import can_credit
from apps.simulator.emsp import Answer, Emsp
from apps.simulator.hub import CLIENTS
from apps.simulator.interfaces import INVOICES, Interfaces
from apps.simulator.ledger import Ledger
from apps.simulator.memory import Memory
from apps.simulator.month import Month, Planned
from apps.simulator.wire import moment, utc

HANDS = 4
CREDITING = ("credited", "credit", "replacement")


class Behaviour:
    def __init__(
        self,
        world: World,
        emsp: Emsp,
        interfaces: Interfaces,
        ledger: Ledger,
        memory: Memory,
        clock: Callable[[], datetime],
        seed: int,
    ):
        self.world = world
        self.emsp = emsp
        self.interfaces = interfaces
        self.ledger = ledger
        self.memory = memory
        self.clock = clock
        self.seed = seed
        self.progress: dict[str, Any] = {}
        self._one_play = threading.Lock()
        self._steps = {
            "authorize": self.authorize,
            "sessions": self.sessions,
            "status": self.status,
            "publish": self.publish,
            "cdrs": self.cdrs,
            "charge": self.charge,
            "client": self.client,
            "invoice": self.invoice,
        }

    @property
    def played(self) -> dict[str, Any]:
        return self.memory.get("played", {})

    def play(self, step: str, name: str = "", **how: Any) -> dict[str, Any]:
        """Several plays of one step are told apart by names."""
        if step not in self._steps:
            raise ValueError(f"unknown step {step!r}: one of {', '.join(self._steps)}")
        with self._one_play:
            self.progress = {"step": step, "done": 0, "total": None, "outcomes": {}}
            result = self._steps[step](**how)
            self.memory.put(played=self.played | {name or step: result})
            self.progress = {}
        return result

    def authorize(self, uids: list[str], type: str = "RFID", with_location: bool = True) -> dict[str, Any]:  # noqa: A002
        """Cards are held to readers (mod_tokens, POST Method)."""
        places = self._places("authorize")
        return {
            "answers": [
                self._authorize(uid, type, places[n % len(places)], with_location) for n, uid in enumerate(uids)
            ]
        }

    def _authorize(self, uid: str, kind: str, place: Place, with_location: bool = True) -> dict[str, Any]:
        where = {"location_id": place.location["id"], "evse_uids": [place.evse["uid"]]} if with_location else None
        party = _party(place.location)
        answer = self.emsp.send("POST", "tokens", f"/{uid}/authorize?type={kind}", where, party, role="SENDER")
        told = answer.data if isinstance(answer.data, dict) else {}
        facts = {"allowed": told.get("allowed"), "reference": told.get("authorization_reference")}
        at_place = {"location_id": place.location["id"], "evse_uid": place.evse["uid"]}
        self.ledger.write(
            self.clock(), "authorization", uid, party, answer, token_uid=uid, type=kind, **at_place, **facts
        )
        return {"uid": uid, "http_status": answer.http_status, "status_code": answer.status_code, **facts}

    def sessions(self, count: int = 20, completed: int | None = None, others: int = 5) -> dict[str, Any]:
        """`count` cards are accepted and charge, `completed` of them to the end; `others` EVSEs change by themselves."""
        places, rng = self._places("sessions"), random.Random(f"sessions {self.seed}")
        tokens = self.valid_tokens()
        ending = count * 3 // 4 if completed is None else completed
        self._expect(count)
        outcomes: Counter[str] = Counter()
        for number, (token, place) in enumerate(zip(rng.sample(tokens, min(count, len(tokens))), places, strict=False)):
            outcomes[self._live(rng, token, place, number, number < ending)] += 1
            self._step("OK")
        changed = self.status(count=others, skip=count)["changed"] if others else 0
        return {"sessions": dict(outcomes), "evse_status": changed}

    def _live(self, rng: random.Random, token: dict[str, Any], place: Place, number: int, is_ending: bool) -> str:
        """One session as the eMSP sees it: PUT, PATCH with new periods, and the end."""
        told = self._authorize(token["uid"], token["type"], place)
        if told["allowed"] != "ALLOWED":
            return f"not started: {told['allowed']}"
        stretches = records.charge(rng, place, on_grid(self.clock()) - timedelta(hours=5))
        asked, key = records.priced(place, stretches), f"L-{self.clock():%y%m%d%H%M%S}-{number:04d}"
        body = records.session(key, place, token, stretches[0].start, told["reference"])
        self._set_status(place, "CHARGING")
        self._push_session("PUT", body, body)
        halfway = records.priced(place, stretches[:1])
        body = self._push_session(
            "PATCH", body, records.progress(halfway, place, 0, self.clock() - timedelta(seconds=2))
        )
        if not is_ending:
            return "ACTIVE"
        body = self._push_session(
            "PATCH", body, records.progress(asked, place, len(halfway.stretches), self.clock() - timedelta(seconds=1))
        )
        self._push_session("PATCH", body, records.completion(stretches[-1].end, self.clock()))
        self._set_status(place, "AVAILABLE")
        return "COMPLETED"

    def begin(self, place: Place, session: dict[str, Any]) -> bool:
        """Somebody charges from now on; False where nobody is told of it."""
        self._set_status(place, "CHARGING")
        if self.emsp.faults.met("sessions", "PUT", "no_session"):
            return False
        self._push_session("PUT", session, session)
        return True

    def end(self, place: Place, session: dict[str, Any], token: dict[str, Any], asked: Bill) -> None:
        """What was charged is told, then that it is over, then what it costs."""
        end = asked.stretches[-1].end
        grown = self._push_session(
            "PATCH", session, records.progress(asked, place, 0, self.clock() - timedelta(seconds=1))
        )
        self._push_session("PATCH", grown, records.completion(end, self.clock()))
        self._set_status(place, "AVAILABLE")
        body = records.cdr(session["id"], session["id"], place, token, asked, self.clock())
        reference = {"authorization_reference": session.get("authorization_reference")}
        told = body | {"auth_method": session["auth_method"]} | {name: is_ for name, is_ in reference.items() if is_}
        late = self.emsp.faults.met("cdrs", "POST", "late_cdr")
        if late and late["late_cdr"] is None:
            return
        time.sleep(late.get("late_cdr", 0))
        self._push_cdr(Planned(told))

    def _push_session(self, method: str, held: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
        path = f"/{held['country_code']}/{held['party_id']}/{held['id']}"
        grown = held | sent if method == "PATCH" else sent
        if method == "PATCH" and "charging_periods" in sent:
            grown = grown | {"charging_periods": [*held.get("charging_periods", []), *sent["charging_periods"]]}
        self.interfaces.put("sessions", grown)
        answer = self.emsp.send_patiently(method, "sessions", path, sent, _party(held))
        facts = {"token_uid": held["cdr_token"]["uid"], "kwh": str(grown["kwh"]), "session_status": grown["status"]}
        reference = held.get("authorization_reference")
        self.ledger.write(
            self.clock(), "session", held["id"], _party(held), answer, method=method, reference=reference, **facts
        )
        return grown

    def status(
        self,
        count: int = 5,
        skip: int = 0,
        statuses: Iterable[str] = ("OUTOFORDER", "BLOCKED", "INOPERATIVE", "AVAILABLE"),
    ) -> dict[str, Any]:
        """EVSEs change by themselves, apart from the first `skip` of those that sessions use."""
        places, kinds = self._places("sessions")[skip:][:count], list(statuses)
        answers = [self._set_status(place, kinds[number % len(kinds)]) for number, place in enumerate(places)]
        return {"changed": sum(answer.is_ok for answer in answers)}

    def _set_status(self, place: Place, status: str) -> Answer:
        """(mod_locations, PATCH Method)"""
        at = utc(self.clock())
        location = self.world.set_status(place.location["id"], place.evse["uid"], status, at)
        self.interfaces.put("locations", location)
        path = f"/{location['country_code']}/{location['party_id']}/{location['id']}/{place.evse['uid']}"
        answer = self.emsp.send_patiently(
            "PATCH", "locations", path, {"status": status, "last_updated": at}, _party(location)
        )
        facts = {"location_id": location["id"], "evse_status": status}
        self.ledger.write(self.clock(), "evse_status", place.evse["uid"], _party(location), answer, **facts)
        return answer

    def client(self, party: str, status: str) -> dict[str, Any]:
        """A hub tells that a party behind it came or went (mod_hub_client_info, PUT Method)."""
        if self.interfaces.hub is None:
            raise LookupError("this is no hub")
        self.interfaces.hub.note(party, status)
        told = self.interfaces.hub.info(party, utc(self.clock()))
        self.interfaces.put(CLIENTS, told, party)
        answer = self.emsp.send_patiently("PUT", CLIENTS, f"/{party.replace('*', '/')}", told)
        self.ledger.write(self.clock(), "client", party, None, answer, status=status)
        return {"outcome": answer.outcome}

    def publish(self, locations: int | None = None, tariffs: int | None = None) -> dict[str, Any]:
        """Whole objects by PUT, as a CPO does when it changed them."""
        outcomes: Counter[str] = Counter()
        for module, shelf, count in (
            ("tariffs", self.world.tariffs, tariffs),
            ("locations", self.world.locations, locations),
        ):
            for body in list(shelf.values())[:count]:
                path = f"/{body['country_code']}/{body['party_id']}/{body['id']}"
                answer = self.emsp.send_patiently("PUT", module, path, body, _party(body))
                self.ledger.write(
                    self.clock(), module.removesuffix("s"), body["id"], _party(body), answer, method="PUT"
                )
                outcomes[f"{module} {answer.outcome}"] += 1
        return dict(outcomes)

    def charge(self, uid: str, start: str, type: str = "RFID") -> dict[str, Any]:  # noqa: A002
        """One card from the reader to the CDR; `start` is when it charges, which may be long ago."""
        rng, place = random.Random(f"charge {self.seed} {uid} {start}"), self._places(f"charge {uid} {start}")[0]
        token = next(held for held in self.interfaces.tokens.values() if (held["uid"], held["type"]) == (uid, type))
        told = self._authorize(uid, type, place)
        asked = records.priced(place, records.charge(rng, place, on_grid(moment(start))))
        key = f"{rng.getrandbits(48):012X}"
        body = records.cdr(key, f"S-{key}", place, token, asked, self.clock())
        if told["reference"]:
            body |= {"auth_method": "AUTH_REQUEST", "authorization_reference": told["reference"]}
        session = records.session(f"S-{key}", place, token, asked.stretches[0].start, told["reference"])
        session = self._push_session("PUT", session, session)
        session = self._push_session("PATCH", session, records.progress(asked, place, 0, asked.stretches[-1].end))
        self._push_session("PATCH", session, records.completion(asked.stretches[-1].end, self.clock()))
        outcome = self._push_cdr(Planned(body))
        return {"authorization": told, "session_id": session["id"], "cdr": body["id"], "outcome": outcome}

    def cdrs(
        self, month: str | None = None, count: int = 2500, pull_only: int = 120, odd: bool = True, checked: int = 3
    ) -> dict[str, Any]:
        """The CDRs of a month: each is on our shelf once it was pushed, those for the pull come last; what was answered
        before an interruption is not sent again."""
        planned = self._plan(month or self.memory.get("month"), count, pull_only, odd)
        settled = {entry["id"] for entry in self.ledger.entries("cdr") if entry["outcome"] != "UNKNOWN"}
        waiting = [item for item in planned if item.body["id"] not in settled]
        self._expect(len(waiting))
        outcomes = self._push_all(waiting)
        waits = sum(item.how == "pull-only" for item in planned)
        return {"made": len(planned), "pull_only": waits, "outcomes": outcomes, "read_back": self._read_back(checked)}

    def _plan(self, month: str | None, count: int, pull_only: int, odd: bool) -> list[Planned]:
        """A play that was interrupted goes on with the date it began with."""
        if not month:
            raise ValueError("which month? give month=YYYY-MM")
        began = self.memory.get("cdrs_began", {})
        made = began.get(month) or utc(self.clock())
        self.memory.put(cdrs_began=began | {month: made})
        planned = Month(self.world, self.valid_tokens(), month, self.seed, moment(made)).plan(count, pull_only, odd)
        return planned if can_credit(self.emsp.version) else [item for item in planned if item.fault not in CREDITING]

    def _push_all(self, planned: list[Planned]) -> dict[str, int]:
        """Ordinary ones from several hands at once, the odd ones in their order."""
        usual = [item for item in planned if item.fault is None and item.how == "push"]
        odd = [item for item in planned if item.fault is not None or item.how == "twice"]
        with ThreadPoolExecutor(HANDS) as hands:
            outcomes = Counter(hands.map(self._push_cdr, usual))
        outcomes.update(self._push_cdr(item) for item in odd)
        outcomes.update(self._push_cdr(item) for item in planned if item.how == "pull-only")
        return {str(outcome): number for outcome, number in outcomes.items()}

    def _push_cdr(self, item: Planned) -> str | None:
        """(mod_cdrs, POST Method)"""
        facts = {"how": item.how, "fault": item.fault} | records.facts(item.body)
        answer = None
        for _ in range({"pull-only": 0, "twice": 2}.get(item.how, 1)):
            answer = self.emsp.send_patiently("POST", "cdrs", "", item.body, item.party)
            url = answer.headers.get("location")
            self.ledger.write(self.clock(), "cdr", item.body["id"], item.party, answer, location_url=url, **facts)
        if answer is None:
            self.ledger.write(self.clock(), "cdr", item.body["id"], item.party, None, location_url=None, **facts)
        self.interfaces.put("cdrs", item.body)
        self._step(answer and answer.outcome)
        return answer and answer.outcome

    def _read_back(self, count: int) -> dict[str, int]:
        """What the eMSP shows at the Location it gave (mod_cdrs, GET Method)."""
        given = [entry for entry in self.ledger.entries("cdr") if entry["location_url"]][:count]
        same: Counter[str] = Counter()
        for entry in given:
            answer = self.emsp.call("GET", entry["location_url"])
            is_same = isinstance(answer.data, dict) and answer.data.get("id") == entry["id"]
            self.ledger.write(self.clock(), "cdr_read", entry["id"], entry["party"], answer, is_same=is_same)
            same["same" if is_same else "other"] += 1
        return dict(same)

    def invoice(self, number: str, push: bool = True) -> dict[str, Any]:
        """Each party bills what it has not billed yet, and tells of which CDRs (mod_invoice_reconciliation, POST Method)."""
        outcomes: dict[str, str | None] = {}
        for party, cdrs in sorted(self._unbilled().items()):
            country, _, code = party.partition("*")
            key, at = f"{number}-{country}", utc(self.clock())
            body = {
                "country_code": country,
                "party_id": code,
                "id": key,
                "invoice_id": key,
                "cdrs": cdrs,
                "last_updated": at,
            }
            self.interfaces.put(INVOICES, body)
            answer = self.emsp.send_patiently("POST", INVOICES, "", body, party) if push else None
            self.ledger.write(self.clock(), "invoice", key, party, answer, cdrs=cdrs)
            outcomes[party] = answer and answer.outcome
        return {"outcomes": outcomes}

    def _unbilled(self) -> dict[str, list[str]]:
        told, billed = (
            [msgspec.json.decode(item.body) for item in self.interfaces.shelf(module).between(None, None)]
            for module in ("cdrs", INVOICES)
        )
        known = {(_party(record), key) for record in billed for key in record["cdrs"]}
        found: dict[str, list[str]] = {}
        for cdr in told:
            if (_party(cdr), cdr["id"]) not in known:
                found.setdefault(_party(cdr), []).append(cdr["id"])
        return found

    def valid_tokens(self) -> list[dict[str, Any]]:
        """Cards a reader of ours would let charge."""
        return sorted(
            (token for token in self.interfaces.tokens.values() if token["valid"]), key=lambda token: token["uid"]
        )

    def _places(self, purpose: str) -> list[Place]:
        places = list(self.world.places())
        random.Random(f"{purpose} {self.seed}").shuffle(places)
        return places

    def _expect(self, total: int):
        self.progress["total"] = total

    def _step(self, outcome: str | None):
        self.progress["done"] = self.progress.get("done", 0) + 1
        outcomes = self.progress.setdefault("outcomes", {})
        outcomes[str(outcome)] = outcomes.get(str(outcome), 0) + 1


def _party(body: dict[str, Any]) -> str:
    return f"{body['country_code']}*{body['party_id']}"


def on_grid(moment: datetime) -> datetime:
    seconds = moment.minute * 60 + moment.second
    return moment.replace(minute=0, second=0, microsecond=0) + timedelta(seconds=seconds - seconds % 36)
