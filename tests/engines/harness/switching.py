"""The answer that another protocol follows (RFC 9110 section 15.2.2), and what follows it."""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING, Any

from harness.apps import PLAIN, Environ, StartResponse
from harness.framed import FramedWire
from harness.h3wire import H3Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.wire import Wire

    Speak = Callable[[dict[str, Any]], object]


class Switching:
    """Switches to what `speak` speaks, where it is asked to."""

    def __init__(self, speak: Speak, *fields: tuple[str, str]) -> None:
        self.ended = threading.Event()
        self.error: BaseException | None = None
        self._speak = speak
        self._fields = list(fields)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        upgrade = environ.get("opaque.upgrade")
        if upgrade is None or environ["PATH_INFO"] != "/talk":
            start_response("200 OK", PLAIN)
            return [b"no" if upgrade is None else b"could"]
        upgrade({}, self._speak_to_the_end)
        start_response("101 Switching Protocols", self._fields)
        return []

    def _speak_to_the_end(self, env: dict[str, Any]) -> None:
        try:
            self._speak(env)
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.ended.set()


def head_of(wire: Wire) -> tuple[str, dict[str, str]]:
    """Reads an answer's head: its status line and fields, their names in small letters."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = wire.take()
        assert piece, head
        head += piece
    head, rest = head.split(b"\r\n\r\n", 1)
    wire.put_back(rest)
    status, *lines = head.decode().split("\r\n")
    fields = [line.split(": ", 1) for line in lines]
    return status, {name.lower(): value for name, value in fields}


def switched(wire: Wire, status_line: str = "101 Switching Protocols") -> dict[str, str]:
    """Reads a head of status 101, or of the 200 of HTTP/2 and 3; its fields."""
    if isinstance(wire, (FramedWire, H3Wire)):
        code, fields = wire.switch()
        assert code == 200, fields
        return fields
    status, fields = head_of(wire)
    assert status == f"HTTP/1.1 {status_line}", fields
    return fields


def ask_to_switch(wire: Wire, offer: bytes, early: bytes = b"") -> None:
    """Sends a request for another protocol, and what is said in it before it is agreed on."""
    if isinstance(wire, FramedWire):
        wire.send(offer)
        if early:
            wire.send_behind(early)
    else:
        wire.send(offer + early)


def say_behind(wire: Wire, data: bytes) -> None:
    """What belongs to the request before it, which was for another protocol, to one side at least;
    the server may refuse it."""
    if isinstance(wire, FramedWire):
        wire.send_behind(data)
    else:
        wire.send_leniently(data)


def names(wire: Wire, fields: dict[str, str], protocol: str) -> bool:
    """Whether an answer says what is spoken now. HTTP/2's has no word for it."""
    found = fields.get("upgrade"), fields.get("connection")
    return found == ((None, None) if isinstance(wire, FramedWire) else (protocol, "upgrade"))


def ends_either_way(wire: Wire) -> bool:
    """Whether one side can end what it sends, and read on: a client's TLS here cannot."""
    return isinstance(wire, FramedWire) or not isinstance(wire.socket, ssl.SSLSocket)


def take(wire: Wire, size: int) -> bytes:
    """Reads so many bytes."""
    got = b""
    while len(got) < size:
        piece = wire.take()
        assert piece, got
        got += piece
    wire.put_back(got[size:])
    return got[:size]
