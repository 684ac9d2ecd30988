"""Operations makes and revokes keys of our own API, the auditor sees them (see emsp/roles.py)."""

from django.db import migrations

from emsp.roles import extend


def give_keys(apps, schema_editor):
    extend(apps, "api", "apikey")


class Migration(migrations.Migration):
    dependencies = [("emsp", "0006_links"), ("api", "0001_initial")]
    operations = [migrations.RunPython(give_keys, migrations.RunPython.noop, elidable=False)]
