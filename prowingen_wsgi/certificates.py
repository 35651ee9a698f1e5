"""What the options of the group "TLS" mean to a whole server: files that can be used, and URLs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from . import _native
from .configuration.config import ConfigError
from .logs import error_log
from .originals import time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .configuration.config import Config
    from .listeners import Listener


HTTPS_PORT = 443

_DAY = 86400.0


def check_certificates(config: Config) -> list[tuple[int, str]]:
    """Reads the files that a server will read, so that errors come before anything is served.

    Returns lines for the log, each with its level: what is served until when, and what has expired
    or soon will. Raises ConfigError that names the option, the file and what is wrong with it.
    """
    try:
        return _native.check_tls(config.native_options())
    except ValueError as error:
        raise ConfigError(str(error)) from None


class ExpiryWarnings:
    """Once a day: which of the certificates that the workers of a supervisor serve will expire.

    The files are read for it, as workers do themselves when those change; a worker says what is
    wrong with them.
    """

    def __init__(self) -> None:
        self._next = 0.0

    def told(self) -> None:
        """They have just been told."""
        self._next = time.monotonic() + _DAY

    def look(self, config: Config) -> None:
        if not config.certfile or time.monotonic() < self._next:
            return
        self.told()
        try:
            lines = check_certificates(config)
        except ConfigError:
            return
        for level, text in lines:
            if level >= logging.WARNING:
                error_log.log(level, "%s", text)


def https_port(listeners: Iterable[Listener]) -> str:
    """The port that clients of other listeners are sent on to; empty for HTTPS's usual one."""
    ports = [each.port for each in listeners if each.port]
    return "" if not ports or ports[0] == HTTPS_PORT else str(ports[0])


def served_url(url: str, config: Config) -> str:
    """A listening socket's URL by what is spoken there; `unix:/path` stays as it is."""
    return url.replace("http://", "https://", 1) if config.certfile else url
