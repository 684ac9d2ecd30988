from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("locations", "0001_initial")]

    operations = [
        AddIndexConcurrently(
            "location",
            models.Index(
                condition=models.Q(("vanished_at", None)), fields=["latitude", "longitude"], name="location_at"
            ),
        )
    ]
