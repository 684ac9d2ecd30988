from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('charging', '0005_preferences'),
    ]

    operations = [
        ValidateConstraint(model_name='command', name='command_preferences_are_of_a_session'),
    ]
