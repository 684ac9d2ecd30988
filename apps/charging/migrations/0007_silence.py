from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('charging', '0006_preferences_validated'),
    ]

    operations = [
        migrations.AddField(
            model_name='session',
            name='asked_at',
            field=models.DateTimeField(blank=True, help_text='When its CPO was asked because it had fallen silent (SES-07).', null=True, verbose_name='asked for'),
        ),
    ]
