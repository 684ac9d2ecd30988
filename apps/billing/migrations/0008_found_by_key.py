"""What seals a document finds its lines and VAT by key, whatever was there when PostgreSQL planned it.

Functions are planned once for each connection. Planned while the tables were small, they read them whole for every
document that came after.
"""

from django.db import migrations

NO_MORE_VAT = """
CREATE OR REPLACE FUNCTION billing_no_more_vat() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE number text;
BEGIN
    SELECT invoice.number INTO number FROM billing_invoice invoice
        WHERE invoice.id IN (SELECT invoice_id FROM added)
        AND 0 < (SELECT count(*) FROM billing_invoiceline line WHERE line.invoice_id = invoice.id)
        LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% is issued and takes no further VAT', number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
"""

SEALING = ("billing_no_more_lines", "billing_no_more_vat", "billing_document_adds_up", "billing_charge_is_shown")

BY_KEY = "".join(f"ALTER FUNCTION {name}() SET enable_seqscan = off;" for name in SEALING)


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_next_documents")]

    operations = [migrations.RunSQL(NO_MORE_VAT + BY_KEY, migrations.RunSQL.noop)]
