"""How long to wait before a process that failed is started again."""

from __future__ import annotations

_FIRST = 0.1
_LONGEST = 15.0
# One that served for so long is none of a series of failures.
_HEALTHY = 10.0


class Backoff:
    """Doubles the wait with each failure in a row. Times are of the monotonic clock."""

    def __init__(self) -> None:
        self._delay = 0.0
        self.until = 0.0

    def failed(self, now: float, served: float) -> float:
        """Notes the end of a process that served for so many seconds; how long to wait now."""
        if served >= _HEALTHY:
            self._delay = 0.0
        wait = self._delay
        self._delay = min(max(_FIRST, 2 * self._delay), _LONGEST)
        self.until = max(self.until, now + wait)
        return wait

    def reset(self) -> None:
        self._delay = self.until = 0.0
