"""A development server on the factory that PROWINGEN_SERVER names, whose sockets outlive reloads.

A framework's reloader runs the program twice. The parent only starts one child after the other; a
child serves, and leaves with an exit code of the reloader's own when a file has changed. So

    parent    opens the sockets, names their descriptors in a variable, and keeps them
    child     serves on them; when it leaves, it finishes what runs, and they are still open

Between two children a connection waits in the kernel's queue: none is refused. That needs a factory
which says it listens on descriptors; with any other, each child opens sockets of its own.
"""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from ..configuration.config import OPTIONS, PROCESSES, Config
from ..configuration.layers import environment_layer
from ..factories.selection import (
    LISTENS_ON_DESCRIPTORS,
    VARIABLE,
    FactoryNotFoundError,
    HostAddress,
    Properties,
    Started,
    bind_text,
    find_factory,
)
from ..forks import close_in_children
from ..listeners import open_listeners
from ..originals import os, signal
from ..output import flush_standard_streams
from ..signals import SignalQueue
from ..threads import Lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from signal import Signals
    from types import TracebackType

    from _typeshed.wsgi import WSGIApplication

    from ..listeners import Listener

__all__ = ["DevelopmentHost", "HostError", "RequestLog"]

_SOCKETS = "_PROWINGEN_SOCKETS"
# So long a change to the code waits for requests that run.
_GRACEFUL_TIMEOUT = 1.0


class HostError(Exception):
    """A name, an option or an address that is wrong; the text is for the user."""


@dataclass(frozen=True)
class RequestLog:
    """How a framework shows requests: a format of the access log, and what takes its lines."""

    format: str
    take: Callable[[str], object]


class DevelopmentHost:
    """One `runserver` or `flask run`: a context manager, whose end is the server's.

    options: the server's, by the names that factories agree on: threads, certfile, keyfile.

    Raises HostError.
    """

    def __init__(
        self, address: HostAddress, options: Mapping[str, object], request_log: RequestLog
    ) -> None:
        self._listeners: list[Listener] = []
        # Guards the two below, as a reloader's child starts in one thread and ends in another.
        self._lock = Lock()
        self._started: Started | None = None
        self._over = False
        self._signals = SignalQueue()
        self._handlers = ExitStack()
        self._properties: Properties = {"server.capabilities": {}}
        with _errors_for_the_user():
            self._factory = find_factory()
            own = _own_options(request_log) if self._is_ours() else {}
            options = {**own, **options}
            self._address = address.copy()
            if address["host"] == "::" and not options.get("ipv6_only"):
                self._address["host"] = ""  # IPv4 too, as the frameworks' own servers
            self._properties |= {"host.addresses": [self._address], "server.options": options}
            self._factory.initialize(self._properties)

    def _is_ours(self) -> bool:
        from ..factories.wsgi import WsgiFactory  # imports the native module

        return isinstance(self._factory, WsgiFactory)

    def __str__(self) -> str:
        """What serves: "wsgi (prowingen-wsgi 0.1.0, embedded engine)"."""
        name = os.environ[VARIABLE]
        capabilities = self._properties["server.capabilities"]
        version, engine = map(capabilities.get, ("prowingen.version", "prowingen.engine"))
        return f"{name} (prowingen-wsgi {version}, {engine} engine)" if version else name

    @property
    def keeps_sockets(self) -> bool:
        """Whether the sockets outlive a reload."""
        return LISTENS_ON_DESCRIPTORS in self._properties["server.capabilities"]

    def keep_sockets(self) -> list[str]:
        """In the parent: opens the sockets for the children that it starts.

        Returns their URLs; none if the factory cannot take sockets over. Raises HostError and
        OSError.
        """
        if self.keeps_sockets:
            place = bind_text(self._address)
            with _errors_for_the_user():
                Config(bind=(place,))  # checks it
            options = self._properties["server.options"]
            backlog = options.get("backlog", OPTIONS["backlog"].default)
            self._listeners = open_listeners([place], backlog)
            descriptors = [listener.fileno() for listener in self._listeners]
            for descriptor in descriptors:
                os.set_inheritable(descriptor, True)
            os.environ[_SOCKETS] = ",".join(map(str, descriptors))
        urls = [listener.description for listener in self._listeners]
        if self._address["scheme"] == "https":  # the children's doing, of which no socket knows
            return [url.replace("http:", "https:", 1) for url in urls]
        return urls

    def start(self, app: WSGIApplication, *, reloaded: bool) -> Started:
        """Serves, from any thread, until the block around this host ends.

        reloaded: whether this process is a reloader's child, whose signals are the reloader's.
        Raises HostError, OSError if it cannot listen, and SystemExit if the block has ended.
        """
        if reloaded and os.environ.get(_SOCKETS):
            numbers = os.environ[_SOCKETS].split(",")
            self._properties["host.addresses"] = [
                {"scheme": "fd", "host": number, "port": "", "path": ""} for number in numbers
            ]
            # A process of the application's that lives on would keep the address in use.
            descriptors = [int(number) for number in numbers]
            close_in_children(descriptors)
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
        if not reloaded:
            self._handlers.enter_context(self._signals.installed((signal.SIGINT, signal.SIGTERM)))
        with self._lock:
            if self._over:
                sys.exit()  # of this thread: the main one is on its way out
            with _errors_for_the_user():
                server = self._factory.create(app, self._properties)
            self._started = Started(server, self._properties)
            return self._started

    def wait_for_signal(self) -> Signals:
        """SIGINT or SIGTERM, when one has come since `start`; in a reloader's child, never."""
        while True:
            number = self._signals.next()
            if number is not None:
                return number

    def __enter__(self) -> DevelopmentHost:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Lets requests finish and closes everything."""
        self._handlers.close()  # a second Ctrl-C interrupts what follows
        with self._lock:  # a thread that is about to start a server does so now or never
            self._over = True
        if self._listeners:
            del os.environ[_SOCKETS]
        for listener in self._listeners:
            listener.close()
        if self._started is None:
            return
        self._started.close()
        # What the application has kept would be torn apart when the interpreter ends, and the
        # reloader not get its exit code.
        if getattr(self._started.server, "abandoned", None) and isinstance(error, SystemExit):
            _leave(error)


@contextmanager
def _errors_for_the_user() -> Iterator[None]:
    """What the protocol of factories lets them raise, but for OSError."""
    try:
        yield
    except (FactoryNotFoundError, ValueError, TypeError) as error:
        raise HostError(str(error)) from error


def _own_options(request_log: RequestLog) -> dict[str, object]:
    """For this package's server: the PROWINGEN_* variables, over what suits development."""
    # The framework's command says where to listen, and in which processes.
    named = {
        name: setting.value
        for name, setting in environment_layer(os.environ).items()
        if name != "bind" and OPTIONS[name].group != PROCESSES
    }
    if not named.get("access_log"):
        named |= {"access_log": request_log.take, "access_log_format": request_log.format}
    return {"graceful_timeout": _GRACEFUL_TIMEOUT, **named}


def _leave(reason: SystemExit) -> NoReturn:
    """Ends the process without the interpreter's clean-up."""
    logging.shutdown()
    flush_standard_streams()
    os._exit(reason.code if isinstance(reason.code, int) else 0 if reason.code is None else 1)
