"""WebSockets of a server with several processes: reloads, and a stop by its supervisor."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from harness.load import under_load
from harness.websocket_wire import WebSocketWire
from harness.wire import Wire
from test_supervisor import ready, supervised, wait_until

if TYPE_CHECKING:
    from harness.process import ServerProcess

pytestmark = [
    pytest.mark.no_http2("its streams have a CONNECT of their own (RFC 8441)"),
    pytest.mark.no_tls("its server is a process of its own"),
    pytest.mark.timeout(120),
]

MANY = 1000


def open_many(server: ServerProcess, count: int) -> list[WebSocketWire]:
    return [WebSocketWire(Wire(server.address)) for _ in range(count)]


def close_all(opened: list[WebSocketWire]) -> None:
    """Each is told, answers, and sees the end."""
    for ws in opened:
        assert ws.closing() == (1001, "the server stops")
        ws.close(1001)
        assert ws.wire.take() == b""
        ws.wire.close()


def test_a_reload_closes_each_and_fails_no_request(engine: str) -> None:
    with supervised(engine, app="apps.websockets:app") as server:
        opened = open_many(server, MANY)
        for ws in opened[::50]:
            assert ws.ask("x") == "x"
        with under_load(server.address) as load:
            load.wait_for_answers(100)
            server.signal(signal.SIGHUP)
            close_all(opened)
            wait_until(lambda: ready(server) == 4, "no reload")
            load.wait_for_answers(100)
        assert load.failures == []
        later = WebSocketWire(Wire(server.address))
        assert later.ask("again") == "again"
        later.wire.close()


def test_a_stop_closes_each(engine: str) -> None:
    with supervised(engine, app="apps.websockets:app") as server:
        opened = open_many(server, 20)
        server.signal(signal.SIGTERM)
        close_all(opened)
        assert server.wait() == 0
