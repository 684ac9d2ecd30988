from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('partners', '0011_owner_of_quarantined'),
    ]

    operations = [
        migrations.AlterField(
            model_name='feed',
            name='module',
            field=models.CharField(choices=[('tariffs', 'tariffs'), ('locations', 'locations'), ('sessions', 'sessions'), ('cdrs', 'CDRs'), ('hubclientinfo', 'parties behind a hub'), ('invoicereconciliation', 'what invoices are for')], max_length=30),
        ),
    ]
