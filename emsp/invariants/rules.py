"""The invariants as SQL: each one statement that returns whoever breaks it, as a name and what is wrong with it.

One statement sees one moment, so work that goes on meanwhile breaks nothing. All are about sets: what an operator's
million CDRs cost is a few passes over the tables, never a look at one row after another.
"""

from typing import NamedTuple

from apps.tokens.announcing import LISTENING
from apps.tokens.sight import sees
from emsp.audit import digests

from .columns import OUT_OF_RANGE

CDR = "party.country_code || '*' || party.party_id || ':' || cdr.ocpi_id"
"""As Cdr prints itself."""

SAME_PARTY = """SELECT id, country_code, party_id, min(id) OVER (PARTITION BY upper(country_code), upper(party_id)) AS one
FROM partners_party"""

DIGITS = "coalesce((%(digits)s::jsonb ->> {currency})::int, 2)"
"""Decimals of a currency (BIL-65)."""


class Rule(NamedTuple):
    """`broken` selects name and fault. `about` is a query without rows where there is nothing it could speak of."""

    code: str
    text: str
    broken: str
    about: str
    lacking: str


def _of_cdrs(rows: str) -> str:
    """Name what `rows` found: columns cdr_id and fault. Looked up one by one: a join would read all CDRs for nothing."""
    named = (
        f"SELECT {CDR} FROM charging_cdr cdr JOIN partners_party party ON party.id = cdr.party_id WHERE cdr.id = cdr_id"
    )
    return f"SELECT coalesce(({named}), 'CDR number ' || cdr_id), fault FROM ({rows}) AS found"


def _all_of(*queries: str) -> str:
    return "\nUNION ALL\n".join(f"({query})" for query in queries)


IDENTITY = f"""
SELECT party.country_code || '*' || party.party_id || ':' || twice.ocpi_id, twice.number || ' CDRs have this id'
FROM (
    SELECT owner.one, upper(cdr.ocpi_id) AS ocpi_id, count(*) AS number
    FROM charging_cdr cdr JOIN ({SAME_PARTY}) owner ON owner.id = cdr.party_id
    GROUP BY 1, 2 HAVING count(*) > 1
) twice JOIN partners_party party ON party.id = twice.one"""

STATE = _of_cdrs("""
WITH told AS (
    SELECT cdr_id, kind AS word FROM billing_charge WHERE netted_at IS NULL AND cdr_id IS NOT NULL
    UNION ALL SELECT cdr_id, 'held' FROM billing_held
    UNION ALL SELECT original_id, 'netted' FROM billing_netting
    UNION ALL SELECT credit_id, 'netted' FROM billing_netting
    UNION ALL SELECT cdr_id, 'owed' FROM billing_payable
), fact AS (
    SELECT cdr_id, bool_or(word IN ('USAGE', 'CREDIT')) AS charged, bool_or(word = 'held') AS held,
        bool_or(word = 'netted') AS netted, bool_or(word = 'owed') AS owed
    FROM told GROUP BY cdr_id
)
SELECT cdr_id, CASE
    WHEN charged AND held THEN 'is charged and held at once'
    WHEN charged AND netted THEN 'is charged and netted at once'
    WHEN held AND netted THEN 'is held and netted at once'
    WHEN charged THEN 'is charged, and nothing is owed for it'
    ELSE 'was rated, and is neither charged, held nor netted'
END AS fault
FROM fact WHERE charged::int + held::int + netted::int > 1 OR charged AND NOT owed
    OR owed AND NOT (charged OR held OR netted)
UNION ALL
SELECT charge.cdr_id, 'is nobody''s, and somebody is charged' FROM charging_cdr cdr
JOIN billing_charge charge ON charge.cdr_id = cdr.id AND charge.netted_at IS NULL AND charge.kind = 'USAGE'
WHERE cdr.contract_id IS NULL
UNION ALL
SELECT cdr_id, 'is lost, and what became of it is still there' FROM fact
WHERE NOT EXISTS (SELECT FROM charging_cdr cdr WHERE cdr.id = fact.cdr_id)
""")

BILLED_ONCE = _all_of(
    _of_cdrs("""
SELECT cdr_id, 'has ' || count(*) || ' charges of one share' AS fault FROM billing_charge
WHERE netted_at IS NULL AND cdr_id IS NOT NULL GROUP BY cdr_id, share HAVING count(*) > 1
"""),
    """
SELECT contract.contract_id, count(*) || ' fees from ' || charge.supplied_on FROM billing_charge charge
JOIN drivers_contract contract ON contract.id = charge.contract_id
WHERE charge.kind = 'FEE' AND charge.netted_at IS NULL
GROUP BY contract.contract_id, charge.period, charge.supplied_on HAVING count(*) > 1""",
    """
SELECT invoice.number || ' line ' || line.position, 'its charge stands on ' || shown.number || ' lines'
FROM (SELECT charge_id, count(*) AS number FROM billing_invoiceline GROUP BY charge_id HAVING count(*) > 1) shown
JOIN billing_invoiceline line USING (charge_id) JOIN billing_invoice invoice ON invoice.id = line.invoice_id""",
    """
SELECT invoice.number || ' line ' || line.position, CASE
    WHEN charge.id IS NULL THEN 'its charge is gone'
    WHEN charge.netted_at IS NOT NULL THEN 'its charge is netted, and belongs on no document'
    ELSE 'its charge is another account''s, or of another registration, currency, treatment or basis'
END
FROM billing_invoiceline line JOIN billing_invoice invoice ON invoice.id = line.invoice_id
LEFT JOIN billing_charge charge ON charge.id = line.charge_id
WHERE charge.id IS NULL OR charge.netted_at IS NOT NULL
    OR (charge.account_id, charge.registration_id, charge.currency, charge.vat_category, charge.basis)
        <> (invoice.account_id, invoice.registration_id, invoice.currency, invoice.vat_category, invoice.basis)""",
)

PER_RATE = """WITH part AS (
    SELECT invoice_id, vat_rate AS rate, count(*) AS number, sum(net) AS net, sum(gross) AS gross,
        count(gross) AS with_gross FROM billing_invoiceline GROUP BY invoice_id, vat_rate
)
"""

SUMS = PER_RATE + _all_of(
    """
WITH lines AS (
    SELECT invoice_id, sum(number) AS number, sum(net) AS net, sum(gross) AS gross, sum(with_gross) AS with_gross
    FROM part GROUP BY invoice_id
), taxes AS (SELECT invoice_id, sum(base) AS base, sum(vat) AS vat FROM billing_taxsubtotal GROUP BY invoice_id)
SELECT invoice.number, concat('says ', line_count, ' lines, net ', invoice.net, ', VAT ', invoice.vat, ', gross ',
    invoice.gross, '; has ', lines.number, ', net ', lines.net, ', gross ', lines.gross, ', taxed ', base, ', VAT ', taxes.vat)
FROM billing_invoice invoice LEFT JOIN lines ON lines.invoice_id = invoice.id
LEFT JOIN taxes ON taxes.invoice_id = invoice.id
WHERE (lines.number, lines.net, taxes.base, taxes.vat)
        IS DISTINCT FROM (invoice.line_count::numeric, invoice.net, invoice.net, invoice.vat)
    OR invoice.gross <> invoice.net + invoice.vat
    OR lines.with_gross <> CASE invoice.basis WHEN 'gross' THEN lines.number ELSE 0 END
    OR lines.gross <> invoice.gross""",
    """
SELECT invoice.number, concat('lines of net ', part.net, ' at ', coalesce(part.rate, tax.rate), ' %%, taxed ', tax.base)
FROM part FULL JOIN billing_taxsubtotal tax
    ON tax.invoice_id = part.invoice_id AND coalesce(tax.rate, -1) = coalesce(part.rate, -1)
LEFT JOIN billing_invoice invoice ON invoice.id = coalesce(part.invoice_id, tax.invoice_id)
WHERE part.net IS DISTINCT FROM tax.base""",
    f"""
WITH taxed AS (
    SELECT invoice.number, invoice.basis, tax.rate, {DIGITS.format(currency="invoice.currency")} AS digits,
        sum(tax.base) OVER so_far AS base, sum(tax.vat) OVER so_far AS vat
    FROM billing_taxsubtotal tax JOIN billing_invoice invoice ON invoice.id = tax.invoice_id
    WINDOW so_far AS (
        PARTITION BY invoice.kind, coalesce(invoice.corrects_id, invoice.id), tax.rate ORDER BY invoice.id
    )
), expected AS (
    SELECT *, CASE WHEN rate IS NULL THEN 0
        WHEN basis = 'gross' THEN round((base + vat) * rate / (100 + rate), digits)
        ELSE round(base * rate / 100, digits) END AS due
    FROM taxed
)
SELECT number, concat('VAT of ', vat, ' at ', rate, ' %%; ', due, ' is due') FROM expected WHERE vat <> due""",
    f"""
SELECT invoice.number || ' line ' || line.position, concat('says ', coalesce(line.gross, line.net), ' at ',
    line.vat_rate, ' %%; its charge ', charge.amount, ' at ', rate.rate, ' %%')
FROM billing_invoiceline line JOIN billing_invoice invoice ON invoice.id = line.invoice_id
JOIN billing_charge charge ON charge.id = line.charge_id LEFT JOIN billing_vatrate rate ON rate.id = charge.vat_rate_id
WHERE coalesce(line.gross, line.net) * CASE invoice.kind WHEN 'INVOICE' THEN 1 ELSE -1 END
        <> round(charge.amount, {DIGITS.format(currency="charge.currency")})
    OR line.vat_rate IS DISTINCT FROM rate.rate""",
    f"""
SELECT {CDR}, concat('costs ', cdr.cost_before_taxes, ' ', cdr.currency, '; owed to the CPO are ', payable.net, ' ',
    payable.currency)
FROM billing_payable payable JOIN charging_cdr cdr ON cdr.id = payable.cdr_id
JOIN partners_party party ON party.id = cdr.party_id
WHERE (payable.net, payable.currency) <> (cdr.cost_before_taxes, cdr.currency)""",
)
"""VAT of credit notes is that of all that one invoice was credited so far, as they were made (BIL-69)."""

CREDITS = _all_of(
    _of_cdrs("""
SELECT credit.cdr_id, CASE
    WHEN credit.amount <> -original.amount THEN concat('takes back ', -credit.amount, ' of a charge of ', original.amount)
    WHEN cdr.credits_id IS DISTINCT FROM original.cdr_id THEN 'takes back the charge of another CDR than it names'
    ELSE 'takes back a charge of another account, currency or VAT'
END AS fault
FROM billing_charge credit JOIN billing_charge original ON original.id = credit.reverses_id
JOIN charging_cdr cdr ON cdr.id = credit.cdr_id
WHERE credit.amount <> -original.amount OR cdr.credits_id IS DISTINCT FROM original.cdr_id
    OR (credit.account_id, credit.contract_id, credit.currency, credit.registration_id, credit.vat_category,
        credit.vat_rate_id, credit.basis)
        IS DISTINCT FROM (original.account_id, original.contract_id, original.currency, original.registration_id,
        original.vat_category, original.vat_rate_id, original.basis)
UNION ALL
SELECT charge.cdr_id, 'is charged as netted, and no credit took it back' FROM billing_charge charge
WHERE charge.netted_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM billing_netting netting WHERE netting.original_id = charge.cdr_id)
UNION ALL
SELECT netting.credit_id, 'nets another CDR than it names' FROM billing_netting netting
JOIN charging_cdr cdr ON cdr.id = netting.credit_id WHERE cdr.credits_id IS DISTINCT FROM netting.original_id
UNION ALL
SELECT credits_id, 'is credited by ' || count(*) || ' CDRs' FROM charging_cdr
WHERE credits_id IS NOT NULL GROUP BY credits_id HAVING count(*) > 1
UNION ALL
SELECT original.cdr_id, 'is credited ' || count(*) || ' times' FROM billing_charge credit
JOIN billing_charge original ON original.id = credit.reverses_id GROUP BY original.id HAVING count(*) > 1
UNION ALL
SELECT credit.id, 'credits what it cannot: no credit itself, or its original is one, or another party''s'
FROM charging_cdr credit JOIN charging_cdr original ON original.id = credit.credits_id
WHERE NOT credit.is_credit OR original.is_credit OR credit.party_id <> original.party_id
"""),
    """
WITH note AS (
    SELECT invoice.corrects_id, tax.rate, sum(tax.base) AS base, sum(tax.vat) AS vat
    FROM billing_taxsubtotal tax JOIN billing_invoice invoice ON invoice.id = tax.invoice_id
    WHERE invoice.kind = 'CREDIT_NOTE' GROUP BY invoice.corrects_id, tax.rate
)
SELECT invoice.number, concat('credited with net ', note.base, ', VAT ', note.vat, ' at ', note.rate,
    ' %%; it charged ', coalesce(tax.base, 0), ', VAT ', coalesce(tax.vat, 0))
FROM note JOIN billing_invoice invoice ON invoice.id = note.corrects_id
LEFT JOIN billing_taxsubtotal tax ON tax.invoice_id = invoice.id AND tax.rate IS NOT DISTINCT FROM note.rate
WHERE note.base > coalesce(tax.base, 0) OR note.vat > coalesce(tax.vat, 0)""",
    """
SELECT note.number || ' line ' || line.position, 'credits what the invoice that it corrects does not show'
FROM billing_invoice note JOIN billing_invoiceline line ON line.invoice_id = note.id
JOIN billing_charge charge ON charge.id = line.charge_id
LEFT JOIN billing_invoiceline shown ON shown.charge_id = charge.reverses_id
WHERE note.kind = 'CREDIT_NOTE' AND shown.invoice_id IS DISTINCT FROM note.corrects_id""",
)


def _lost(after: str, before: str) -> str:
    """How many numbers of a series between two are known to be on documents that a restore lost."""
    return f"""(SELECT coalesce(sum(lost.last - lost.first + 1), 0) FROM billing_lostnumbers lost
    WHERE lost.series_id = {after}.series_id AND lost.first > {after}.sequence AND lost.last < {before})"""


NUMBERS = _all_of(
    f"""
WITH told AS (
    SELECT *, lag(sequence) OVER before AS sequence_before, lag(issued_on) OVER before AS issued_before
    FROM billing_invoice WINDOW before AS (PARTITION BY series_id ORDER BY sequence, id)
)
SELECT number, CASE
    WHEN told.sequence = sequence_before THEN 'its place in the series is taken twice'
    WHEN told.sequence <> expected THEN concat(told.sequence - expected, ' numbers before it are missing')
    WHEN issued_on < issued_before THEN concat('is of ', issued_on, ', the one before it of ', issued_before)
    ELSE concat('is number ', told.sequence, ' of its series')
END
FROM told CROSS JOIN LATERAL (SELECT series_id, sequence_before AS sequence) last
CROSS JOIN LATERAL (SELECT sequence_before + 1 + {_lost("last", "told.sequence")} AS expected) known
WHERE told.sequence <> expected OR issued_on < issued_before
    OR right(number, greatest(6, length(told.sequence::text)))
        <> lpad(told.sequence::text, greatest(6, length(told.sequence::text)), '0')""",
    f"""
SELECT series.prefix, concat('its next number is ', series.next_number, ', its last one was ', given.sequence)
FROM billing_numberseries series
JOIN (SELECT series_id, max(sequence) AS sequence FROM billing_invoice GROUP BY series_id) given ON given.series_id = series.id
WHERE series.next_number <> given.sequence + 1 + {_lost("given", "series.next_number")}""",
    "SELECT number, count(*) || ' documents have it' FROM billing_invoice GROUP BY number HAVING count(*) > 1",
    """
SELECT invoice.number, CASE WHEN document.id IS NULL THEN 'its document is lost'
    ELSE 'its PDF is not the one that was rendered' END
FROM billing_invoice invoice LEFT JOIN billing_document document ON document.invoice_id = invoice.id
WHERE document.id IS NULL OR coalesce(encode(sha256(document.pdf), 'hex'), '') <> document.sha256""",
)

WORK = """
WITH wish AS (
    SELECT 'pull of ' || feed.module || ' of ' || partner.name AS name, feed.leased_until, feed.due_at, feed.last_error,
        greatest(feed.due_at, partner.connected_at) AS since
    FROM partners_feed feed JOIN partners_partner partner ON partner.id = feed.partner_id
    WHERE partner.state = 'CONNECTED' AND (feed.due_at IS NOT NULL OR feed.leased_until IS NOT NULL)
    UNION ALL
    SELECT 'PDF of ' || invoice.number, document.leased_until, document.due_at, document.last_error, document.due_at
    FROM billing_document document JOIN billing_invoice invoice ON invoice.id = document.invoice_id
    WHERE document.due_at IS NOT NULL OR document.leased_until IS NOT NULL
    UNION ALL
    SELECT 'invoice run number ' || id, leased_until, due_at, last_error, due_at FROM billing_invoicerun
    WHERE due_at IS NOT NULL OR leased_until IS NOT NULL
    UNION ALL
    SELECT 'card ' || token.uid || ' to ' || partner.name, delivery.leased_until, delivery.due_at, delivery.last_error,
        greatest(delivery.due_at, token.last_updated, partner.connected_at)
    FROM tokens_tokendelivery delivery JOIN partners_partner partner ON partner.id = delivery.partner_id
    JOIN tokens_token token ON token.id = delivery.token_id
    WHERE partner.state = 'CONNECTED' AND (delivery.due_at IS NOT NULL OR delivery.leased_until IS NOT NULL)
)
SELECT name, CASE
    WHEN leased_until < %(now)s THEN concat('was left by its worker at ', leased_until, ', and nobody took it over')
    WHEN leased_until IS NOT NULL THEN concat('is taken until ', leased_until, ', longer than any work lasts')
    ELSE concat('is due since ', since, ', and nobody tried')
END
FROM wish WHERE leased_until < %(now)s - interval '2 minutes' OR leased_until > %(now)s + interval '1 hour'
    OR leased_until IS NULL AND last_error = '' AND since < %(now)s - interval '1 day'"""
"""Trust I7 gives a lost lease 60 s; a sweep that comes by every 60 s needs as long again. A blocked card's delivery is
due since a year, to be taken first: it counts from the blocking."""

SCOPE = f"""
WITH sent AS (
    SELECT 'CDRs' AS what, party_id, partner_id, count(*) AS number, min(ocpi_id) AS example FROM charging_cdr
    GROUP BY party_id, partner_id
    UNION ALL SELECT 'sessions', party_id, partner_id, count(*), min(ocpi_id) FROM charging_session
    GROUP BY party_id, partner_id
    UNION ALL SELECT 'objects in quarantine', party_id, partner_id, count(*), min(ocpi_id) FROM partners_quarantined
    WHERE party_id IS NOT NULL GROUP BY party_id, partner_id
), spoken_for AS (
    SELECT partner_id AS partner, one AS party FROM ({SAME_PARTY}) key JOIN partners_party USING (id)
    WHERE partner_id IS NOT NULL
    UNION
    SELECT told.partner, key.one FROM (
        SELECT id AS partner, roles FROM partners_partner UNION SELECT pgh_obj_id, roles FROM partners_partnerevent
    ) told CROSS JOIN jsonb_array_elements(told.roles) role JOIN ({SAME_PARTY}) key
        ON upper(key.country_code) = upper(role ->> 'country_code') AND upper(key.party_id) = upper(role ->> 'party_id')
)
SELECT partner.name || ' for ' || party.country_code || '*' || party.party_id,
    concat('it sent ', sent.number, ' ', sent.what, ' and never spoke for that party, e.g. ', sent.example)
FROM sent JOIN partners_party party ON party.id = sent.party_id JOIN partners_partner partner ON partner.id = sent.partner_id
JOIN ({SAME_PARTY}) key ON key.id = sent.party_id
WHERE NOT EXISTS (
    SELECT FROM spoken_for WHERE spoken_for.partner = sent.partner_id AND spoken_for.party = key.one
)"""
"""Whom a partner speaks for may change; its history has the roles that it ever named."""

MARKS = _all_of(
    """
SELECT feed.module || ' of ' || partner.name, CASE
    WHEN watermark IS NOT NULL AND last_good_at IS NULL THEN 'is marked as read up to ' || watermark || ' without a whole pull'
    WHEN watermark > last_good_at + interval '2 days 1 hour' THEN 'is marked as read up to ' || watermark || ', which is to come'
    WHEN last_good_at > (resume ->> 'at')::timestamptz THEN 'its mark moved while a pull was broken off'
    ELSE 'goes on from ' || (resume ->> 'since') || ', after what it has read'
END
FROM partners_feed feed JOIN partners_partner partner ON partner.id = feed.partner_id
WHERE watermark IS NOT NULL AND last_good_at IS NULL OR watermark > last_good_at + interval '2 days 1 hour'
    OR last_good_at > (resume ->> 'at')::timestamptz
    OR (resume ->> 'since')::timestamptz > coalesce(watermark, '-infinity')""",
    """
SELECT 'quarantined ' || kept.module || ' of ' || partner.name || ', number ' || kept.id,
    'its bytes are not those that were sent, and the mark is past it'
FROM partners_quarantined kept JOIN partners_partner partner ON partner.id = kept.partner_id
WHERE kept.state = 'OPEN' AND kept.digest <> sha256(kept.body)""",
)
"""A mark may pass an object that could not be taken because its bytes are kept. Partners' clocks may be two days off."""

TOLD = f"""
SELECT 'card ' || token.uid || ' to ' || partner.name, CASE
    WHEN delivery.id IS NULL THEN 'was never told'
    WHEN delivery.confirmed_version > token.version THEN concat('version ', delivery.confirmed_version,
        ' is confirmed, and there are ', token.version)
    ELSE concat('version ', delivery.confirmed_version, ' of ', token.version, ' is confirmed, and nothing is on its way')
END
FROM tokens_token token CROSS JOIN partners_partner partner
LEFT JOIN tokens_tokendelivery delivery ON delivery.token_id = token.id AND delivery.partner_id = partner.id
WHERE token.type = ANY(%(told)s) AND {LISTENING} AND (
    delivery.confirmed_version > token.version
    OR delivery.due_at IS NULL AND delivery.confirmed_version < token.version
    OR delivery.id IS NULL AND greatest(token.created_at, partner.connected_at) < %(now)s - interval '2 hours'
        AND {sees("partner.id")}
)"""
"""A card that was never told is found by an hourly comparison."""

NONSENSE = _all_of(
    OUT_OF_RANGE,
    f"""
SELECT {CDR}, CASE WHEN cdr.ended_at < cdr.started_at THEN 'ends before it starts, and nobody was told'
    ELSE concat('ends at ', cdr.ended_at, ', after it came, and nobody was told') END
FROM charging_cdr cdr JOIN partners_party party ON party.id = cdr.party_id
WHERE cdr.checked_at IS NOT NULL AND (
    cdr.ended_at < cdr.started_at OR greatest(cdr.started_at, cdr.ended_at) > cdr.received_at + interval '2 days')
    AND NOT EXISTS (SELECT FROM charging_finding finding WHERE finding.cdr_id = cdr.id)""",
)

AUDIT = digests.faults("(SELECT max(day) - 30 FROM emsp_auditday)")
"""The chain as a whole, and what it holds of the last month; `audit verify` looks at all of it."""

ANY_CDR, NO_CDR = "SELECT FROM charging_cdr", "there is no CDR"
ANY_INVOICE, NO_INVOICE = "SELECT FROM billing_invoice", "no document was issued"

RULES = (
    Rule("I1", "a CDR is stored once, whatever the case of its id", IDENTITY, ANY_CDR, NO_CDR),
    Rule("I2", "every CDR is in exactly one state", STATE, ANY_CDR, NO_CDR),
    Rule(
        "I3", "a CDR is charged once, and stands on one document, its payer's",
        BILLED_ONCE, "SELECT FROM billing_charge", "nothing was charged",
    ),
    Rule(
        "I4", "lines, VAT and totals add up, and a CPO is owed what its CDR says",
        SUMS, f"{ANY_INVOICE} UNION ALL SELECT FROM billing_payable", "nothing was billed and nothing is owed",
    ),
    Rule(
        "I5", "a charge and its credit are nothing, and nothing is credited twice",
        CREDITS, "SELECT FROM charging_cdr WHERE credits_id IS NOT NULL UNION ALL "
        "SELECT FROM billing_charge WHERE kind = 'CREDIT' OR netted_at IS NOT NULL UNION ALL SELECT FROM billing_netting "
        "UNION ALL SELECT FROM billing_invoice WHERE kind = 'CREDIT_NOTE'", "nothing was credited",
    ),
    Rule(
        "I6", "numbers are given once, without a gap, in order, and documents stay as they are",
        NUMBERS, ANY_INVOICE, NO_INVOICE,
    ),
    Rule(
        "I7", "no work is lost: none is left by a worker, none waits unseen",
        WORK, "SELECT FROM partners_feed UNION ALL SELECT FROM billing_document UNION ALL SELECT FROM tokens_tokendelivery "
        "UNION ALL SELECT FROM billing_invoicerun", "there is no feed, document, card or run to tell of",
    ),
    Rule(
        "I9", "what a partner sent belongs to parties that it speaks for", SCOPE,
        f"{ANY_CDR} UNION ALL SELECT FROM charging_session UNION ALL SELECT FROM partners_quarantined",
        "nobody sent anything",
    ),
    Rule(
        "I12", "no pull is marked as further than it read", MARKS,
        "SELECT FROM partners_feed", "nothing is pulled",
    ),
    Rule(
        "I13", "partners know our cards as they are, or are about to be told", TOLD,
        f"SELECT FROM partners_partner partner WHERE {LISTENING}", "no connected partner takes cards",
    ),
    Rule(
        "I14", "numbers are numbers, and nothing is of the future unseen", NONSENSE,
        f"{ANY_CDR} UNION ALL SELECT FROM billing_charge UNION ALL SELECT FROM charging_session "
        "UNION ALL SELECT FROM billing_planprice UNION ALL SELECT FROM billing_vatrate", "there are no numbers",
    ),
    Rule(
        "I16", "what staff changed, and who did it, is as it was when its day was sealed", AUDIT,
        "SELECT FROM emsp_auditday", "no day is sealed yet",
    ),
)  # fmt: skip
"""Trust I1 to I7, I9, I12 to I14 and I16 (decision 42). There are no postings yet that could sum to anything, and PostgreSQL
keeps no NUL in a text."""
