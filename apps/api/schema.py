"""The description of our own API (OpenAPI), made from the views and shapes by drf-spectacular."""

from functools import cache

import msgspec
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema

from .problems import CONTENT_TYPE
from .shapes import Problem

JSON = "application/json"


def described(operation: str, tells, *, asks=None, status: int = 200, media_type: str = JSON, **how):
    """What an endpoint tells, what it asks for in the URL, and `takes` in the body; all else is a problem document."""
    said = OpenApiTypes.BINARY if tells is bytes else tells
    answers = {(status, media_type): said, ("default", CONTENT_TYPE): Problem}
    return extend_schema(
        operation_id=operation, parameters=[asks] if asks else None, request=how.get("takes"), responses=answers
    )


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "apps.api.frame.Bearer"
    name = "key"

    def get_security_definition(self, auto_schema):
        return {"type": "http", "scheme": "bearer"}


def ours(endpoints):
    """What is under /api/: OCPI is described elsewhere, and pages are for people (PREPROCESSING_HOOKS)."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/")]


@cache
def description() -> bytes:
    """For everybody the same, and made once."""
    return msgspec.json.encode(SchemaGenerator().get_schema(request=None, public=True))
