"""Which server runs an application is its user's to say: by name, in a variable or an argument.

    PROWINGEN_SERVER=wsgi                      this package's server, which is also the default
    PROWINGEN_SERVER=name                      an entry point of the group below
    PROWINGEN_SERVER=package.module:Factory    any other

A factory is told where to listen and what it may do, and makes a server of an application:

    properties = {"host.addresses": [{"scheme": "http", "host": "127.0.0.1", "port": "9002",
                                      "path": ""}]}
    factory.initialize(properties)            # adds to properties["server.capabilities"]
    server = factory.create(app, properties)  # started
    server.close()
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, runtime_checkable
from urllib.parse import unquote, urlsplit

from ..configuration.addresses import tcp_text
from ..configuration.config import ConfigError, nearest
from ..originals import os

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from _typeshed.wsgi import WSGIApplication

__all__ = [
    "GROUP",
    "LISTENS_ON_DESCRIPTORS",
    "VARIABLE",
    "FactoryNotFoundError",
    "HostAddress",
    "Properties",
    "RunningServer",
    "ServerFactory",
    "Started",
    "bind_text",
    "find_factory",
    "start",
]

GROUP = "prowingen_wsgi.server_factories"
"""The group of entry points that name server factories."""
VARIABLE = "PROWINGEN_SERVER"
"""The environment variable that names one."""
LISTENS_ON_DESCRIPTORS = "listen.fd"
"""The capability to take addresses of the scheme "fd"."""

_BUILT_IN = {"wsgi": "prowingen_wsgi.factories.wsgi:WsgiFactory"}

Properties = dict[str, Any]
"""What a host and a factory tell each other. Keys with a meaning:

    host.addresses        list[HostAddress]: where to listen
    server.options        dict[str, object]: options of the server, by their names in its own words
    server.capabilities   dict[str, str]: what the server can do, as `wsgi.version`: "1.0"; the
                          factory's to fill
"""


class HostAddress(TypedDict):
    """One place to listen at, all text.

    scheme: "http", "https", "unix" or "fd".
    host: a name or an address without brackets, "" for every interface; the path of a Unix socket;
        the number of a descriptor, of a socket that listens already.
    port: "0" for a free one; "" for a Unix socket and a descriptor.
    path: what the application is mounted at: "" or as "/api"; it becomes SCRIPT_NAME (PEP 3333).
    """

    scheme: str
    host: str
    port: str
    path: str


@runtime_checkable
class RunningServer(Protocol):
    """What a factory makes. It serves until it is closed."""

    @property
    def addresses(self) -> list[str]:
        """URLs of where it listens, ports as they turned out."""

    def close(self) -> None:
        """Lets requests finish, then ends everything; returns when it is done. Idempotent."""


@runtime_checkable
class ServerFactory(Protocol):
    """Makes servers. Found by name, so it is made without arguments."""

    def initialize(self, properties: Properties) -> None:
        """Adds what the server can do to `properties["server.capabilities"]`."""

    def create(self, app: WSGIApplication, properties: Properties) -> RunningServer:
        """Starts a server for the application. Raises OSError if it cannot listen, ValueError for
        an address or an option that it does not know."""


class FactoryNotFoundError(LookupError):
    """A name that leads to no server factory: says which there are."""


class Started:
    """A server that runs, to be used in a `with` statement, or closed."""

    def __init__(self, server: RunningServer, properties: Properties) -> None:
        self.server = server
        self.properties = properties

    @property
    def addresses(self) -> list[str]:
        return self.server.addresses

    @property
    def capabilities(self) -> Mapping[str, str]:
        """What the server said it can do."""
        capabilities: Mapping[str, str] = self.properties["server.capabilities"]
        return capabilities

    def close(self) -> None:
        self.server.close()

    def __enter__(self) -> Started:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def start(
    app: WSGIApplication,
    *addresses: str,
    server_factory: str | ServerFactory | type[ServerFactory] | None = None,
    **options: object,
) -> Started:
    """Starts an application on the server that its user chose.

        with prowingen_wsgi.start(app, "http://127.0.0.1:9002") as server:
            print(server.addresses)

    addresses: URLs, as "http://127.0.0.1:9002/api", "http://[::1]:0", "http://*:80", "unix:/path",
        "fd://3".
    server_factory: a factory, its class or its name; without it the variable PROWINGEN_SERVER,
        else "wsgi".
    options: the server's own, passed on under "server.options".

    Raises FactoryNotFoundError (a LookupError), ConfigError (a ValueError) for an address that is
    none, and what the factory raises.
    """
    properties: Properties = {
        "host.addresses": [parse_url(url) for url in addresses or ("http://127.0.0.1:8000",)],
        "server.options": dict(options),
        "server.capabilities": {},
    }
    factory = find_factory(server_factory)
    factory.initialize(properties)
    return Started(factory.create(app, properties), properties)


def parse_url(url: str) -> HostAddress:
    """Reads where to listen. Raises ConfigError that says what is allowed."""
    if url.startswith("unix:"):
        return {"scheme": "unix", "host": url.removeprefix("unix:"), "port": "", "path": ""}
    if url.startswith("fd://"):
        return {"scheme": "fd", "host": url.removeprefix("fd://"), "port": "", "path": ""}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f'"{url}": {error}') from None
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f'"{url}": must be a URL such as http://127.0.0.1:9002/path')
    host = parts.hostname or ""
    return {
        "scheme": parts.scheme,
        "host": "" if host in ("*", "+") else host,
        "port": str({"http": 80, "https": 443}[parts.scheme] if port is None else port),
        "path": unquote(parts.path).rstrip("/"),
    }


def bind_text(address: HostAddress) -> str:
    """An address as `Config.bind` has it."""
    scheme, host, port = address["scheme"], address["host"], address["port"]
    if scheme in ("http", "https"):
        return tcp_text(host, port)
    return f"fd://{host}" if scheme == "fd" else f"unix:{host}"


def find_factory(name: str | ServerFactory | type[ServerFactory] | None = None) -> ServerFactory:
    """The factory of that name; without one, of the name in the variable, else this package's.

    Raises FactoryNotFoundError, and TypeError for what is no factory.
    """
    if name is not None and not isinstance(name, str):
        return _checked(_made(name), repr(name))
    said_by = "server_factory" if name else VARIABLE
    name = name or os.environ.get(VARIABLE) or "wsgi"
    named = {point.name: point.value for point in entry_points(group=GROUP)} | _BUILT_IN
    where = named.get(name, name)
    module, colon, attributes = where.partition(":")
    if not colon or not module or module.startswith("."):  # which import_module() takes otherwise
        raise FactoryNotFoundError(
            f'{said_by}: "{name}": no such server factory{nearest(name, named)}; there are '
            f"{', '.join(sorted(named))}; any other is given as package.module:Factory"
        )
    try:
        found: Any = import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise FactoryNotFoundError(f'{said_by}: "{name}": {error}') from error
    return _checked(_made(found), f'{said_by}: "{name}"')


def _made(factory: object) -> object:
    """A class is made without arguments; an object is there already."""
    return factory() if isinstance(factory, type) else factory


def _checked(found: object, label: str) -> ServerFactory:
    if not isinstance(found, ServerFactory):
        raise TypeError(f"{label}: a server factory has the methods initialize and create")
    return found
