from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('partners', '0004_wants_place'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='quarantined',
            index=models.Index(fields=['partner', 'module', 'first_seen_at', 'id'], name='quarantined_of_partner'),
        ),
    ]
