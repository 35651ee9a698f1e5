"""A daemon of statsd: a real socket, and what has come to it, summed as daemons do."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.waiting import TIME_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_END = b"the end"


@dataclass
class Pushed:
    """What was pushed so far. counters: sums by name; gauges: the last values, by name and tags."""

    datagrams: list[bytes] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)
    tagged: Counter[tuple[str, frozenset[str]]] = field(default_factory=Counter)
    gauges: dict[tuple[str, frozenset[str]], float] = field(default_factory=dict)

    def take(self, datagram: bytes) -> None:
        self.datagrams.append(datagram)
        for line in datagram.decode().split("\n"):
            name, _, rest = line.partition(":")
            value, kind, *more = rest.split("|")
            tags = frozenset(more[0].removeprefix("#").split(",")) if more else frozenset()
            if kind == "c":
                self.counters[name] += float(value)  # type: ignore[assignment]
                self.tagged[name, tags] += float(value)  # type: ignore[assignment]
            else:
                assert kind == "g", line
                self.gauges[name, tags] = float(value)

    def sum(self, prefix: str) -> float:
        """Of all counters whose names begin so."""
        return sum(value for name, value in self.counters.items() if name.startswith(prefix))

    def gauge(self, name: str) -> float | None:
        """One without tags."""
        return self.gauges.get((name, frozenset()))


class Daemon:
    """Reads on a thread of its own, unless it is told to hold."""

    def __init__(self, listener: socket.socket, address: str) -> None:
        self.address = address
        self._socket = listener
        self._pushed = Pushed()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="statsd")
        self._thread.start()

    def _run(self) -> None:
        while (datagram := self._socket.recv(1 << 16)) != _END:
            with self._changed:
                self._pushed.take(datagram)
                self._changed.notify_all()

    def close(self) -> None:
        if self._thread is not None:
            with socket.socket(self._socket.family, socket.SOCK_DGRAM) as last:
                last.sendto(_END, self._socket.getsockname())
            self._thread.join(TIME_LIMIT)
        self._socket.close()

    def wait_for(
        self, condition: Callable[[Pushed], object], seconds: float = TIME_LIMIT
    ) -> Pushed:
        """Waits until that is so of what has come, and returns it."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self._pushed), seconds), (
                dict(self._pushed.counters),
                self._pushed.gauges,
            )
            return self._pushed

    def so_far(self) -> Pushed:
        """All that was sent before now: what is in the socket, too."""
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as mark:
            mark.sendto(b"mark:1|g", self._socket.getsockname())
        pushed = self.wait_for(lambda now: now.gauge("mark"))
        del pushed.gauges["mark", frozenset()]
        return pushed


def bound(where: str, folder: Path) -> tuple[socket.socket, str]:
    """A socket for that way of pushing, which is "udp", "udp6" or "unix", and its address."""
    if where == "unix":
        path = folder / "statsd.sock"
        with suppress(FileNotFoundError):
            path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(str(path))
        return listener, f"unix:{path}"
    family, host = (socket.AF_INET6, "::1") if where == "udp6" else (socket.AF_INET, "127.0.0.1")
    listener = socket.socket(family, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    listener.bind((host, 0))
    port = listener.getsockname()[1]
    return listener, f"[::1]:{port}" if where == "udp6" else f"127.0.0.1:{port}"


@contextmanager
def daemon(where: str, folder: Path, *, reads: bool = True) -> Iterator[Daemon]:
    """reads: at once; else when it is told to start."""
    listening = Daemon(*bound(where, folder))
    if reads:
        listening.start()
    try:
        yield listening
    finally:
        listening.close()
