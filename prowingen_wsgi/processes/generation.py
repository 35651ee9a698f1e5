"""What all workers of one reading of the configuration share."""

from __future__ import annotations

import random
from errno import EADDRINUSE
from typing import TYPE_CHECKING

from .. import _native
from ..acme_certificates import with_acme_certificates
from ..certificates import check_certificates, served_url
from ..configuration.addresses import TcpAddress, parse_address
from ..configuration.config import ConfigError
from ..control.token import read_token
from ..datagrams import DatagramPort
from ..listeners import Listener, ListenError, open_listeners
from ..machine import worker_count
from ..spooling import check_spool_dir
from .acme_files import prepare_as
from .privileges import Identity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..configuration.config import Config
    from ..datagrams import Seat
    from .program import Program


# What a place is for, and the place: port 0 is another one each time.
_Key = tuple[str, str]
_SERVED, _REDIRECTED, _ADMIN = "served", "redirected", "admin"


class Generation:
    """One reading of the configuration.

    number: counts them, from 1.
    ports: of UDP, for each of `listeners`; None for a Unix socket's. Empty without HTTP/3.
    load: loads the application; called in the process that needs it.
    certificates: what is served until when, as lines for the log with their levels.
    admin_token: what controls the server on `admins`; empty: nothing does.
    ticket_key: with it they resume each other's TLS sessions; a new one each time.
    wanted: so many workers of it.
    proven: a worker of it has started, so that a later one that does not is an accident.
    """

    def __init__(self, number: int, program: Program, sockets: Sockets) -> None:
        """Raises ListenError (an OSError) for an address that cannot be had, ConfigError for a
        user, a group, a certificate or a directory."""
        self.number = number
        self.identity = Identity.of(program.config)
        self.config = config = with_acme_certificates(
            program.config, lambda folder, names: prepare_as(self.identity, folder, names)
        )
        self.load = program.load
        self.certificates = check_certificates(config)
        check_spool_dir(config)
        self.admin_token = read_token(config.admin_token_file) if config.admin_token_file else ""
        self.ticket_key = _native.new_ticket_key()
        self.listeners = sockets.open(config)
        self.redirects = sockets.redirects(config)
        self.admins = sockets.admins(config)
        if self.admins:
            from ..admin_page import admin_page  # what few need

            admin_page()  # which the user that the server becomes may not be able to read
        self.ports = sockets.ports(self.listeners) if config.http3 else []
        self.give_back(self.take_seats())  # so that errors come here
        self.identity.own([*self.listeners, *self.redirects, *self.admins])
        self.wanted = worker_count(config)
        self.proven = False

    @property
    def urls(self) -> list[str]:
        """Where it is served."""
        return [served_url(each.description, self.config) for each in self.listeners]

    def keep_from_application(self) -> None:
        """Before the application is loaded: no process that it starts gets the sockets."""
        for listener in (*self.listeners, *self.redirects, *self.admins):
            listener.keep_from_application()

    def stop_listening(self) -> None:
        """In this process alone."""
        _close((*self.listeners, *self.redirects))

    def take_seats(self) -> list[Seat | None]:
        """For a process that is to serve: one on each port. Raises ListenError."""
        size = self.config.io_threads
        seats: list[Seat | None] = []
        try:
            seats.extend(None if port is None else port.take(size) for port in self.ports)
        except ListenError:
            self.give_back(seats)
            raise
        return seats

    def give_back(self, seats: Iterable[Seat | None]) -> None:
        """Of a process that is gone, or never was."""
        for port, seat in zip(self.ports, seats, strict=False):
            if port is not None and seat is not None:
                port.give_back(seat)

    def draw_request_limit(self) -> int:
        """After how many requests a worker is replaced; 0: never. By chance a little different
        for each, so that they do not all go at once."""
        limit = self.config.max_requests
        # Seeded by the system: workers are forks with the same state of `random`.
        jitter = random.SystemRandom().randint(0, self.config.max_requests_jitter)
        return limit + jitter if limit else 0


class Sockets:
    """The listening sockets of all generations: one that both name stays open through a reload, by
    whatever name: [::] is a part of every interface. With them the ports of UDP, where one of them
    speaks HTTP/3."""

    def __init__(self) -> None:
        self._open: dict[_Key, list[Listener]] = {}
        self._ports: dict[Listener, DatagramPort] = {}

    def open(self, config: Config) -> list[Listener]:
        """The sockets of a configuration, opened as far as they are not open yet.

        Raises ListenError (an OSError), with none of them opened.
        """
        present = self._listeners()
        fresh: dict[_Key, list[Listener]] = {}
        try:
            for key, written in _written(config).items():
                place = key[1]
                if key not in self._open:
                    fresh[key] = open_listeners([place], config.backlog, present, [written])
        except OSError as error:
            _close({each for opened in fresh.values() for each in opened} - present)
            if error.errno == EADDRINUSE and (own := _overlapping(place, present)):
                raise ListenError(
                    error.errno, f"{error}, by this server's {own}: replacing that takes a restart"
                ) from error
            raise
        self._open.update(fresh)
        return self._at(_SERVED, config.places)

    def redirects(self, config: Config) -> list[Listener]:
        """Of one whose sockets are open: those whose clients are sent on to HTTPS.

        Raises ConfigError for one that is served, too."""
        served = self._at(_SERVED, config.places)
        redirects = self._at(_REDIRECTED, config.redirect_places)
        for each in redirects:
            if each in served:
                raise ConfigError(f"redirect_http: {each.description} is one of bind's, too")
        return redirects

    def admins(self, config: Config) -> list[Listener]:
        """Those where administrators are answered.

        Raises ConfigError for one that is served, too."""
        served = [*self._at(_SERVED, config.places), *self.redirects(config)]
        admins = self._at(_ADMIN, config.admin_places)
        for each in admins:
            if each in served:
                raise ConfigError(f"admin_bind: {each.description} is one of the others, too")
        return admins

    def ports(self, listeners: Iterable[Listener]) -> list[DatagramPort | None]:
        """The ports of UDP of listeners that are open; they open sockets as these are needed."""
        return [
            self._ports.setdefault(each, DatagramPort(each)) if each.port else None
            for each in listeners
        ]

    def keep_seats(self, seats: Iterable[Seat | None]) -> None:
        """In a child: closes the sockets of UDP of all others."""
        mine = [seat for seat in seats if seat is not None]
        for port in self._ports.values():
            port.keep(mine)

    def _at(self, use: str, places: Iterable[str]) -> list[Listener]:
        return list(dict.fromkeys(each for place in places for each in self._open[use, place]))

    def keep(self, configs: Iterable[Config]) -> None:
        """Closes the sockets that none of these configurations names."""
        configs = list(configs)
        named = {key for config in configs for key in _written(config)}
        before = self._listeners()
        self._open = {key: opened for key, opened in self._open.items() if key in named}
        gone = before - self._listeners()
        without = gone if any(config.http3 for config in configs) else self._ports.keys()
        for each in self._ports.keys() & without:
            self._ports.pop(each).close()
        _close(gone)

    def stop_listening(self) -> None:
        """In this process. Who connects is refused once no worker listens either, and is not kept
        waiting in a queue that nobody takes anything from."""
        _close(self._listeners())

    def close(self) -> None:
        self.keep([])

    def _listeners(self) -> set[Listener]:
        return {listener for opened in self._open.values() for listener in opened}


def _written(config: Config) -> dict[_Key, str]:
    """Each place that is listened on, and what the user has written for it."""
    uses = (
        (_SERVED, config.places, config.bind),
        (_REDIRECTED, config.redirect_places, config.redirect_http),
        (_ADMIN, config.admin_places, config.admin_bind),
    )
    return {
        (use, place): written
        for use, places, texts in uses
        for place, written in zip(places, texts, strict=True)
    }


def _overlapping(place: str, present: Iterable[Listener]) -> str:
    """What there is on the same port, of the same family if there is some."""
    address = parse_address(place)
    if not isinstance(address, TcpAddress):
        return ""
    is_ipv6 = ":" in address.host
    found = [each.description for each in present if each.description.endswith(f":{address.port}")]
    return min(found, key=lambda each: (("[" in each) != is_ipv6, each), default="")


def _close(listeners: Iterable[Listener]) -> None:
    for listener in listeners:
        listener.close()
