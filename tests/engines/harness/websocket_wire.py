"""A raw client of WebSockets (RFC 6455): frames as a test wants them, right or wrong."""

from __future__ import annotations

import base64
import os
import random
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.switching import switched, take

if TYPE_CHECKING:
    from harness.wire import Wire

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
RSV1 = 0x40
# The same in each run: tests are named by their frames.
_masks = random.Random(6455)

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


@dataclass
class Frame:
    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0


def handshake(path: str = "/", *fields: str, without: str = "") -> bytes:
    """A request for a WebSocket, with further fields, and without those that begin so."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    kept = [line for line in lines if not without or not line.startswith(without)]
    return "".join(f"{line}\r\n" for line in [*kept, *fields, ""]).encode()


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    size: int | None = None,
) -> bytes:
    """A client's frame. size: as it is announced."""
    announced = len(payload) if size is None else size
    mask_bit = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | rsv | opcode])
    if announced < 126:
        head += bytes([mask_bit | announced])
    elif announced < 65536:
        head += struct.pack("!BH", mask_bit | 126, announced)
    else:
        head += struct.pack("!BQ", mask_bit | 127, announced)
    if not masked:
        return head + payload
    mask = _masks.randbytes(4)
    repeated = mask * (len(payload) // 4 + 1)
    coded = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[: len(payload)], "big")
    return head + mask + coded.to_bytes(len(payload), "big")


class WebSocketWire:
    """On a wire whose handshake it sends."""

    def __init__(self, wire: Wire, path: str = "/", *fields: str) -> None:
        self.wire = wire
        wire.send(handshake(path, *fields))
        self.fields = switched(wire)

    def send(self, opcode: int, payload: bytes = b"", **how: object) -> None:
        self.wire.send(frame(opcode, payload, **how))  # type: ignore[arg-type]

    def say(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.send(TEXT, message.encode())
        else:
            self.send(BINARY, message)

    def frame(self) -> Frame:
        """The next one; a server's is not masked (section 5.1)."""
        first, second = take(self.wire, 2)
        assert not second & 0x80, "it is masked"
        size = second
        if second == 126:
            (size,) = struct.unpack("!H", take(self.wire, 2))
            assert size > 125
        elif second == 127:
            (size,) = struct.unpack("!Q", take(self.wire, 8))
            assert size > 65535
        return Frame(first & 0x0F, take(self.wire, size), bool(first & 0x80), first & 0x70)

    def hear(self) -> str | bytes:
        """The next message, which is in one frame."""
        heard = self.frame()
        assert heard.fin, heard
        assert heard.rsv == 0, heard
        assert heard.opcode in (TEXT, BINARY), heard
        return heard.payload.decode() if heard.opcode == TEXT else heard.payload

    def ask(self, message: str | bytes) -> str | bytes:
        self.say(message)
        return self.hear()

    def closing(self) -> tuple[int | None, str]:
        """The next frame is a close; its code and reason."""
        last = self.frame()
        assert last.opcode == CLOSE, last
        if not last.payload:
            return None, ""
        return struct.unpack("!H", last.payload[:2])[0], last.payload[2:].decode()

    def closed(self) -> tuple[int | None, str]:
        """The same, and nothing follows it."""
        said = self.closing()
        assert self.wire.take() == b""
        return said

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        payload = b"" if code is None else struct.pack("!H", code) + reason.encode()
        self.send(CLOSE, payload)
