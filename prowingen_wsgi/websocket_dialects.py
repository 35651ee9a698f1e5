"""WebSockets under the names that other servers have given them in a request's environ.

    wsgi.websocket     an object of gevent-websocket's shape, for Flask-Sockets and what was written
                       for either. It waits as a thread does: greenlets beside it have to wait too
    websocket.accept   owin-WebSocket 0.4, in WSGI's manner

Nothing is answered before one of them is used: an application may as well answer as ever.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from .originals import thread
from .websocket import ANY_ORIGIN, ConnectionClosed, WebSocket, accept

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["offer"]

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


def offer(environ: dict[str, Any], upgrade: Any) -> None:
    """Adds them to the environ of a request that asks for a WebSocket.

    upgrade: what it has as opaque.upgrade.
    """
    environ["wsgi.websocket"] = GeventWebSocket(upgrade, environ)
    environ["wsgi.websocket_version"] = environ.get("HTTP_SEC_WEBSOCKET_VERSION")
    environ["websocket.accept"] = partial(_owin_accept, upgrade)


def _accepted(upgrade: Any, **wanted: Any) -> WebSocket:
    # As the servers whose names these are: neither looks at origins.
    return accept({"opaque.upgrade": upgrade}, origins=ANY_ORIGIN, **wanted)


# ---------------------------------------------------------------------------- gevent-websocket


class GeventWebSocket:
    """What gevent-websocket 0.10 gives an application, as far as it is the application's."""

    OPCODE_TEXT, OPCODE_BINARY, OPCODE_CLOSE, OPCODE_PING = TEXT, BINARY, CLOSE, PING

    def __init__(self, upgrade: Any, environ: Mapping[str, Any]) -> None:
        self._upgrade = upgrade
        self._websocket: WebSocket | None = None
        self._lock = thread.allocate_lock()  # several threads may be the first to use it
        self.origin = environ.get("HTTP_ORIGIN")
        self.protocol = environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL")
        self.version = environ.get("HTTP_SEC_WEBSOCKET_VERSION")
        self.path = environ.get("PATH_INFO")

    @property
    def closed(self) -> bool:
        return self._accepted().closed  # some look at nothing else, and have others send

    def receive(self) -> str | bytearray | None:
        """The next message; None when it is closed. WebSocketError if it was before."""
        websocket = self._open()
        try:
            message = websocket.receive()
        except ConnectionClosed:
            return None
        return message if isinstance(message, str) else bytearray(message)

    read_message = receive

    def send(self, message: Any, binary: bool | None = None) -> None:
        """Sends text, or what is bytes or `binary`. WebSocketError if it is closed."""
        if binary is None:
            binary = not isinstance(message, str)
        self.send_frame(message, BINARY if binary else TEXT)

    def send_frame(self, message: Any, opcode: int) -> None:
        websocket = self._open()
        data = _encoded(message)
        try:
            if opcode == CLOSE:
                websocket.close()
            elif opcode == PING:
                websocket.ping(data)
            else:
                websocket.send(data.decode() if opcode == TEXT else data)
        except ConnectionClosed as error:
            raise _gevent_error("Socket is dead") from error

    def close(self, code: int = 1000, message: Any = b"") -> None:
        """Closes it, if it is not closed already."""
        if not self.closed:
            self._open().close(code, _encoded(message).decode(errors="replace"))

    def _accepted(self) -> WebSocket:
        with self._lock:
            if self._websocket is None:
                self._websocket = _accepted(self._upgrade)
            return self._websocket

    def _open(self) -> WebSocket:
        websocket = self._accepted()
        if websocket.close_code is not None:
            raise _gevent_error("Connection is already closed")
        return websocket


def _encoded(message: Any) -> bytes:
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    return ("" if message is None else str(message)).encode()


def _gevent_error(why: str) -> Exception:
    """One that an application catches, which knows the package's own if it has imported that."""
    package = sys.modules.get("geventwebsocket.exceptions")
    kind: type[Exception] = ConnectionError if package is None else package.WebSocketError
    return kind(why)


# ---------------------------------------------------------------------------- owin-WebSocket


def _owin_accept(
    upgrade: Any,
    options: Mapping[str, Any] | None,
    callback: Callable[[dict[str, Any]], object],
) -> None:
    """websocket.accept(options, callback)

    options: None, or a dict that may have websocket.subprotocol.
    callback: called with the WebSocket's environment once the application has returned.
    """
    if not callable(callback):
        raise TypeError("websocket.accept: callback must be callable")
    wanted = (options or {}).get("websocket.subprotocol")
    websocket = _accepted(upgrade, subprotocols=() if wanted is None else (wanted,))
    upgrade.then(partial(callback, _OwinWebSocket(websocket).environment()))


class _OwinWebSocket:
    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._environment: dict[str, Any] = {}
        self._begun: list[bytes] = []

    def environment(self) -> dict[str, Any]:
        self._environment.update(
            {
                "websocket.version": "1.0",
                "websocket.send": self.send,
                "websocket.receive": self.receive,
                "websocket.close": self.close,
                "websocket.call_cancelled": _CallCancelled(self._websocket),
            }
        )
        return self._environment

    def send(self, data: bytes, message_type: int = TEXT, end_of_message: bool = True) -> None:
        """Sends a message, or adds to one. ConnectionClosed."""
        if message_type not in (TEXT, BINARY):
            raise ValueError(f"message_type: {message_type}: must be 1 (text) or 2 (binary)")
        self._begun.append(_encoded(data))
        if end_of_message:
            whole = b"".join(self._begun)
            self._begun.clear()
            self._websocket.send(whole.decode() if message_type == TEXT else whole)

    def receive(self) -> tuple[int, bool, bytes]:
        """message_type, end_of_message and what was sent; of type 8 if it is closed."""
        try:
            message = self._websocket.receive()
        except ConnectionClosed as closed:
            self._environment["websocket.client_close_status"] = closed.code
            self._environment["websocket.client_close_description"] = closed.reason
            return CLOSE, True, b""
        return TEXT if isinstance(message, str) else BINARY, True, _encoded(message)

    def close(self, status: int = 1000, description: str = "") -> None:
        self._websocket.close(status, description)


class _CallCancelled:
    """An event: it is closed."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    def is_set(self) -> bool:
        return self._websocket.close_code is not None

    def wait(self, timeout: float | None = None) -> bool:
        return self._websocket.wait_closed(timeout)
