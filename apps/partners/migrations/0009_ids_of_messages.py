"""A partner may give all its messages one id: a hash index is slow then, the more of them there are the slower."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


def again(name, field):
    return [
        RemoveIndexConcurrently(model_name='exchange', name=name),
        AddIndexConcurrently(model_name='exchange', index=models.Index(fields=[field], name=name)),
    ]


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('partners', '0008_clients'),
    ]

    operations = [
        *again('exchange_of_request', 'request_id'),
        *again('exchange_of_correlation', 'correlation_id'),
        migrations.AlterField(
            model_name='quarantined',
            name='module',
            field=models.CharField(max_length=30),
        ),
    ]
