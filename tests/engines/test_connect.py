"""CONNECT (RFC 9110 section 9.3.6), where it is asked for: an application that is a proxy."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import PLAIN, Environ, StartResponse, hello
from harness.echoing import is_settled
from harness.switching import switched, take
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prowingen_wsgi import Request, Response

    from harness.logwatch import LogWatch
    from harness.site import ListenFixture, ServeFixture
    from harness.wire import Wire

pytestmark = pytest.mark.http3

CONNECT = b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n"
PATIENCE = 10.0
WITH_HTTP1 = pytest.mark.no_http2("the client speaks HTTP/1.1")


class Tunnels:
    """Connects those who ask for it to where they want, as far as `allowed` says."""

    def __init__(self, *allowed: str, status: str = "200 OK") -> None:
        self.allowed = allowed
        self.status = status
        self.seen: list[Environ] = []

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self.seen.append(dict(environ))
        if environ["REQUEST_METHOD"] != "CONNECT":
            return hello(environ, start_response)
        if environ["REQUEST_URI"] not in self.allowed:
            start_response("403 Forbidden", PLAIN)
            return [b"not there"]
        host, port = environ["REQUEST_URI"].split(":")
        self.target = socket.create_connection((host, int(port)), PATIENCE)
        environ["opaque.upgrade"](None, self.tunnel)
        start_response(self.status, [("Content-Length", "5"), ("X-Via", "us")])
        return []

    def tunnel(self, env: dict[str, Any]) -> None:
        stream = env["opaque.stream"]

        def outwards() -> None:
            while data := stream.recv(65536):
                self.target.sendall(data)
            self.target.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=outwards)
        thread.start()
        with self.target:
            while data := self.target.recv(65536):
                stream.sendall(data)
            stream.shutdown(socket.SHUT_WR)
            thread.join()


def ask(wire: Wire, authority: str) -> None:
    wire.send(CONNECT % (authority.encode(), authority.encode()))


@pytest.fixture
def origin() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        host, port = listener.getsockname()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data.upper())
                connection.sendall(b"the end")

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"{host}:{port}"
        thread.join()


@pytest.mark.parametrize("status", ["200 OK", "101 Switching Protocols"])
def test_a_tunnel_is_dug(serve: ServeFixture, origin: str, status: str) -> None:
    lines: list[str] = []
    tunnels = Tunnels(origin, status=status)
    site = serve(
        tunnels, allow_connect=True, access_log=lines.append, access_log_format="%m %U %s %B"
    )
    with site.connect() as wire:
        ask(wire, origin)
        fields = switched(wire, "200 OK")
        assert fields["x-via"] == "us"
        for forbidden in ("content-length", "transfer-encoding", "upgrade", "connection"):
            assert forbidden not in fields
        wire.send(b"through ")
        assert take(wire, 8) == b"THROUGH "
        big = bytes(range(97, 123)) * 10_000
        wire.send(big)
        assert take(wire, len(big)) == big.upper()
        wire.finish_sending()
        assert take(wire, 7) == b"the end"
        assert wire.take() == b""
    assert is_settled(site)
    environ = tunnels.seen[0]
    assert environ["PATH_INFO"] == ""
    assert environ["HTTP_HOST"] == origin
    assert "werkzeug.socket" not in environ
    assert eventually(lambda: lines == [f"CONNECT {origin} 200 {8 + len(big) + 7}"])


def test_another_answer_is_one_as_ever(serve: ServeFixture) -> None:
    site = serve(Tunnels(), allow_connect=True)
    with site.connect() as wire:
        ask(wire, "elsewhere:443")
        answer = wire.response("CONNECT")
        assert (answer.status, answer.text) == (403, "not there")


@pytest.mark.no_http2("a tunnel has its stream alone there")
@pytest.mark.parametrize("known", [True, False])
def test_what_was_meant_for_a_refused_tunnel_is_no_request(
    serve: ServeFixture, known: bool
) -> None:
    """A client may send what others have it send before it knows of the tunnel."""
    asked: list[str] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        asked.append(environ["REQUEST_METHOD"])
        return (Tunnels() if known else hello)(environ, start_response)

    site = serve(app, allow_connect=True)
    for pause in (False, True):
        with site.connect() as wire:
            ask(wire, "elsewhere:443")
            if pause:
                assert eventually(lambda: len(asked) == 2)
            wire.send_leniently(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = wire.response("CONNECT")
            assert answer.status == (403 if known else 500)
            wire.expect_goodbye(answer)
    assert asked == ["CONNECT"] * 2


def test_an_application_that_knows_of_none_digs_none(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    """Its 200 would be taken for a tunnel, and what it says for what comes through."""
    with serve(hello, allow_connect=True).connect() as wire:
        ask(wire, "elsewhere:443")
        assert wire.response("CONNECT").status == 500
    error_log.wait_for("200 OK", "of a CONNECT", "opaque.upgrade")


def test_it_is_refused_unless_asked_for(serve: ServeFixture) -> None:
    app = Tunnels("elsewhere:443")
    with serve(app).connect() as wire:
        ask(wire, "elsewhere:443")
        assert wire.response("CONNECT").status == 501
    assert app.seen == []


@pytest.mark.no_http2("its heads tell of no content")
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:99999 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT http://a:1/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ],
)
def test_what_is_none_is_refused(serve: ServeFixture, request_: bytes, status: int) -> None:
    app = Tunnels()
    with serve(app, allow_connect=True).connect() as wire:
        wire.send(request_)
        assert wire.response("GET").status == status
    assert app.seen == []


def test_a_raw_handler_digs_one(listen: ListenFixture, origin: str, error_log: LogWatch) -> None:
    def handler(request: Request, response: Response) -> None:
        assert request.upgrade is not None
        assert request.upgrade.protocols == []
        if request.path_and_query != origin:
            response.body.write(b"no tunnel, but 200")
            return
        with pytest.raises(ValueError, match="not named"):
            request.upgrade.stream("echo")
        tunnels = Tunnels()
        host, port = origin.split(":")
        tunnels.target = socket.create_connection((host, int(port)), PATIENCE)
        tunnels.tunnel({"opaque.stream": request.upgrade.stream(headers=[("X-Via", "us")])})

    site = listen(handler, allow_connect=True)
    with site.connect() as wire:
        ask(wire, origin)
        assert switched(wire, "200 OK")["x-via"] == "us"
        wire.send(b"through")
        wire.finish_sending()
        assert take(wire, 14) == b"THROUGHthe end"
        assert wire.take() == b""
    with site.connect() as wire:
        ask(wire, "elsewhere:443")
        assert wire.response("CONNECT").status == 500
    error_log.wait_for("request.upgrade.stream()")


@WITH_HTTP1
@pytest.mark.no_tls("curl would have to trust the certificate")
@pytest.mark.parametrize("proxy_option", ["--proxy", "--proxy1.0"])
def test_curl_goes_through_it(serve: ServeFixture, proxy_option: str) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("needs curl")
    beyond = serve(hello)
    authority = beyond.url.removeprefix("http://").rstrip("/")
    proxy = serve(Tunnels(authority), allow_connect=True)
    via = ["--noproxy", "", "--proxytunnel", proxy_option, proxy.url]
    command = [curl, "-sS", *via, f"http://{authority}/"]
    got = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert got.returncode == 0, got.stderr
    assert got.stdout.startswith("hello"), got.stdout
