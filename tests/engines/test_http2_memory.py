"""What clients of HTTP/2 leave unfinished is part of the memory budget, as with HTTP/1."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import hpack
import pytest

from harness.apps import PLAIN, Gate, Routes, hello
from harness.h2wire import H2Wire
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.apps import Environ, StartResponse
    from harness.site import ServeFixture, Site

pytestmark = pytest.mark.no_http2("it speaks HTTP/2 by itself")

MIB = 1 << 20
BUDGET = 2 * MIB
DATA, HEADERS, CONTINUATION = 0x0, 0x1, 0x9
FRAME = 16_000


def frame(kind: int, stream: int, payload: bytes) -> bytes:
    """One without flags: neither a block nor a stream ends with it."""
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + stream.to_bytes(4, "big") + payload


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def stat(site: Site, name: str) -> int:
    return int(site.server.stats()[name])


@pytest.mark.parametrize("piece", [1, 1000])
def test_content_that_waits_is_counted_in_however_small_pieces(
    serve: ServeFixture, piece: int
) -> None:
    """64 KiB on each of many streams, whose requests wait for a worker and for memory: a buffer for
    each octet would be a hundred times as much."""
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        start_response("200 OK", PLAIN)
        return [environ["wsgi.input"].read()]

    site = serve(app, threads=1, memory_budget=BUDGET)
    before = resident()
    with ExitStack() as wires:
        for _ in range(2):
            wire = wires.enter_context(H2Wire(site))
            with suppress(OSError):  # until the server has had enough of it
                for _ in range(100):
                    if wire.goaway is not None or wire.closed:
                        break
                    stream = wire.start("POST", "/", end=False)
                    wire.socket.sendall(frame(DATA, stream, bytes(piece)) * (64_000 // piece))
                    wire.pump_ready()
        assert eventually(lambda: stat(site, "memory_cut") > 0)
        assert resident() - before < 16 * BUDGET
        gate.opened.set()
    assert eventually(lambda: stat(site, "memory_used") == 0)


def test_header_blocks_without_an_end_are_counted_and_cut(serve: ServeFixture) -> None:
    site = serve(Routes(hello=hello), memory_budget=BUDGET)
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
    fields += [(f"x-filler-{number}", "x" * 10_000) for number in range(6)]
    block = hpack.Encoder().encode(fields, huffman=False)
    parts = [block[at : at + FRAME] for at in range(0, len(block), FRAME)]
    unfinished = frame(HEADERS, 1, parts[0])
    unfinished += b"".join(frame(CONTINUATION, 1, part) for part in parts[1:])
    with ExitStack() as wires:
        for number in range(10):
            wire = wires.enter_context(H2Wire(site))
            wire.socket.sendall(unfinished)
            assert eventually(lambda: stat(site, "memory_used") >= (number + 1) * 40_000)  # noqa: B023
        for _ in range(60):
            wire = wires.enter_context(H2Wire(site))
            with suppress(OSError):
                wire.socket.sendall(unfinished)
        assert eventually(lambda: stat(site, "memory_cut") > 0)
        assert eventually(lambda: stat(site, "memory_used") < BUDGET)
        assert site.ask("/hello").body == b"hello"
    assert eventually(lambda: stat(site, "memory_used") == 0)


def test_files_in_memory_are_not_counted_for_each_who_does_not_read_them(
    serve: ServeFixture, tmp_path: Path
) -> None:
    """They are in the cache of static files, once, whose size is bounded by itself."""
    content = bytes(60_000)
    (tmp_path / "file.bin").write_bytes(content)
    site = serve(Routes(hello=hello), memory_budget=BUDGET, static=f"/static={tmp_path}")
    with H2Wire(site, window=0) as wire:
        streams = [wire.start("GET", "/static/file.bin") for _ in range(80)]
        while not all(wire.responses[stream].fields for stream in streams):
            wire.pump()
        assert len(streams) * len(content) > 2 * BUDGET
        assert stat(site, "memory_used") < BUDGET // 4
        assert stat(site, "memory_shortages") == 0
        wire.open_window(streams[0], len(content))
        assert wire.response(streams[0]).body == content
