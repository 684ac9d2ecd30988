"""What a process may do at most, and how it calls others (trust S50, S51, S52)."""

import os
import ssl
import subprocess
import sys

import pytest

from apps.ocpi.client import context_of
from apps.ocpi.tls import USUAL
from emsp import local, logs


def told(program: str) -> str:
    """What a process of ours prints that begins like this."""
    asking = "from django.db import connection as c; u = c.cursor(); u.execute('SHOW statement_timeout'); print(u.fetchone()[0])"
    command = [sys.executable, "-c", f"{program}; {asking}"]
    kept = {name: value for name, value in os.environ.items() if name != "STATEMENT_TIMEOUT_S"}
    return subprocess.run(
        command, cwd=local.PROJECT, env=kept, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.control("S50")
@pytest.mark.parametrize(
    ("program", "most"),
    [
        ("import emsp.wsgi", "5s"),
        ("import emsp.celery, django; django.setup()", "15min"),
        ("import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'emsp.settings'; django.setup()", "15min"),
    ],
    ids=["web", "worker", "command"],
)
def test_one_statement_takes_no_longer_than_its_process_allows(program, most):
    assert told(program) == most


@pytest.mark.control("S52")
def test_nothing_older_than_tls_1_2_is_spoken():
    context = context_of(USUAL)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


FORWARDED = [
    ("", "192.0.2.1"),
    ("198.51.100.7", "198.51.100.7"),
    ("10.0.0.1, 203.0.113.5, 198.51.100.7", "198.51.100.7"),
    (" 127.0.0.1 ,198.51.100.7 ", "198.51.100.7"),
]


@pytest.mark.control("S51")
@pytest.mark.parametrize(("forwarded", "origin"), FORWARDED)
def test_behind_a_proxy_the_caller_is_whom_the_proxy_names(forwarded, origin, settings):
    """The proxy adds its own word at the end; what stands before it came with the request."""
    settings.TRUST_PROXY = True
    assert logs.origin({"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": forwarded}) == origin


@pytest.mark.control("S51")
def test_without_a_proxy_nobody_says_who_they_are(settings):
    settings.TRUST_PROXY = False
    assert logs.origin({"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "10.0.0.1"}) == "192.0.2.1"
