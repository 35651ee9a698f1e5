"""Cuts a request into pieces so that the server reads each piece alone.

A Unix socket tells its sender how many bytes the other side has not read yet (SIOCOUTQ), so the
next piece can wait for exactly that, where over TCP a test could only sleep and hope.
"""

from __future__ import annotations

import array
import fcntl
import itertools
import select
import socket
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.wire import Wire

PATIENCE = 5.0


def _unread(sock: socket.socket) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)
    return count[0]


def _answered(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def send_in_pieces(wire: Wire, data: bytes, cuts: Iterable[int]) -> None:
    """Sends `data` cut before each index; stops early once the server has answered or left."""
    assert wire.socket.family == socket.AF_UNIX
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
    for start, end in itertools.pairwise(edges):
        if not wire.send_leniently(data[start:end]):
            return
        deadline = time.monotonic() + PATIENCE
        while _unread(wire.socket) and not _answered(wire.socket):
            assert time.monotonic() < deadline, f"the server did not read {data[start:end]!r}"
            time.sleep(0)  # lets the server's threads have the core
