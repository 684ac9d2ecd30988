from django.contrib.postgres.indexes import HashIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Upper


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('partners', '0002_alarms_and_claims'),
    ]

    operations = [
        migrations.AddField(
            model_name='exchange',
            name='object_id',
            field=models.TextField(blank=True, db_default='', default='', help_text='Its id; of a card the mark that stands for it.', verbose_name='object'),
        ),
        AddIndexConcurrently(
            model_name='exchange',
            index=models.Index(Upper('object_id'), F('id').desc(), condition=~Q(object_id=''), name='exchange_of_object'),
        ),
        AddIndexConcurrently(
            model_name='exchange',
            index=HashIndex(fields=['request_id'], name='exchange_of_request'),
        ),
        AddIndexConcurrently(
            model_name='exchange',
            index=HashIndex(fields=['correlation_id'], name='exchange_of_correlation'),
        ),
    ]
