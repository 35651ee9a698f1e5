"""The control socket's commands in a server of one process: in a thread that sleeps until asked.

It is a Python thread of that process: while C code keeps the GIL it answers nobody, as nothing in
this process's Python would. A supervisor is another process, and has no such moments.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .. import __version__, logs
from ..forks import close_in_children, leave_to_children
from ..originals import os, selectors, signal, socket, time
from ..threads import Thread
from .commands import Commands, log_withdrawal, probe_paths
from .endpoint import Endpoint
from .in_flight import of_process
from .protocol import CONFIGURED, NotDone
from .stacks import collected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..server import Server
    from .door import Door
    from .protocol import Answer
    from .socket_file import ControlSocket

_JOIN_TIME = 2.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ControlThread(Commands):
    """Answers from `start` to `end`, which removes the socket.

    server: whose process this is; it starts after this is made, and has started by `start`.
    listening, door: by which it is asked; None: not by that.
    """

    def __init__(
        self, listening: ControlSocket | None, server: Server, door: Door | None = None
    ) -> None:
        self._server = server
        server.keep_requests()
        self._began = time.monotonic()
        self._withdrawn = False
        self._stops = False
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        close_in_children([self._wake_reader.fileno(), self._wake_writer.fileno()])
        self._selector.register(self._wake_reader, selectors.EVENT_READ, self._woken)
        self._endpoint = Endpoint(self._selector, self)
        for source in (listening, door):
            if source is not None:
                self._endpoint.add(source)
        self._ends = False
        self._runs = False
        self._thread = Thread("prowingen-control", self._run)

    def start(self) -> None:
        """Raises RuntimeError if there can be no further thread."""
        self._thread.start()
        self._runs = True

    def stops(self) -> None:
        """The server has been told to stop; this answers on until `end`."""
        self._stops = True

    def end(self) -> None:
        """Idempotent."""
        if self._ends:
            return
        self._ends = True
        if not self._runs:  # and so nobody else closes what it has
            self._run()
            return
        with suppress(OSError):  # in a child it is closed
            self._wake_writer.send(b"\0")
        self._thread.join(_JOIN_TIME)

    def _run(self) -> None:
        while not self._ends:
            for key, _ in self._selector.select(self._endpoint.next_turn()):
                key.data()
            self._endpoint.turn()
        self._endpoint.end()
        self._selector.close()
        for each in (self._wake_reader, self._wake_writer):
            leave_to_children(each.fileno())
            each.close()

    def _woken(self) -> None:
        self._wake_reader.recv(1)

    # ---- commands

    def _status(self) -> Answer:
        yield from ()
        why = self._server.readiness()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "serves_by": "one process",
            "state": "stopping" if self._stops else "serving",
            "ready": not why,
            "why_not_ready": why,
            "withdrawn": self._withdrawn,
            "seconds_up": round(time.monotonic() - self._began, 1),
            "addresses": self._server.addresses,
            "log_level": logs.shown_level(),
            "threads": self._server.config.threads,
            "seconds_stuck": round(self._server.stalled_for(), 1),
            "rss_bytes": _resident(),
            **self._server.stats(),
        }

    def _workers(self) -> Answer:
        yield from ()
        why = self._server.readiness()
        figures = self._server.stats()
        return {
            "workers": [
                {
                    "worker": 0,
                    "pid": os.getpid(),
                    "generation": 1,
                    "state": "retiring" if self._stops else "ready",
                    "ready": not why,
                    "why_not_ready": why,
                    "seconds_served": round(time.monotonic() - self._began, 1),
                    "is_replaced_since": "",
                    "seconds_stuck": round(self._server.stalled_for(), 1),
                    "rss_bytes": _resident(),
                    **figures,
                }
            ],
            "workers_wanted": 0,
        }

    def _requests(self) -> Answer:
        yield from ()
        return {"workers": [of_process(0, os.getpid(), self._server.doing())]}

    def _stacks(self) -> Answer:
        yield from ()
        threads = collected(self._server.requests())
        me: dict[str, Any] = {"worker": 0, "pid": os.getpid(), "state": "ready", "note": ""}
        return {"workers": [{**me, "threads": threads}]}

    def _reload(self, _arguments: Mapping[str, Any]) -> Answer:
        yield from ()
        raise NotDone(
            "it serves without workers, and cannot be reloaded: restart it, or serve with workers",
            code="refused",
        )

    def _signal(self, number: signal.Signals) -> None:
        os.kill(os.getpid(), number)

    def _log_level(self, level: str) -> Answer:
        yield from ()
        logs.tell_level("" if level == CONFIGURED else level)
        return {"level": logs.shown_level(), "workers_to_follow": []}

    def _ready(self, ready: bool) -> Answer:
        yield from ()
        self._withdrawn = not ready
        self._server.withdraw(self._withdrawn)
        log_withdrawal(self._withdrawn)
        return {"withdrawn": self._withdrawn, "probes": probe_paths(self._server.config)}


def _resident() -> int:
    """Octets of memory; 0 where the kernel does not tell (Linux does)."""
    try:
        descriptor = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int(os.read(descriptor, 256).split()[1]) * _PAGE
    finally:
        os.close(descriptor)
