"""Django's own, but nobody waits behind it: it asks for a lock for a moment, lets the others pass, and asks again (trust R23)."""

import time

from django.core.management.commands import migrate
from django.db import OperationalError, connections
from psycopg.errors import LockNotAvailable

PATIENCE_MS = 2000
PAUSE_S = 3
TRIES = 40
"""For about three minutes; each migration is one transaction, and the next try begins with the one that failed."""


class Command(migrate.Command):
    def handle(self, *args, **options):
        for _ in range(TRIES - 1):
            try:
                return self.try_once(*args, **options)
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
            self.hang_up(options["database"])
            self.stderr.write("A table is in use by others; tried again in a moment.")
            time.sleep(PAUSE_S)
        return self.try_once(*args, **options)

    def try_once(self, *args, **options):
        with connections[options["database"]].cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {PATIENCE_MS}")
        super().handle(*args, **options)
        with connections[options["database"]].cursor() as cursor:
            cursor.execute("RESET lock_timeout")

    def hang_up(self, database: str) -> None:
        """Begin anew: where the last statements of a migration fail, Django believes to be in its transaction still."""
        connections[database].close()
        del connections[database]
