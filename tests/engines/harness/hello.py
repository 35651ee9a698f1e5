"""ClientHello of TLS 1.3 (RFC 8446 section 4.1.2), byte by byte: of clients that say in the second
one, which a HelloRetryRequest has asked for, something else than in the first."""

from __future__ import annotations

import os
import socket

_X25519 = b"\x00\x1d"
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def _sized(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size, "big") + content


class Hello:
    """One client, on a connection of its own."""

    def __init__(self, port: int) -> None:
        self._random, self._session = os.urandom(32), os.urandom(32)
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def __enter__(self) -> Hello:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def begin(self, name: str, *protocols: str) -> None:
        """Says nothing of a key, so that it is asked for one."""
        self._say(name, protocols, b"")
        kind, message = self._record()
        assert kind == 22, f"no HelloRetryRequest: {message.hex()}"
        assert message[6:38] == _RETRY

    def go_on(self, name: str, *protocols: str) -> tuple[int, bytes]:
        """What comes for the second one: a record's type, and its content."""
        self._say(name, protocols, _X25519 + _sized(2, os.urandom(32)))
        while True:
            kind, message = self._record()
            if kind != 20:  # change_cipher_spec, for the sake of what stands between
                return kind, message

    def _say(self, name: str, protocols: tuple[str, ...], share: bytes) -> None:
        extensions = {
            10: _sized(2, _X25519),
            13: _sized(2, b"\x04\x03\x08\x04"),  # as certificates may be signed
            43: _sized(1, b"\x03\x04"),
            51: _sized(2, share),
        }
        if name:
            extensions[0] = _sized(2, b"\0" + _sized(2, name.encode()))
        if protocols:
            extensions[16] = _sized(2, b"".join(_sized(1, each.encode()) for each in protocols))
        told = b"".join(kind.to_bytes(2, "big") + _sized(2, of) for kind, of in extensions.items())
        body = b"\x03\x03" + self._random + _sized(1, self._session)
        body += _sized(2, b"\x13\x01") + _sized(1, b"\0") + _sized(2, told)
        self._socket.sendall(b"\x16\x03\x01" + _sized(2, b"\x01" + _sized(3, body)))

    def _record(self) -> tuple[int, bytes]:
        head = self._read(5)
        return head[0], self._read(int.from_bytes(head[3:], "big"))

    def _read(self, size: int) -> bytes:
        read = b""
        while len(read) < size:
            more = self._socket.recv(size - len(read))
            assert more, "the connection has ended"
            read += more
        return read
