"""Reads bodies against the schemas beside it, which were made from the tables of each version of OCPI.

Only the words of JSON Schema that those schemas use; an unknown word is an error, so that nothing is skipped.
"""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

SCHEMAS = {
    folder.name: {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}
    for folder in (Path(__file__).parent / "schemas").iterdir()
}
IGNORED = {"$schema", "$id", "title", "$defs"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}


class Schemas(NamedTuple):
    """Those of one version, by file."""

    files: dict[str, Any]

    def problems(self, body: Any, schema: dict[str, Any], path: str = ""):
        for word, limit in schema.items():
            if word not in IGNORED:
                yield from CHECKS[word](body, limit, path, schema, self)

    def at(self, reference: str) -> dict[str, Any]:
        file, _, pointer = reference.partition("#/$defs/")
        return self.files[file]["$defs"][pointer] if pointer else self.files[file]


def problems(body: Any, name: str, is_partial: bool = False, version: str = "2.2.1") -> list[str]:
    """Everything wrong with a body; of a PATCH the required fields of the whole object are not asked."""
    schemas = Schemas(SCHEMAS[version])
    schema = schemas.at(f"{name}.json")
    if is_partial:
        schema = schema | {"required": ["last_updated"]}
    return list(schemas.problems(body, schema))


def _reference(body, limit, path, schema, schemas):
    yield from schemas.problems(body, schemas.at(limit), path)


def _type(body, limit, path, schema, schemas):
    if limit in ("number", "integer"):
        is_right = (
            isinstance(body, int | Decimal) and not isinstance(body, bool) and (limit == "number" or body == int(body))
        )
    else:
        is_right = isinstance(body, TYPES[limit])
    if not is_right:
        yield f"{path}: {body!r} is no {limit}"


def _required(body, limit, path, schema, schemas):
    yield from (f"{path}/{name}: missing" for name in limit if name not in body)


def _properties(body, limit, path, schema, schemas):
    for name in set(body) & set(limit):
        yield from schemas.problems(body[name], limit[name], f"{path}/{name}")


def _nothing_else(body, limit, path, schema, schemas):
    yield from (f"{path}/{name}: not in the table" for name in set(body) - set(schema["properties"]))


def _items(body, limit, path, schema, schemas):
    for number, item in enumerate(body):
        yield from schemas.problems(item, limit, f"{path}/{number}")


def _when(is_wrong):
    def check(body, limit, path, schema, schemas):
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
