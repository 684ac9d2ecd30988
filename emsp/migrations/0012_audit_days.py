"""Days of changes are sealed in a chain, and neither they nor the changes change or go (trust S49).

The tables of changes get their guards by `audit.tables.guard` after every migration, those of models tracked later too.
"""

from django.db import migrations, models

GUARDS = """
CREATE FUNCTION emsp_audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'who changed what is evidence: % of % is not allowed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE FUNCTION emsp_audit_is_of_today() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.pgh_created_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE FUNCTION emsp_audit_day_follows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE newest record;
BEGIN
    SELECT day, digest INTO newest FROM emsp_auditday ORDER BY day DESC LIMIT 1;
    IF FOUND AND (NEW.day, NEW.previous) <> (newest.day + 1, newest.digest) THEN
        RAISE EXCEPTION '% does not follow %', NEW.day, newest.day USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.day >= (clock_timestamp() AT TIME ZONE 'UTC')::date THEN
        RAISE EXCEPTION '% is not over', NEW.day USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION emsp_audit_context_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.created_at) <> (OLD.id, OLD.created_at) OR EXISTS (
        SELECT FROM emsp_auditday WHERE day >= (OLD.created_at AT TIME ZONE 'UTC')::date
    ) THEN
        RAISE EXCEPTION 'who changed what is evidence: % of % is not allowed', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_day_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON emsp_auditday
    FOR EACH STATEMENT EXECUTE FUNCTION emsp_audit_is_kept();
CREATE TRIGGER audit_day_follows BEFORE INSERT ON emsp_auditday
    FOR EACH ROW EXECUTE FUNCTION emsp_audit_day_follows();
CREATE TRIGGER context_is_kept BEFORE DELETE OR TRUNCATE ON pghistory_context
    FOR EACH STATEMENT EXECUTE FUNCTION emsp_audit_is_kept();
CREATE TRIGGER context_stays BEFORE UPDATE ON pghistory_context
    FOR EACH ROW EXECUTE FUNCTION emsp_audit_context_stays();
"""

UNGUARD = """
DROP FUNCTION emsp_audit_is_kept() CASCADE;
DROP FUNCTION emsp_audit_is_of_today() CASCADE;
DROP FUNCTION emsp_audit_day_follows() CASCADE;
DROP FUNCTION emsp_audit_context_stays() CASCADE;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('emsp', '0011_heartbeats'),
        ('pghistory', '0007_auto_20250421_0444'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(unique=True)),
                ('count', models.PositiveBigIntegerField(verbose_name='changes')),
                ('tables', models.JSONField(help_text='By table: count, digest, and the columns that went into it.')),
                ('previous', models.CharField(max_length=64, verbose_name='digest of the day before')),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('sealed_at', models.DateTimeField()),
            ],
            options={
                'ordering': ['-day'],
                'constraints': [models.CheckConstraint(condition=models.Q(('digest__regex', '^[0-9a-f]{64}$')), name='audit_day_has_a_digest')],
            },
        ),
        migrations.RunSQL(GUARDS, UNGUARD),
        migrations.AlterField(
            model_name='invariant',
            name='code',
            field=models.CharField(help_text='I1 … I16.', max_length=4, unique=True),
        ),
    ]
