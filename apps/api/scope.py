"""What a key may see: everything that is a driver's, or what is its one account's. The only such rule of the API.

What a key may not see is to it as if it were not (trust S15).
"""

from django.db.models import OuterRef, Q, QuerySet, Subquery

from apps.billing.models import Invoice
from apps.charging.models import Command, Session
from apps.drivers.models import Account, Contract, Driver
from apps.locations.models import Evse, Location
from apps.tokens.models import Token

from .models import ApiKey

OF_SESSIONS = (Command.Kind.STOP_SESSION, Command.Kind.SET_PREFERENCES)


def drivers(key: ApiKey) -> QuerySet[Driver]:
    return Driver.objects.filter(_of(key, "account"))


def contracts(key: ApiKey) -> QuerySet[Contract]:
    return Contract.objects.filter(_of(key, "driver__account"))


def tokens(key: ApiKey) -> QuerySet[Token]:
    return Token.objects.filter(_of(key, "contract__driver__account")).select_related("contract__driver")


def sessions(key: ApiKey) -> QuerySet[Session]:
    """Of drivers, each with `place` and `evse`, our rows of where it is, if we know them."""
    place = Location.objects.filter(party=OuterRef("party"), ocpi_id__iexact=OuterRef("location_id"))
    evse = Evse.objects.filter(location=OuterRef("place"), uid__iexact=OuterRef("evse_uid"))
    rows = Session.objects.filter(_of(key, "token__contract__driver__account"), token__isnull=False)
    named = rows.annotate(place=Subquery(place.values("pk")[:1])).annotate(evse=Subquery(evse.values("pk")[:1]))
    return named.select_related("party", "token__contract").defer("body", "details", "told")


def commands(key: ApiKey) -> QuerySet[Command]:
    """Starts and stops of drivers, and what they prefer, whoever asked for it."""
    starts = Q(kind=Command.Kind.START_SESSION) & _of(key, "token__contract__driver__account")
    others = Q(kind__in=OF_SESSIONS, session__token__isnull=False)
    return Command.objects.filter(starts | others & _of(key, "session__token__contract__driver__account"))


def invoices(key: ApiKey) -> QuerySet[Invoice]:
    """Of people; of a company only to its own key, because its documents say where each of its drivers was."""
    of_people = Q(account__kind=Account.Kind.PRIVATE) if key.account_id is None else Q(account=key.account_id)
    return Invoice.objects.filter(of_people)


def _of(key: ApiKey, account: str) -> Q:
    return Q() if key.account_id is None else Q(**{account: key.account_id})
