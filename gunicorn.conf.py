"""How web is served, on one machine and in production. `--bind`, or PORT, says where; WEB_CONCURRENCY how many workers."""

import gc

wsgi_app = "emsp.wsgi"
worker_class = "gthread"
workers = 2
threads = 4
timeout = 60  # seconds a worker may be stuck
graceful_timeout = 4  # seconds for requests under way when we are stopped
keepalive = 75  # seconds; partners push many small messages
limit_request_line = 8190  # bytes
max_requests = 20000  # then a worker is replaced, whatever it has piled up
max_requests_jitter = 2000
accesslog = None  # emsp.logs.RequestLog writes one line per request
control_socket_disable = True


def post_worker_init(worker):
    """What is loaded stays: the collector looks at what requests leave behind alone, and not after every 700 objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
