"""A WSGI server whose HTTP runs in native threads: see `serve` and `Server`, `start` for a host
that lets its user choose the server, and `create_server` for HTTP without WSGI.

Importing this loads next to nothing: each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module

# Not from `typing`, which would be most of what this import costs: type checkers go by the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import ClientDisconnected as ClientDisconnected
    from ._native import RequestTimeout as RequestTimeout
    from .configuration.config import Config as Config
    from .configuration.config import ConfigError as ConfigError
    from .control.embedded import EmbeddedControl
    from .deadlines import remaining as remaining
    from .factories.selection import start as start
    from .listener import HttpServer as HttpServer
    from .listener import Request as Request
    from .listener import Response as Response
    from .listener import create_server as create_server
    from .server import Server as Server
    from .server import serve as serve
    from .server import set_ready as set_ready

    __version__: str

__all__ = [
    "ClientDisconnected",
    "Config",
    "ConfigError",
    "HttpServer",
    "Request",
    "RequestTimeout",
    "Response",
    "Server",
    "__version__",
    "create_server",
    "remaining",
    "serve",
    "set_ready",
    "start",
]

_HOMES = {
    "ClientDisconnected": "_native",
    "RequestTimeout": "_native",
    "remaining": "deadlines",
    "HttpServer": "listener",
    "Request": "listener",
    "Response": "listener",
    "create_server": "listener",
    "Config": "configuration.config",
    "ConfigError": "configuration.config",
    "Server": "server",
    "serve": "server",
    "set_ready": "server",
    "start": "factories",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        value: object = _version()
    elif name == "_native":  # what `from . import _native` asks for where it is not to be had
        value = _loaded(name)
    elif name in _HOMES:
        value = getattr(_loaded(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def own_control(server: Server) -> EmbeddedControl:
    """Who answers for a server that a program embeds: the rooms below know nothing of it.

    Raises OSError.
    """
    from .control.embedded import EmbeddedControl

    return EmbeddedControl(server)


def _loaded(module: str) -> object:
    """A module of the package. An error that is the native module's says what to do about it."""
    try:
        return import_module(f"{__name__}.{module}")
    except ImportError as error:
        from .missing_native import why_missing

        why = why_missing()
        if why and str(error) != why:
            raise ImportError(why) from error
        raise


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("prowingen-wsgi")
    except PackageNotFoundError:
        return "0+unknown"  # run from a source tree that is not installed
