"""A stand-in for the native module, for tests of what is around it.

A connection counts as a request: a worker calls the application with `{"connection": socket}` and
sends what it returns. `calls` tells in which order the native side was used.

    python -m fake_native ARGUMENTS      the command `prowingen`, on this module
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

App = Callable[[dict[str, object], Callable[..., object]], Iterable[bytes]]
Log = Callable[[int, str, "BaseException | None"], None]


class ConnectionClosed(Exception):  # noqa: N818 - as the native one is called
    """With the following, what `websocket` imports: there are no WebSockets here."""


class HandshakeError(Exception):
    """As above."""


OpaqueUpgrade = Request = WebSocket = accept_websocket = broadcast = object


class Server:
    def __init__(
        self,
        apps: tuple[App, ...],
        listeners: list[tuple[int, str]],
        options: Mapping[str, object],
        *,
        log: Log,
        access_log: Callable[[str], None] | None,
        interface: str = "wsgi",
        multiprocess: bool = False,
        errors: object = None,
        redirects: Sequence[tuple[int, str]] = (),
        redirect_port: str = "",
        datagrams: Sequence[tuple[list[int], int]] = (),
        add_thread: object = None,
        time_limits: Sequence[tuple[str, float]] = (),
        tell_overdue: object = None,
        add_departure_thread: object = None,
        admins: Sequence[tuple[int, str]] = (),
        admin_door: int = -1,
        admin_token: str = "",
        statsd: object = None,
    ) -> None:
        assert not redirects
        assert not time_limits
        assert callable(tell_overdue)
        assert callable(add_departure_thread)
        assert not admins
        assert (admin_door, admin_token) == (-1, "")
        assert statsd is None
        assert callable(add_thread)
        assert not datagrams
        del redirect_port  # of none
        assert (interface, multiprocess, errors) == ("wsgi", False, None)
        self.calls: list[str] = []
        self.options = dict(options)
        self._app = apps[0]
        self._log = log
        self._access_log = access_log
        if options["access_log_format"] == "%refused":
            raise ValueError("access_log_format: refused")
        self._sockets = [socket.socket(fileno=fd) for fd, _ in listeners]
        self._requests: queue.SimpleQueue[socket.socket | None] = queue.SimpleQueue()
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._changed = threading.Condition()  # guards the next
        self._open = 0
        self._acceptors = [
            threading.Thread(target=self._accept, args=(sock,), daemon=True)
            for sock in self._sockets
        ]

    def start(self) -> None:
        self.calls.append("start")
        for sock in self._sockets:  # here, as the server may stop before the threads run
            sock.setblocking(True)
        for acceptor in self._acceptors:
            acceptor.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._changed:
                self._open += 1
            self._requests.put(connection)

    def work(self) -> None:
        while (connection := self._requests.get()) is not None:
            with connection:
                try:
                    body = b"".join(self._app({"connection": connection}, lambda *_: None))
                    connection.sendall(body)
                except Exception as error:  # noqa: BLE001  # whatever the application raises
                    self._log(40, "GET / HTTP/1.1", error)
            self._lines.put("a line")
            with self._changed:
                self._open -= 1
                self._changed.notify_all()
        self._requests.put(None)  # for the next worker

    def pump_log(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._access_log is not None:
                self._access_log(line)

    def begin_drain(self) -> None:
        self.calls.append("begin_drain")
        self._close_listeners()

    def _close_listeners(self) -> None:
        for sock in self._sockets:
            if sock.fileno() >= 0:
                sock.shutdown(socket.SHUT_RDWR)
                sock.close()

    def wait_drained(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, seconds)

    def stop(self) -> None:
        self.calls.append("stop")
        self._close_listeners()
        self._requests.put(None)
        self._lines.put(None)

    def reopen_logs(self) -> None:
        self.calls.append("reopen_logs")
        self._log(20, "reopened", None)

    def renew_certificates(self) -> None:
        self.calls.append("renew_certificates")

    def stalled_for(self) -> float:
        return 0.0

    def stats(self) -> dict[str, int]:
        return {"exchanges_open": self._open}


def check_tls(options: dict[str, object]) -> list[tuple[int, str]]:
    assert not options["certfile"]
    return []


def check_spool(options: dict[str, object]) -> None:
    assert not options["spool_dir"]


def new_development_authority() -> tuple[str, str]:
    return "an authority", "its key"


def new_development_certificate(authority: str, key: str) -> tuple[str, str]:
    return f"a certificate of {authority}", f"not {key}"


def new_ticket_key() -> bytes:
    return b"a key"


def engines() -> dict[str, str]:
    return {"embedded": "made of nothing"}


def install() -> None:
    """Puts this in the native module's place. Before the package's server is imported."""
    sys.modules["prowingen_wsgi._native"] = sys.modules[__name__]


if __name__ == "__main__":
    install()
    from prowingen_wsgi.command.cli import main

    sys.exit(main())
