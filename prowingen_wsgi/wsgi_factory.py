"""This package's server as a server factory: the one called "wsgi"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import __version__
from .config import Config, ConfigError
from .factories import LISTENS_ON_DESCRIPTORS, bind_text
from .mounts import Mounts
from .server import Server, choose_engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIApplication

    from .factories import HostAddress, Properties


class WsgiFactory:
    """Takes the fields of `Config` as "server.options"; `access_log` may also be callable, as in
    `serve`.
    """

    def initialize(self, properties: Properties) -> None:
        """Adds the versions of WSGI and of the server, and the engine."""
        properties.setdefault("server.capabilities", {}).update(
            {
                "wsgi.version": "1.0",
                LISTENS_ON_DESCRIPTORS: "1.0",
                "prowingen.version": __version__,
                "prowingen.engine": choose_engine(_config(properties)),
            }
        )

    def create(self, app: WSGIApplication, properties: Properties) -> WsgiServer:
        """Starts a `Server`. Raises what that raises."""
        addresses: list[HostAddress] = properties["host.addresses"]
        places: dict[str, list[str]] = {}  # in order; paths of one place share its socket
        for address in addresses:
            _check_scheme(address)
            places.setdefault(bind_text(address), []).append(address["path"])
        mounts = Mounts(app)
        mounted = any(address["path"] for address in addresses)
        server = Server(
            mounts if mounted else app,
            _config(properties, bind=tuple(places)),
            access_log=_line_taker(properties),
        )
        for url, paths in zip(server.addresses, places.values(), strict=True):
            for path in paths:
                mounts.add(_server_port(url), path)
        server.start()
        return WsgiServer(server)


class WsgiServer:
    """A `Server` as factories give it out."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @property
    def addresses(self) -> list[str]:
        return self.server.addresses

    @property
    def abandoned(self) -> list[str]:
        """After `close`, the threads that the application has kept: see `Server.abandoned`."""
        return self.server.abandoned

    def close(self) -> None:
        self.server.stop()


def _line_taker(properties: Properties) -> Callable[[str], object] | None:
    taker = properties.get("server.options", {}).get("access_log")
    return taker if callable(taker) else None


def _config(properties: Properties, **further: object) -> Config:
    options = {**properties.get("server.options", {}), **further}
    if _line_taker(properties):
        del options["access_log"]
    if options.get("certfile"):
        raise ConfigError(
            "certfile: this server speaks no TLS yet: leave that to a proxy before it"
        )
    return Config.embedded(options)


def _check_scheme(address: HostAddress) -> None:
    if address["scheme"] not in ("http", "unix", "fd"):
        url = "{scheme}://{host}:{port}".format(**address)
        raise ConfigError(f'"{url}": only http is served so far')


def _server_port(url: str) -> str:
    """SERVER_PORT of what comes in at this address; a Unix socket has none of its own."""
    return "80" if url.startswith("unix:") else url.rpartition(":")[2]
