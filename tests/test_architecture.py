"""Rules of the layout that no import shows (architecture 4.3, 4.8). What imports show is in pyproject.toml."""

import ast
import re
import statistics
from pathlib import Path

import pytest
from django.apps import apps
from django.db.models import FloatField

from emsp import local

MEDIAN_LINES = 8
MOST_LINES = 50
VERSIONS = ("2.1.1", "2.2", "2.2.1", "2.3.0")
HOMELESS = {"services", "selectors", "utils", "helpers", "common", "core", "misc"}


def sources(*folders: str) -> list[Path]:
    """Our code: no migrations, which Django wrote."""
    found = [file for folder in folders or ("apps", "emsp") for file in local.PROJECT.glob(f"{folder}/**/*.py")]
    return sorted(file for file in found if "migrations" not in file.parts)


def name_of(file: Path) -> str:
    return file.relative_to(local.PROJECT).as_posix()


SOURCES = sources()


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {name_of(file): ast.parse(file.read_text()) for file in SOURCES}


def documentation(tree: ast.Module) -> set[int]:
    """Ids of the nodes that only speak to readers."""
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def test_only_the_protocol_knows_versions(trees):
    found = []
    for name, tree in trees.items():
        if name.startswith(("apps/ocpi/", "apps/simulator/", "emsp/demo/cast")):  # other companies' platforms
            continue
        prose = documentation(tree)
        found += [
            f"{name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and node.value in VERSIONS and id(node) not in prose
        ]
    assert found == []


def importers(trees, *modules: str) -> set[str]:
    return {name for name, tree in trees.items() if imported(tree) & set(modules)}


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_only_the_client_and_the_simulator_call_other_machines(trees):
    allowed = {"apps/ocpi/client.py", *(name for name in trees if name.startswith("apps/simulator/"))}
    assert importers(trees, "httpx", "requests", "aiohttp", "urllib3", "http") <= allowed | enumerations(trees)


def enumerations(trees) -> set[str]:
    """`from http import HTTPStatus` is a list of numbers, not a client."""
    return {
        name
        for name, tree in trees.items()
        if all(
            [alias.name for alias in node.names] == ["HTTPStatus"]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "http"
        )
        and not imported(tree) & {"httpx", "requests", "aiohttp", "urllib3"}
    }


def test_only_settings_and_the_modes_read_the_environment(trees):
    readers = {
        name
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"} and not is_setdefault(tree, node)
    }
    assert readers == {"emsp/settings.py", "emsp/local.py"}


def is_setdefault(tree: ast.Module, environ: ast.Attribute) -> bool:
    """Telling Django where the settings are is no reading."""
    return any(
        isinstance(node, ast.Attribute) and node.attr == "setdefault" and node.value is environ
        for node in ast.walk(tree)
    )


def test_no_column_is_a_float():
    columns = [field for model in apps.get_models() for field in model._meta.get_fields()]
    assert [str(column) for column in columns if isinstance(column, FloatField)] == []


def test_work_is_rung_in_one_place(trees):
    """`.delay` inside a transaction runs before what it is about is there; `work.ring` waits for the commit."""
    callers = {
        f"{name}:{node.lineno}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"delay", "apply_async", "delay_on_commit", "send_task"}
    }
    assert {caller.split(":")[0] for caller in callers} == {"apps/work.py"}


def test_rooms_are_told_the_time(trees):
    """A room that reads the clock cannot be tried on another day."""
    doors = re.compile(
        r"(receiver|views|admin|tasks|middleware|models|client|exchanges|forms)\.py$|"
        r"^emsp/|^apps/simulator/|^apps/api/frame|/models/|/admin/"
    )
    readers = {
        f"{name}:{node.lineno}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if not doors.search(name) and isinstance(node, ast.Call) and is_clock(node)
    }
    assert readers == set()


def is_clock(call: ast.Call) -> bool:
    spelt = ast.unparse(call.func)
    return spelt in {"timezone.now", "datetime.now", "date.today"} or (spelt == "timezone.localdate" and not call.args)


def test_nothing_is_homeless():
    assert [name_of(file) for file in SOURCES if HOMELESS & {file.stem, *file.parent.parts}] == []


def functions(trees) -> list[tuple[str, int]]:
    return [
        (f"{name}:{node.lineno} {node.name}", length(node))
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def length(function: ast.FunctionDef) -> int:
    """Lines of the body; what only speaks to readers does not count."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_functions_are_short(trees):
    lengths = [lines for _name, lines in functions(trees)]
    assert statistics.median(lengths) <= MEDIAN_LINES
    assert [name for name, lines in functions(trees) if lines > MOST_LINES] == []


def test_these_rules_see_the_whole_project(trees):
    assert len(trees) > 100
    assert {name.split("/")[1] for name in trees if name.startswith("apps/")} >= {
        "billing",
        "charging",
        "ocpi",
        "partners",
    }
