"""The ready groups may see who is behind a hub (see emsp/roles.py)."""

from django.db import migrations

from emsp.roles import extend


def give_clients(apps, schema_editor):
    extend(apps, "partners", "client")


class Migration(migrations.Migration):
    dependencies = [("emsp", "0007_api_keys"), ("partners", "0008_clients")]
    operations = [migrations.RunPython(give_clients, migrations.RunPython.noop, elidable=False)]
