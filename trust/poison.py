"""The Celery app of the platform with two tasks more, which kill whoever takes them: as a bug, as want of memory does."""

import os
import signal

from emsp.celery import app


@app.task(name="trust.poison.abort")
def abort() -> None:
    os.abort()


@app.task(name="trust.poison.killed")
def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
