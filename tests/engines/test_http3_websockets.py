"""WebSockets and other protocols on a stream of HTTP/3 (RFC 9220), as far as HTTP/3 itself is
concerned: `--http3` has the tests of WebSockets once more on it."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi import websocket

from harness.apps import Echo as Recorder
from harness.apps import hello
from harness.echoing import PATIENCE, Echo, is_settled
from harness.h3client import Fields, H3Client, relay
from harness.h3serve import HTTP3_ONLY, on_connection
from harness.h3wire import H3Wire
from harness.switching import Switching, switched, take
from harness.waiting import eventually
from harness.websocket_wire import TEXT, WebSocketWire, handshake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.apps import Environ, StartResponse
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site

pytestmark = HTTP3_ONLY

NO_ERROR, INTERNAL_ERROR, FRAME_UNEXPECTED = 0x100, 0x102, 0x105
REQUEST_CANCELLED, MESSAGE_ERROR = 0x10C, 0x10E
ENABLE_CONNECT_PROTOCOL = 0x8
MIB = 1 << 20
OFFER = b"GET /talk HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
CONNECT: Fields = [
    (b":method", b"CONNECT"),
    (b":protocol", b"echo"),
    (b":scheme", b"https"),
    (b":authority", b"localhost"),
    (b":path", b"/talk"),
]


@pytest.fixture
def serve3(serve: ServeFixture) -> ServeFixture:
    """Its sites have wires of HTTP/3."""
    from harness.certificates import server_files

    def start(app: object, **options: object) -> Site:
        site = serve(app, http3=True, **{**vars(server_files()), **options})
        site.http3 = True
        return site

    return start


def connected(site: Site, **options: Any) -> H3Wire:
    wire = site.connect(**options)
    assert isinstance(wire, H3Wire)
    return wire


def switch(wire: H3Wire) -> dict[str, str]:
    wire.send(OFFER)
    return switched(wire)


def replaced(name: bytes, value: bytes) -> Fields:
    return [(key, value if key == name else kept) for key, kept in CONNECT]


def without(name: bytes) -> Fields:
    return [field for field in CONNECT if field[0] != name]


def test_it_is_announced(serve3: ServeFixture) -> None:
    async def use(client: H3Client) -> Any:
        await client.ask()
        return client.settings

    assert on_connection(serve3(hello), use)[ENABLE_CONNECT_PROTOCOL] == 1


def test_an_application_sees_the_get_that_it_stands_for(serve3: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        seen.update({k: v for k, v in environ.items() if isinstance(v, str)})
        return echo(environ, start_response)

    seen: dict[str, str] = {}
    lines: list[str] = []
    echo = Echo("evented")
    site = serve3(app, access_log=lines.append, access_log_format="%(r)s %(s)s")
    ws = WebSocketWire(connected(site), "/a?b=c")
    assert ws.ask("x") == "x"
    assert (seen["REQUEST_METHOD"], seen["PATH_INFO"], seen["QUERY_STRING"]) == ("GET", "/a", "b=c")
    assert (seen["HTTP_UPGRADE"], seen["SERVER_PROTOCOL"]) == ("websocket", "HTTP/3.0")
    assert (seen["HTTP_CONNECTION"], seen["wsgi.url_scheme"]) == ("Upgrade", "https")
    assert len(seen["HTTP_SEC_WEBSOCKET_KEY"]) == 24
    assert "CONTENT_LENGTH" not in seen
    assert sorted(ws.fields) == ["date", "server"]
    ws.close()
    assert ws.closed() == (1000, "")
    assert eventually(lambda: lines == ["GET /a?b=c HTTP/3.0 200"])


@pytest.mark.parametrize(
    "head",
    [
        replaced(b":method", b"GET"),
        replaced(b":protocol", b""),
        replaced(b":protocol", b"two words"),
        replaced(b":protocol", b"a, b"),
        replaced(b":path", b"talk"),
        replaced(b":path", b"*"),
        replaced(b":authority", b""),
        [CONNECT[1], *CONNECT],
        without(b":path"),
        without(b":scheme"),
        without(b":authority"),
        [*without(b":protocol"), (b"a", b"b"), (b":protocol", b"echo")],
    ],
)
@pytest.mark.parametrize("end", [True, False])
def test_one_that_is_malformed_is_reset(serve3: ServeFixture, head: Fields, end: bool) -> None:
    """RFC 9114 section 4.1.2: H3_MESSAGE_ERROR."""
    recorder = Recorder()

    async def use(client: H3Client) -> Any:
        malformed = await client.answer(client.send_head(head, end=end))
        return malformed, await client.ask("/next")

    site = serve3(recorder)
    malformed, following = on_connection(site, use)
    assert (malformed.heads, malformed.reset) == ([], MESSAGE_ERROR)
    assert following.status == 200
    assert [environ["PATH_INFO"] for environ in recorder.environs] == ["/next"]
    assert site.server.stats()["requests_refused"] == 1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ([(b":method", b"CONNECT"), (b":authority", b"localhost:80")], 501),
        ([*CONNECT, (b"upgrade", b"echo")], 400),
        ([*CONNECT, *((b"x%d" % n, b"y") for n in range(200))], 431),
    ],
)
def test_one_that_is_refused_is_answered(serve3: ServeFixture, head: Fields, status: int) -> None:
    async def use(client: H3Client) -> Any:
        return await client.begun(client.send_head(head, end=False))

    assert on_connection(serve3(hello), use).status == status


def test_no_other_frames_come_on_its_stream(serve3: ServeFixture) -> None:
    """RFC 9114 section 4.4."""

    async def use(client: H3Client) -> Any:
        stream = client.send_head(CONNECT, end=False)
        await client.begun(stream)
        client.send_raw(stream, bytes([1, 0]))
        return await asyncio.wait_for(client.terminated, PATIENCE)

    app = Switching(lambda env: env["opaque.stream"].recv(1))
    assert on_connection(serve3(app), use) == FRAME_UNEXPECTED


# ---------------------------------------------------------------------------- WebSockets


@pytest.mark.parametrize("style", ["blocking", "evented"])
def test_a_mebibyte_goes_both_ways(serve3: ServeFixture, style: str) -> None:
    ws = WebSocketWire(connected(serve3(Echo(style))))
    much = os.urandom(MIB)
    assert ws.ask(much) == much
    assert ws.ask(much.hex()[:MIB]) == much.hex()[:MIB]
    ws.close()
    assert ws.closed() == (1000, "")


def test_a_hundred_share_a_connection_with_requests(serve3: ServeFixture) -> None:
    """New streams are granted though most of those that a client may have are in use for long."""
    site = serve3(Echo("evented"))
    first = WebSocketWire(connected(site))
    assert isinstance(first.wire, H3Wire)
    sockets = [first, *(WebSocketWire(first.wire.beside()) for _ in range(99))]
    for number, ws in enumerate(sockets):
        ws.say(f"from {number}")
    for _ in range(200):
        assert first.wire.beside().ask("/").text == "hello"
    for number, ws in enumerate(sockets):
        assert ws.hear() == f"from {number}"
    assert site.server.stats()["websockets_open"] == 100
    assert site.server.stats()["connections_open"] == 1
    for ws in sockets:
        ws.close()
        assert ws.closed() == (1000, "")
    assert first.wire.beside().ask("/").text == "hello"
    assert is_settled(site)


def test_streams_are_granted_to_the_last(serve3: ServeFixture) -> None:
    site = serve3(Echo("evented"), max_streams=4)
    wire = WebSocketWire(connected(site)).wire
    assert isinstance(wire, H3Wire)
    kept = [WebSocketWire(wire.beside()) for _ in range(2)]
    for _ in range(20):
        assert wire.beside().ask("/").text == "hello"
    assert [ws.ask("x") for ws in kept] == ["x", "x"]


@pytest.mark.parametrize("style", ["blocking", "evented"])
@pytest.mark.parametrize("how", ["reset", "stop_sending", "both"])
def test_who_resets_a_stream_has_left_it(serve3: ServeFixture, style: str, how: str) -> None:
    echo = Echo(style)
    site = serve3(echo)
    ws = WebSocketWire(connected(site))
    wire = ws.wire
    assert isinstance(wire, H3Wire)
    other = WebSocketWire(wire.beside())
    assert ws.ask("x") == "x"
    ws.send(TEXT, b"half", fin=False)
    wire.reset(how)
    assert echo.over.wait(PATIENCE)
    assert [code for code, _ in echo.closed] == [1006]
    assert other.ask("y") == "y"
    with pytest.raises(ConnectionResetError, match=str(REQUEST_CANCELLED)):
        wire.take()
    assert wire.beside().ask("/").status == 200


def test_who_resets_a_stream_that_is_not_read_has_left_it(serve3: ServeFixture) -> None:
    def wait(env: dict[str, Any]) -> None:
        assert env["opaque.call_cancelled"].wait(PATIENCE)

    app = Switching(wait)
    site = serve3(app)
    wire = connected(site)
    switch(wire)
    assert 0 < wire.send_until_blocked(bytes(16 * MIB), patience=0.3) < 2 * MIB
    assert site.server.stats()["memory_used"] < 2 * MIB
    wire.reset()
    assert app.ended.wait(PATIENCE)
    assert app.error is None
    assert wire.beside().ask("/").status == 200


def test_a_client_that_does_not_finish_is_asked_to(serve3: ServeFixture) -> None:
    site = serve3(Echo("evented"), write_timeout=60)
    ws = WebSocketWire(connected(site))
    assert isinstance(ws.wire, H3Wire)
    ws.close()
    assert ws.closed() == (1000, "")
    assert ws.wire.asked_to_stop() == NO_ERROR
    # Of which nothing is left that a stop would wait for.
    stopping = threading.Thread(target=site.server.stop, args=(PATIENCE,))
    stopping.start()
    stopping.join(PATIENCE / 2)
    assert not stopping.is_alive()


def test_a_client_that_is_refused_is_asked_to_stop_too(serve3: ServeFixture) -> None:
    wire = connected(serve3(Echo("evented", origins="same")))
    wire.send(handshake("/", "Origin: https://elsewhere.example"))
    assert wire.response().status == 403
    assert wire.asked_to_stop() == NO_ERROR


def test_a_reader_that_is_slow_holds_its_writer_up(serve3: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        with websocket.accept(environ, origins="*") as ws:
            for _ in range(192):
                ws.send(bytes(65_536))
                sent.append(65_536)
        return []

    sent: list[int] = []
    site = serve3(app)
    ws = WebSocketWire(connected(site, receive_buffer=65_536))
    until_still(sent)
    assert sum(sent) < 4 * MIB
    assert site.server.stats()["memory_used"] < 4 * MIB
    assert sum(len(ws.hear()) for _ in range(192)) == 12 * MIB
    assert ws.closing() == (1000, "")


def until_still(numbers: list[int]) -> None:
    def stands_still() -> bool:
        before = len(numbers)
        threading.Event().wait(0.2)
        return 0 < before == len(numbers)

    assert eventually(stands_still)


def test_applications_that_do_not_read_hold_up_no_other_stream(serve3: ServeFixture) -> None:
    """What proxygen has of streams that wait is charged, and the others are read on."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return (deaf if environ["PATH_INFO"] == "/talk" else echo)(environ, start_response)

    def read_late(env: dict[str, Any]) -> None:
        assert go.wait(PATIENCE)
        stream = env["opaque.stream"]
        sizes.append(len(stream.recv(1)) + sum(map(len, iter(lambda: stream.recv(65536), b""))))

    go = threading.Event()
    sizes: list[int] = []
    deaf, echo = Switching(read_late), Echo("evented")
    site = serve3(app, body_buffer=1000)
    first = WebSocketWire(connected(site))
    assert isinstance(first.wire, H3Wire)
    waiting = [first.wire.beside() for _ in range(40)]
    for wire in waiting:
        switch(wire)
        wire.send_pieces(bytes(50_000), of=1000)
    for _ in range(10):
        assert first.ask("x") == "x"
        assert first.wire.beside().ask("/").text == "hello"
    assert eventually(lambda: site.server.stats()["memory_used"] > 40 * 50_000 * 0.9)
    go.set()
    for wire in waiting:
        wire.finish_sending()
        assert wire.read_to_end() == b""
    assert sizes == [50_000] * 40
    first.close()
    assert first.closed() == (1000, "")
    assert eventually(lambda: site.server.stats()["memory_used"] == 0)


# ---------------------------------------------------------------------------- other protocols


def echo(env: dict[str, Any]) -> None:
    stream = env["opaque.stream"]
    while data := stream.recv(65536):
        stream.sendall(data)
    stream.sendall(b" and out")


def test_any_protocol_has_a_stream(serve3: ServeFixture) -> None:
    app = Switching(echo, ("Upgrade", "echo"), ("X-More", "1"))
    site = serve3(app)
    wire = connected(site)
    fields = switch(wire)
    assert fields["x-more"] == "1"
    assert not {"upgrade", "connection", "content-length"} & set(fields)
    for word in (b"one", b"\0" * 100_000):
        wire.send(word)
        assert take(wire, len(word)) == word
    assert wire.beside().ask("/").text == "no"
    wire.finish_sending()
    assert wire.read_to_end() == b" and out"
    assert app.ended.wait(PATIENCE)
    assert app.error is None


def test_either_side_may_finish_first(serve3: ServeFixture) -> None:
    def half(env: dict[str, Any]) -> None:
        stream = env["opaque.stream"]
        stream.sendall(b"all that I say")
        stream.shutdown(socket.SHUT_WR)
        while data := stream.recv(65536):
            heard.append(data)

    heard: list[bytes] = []
    app = Switching(half)
    wire = connected(serve3(app))
    switch(wire)
    assert wire.read_to_end() == b"all that I say"
    for _ in range(10):
        wire.send(bytes(50_000))
    wire.finish_sending()
    assert app.ended.wait(PATIENCE)
    assert app.error is None
    assert sum(map(len, heard)) == 500_000


def test_who_fails_resets_the_stream(serve3: ServeFixture, error_log: LogWatch) -> None:
    def fail(env: dict[str, Any]) -> None:
        env["opaque.stream"].recv(1)
        raise LookupError("a mistake")

    wire = connected(serve3(Switching(fail)))
    switch(wire)
    wire.send(b"x")
    with pytest.raises(ConnectionResetError, match=str(INTERNAL_ERROR)):
        wire.take()
    error_log.wait_for("a mistake")
    assert wire.beside().ask("/").status == 200


def test_what_is_lost_on_the_way_comes_again(serve3: ServeFixture) -> None:
    """What is sent last, too, though its client is asked to stop at once."""

    def give(env: dict[str, Any]) -> None:
        stream = env["opaque.stream"]
        assert stream.recv(2) == b"go"
        stream.sendall(much)

    much = os.urandom(MIB)
    site = serve3(Switching(give))
    with relay(site, loss=0.03) as between:
        for _ in range(3):
            wire = H3Wire(between)
            switch(wire)
            wire.send(b"go" + bytes(100_000))
            assert wire.read_to_end() == much
            wire.close()
        assert between.lost > 0


@pytest.fixture(autouse=True)
def no_error_of_the_servers(error_log: LogWatch) -> Iterator[None]:
    yield
    assert "Traceback" not in error_log.text or "a mistake" in error_log.text
