"""What we and a simulated charge point operator do together."""

from django.utils import timezone

from apps.charging.pull import CDRS, SESSIONS
from apps.locations.pull import PULL as LOCATIONS
from apps.ocpi.objects import Party
from apps.partners import handshake, ourselves
from apps.partners.models import Partner
from apps.partners.pull import pull_partner
from apps.tariffs.pull import PULL as TARIFFS
from apps.tokens.push import push_partner

VERSIONS = ("2.1.1", "2.2.1", "2.3.0")
LAD = Party("SE", "LAD")


def they_begin(cpo):
    invitation = handshake.invite("CPO", LAD, timezone.now(), is_private=True)
    answer = cpo.register(invitation.versions_url, invitation.token)
    assert answer.is_ok, answer
    return Partner.objects.get()


def we_begin(cpo):
    return handshake.connect("CPO", cpo.versions_url, cpo.token_a(), timezone.now(), is_private=True)


def pull(partner, what):
    told = pull_partner(what, partner, timezone.now())
    assert (told["complete"], told["error"]) == (True, ""), told
    return told


def pull_all(partner):
    return {what.module: pull(partner, what) for what in (TARIFFS, LOCATIONS, SESSIONS, CDRS)}


def push(partner):
    return push_partner(partner, timezone.now(), ourselves.us())
