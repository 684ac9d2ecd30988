"""The recount against a world so small that every figure of it was worked out by hand."""

import csv
import json
import subprocess
import sys

import pytest

from emsp.demo import recount

PLANS = [
    {"name": "Privat", "currency": "SEK", "basis": "gross", "monthly_fee": "49", "prices": {"": ("5.49", "0", "0")}},
    {"name": "Flotte", "currency": "EUR", "basis": "net", "monthly_fee": "0", "prices": {"": ("0.41", "0.01", "0.20")}},
]
ANNA = {"account": "Anna", "kind": "private", "country": "SE", "vat_id": "", "token_uid": "AA", "plan": "Privat"}
FLEET = {
    "account": "Nord GmbH",
    "kind": "company",
    "country": "DE",
    "vat_id": "DE1",
    "token_uid": "BB",
    "plan": "Flotte",
}
WORLD = {
    "month": "2026-10",
    "months": ["2026-10"],
    "company": {"country": "SE"},
    "registrations": {"SE": "SE5501", "DE": "DE9"},
    "series": [["SE", "INVOICE", "SE"], ["DE", "INVOICE", "DE"]],
    "rates": {"SE": "25", "DE": "19"},
    "plans": PLANS,
    "rows": [ANNA, FLEET],
    "operators": [
        {"name": "Laddnät", "OCPI": "2.2.1", "ledger": "ledger-LAD.jsonl", "names_cards": True},
        {"name": "Kustel", "OCPI": "2.1.1", "ledger": "ledger-KST.jsonl", "names_cards": False},
    ],
}


def sent(key, uid, country, kwh, net, **facts):
    currency = {"SWE": "SEK", "DEU": "EUR"}[country]
    times = {"start": "2026-10-05T10:00:00Z", "end": "2026-10-05T11:00:00Z", "hours": "1"}
    same = {"fault": None, "outcome": "OK", "credit": False, "credit_reference": None, "component_net": net}
    return {
        "kind": "cdr", "id": key, "party": f"{country[:2]}*LAD", "token_uid": uid, "country": country, "kwh": kwh,
        "net": net, "currency": currency,
    } | times | same | facts  # fmt: skip


LEDGER = [
    {"kind": "served", "module": "locations", "ids": ["L1", "L2"], "evses": [2, 3]},
    {"kind": "served", "module": "tariffs", "ids": ["T1"]},
    {"kind": "token", "id": "AA", "valid": True},
    {"kind": "token", "id": "BB", "valid": True},
    {"kind": "evse_status", "id": "E1", "evse_status": "CHARGING"},
    {"kind": "authorization", "id": "AA", "allowed": "ALLOWED"},
    {"kind": "authorization", "id": "ZZ", "allowed": None},
    {"kind": "session", "id": "S1", "session_status": "ACTIVE"},
    {"kind": "session", "id": "S1", "session_status": "COMPLETED"},
    sent("C1", "aa", "SWE", "10.123", "30"),
    sent("C1", "AA", "SWE", "10.123", "30"),
    sent("C2", "AA", "SWE", "7.777", "20", outcome=None),
    sent("C3", "BB", "DEU", "24.318", "9"),
    sent("C4", "AA", "SWE", "5", "12"),
    sent("C4-C", "AA", "SWE", "5", "-12", credit=True, credit_reference="C4"),
    sent("C5", "ZZ", "SWE", "3", "8"),
    sent("C6", "AA", "SWE", "1", "4", fault="refused", outcome="REFUSED"),
    sent("C7", "AA", "SWE", "31.050", "99", component_net="89", end="2026-09-30T21:30:00Z"),
]
NEIGHBOURS = [
    {"kind": "served", "module": "locations", "ids": ["L1"], "evses": [2]},
    {"kind": "served", "module": "tariffs", "ids": ["T1"]},
    {"kind": "token", "id": "AA", "valid": True},
    {"kind": "token", "id": "BB", "valid": True},
    sent("C1", "AA", "SWE", "2", "5", party="SW*KST"),
]
"""The other operator has a CDR, a location and a tariff of the same ids."""

SUMMARY = {
    "month": "2026-10",
    "operators": {"Laddnät": {"OCPI": "2.2.1", "CDRs": 7}, "Kustel": {"OCPI": "2.1.1", "CDRs": 1}},
    "published": {"locations": 3, "EVSEs": 7, "tariffs": 2},
    "EVSEs": {"AVAILABLE": 6, "CHARGING": 1},
    "cards": {"enrolled": 2, "may charge": 2, "known to CPOs": 4},
    "authorizations": {"ALLOWED": 1, "UNKNOWN": 1},
    "sessions": {"COMPLETED": 1},
    "CDRs": {
        "received": 8, "posts": 9, "posts refused": 1, "in quarantine": 1, "credit CDRs": 1,
        "taken back before billing": 2, "billed": 5, "billed kWh": "75.268", "late": 1, "held": 1, "monthly fees": 1,
    },
    "owed to CPOs": {
        "EUR": {"CDRs": 1, "net": "9", "accepted": "9", "disputed": "0"},
        "SEK": {"CDRs": 7, "net": "162", "accepted": "55", "disputed": "107"},
    },
    "held": {"V-20": 1},
    "invoices": [
        {"series": "DE", "currency": "EUR", "VAT category": "AE", "documents": 1, "PDFs": 1, "net": "10.77", "vat": "0.00", "gross": "10.77"},
        {"series": "SE", "currency": "SEK", "VAT category": "S", "documents": 1, "PDFs": 1, "net": "262.98", "vat": "65.74", "gross": "328.72"},
    ],
    "accounts": {"enrolled": 2, "invoiced": 2},
}  # fmt: skip
SE1 = {
    "document": "SE1", "account": "Anna", "seller_vat_id": "SE5501", "currency": "SEK", "vat_category": "S",
    "document_net": "262.98", "document_vat": "65.74", "document_gross": "328.72", "plan": "Privat", "vat_rate": "25",
}  # fmt: skip
DE1 = {
    "document": "DE1", "account": "Nord GmbH", "seller_vat_id": "DE9", "currency": "EUR", "vat_category": "AE",
    "document_net": "10.77", "document_vat": "0.00", "document_gross": "10.77", "plan": "Flotte", "vat_rate": "",
}  # fmt: skip


def line(document, cdr, uid, kwh, net, gross=""):
    return document | {"cdr": cdr, "token_uid": uid, "energy_kwh": kwh, "line_net": net, "line_gross": gross}


EXPORT = [
    line(SE1, "SW*LAD:C1", "AA", "10.123", "44.46", "55.58"),
    line(SE1, "SW*LAD:C2", "AA", "7.777", "34.16", "42.70"),
    line(SE1, "SW*LAD:C7", "AA", "31.05", "136.37", "170.46"),
    line(SE1, "", "", "", "39.20", "49.00"),
    line(SE1, "SW*KST:C1", "", "2", "8.79", "10.98"),
    line(DE1, "DE*LAD:C3", "BB", "24.318", "10.77"),
]


@pytest.fixture
def files(tmp_path):
    """Write what the recount reads: the platform's two files and the first ledger as given."""

    def write(summary=SUMMARY, export=EXPORT, ledger=LEDGER, before=None):
        """`before`: the export of the month before, if that is of the world as well."""
        exports = ({"2026-09": before} if before else {}) | {"2026-10": export}
        (tmp_path / "world.json").write_text(json.dumps(WORLD | {"months": list(exports)}))
        (tmp_path / "summary.json").write_text(json.dumps(summary))
        for operator, entries in zip(WORLD["operators"], (ledger, NEIGHBOURS), strict=True):
            (tmp_path / operator["ledger"]).write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        for month, lines in exports.items():
            with (tmp_path / f"export-{month}.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, EXPORT[0])
                writer.writeheader()
                writer.writerows(lines)
        return tmp_path

    return write


def complaints(folder):
    said = []
    code = recount.main(folder, say=said.append)
    return code, said


def test_what_is_right_ties_out(files):
    code, said = complaints(files())

    assert (code, said) == (0, ["54 figures, 6 lines and 2 documents tie out"])


def test_each_month_has_its_lines_fees_and_documents(files):
    september = SE1 | {"document_net": "175.57", "document_vat": "43.89", "document_gross": "219.46"}
    october = {"document": "SE2", "document_net": "126.61", "document_vat": "31.65", "document_gross": "158.26"}
    swedish = {"documents": 2, "PDFs": 2, "net": "302.18", "vat": "75.54", "gross": "377.72"}
    german, of_one_month = SUMMARY["invoices"]
    summary = SUMMARY | {
        "CDRs": SUMMARY["CDRs"] | {"late": 0, "monthly fees": 2},
        "invoices": [german, of_one_month | swedish],
    }
    before = [EXPORT[2] | september, EXPORT[3] | september]
    after = [one | october if one["document"] == "SE1" else one for one in EXPORT if one["cdr"] != "SW*LAD:C7"]
    assert complaints(files(summary, after, before=before)) == (0, ["54 figures, 7 lines and 3 documents tie out"])

    code, said = complaints(files(summary, [*after, EXPORT[2] | october], before=before[1:]))
    assert code == 1 and any("document SE1, net" in one for one in said), (
        "in the month after it is not where it belongs"
    )


def test_it_runs_without_anything_of_ours(files):
    done = subprocess.run(
        [sys.executable, "-I", recount.__file__, files()], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("place", "changed", "said"),
    [
        (0, {"line_gross": "55.59"}, "CDR SW*LAD:C1, amount: the books say 55.59, recounted 55.58"),
        (0, {"account": "Nord GmbH"}, "CDR SW*LAD:C1, account: the books say Nord GmbH, recounted Anna"),
        (0, {"energy_kwh": "10.2"}, "CDR SW*LAD:C1, energy_kwh: the books say 10.2, recounted 10.123"),
        (0, {"vat_rate": "6"}, "CDR SW*LAD:C1, rate: the books say 6, recounted 25"),
        (1, {"cdr": "SW*LAD:C1"}, "CDR SW*LAD:C1: billed 2 times"),
        (1, {"cdr": "SW*LAD:C1"}, "CDR SW*LAD:C2: not billed"),
        (1, {"cdr": "SW*LAD:C5"}, "CDR SW*LAD:C5: billed on SE1, and must not be"),
        (1, {"line_net": "34.17"}, "document SE1, net: it says 262.98, its lines come to 262.99"),
        (3, {"line_gross": "39.00"}, "monthly fee 49.00 of Anna in 2026-10: not billed"),
        (5, {"document": "DE2"}, "number DE1: missing in its series"),
        (5, {"document_vat": "2.05"}, "document DE1, vat: it says 2.05, recounted 0.00"),
        (5, {"vat_category": "S"}, "documents of Nord GmbH DE9 EUR AE 2026-10: none"),
    ],
)
def test_a_wrong_line_is_named(files, place, changed, said):
    export = [row | changed if number == place else row for number, row in enumerate(EXPORT)]

    code, complained = complaints(files(export=export))

    assert code == 1
    assert said in complained


def test_cdrs_of_one_id_are_told_apart_by_their_party(files):
    code, said = complaints(files(export=[row for row in EXPORT if row["cdr"] != "SW*KST:C1"]))

    assert code == 1
    assert "CDR SW*KST:C1: not billed" in said


def test_a_lost_line_is_named(files):
    code, said = complaints(files(export=EXPORT[1:]))

    assert code == 1
    assert "CDR SW*LAD:C1: not billed" in said


@pytest.mark.parametrize("section", [name for name, part in SUMMARY.items() if isinstance(part, dict)])
def test_every_figure_of_the_summary_is_recounted(files, section):
    for name, figure in SUMMARY[section].items():
        wrong = {**SUMMARY[section], name: {"net": "1"} if isinstance(figure, dict) else "7777"}

        code, said = complaints(files(summary=SUMMARY | {section: wrong}))

        assert code == 1
        assert any(complaint.startswith(f"summary, {section} / {name}") for complaint in said)


def test_what_the_operator_was_never_told_is_named(files):
    ledger = [entry for entry in LEDGER if entry != {"kind": "token", "id": "BB", "valid": True}]

    assert "summary, cards / known to CPOs: it says 4, recounted 3" in complaints(files(ledger=ledger))[1]
