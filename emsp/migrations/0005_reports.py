"""The ready groups may have partners checked and let them begin, or see it (see emsp/roles.py)."""

from django.db import migrations

from emsp.roles import extend


def give_reports(apps, schema_editor):
    for model in ("report", "clearance"):
        extend(apps, "onboarding", model)


class Migration(migrations.Migration):
    dependencies = [("emsp", "0004_commands"), ("onboarding", "0001_initial")]
    operations = [migrations.RunPython(give_reports, migrations.RunPython.noop, elidable=False)]
