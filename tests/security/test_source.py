"""What our own source must not hold (trust S53, S54, S55, S57)."""

import ast
import io
import re
import subprocess
import tokenize
from functools import cache
from pathlib import Path

import pytest
from celery import current_app
from kombu.exceptions import ContentDisallowed
from kombu.serialization import dumps, loads

from emsp import local

ROOT = local.PROJECT
CODE = [
    file
    for folder in ("apps", "emsp")
    for file in sorted(ROOT.glob(f"{folder}/**/*.py"))
    if "migrations" not in file.parts
]


def tracked() -> list[Path]:
    """Whatever would be published: what git knows; in a copy without git, everything but what running leaves behind."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    aside = {".venv", ".local", ".git", "__pycache__"}
    return [file for file in ROOT.rglob("*") if file.is_file() and not aside & set(file.parts)]


SECRETS = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}",
    "a key of a cloud": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of a forge": r"\b(?:ghp|gho|ghs|ghu|github_pat|glpat)[_-][A-Za-z0-9_]{20,}",
    "a key of a payment service": r"\b[sr]k_live_[A-Za-z0-9]{16,}",
    "a token of a chat": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a signed web token": r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{10,}",
    "a password in a URL": r"\b[a-z+]{2,12}://[^\s:/@<>{}$\"'`]+:(?!PASSWORD|THE-PASSWORD|password|\.\.\.|x@|secret@)[^\s:/@<>{}$\"'`]{6,}@",
    "a value of ours": r"^\s*(?:SECRET_KEY|FIELD_KEYS|METRICS_TOKEN|POSTGRES_PASSWORD)[ \t]*=[ \t]*[\"']?(?!A{20,}=)[A-Za-z0-9_+/=-]{20,}",
}


@pytest.mark.control("S53")
@pytest.mark.parametrize("kind", SECRETS)
def test_no_secret_is_in_what_we_publish(kind):
    found = []
    for file in tracked():
        text = file.read_bytes().decode("utf-8", "ignore")
        found += [f"{file.relative_to(ROOT)}: {hit[0][:12]}…" for hit in re.finditer(SECRETS[kind], text, re.MULTILINE)]
    assert found == []


PLANTED = {
    "a private key": "-----BEGIN " + "PRIVATE KEY-----\n" + "A" * 64,
    "a key of a cloud": "AKIA" + "A" * 16,
    "a token of a forge": "ghp_" + "a" * 36,
    "a key of a payment service": "sk_live_" + "a" * 24,
    "a token of a chat": "xoxb-" + "1" * 12,
    "a signed web token": ".".join(["eyJ" + "a" * 20, "eyJ" + "a" * 20, "a" * 20]),
    "a password in a URL": "postgres://emsp:" + "hunter22@db/emsp",
    "a value of ours": "SECRET_KEY=" + "a" * 50,
}


@pytest.mark.control("S53")
@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_would_be_found(kind):
    assert re.search(SECRETS[kind], PLANTED[kind], re.MULTILINE)


@pytest.mark.control("S53")
def test_what_running_leaves_behind_is_not_published():
    names = {file.relative_to(ROOT).as_posix() for file in tracked()}
    assert not [
        name for name in names if name.startswith((".local/", ".venv/")) or name.endswith((".env", ".pem", ".key"))
    ]


# What we run on


@pytest.mark.control("S54")
@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_with_its_hashes(name):
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 20
    assert [
        line for line in lines if not re.match(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", line)
    ] == []


@pytest.mark.control("S54")
def test_we_ask_for_forty_packages_at_most_each_by_one_version():
    asked = [line for line in (ROOT / "requirements.in").read_text().splitlines() if line and not line.startswith("#")]
    assert len(asked) <= 40
    assert [line for line in asked if not re.fullmatch(r"[A-Za-z0-9._-]+(\[\w+\])?==[\w.]+", line)] == []


@pytest.mark.control("S54")
def test_installing_checks_the_hashes():
    assert "--require-hashes" in (ROOT / "emsp/install.py").read_text()
    assert "--require-hashes" in (ROOT / "Dockerfile").read_text()


@pytest.mark.control("S54")
def test_a_worker_takes_json_and_nothing_that_runs():
    assert current_app.conf.accept_content == ["json"]
    assert (current_app.conf.task_serializer, current_app.conf.result_accept_content) == ("json", None)
    kind, encoding, body = dumps({"a": 1}, serializer="pickle")
    with pytest.raises(ContentDisallowed):
        loads(body, kind, encoding, accept=current_app.conf.accept_content)


# How we write


def nodes(files=CODE):
    """Every node of our code, and where it is."""
    for file in files:
        for node in tree_of(file):
            yield f"{file.relative_to(ROOT).as_posix()}:{getattr(node, 'lineno', 0)}", node


@cache
def tree_of(file: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(file.read_text())))


def name_of(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def calls(*names: str) -> list[str]:
    return [place for place, node in nodes() if isinstance(node, ast.Call) and name_of(node) in names]


BANNED = [
    "mark_safe",
    "SafeString",
    "eval",
    "exec",
    "compile_restricted",
    "csrf_exempt",
    "extra",
    "pickle",
    "system",
    "popen",
]


REVIEWED = {"exec": ["apps/ocpi/settling.py"]}
"""Checks of our own classes, written out from their definitions at the start: nothing of a partner is in them."""


@pytest.mark.control("S55")
@pytest.mark.parametrize("name", BANNED)
def test_our_code_does_not_call(name):
    assert [place.partition(":")[0] for place in calls(name)] == REVIEWED.get(name, [])


@pytest.mark.control("S55", "S37")
def test_no_template_trusts_a_text():
    """`safe`, and what switches escaping off."""
    found = []
    for file in sorted(ROOT.glob("templates/**/*.html")):
        found += [file.name for _ in re.finditer(r"\|\s*safe\b|autoescape\s+off|\|\s*safeseq", file.read_text())]
    assert found == []


@pytest.mark.control("S55")
def test_format_html_is_given_its_texts_apart():
    """An f-string in it would be text that nobody escaped."""
    formats = [
        (place, node)
        for place, node in nodes()
        if isinstance(node, ast.Call) and name_of(node).startswith("format_html")
    ]
    assert [
        place for place, node in formats if not isinstance(node.args[0], (ast.Constant, ast.Name, ast.GeneratorExp))
    ] == []


@pytest.mark.control("S55")
def test_no_money_is_a_float():
    """In what counts money, neither `float` nor a number with a point."""
    rooms = [file for file in CODE if file.parts[-2] in ("billing", "pricing", "models") and "admin" not in file.parts]
    assert len(rooms) > 20
    named = [
        place
        for place, node in nodes([*rooms, ROOT / "apps/money.py"])
        if isinstance(node, ast.Name) and node.id == "float"
    ]
    assert named == []


@pytest.mark.control("S55")
def test_partners_views_find_rows_by_the_party_they_may_read():
    """A row found by an id alone is anybody's."""
    found = []
    for file in sorted(ROOT.glob("apps/*/receiver.py")):
        found += [
            f"{file.parent.name}:{n}" for n, line in enumerate(file.read_text().splitlines(), 1) if ".objects." in line
        ]
    assert found == []


@pytest.mark.control("S55")
def test_every_silenced_finding_of_the_security_rules_says_why():
    """104 and 105 only guess: that an address is listened on, that a name is a password."""
    comments = [
        (file.name, token.string)
        for file in CODE
        for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline)
        if token.type == tokenize.COMMENT
    ]
    assert [place for place in comments if re.search(r"noqa: S(?!104|105)\d+\s*$", place[1])] == []


@pytest.mark.control("S57")
def test_whoever_finds_a_weakness_is_told_where_to_say_so():
    text = (ROOT / "SECURITY.md").read_text()
    assert "48 hours" in text
    assert "docs/security-controls.md" in text


@pytest.mark.control("S57")
def test_nothing_of_tests_is_served():
    """The simulated operator and the tests are no part of what answers partners."""
    from emsp.urls import urlpatterns

    assert "simulator" not in str(urlpatterns)
    served = [file for file in CODE if "simulator" not in file.parts and "demo" not in file.parts]
    importing = [
        file.name
        for file in served
        if re.search(r"^(?:from|import) (?:tests|apps\.simulator|trust|bench)\b", file.read_text(), re.MULTILINE)
    ]
    assert importing == []
