"""What goes to PostgreSQL as a column comes back as it was."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import DataError
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.bulk import run_prepared
from apps.bulk.arrays import KINDS, Array

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
VALUES = {
    "boolean": st.booleans(),
    "bytea": st.binary(),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "text": TEXTS,
    "timestamptz": st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001
    "interval": st.timedeltas(timedelta(days=-(10**6)), timedelta(days=10**6)),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, places=10) | st.integers(),
    "uuid": st.uuids(),
}


def test_every_kind_is_tried():
    assert VALUES.keys() | {"jsonb"} == KINDS.keys()


@pytest.mark.django_db
@pytest.mark.parametrize("kind", VALUES)
def test_values_come_back(kind):
    @settings(max_examples=40, deadline=None, database=None)
    @given(st.lists(st.none() | VALUES[kind], max_size=20))
    def there_and_back(values):
        ((back,),) = run_prepared(f"SELECT %b::{kind}[]", [Array(kind, values)])
        assert back == values

    there_and_back()


@pytest.mark.django_db
def test_json_comes_back():
    ((back,),) = run_prepared("SELECT %b::jsonb[]", [Array("jsonb", ['{"a": 1.50}', None, "[]"])])
    assert back == [{"a": 1.5}, None, []]


@pytest.mark.django_db
def test_numbers_keep_their_places():
    ((back,),) = run_prepared("SELECT %b::numeric[]", [Array("numeric", [Decimal("1.50"), Decimal("1E+3"), 7])])
    assert [str(number) for number in back] == ["1.50", "1000", "7"]


@pytest.mark.django_db
def test_what_no_column_holds_is_refused():
    with pytest.raises(DataError):
        run_prepared("SELECT %b::text[]", [Array("text", ["\x00"])])
