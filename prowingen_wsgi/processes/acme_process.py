"""With `acme_domain`: a process that has certificates issued, and renewed, for all the workers.

Of its own, because it waits for the network and takes libraries with threads, neither of which a
process that forks should have. What it writes the workers read by themselves. It runs as the user
who serves, to whom those files belong.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..logs import error_log
from ..originals import os, signal, time

if TYPE_CHECKING:
    from collections.abc import Callable

    from .generation import Generation

# How often it looks whether its parent is still there.
_LOOK = 1.0
# In seconds: after what time one that has ended is followed by another.
_RETRY = 60.0


class AcmeProcess:
    """As its supervisor sees it: there is one at most, whatever has been reloaded.

    fork: as `forking.fork` does, with what a child forgets.
    """

    def __init__(self, fork: Callable[[Callable[[], int]], int]) -> None:
        self._fork = fork
        self._process = 0
        self._let_go: set[int] = set()
        self._generation: Generation | None = None
        self._start_at = float("inf")  # of the monotonic clock

    def serve(self, generation: Generation) -> None:
        """The one of before ends: this is served now."""
        self.end()
        self._generation = generation
        self._start_at = time.monotonic() if generation.config.acme_domain else float("inf")

    def keep_up(self) -> None:
        """To be called often."""
        generation = self._generation
        if generation is None or time.monotonic() < self._start_at:
            return
        try:
            self._process = self._fork(lambda: _renew(generation))
            self._start_at = float("inf")
        except OSError as error:
            self._start_at = time.monotonic() + _RETRY
            error_log.error("acme: no process for it, next try in %g s: %s", _RETRY, error)

    def ended(self, process: int) -> None:
        """One of the supervisor's processes has ended: perhaps this."""
        self._let_go.discard(process)
        if process == self._process:
            self._process = 0
            self._start_at = time.monotonic() + _RETRY
            error_log.error(
                "acme: the process that renews certificates has ended; the next one starts in %g s",
                _RETRY,
            )

    def end(self) -> None:
        """What it has written stays whole. SIGCHLD comes when it is gone."""
        process, self._process = self._process, 0
        self._start_at = float("inf")
        if process:
            self._let_go.add(process)
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)

    def join(self) -> None:
        """At the end of the supervisor."""
        self.end()
        for process in self._let_go:
            with suppress(ChildProcessError):
                os.waitpid(process, 0)


def _renew(generation: Generation) -> int:
    from ..acme_renewal import AcmeRenewal  # an extra; that user need not be able to read it

    generation.identity.assume()
    parent = os.getppid()

    def pause(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while os.getppid() == parent:
            left = until - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, _LOOK))
        return True

    AcmeRenewal(generation.config, pause).run()
    return 0
