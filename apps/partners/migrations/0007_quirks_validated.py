from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('partners', '0006_quirks'),
    ]

    operations = [
        ValidateConstraint(model_name='partner', name='partner_page_size'),
        ValidateConstraint(model_name='partner', name='partner_longest_range'),
        ValidateConstraint(model_name='partner', name='partner_next_pages_at'),
    ]
