"""The set-up: `.venv` from the pinned requirements, at once if it is there already.

    python3 -m emsp.install [requirements]

Runs before anything is installed, perhaps on a Python older than the platform's: the standard library only, and nothing
newer than 3.6 can read.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(PROJECT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "installed")
REQUIREMENTS = os.path.join(PROJECT, "requirements-dev.txt")
OLDEST, NEWEST = (3, 11), (3, 14)  # what requirements*.txt hold hashes for
CANDIDATES = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"]
UV = "uv==0.13.9"


def set_up():
    """Make `.venv` and install into it, unless exactly this was done before."""
    os.makedirs(VENV, exist_ok=True)
    with open(os.path.join(VENV, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two commands at once share one set-up
        wanted = fingerprint()
        if read(STAMP) == wanted and runs(PYTHON):
            return
        say("Setting up .venv, once (about half a minute after the downloads)")
        if not (runs(PYTHON) and has_pip(PYTHON)):
            make_venv(find_python())
        pip("install", "--require-hashes", "-r", REQUIREMENTS)
        with open(STAMP, "w") as stamp:
            stamp.write(wanted)


def make_venv(python):
    run([python, "-m", "venv", "--clear", VENV])
    # --clear removed the file we hold the lock on; whoever waits for it finds the stamp when we are done


def find_python():
    """The first of the usual names that is new enough and can make an environment with pip in it."""
    for name in [sys.executable] + CANDIDATES:
        path = shutil.which(name)
        if path and is_fit(path):
            return path
    oldest, newest = ("%d.%d" % version for version in (OLDEST, NEWEST))
    sys.exit(
        "No Python from %s to %s with venv and pip was found (tried %s). Install one, on Debian and Ubuntu with its "
        "venv package, e.g. `apt install python3 python3-venv`." % (oldest, newest, ", ".join(CANDIDATES))
    )


def is_fit(python):
    test = "import sys, venv, ensurepip; sys.exit(not %r <= sys.version_info[:2] <= %r)" % (OLDEST, NEWEST)
    return succeeds([python, "-c", test])


def runs(python):
    """Whether the environment is alive: it dies when its folder is moved or the system's Python replaced."""
    test = "import sys; sys.exit(sys.prefix != %r)" % VENV
    return os.path.exists(python) and succeeds([python, "-c", test])


def has_pip(python):
    return succeeds([python, "-c", "import pip"])


def fingerprint():
    with open(REQUIREMENTS, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def pip(*arguments):
    run([PYTHON, "-m", "pip", "--disable-pip-version-check", "--quiet"] + list(arguments))


def pin():
    """Make requirements*.txt from requirements*.in, with hashes of every file for every Python we run on."""
    set_up()
    uv = os.path.join(VENV, "uv")
    pip("install", "--target", uv, "--upgrade", UV)
    for name in ("requirements", "requirements-dev"):
        command = [os.path.join(uv, "bin", "uv"), "pip", "compile", name + ".in", "-o", name + ".txt", "--quiet"]
        command += ["--universal", "--python-version", "%d.%d" % OLDEST, "--generate-hashes", "--no-annotate"]
        run(command + ["--no-header"])
        head(os.path.join(PROJECT, name + ".txt"), "# Made from %s.in by `make requirements`; do not edit.\n" % name)


def head(path, line):
    text = read(path)
    with open(path, "w") as file:
        file.write(line + text)


def read(path):
    if not os.path.exists(path):
        return ""
    with open(path) as file:
        return file.read()


def run(command):
    done = subprocess.call(command, cwd=PROJECT)
    if done:
        sys.exit("failed: " + " ".join(command))


def succeeds(command):
    return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def say(text):
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["requirements"]):
        sys.exit("usage: python3 -m emsp.install [requirements]")
    pin() if sys.argv[1:] else set_up()
