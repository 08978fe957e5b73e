"""How fast one key may knock.

In:    a limit in requests a second, a clock that never goes back, the id of a key.
Out:   0, or the whole seconds to wait.
Never: a growing table: there is one number pair per key.
"""

import math
from collections.abc import Callable


class RateLimit:
    """A bucket per key that fills at the limit and holds one second's worth. Each process counts for itself."""

    def __init__(self, per_s: int, monotonic_s: Callable[[], float]) -> None:
        """Units: per_s is requests a second, more than 0."""
        self._per_s = per_s
        self._monotonic_s = monotonic_s
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_s(self, key_id: str) -> int:
        """Take one request from the key's bucket; say how long to wait when it is empty."""
        now = self._monotonic_s()
        level, seen = self._buckets.get(key_id, (float(self._per_s), now))
        level = min(float(self._per_s), level + (now - seen) * self._per_s)
        if level < 1:
            self._buckets[key_id] = (level, now)
            return max(1, math.ceil((1 - level) / self._per_s))
        self._buckets[key_id] = (level - 1, now)
        return 0
