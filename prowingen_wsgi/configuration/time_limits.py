"""For how long requests may take, by the prefixes of their paths, as text: `PREFIX=DURATION`."""

from __future__ import annotations

from .load_limits import check_prefix
from .values import BadValueError, Seconds

__all__ = ["parse_time_limit", "split_time_limit"]

_DURATION = Seconds(0.0, 86400.0)


def split_time_limit(text: str) -> tuple[str, float]:
    """The prefix, as it is written, and seconds; 0: requests may take as long as they take.

    Raises ValueError with what is allowed.
    """
    prefix, equals, duration = text.rpartition("=")
    if not equals:
        raise ValueError("must be a path prefix and a duration, such as /reports=5m")
    check_prefix(prefix)
    try:
        return prefix, _DURATION.parse(duration)
    except BadValueError:
        raise ValueError(f"its duration must be {_DURATION.allowed}, such as /reports=5m") from None


def parse_time_limit(text: str) -> str:
    """Reads `PREFIX=DURATION`, and returns it. Raises ValueError with what is allowed."""
    split_time_limit(text)
    return text
