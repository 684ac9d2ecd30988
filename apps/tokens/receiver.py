"""Tokens: the list of ours, and the question whether a card may charge (mod_tokens, Sender Interface)."""

from urllib.parse import urlencode

from django.conf import settings
from rest_framework.response import Response

from apps.ocpi.envelope import page_headers
from apps.ocpi.errors import InvalidObject, NotEnoughInformation, Problem, UnknownObject, UnknownToken
from apps.partners.receiver import PartnerView
from apps.partners.scope import key_of

from .authorization import authorize
from .cards import describe
from .guessing import note_unknown
from .listing import MOST, read_page
from .models import Token

TYPES = frozenset(Token.Type.values)


class TokenList(PartnerView):
    """GET: all tokens, also those that may not charge; a page at a time."""

    module = "tokens"
    paced_as = "lists"

    def get(self, request, version):
        page = read_page(request.query_params, self.partner.pk, self.now)
        next_url = None
        if page.next_query:
            next_url = f"{settings.PUBLIC_URL}{request.path}?{urlencode(page.next_query)}"
        nulls = self.partner.nulls
        tokens = [version.write("token", describe(card, self.us), nulls=nulls) for card in page.cards]
        return Response(tokens, headers=page_headers(page.total, MOST, next_url))


class Authorize(PartnerView):
    """POST: may this card charge? The body, which place is meant, may be left out unless staff want it (TOK-04).

    Some name our party in the URL, as in those of other tokens; it must be ours then.
    """

    module = "tokens"
    paced_as = "authorize"
    log = False  # the Authorization row is the record (decision 25)

    def post(self, request, version, token_uid, **owner):
        if owner and key_of(**owner) != self.us.key:
            raise UnknownObject("This party is not served here", status_code=2001)
        if self.partner.wants_place and not self.body.strip():
            raise NotEnoughInformation("Say at which location: location_id is wanted with every authorization")
        answer = authorize(
            partner_id=self.partner.pk,
            uid=token_uid,
            token_type=token_type(request.query_params),
            references=version.read_location_references(self.body).object if self.body.strip() else None,
            now=self.now,
        )
        if answer.card is None:
            note_unknown(self.partner.pk, self.now)
            raise UnknownToken("This token is not known here")
        return Response(version.write("authorization", answer.as_object(self.us), nulls=self.partner.nulls))


def token_type(query) -> str:
    """2.1.1 calls the parameter `type` in one place and `token_type` in another (TOK-02)."""
    asked = (query.get("type") or query.get("token_type") or Token.Type.RFID).upper()
    if asked not in TYPES:
        raise InvalidObject([Problem("type", f"{asked} is not a type of token")])
    return asked
