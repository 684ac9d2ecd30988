"""How often somebody may do something: counted in this process, forgotten with it."""

import threading
from collections import defaultdict, deque
from collections.abc import Hashable
from datetime import datetime, timedelta
from math import ceil


class Pace:
    """So many times in a period, for each key."""

    def __init__(self, times: int, period: timedelta):
        self.times = times
        self.period = period
        self._done: dict[Hashable, deque[datetime]] = defaultdict(deque)
        self._lock = threading.Lock()

    def wait(self, key: Hashable, now: datetime) -> int:
        """Seconds to wait; 0 if it may be done now, which then counts."""
        with self._lock:
            done = self._done[key]
            while done and done[0] <= now - self.period:
                done.popleft()
            if len(done) < self.times:
                done.append(now)
                return 0
            return ceil((done[0] + self.period - now).total_seconds())
