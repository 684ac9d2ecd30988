"""The file that drivers are enrolled from: a CSV with one line per card. Read and checked here, not applied."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.drivers.contract_ids import problem_of
from apps.drivers.models import Account, Driver
from apps.tokens.models import Token

COLUMNS = (
    "account", "kind", "name", "street", "postal_code", "city", "country", "currency", "language", "vat_id",
    "organisation_no", "cost_centre", "email", "driver", "contract_id", "plan", "token_uid", "token_type",
    "visual_number", "whitelist", "valid", "valid_from",
)  # fmt: skip
NEEDED = ("account", "kind", "country", "currency", "driver", "token_uid")
YES, NO = {"true", "yes", "1"}, {"false", "no", "0"}
EXAMPLE = {
    "account": "Example AB", "kind": "company", "name": "Example AB", "street": "Storgatan 1", "postal_code": "111 22",
    "city": "Stockholm", "country": "SE", "currency": "SEK", "language": "sv", "vat_id": "SE556000000001",
    "organisation_no": "556000-0000", "cost_centre": "", "email": "anna@example.com", "driver": "Anna Andersson",
    "contract_id": "", "plan": "", "token_uid": "04A1B2C3D4E580", "token_type": "RFID", "visual_number": "EX-001",
    "whitelist": "ALLOWED", "valid": "true", "valid_from": "",
}  # fmt: skip


class Error(NamedTuple):
    """What keeps a line from being taken."""

    line: int
    column: str
    reason: str


@dataclass(frozen=True)
class Row:
    """A line that is right in itself. Text columns are "" and the others None where the file says nothing."""

    line: int
    account: str
    kind: str
    country: str
    currency: str
    driver: str
    token_uid: str
    name: str = ""
    street: str = ""
    postal_code: str = ""
    city: str = ""
    language: str = ""
    vat_id: str = ""
    organisation_no: str = ""
    cost_centre: str = ""
    email: str = ""
    contract_id: str = ""
    plan: str = ""
    token_type: str = ""
    visual_number: str = ""
    whitelist: str = ""
    valid: bool | None = None
    valid_from: datetime | None = None


@dataclass
class Sheet:
    """A file as read. `is_refused`: its header is wrong, so no line means what it seems to."""

    rows: list[Row] = field(default_factory=list)
    errors: list[Error] = field(default_factory=list)
    is_refused: bool = False


def template() -> str:
    """A file to fill in: the header and one line as an example."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerow(EXAMPLE)
    return text.getvalue()


def read(content: bytes) -> Sheet:
    """Read a file as people save it: comma, semicolon or tab, with or without a byte order mark."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Sheet(errors=[Error(line, "", "not UTF-8; save the file as CSV UTF-8")], is_refused=True)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    header = [name.strip().lower() for name in next(lines, [])]
    if problems := list(_header_problems(header)):
        return Sheet(errors=problems, is_refused=True)
    sheet, line = Sheet(), lines.line_num + 1
    for cells in lines:
        if any(cell.strip() for cell in cells):
            _read_line(sheet, line, header, cells)
        line = lines.line_num + 1
    return sheet


def check(values: dict[str, str], line: int = 1) -> Row | list[Error]:
    """One line, by column; also for a driver entered by hand. Every error, not only the first."""
    errors, cleaned = [], {}
    for column in COLUMNS:
        try:
            cleaned[column] = _clean(column, values.get(column, "").strip())
        except ValueError as error:
            errors.append(Error(line, column, str(error)))
    return errors or Row(line=line, **cleaned)


def _delimiter(text: str) -> str:
    header = text.partition("\n")[0]
    return max(",;\t", key=header.count)


def _header_problems(header: list[str]) -> Iterator[Error]:
    for place, name in enumerate(header):
        if name not in COLUMNS:
            yield Error(1, name, "unknown column" if name else f"column {place + 1} has no name")
        elif name in header[:place]:
            yield Error(1, name, "there twice")
    yield from (Error(1, name, "needed, and not there") for name in NEEDED if name not in header)


def _read_line(sheet: Sheet, line: int, header: list[str], cells: list[str]) -> None:
    if any(cell.strip() for cell in cells[len(header) :]):
        sheet.errors.append(Error(line, "", "more cells than the header has columns"))
        return
    checked = check(dict(zip(header, cells, strict=False)), line)
    if isinstance(checked, Row):
        sheet.rows.append(checked)
    else:
        sheet.errors.extend(checked)


def _clean(column: str, value: str):
    if not value:
        if column in NEEDED:
            raise ValueError("needed")
        return None if column in ("valid", "valid_from") else ""
    if not value.isprintable():
        raise ValueError("has a character that cannot be printed")
    longest = LONGEST.get(column)
    if longest and len(value) > longest:
        raise ValueError(f"longer than {longest} characters")
    return CLEANERS[column](value) if column in CLEANERS else value


def _choice(choices) -> Callable[[str], str]:
    by_name = {value.upper(): value for value in choices.values}

    def clean(value: str) -> str:
        if value.upper() not in by_name:
            raise ValueError(f"{value}: one of {', '.join(choices.values)}")
        return by_name[value.upper()]

    return clean


def _letters(length: int, case: Callable[[str], str], example: str) -> Callable[[str], str]:
    def clean(value: str) -> str:
        if len(value) != length or not (value.isascii() and value.isalpha()):
            raise ValueError(f"{value}: {length} letters, such as {example}")
        return case(value)

    return clean


def _email(value: str) -> str:
    try:
        validate_email(value)
    except ValidationError:
        raise ValueError(f"{value}: not an e-mail address") from None
    return value.lower()


def _contract_id(value: str) -> str:
    if problem := problem_of(value):
        raise ValueError(problem)
    return value


def _token_uid(value: str) -> str:
    if not value.isascii():
        raise ValueError("only letters, digits and signs of ASCII")
    return value


def _flag(value: str) -> bool:
    if value.lower() not in YES | NO:
        raise ValueError(f"{value}: true or false")
    return value.lower() in YES


def _moment(value: str) -> datetime:
    """A day begins at midnight UTC; a time without a zone is UTC."""
    try:
        is_day = len(value) <= len("2026-10-01")
        moment = datetime.combine(date.fromisoformat(value), time()) if is_day else datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value}: a day such as 2026-10-01, or a time in ISO 8601") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


CLEANERS: dict[str, Callable[[str], object]] = {
    "kind": _choice(Account.Kind),
    "country": _letters(2, str.upper, "SE"),
    "currency": _letters(3, str.upper, "SEK"),
    "language": _letters(2, str.lower, "sv"),
    "email": _email,
    "contract_id": _contract_id,
    "token_uid": _token_uid,
    "token_type": _choice(Token.Type),
    "whitelist": _choice(Token.Whitelist),
    "valid": _flag,
    "valid_from": _moment,
}


def _longest(model: type, column: str) -> int | None:
    return model._meta.get_field(column).max_length


LIKE_ACCOUNT = ("name", "street", "postal_code", "city", "vat_id", "organisation_no", "cost_centre", "email")

LONGEST = {
    "account": _longest(Account, "name"),
    "driver": _longest(Driver, "name"),
    "token_uid": _longest(Token, "uid"),
    "visual_number": _longest(Token, "visual_number"),
    **{column: _longest(Account, column) for column in LIKE_ACCOUNT},
}
