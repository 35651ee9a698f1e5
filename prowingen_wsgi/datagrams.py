"""UDP sockets on the ports of listening ones, for HTTP/3.

                  take()                        steer()
    DatagramPort ---------> Seat, a process's ----------> it is given new connections
                 <---------                   <----------
                 give_back()                    steer() without it: its own ones are still its own

A port has a socket for each I/O thread of each process that serves it. The kernel numbers them in
the order in which they were bound, by which connections are told apart; so none is closed before
the port is, and a process that ends leaves its seat to the next one.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from . import _native
from .configuration.conflicts import SHARES_UDP_PORTS
from .forks import keep_from_children, leave_to_children
from .listeners import ListenError, reason
from .originals import socket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .listeners import Listener

# More than a socket's queue holds, by far.
_MOST_WAITING = 1 << 16


class Seat:
    """One process's sockets on a port.

    first: the number of the first one.
    """

    def __init__(self, first: int, sockets: list[socket.socket]) -> None:
        self.first = first
        self._sockets = sockets

    def __len__(self) -> int:
        return len(self._sockets)

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + len(self))

    def filenos(self) -> list[int]:
        return [each.fileno() for each in self._sockets]

    def clear(self) -> None:
        """Drops what waits for a process that is gone."""
        for each in self._sockets:
            with suppress(BlockingIOError):
                for _ in range(_MOST_WAITING):
                    each.recv(1)

    def keep_from_application(self) -> None:
        """Before the application is loaded: no process that it starts gets the sockets."""
        for each in self._sockets:
            if each.fileno() >= 0:
                keep_from_children(each.fileno(), each.close)

    def hand_over(self) -> list[int]:
        """The file descriptors, which from now on are the caller's to close."""
        for each in self._sockets:
            leave_to_children(each.fileno())
        return [each.detach() for each in self._sockets]

    def close(self) -> None:
        """Idempotent. Sockets that were handed over stay open."""
        for each in self._sockets:
            leave_to_children(each.fileno())
            each.close()


class DatagramPort:
    """The UDP port of the same number as a listening socket's of TCP."""

    def __init__(self, listener: Listener) -> None:
        self._family, self._address = listener.name
        self._description = listener.description
        self._seats: list[Seat] = []
        self._free: list[Seat] = []
        self._take_new: list[int] = []

    def take(self, sockets: int) -> Seat:
        """A seat of so many, for a process that begins. Raises ListenError."""
        for seat in self._free:
            if len(seat) == sockets:
                self._free.remove(seat)
                seat.clear()
                return seat
        first = sum(map(len, self._seats))
        with ExitStack() as undo:
            opened = []
            for _ in range(sockets):
                opened.append(self._bind())
                undo.callback(opened[-1].close)
            undo.pop_all()
        seat = Seat(first, opened)
        self._seats.append(seat)
        return seat

    def _bind(self) -> socket.socket:
        try:
            bound = socket.socket(self._family, socket.SOCK_DGRAM)
            try:
                bound.setblocking(False)
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if self._family == socket.AF_INET6:  # as of TCP
                    bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                bound.bind(self._address)
            except OSError:
                bound.close()
                raise
        except OSError as error:
            what = f"http3: cannot open the UDP port of {self._description}: {reason(error)}"
            raise ListenError(error.errno, what) from error
        return bound

    def give_back(self, seat: Seat) -> None:
        """Its process is gone."""
        self._free.append(seat)
        self._free.sort(key=lambda each: each.first)

    def steer(self, seats: Iterable[Seat]) -> None:
        """Has new connections given to these alone, if there are any. Raises OSError."""
        take_new = sorted(number for seat in seats for number in seat.numbers)
        if SHARES_UDP_PORTS and take_new and take_new != self._take_new:
            _native.steer_datagrams(self._seats[0].filenos()[0], take_new)
            self._take_new = take_new

    def keep(self, seats: Iterable[Seat]) -> None:
        """In a child: closes the sockets of all others."""
        mine = list(seats)
        for seat in self._seats:
            if seat not in mine:
                seat.close()

    def close(self) -> None:
        self.keep([])


def open_seats(listeners: Iterable[Listener], sockets: int) -> list[Seat | None]:
    """For each listener the seat of a process that is alone; None for a Unix socket's.

    Raises ListenError, with none left open."""
    with ExitStack() as undo:
        seats: list[Seat | None] = []
        for listener in listeners:
            seat = None
            if listener.port:
                port = DatagramPort(listener)
                undo.callback(port.close)
                seat = port.take(sockets)
                port.steer([seat])
            seats.append(seat)
        undo.pop_all()
        return seats
