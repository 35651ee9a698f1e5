"""The commands of a control socket, as a supervisor and a server of one process both have them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from ..logs import error_log
from ..originals import os, signal, time
from .protocol import NotDone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..configuration.config import Config
    from .protocol import Answer, Request


class Commands(ABC):
    """What is done for each of `protocol.COMMANDS`: see `protocol.Answer`."""

    def begin(self, request: Request) -> Answer:
        """Begins one, which whoever has asked goes on with."""
        arguments = request.arguments
        if request.command == "status":
            return self._status()
        if request.command == "workers":
            return self._workers()
        if request.command == "requests":
            return self._requests()
        if request.command == "stacks":
            return self._stacks()
        if request.command == "reload":
            return self._reload(arguments)
        if request.command == "stop":
            return self._stop(arguments)
        if request.command == "log-level":
            return self._log_level(arguments["level"])
        return self._ready(arguments["ready"])

    @abstractmethod
    def _status(self) -> Answer: ...

    @abstractmethod
    def _workers(self) -> Answer: ...

    @abstractmethod
    def _requests(self) -> Answer: ...

    @abstractmethod
    def _stacks(self) -> Answer: ...

    @abstractmethod
    def _reload(self, arguments: Mapping[str, Any]) -> Answer: ...

    @abstractmethod
    def _signal(self, number: signal.Signals) -> None:
        """Does what the signal does."""

    @abstractmethod
    def _log_level(self, level: str) -> Answer: ...

    @abstractmethod
    def _ready(self, ready: bool) -> Answer: ...

    def _stop(self, arguments: Mapping[str, Any]) -> Answer:
        """Who waits for the end sees that the connection ends: when all is closed, and all files
        are removed."""
        self._signal(signal.SIGQUIT if arguments["now"] else signal.SIGTERM)
        told = {"is": "stopping", "pid": os.getpid()}
        if not arguments["wait"]:
            return told
        yield told
        until = time.monotonic() + arguments["timeout"]
        while time.monotonic() < until:
            yield None
        seconds = f"{arguments['timeout']:g} s"
        raise NotDone(f"it has not ended within {seconds}, and goes on ending", code="failed")


def probe_paths(config: Config) -> list[str]:
    """The paths beneath which probes are answered: of the application's addresses, and of the
    administrators'."""
    return [*filter(None, [config.health_path]), *(["/-"] if config.admin_bind else [])]


def log_withdrawal(withdrawn: bool) -> None:
    if withdrawn:
        error_log.info("an administrator takes the server out of load balancing")
    else:
        error_log.info("an administrator puts the server back into load balancing")
