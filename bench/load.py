"""What the load generators find, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass


class LoadError(Exception):
    """The generator could not be run, or printed something that is no result."""


@dataclass(frozen=True)
class LoadResult:
    requests: int
    requests_per_second: float
    p50_ms: float | None
    """None: it does not tell."""
    p99_ms: float | None
    non_2xx: int
    socket_errors: dict[str, int]

    @property
    def errors(self) -> int:
        return self.non_2xx + sum(self.socket_errors.values())
