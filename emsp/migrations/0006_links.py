"""The ready groups may make links for partners and take them back, or see them (see emsp/roles.py)."""

from django.db import migrations

from emsp.roles import extend


def give_links(apps, schema_editor):
    extend(apps, "partnerview", "link")


class Migration(migrations.Migration):
    dependencies = [("emsp", "0005_reports"), ("partnerview", "0001_initial")]
    operations = [migrations.RunPython(give_links, migrations.RunPython.noop, elidable=False)]
