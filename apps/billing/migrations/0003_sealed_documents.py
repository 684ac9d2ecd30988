"""Issued documents are law's business: whatever code or person asks, PostgreSQL keeps them as they were (BIL-74).

A document is written in one transaction: its row, its VAT, its lines. When that commits, everything must add up, and
its number must follow the one before. With the last of its lines it is sealed: no row of it changes, goes or is added.
Row triggers do not see TRUNCATE, so there is one for that; PDFs may be filled in once.
"""

from django.db import migrations

FROZEN = ("billing_invoice", "billing_invoiceline", "billing_taxsubtotal")

REFUSE = """
CREATE FUNCTION billing_document_is_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'issued documents stay as they are: % of % is not allowed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
"""

STAYS = """
CREATE TRIGGER issued_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION billing_document_is_sealed();
"""

NO_MORE_LINES = """
CREATE FUNCTION billing_no_more_lines() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE number text;
BEGIN
    SELECT invoice.number INTO number FROM billing_invoice invoice
        WHERE invoice.id IN (SELECT invoice_id FROM added)
        AND invoice.line_count < (SELECT count(*) FROM billing_invoiceline line WHERE line.invoice_id = invoice.id)
        LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% is issued and takes no further line', number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER issued_takes_no_line AFTER INSERT ON billing_invoiceline REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION billing_no_more_lines();
"""

NO_MORE_VAT = """
CREATE FUNCTION billing_no_more_vat() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE number text;
BEGIN
    SELECT invoice.number INTO number FROM billing_invoice invoice
        WHERE invoice.id IN (SELECT invoice_id FROM added)
        AND EXISTS (SELECT FROM billing_invoiceline line WHERE line.invoice_id = invoice.id)
        LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% is issued and takes no further VAT', number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER issued_takes_no_vat AFTER INSERT ON billing_taxsubtotal REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION billing_no_more_vat();
"""

ADDS_UP = """
CREATE FUNCTION billing_document_adds_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE lines record; taxes record;
BEGIN
    SELECT count(*) AS number, sum(net) AS net, sum(gross) AS gross INTO lines
        FROM billing_invoiceline WHERE invoice_id = NEW.id;
    SELECT sum(base) AS base, sum(vat) AS vat INTO taxes FROM billing_taxsubtotal WHERE invoice_id = NEW.id;
    IF lines.number = 0 OR lines.number <> NEW.line_count THEN
        RAISE EXCEPTION '% says % lines and has %', NEW.number, NEW.line_count, lines.number
            USING ERRCODE = 'check_violation';
    END IF;
    IF lines.net <> NEW.net OR taxes.base IS DISTINCT FROM NEW.net OR taxes.vat IS DISTINCT FROM NEW.vat
            OR (NEW.basis = 'gross') <> (lines.gross IS NOT NULL) OR lines.gross <> NEW.gross THEN
        RAISE EXCEPTION '% does not add up', NEW.number USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (SELECT FROM billing_invoice WHERE series_id = NEW.series_id AND sequence = NEW.sequence - 1)
            AND EXISTS (SELECT FROM billing_invoice WHERE series_id = NEW.series_id AND sequence < NEW.sequence) THEN
        RAISE EXCEPTION '% would leave a gap in its series', NEW.number USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER issued_adds_up AFTER INSERT ON billing_invoice DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION billing_document_adds_up();
"""

PDF_ONCE = """
CREATE TRIGGER pdf_stays BEFORE UPDATE OF id, invoice_id, pdf, sha256, rendered_at ON billing_document
    FOR EACH ROW WHEN (OLD.pdf IS NOT NULL AND (NEW.id, NEW.invoice_id, NEW.pdf, NEW.sha256, NEW.rendered_at)
        IS DISTINCT FROM (OLD.id, OLD.invoice_id, OLD.pdf, OLD.sha256, OLD.rendered_at))
    EXECUTE FUNCTION billing_document_is_sealed();
CREATE TRIGGER pdf_is_kept BEFORE DELETE OR TRUNCATE ON billing_document
    FOR EACH STATEMENT EXECUTE FUNCTION billing_document_is_sealed();
"""

CHARGE_STAYS = """
CREATE FUNCTION billing_charge_is_shown() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM billing_invoiceline WHERE charge_id = OLD.id) THEN
        RAISE EXCEPTION 'charge % stands on a document and stays as it is', OLD.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER shown_charge_stays BEFORE UPDATE OR DELETE ON billing_charge
    FOR EACH ROW EXECUTE FUNCTION billing_charge_is_shown();
"""

SEAL = "".join(
    [
        REFUSE,
        *(STAYS.format(table=table) for table in FROZEN),
        NO_MORE_LINES,
        NO_MORE_VAT,
        ADDS_UP,
        PDF_ONCE,
        CHARGE_STAYS,
    ]
)

UNSEAL = "".join(
    f"DROP FUNCTION {name} CASCADE;"
    for name in (
        "billing_document_is_sealed()",
        "billing_no_more_lines()",
        "billing_no_more_vat()",
        "billing_document_adds_up()",
        "billing_charge_is_shown()",
    )
)


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_vat_rates")]

    operations = [migrations.RunSQL(SEAL, UNSEAL)]
