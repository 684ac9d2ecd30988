from django.db import migrations, models

WAITING = """\
UPDATE partners_quarantined kept SET owner = upper(party.country_code || '*' || party.party_id)
FROM partners_party party WHERE party.id = kept.party_id AND kept.code = 'WAIT' AND kept.state = 'OPEN'
"""
"""Without it they would not be taken once their party is approved."""


class Migration(migrations.Migration):
    dependencies = [("partners", "0010_agreements")]

    operations = [
        migrations.AddField(
            model_name="quarantined",
            name="owner",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Of whom it says that it is, where its sender does not speak for them: SE*LAD.",
                max_length=6,
            ),
        ),
        migrations.RunSQL(WAITING, migrations.RunSQL.noop),
    ]
