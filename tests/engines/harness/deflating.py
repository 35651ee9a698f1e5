"""A client's side of permessage-deflate."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from harness.websocket_wire import CONTINUATION, RSV1

if TYPE_CHECKING:
    from harness.websocket_wire import WebSocketWire


def deflated(message: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(message) + packer.flush()


class Deflating:
    """A client's side of permessage-deflate (RFC 7692 section 7.2)."""

    def __init__(self, ws: WebSocketWire, window: int = 15) -> None:
        self.ws = ws
        self._window = window

    def say(self, opcode: int, message: bytes, fragments: int = 1) -> None:
        packer = zlib.compressobj(wbits=-self._window)
        packed = packer.compress(message) + packer.flush(zlib.Z_SYNC_FLUSH)
        assert packed.endswith(b"\x00\x00\xff\xff")
        packed = packed[:-4]
        size = len(packed) // fragments + 1
        pieces = [packed[at : at + size] for at in range(0, len(packed), size)] or [b""]
        for n, piece in enumerate(pieces):
            self.ws.send(
                opcode if n == 0 else CONTINUATION,
                piece,
                rsv=RSV1 if n == 0 else 0,
                fin=n == len(pieces) - 1,
            )

    def hear(self) -> bytes:
        heard = self.ws.frame()
        if not heard.rsv:
            return heard.payload
        assert heard.rsv == RSV1
        return zlib.decompressobj(wbits=-self._window).decompress(
            heard.payload + b"\x00\x00\xff\xff"
        )
