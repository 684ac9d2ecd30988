"""Months and days as the company's calendar has them: its time zone says when a month is over (BIL-60)."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from .models import LegalEntity


def today_of(company: LegalEntity, now: datetime) -> date:
    return now.astimezone(ZoneInfo(company.time_zone)).date()


def month_after(period: date) -> date:
    """The first day of the month after the one that begins on `period`.

    >>> month_after(date(2026, 12, 1))
    datetime.date(2027, 1, 1)
    """
    return date(period.year + period.month // 12, period.month % 12 + 1, 1)


def end_of_month(company: LegalEntity, period: date) -> datetime:
    """The first moment that is no longer in the month."""
    return datetime.combine(month_after(period), time(), ZoneInfo(company.time_zone))
