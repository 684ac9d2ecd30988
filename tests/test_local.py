"""Modes, keys, ports and the mark of the demo, on folders of their own."""

import json
import socket
import stat
from contextlib import closing

import pytest

from emsp import launch, local


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A machine without any set-up."""
    for name in ("SECRET_KEY", "DATABASE_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(local, "ENV_FILE", tmp_path / ".env")
    local.make_private(tmp_path / "data")
    return tmp_path / "data"


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_set_is_one_machine(folder):
    assert local.is_local()


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL"])
def test_either_of_two_variables_is_production(folder, monkeypatch, name):
    monkeypatch.setenv(name, "x")
    assert not local.is_local()
    assert local.ensure() == []


def test_a_file_can_set_them(folder, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "")
    monkeypatch.delenv("SECRET_KEY")
    local.ENV_FILE.write_text("SECRET_KEY=from the file\n")
    local.ENV_FILE.chmod(0o600)
    assert not local.is_local()


@pytest.mark.control("S53")
def test_a_file_that_others_may_read_is_refused(folder):
    local.ENV_FILE.write_text("SECRET_KEY=known to all\n")
    local.ENV_FILE.chmod(0o644)
    with pytest.raises(local.Refused, match="chmod 600"):
        local.is_local()


@pytest.mark.control("S53")
def test_keys_are_made_once_and_for_their_owner_alone(folder):
    keys = local.keys()
    assert local.keys() == keys
    assert mode(folder / "keys.json") == 0o600
    assert json.loads((folder / "keys.json").read_text())["SECRET_KEY"] == keys["SECRET_KEY"]


def test_the_first_of_two_writers_wins_and_leaves_no_draft(folder):
    local.write_once(folder / "file", "first")
    local.write_once(folder / "file", "second")
    assert [file.name for file in folder.iterdir()] == ["file"]
    assert (folder / "file").read_text() == "first"


def test_copies_in_different_folders_have_sockets_of_their_own(folder, monkeypatch):
    one = local.sockets()
    monkeypatch.setenv("DATA_DIR", str(folder.parent / "other"))
    assert local.sockets() != one
    assert len(str(local.sockets())) < 60, "a socket's path may hold about a hundred bytes"


def test_a_folder_of_sockets_that_others_may_enter_is_refused(folder):
    local.sockets().mkdir(mode=0o755)
    try:
        local.sockets().chmod(0o755)
        with pytest.raises(local.Refused, match="open to others"):
            local.claim_sockets()
    finally:
        local.sockets().rmdir()


def test_a_relative_folder_counts_from_the_project(folder, monkeypatch):
    monkeypatch.setenv("DATA_DIR", "elsewhere")
    assert local.data_dir() == local.PROJECT / "elsewhere"


def test_the_port_is_kept_and_published(folder):
    assert local.public_url() == "http://127.0.0.1:8000"
    local.keep_port(8123)
    assert local.public_url() == "http://127.0.0.1:8123"


def test_a_port_that_is_taken_gives_way_to_the_next_free_one(folder):
    with closing(launch.listen()) as first, closing(launch.listen()) as second:
        one, two = first.getsockname()[1], second.getsockname()[1]
        assert launch.FIRST_PORT <= one < two


def test_the_port_of_last_time_comes_first(folder):
    local.keep_port(free_port())
    with closing(launch.listen()) as listener:
        assert listener.getsockname()[1] == local.kept_port()


def test_a_port_that_somebody_insists_on_is_used_or_refused(folder, monkeypatch):
    monkeypatch.setenv("PORT", str(free_port()))
    with closing(launch.listen()) as listener:
        assert listener.getsockname()[1] == local.wanted_port()
        with pytest.raises(local.Refused, match="something else listens there"):
            launch.listen()


def test_a_port_is_a_number(folder, monkeypatch):
    monkeypatch.setenv("PORT", "http")
    with pytest.raises(local.Refused, match="not a number"):
        local.wanted_port()


def test_one_platform_runs_in_a_folder(folder):
    with launch.alone(), pytest.raises(local.Refused, match="already running"), launch.alone():
        pass
    with launch.alone():
        assert launch.running_pid(), "who holds the lock is known"
    assert launch.running_pid() is None


def test_production_is_not_launched(folder, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "x")
    with pytest.raises(local.Refused, match="Procfile"), launch.running():
        pass


def free_port() -> int:
    with closing(socket.socket()) as line:
        line.bind((launch.HOST, 0))
        return line.getsockname()[1]


@pytest.mark.parametrize("app", ["apps/drivers", "emsp"])
def test_a_new_migration_of_any_app_is_noticed(app, tmp_path, monkeypatch):
    """Else a machine whose tables are there already is never ready with the new code."""
    assert (local.PROJECT / app / "migrations/0001_initial.py").exists()
    (tmp_path / app / "migrations").mkdir(parents=True)
    (tmp_path / "requirements.txt").touch()
    monkeypatch.setattr(local, "PROJECT", tmp_path)
    before = local.fingerprint()
    (tmp_path / app / "migrations/0002_later.py").touch()
    assert local.fingerprint() != before
