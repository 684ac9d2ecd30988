"""The embedded servers of two folders side by side."""

import stat
from contextlib import contextmanager

import psycopg
import pytest

from emsp.servers import PostgreSQL, ServerFailed, Valkey


@contextmanager
def started(server):
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def folders(tmp_path_factory):
    def make(name: str):
        return tmp_path_factory.mktemp(name), tmp_path_factory.mktemp("s")

    return make


def valkey(make, name: str = "data") -> Valkey:
    return Valkey(*make(name))


def test_two_valkeys_run_side_by_side_and_stop(folders):
    with started(valkey(folders)) as one, started(valkey(folders)) as other:
        assert one.is_running()
        assert other.is_running()
        assert one.socket != other.socket
    assert not one.is_running()


def test_starting_what_runs_says_that_it_did(folders):
    with started(valkey(folders)) as server:
        assert server.start() is False


def test_a_socket_is_for_its_owner_alone(folders):
    with started(valkey(folders)) as server:
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700


def test_what_a_server_said_is_in_the_complaint(folders, monkeypatch):
    server = valkey(folders)
    server.socket.mkdir()  # where the socket should be
    monkeypatch.setattr("emsp.servers.PATIENCE", 1)
    with pytest.raises(ServerFailed, match="did not start"):
        server.start()


def test_a_second_postgresql_runs_beside_the_one_of_this_run(machine):
    with started_postgresql(machine()) as server:
        with psycopg.connect(f"host={server.sockets} user=emsp dbname=postgres") as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
            assert connection.execute("SHOW data_directory").fetchone() == (str(server.data),)
        assert server.start() is False
    assert not server.is_running()
    assert server.start(), "what was stopped starts again on the same data"
    server.stop()


@contextmanager
def started_postgresql(data):
    sockets = data.parent / "sockets"
    sockets.mkdir(mode=0o700)
    with started(PostgreSQL(data, sockets)) as server:
        yield server
