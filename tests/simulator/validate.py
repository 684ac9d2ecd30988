"""Reads bodies against the schemas beside it, which were made from the tables of OCPI 2.2.1.

Only the words of JSON Schema that those schemas use; an unknown word is an error, so that nothing is skipped.
"""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

SCHEMAS = {path.name: json.loads(path.read_text()) for path in (Path(__file__).parent / "schemas").glob("*.json")}
IGNORED = {"$schema", "$id", "title", "$defs"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}


def problems(body: Any, name: str, is_partial: bool = False) -> list[str]:
    """Everything wrong with a body; of a PATCH the required fields of the whole object are not asked."""
    schema = SCHEMAS[f"{name}.json"]
    if is_partial:
        schema = schema | {"required": ["last_updated"]}
    return list(_problems(body, schema, ""))


def _problems(body: Any, schema: dict[str, Any], path: str):
    for word, limit in schema.items():
        if word not in IGNORED:
            yield from CHECKS[word](body, limit, path, schema)


def _reference(body, limit, path, schema):
    file, _, pointer = limit.partition("#/$defs/")
    target = SCHEMAS[file]
    yield from _problems(body, target["$defs"][pointer] if pointer else target, path)


def _type(body, limit, path, schema):
    if limit in ("number", "integer"):
        is_right = (
            isinstance(body, int | Decimal) and not isinstance(body, bool) and (limit == "number" or body == int(body))
        )
    else:
        is_right = isinstance(body, TYPES[limit])
    if not is_right:
        yield f"{path}: {body!r} is no {limit}"


def _required(body, limit, path, schema):
    yield from (f"{path}/{name}: missing" for name in limit if name not in body)


def _properties(body, limit, path, schema):
    for name in set(body) & set(limit):
        yield from _problems(body[name], limit[name], f"{path}/{name}")


def _nothing_else(body, limit, path, schema):
    yield from (f"{path}/{name}: not in the table" for name in set(body) - set(schema["properties"]))


def _items(body, limit, path, schema):
    for number, item in enumerate(body):
        yield from _problems(item, limit, f"{path}/{number}")


def _when(is_wrong):
    def check(body, limit, path, schema):
        if is_wrong(body, limit):
            yield f"{path}: {body!r} against {limit!r}"

    return check


CHECKS = {
    "$ref": _reference,
    "type": _type,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _nothing_else,
    "items": _items,
    "minItems": _when(lambda body, limit: len(body) < limit),
    "maxLength": _when(lambda body, limit: len(body) > limit),
    "maximum": _when(lambda body, limit: body > limit),
    "pattern": _when(lambda body, limit: not re.search(limit, body)),
    "enum": _when(lambda body, limit: body not in limit),
}
