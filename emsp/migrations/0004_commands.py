"""The ready groups may ask something of charge points, or see it (see emsp/roles.py)."""

from django.db import migrations

from emsp.roles import extend


def give_commands(apps, schema_editor):
    extend(apps, "charging", "command")


class Migration(migrations.Migration):
    dependencies = [("emsp", "0003_alarms"), ("charging", "0003_command")]
    operations = [migrations.RunPython(give_commands, migrations.RunPython.noop, elidable=False)]
