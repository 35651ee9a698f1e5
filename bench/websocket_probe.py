"""What the rows of WebSockets ask a server once, before anything is measured.

Raw frames over a socket: the handshake's every field that matters is looked at, a server that
compresses unasked is refused, and what comes back is compared octet by octet.
"""

from __future__ import annotations

import os
import socket
from base64 import b64encode
from contextlib import contextmanager
from hashlib import sha1
from typing import TYPE_CHECKING

from bench.probe import HELLO, NOT_YET, SECONDS, NoAnswerError, WrongAnswerError
from bench.websocket_news import GO, NEWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT = 1
BINARY = 2
PING = 9
LENGTHS = (0, 1, 125, 126, 65535, 65536)
"""Of both sides of where a frame's head changes."""


def masked(payload: bytes, key: bytes) -> bytes:
    return bytes(octet ^ key[at % 4] for at, octet in enumerate(payload))


def frame(opcode: int, payload: bytes, key: bytes) -> bytes:
    """One frame from a client (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65536:
        length = bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([0x80 | 127]) + size.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + length + key + masked(payload, key)


def accept_of(key: bytes) -> bytes:
    return b64encode(sha1(key + GUID, usedforsecurity=False).digest())


class Client:
    def __init__(self, connection: socket.socket, path: str) -> None:
        self._connection = connection
        self._file: BinaryIO = connection.makefile("rb")
        key = b64encode(os.urandom(16))
        connection.sendall(
            b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n" % (path.encode(), key)
        )
        status = self._file.readline().split()
        if len(status) < 2 or int(status[1]) in NOT_YET:
            raise NoAnswerError(f"handshake: {status}")
        if status[1] != b"101":
            raise WrongAnswerError(f"handshake: status {status[1].decode()}")
        fields = {}
        while line := self._file.readline().strip():
            name, _, value = line.partition(b":")
            fields[name.strip().lower()] = value.strip()
        if fields.get(b"sec-websocket-accept") != accept_of(key):
            raise WrongAnswerError("handshake: Sec-WebSocket-Accept is not that of the key")
        if b"sec-websocket-extensions" in fields:
            raise WrongAnswerError("handshake: an extension that was not asked for")

    def send(self, opcode: int, payload: bytes) -> None:
        self._connection.sendall(frame(opcode, payload, os.urandom(4)))

    def receive(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next message, which may come in pieces; passes over pings."""
        opcode = 0
        payload = b""
        while True:
            head = self._exactly(2)
            size = head[1] & 0x7F
            if size > 125:
                size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
            piece = self._exactly(size)
            if head[0] & 0xF == PING:
                continue
            opcode = opcode or head[0] & 0xF
            payload += piece
            if head[0] & 0x80:
                return opcode, payload

    def expect(self, opcode: int, payload: bytes) -> None:
        found = self.receive()
        if found != (opcode, payload):
            raise WrongAnswerError(
                f"a message of opcode {found[0]} and {len(found[1])} octets that is not the "
                f"expected one of opcode {opcode} and {len(payload)} octets"
            )

    def _exactly(self, size: int) -> bytes:
        found = self._file.read(size)
        if len(found) < size:
            raise WrongAnswerError("the WebSocket has ended within a message")
        return found


@contextmanager
def _opened(port: int, path: str) -> Iterator[Client]:
    try:
        with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
            yield Client(connection, path)
    except OSError as error:
        raise NoAnswerError(f"WebSocket {path}: {type(error).__name__}: {error}") from None


def echoes(port: int) -> list[str]:
    """Text comes back as text and octets as octets, whatever their length."""
    with _opened(port, "/echo") as client:
        for opcode in (TEXT, BINARY):
            for length in LENGTHS:
                payload = bytes(97 + at % 26 for at in range(length))
                client.send(opcode, payload)
                client.expect(opcode, payload)
    return []


def echoes_beside_hello(port: int) -> list[str]:
    return [*HELLO(port), *echoes(port)]


def broadcasts(port: int) -> list[str]:
    """What is told reaches all that have come in, the teller too."""
    with _opened(port, "/room") as one, _opened(port, "/room") as other:
        for client in (one, other):
            client.send(TEXT, b"here")
            client.expect(TEXT, b"here")
        one.send(TEXT, GO.encode())
        for client in (one, other):
            client.expect(TEXT, NEWS.encode())
    return []
