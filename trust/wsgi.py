"""The platform as it is served, with a web worker that can die after it committed and before it answers.

Each file in DATA_DIR/strikes is one such death; its name up to the dot is a method and the end of a path: POST-cdrs.1.
"""

import os
import random
import signal

from emsp import local
from emsp.wsgi import application as platform

STRIKES = local.data_dir() / "strikes"
CHANCE = 0.25
"""Of a request to be struck, so that deaths are spread over what is sent."""


def application(environ, start_response):
    answer = platform(environ, start_response)
    path = environ["PATH_INFO"].rstrip("/").rpartition("/")[2]
    if is_struck(f"{environ['REQUEST_METHOD']}-{path}."):
        os.kill(os.getpid(), signal.SIGKILL)
    return answer


def is_struck(prefix: str) -> bool:
    for strike in STRIKES.glob(f"{prefix}*"):
        if strike.suffix == ".sure" or random.random() < CHANCE:
            try:
                strike.unlink()
            except FileNotFoundError:  # the other worker died of it
                continue
            return True
    return False
