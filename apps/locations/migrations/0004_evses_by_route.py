from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

SHOWN_AS_ANOTHER = models.Q(("same_as", None), _negated=True)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("locations", "0003_evse_same_as")]

    operations = [
        AddIndexConcurrently(
            "evse", models.Index(fields=["same_as"], name="evse_same_as", condition=SHOWN_AS_ANOTHER)
        ),
        AddIndexConcurrently(
            "evse", models.Index(fields=["location"], name="evse_shown_as_another", condition=SHOWN_AS_ANOTHER)
        ),
    ]
