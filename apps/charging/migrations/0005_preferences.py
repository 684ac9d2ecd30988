from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):

    dependencies = [
        ('charging', '0004_cdr_of_party'),
    ]

    operations = [
        migrations.AddField(
            model_name='command',
            name='preferences',
            field=models.JSONField(blank=True, help_text='The canonical ChargingPreferences (SES-08).', null=True),
        ),
        migrations.AlterField(
            model_name='command',
            name='kind',
            field=models.CharField(choices=[('START_SESSION', 'start'), ('STOP_SESSION', 'stop'), ('UNLOCK_CONNECTOR', 'unlock'), ('RESERVE_NOW', 'reserve'), ('CANCEL_RESERVATION', 'cancel a reservation'), ('SET_PREFERENCES', 'charging preferences')], max_length=18),
        ),
        migrations.AlterField(
            model_name='command',
            name='session',
            field=models.ForeignKey(blank=True, help_text='The one to stop, the one that proves it, or whose preferences these are.', null=True, on_delete=models.deletion.PROTECT, related_name='commands', to='charging.session'),
        ),
        AddConstraintNotValid(
            model_name='command',
            constraint=models.CheckConstraint(
                condition=Q(kind='SET_PREFERENCES', session__isnull=False, preferences__isnull=False)
                | ~Q(kind='SET_PREFERENCES') & Q(preferences__isnull=True),
                name='command_preferences_are_of_a_session',
            ),
        ),
    ]
