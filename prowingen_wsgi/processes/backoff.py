"""How long to wait before a process that failed is started again."""

from __future__ import annotations

# So many failures in a row may be accidents.
_FREE = 3
_FIRST = 0.1
# One that served for so long is none of a row.
_HEALTHY = 5.0
# Few requests find nobody.
_LONGEST_AFTER_START = 1.0
_LONGEST = 15.0


class Backoff:
    """Doubles the wait with each failure in a row. Times are of the monotonic clock."""

    def __init__(self) -> None:
        self._failures = 0
        self.until = 0.0

    def failed(self, now: float, served: float, *, could_start: bool = True) -> float:
        """Notes the end of a process that served for so many seconds; how long to wait now.

        could_start: it may well start the next time, as nothing says that it cannot.
        """
        if served >= _HEALTHY:
            self._failures = 0
        self._failures += 1
        doublings = self._failures - _FREE - 1
        longest = _LONGEST_AFTER_START if could_start else _LONGEST
        wait = min(_FIRST * 2 ** min(doublings, 20), longest) if doublings >= 0 else 0.0
        self.until = max(self.until, now + wait)
        return wait

    def reset(self) -> None:
        self._failures = 0
        self.until = 0.0
