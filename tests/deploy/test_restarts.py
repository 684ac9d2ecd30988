"""A restart is nobody's failed request, and no worker's lost work (trust R24, F31)."""

import http.client
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing, contextmanager

import pytest
from django.utils import timezone

from apps.billing import invoicing
from apps.billing.models import Document
from apps.ocpi.versions import VERSIONS
from apps.partners import credentials
from apps.partners.models import CredentialsToken
from emsp.celery import app
from emsp.servers import Valkey
from tests.admin.furnished import found_company, make_card, make_partner
from tests.billing.charged import NOW, OCTOBER, World
from tests.deploy.production import BASE, BEHIND_THE_PROXY, environment, program, until

pytestmark = pytest.mark.django_db(transaction=True)
HANDS, PER_SECOND = 6, 10
"""Who ask at once, and how often each."""


class Line(http.client.HTTPConnection):
    """To a server behind a socket in a file."""

    def __init__(self, path):
        super().__init__("web", timeout=30)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Load:
    """A steady load on a path: every second hand keeps its connection, the others open one for each request."""

    def __init__(self, place, method, path, headers):
        self.place, self.asked = place, (method, path, None, headers)
        self.answered, self.failures, self.over = 0, [], threading.Event()

    def __enter__(self):
        self.hands = [threading.Thread(target=self._ask, args=[bool(number % 2)]) for number in range(HANDS)]
        [hand.start() for hand in self.hands]
        return self

    def __exit__(self, *_error):
        self.over.set()
        [hand.join() for hand in self.hands]

    def _ask(self, is_kept):
        line = Line(self.place)
        while not self.over.wait(1 / PER_SECOND):
            try:
                line.request(*self.asked)
                answer = line.getresponse()
                body = answer.read()
            except OSError as problem:
                self.failures.append(repr(problem))
                line.close()
                continue
            if answer.status != 200 or b'"status_code":1000' not in body:
                self.failures.append((answer.status, body))
            self.answered += 1
            if not is_kept:
                line.close()
        line.close()

    def go_on(self, count=30):
        """Until so many more are answered."""
        wanted = self.answered + count
        until(lambda: self.answered >= wanted)


@pytest.fixture
def place(tmp_path):
    """A socket that stays open whoever serves it, as emsp-web.socket keeps it."""
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(128)
        listener.set_inheritable(True)
        yield path, listener.fileno()


HANDED_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": f"{os.getpid()}"}
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextmanager
def running(command, log, settings, **options):
    with log.open("ab") as said:
        process = subprocess.Popen(command, env=settings, cwd=BASE, stdout=said, stderr=said, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def web(place, tmp_path):
    """gunicorn as emsp-web.service starts it: systemd hands over the socket as file 3."""
    _path, number = place
    command = [sys.executable, "-c", HANDED_OVER, str(number), program("gunicorn")]
    settings = environment(WEB_STOP_PAUSE="5", DATA_DIR=str(tmp_path))
    return running(command, tmp_path / "web.log", settings, pass_fds=[number])


def readiness(path):
    with closing(Line(path)) as line:
        line.request("GET", "/readyz", headers=BEHIND_THE_PROXY)
        answer = line.getresponse()
        return answer.status, answer.read().decode()


def workers_of(master):
    with open(f"/proc/{master.pid}/task/{master.pid}/children") as children:
        return set(children.read().split())


@pytest.fixture
def asked():
    """A card that may charge, and how its charge point operator asks."""
    found_company()
    token = credentials.issue(make_partner(), CredentialsToken.Kind.CREDENTIALS, timezone.now())
    path = f"/ocpi/2.2.1/tokens/{make_card().uid}/authorize"
    return "POST", path, BEHIND_THE_PROXY | {"Authorization": VERSIONS["2.2.1"].authorization(token)}


def test_no_request_fails_while_web_is_reloaded_and_restarted(asked, place, tmp_path):
    with web(place, tmp_path) as first, Load(place[0], *asked) as load:
        load.go_on()
        old = workers_of(first)
        first.send_signal(signal.SIGHUP)
        until(lambda: not old & workers_of(first))
        load.go_on()
        assert readiness(place[0])[0] == 200, "a reload is no stop"

        first.send_signal(signal.SIGTERM)
        until(lambda: readiness(place[0]) == (503, "web: is about to stop\n"))
        load.go_on(5)  # and is answered for as long as it takes the balancer to notice
        assert first.wait(30) == 0
        with web(place, tmp_path) as second:
            load.go_on()
            assert readiness(place[0])[0] == 200
            assert load.failures == []
            second.send_signal(signal.SIGTERM)
            load.over.set()
            assert second.wait(30) == 0
    assert load.failures == []


@pytest.fixture
def broker(tmp_path_factory):
    server = Valkey(tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("sockets"))
    server.start()
    yield f"redis+socket://{server.socket}"
    server.stop()


def worker(broker, tmp_path):
    """Celery as emsp-worker.service starts it, with one process."""
    command = [program("celery"), "-A", "emsp.celery", "worker", "-Q", "roaming,billing,celery", "-c", "1"]
    settings = environment(CELERY_BROKER_URL=broker, DATA_DIR=str(tmp_path), C_FORCE_ROOT="1")
    return running(command, tmp_path / "worker.log", settings)


def ring(broker):
    """What beat does every minute."""
    with app.connection_for_write(broker) as line:
        app.send_task("apps.billing.tasks.render_documents", connection=line)


def test_a_worker_that_is_stopped_ends_what_it_has_in_hand_and_leaves_the_rest(broker, tmp_path):
    world = World()
    for number in range(60):
        world.charge(world.account(f"Account {number}"), "10")
    invoicing.issue(OCTOBER, NOW)
    left = Document.objects.filter(rendered_at=None)
    ring(broker)
    with worker(broker, tmp_path) as stopped:
        until(lambda: left.count() < 60)
        stopped.send_signal(signal.SIGTERM)
        assert stopped.wait(60) == 0
    assert 0 < left.count() < 60
    assert not Document.objects.filter(leased_until__isnull=False).exists(), "its leases are given back"

    ring(broker)
    with worker(broker, tmp_path) as successor:
        until(lambda: not left.exists())
        successor.send_signal(signal.SIGTERM)
        assert successor.wait(60) == 0
    assert Document.objects.filter(attempts=0).count() == 60
