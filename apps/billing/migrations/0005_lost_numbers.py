"""A gap in a series is known by its row, and then only: the sealing of documents lets the next number follow it."""

import django.db.models.deletion
from django.db import migrations, models

FOLLOWS = """
CREATE OR REPLACE FUNCTION billing_document_adds_up() RETURNS trigger LANGUAGE plpgsql AS $$
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
            AND EXISTS (SELECT FROM billing_invoice WHERE series_id = NEW.series_id AND sequence < NEW.sequence)
            AND NOT EXISTS (
                SELECT FROM billing_lostnumbers WHERE series_id = NEW.series_id AND last = NEW.sequence - 1
            ) THEN
        RAISE EXCEPTION '% would leave a gap in its series', NEW.number USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER lost_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_lostnumbers
    FOR EACH STATEMENT EXECUTE FUNCTION billing_document_is_sealed();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0004_due_runs'),
    ]

    operations = [
        migrations.CreateModel(
            name='LostNumbers',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('first', models.PositiveIntegerField()),
                ('last', models.PositiveIntegerField()),
                ('noted_at', models.DateTimeField()),
                ('series', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lost', to='billing.numberseries')),
            ],
            options={
                'verbose_name_plural': 'lost numbers',
                'constraints': [models.CheckConstraint(condition=models.Q(('first__lte', models.F('last'))), name='lost_numbers_in_order'), models.UniqueConstraint(fields=('series', 'first'), name='lost_numbers_once')],
            },
        ),
        migrations.RunSQL(FOLLOWS),
    ]
