"""What tests say that they show: `@pytest.mark.<name>("id", …)`, or `pytestmark` for a whole file. Read without running."""

import ast
from collections.abc import Iterator

from emsp import local

TESTS = local.PROJECT / "tests"


def marked(name: str) -> Iterator[tuple[str, list[str]]]:
    """Every test as `file: name`, and what each of its marks of this name says."""
    for file in sorted(TESTS.glob("**/test_*.py")):
        where = file.relative_to(TESTS).as_posix()
        for test, expressions in _tests_of(ast.parse(file.read_text())):
            for said in _said(expressions, f"pytest.mark.{name}"):
                yield f"{where}: {test}", said


def _tests_of(tree: ast.Module) -> Iterator[tuple[str, list[ast.expr]]]:
    whole = [node.value for node in tree.body if _is_of_file(node)]
    in_classes = [
        part for whole_class in tree.body if isinstance(whole_class, ast.ClassDef) for part in whole_class.body
    ]
    for node in (*tree.body, *in_classes):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name.removeprefix("test_").replace("_", " "), [*whole, *node.decorator_list]


def _is_of_file(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"


def _said(expressions: list[ast.expr], mark: str) -> Iterator[list[str]]:
    calls = (call for whole in expressions for call in ast.walk(whole) if isinstance(call, ast.Call))
    return ([argument.value for argument in call.args] for call in calls if ast.unparse(call.func) == mark)
