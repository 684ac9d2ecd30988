"""The examples of the specification, where they are beside the project: how each of them is to be read.

2.2.1 and 2.3.0 come as files; those of 2.1.1 stand in the text of its chapters, in a copy of its repository.
"""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

BESIDE = Path(__file__).parents[3]
FILES = BESIDE / "shared/data/ocpi-examples"
TEXTS = BESIDE / ".mirror/ocpi+ocpi/repo"

KINDS = {
    "cdr_example": "cdr",
    "credentials_example": "credentials",
    "location_energymix": "location_patch",
    "location_example": "location",
    "location_hours": "hours",
    "location_patch_example_location": "location_patch",
    "location_patch_example_remove_evse": "evse_patch",
    "location_patch_example_status": "evse_patch",
    "location_patch_example_tariff": "connector_patch",
    "location_put_example_add_evse": "evse",
    "location_regularhours": "location_patch",
    "session_example": "session",
    "session_patch": "session_patch",
    "tariff": "tariff",
    "token_example": "token",
    "token_put": "token",
    "token_patch": "token_patch",
    "transport_and_format_get_token_example": "answer",
    "transport_and_format_get_token_list": "answer",
    "transport_and_format_version": "answer",
    "type_displaytext": "display_text",
    "version_details": "version_details",
    "versions_info": "versions",
}

CHAPTERS = {
    "credentials": ["credentials"],
    "mod_cdrs": ["cdr"],
    "mod_locations": [
        *("evse_patch", "location_patch", "connector_patch", "evse", "evse_patch", "location"),
        *("location_patch", "location_patch", "location_patch", "location_patch"),
    ],
    "mod_sessions": ["session_patch", "session", "session"],
    "mod_tariffs": ["tariff"] * 7,
    "mod_tokens": ["token", "token_patch", "token"],
    "transport_and_format": ["answer"] * 5,
    "version_information_endpoint": ["versions", "version_details"],
}
"""What the JSON blocks of the chapters of 2.1.1 are, in their order."""


class Example(NamedTuple):
    version: str
    name: str
    kind: str
    body: bytes

    def __str__(self) -> str:
        return f"{self.version}/{self.name}"


@cache
def examples() -> list[Example]:
    """All that are here; none where the project stands alone."""
    files = [
        Example(path.parent.name, path.stem, kind_of(path.stem), path.read_bytes())
        for path in sorted(FILES.glob("*/*.json"))
    ]
    return files + [example for chapter, kinds in CHAPTERS.items() for example in _of_chapter(chapter, kinds)]


def kind_of(name: str) -> str:
    """The longest beginning counts; a name that none fits is an error, so that nothing is skipped."""
    return KINDS[max((beginning for beginning in KINDS if name.startswith(beginning)), key=len)]


def _of_chapter(chapter: str, kinds: list[str]) -> list[Example]:
    blocks = [block for block in re.findall(r"```(?:json)?\n(.*?)```", _text(chapter), re.DOTALL) if _body(block)]
    assert len(blocks) in (0, len(kinds)), f"{chapter} has {len(blocks)} examples"
    names = [f"{chapter}_{number}" for number in range(1, len(blocks) + 1)]
    return [Example("2.1.1", name, kind, _body(block)) for name, kind, block in zip(names, kinds, blocks, strict=False)]


def _body(block: str) -> bytes | None:
    """Some stand below the URL they are sent to, some are a field without its object."""
    text = block[block.find("\n\n") :] if block.startswith(("PUT To", "PATCH To")) else block
    for body in (text, f"{{{text}}}"):
        try:
            json.loads(body)
        except ValueError:
            continue
        return body.strip().encode()
    return None


def _text(chapter: str) -> str:
    if not TEXTS.is_dir():
        return ""
    told = subprocess.run(
        ["git", f"--git-dir={TEXTS}", "show", f"release-2.1.1-bugfixes:{chapter}.md"], capture_output=True, check=False
    )
    return told.stdout.decode() if told.returncode == 0 else ""
