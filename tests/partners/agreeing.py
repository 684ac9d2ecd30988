"""Agreements with parties, for whoever needs one."""

from datetime import date

from apps.partners.models import Agreement

LONG_AGO = date(2020, 1, 1)


def agree(party, **values):
    """One that holds since long ago, by the party's own connection, and says what `values` do."""
    return Agreement.objects.create(**{"party": party, "partner": party.partner, "valid_from": LONG_AGO} | values)
