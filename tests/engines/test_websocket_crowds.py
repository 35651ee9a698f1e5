"""Ten thousand handshakes that stop half-way, and a server that goes on beside them."""

from __future__ import annotations

import resource
import selectors
import socket
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from harness.process import run_server
from harness.websocket_wire import WebSocketWire, handshake
from harness.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.process import ServerProcess

pytestmark = [
    pytest.mark.alone("ten thousand clients take what there is"),
    pytest.mark.no_http2("its streams have no handshake that could stop"),
    pytest.mark.no_tls("its server is a process of its own"),
    pytest.mark.timeout(120),
]

CROWD = 10_000
OTHERS = 500  # descriptors of this process
HEADER_TIMEOUT = 3.0
# proxygen's sessions keep a buffer of what they have read.
MOST_KIB_EACH = {"embedded": 3, "proxygen": 16}


@contextmanager
def descriptors() -> Iterator[int]:
    """As many as may be; how large a crowd has room in them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield min(CROWD, hard - OTHERS)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def stop_half_way(server: ServerProcess, stack: ExitStack, number: int) -> socket.socket:
    client = stack.enter_context(socket.socket())
    # Addresses of their own: one has ports for fewer.
    client.bind((f"127.0.0.{2 + number % 8}", 0))
    client.connect(server.address)
    whole = handshake()
    client.sendall(whole[: 20 + number % (len(whole) - 24)])
    return client


def read_to_the_end(clients: list[socket.socket], patience: float) -> list[bytes]:
    """What each is told, until all are closed."""
    heard = dict.fromkeys(clients, b"")
    ended: list[socket.socket] = []
    deadline = time.monotonic() + patience
    with selectors.DefaultSelector() as selector:
        for client in clients:
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ)
        while len(ended) < len(clients):
            assert time.monotonic() < deadline, f"{len(clients) - len(ended)} are still open"
            for key, _ in selector.select(1):
                speaker = key.fileobj
                assert isinstance(speaker, socket.socket)
                if data := speaker.recv(65536):
                    heard[speaker] += data
                else:
                    selector.unregister(speaker)
                    ended.append(speaker)
    return list(heard.values())


def test_handshakes_that_stop_half_way_disturb_nobody(engine: str) -> None:
    with descriptors() as crowd, ExitStack() as stack:
        options = ("--threads", "4", "--header-timeout", f"{HEADER_TIMEOUT}s")
        server = stack.enter_context(run_server("apps.websockets:app", engine, *options))
        ws = WebSocketWire(Wire(server.address))
        assert ws.ask("before") == "before"
        before = server.resident_kib()
        clients = [stop_half_way(server, stack, number) for number in range(crowd)]
        with server.connect() as wire:
            began = time.monotonic()
            for _ in range(20):
                assert wire.ask().status == 200
                assert ws.ask("meanwhile") == "meanwhile"
            assert time.monotonic() - began < 2
        assert server.resident_kib() - before < MOST_KIB_EACH[engine] * crowd
        told = read_to_the_end(clients, HEADER_TIMEOUT + 20)
        assert {answer.split(b"\r\n")[0] for answer in told} == {b"HTTP/1.1 408 Request Timeout"}
        assert ws.ask("after") == "after"
        ws.close()
        assert ws.closed() == (1000, "")
        ws.wire.close()
