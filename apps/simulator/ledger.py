"""What the simulated CPO did, one JSON object a line, for a recount that knows nothing of the receiver.

Every line: at, kind, id, party, outcome, http_status, status_code, and the facts of its kind. Amounts are text.

outcome   OK        the receiver said so (HTTP 2xx and 1xxx)
          REFUSED   it said no (HTTP 4xx or 2xxx)
          UNKNOWN   no answer, HTTP 5xx or 3xxx: it may or may not have it
          null      nothing was attempted (a CDR that waits to be pulled)

kind
  registration    act
  authorization   token_uid, type, location_id, evse_uid, allowed, reference
  session         method, token_uid, kwh, session_status, reference
  evse_status     location_id, evse_status
  location, tariff   method
  token           method, type, valid, whitelist, contract_id, last_updated, is_stale: what the eMSP told us
  cdr             how: push | pull-only | twice; fault: null | unknown_card | wrong_total | late | refused | credited |
                  credit | replacement; token_uid, contract_id, session_id, reference, auth_method, country,
                  location_id, evse_uid, start, end, kwh, hours, parking_hours, currency, net, gross, component_net,
                  tariff_id, credit, credit_reference, location_url. One line per attempt.
  client          status: of a party behind the hub that it plays
  cdr_read        is_same: what the receiver shows at the Location it gave
  command         location_id, evse_uid, session_id, authorization_reference; response: what we said at once, or result:
                  what we said later, with what was answered; id is what was asked for
  preferences     response: what we said to what is wanted of a session
  invoice         cdrs: ids of what an invoice is for
  fault           module, method, value: a fault that was switched on struck; id is its name
  served          module, offset, total, ids: a page of ours that was fetched; evses: how many each location has
"""

import json
import threading
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from apps.simulator.wire import utc


class Ledger:
    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")
        self._counts: Counter[tuple[str, str | None]] = Counter(
            (entry["kind"], entry["outcome"]) for entry in self.entries()
        )

    def write(
        self, at: datetime, kind: str, key: str | None, party: str | None = None, answer: Any = None, **facts: Any
    ):
        entry = {
            "at": utc(at),
            "kind": kind,
            "id": key,
            "party": party,
            "outcome": answer and answer.outcome,
            "http_status": answer and answer.http_status,
            "status_code": answer and answer.status_code,
        } | facts
        line = json.dumps(entry, ensure_ascii=False, default=str) + "\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()
            self._counts[kind, entry["outcome"]] += 1

    def entries(self, kind: str | None = None) -> list[dict[str, Any]]:
        with self.path.open(encoding="utf-8") as lines:
            entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return [entry for entry in entries if kind in (None, entry["kind"])]

    def counts(self) -> dict[str, dict[str, int]]:
        """{"cdr": {"OK": 2380, …}}"""
        with self._lock:
            counted = dict(self._counts)
        kinds = sorted({kind for kind, _ in counted})
        return {kind: {str(outcome): n for (of, outcome), n in counted.items() if of == kind} for kind in kinds}

    def close(self):
        self._file.close()
