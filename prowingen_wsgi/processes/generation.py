"""What all workers of one reading of the configuration share."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from .. import _native
from ..certificates import check_certificates, served_url
from ..listeners import Listener, open_listeners
from ..spooling import check_spool_dir
from .privileges import Identity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..configuration.config import Config
    from .program import Program


class Generation:
    """One reading of the configuration.

    number: counts them, from 1.
    load: loads the application; called in the process that needs it.
    ticket_key: with it they resume each other's TLS sessions; a new one each time.
    proven: a worker of it has started, so that a later one that does not is an accident.
    """

    def __init__(self, number: int, program: Program, sockets: Sockets) -> None:
        """Raises ListenError (an OSError) for an address that cannot be had, ConfigError for a
        user, a group, a certificate or a directory."""
        self.number = number
        self.config, self.load = program
        config = self.config
        self.identity = Identity.of(config)
        check_certificates(config)
        check_spool_dir(config)
        self.ticket_key = _native.new_ticket_key()
        self.listeners = sockets.open(config)
        self.identity.own(self.listeners)
        self.proven = False

    @property
    def urls(self) -> list[str]:
        """Where it is served."""
        return [served_url(each.description, self.config) for each in self.listeners]

    def keep_from_application(self) -> None:
        """Before the application is loaded: no process that it starts gets the sockets."""
        for listener in self.listeners:
            listener.keep_from_application()

    def draw_request_limit(self) -> int:
        """After how many requests a worker is replaced; 0: never. By chance a little different
        for each, so that they do not all go at once."""
        limit = self.config.max_requests
        # Seeded by the system: workers are forks with the same state of `random`.
        jitter = random.SystemRandom().randint(0, self.config.max_requests_jitter)
        return limit + jitter if limit else 0


class Sockets:
    """The listening sockets of all generations: one that both name stays open through a reload."""

    def __init__(self) -> None:
        self._open: dict[str, list[Listener]] = {}

    def open(self, config: Config) -> list[Listener]:
        """The sockets of a configuration, opened as far as they are not open yet.

        Raises ListenError (an OSError), with none of them opened.
        """
        fresh: dict[str, list[Listener]] = {}
        try:
            for place in config.places:
                if place not in self._open:
                    fresh[place] = open_listeners([place], config.backlog)
        except OSError:
            _close(fresh.values())
            raise
        self._open.update(fresh)
        return [listener for place in config.places for listener in self._open[place]]

    def keep(self, configs: Iterable[Config]) -> None:
        """Closes the sockets that none of these configurations names."""
        named = {place for config in configs for place in config.places}
        unused = [place for place in self._open if place not in named]
        _close([self._open.pop(place) for place in unused])

    def close(self) -> None:
        self.keep([])


def _close(groups: Iterable[list[Listener]]) -> None:
    for listeners in groups:
        for listener in listeners:
            listener.close()
