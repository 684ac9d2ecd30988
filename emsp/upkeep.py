"""Children of a worker that died are replaced, though Celery may not have seen it.

It looks once, when a child's sentinel closes. On a busy machine that is a moment before the child can be reaped, and nobody
looks again: what is given to the dead child is never done, and the worker ends when it loses its broker and finds it again.
"""

from celery import bootsteps

EVERY_S = 5


class Upkeep(bootsteps.StartStopStep):
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker, **_options):
        self._looking = None

    def register_with_event_loop(self, worker, hub):
        """Called at the start and whenever the broker was found again, before the pool registers its children."""
        worker.pool.maintain_pool()
        if self._looking is not None:
            self._looking.cancel()
        self._looking = hub.call_repeatedly(EVERY_S, worker.pool.maintain_pool)
