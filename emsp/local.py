"""One machine without any set-up: which mode we are in, the keys, and the embedded PostgreSQL and Valkey.

Local mode is when neither SECRET_KEY nor DATABASE_URL is set (decision 30); then everything lives in DATA_DIR. Starting
is for doors only: manage.py, the launcher and the tests call `ensure()`; settings never do (decision 31).
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import sys
import tempfile
from base64 import b64decode, urlsafe_b64encode
from contextlib import contextmanager
from pathlib import Path

from emsp.servers import PostgreSQL, Server, ServerFailed, Valkey

PROJECT = Path(__file__).resolve().parent.parent
ENV_FILE = PROJECT / ".env"
DATABASE = "emsp"
FIELD_KEY_BYTES = 32
TMP = Path("/tmp")  # noqa: S108  short, which the path of a socket must be; claim_sockets looks whose folder it is


class Refused(Exception):
    """The machine is not in a state to go on; the message tells a person why and what to do."""


FAILURES = (Refused, ServerFailed)


def is_local() -> bool:
    read_env_file()
    return not (os.environ.get("SECRET_KEY") or os.environ.get("DATABASE_URL"))


def read_env_file() -> None:
    """Variables of `.env` that are not set yet. A file that others may read is refused: it holds secrets (trust S53)."""
    if not ENV_FILE.exists():
        return
    if ENV_FILE.stat().st_mode & 0o077:
        raise Refused(f"{ENV_FILE.name} may be read by others: chmod 600 {ENV_FILE.name}")
    from environ import Env  # not at the top: the launcher's `stop` and `help` need no installed package

    Env.read_env(ENV_FILE)


def data_dir() -> Path:
    """Where everything of this machine is kept; a relative one counts from the project, whoever asks from wherever."""
    return (PROJECT / (os.environ.get("DATA_DIR") or ".local")).resolve()


def sockets() -> Path:
    """A short folder, since the path of a socket may hold about a hundred bytes; one per DATA_DIR."""
    short = hashlib.sha256(str(data_dir()).encode()).hexdigest()[:12]
    base = TMP if os.access(TMP, os.W_OK) else Path(tempfile.gettempdir())
    return base / f"emsp-{os.getuid()}-{short}"


def postgresql() -> PostgreSQL:
    return PostgreSQL(data_dir(), sockets())


def valkey() -> Valkey:
    return Valkey(data_dir(), sockets())


def database_url() -> str:
    return f"postgres://emsp@/{DATABASE}?host={sockets()}"


def broker_url() -> str:
    return f"redis+socket://{valkey().socket}"


def public_url() -> str:
    return f"http://127.0.0.1:{kept_port() or 8000}"


def kept_port() -> int | None:
    """The port the launcher found free the last time (decision 32)."""
    file = data_dir() / "port"
    return int(file.read_text()) if file.exists() else None


def keep_port(port: int) -> None:
    (data_dir() / "port").write_text(str(port))


def wanted_port() -> int | None:
    """`PORT`, if somebody insists on one."""
    read_env_file()
    wanted = os.environ.get("PORT", "")
    if wanted and not wanted.isdigit():
        raise Refused(f"PORT is {wanted!r}, not a number")
    return int(wanted) if wanted else None


def keys() -> dict:
    """`SECRET_KEY` and `FIELD_KEYS`, made once and kept where only their owner can read them."""
    file = data_dir() / "keys.json"
    if not file.exists():
        make_private(data_dir())
        made = {"SECRET_KEY": secrets.token_urlsafe(50), "FIELD_KEYS": [new_field_key()]}
        write_once(file, json.dumps(made))
    return json.loads(file.read_text())


def new_field_key() -> str:
    return urlsafe_b64encode(secrets.token_bytes(FIELD_KEY_BYTES)).decode()


def is_field_key(key: str) -> bool:
    """A word somebody thought of, or half a key, would seal badly or not at all."""
    try:
        return len(b64decode(key, altchars=b"-_", validate=True)) == FIELD_KEY_BYTES
    except ValueError:
        return False


def write_once(file: Path, text: str) -> None:
    """Whole and private, and the first of several writers at once wins."""
    handle, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "w") as draft:
        draft.write(text)
    try:
        os.link(name, file)
    except FileExistsError:
        pass  # another process was first, and its file is as good
    finally:
        Path(name).unlink()


def make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def locked(name: str = "lock"):
    """One process at a time. The lock belongs to the open file, so that it dies with its process."""
    make_private(data_dir())
    with open(data_dir() / name, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ensure(broker: bool = True) -> list[Server]:
    """Start the servers of local mode that are not running; return those that were started, for `stop`."""
    if not is_local():
        return []
    with locked():
        claim_sockets()
        make_private(data_dir() / "static")  # WhiteNoise warns of a missing folder
        wanted = [postgresql(), valkey()] if broker else [postgresql()]
        started = [server for server in wanted if server.start()]
        if any(isinstance(server, PostgreSQL) for server in started):
            create_database()
    return started


def claim_sockets() -> None:
    """The folder is in a place where everybody can write: take only one that is ours and closed to others."""
    folder = sockets()
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if folder.is_symlink() or facts.st_mode & 0o077 or facts.st_uid not in {os.getuid(), postgresql().user}:
        raise Refused(f"{folder} belongs to somebody else or is open to others: remove it")


def connect(database: str = DATABASE):
    import psycopg  # not at the top: `make stop` needs no installed package

    return psycopg.connect(f"host={sockets()} user=emsp dbname={database}", autocommit=True)


def create_database() -> None:
    with connect("postgres") as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f'CREATE DATABASE "{DATABASE}"')


def stop(servers: list[Server] | None = None) -> None:
    """Stop these servers, or all that run on this DATA_DIR."""
    with locked():
        for server in servers if servers is not None else [valkey(), postgresql()]:
            server.stop()


DEMO_MARK = "emsp demo"


def is_demo() -> bool:
    """Whether the database is a demo's: a comment on it says so, which no dump of the tables carries elsewhere."""
    with connect() as connection:
        mark = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
        return connection.execute(mark).fetchone()[0] == DEMO_MARK


def mark_demo() -> None:
    """Make the database a demo's, unless it is in real use."""
    if is_demo():
        return
    if is_in_use():
        raise Refused(f"{data_dir()} is in real use: run the demo in another folder, or with another DATA_DIR")
    with connect() as connection:
        connection.execute(f"COMMENT ON DATABASE \"{DATABASE}\" IS '{DEMO_MARK}'")


def refuse_demo() -> None:
    """Invented drivers and real ones do not share a database (decision 32)."""
    if is_demo():
        raise Refused(f"{data_dir()} holds the demo's world: `make demo-reset` removes it")


def is_in_use() -> bool:
    """Whether anybody has put a partner or an account there."""
    return any(has_rows(table) for table in ("partners_partner", "drivers_account"))


def has_rows(table: str) -> bool:
    with connect() as connection:
        if not connection.execute("SELECT to_regclass(%s)", [table]).fetchone()[0]:
            return False
        return connection.execute(f'SELECT EXISTS (SELECT FROM "{table}")').fetchone()[0]


def forget() -> None:
    """Remove what a stopped platform has left here, except its keys and its port."""
    for pattern in ("pg*", "valkey", "simulator*", "demo", "files", "logs", "beat*", "migrated", "*.log", "admin.txt"):
        for found in data_dir().glob(pattern):
            shutil.rmtree(found) if found.is_dir() else found.unlink()


def admin_file() -> Path:
    return data_dir() / "admin.txt"


def set_up_django() -> None:
    """In a program of ours. The settings are read only now: whoever starts the platform has chosen its port by then."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "emsp.settings")
    import django

    django.setup()


def make_admin() -> str | None:
    """At the first start: a user `admin` who may do everything. Returns the password, which is kept in admin.txt.

    Whoever has made users, or changed that password and removed the file, is left in peace.
    """
    if has_rows("staff_user"):
        return None
    set_up_django()
    from django.contrib.auth import get_user_model
    from django.db import transaction

    password = secrets.token_urlsafe(12)
    with transaction.atomic():
        get_user_model().objects.create_superuser("admin", "", password)
        admin_file().unlink(missing_ok=True)
        write_once(admin_file(), f"{password}\n")
    return password


WITHOUT_DATABASE = {
    "help", "version", "--help", "--version", "check", "collectstatic", "findstatic", "diffsettings", "simulate",
}  # fmt: skip
WITHOUT_TABLES = {"migrate", "makemigrations", "showmigrations", "sqlmigrate", "squashmigrations", "optimizemigration"}


def prepare(arguments: list[str]) -> None:
    """What a management command needs on a machine without set-up: servers, and the tables as the code wants them."""
    command = arguments[0] if arguments else "help"
    if command in WITHOUT_DATABASE or {"-h", "--help"} & set(arguments) or not is_local():
        return
    ensure()
    if command not in WITHOUT_TABLES:
        migrate()


def migrate() -> None:
    """Bring the tables up to date, unless the very migrations of this code have run before on this DATA_DIR."""
    stamp, wanted = data_dir() / "migrated", fingerprint()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    with locked("migrating"):
        set_up_django()
        from django.core.management import call_command

        call_command("migrate", verbosity=0, interactive=False)
        stamp.write_text(wanted)


def fingerprint() -> str:
    """Of the migrations of this project and, by the pinned versions, of those of its libraries."""
    found = [file for folder in ("apps/*", "emsp") for file in PROJECT.glob(f"{folder}/migrations/*.py")]
    files = [PROJECT / "requirements.txt", *sorted(found)]
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(PROJECT)).encode() + file.read_bytes())
    return digest.hexdigest()


def main(arguments: list[str]) -> int:
    """python -m emsp.local start|stop"""
    if arguments not in (["start"], ["stop"]):
        sys.stderr.write(f"usage: {main.__doc__}\n")
        return 2
    ensure() if arguments == ["start"] else stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
