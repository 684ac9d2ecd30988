"""Pages as PDF/A by Typst, from ready worded data and with fonts of our own: the same on every machine (BIL-80)."""

import json
from functools import cache
from pathlib import Path
from threading import Lock

import typst
from django.conf import settings

STANDARD = "a-3b"
"""PDF/A-3: readable in ten years, and it may carry the e-invoice that comes later."""

NO_GLYPH = "could not be displayed"
OURS = ((0x20, 0x4FF), (0x1E00, 0x1FFF), (0x2010, 0x2027), (0x2030, 0x205E), (0x2070, 0x20C0), (0x2200, 0x22FF))
"""Ranges of which our fonts have every letter: Latin, Greek, Cyrillic, marks and signs."""
BLANKS = "\n\u00a0\u2009\u202f"


def typeset(template: Path, page: dict) -> bytes:
    """The template finds `page` as JSON in `sys.inputs.data`."""
    try:
        return _compiled(template, page)
    except typst.TypstError as error:
        if NO_GLYPH not in str(error):
            raise
        return _compiled(template, in_our_letters(page))


def in_our_letters(said):
    """What our fonts lack as U+FFFD: PDF/A allows no missing letter, and an emoji in the name of a place must not keep
    an issued invoice from its customer (trust S37)."""
    if isinstance(said, dict):
        return {name: in_our_letters(part) for name, part in said.items()}
    if isinstance(said, (list, tuple)):
        return [in_our_letters(part) for part in said]
    return _lettered(said) if isinstance(said, str) else said


def _lettered(text: str) -> str:
    return "".join(letter if _is_ours(letter) else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _is_ours(letter: str) -> bool:
    code = ord(letter)
    return letter in BLANKS or (letter.isprintable() and any(first <= code <= last for first, last in OURS))


def _compiled(template: Path, page: dict) -> bytes:
    with _one_at_a_time:
        return _compiler(template).compile(sys_inputs={"data": json.dumps(page)}, pdf_standards=STANDARD)


@cache
def _compiler(template: Path) -> typst.Compiler:
    """Of this process: it has read fonts and template."""
    fonts = typst.Fonts(include_system_fonts=False, font_paths=[str(settings.BASE_DIR / "templates" / "fonts")])
    return typst.Compiler(str(template), root=str(template.parent), font_paths=fonts)


_one_at_a_time = Lock()
