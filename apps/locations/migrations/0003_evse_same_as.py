import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("locations", "0002_location_at")]

    operations = [
        migrations.AddField(
            model_name="evse",
            name="same_as",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                editable=False,
                help_text="The same EVSE by the route that is preferred; empty where it is shown itself (routes.py).",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="others",
                to="locations.evse",
            ),
        ),
    ]
