"""The raw listener: HTTP without WSGI, for what WSGI has no words for or is too slow for.

    server = prowingen_wsgi.create_server(handler)
    server.add_address("127.0.0.1", 9001)
    server.start()

`handler(request, response)` is called by the worker threads, several at once. When it returns, the
response ends; after `response.defer()` any thread may go on with it instead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ._native import Request, Response
from .configuration.addresses import tcp_text
from .configuration.config import Config, ConfigError
from .server import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import Signals
    from types import TracebackType

    Handler = Callable[[Request, Response], None]

__all__ = ["HttpServer", "Request", "Response", "create_server"]


def create_server(handler: Handler, **options: object) -> HttpServer:
    """Makes a server that is told where to listen, and then started.

    handler: called with each request and the response to fill in; returns None. What it raises is
        logged and answered 500, or breaks the answer off if its head has been sent.
    options: the fields of `Config`, but for `bind`.

    Raises ConfigError (a ValueError) for a wrong value, TypeError for an option that does not
    exist or a handler that cannot be called.
    """
    return HttpServer(handler, options)


class HttpServer:
    """A server for a raw handler. A context manager: it starts on entry and stops on exit."""

    def __init__(self, handler: Handler, options: dict[str, object]) -> None:
        if "bind" in options:
            raise TypeError("bind: addresses are added with add_address()")
        if not callable(handler):
            raise TypeError(f"a handler must be callable, not {type(handler).__name__}")
        self._handler = handler
        self._config = Config.embedded(options)
        self._places: list[str] = []
        self._server: Server | None = None

    def add_address(self, host: str, port: int) -> None:
        """Adds a TCP address to listen on; before the start.

        host: a name or an address, "" for every interface. port: 0 for a free one.
        Raises ConfigError for what is neither, RuntimeError after the start.
        """
        if not 0 <= port <= 65535:
            raise ConfigError(f'port: "{port}": must be 0–65535')
        self._add(tcp_text(host, port))

    def add_unix_address(self, path: str) -> None:
        """Adds a Unix socket to listen on; as `add_address`."""
        self._add(f"unix:{path}")

    def _add(self, place: str) -> None:
        if self._server is not None:
            raise RuntimeError("addresses are added before the server is started")
        self._places.extend(Config(bind=(place,)).anchored().bind)

    @property
    def addresses(self) -> list[str]:
        """Where it listens once it is started, as `Server.addresses`."""
        return [] if self._server is None else self._server.addresses

    def start(self) -> None:
        """Opens the sockets and serves; returns at once.

        Raises RuntimeError without an address or if it was started before, ListenError (an
        OSError) if a socket cannot be opened.
        """
        self._open().start()

    def _open(self) -> Server:
        if self._server is not None:
            raise RuntimeError("a server starts once")
        if not self._places:
            raise RuntimeError("the server has no address: call add_address() first")
        config = replace(self._config, bind=tuple(self._places))
        self._server = Server(self._handler, config, interface="listener")
        return self._server

    def run(self) -> Signals | None:
        """Serves until SIGINT, SIGTERM or `stop`, as `Server.run`; starts the server if need be."""
        return (self._server or self._open()).run()

    def stop(self, graceful: float | None = None) -> None:
        """Lets requests finish for so many seconds, then closes everything, as `Server.stop`.

        A deferred response counts as one that runs.
        """
        if self._server is not None:
            self._server.stop(graceful)

    def stats(self) -> dict[str, int]:
        """Counters since the start; empty before it."""
        return {} if self._server is None else self._server.stats()

    def __enter__(self) -> HttpServer:
        (self._server or self._open()).__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
