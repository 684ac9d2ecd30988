from decimal import Decimal

from django.template import Library
from django.utils.formats import number_format

from apps.billing.exports.cells import plain

register = Library()


@register.filter
def amount(number: Decimal | None) -> str:
    """All its digits, as in the file, in groups of three."""
    return "–" if number is None else number_format(plain(number), force_grouping=True)
