"""Operations make agreements, finance and the auditor see them (see emsp/roles.py)."""

from django.db import migrations

from emsp.roles import extend


def give_agreements(apps, schema_editor):
    extend(apps, "partners", "agreement")
    extend(apps, "tokens", "shownaccount")


class Migration(migrations.Migration):
    dependencies = [("emsp", "0009_invoices_of_cpos"), ("partners", "0010_agreements"), ("tokens", "0002_shown_accounts")]
    operations = [migrations.RunPython(give_agreements, migrations.RunPython.noop, elidable=False)]
