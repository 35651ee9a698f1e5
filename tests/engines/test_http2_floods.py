"""What costs an HTTP/2 client nothing, and the server something: that client is left alone."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from harness.apps import Gate, Routes, hello
from harness.h2wire import H2Wire
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.apps import Environ, StartResponse
    from harness.site import ServeFixture

pytestmark = pytest.mark.no_http2("it speaks HTTP/2 by itself")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )


def reset(wire: H2Wire) -> None:
    wire.h2.reset_stream(wire.start("GET", "/"))
    wire.flush()


def malformed(wire: H2Wire) -> None:
    """A request that the server has to reset."""
    wire.ask("/", extra=[("host", "somebody.else")])


def ping(wire: H2Wire) -> None:
    wire.socket.sendall(frame(0x6, 0, 0, bytes(8)) * 10)


def settings(wire: H2Wire) -> None:
    wire.socket.sendall(frame(0x4, 0, 0) * 10)


def unknown(wire: H2Wire) -> None:
    wire.socket.sendall(frame(0xF0, 0, 0, b"x") * 10)


def empty_content(wire: H2Wire) -> None:
    stream = next(iter(wire.responses), None) or wire.start("POST", "/", end=False)
    wire.socket.sendall(frame(0x0, 0, stream) * 200)


def continuations(wire: H2Wire) -> None:
    """A header block without an end."""
    stream = wire.h2.get_next_available_stream_id()
    wire.socket.sendall(frame(0x1, 0, stream, b"\x82") + frame(0x9, 0, stream, b"\x84") * 100)


def windows(wire: H2Wire) -> None:
    wire.socket.sendall(frame(0x8, 0, 0, (1).to_bytes(4, "big")) * 10)


REFUSED_STREAM = 0x7
ENHANCE_YOUR_CALM = 0xB
MOST = 128
"""Streams side by side."""

FLOODS = [reset, malformed, ping, settings, unknown, empty_content, continuations, windows]


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
def test_a_flood_ends_its_connection_alone(
    serve: ServeFixture, flood: Callable[[H2Wire], None]
) -> None:
    site = serve(hello)
    with H2Wire(site) as other, H2Wire(site) as wire:
        assert other.ask("/").body == b"hello"
        for _ in range(3000):
            if wire.goaway is not None or wire.closed:
                break
            try:
                flood(wire)
                wire.pump_ready()
            except OSError:  # the server has closed it, and its goodbye was lost
                break
        with suppress(ConnectionError):
            wire.pump_to_end()
            assert wire.goaway in (None, ENHANCE_YOUR_CALM)
            while wire.socket.recv(1 << 16):
                pass
        assert other.ask("/").body == b"hello"
    assert site.server.stats()["protocol_errors"] == 1


@pytest.mark.engines("proxygen")  # of which the answers to PINGs are not bounded otherwise
def test_content_buys_no_pings(serve: ServeFixture) -> None:
    with H2Wire(serve(hello)) as wire:
        stream = wire.start("POST", "/", end=False)
        pair = frame(0x0, 0, stream, b"x") + frame(0x6, 0, 0, bytes(8))
        with suppress(OSError):
            for _ in range(100):
                wire.socket.sendall(pair * 30)
            wire.pump_to_end()
        assert wire.goaway in (None, ENHANCE_YOUR_CALM)
        with suppress(OSError):
            while wire.socket.recv(1 << 16):
                pass


def test_streams_that_were_reset_hold_up_nobody_else(serve: ServeFixture) -> None:
    gate = Gate()
    running = []

    def slow(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        running.append(environ["PATH_INFO"])
        gate.pass_through()
        return hello(environ, start_response)

    site = serve(Routes(slow=slow, hello=hello), threads=4)
    with H2Wire(site) as wire, H2Wire(site) as other:
        wire.ask("/hello")  # by then it knows how many streams there may be
        streams = [wire.start("GET", "/slow") for _ in range(MOST)]
        gate.wait_entered()
        for each in streams:
            wire.h2.reset_stream(each)
        wire.flush()
        gate.opened.set()
        assert other.ask("/hello").body == b"hello"
    assert len(running) <= MOST


def test_streams_that_were_reset_count_until_their_workers_are_done(serve: ServeFixture) -> None:
    """Else a client could have the workers do any number of them (CVE-2023-44487)."""
    gate = Gate()

    def slow(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return hello(environ, start_response)

    with H2Wire(serve(Routes(slow=slow, hello=hello), threads=1)) as wire:
        wire.ask("/hello")  # by then it knows how many streams there may be
        streams = [wire.start("GET", "/slow") for _ in range(MOST)]
        gate.wait_entered()
        for each in streams:
            wire.h2.reset_stream(each)
        wire.flush()
        assert wire.ask("/hello").reset == REFUSED_STREAM
        gate.opened.set()
        assert eventually(lambda: wire.ask("/hello").reset is None)
