"""Alarms of partners are for operations, and for the auditor to see (see emsp/roles.py)."""

from django.db import migrations

from emsp.roles import grant


def grant_again(apps, schema_editor):
    grant(apps, ["operations", "auditor"])


class Migration(migrations.Migration):
    dependencies = [("emsp", "0002_groups"), ("partners", "0002_alarms_and_claims")]
    operations = [migrations.RunPython(grant_again, migrations.RunPython.noop, elidable=False)]
