import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """A run asks for the charges of some accounts under one registration; that index serves the registration alone too.

    Left to itself, Django would make the foreign key anew, and look at every charge for it.
    """

    atomic = False

    dependencies = [("billing", "0008_found_by_key")]

    operations = [
        AddIndexConcurrently("charge", models.Index(fields=["registration", "account"], name="charge_of_registration")),
        migrations.SeparateDatabaseAndState(
            [
                migrations.RunSQL(
                    "DROP INDEX CONCURRENTLY IF EXISTS billing_charge_registration_id_130f86ca",
                    "CREATE INDEX CONCURRENTLY billing_charge_registration_id_130f86ca ON billing_charge (registration_id)",
                )
            ],
            [
                migrations.AlterField(
                    "charge",
                    "registration",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="charges",
                        to="billing.taxregistration",
                    ),
                )
            ],
        ),
    ]
