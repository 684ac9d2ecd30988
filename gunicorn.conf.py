"""How web is served, on one machine and in production. `--bind`, or PORT, says where; WEB_CONCURRENCY how many workers.

SIGHUP   new workers take over, old ones answer what they have: nobody is refused
SIGTERM  /readyz answers 503 for WEB_STOP_PAUSE seconds, so that a load balancer sends to others; then nothing more is
         accepted, and what is under way is answered. A second SIGTERM ends the pause.
"""

import os
import signal
import threading

wsgi_app = "emsp.wsgi"
worker_class = "gthread"
workers = 2
threads = 4
timeout = 60  # seconds a worker may be stuck
graceful_timeout = 25  # seconds for requests under way when we are stopped
keepalive = 75  # seconds; partners push many small messages
limit_request_line = 8190  # bytes
max_requests = 20000  # then a worker is replaced, whatever it has piled up
max_requests_jitter = 2000
accesslog = None  # emsp.logs.RequestLog writes one line per request
control_socket_disable = True


def on_starting(server):
    """Before anything is forked: workers share what it holds."""
    import emsp.stopping  # noqa: F401


def when_ready(server):
    pause, stop = float(os.environ.get("WEB_STOP_PAUSE", "5")), signal.getsignal(signal.SIGTERM)

    def announce(*_signal):
        from emsp import stopping

        signal.signal(signal.SIGTERM, stop)
        stopping.announce()
        threading.Timer(pause, os.kill, [os.getpid(), signal.SIGTERM]).start()

    signal.signal(signal.SIGTERM, announce)


def post_worker_init(worker):
    from emsp import garbage

    garbage.leave_what_stays()
