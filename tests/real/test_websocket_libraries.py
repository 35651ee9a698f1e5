"""Libraries that speak WebSocket on the socket of another server, by their own examples.

Their clients here are the library websockets; on HTTP/2, which it does not speak, the suite's own.
"""

from __future__ import annotations

import json
import re
import threading
import warnings
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest
from harness.certificates import client_context
from harness.framed import FramedWire
from harness.process import run_server
from harness.waiting import eventually
from harness.websocket_wire import CLOSE, TEXT, WebSocketWire
from harness.wire import Ended

if TYPE_CHECKING:
    from pathlib import Path

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site
    from harness.wire import Address, Wire

websockets = pytest.importorskip("websockets.sync.client")

pytestmark = pytest.mark.timeout(60)

SIZES = [0, 1, 125, 126, 65_535, 65_536, 1 << 20]


class OverStream:
    """What the tests use of a client of websockets, on a stream of HTTP/2."""

    def __init__(self, wire: Wire, path: str) -> None:
        self._wire = wire
        self._ws = WebSocketWire(wire, path)
        self.send = self._ws.say

    def __enter__(self) -> OverStream:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._wire.close()

    def recv(self) -> str | bytes:
        ahead = b""
        with suppress(Ended):  # all of the connection
            ahead = self._wire.take()
        if not ahead:
            raise ConnectionError("ended without a close")
        self._wire.put_back(ahead)
        frame = self._ws.frame()
        if frame.opcode == CLOSE:
            raise ConnectionError(f"close {int.from_bytes(frame.payload[:2], 'big')}")
        return frame.payload.decode() if frame.opcode == TEXT else frame.payload


def connect(site: Site, path: str, **options: Any) -> Any:
    if site.http2:
        return OverStream(site.connect(), path)
    scheme = "ws" if site.tls is None else "wss"
    context = None if site.tls is None else client_context()
    return websockets.connect(
        f"{scheme}://localhost:{site.port}{path}", ssl=context, max_size=None, **options
    )


def settles(site: Site) -> bool:
    """Its threads are back."""
    return eventually(lambda: not site.server.stats()["workers_away"])


@pytest.fixture
def flask_sock_app() -> Any:
    flask: Any = pytest.importorskip("flask")
    app = flask.Flask("echo")
    sock: Any = pytest.importorskip("flask_sock").Sock(app)

    def echo(ws: Any) -> None:
        while True:
            data = ws.receive()
            if data == "close":
                return
            ws.send(data)

    def fail(ws: Any) -> None:
        ws.receive()
        raise LookupError("a mistake of the application's")

    sock.route("/echo")(echo)
    sock.route("/fail")(fail)
    app.add_url_rule("/", view_func=lambda: "page")
    return app


def test_flask_sock(serve: ServeFixture, flask_sock_app: Any, error_log: LogWatch) -> None:
    site = serve(flask_sock_app, threads=2)
    with connect(site, "/echo") as ws:
        for size in SIZES:
            ws.send("x" * size)
            assert ws.recv() == "x" * size
            ws.send(b"\xff" * size)
            assert ws.recv() == b"\xff" * size
        ws.send("close")
        with pytest.raises(Exception, match="1000"):
            ws.recv()
    assert settles(site)
    assert "ERROR" not in error_log.text


def test_flask_sock_beside_requests(serve: ServeFixture, flask_sock_app: Any) -> None:
    site = serve(flask_sock_app, threads=2)
    with ExitStack() as stack:
        wire = stack.enter_context(site.connect())
        opened = [stack.enter_context(connect(site, "/echo")) for _ in range(20)]
        for n, ws in enumerate(opened):
            ws.send(str(n))
            assert wire.ask("/").text == "page"
            assert ws.recv() == str(n)
        assert site.server.stats()["workers_away"] == 20
    assert settles(site)


def test_flask_sock_that_fails(
    serve: ServeFixture, flask_sock_app: Any, error_log: LogWatch
) -> None:
    site = serve(flask_sock_app)
    with connect(site, "/fail") as ws:
        ws.send("go")
        error_log.wait_for("a mistake of the application's")
    with site.connect() as wire:
        assert wire.ask("/fail").status == 400, "it is no WebSocket"
        assert wire.ask("/").text == "page"


CHAT = """
import flask, flask_socketio

app = flask.Flask("chat")
hub = flask_socketio.SocketIO(app, async_mode="threading", cors_allowed_origins="*")

@hub.on("say")
def say(text):
    flask_socketio.emit("said", text, broadcast=True)
    return text.upper()
"""

# simple-websocket's reading thread closes the socket that its writing thread has just found open.
# The race is the library's own, on any server; what else a thread complains of is ours.
CLOSED_BETWEEN = re.compile(
    r"Exception in thread (?:(?!Exception in thread).)*?simple_websocket/ws\.py\", line \d+, "
    r"in close(?:(?!Exception in thread).)*?OSError: \[Errno 9\] Bad file descriptor",
    re.DOTALL,
)


def complaints(log: str) -> str:
    return CLOSED_BETWEEN.sub("", log)


@pytest.mark.no_tls("its server is a process of its own")
def test_flask_socketio(engine: str, tmp_path: Path) -> None:
    """In a process of its own, for the threads that the library leaves behind."""
    pytest.importorskip("flask_socketio")
    socketio = pytest.importorskip("socketio")
    (tmp_path / "chat_app.py").write_text(CHAT)
    heard: list[list[str]] = [[], []]
    clients = [socketio.Client(handle_sigint=False) for _ in heard]
    with run_server(
        "chat_app:app", engine, "--threads", "4", environment={"PYTHONPATH": str(tmp_path)}
    ) as server:
        for said, client in zip(heard, clients, strict=True):
            client.on("said", said.append)
        clients[0].connect(server.url, transports=["websocket"])
        clients[1].connect(server.url, transports=["polling", "websocket"])
        assert clients[0].call("say", "hello", timeout=10) == "HELLO"
        assert eventually(lambda: heard == [["hello"], ["hello"]])
        assert eventually(lambda: clients[1].transport() == "websocket"), "it was upgraded"
        clients[1].emit("say", "again")
        assert eventually(lambda: heard == [["hello", "again"]] * 2)
        for client in clients:
            client.disconnect()
            client.wait()
    assert "Traceback" not in complaints(server.log)


class SocketIo:
    """A client of Socket.IO on HTTP/2, which its own clients do not speak: packets as they are."""

    def __init__(self, address: Address, session: str = "") -> None:
        path = "/socket.io/?EIO=4&transport=websocket" + (session and f"&sid={session}")
        self._ws = WebSocketWire(FramedWire(address), path)

    def close(self) -> None:
        self._ws.wire.close()

    def say(self, packet: str) -> None:
        self._ws.say(packet)

    def hears(self, begin: str) -> str:
        """The next packet, which begins so; what is behind it."""
        packet = self._ws.hear()
        assert isinstance(packet, str)
        assert packet.startswith(begin), packet
        return packet.removeprefix(begin)

    def joins(self) -> None:
        self.say("40")
        self.hears('40{"sid":')


@pytest.mark.no_tls("its server is a process of its own")
def test_flask_socketio_over_http2(engine: str, tmp_path: Path) -> None:
    """As browsers do it: by polling first, and from the start."""
    pytest.importorskip("flask_socketio")
    (tmp_path / "chat_app.py").write_text(CHAT)
    with run_server(
        "chat_app:app", engine, "--threads", "4", environment={"PYTHONPATH": str(tmp_path)}
    ) as server:
        polls = "/socket.io/?EIO=4&transport=polling"
        with FramedWire(server.address) as wire:
            session = json.loads(wire.ask(polls).text.removeprefix("0"))["sid"]
            upgraded = SocketIo(server.address, session)
            upgraded.say("2probe")
            upgraded.hears("3probe")
            upgraded.say("5")
            upgraded.hears("6")  # for a poll that might still wait
            upgraded.joins()
        direct = SocketIo(server.address)
        direct.hears('0{"sid":')
        direct.joins()
        direct.say('420["say","hello"]')
        assert {direct.hears("4"), direct.hears("4")} == {'2["said","hello"]', '30["HELLO"]'}
        upgraded.hears('42["said","hello"]')
        upgraded.say('42["say","again"]')
        for client in (upgraded, direct):
            client.hears('42["said","again"]')
        for client in (upgraded, direct):
            client.close()
    assert "Traceback" not in complaints(server.log)


@pytest.fixture
def ws4py_app() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server: Any = pytest.importorskip("ws4py.server.wsgiutils")
        handlers: Any = pytest.importorskip("ws4py.websocket")
    return server.WebSocketWSGIApplication(handler_cls=handlers.EchoWebSocket)


def test_ws4py(serve: ServeFixture, ws4py_app: Any) -> None:
    site = serve(ws4py_app, threads=2)
    with connect(site, "/", compression=None) as one, connect(site, "/", compression=None) as two:
        for size in SIZES[:-1]:
            for ws in (one, two):
                ws.send("y" * size)
                assert ws.recv() == "y" * size
    assert settles(site)


def test_a_server_that_stops_ends_them(serve: ServeFixture, flask_sock_app: Any) -> None:
    """Their threads are no daemons: without an end a process would wait for them for ever."""
    before = set(threading.enumerate())
    site = serve(flask_sock_app, graceful_timeout=0.3)
    with connect(site, "/echo") as ws:
        ws.send("x")
        assert ws.recv() == "x"
        site.server.stop()
        with pytest.raises(Exception, match="close"):
            ws.recv()
    assert eventually(lambda: not [t for t in set(threading.enumerate()) - before if t.is_alive()])


def test_gevent_websocket(serve: ServeFixture, error_log: LogWatch) -> None:
    """Its own example, without gevent: a resource with an application for its WebSockets."""
    package: Any = pytest.importorskip("geventwebsocket")
    closed = threading.Event()

    class EchoApplication(package.WebSocketApplication):  # type: ignore[misc]
        def on_open(self) -> None:
            self.ws.send("connected to " + self.ws.path)

        def on_message(self, message: Any) -> None:
            if message is not None:
                self.ws.send(message)

        def on_close(self, reason: object = None) -> None:
            del reason
            closed.set()

    def page(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert "wsgi.websocket" not in environ
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"page"]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own order
        resource = package.Resource({"/echo": EchoApplication, "/": page})
    site = serve(resource, threads=2)
    with connect(site, "/echo") as ws:
        assert ws.recv() == "connected to /echo"
        for size in SIZES[:-1]:
            ws.send("x" * size)
            assert ws.recv() == "x" * size
            ws.send(b"\xff" * size)
            assert ws.recv() == b"\xff" * size
        assert site.ask("/").text == "page"
    assert closed.wait(10)
    assert settles(site)
    assert "ERROR" not in error_log.text
