"""VAT rates to begin with, unconfirmed: nothing is issued before somebody of finance has looked each one up (BIL-57).

Standard rates as of 2026-09-29 from the package eu-vat-rates-data 2026.9.29 (the Commission's TEDB), which has no
history. When they began was written from knowledge, where the source does not name another.
"""

from datetime import date

from django.db import migrations

TEDB = "EU Commission, TEDB, by eu-vat-rates-data 2026.9.29; first day from general knowledge, not looked up"
FINLAND = "Rate: EU Commission, TEDB, by eu-vat-rates-data 2026.9.29. Raised from 24 % on 2024-09-01 (secondary source)"
GERMANY = "General knowledge, not looked up: 16 % from 2020-07-01 to 2020-12-31, 19 % before and after"

RATES = (
    ("SE", "25", date(1990, 7, 1), None, TEDB),
    ("DE", "19", date(2007, 1, 1), date(2020, 7, 1), GERMANY),
    ("DE", "16", date(2020, 7, 1), date(2021, 1, 1), GERMANY),
    ("DE", "19", date(2021, 1, 1), None, f"{TEDB}. {GERMANY}"),
    ("FI", "24", date(2013, 1, 1), date(2024, 9, 1), FINLAND),
    ("FI", "25.5", date(2024, 9, 1), None, FINLAND),
    ("DK", "25", date(1992, 1, 1), None, TEDB),
)
SUPPLIES = ("electricity", "service")
"""Charging and access fees are taxed alike in these countries; a country where they are not gets rows of its own."""


def seed(apps, schema_editor):
    rate = apps.get_model("billing", "VatRate")
    rate.objects.bulk_create(
        rate(country=country, supply=supply, rate=percent, valid_from=first, valid_until=until, source=source)
        for country, percent, first, until, source in RATES
        for supply in SUPPLIES
    )


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
