"""This package's server as a server factory: the one called "wsgi"."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from .. import __version__
from ..certificates import check_certificates
from ..configuration.config import Config, ConfigError
from ..development_certificates import with_development_certificate
from ..listeners import open_listeners
from ..originals import os
from ..server import Server, choose_engine
from .mounts import Mounts
from .selection import LISTENS_ON_DESCRIPTORS, bind_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIApplication

    from ..listeners import Listener
    from .selection import HostAddress, Properties


class WsgiFactory:
    """Takes the fields of `Config` as "server.options"; `access_log` may also be callable, as in
    `serve`.
    """

    def initialize(self, properties: Properties) -> None:
        """Adds the versions of WSGI and of the server, and the engine."""
        config = _config(properties)
        check_certificates(config)
        properties.setdefault("server.capabilities", {}).update(
            {
                "wsgi.version": "1.0",
                LISTENS_ON_DESCRIPTORS: "1.0",
                "prowingen.version": __version__,
                "prowingen.engine": choose_engine(config),
            }
        )

    def create(self, app: WSGIApplication, properties: Properties) -> WsgiServer:
        """Starts a `Server`. Raises what that raises."""
        addresses: list[HostAddress] = properties["host.addresses"]
        places: dict[str, list[str]] = {}  # in order; paths of one place share its socket
        for address in addresses:
            places.setdefault(bind_text(address), []).append(address["path"])
        config = _config(properties, bind=tuple(places))
        for address in addresses:
            _check_scheme(address, config)
        with ExitStack() as undo:
            listeners: list[Listener] = []
            apps: list[WSGIApplication] = []
            for place, (written, paths) in zip(config.places, places.items(), strict=True):
                mounted = Mounts(app, paths) if any(paths) else app
                for listener in open_listeners([place], config.backlog, written=[written]):
                    undo.callback(listener.close)
                    listeners.append(listener)
                    apps.append(mounted)
            server = Server(
                app, config, access_log=_line_taker(properties), listeners=listeners, apps=apps
            )
            undo.pop_all()
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
    options = dict(properties.get("server.options", {}))
    if "bind" in options:
        raise ConfigError("bind: addresses are given as URLs here, beside the options")
    if _line_taker(properties):
        del options["access_log"]
    elif isinstance(options.get("access_log"), os.PathLike):
        options["access_log"] = os.fspath(options["access_log"])
    for name in ("certfile", "keyfile"):
        if isinstance(options.get(name), str):  # one path, as factories agree on, commas included
            options[name] = (options[name],) if options[name] else ()
    return with_development_certificate(Config.embedded({**options, **further}))


def _check_scheme(address: HostAddress, config: Config) -> None:
    """A server speaks either HTTPS or HTTP, on all of its addresses."""
    url = "{scheme}://{host}:{port}".format(**address)
    encrypts = bool(config.certfile or config.acme_domain)
    if address["scheme"] == "https" and not encrypts:
        raise ConfigError(f'"{url}": it needs the option certfile')
    if address["scheme"] == "http" and encrypts:
        raise ConfigError(f'"{url}": must be https, as certfile is set')
