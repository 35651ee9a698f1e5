"""`manage.py runserver` on the server that PROWINGEN_SERVER names.

Django's command does everything around the server: its options, the checks, the banner, the
reloader, static files. It makes a server of its attribute `server_cls`, which here is one that has
the application served by the factory.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from django.apps import apps
from django.core.management.base import CommandError
from django.core.management.commands.runserver import Command as CoreCommand
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

from prowingen_wsgi.contrib.development import (
    DevelopmentHost,
    HostError,
    RequestLog,
)
from prowingen_wsgi.logs import make_native
from prowingen_wsgi.originals import os, signal, socket

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from prowingen_wsgi.factories.selection import HostAddress

if apps.is_installed("django.contrib.staticfiles"):
    from django.contrib.staticfiles.management.commands.runserver import Command as BaseCommand
else:
    BaseCommand = CoreCommand

_requests = logging.getLogger("django.server")
make_native(_requests)
_LINE_FORMAT = "%s %B %{%d/%b/%Y %H:%M:%S}t %r"


class Command(BaseCommand):  # type: ignore[misc]
    def run(self, **options: Any) -> None:
        """As Django's, around sockets and a server that are closed when it returns or exits."""
        try:
            self._host = DevelopmentHost(
                self._address(),
                {} if options["use_threading"] else {"threads": 1},
                RequestLog(_LINE_FORMAT, log_request),
            )
        except (HostError, socket.gaierror) as error:
            raise CommandError(str(error)) from error
        with self._host:
            if options["use_reloader"] and not _is_reloaded():
                # A child fails in the same way, and Django reports it.
                with suppress(HostError, OSError):
                    self._host.keep_sockets()
            super().run(**options)

    def _address(self) -> HostAddress:
        host = "0.0.0.0" if self.addr == "0" else self.addr
        if self.use_ipv6 and not self._raw_ipv6:  # a name, of which this kind of address is meant
            found = socket.getaddrinfo(host, None, socket.AF_INET6, socket.SOCK_STREAM)
            host = str(found[0][4][0])
        return {"scheme": "http", "host": host, "port": self.port, "path": ""}

    def get_handler(self, *args: Any, **options: Any) -> WSGIApplication:
        """The application, which Django asks for just before it makes a server for it."""
        app: WSGIApplication = super().get_handler(*args, **options)
        self._app = app
        self.server_cls = type("Server", (_Server,), {"command": self})
        return app

    def start_server(self) -> int:
        """Serves until `run` is over. Returns the port."""
        try:
            started = self._host.start(self._app, reloaded=_is_reloaded())
        except HostError as error:
            raise OSError(str(error)) from error  # which Django shows as its text
        self.stdout.write(f"Served by {self._host}")
        return urlsplit(started.addresses[0]).port or int(self.port)

    def wait(self) -> None:
        """Returns at SIGTERM and raises KeyboardInterrupt at SIGINT, as Django's servers do."""
        if self._host.wait_for_signal() == signal.SIGINT:
            raise KeyboardInterrupt


class _Server:
    """What Django's `run` expects of a `server_cls`."""

    command: ClassVar[Command]

    def __init__(self, *_address_and_handler: object, ipv6: bool = False) -> None:  # noqa: ARG002
        self.server_port = self.command.start_server()

    def set_app(self, app: WSGIApplication) -> None:
        """It is being served already."""

    def serve_forever(self) -> None:
        """Waits; in a reloader's child, in a thread that lasts as long as the process."""
        self.command.wait()


def _is_reloaded() -> bool:
    return os.environ.get(DJANGO_AUTORELOAD_ENV) == "true"


def log_request(line: str) -> None:
    """Logs a line of the access log as Django's own server logs a request."""
    status, size, day, clock, request = line.split(" ", 4)
    code = int(status) if status.isdigit() else 0  # it is "-" if the client left before an answer
    level = logging.ERROR if code >= 500 else logging.WARNING if code >= 400 else logging.INFO
    extra = {"request": None, "server_time": f"{day} {clock}", "status_code": code or None}
    _requests.log(level, '"%s" %s %s', request, status, size, extra=extra)
