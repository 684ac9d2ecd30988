"""The frame of every endpoint of our own API: whose key it is, how often it calls, what it may send, and pages of a list.

A view reads what was asked for, makes one call, and returns a Response; refusals are exceptions, see `problems`.
"""

from http import HTTPStatus
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.db.models import Model, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from apps import pace

from . import ids, keys, problems, schema

BODY_LIMIT = 16 * 1024
USUAL_PACE = pace.Limit(20, 100)
"""Calls of a key a second in the long run, and at once; `ApiKey.pace` is how many times as many it may."""


class Bearer(BaseAuthentication):
    """The key in the Authorization header. Whoever has none is a stranger, whatever the reason (trust S5, S42)."""

    def authenticate(self, request):
        scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        key = keys.find(secret.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            if wait := pace.PACE.wait(("stranger", pace.network_of(request.origin)), pace.STRANGERS):
                raise exceptions.Throttled(wait)
            raise exceptions.AuthenticationFailed("No valid API key")
        keys.note_use(key, timezone.now())
        return None, key

    def authenticate_header(self, request):
        return "Bearer"


class MayAct(BasePermission):
    message = "This key is for reading only"

    def has_permission(self, request, view):
        return request.auth.may_act or not view.acts


class KeyPace(BaseThrottle):
    """From all processes together (trust S42)."""

    def allow_request(self, request, view):
        self.seconds = pace.PACE.wait(("api", request.auth.pk), USUAL_PACE.times(request.auth.pace))
        return not self.seconds

    def wait(self):
        return self.seconds


class Json(BaseParser):
    """A small JSON body, whatever its sender calls it (trust S25, S27)."""

    media_type = "*/*"

    def parse(self, stream, media_type=None, parser_context=None):
        body = stream.read(BODY_LIMIT + 1)
        if len(body) > BODY_LIMIT:
            raise problems.TooLarge(f"More than {BODY_LIMIT} bytes")
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise exceptions.ParseError(f"The body is no JSON: {error}") from error


class AlwaysJson(BaseContentNegotiation):
    """There is one form of each answer, so nobody is asked which he likes."""

    def select_parser(self, request, parsers):
        return parsers[0]

    def select_renderer(self, request, renderers, format_suffix=None):
        return renderers[0], renderers[0].media_type


class ApiView(APIView):
    """An endpoint for our own app and web site: `key` is who calls, `now` when. One that `acts` needs a key that may."""

    acts = False
    authentication_classes = (Bearer,)
    permission_classes = (MayAct,)
    throttle_classes = (KeyPace,)
    parser_classes = (Json,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AlwaysJson
    http_method_names = ("get", "post")

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        self.now, self.key = timezone.now(), request.auth

    def get_exception_handler(self):
        return problems.foreseen

    def read(self, shape, given) -> dict:
        """What was sent, as a shape wants it; ValidationError names each field that is not."""
        read = shape(data=given, context={"key": self.key})
        read.is_valid(raise_exception=True)
        return read.validated_data

    def only(self, rows: QuerySet, written: str) -> Model:
        """The row of an id in the URL; NotFound for nobody's and for what the key may not see alike (trust S15)."""
        return self.one(rows.filter(pk=ids.read(rows.model, written)))

    def one(self, rows: QuerySet) -> Model:
        found = rows.first()
        if found is None:
            raise exceptions.NotFound(f"There is no such {rows.model._meta.verbose_name}")
        return found

    def page(self, rows: QuerySet, asked: dict, shape, **context) -> Response:
        """So many rows from an offset, and where it goes on."""
        start, limit = asked["offset"], asked["limit"]
        found = list(rows[start : start + limit + 1])
        following = self._address(offset=start + limit) if len(found) > limit else None
        return Response({"items": shape(found[:limit], many=True, context=context).data, "next": following})

    def _address(self, **changes) -> str:
        """This list with other parameters; our URLs come from the settings (decision 5)."""
        asked = self.request.query_params.dict() | changes
        return f"{settings.PUBLIC_URL}{self.request.path}?{urlencode(asked)}"

    def accepted(self, content: dict, address: str) -> Response:
        """Somebody else does it; the address tells how far that is."""
        headers = {"Location": f"{settings.PUBLIC_URL}{address}", "Retry-After": "1"}
        return Response(content, status=HTTPStatus.ACCEPTED, headers=headers)


class Schema(ApiView):
    @schema.described("schema", OpenApiTypes.OBJECT)
    def get(self, request):
        """This description."""
        return HttpResponse(schema.description(), content_type=schema.JSON)
