"""Django's own, but nobody waits behind it: it asks for a lock for a moment, lets the others pass, and asks again (trust R23)."""

import time

from django.core.management.commands import migrate
from django.db import OperationalError, connections
from psycopg.errors import LockNotAvailable

PATIENCE_MS = 500
"""Whoever answers a partner stands behind it so long, and gives up after `postgresql.base.LONGEST_S`."""
PAUSE_S = 1
TRIES = 120
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
        self.database = options["database"]
        super().handle(*args, **options)
        self.wait_at_most("DEFAULT")

    def migration_progress_callback(self, action, migration=None, fake=False):
        """What is made concurrently holds nobody up; given up half-way it would leave an index that is none."""
        if action in ("apply_start", "unapply_start"):
            self.wait_at_most(PATIENCE_MS if migration.atomic else 0)
        super().migration_progress_callback(action, migration, fake)

    def wait_at_most(self, limit: int | str) -> None:
        """For a lock; ms."""
        with connections[self.database].cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {limit}")

    def hang_up(self, database: str) -> None:
        """Begin anew: where the last statements of a migration fail, Django believes to be in its transaction still."""
        connections[database].close()
        del connections[database]
