"""Recount the demo: python recount.py FOLDER. Exit 0 if every figure ties out, 1 with each that does not.

It needs nothing but Python and shares no line with the platform. From world.json (what was planned: cards, payers,
prices, operators) and the ledger of each charge point operator (what it says it sent and was told) it works out what
must have come of it, and compares that with summary.json (what the platform says) and the export of each month (what went
to the books).
"""

import csv
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

ZONES = {"SE": "Europe/Stockholm", "DE": "Europe/Berlin"}
COUNTRY = {"SWE": "SE", "DEU": "DE"}
CENT = Decimal("0.01")
MOST_SHOWN = 20


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def shown(number) -> str:
    return f"{Decimal(number).normalize():f}" if number else "0"


class Ledger:
    """What one operator did, by kind. `names_cards`: whether its CDRs name a card, or a contract alone."""

    def __init__(self, lines: Iterator[str], names_cards: bool):
        self.names_cards = names_cards
        self.entries = defaultdict(list)
        for line in lines:
            entry = json.loads(line)
            self.entries[entry["kind"]].append(entry)

    def last(self, kind: str) -> dict[str, dict]:
        """The last word on each object."""
        return {entry["id"]: entry for entry in self.entries[kind]}

    def cdrs(self) -> dict[str, dict]:
        """What must be here, by party and id: all but those that were refused for what they lack."""
        taken = (entry for entry in self.last("cdr").values() if entry["fault"] != "refused")
        return {f"{entry['party']}:{entry['id']}": entry | {"told_uid": self._told_uid(entry)} for entry in taken}

    def _told_uid(self, cdr: dict) -> str:
        return cdr["token_uid"].upper() if self.names_cards else ""

    def served(self, module: str) -> dict[str, int]:
        """Ids of what was fetched, with the number of parts where an object has parts."""
        pages = [entry for entry in self.entries["served"] if entry["module"] == module]
        return {
            key: size for page in pages for key, size in zip(page["ids"], page.get("evses") or page["ids"], strict=True)
        }


class Expected:
    """What must have come of what was planned and sent."""

    def __init__(self, world: dict, ledgers: list[Ledger]):
        self.world, self.ledgers = world, ledgers
        self.plans = {plan["name"]: plan for plan in world["plans"]}
        self.prefixes = {country: prefix for country, kind, prefix in world["series"] if kind == "INVOICE"}
        self.payers = {row["token_uid"].upper(): row for row in world["rows"]}
        self.cdrs = {key: cdr for ledger in ledgers for key, cdr in ledger.cdrs().items()}
        self.taken_back = self._taken_back()
        self.lines = dict(self._lines())
        self.fees = list(self._fees())
        self.documents = self._documents()

    def _taken_back(self) -> set[str]:
        of_credit = {key: cdr for key, cdr in self.cdrs.items() if cdr["credit"]}
        taken = {key: f"{cdr['party']}:{cdr['credit_reference']}" for key, cdr in of_credit.items()}
        return {key for pair in taken.items() for key in pair}

    def _lines(self) -> Iterator[tuple[str, dict]]:
        for key, cdr in self.cdrs.items():
            payer = self.payers.get(cdr["token_uid"].upper())
            if payer and key not in self.taken_back:
                yield key, self._line(cdr, payer)

    def _line(self, cdr: dict, payer: dict) -> dict:
        country, plan = COUNTRY[cdr["country"]], self.plans[payer["plan"]]
        per_kwh, per_minute, per_session = map(Decimal, plan["prices"].get(country) or plan["prices"][""])
        amount = Decimal(cdr["kwh"]) * per_kwh + Decimal(cdr["hours"]) * 60 * per_minute + per_session
        ended = datetime.fromisoformat(cdr["end"]).astimezone(ZoneInfo(ZONES[country]))
        month = self._billed_in(cdr, f"{ended:%Y-%m}")
        return self._taxed(payer, plan, country, rounded(amount), month) | {
            "token_uid": cdr["told_uid"],
            "energy_kwh": Decimal(cdr["kwh"]),
            "is_late": f"{ended:%Y-%m}" < month,
        }

    def _billed_in(self, cdr: dict, ended: str) -> str:
        """The month in which it ended, if that was still to be billed when it came."""
        return ended if ended in self.world["months"] and cdr["fault"] != "late" else self.world["month"]

    def _fees(self) -> Iterator[dict]:
        for payer in self.world["rows"]:
            plan = self.plans[payer["plan"]]
            for month in self.world["months"] if Decimal(plan["monthly_fee"]) else ():
                yield self._taxed(payer, plan, payer["country"], rounded(Decimal(plan["monthly_fee"])), month)

    def _taxed(self, payer: dict, plan: dict, country: str, amount: Decimal, month: str) -> dict:
        """Whoever is registered for VAT where he charged, away from our home, owes the VAT himself."""
        home = self.world["company"]["country"]
        reverse = payer["kind"] == "company" and country != home and payer["vat_id"].startswith(country)
        return {
            "month": month,
            "account": payer["account"],
            "seller_vat_id": self.world["registrations"][country],
            "currency": plan["currency"],
            "vat_category": "AE" if reverse else "S",
            "rate": Decimal(0) if reverse else Decimal(self.world["rates"][country]),
            "basis": plan["basis"],
            "plan": plan["name"],
            "amount": amount,
            "series": self.prefixes[country],
        }

    def _documents(self) -> dict[tuple, dict]:
        """One for each month, registration, payer, currency and treatment; VAT on the sum, rounded once."""
        sums = defaultdict(Decimal)
        for line in [*self.lines.values(), *self.fees]:
            sums[document_key(line), line["basis"], line["rate"], line["series"]] += line["amount"]
        return {
            key: {"series": series} | totals(basis, rate, sum_) for (key, basis, rate, series), sum_ in sums.items()
        }

    def summary(self) -> dict:
        """The same sections and names as summary.json."""
        return {
            "month": self.world["month"],
            "operators": self._operators(),
            "published": self._published(),
            "EVSEs": self._evses(),
            "cards": self._cards(),
            "authorizations": Counter(entry["allowed"] or "UNKNOWN" for entry in self._entries("authorization")),
            "sessions": Counter(entry["session_status"] for entry in self._last("session")),
            "CDRs": self._counts(),
            "owed to CPOs": self._owed(),
            "held": {"V-20": len(self._unknown())} if self._unknown() else {},
            "invoices": self._invoices(),
            "accounts": {
                "enrolled": len({row["account"] for row in self.world["rows"]}),
                "invoiced": len({key[0] for key in self.documents}),
            },
        }

    def _entries(self, kind: str) -> list[dict]:
        return [entry for ledger in self.ledgers for entry in ledger.entries[kind]]

    def _last(self, kind: str) -> list[dict]:
        return [entry for ledger in self.ledgers for entry in ledger.last(kind).values()]

    def _operators(self) -> dict:
        of_each = zip(self.world["operators"], self.ledgers, strict=True)
        return {said["name"]: {"OCPI": said["OCPI"], "CDRs": len(ledger.cdrs())} for said, ledger in of_each}

    def _published(self) -> dict:
        locations, tariffs = ([ledger.served(module) for ledger in self.ledgers] for module in ("locations", "tariffs"))
        evses = sum(sum(each.values()) for each in locations)
        return {"locations": sum(map(len, locations)), "EVSEs": evses, "tariffs": sum(map(len, tariffs))}

    def _evses(self) -> dict:
        changed = Counter(entry["evse_status"] for entry in self._last("evse_status"))
        changed["AVAILABLE"] += self._published()["EVSEs"] - changed.total()
        return changed

    def _cards(self) -> dict:
        """A card that one operator lets charge and another does not would make it a fraction."""
        told = self._last("token")
        may_charge = Fraction(sum(entry["valid"] for entry in told), len(self.ledgers))
        return {"enrolled": len(self.world["rows"]), "may charge": may_charge, "known to CPOs": len(told)}

    def _unknown(self) -> list[str]:
        return [key for key, cdr in self.cdrs.items() if cdr["token_uid"].upper() not in self.payers]

    def _counts(self) -> dict:
        attempts = [entry for entry in self._entries("cdr") if entry["outcome"] is not None]
        return {
            "received": len(self.cdrs),
            "posts": len(attempts),
            "posts refused": sum(entry["outcome"] == "REFUSED" for entry in attempts),
            "in quarantine": sum(entry["fault"] == "refused" for entry in self._last("cdr")),
            "credit CDRs": sum(cdr["credit"] for cdr in self.cdrs.values()),
            "taken back before billing": len(self.taken_back),
            "billed": len(self.lines),
            "billed kWh": shown(sum(line["energy_kwh"] for line in self.lines.values())),
            "late": sum(line["is_late"] for line in self.lines.values()),
            "held": len(self._unknown()),
            "monthly fees": len(self.fees),
        }

    def _owed(self) -> dict:
        owed = {}
        for currency in sorted({cdr["currency"] for cdr in self.cdrs.values()}):
            theirs = [cdr for cdr in self.cdrs.values() if cdr["currency"] == currency]
            net = sum(Decimal(cdr["net"]) for cdr in theirs)
            disputed = sum(Decimal(cdr["net"]) for cdr in theirs if self._is_disputed(cdr))
            sums = {"net": net, "accepted": net - disputed, "disputed": disputed}
            owed[currency] = {"CDRs": len(theirs)} | {name: shown(number) for name, number in sums.items()}
        return owed

    def _is_disputed(self, cdr: dict) -> bool:
        """Nobody's, or one that does not add up."""
        difference = abs(Decimal(cdr["net"]) - Decimal(cdr["component_net"]))
        return cdr["token_uid"].upper() not in self.payers or (not cdr["credit"] and difference > CENT)

    def _invoices(self) -> list[dict]:
        groups = defaultdict(list)
        for (_, _, currency, category, _), document in self.documents.items():
            groups[document["series"], currency, category].append(document)
        return [
            {
                "series": series,
                "currency": currency,
                "VAT category": category,
                "documents": len(those),
                "PDFs": len(those),
            }
            | {name: f"{sum(document[name] for document in those):.2f}" for name in ("net", "vat", "gross")}
            for (series, currency, category), those in sorted(groups.items())
        ]


def document_key(line: dict) -> tuple[str, str, str, str, str]:
    return line["account"], line["seller_vat_id"], line["currency"], line["vat_category"], line["month"]


def totals(basis: str, rate: Decimal, amount: Decimal) -> dict:
    vat = rounded(amount * rate / (100 + rate)) if basis == "gross" else rounded(amount * rate / 100)
    net = amount - vat if basis == "gross" else amount
    return {"net": net, "vat": vat, "gross": net + vat}


class Books:
    """The exported lines."""

    def __init__(self, rows: list[dict]):
        self.rows = rows
        self.documents = defaultdict(list)
        for row in rows:
            self.documents[row["document"]].append(row)

    def check(self, expected: Expected) -> Iterator[str]:
        yield from self._check_lines(expected)
        yield from self._check_fees(expected)
        yield from self._check_documents(expected)
        for prefix in expected.prefixes.values():
            yield from self._check_numbers(prefix)

    def _check_lines(self, expected: Expected) -> Iterator[str]:
        billed = Counter(row["cdr"] for row in self.rows if row["cdr"])
        yield from (f"CDR {key}: billed {count} times" for key, count in billed.items() if count > 1)
        yield from (f"CDR {key}: not billed" for key in expected.lines.keys() - billed.keys())
        for row in self.rows:
            if row["cdr"] and row["cdr"] not in expected.lines:
                yield f"CDR {row['cdr']}: billed on {row['document']}, and must not be"
            elif row["cdr"]:
                yield from differences(row, expected.lines[row["cdr"]])

    def _check_fees(self, expected: Expected) -> Iterator[str]:
        billed = Counter((row["account"], billed_amount(row), row["month"]) for row in self.rows if not row["cdr"])
        wanted = Counter((fee["account"], fee["amount"], fee["month"]) for fee in expected.fees)
        for wrong, what in ((wanted - billed, "not billed"), (billed - wanted, "billed, and must not be")):
            yield from (f"monthly fee {amount} of {account} in {month}: {what}" for account, amount, month in wrong)

    def _check_documents(self, expected: Expected) -> Iterator[str]:
        seen = Counter(document_key(rows[0]) for rows in self.documents.values())
        yield from (f"documents of {' '.join(key)}: {count}" for key, count in seen.items() if count > 1)
        yield from (f"documents of {' '.join(key)}: none" for key in expected.documents.keys() - seen.keys())
        for number, rows in self.documents.items():
            wanted = expected.documents.get(document_key(rows[0]))
            yield from self._check_document(number, rows, wanted)

    def _check_document(self, number: str, rows: list[dict], wanted: dict | None) -> Iterator[str]:
        if (
            len(
                {
                    tuple(row[name] for name in ("account", "document_net", "document_vat", "document_gross"))
                    for row in rows
                }
            )
            > 1
        ):
            yield f"document {number}: its lines do not agree on what it is"
        said = {name: Decimal(rows[0][f"document_{name}"]) for name in ("net", "vat", "gross")}
        lines = sum(Decimal(row["line_net"]) for row in rows)
        if lines != said["net"]:
            yield f"document {number}, net: it says {said['net']}, its lines come to {lines}"
        if wanted is None:
            yield f"document {number}: nobody asked for it"
        for name in said if wanted else ():
            if said[name] != wanted[name]:
                yield f"document {number}, {name}: it says {said[name]}, recounted {wanted[name]}"

    def _check_numbers(self, prefix: str) -> Iterator[str]:
        """A prefix may begin another: what follows it is a number."""
        ends = [number.removeprefix(prefix) for number in self.documents if number.startswith(prefix)]
        ends = [end for end in ends if end.isdigit()]
        numbers, width = {int(end) for end in ends}, max(map(len, ends), default=1)
        missing = sorted(set(range(1, len(numbers) + 1)) - numbers)
        yield from (f"number {prefix}{number:0{width}}: missing in its series" for number in missing)


def billed_amount(row: dict) -> Decimal:
    return Decimal(row["line_gross"] or row["line_net"])


def differences(row: dict, line: dict) -> Iterator[str]:
    for name in ("account", "seller_vat_id", "currency", "vat_category", "plan", "token_uid"):
        if row[name] != line[name]:
            yield f"CDR {row['cdr']}, {name}: the books say {row[name]}, recounted {line[name]}"
    numbers = {
        "energy_kwh": Decimal(row["energy_kwh"]),
        "rate": Decimal(row["vat_rate"] or 0),
        "amount": billed_amount(row),
    }
    for name, number in numbers.items():
        if number != line[name]:
            yield f"CDR {row['cdr']}, {name}: the books say {shown(number)}, recounted {shown(line[name])}"


def compare(said, wanted, path: str = "") -> Iterator[str]:
    """Every figure of the summary, by its path; what one side does not have is 0 there."""
    if isinstance(wanted, dict) and isinstance(said, dict):
        for name in sorted({*said, *wanted}):
            yield from compare(said.get(name, 0), wanted.get(name, 0), f"{path} / {name}" if path else name)
    elif isinstance(wanted, list):
        yield from compare(by_name(said), by_name(wanted), path)
    elif said != wanted:
        yield f"summary, {path}: it says {said}, recounted {wanted}"


def by_name(rows: list[dict]) -> dict[str, dict]:
    return {f"{row['series']} {row['currency']} {row['VAT category']}": row for row in rows}


def figures(part) -> int:
    if isinstance(part, (dict, list)):
        return sum(figures(inner) for inner in (part.values() if isinstance(part, dict) else part))
    return 1


def read(file: Path, names_cards: bool) -> Ledger:
    with file.open(encoding="utf-8") as lines:
        return Ledger((line for line in lines if line.endswith("\n")), names_cards)


def read_books(folder: Path, months: list[str]) -> Books:
    rows = []
    for month in months:
        with (folder / f"export-{month}.csv").open(encoding="utf-8", newline="") as file:
            rows += [row | {"month": month} for row in csv.DictReader(file)]
    return Books(rows)


def main(folder: Path, *, say=print) -> int:
    world = json.loads((folder / "world.json").read_text())
    summary = json.loads((folder / "summary.json").read_text())
    expected = Expected(
        world, [read(folder / operator["ledger"], operator["names_cards"]) for operator in world["operators"]]
    )
    books = read_books(folder, world["months"])
    wanted = expected.summary()
    wrong = [*compare(summary, wanted), *books.check(expected)]
    for complaint in wrong[:MOST_SHOWN]:
        say(complaint)
    if wrong:
        say(f"{len(wrong)} figures do not tie out")
        return 1
    say(f"{figures(wanted)} figures, {len(books.rows)} lines and {len(books.documents)} documents tie out")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
