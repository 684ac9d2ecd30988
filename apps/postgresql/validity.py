from django.contrib.postgres.fields import DateRangeField
from django.db.models import Func


class Validity(Func):
    """The half-open range of days that two columns span, for exclusion constraints."""

    function = "DATERANGE"
    output_field = DateRangeField()
