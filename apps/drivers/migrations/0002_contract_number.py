from django.db import migrations


class Migration(migrations.Migration):
    """Numbers for contract ids of our own: a sequence, because two people enrol drivers at the same time."""

    dependencies = [("drivers", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "CREATE SEQUENCE drivers_contract_number MAXVALUE 99999999",
            "DROP SEQUENCE drivers_contract_number",
        )
    ]
