"""All numbers of all tables, so that a new column is looked at without anybody thinking of it (trust I14, S28)."""

from collections.abc import Iterator

from django.apps import apps
from django.db.models import DecimalField, Model

LARGEST = 10**20 - 1


def _tables() -> Iterator[tuple[type[Model], list[str]]]:
    for model in apps.get_models():
        columns = [field.column for field in model._meta.concrete_fields if isinstance(field, DecimalField)]
        if columns:
            yield model, columns


def _out_of_range(model: type[Model], columns: list[str]) -> str:
    """NaN sorts above every number, so it is the greatest."""
    numbers = ", ".join(f"abs({column})" for column in columns)
    key, table = model._meta.pk.column, model._meta.db_table
    return f"SELECT '{table} ' || {key}, 'has a number that is none' FROM {table} WHERE greatest({numbers}) > {LARGEST}"


OUT_OF_RANGE = " UNION ALL ".join(_out_of_range(model, columns) for model, columns in _tables())
