"""With `acme_domain`: a process that has certificates issued, and renewed, for all the workers.

Of its own, because it waits for the network and takes libraries with threads, neither of which a
process that forks should have. What it writes the workers read by themselves. It runs as the user
who serves, to whom those files belong.

    serve --> running --SIGTERM--> leaving --> gone --> the next one, if there is to be one
                 |                    +--late: SIGKILL--^
                 +--by itself--> gone --in a minute--> the next one
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..logs import error_log
from ..originals import os, signal, time
from ..threads import Latch

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..configuration.config import Config
    from .generation import Generation

# How often it looks whether its parent is still there.
_LOOK = 1.0
# In seconds: after what time one that has ended is followed by another.
_RETRY = 60.0
# In seconds: what it gets to end its conversation in, and what is waited for that at most.
_GRACE = 2.0
_PATIENCE = 5.0
# How often it is looked whether it has ended, when nothing else is waited for.
_TURN = 0.02


class AcmeProcess:
    """As its supervisor sees it: there is one at most, whatever has been reloaded.

    fork: as `forking.fork` does, with what a child forgets.
    """

    def __init__(self, fork: Callable[[Callable[[], int]], int]) -> None:
        self._fork = fork
        self._process = 0
        self._leaving: dict[int, float] = {}  # when they are killed, of the monotonic clock
        self._generation: Generation | None = None
        self._start_at = float("inf")  # of the monotonic clock

    def serve(self, generation: Generation) -> None:
        """This is served now. Goes on with what it does if that is the same to it."""
        before, self._generation = self._generation, generation
        if before is not None and _means_the_same(before, generation):
            return
        self.end()
        self._start_at = time.monotonic() if generation.config.acme_domain else float("inf")

    def keep_up(self) -> None:
        """To be called often."""
        self._hurry()
        generation = self._generation
        if generation is None or self._leaving or time.monotonic() < self._start_at:
            return
        parent = os.getpid()
        try:
            self._process = self._fork(lambda: _renew(generation, parent))
            self._start_at = float("inf")
        except OSError as error:
            self._start_at = time.monotonic() + _RETRY
            error_log.error("acme: no process for it, next try in %g s: %s", _RETRY, error)

    def _hurry(self) -> None:
        for process, until in self._leaving.items():
            if time.monotonic() >= until:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def ended(self, process: int, status: int) -> None:
        """One of the supervisor's processes has ended: perhaps this. status: as of waitpid(2)."""
        self._leaving.pop(process, None)
        if process != self._process:
            return
        self._process = 0
        self._start_at = time.monotonic() + _RETRY
        if os.waitstatus_to_exitcode(status) in (0, -signal.SIGTERM):
            return  # it was told to, as all of a group are at a stop, which this one hears of later
        error_log.error(
            "acme: the process that renews certificates has ended; the next one starts in %g s",
            _RETRY,
        )

    def end(self) -> None:
        """What it has written stays whole. SIGCHLD comes when it is gone."""
        process, self._process = self._process, 0
        self._start_at = float("inf")
        if process:
            self._leaving[process] = time.monotonic() + _PATIENCE
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)

    def join(self) -> None:
        """At the end of the supervisor."""
        self.end()
        while self._leaving:
            for process in tuple(self._leaving):
                try:
                    found, _ = os.waitpid(process, os.WNOHANG)
                except ChildProcessError:
                    found = process
                if found:
                    del self._leaving[process]
            self._hurry()
            if self._leaving:
                time.sleep(_TURN)


def _means_the_same(one: Generation, other: Generation) -> bool:
    return one.identity == other.identity and _matter(one.config) == _matter(other.config)


def _matter(config: Config) -> tuple[object, ...]:
    """What it goes by."""
    of_acme = [value for name, value in vars(config).items() if name.startswith("acme_")]
    return (*of_acme, bool(config.redirect_http), config.log_level)


def _renew(generation: Generation, parent: int) -> int:
    from ..acme_renewal import AcmeThread  # an extra; that user need not be able to read it

    told = Latch()
    # A thread of its own does it, so that no wait of the network's holds up the end.
    signal.signal(signal.SIGTERM, lambda *_: told.open())
    generation.identity.assume()
    thread = AcmeThread(generation.config)
    thread.start()
    while thread.is_alive() and os.getppid() == parent and not told.wait(_LOOK):
        pass
    was_alive = thread.is_alive()
    thread.end()
    thread.join(_GRACE)
    return 0 if was_alive else 1
