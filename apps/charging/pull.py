"""What is pulled of sessions and CDRs: what was not pushed, and what we did not take (CDR-09, SES-07)."""

from datetime import UTC, datetime, timedelta

from apps.charging import intake, store
from apps.partners.pull import Pull

SESSIONS = Pull(store.INTAKE, again_since=timedelta(days=2), beginning=datetime(2015, 1, 1, tzinfo=UTC))
"""A list of sessions must be asked for from a date; OCPI is no older than this one (mod_sessions, GET Method)."""

CDRS = Pull(intake.INTAKE, again_since=timedelta(days=35))
"""CPOs may deliver monthly, with the day of the session for a date."""
