"""A gibibyte up and a gibibyte down, in bounded memory: nothing is stored on the way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from harness.process import ServerProcess, run_server

if TYPE_CHECKING:
    from harness.wire import Wire

GIB = 1 << 30
PIECE = b"\xa5" * (1 << 20)
GROWTH_KIB = 32 << 10

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def warm_up(server: ServerProcess) -> int:
    """The peak of memory once every path has been used, in KiB."""
    with server.connect() as wire:
        wire.post("/upload", bytes(4 << 20))
        assert wire.response().body == b"%d" % (4 << 20)
        wire.get("/download?4000000")
        assert len(wire.response().body) == 4_000_000
    return server.resident_kib("VmHWM")


def upload(wire: Wire, head: bytes, before: bytes = b"", after: bytes = b"") -> None:
    wire.send(b"POST /upload HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n")
    for _ in range(GIB // len(PIECE)):
        wire.send(before + PIECE + after)


def download(wire: Wire) -> int:
    wire.get(f"/download?{GIB}", "Connection: close")
    received, tail = 0, bytearray(1 << 20)
    head = b""
    while b"\r\n\r\n" not in head:
        head += wire.take()
    received = len(head.partition(b"\r\n\r\n")[2])
    while count := wire.socket.recv_into(tail):
        received += count
    return received


def expect_little_growth(server: ServerProcess, before: int) -> None:
    grown = server.resident_kib("VmHWM") - before
    assert grown <= GROWTH_KIB, f"memory grew by {grown >> 10} MiB"


def test_gibibyte_up_with_a_length(engine: str) -> None:
    with run_server("apps.plain:app", engine) as server:
        before = warm_up(server)
        with server.connect(timeout=60) as wire:
            upload(wire, b"Content-Length: %d" % GIB)
            assert wire.response().body == b"%d" % GIB
        expect_little_growth(server, before)


def test_gibibyte_up_in_chunks(engine: str) -> None:
    with run_server("apps.plain:app", engine, "--chunked-body", "stream") as server:
        before = warm_up(server)
        with server.connect(timeout=60) as wire:
            upload(wire, b"Transfer-Encoding: chunked", b"%x\r\n" % len(PIECE), b"\r\n")
            wire.send(b"0\r\n\r\n")
            assert wire.response().body == b"%d" % GIB
        expect_little_growth(server, before)


def test_gibibyte_down(engine: str) -> None:
    with run_server("apps.plain:app", engine) as server:
        before = warm_up(server)
        with server.connect(timeout=60) as wire:
            assert download(wire) == GIB
        expect_little_growth(server, before)


def test_both_ways_at_once_on_two_connections(engine: str) -> None:
    with run_server("apps.plain:app", engine) as server:
        before = warm_up(server)
        received: list[int] = []
        with server.connect(timeout=60) as up, server.connect(timeout=60) as down:
            other = threading.Thread(target=lambda: received.append(download(down)))
            other.start()
            upload(up, b"Content-Length: %d" % GIB)
            assert up.response().body == b"%d" % GIB
            other.join()
        assert received == [GIB]
        expect_little_growth(server, before)
