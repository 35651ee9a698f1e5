"""WebSockets for WSGI applications (RFC 6455), whatever framework they are written with.

    from prowingen_wsgi import websocket

    def echo(environ, start_response):          # a view, a resource, a bare application
        for message in websocket.accept(environ):
            ...

`accept` answers the handshake at once, so that what the view returns is no answer any more, and is
thrown away. Without callbacks the view has the WebSocket, on a thread of its own, until it returns.
With them it returns at once: each message is a call on whatever worker is free, and while none come
the WebSocket holds no thread. docs/websocket.md says when to take which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._native import (
    ConnectionClosed,
    HandshakeError,
    OpaqueUpgrade,
    Request,
    WebSocket,
    accept_websocket,
)
from .websocket_room import Room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "Compression",
    "ConnectionClosed",
    "HandshakeError",
    "Room",
    "WebSocket",
    "accept",
    "is_websocket",
]

SAME_ORIGIN = "same"
ANY_ORIGIN = "*"

_LARGEST_WINDOW = 15
_SMALLEST_WINDOW = 9


class Compression:
    """What is wanted of permessage-deflate (RFC 7692), if the client offers it.

    server_window, client_window: bits, 9 to 15, of the windows of what is sent and what comes.
    server_keeps, client_keeps: whether each side keeps its window from message to message, which
        makes small ones that are alike smaller still, and takes some 300 KiB for the one and 40 for
        the other for each WebSocket. Without, they take nothing.

    Raises ValueError.
    """

    __slots__ = ("client_keeps", "client_window", "server_keeps", "server_window")

    def __init__(
        self,
        *,
        server_window: int = _LARGEST_WINDOW,
        client_window: int = _LARGEST_WINDOW,
        server_keeps: bool = False,
        client_keeps: bool = False,
    ) -> None:
        for name, bits in (("server_window", server_window), ("client_window", client_window)):
            if not _SMALLEST_WINDOW <= bits <= _LARGEST_WINDOW:
                message = f"{name}: {bits}: must be {_SMALLEST_WINDOW} to {_LARGEST_WINDOW}"
                raise ValueError(message)
        self.server_window = server_window
        self.client_window = client_window
        self.server_keeps = server_keeps
        self.client_keeps = client_keeps


def is_websocket(environ: Mapping[str, Any] | Request) -> bool:
    """Whether a request asks for a WebSocket, and this server can give it one."""
    if isinstance(environ, Request):
        method, offered = environ.method, environ.headers.get("Upgrade", "")
    else:
        method = str(environ.get("REQUEST_METHOD"))
        offered = str(environ.get("HTTP_UPGRADE", ""))
    names = (each.strip().lower() for each in offered.split(","))
    return method == "GET" and _upgrade_of(environ) is not None and "websocket" in names


def _upgrade_of(asked: Mapping[str, Any] | Request | OpaqueUpgrade) -> OpaqueUpgrade | None:
    if isinstance(asked, OpaqueUpgrade):
        return asked
    return asked.upgrade if isinstance(asked, Request) else asked.get("opaque.upgrade")


def accept(
    environ: Mapping[str, Any] | Request | OpaqueUpgrade,
    *,
    on_open: Callable[[WebSocket], object] | None = None,
    on_message: Callable[[WebSocket, str | bytes], object] | None = None,
    on_close: Callable[[WebSocket, int, str], object] | None = None,
    subprotocols: Iterable[str] = (),
    origins: str | Iterable[str] = SAME_ORIGIN,
    headers: Iterable[tuple[str, str]] = (),
    max_message: int = 1024 * 1024,
    max_queue: int = 1024 * 1024,
    on_full: str | None = None,
    ping_interval: float | None = 20.0,
    ping_timeout: float | None = 20.0,
    close_timeout: float = 10.0,
    compression: Compression | bool = True,
) -> WebSocket:
    """Answers a request's handshake, and returns the WebSocket.

    environ: of the request; in Flask `request.environ`, in Django `request.META`; of a raw
        listener the request itself.
    on_open, on_message, on_close: called on the worker pool with the WebSocket, one after the
        other for each of them, side by side for several; on_message with a str or bytes, on_close
        with the code and the reason. What one of them raises is logged, and the WebSocket closed
        with 1011.
    subprotocols: that the application speaks, the best first.
    origins: whose pages may connect: "same" (the host's that the request is for), "*", or a list
        such as ["https://example.com"]. What is no browser sends no Origin, and may.
    headers: further fields of the answer, such as Set-Cookie.
    max_message: octets of a message that comes; a longer one is the end, with code 1009.
    max_queue: octets that may wait to be sent.
    on_full: who sends more than that has to "wait", or the WebSocket is ended: "close". The first
        without callbacks, else the second, since workers are for all. None: that.
    ping_interval: seconds without a sign of life after which the client is pinged; None: never.
    ping_timeout: seconds until it has to give one then; None: for ever.
    close_timeout: seconds until it has to return a close.
    compression: whether messages are compressed where the client can; or how.

    Raises HandshakeError if there is no handshake, or none that can be accepted: then its client
    has been told why, and who asks for no WebSocket at all is answered 426 if this is not caught.
    Raises ConnectionAbortedError if there is no thread (`long_lived_threads`), and
    ClientDisconnected if the client has gone. None of these has to be caught. Raises ValueError and
    TypeError for arguments that are none, RuntimeError if the request was answered before.
    """
    upgrade = _upgrade_of(environ)
    if upgrade is None:
        error = HandshakeError("the request asks for no WebSocket, or is served by another server")
        error.status = 426
        raise error
    if isinstance(subprotocols, str):
        raise TypeError("subprotocols: a str: must be a list or tuple")
    fields = list(headers)
    for name, _ in fields:
        if name.lower().startswith("sec-websocket-") or name.lower() in ("connection", "upgrade"):
            raise ValueError(f'headers: "{name}": is the handshake\'s own')
    evented = not (on_open is None and on_message is None and on_close is None)
    wanted = compression if isinstance(compression, Compression) else Compression()
    any_origin = origins == ANY_ORIGIN
    same_origin = origins == SAME_ORIGIN
    if isinstance(origins, str) and not (any_origin or same_origin):
        raise ValueError(f'origins: "{origins}": must be "same", "*" or a list')
    if on_full not in ("wait", "close", None):
        raise ValueError(f'on_full: "{on_full}": must be "wait" or "close"')
    for name, number in (("max_message", max_message), ("max_queue", max_queue)):
        if number < 1:
            raise ValueError(f"{name}: {number}: must be at least 1")
    for name, seconds in (
        *(("ping_interval", ping_interval), ("ping_timeout", ping_timeout)),
        ("close_timeout", close_timeout),
    ):
        if seconds is not None and not seconds > 0:
            raise ValueError(f"{name}: {seconds}: must be above 0")
    for callback in (on_open, on_message, on_close):
        if callback is not None and not callable(callback):
            raise TypeError(f"accept: {callback!r} is not callable")
    return accept_websocket(
        upgrade,
        subprotocols=tuple(subprotocols),
        origins=() if isinstance(origins, str) else tuple(origins),
        same_origin=same_origin,
        fields=fields,
        max_message=max_message,
        max_queue=max_queue,
        wait=not evented if on_full is None else on_full == "wait",
        ping_interval=ping_interval or 0.0,
        ping_timeout=ping_timeout or 0.0,
        close_timeout=close_timeout,
        compress=compression is not False,
        server_window=wanted.server_window,
        client_window=wanted.client_window,
        server_keeps=wanted.server_keeps,
        client_keeps=wanted.client_keeps,
        on_open=on_open,
        on_message=on_message,
        on_close=on_close,
    )
