"""Who answers on the administrators' address of a server that a program embeds.

The command has somebody who answers its control socket, and who is asked by that address, too; a
program has nobody. So such a server brings its own: the thread that a server of one process has,
and a door to it. No token goes with it, so that all there is to be had are the stacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import proxy

from .alone import ControlThread
from .door import Door

if TYPE_CHECKING:
    from ..server import Server


class EmbeddedControl:
    """Answers from `start` to `end`.

    server: whose process this is; it starts after this is made, and has started by `start`.
    """

    def __init__(self, server: Server) -> None:
        """Raises OSError."""
        self._door = Door(lambda: False)
        # While it runs there is the server, and afterwards it must not be kept by this.
        self._thread = ControlThread(None, proxy(server), self._door)

    @property
    def outside(self) -> int:
        """What the native side asks by: this process's number for it."""
        return self._door.outside

    def start(self) -> None:
        """Raises RuntimeError if there can be no further thread."""
        self._thread.start()

    def end(self) -> None:
        """Idempotent; when nobody asks any more."""
        self._thread.end()
        self._door.close()
