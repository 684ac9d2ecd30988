"""Operations, finance and the auditor see what CPOs bill us for (see emsp/roles.py)."""

from django.db import migrations

from emsp.roles import extend


def give_invoices_of_cpos(apps, schema_editor):
    extend(apps, "billing", "billedtous")


class Migration(migrations.Migration):
    dependencies = [("emsp", "0008_clients"), ("billing", "0006_invoices_of_cpos")]
    operations = [migrations.RunPython(give_invoices_of_cpos, migrations.RunPython.noop, elidable=False)]
