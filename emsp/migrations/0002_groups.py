"""The ready groups: support, operations, finance, auditor (see emsp/roles.py)."""

from django.db import migrations

from emsp.roles import grant


def make_groups(apps, schema_editor):
    grant(apps)


class Migration(migrations.Migration):
    dependencies = [
        ("emsp", "0001_initial"),
        ("admin", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("staff", "0001_initial"),
        ("partners", "0001_initial"),
        ("tariffs", "0001_initial"),
        ("locations", "0001_initial"),
        ("drivers", "0001_initial"),
        ("tokens", "0001_initial"),
        ("charging", "0001_initial"),
        ("billing", "0001_initial"),
    ]
    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop, elidable=False)]
