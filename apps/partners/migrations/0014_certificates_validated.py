from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('partners', '0013_certificates'),
    ]

    operations = [
        ValidateConstraint(model_name='partner', name='partner_certificate_has_its_key'),
    ]
