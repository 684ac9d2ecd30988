from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [('charging', '0003_command')]

    operations = [
        AddIndexConcurrently(
            model_name='cdr',
            index=models.Index(fields=['party', 'received_at', 'id'], name='cdr_of_party'),
        ),
    ]
