"""CDRs are evidence: whatever code or person asks, PostgreSQL does not let them change or go (CDR-03, trust S28).

What we find out about a CDR (its zone, whose it is, what it credits, that it was checked) stands in the columns that
are not listed here.
"""

from django.db import migrations

SEALED = (
    "id", "public_id", "party_id", "partner_id", "ocpi_id", "session_id", "authorization_reference", "auth_method",
    "token_uid", "token_type", "sent_contract_id", "started_at", "ended_at", "energy", "time", "parking_time", "currency",
    "cost_before_taxes", "cost_taxes", "country", "location_id", "location_name", "city", "evse_uid", "evse_id",
    "is_credit", "credit_reference_id", "body", "version", "content_hash", "warnings", "last_updated", "received_at",
)  # fmt: skip

SEAL = f"""
CREATE FUNCTION charging_cdr_is_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'CDRs are evidence: % is not allowed', TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER cdr_is_sealed BEFORE UPDATE OF {", ".join(f'"{name}"' for name in SEALED)} ON charging_cdr
    FOR EACH STATEMENT EXECUTE FUNCTION charging_cdr_is_sealed();
CREATE TRIGGER cdr_is_kept BEFORE DELETE OR TRUNCATE ON charging_cdr
    FOR EACH STATEMENT EXECUTE FUNCTION charging_cdr_is_sealed();
"""

UNSEAL = """
DROP TRIGGER cdr_is_kept ON charging_cdr;
DROP TRIGGER cdr_is_sealed ON charging_cdr;
DROP FUNCTION charging_cdr_is_sealed();
"""


class Migration(migrations.Migration):
    dependencies = [("charging", "0001_initial")]

    operations = [migrations.RunSQL(SEAL, UNSEAL)]
