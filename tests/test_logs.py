"""Every line names the request it belongs to, whoever made the id up."""

import json
import logging
import subprocess
import sys
import uuid

import pytest

from emsp import local, logs

LINE = """
import logging.config, structlog
from emsp import logs
logging.config.dictConfig(logs.configured(as_json=True, level="INFO"))
structlog.contextvars.bind_contextvars(request_id="abc")
{line}
"""


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, logger="emsp.request")
    return lambda: [record.msg for record in caplog.records if record.name == "emsp.request"]


def test_an_answer_carries_the_id_it_was_asked_with(client):
    assert client.get("/healthz", headers={"X-Request-ID": "caller-7"}).headers["X-Request-ID"] == "caller-7"


def test_an_answer_carries_an_id_of_ours_if_none_was_given(client):
    assert uuid.UUID(client.get("/healthz").headers["X-Request-ID"])


@pytest.mark.control("S40")
@pytest.mark.parametrize("given", ["x" * 65, "two words", "new\tline", "Ö"])
def test_an_id_that_could_forge_a_line_is_replaced_by_its_hash(given):
    made = logs.request_id(given)
    assert made.startswith("sha256-")
    assert made == logs.request_id(given), "so that it can be found"


def test_a_request_is_one_line_with_its_id(client, said):
    client.get("/healthz?token=secret", headers={"X-Request-ID": "caller-7"})
    (line,) = said()
    assert line["event"] == "request"
    assert (line["method"], line["path"], line["status"], line["request_id"]) == ("GET", "/healthz", 200, "caller-7")


@pytest.mark.control("S40", "S41")
def test_what_is_asked_for_is_not_in_the_line(client, said):
    client.get("/healthz?token=secret")
    assert "secret" not in str(said())


def written(line: str) -> dict:
    """In a process of its own: logging belongs to all of this one."""
    command = [sys.executable, "-c", LINE.format(line=line)]
    done = subprocess.run(command, cwd=local.PROJECT, capture_output=True, text=True, check=True)
    (text,) = done.stderr.splitlines()
    return json.loads(text)


@pytest.mark.control("S40")
def test_a_line_is_a_json_object_with_its_time_level_and_request():
    line = written('structlog.get_logger("apps.x").info("sent", partner=7)')
    assert (line["event"], line["partner"], line["level"], line["request_id"]) == ("sent", 7, "info", "abc")
    assert line["timestamp"].endswith("Z")


def test_lines_of_the_standard_library_are_the_same():
    line = written('logging.getLogger("celery").warning("lost %s", "broker")')
    assert (line["event"], line["logger"], line["request_id"]) == ("lost broker", "celery", "abc")


@pytest.mark.control("S40")
def test_a_line_break_in_a_value_does_not_make_a_second_line():
    assert written('structlog.get_logger("x").info("a", name="b\\nlevel=critical")')["name"] == "b\nlevel=critical"


@pytest.mark.control("S40")
def test_a_value_is_cut_at_eight_kibibytes():
    assert len(written('structlog.get_logger("x").info("a", body="z" * 100000)')["body"]) == logs.LONGEST + 1


def test_a_traceback_is_in_the_line():
    line = written('try: 1 / 0\nexcept ZeroDivisionError: logging.getLogger("x").exception("failed")')
    assert "ZeroDivisionError" in line["exception"]


SECRET_LINE = """
import logging, logging.config
from emsp import logs
logging.config.dictConfig(logs.configured(as_json=False, level="INFO"))
def ask(secret):
    raise OSError("nobody is there")
try:
    ask("-".join(["half", "other half"]))
except OSError:
    logging.getLogger("x").exception("failed")
"""


@pytest.mark.control("S41")
def test_a_failure_for_people_is_told_without_the_values_of_variables():
    command = [sys.executable, "-c", SECRET_LINE]
    done = subprocess.run(command, cwd=local.PROJECT, capture_output=True, text=True, check=True)

    assert "nobody is there" in done.stderr
    assert "half-other half" not in done.stderr, "locals hold tokens and bodies"
