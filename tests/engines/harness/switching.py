"""The answer that another protocol follows (RFC 9110 section 15.2.2), and what follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.framed import FramedWire

if TYPE_CHECKING:
    from harness.wire import Wire


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
    """Reads a head of status 101, or of HTTP/2's 200; its fields."""
    if isinstance(wire, FramedWire):
        code, fields = wire.switch()
        assert code == 200, fields
        return fields
    status, fields = head_of(wire)
    assert status == f"HTTP/1.1 {status_line}", fields
    return fields


def take(wire: Wire, size: int) -> bytes:
    """Reads so many bytes."""
    got = b""
    while len(got) < size:
        piece = wire.take()
        assert piece, got
        got += piece
    wire.put_back(got[size:])
    return got[:size]
