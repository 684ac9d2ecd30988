"""Lists by month."""

from datetime import date

from django.contrib import admin
from django.utils import timezone


def last_months(count: int) -> list[date]:
    today = timezone.localdate()
    months = [today.year * 12 + today.month - 1 - back for back in range(count)]
    return [date(month // 12, month % 12 + 1, 1) for month in months]


class PeriodFilter(admin.SimpleListFilter):
    """By month; the months come from the calendar and not from a walk through all rows."""

    title = "period"
    parameter_name = "period"

    def lookups(self, request, model_admin):
        return [(f"{month:%Y-%m}", f"{month:%Y-%m}") for month in last_months(18)]

    def queryset(self, request, queryset):
        chosen = {f"{month:%Y-%m}": month for month in last_months(18)}.get(self.value())
        return queryset.filter(period=chosen) if chosen else queryset
