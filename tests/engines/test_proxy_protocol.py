"""The PROXY protocol: for whom a proxy speaks, said ahead of HTTP."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from harness.apps import Echo, hello
from harness.h2wire import H2Wire
from harness.process import run_server
from harness.proxyhead import LOCAL, SIGNATURE, TLS, environ_of, v1, v2
from harness.waiting import eventually
from harness.wire import Wire, until_refused

if TYPE_CHECKING:
    from pathlib import Path

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site

pytestmark = [
    pytest.mark.no_tls("the header comes before TLS: see test_tls_messages"),
    pytest.mark.no_http2("the header comes before the preface"),
]

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
APP = "apps.plain:app"
IPV6 = ("2001:db8::1", 1234, "2001:db8::2", 443)


@pytest.fixture
def site(serve: ServeFixture) -> Site:
    return serve(Echo(), proxy_protocol=True)


def environ_behind(site: Site, header: bytes) -> dict[str, str]:
    with site.connect() as wire:
        wire.send(header)
        return environ_of(wire.ask())


@pytest.mark.parametrize("header", [v1(), v2(), v2(tlvs=b"\xea\0\3aws")], ids=["1", "2", "TLV"])
def test_the_ends_are_those_of_the_clients_connection(site: Site, header: bytes) -> None:
    environ = environ_behind(site, header)
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("192.0.2.1", "1234")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("192.0.2.2", "443")
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["HTTP_HOST"] == "test"


@pytest.mark.parametrize("header", [v1(*IPV6), v2(*IPV6)], ids=["1", "2"])
def test_the_client_may_have_come_by_ipv6(site: Site, header: bytes) -> None:
    environ = environ_behind(site, header)
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("2001:db8::1", "1234")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("2001:db8::2", "443")


@pytest.mark.parametrize(
    "header",
    [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ::1 ::1 1 2\r\n", LOCAL, SIGNATURE + b"\x21\0\0\0"],
)
def test_without_addresses_the_connections_own_ends_count(site: Site, header: bytes) -> None:
    environ = environ_behind(site, header)
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["SERVER_PORT"] == str(site.port)


def test_a_client_of_a_unix_socket_has_no_address(site: Site) -> None:
    header = SIGNATURE + b"\x21\x31\x00\xd8" + b"/run/client".ljust(216, b"\0")
    environ = environ_behind(site, header)
    assert environ["REMOTE_ADDR"] == environ["REMOTE_PORT"] == ""
    assert environ["SERVER_NAME"] == "localhost"


def test_a_client_may_speak_tls_to_the_proxy(site: Site) -> None:
    assert environ_behind(site, v2(tlvs=TLS))["wsgi.url_scheme"] == "https"


def test_the_access_log_has_the_clients_address(serve: ServeFixture) -> None:
    lines: list[str] = []
    site = serve(hello, proxy_protocol=True, access_log=lines.append, access_log_format="%h %a")
    with site.connect() as wire:
        wire.send(v1())
        wire.ask("/", "Connection: close")
        wire.expect_closed()
    site.server.stop()
    assert [line.split()[0] for line in lines] == ["192.0.2.1"]


@pytest.mark.parametrize("header", [v1(), v2(tlvs=TLS + b"\4\1\0" + bytes(256))], ids=["1", "2"])
def test_a_header_may_come_byte_by_byte(site: Site, header: bytes) -> None:
    with site.connect() as wire:
        for at in range(len(header)):
            wire.send(header[at : at + 1])
        assert environ_of(wire.ask())["REMOTE_ADDR"] == "192.0.2.1"


def test_a_header_may_be_as_long_as_it_can_say(site: Site) -> None:
    assert environ_behind(site, v2(tlvs=b"\4\xff\xf0" + bytes(0xFFF0)))["REMOTE_PORT"] == "1234"


def test_half_a_header_costs_no_cpu(engine: str, tmp_path: Path) -> None:
    """Bytes that cannot be used yet must not have the thread look at them again and again."""
    for bind in ("127.0.0.1:0", f"unix:{tmp_path}/s"):
        arguments = ("--proxy-protocol", "--bind", bind)
        with run_server(APP, engine, *arguments) as server, server.connect() as wire:
            wire.send(v2()[:20])
            assert wire.is_silent(0.1)
            before = server.cpu_seconds()
            assert wire.is_silent(0.6)
            assert server.cpu_seconds() - before < 0.3
            wire.send(v2()[20:])
            assert wire.ask().body == b"hello"


@pytest.mark.parametrize("header", [v1(), v2()], ids=["1", "2"])
def test_requests_may_come_with_the_header(site: Site, header: bytes) -> None:
    with site.connect() as wire:
        wire.send(header + GET + GET + b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
        answers = [wire.response(), wire.response()]
        wire.send(b"body")
        answers.append(wire.response())
        wire.send(GET)
        answers.append(wire.response())
        assert [environ_of(answer)["REMOTE_ADDR"] for answer in answers] == ["192.0.2.1"] * 4


@pytest.mark.parametrize("header", [v1(), v2(tlvs=TLS)], ids=["1", "2"])
def test_http2_may_follow(serve: ServeFixture, header: bytes) -> None:
    site = serve(Echo(), proxy_protocol=True, http="2")
    with H2Wire(site, before=header) as wire:
        for _ in range(2):
            response = wire.ask("/")
            assert response.status == 200
            assert b'"REMOTE_ADDR": "192.0.2.1"' in response.body
            assert (b'"https"' in response.body) == (TLS in header)


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (GET, "does not begin with one"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n" + GET, "addresses"),
        (b"PROXY TCP9 192.0.2.1 192.0.2.2 1 2\r\n" + GET, "family"),
        (b"PROXY UNKNOWN " + b"x" * 200, "longer than 107"),
        (SIGNATURE + b"\x11", "version"),
        (SIGNATURE + b"\x21\x12\0\x0c" + bytes(12), "family"),
        (v2(tlvs=b"\3\0\4\0\0\0\0"), "checksum"),
        (v2(tlvs=b"\4\0"), "TLV"),
        (v2()[:5] + GET, "does not begin with one"),
    ],
)
def test_what_is_no_header_closes_the_connection_at_once(
    site: Site, error_log: LogWatch, sent: bytes, fault: str
) -> None:
    with site.connect() as wire:
        wire.send(sent)
        wire.expect_closed()
    assert "127.0.0.1" in error_log.wait_for("WARNING", "PROXY protocol header", fault)
    assert environ_behind(site, v1())["REMOTE_ADDR"] == "192.0.2.1"


def test_tls_and_http2_without_a_header_close_the_connection_too(site: Site) -> None:
    for start in (b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\nGET"):
        with site.connect() as wire:
            wire.send(start)
            wire.expect_closed()


def test_a_second_header_is_a_bad_request(site: Site) -> None:
    with site.connect() as wire:
        wire.send(v1("192.0.2.1") + v1("192.0.2.9") + GET)
        assert wire.response().status == 400
        wire.expect_closed()


def test_a_header_that_is_not_awaited_is_a_bad_request(serve: ServeFixture) -> None:
    with serve(Echo()).connect() as wire:
        wire.send(v1() + GET)
        assert wire.response().status == 400


@pytest.mark.parametrize("allowed", [(), ("192.0.2.0/24", "unix", "::/0"), ("127.0.0.2/31",)])
def test_connections_of_others_are_refused(
    serve: ServeFixture, error_log: LogWatch, allowed: tuple[str, ...]
) -> None:
    site = serve(Echo(), proxy_protocol=True, proxy_allow_ips=allowed)
    for sent in (b"", v1(), GET):
        with site.connect() as wire:
            wire.send_leniently(sent)
            wire.expect_closed()
    error_log.wait_for("WARNING", "127.0.0.1", "proxy_allow_ips")


@pytest.mark.parametrize(
    "allowed", ["127.0.0.1", "10.0.0.0/8,127.0.0.0/8", "::ffff:127.0.0.1", "*"]
)
def test_connections_of_proxies_are_accepted(serve: ServeFixture, allowed: str) -> None:
    site = serve(Echo(), proxy_protocol=True, proxy_allow_ips=allowed)
    assert environ_behind(site, v1())["REMOTE_ADDR"] == "192.0.2.1"


def test_a_proxy_may_come_over_a_unix_socket(serve: ServeFixture, tmp_path: Path) -> None:
    site = serve(Echo(), proxy_protocol=True, bind=f"unix:{tmp_path}/s")
    environ = environ_behind(site, v1())
    assert (environ["REMOTE_ADDR"], environ["SERVER_NAME"]) == ("192.0.2.1", "192.0.2.2")
    with site.connect() as wire:
        for at in range(len(v2())):
            wire.send(v2()[at : at + 1])
        assert environ_of(wire.ask())["REMOTE_ADDR"] == "192.0.2.1"


def test_a_unix_socket_is_refused_unless_it_is_named(serve: ServeFixture, tmp_path: Path) -> None:
    where = f"unix:{tmp_path}/s"
    site = serve(Echo(), proxy_protocol=True, proxy_allow_ips="127.0.0.1", bind=where)
    with site.connect() as wire:
        wire.send_leniently(v1() + GET)
        wire.expect_closed()


def test_the_log_tells_of_a_flood_once(site: Site, error_log: LogWatch) -> None:
    for _ in range(50):
        with site.connect() as wire:
            wire.send(GET)
            wire.expect_closed()
    error_log.wait_for("PROXY protocol header")
    assert environ_behind(site, v1())["REMOTE_ADDR"] == "192.0.2.1"
    assert error_log.text.count("PROXY protocol header") == 1


@pytest.mark.parametrize("sent", [b"", v1()[:-1], v2()[:-1]], ids=["nothing", "1", "2"])
def test_a_client_may_leave_before_its_header_is_whole(
    site: Site, error_log: LogWatch, sent: bytes
) -> None:
    for leave in (Wire.finish_sending, Wire.reset):
        with site.connect() as wire:
            wire.send(sent)
            leave(wire)
            if leave is Wire.finish_sending:
                wire.expect_closed()
    wait_for_open(site, 0)
    if not sent:  # how some see whether the server is there
        assert "WARNING" not in error_log.text


def test_a_header_has_the_time_of_a_request_head(serve: ServeFixture, error_log: LogWatch) -> None:
    site = serve(Echo(), proxy_protocol=True, header_timeout=0.4)
    with site.connect() as silent, site.connect() as slow:
        started = time.monotonic()
        slow.send(v1()[:10])
        for wire in (silent, slow):
            wire.expect_closed()
        assert 0.3 < time.monotonic() - started < 5
    error_log.wait_for("WARNING", "PROXY protocol header", "in time")


def test_a_request_has_its_own_time(serve: ServeFixture) -> None:
    site = serve(Echo(), proxy_protocol=True, header_timeout=0.8)
    with site.connect() as wire:
        time.sleep(0.5)
        wire.send(v1() + GET[:20])
        time.sleep(0.5)
        wire.send(GET[20:])
        assert environ_of(wire.response())["REMOTE_ADDR"] == "192.0.2.1"


def wait_for_open(site: Site, count: int) -> None:
    stats = site.server.stats
    assert eventually(lambda: stats()["connections_open"] == count), stats()


def test_those_that_wait_count_as_connections(serve: ServeFixture) -> None:
    site = serve(Echo(), proxy_protocol=True, max_connections=2)
    with ExitStack() as waiting:
        wires = [waiting.enter_context(site.connect()) for _ in range(2)]
        wires[0].send(v1()[:8])
        wait_for_open(site, 2)
        with site.connect() as third:
            third.send(v1() + GET)
            assert third.is_silent(0.3)
            wires[1].close()
            assert environ_of(third.response())["REMOTE_ADDR"] == "192.0.2.1"
            wait_for_open(site, 2)
    wait_for_open(site, 0)


@pytest.mark.parametrize("io_threads", ["1", "3"])
def test_a_header_that_crosses_with_the_stop_is_heard(engine: str, io_threads: str) -> None:
    arguments = ("--proxy-protocol", "--graceful-timeout", "20", "--io-threads", io_threads)
    with run_server(APP, engine, *arguments) as server, ExitStack() as connections:
        wires = [connections.enter_context(server.connect()) for _ in range(6)]
        for wire in wires:
            wire.send(v1()[:10])
        server.signal()
        until_refused(server.connect)
        for wire in wires:
            wire.send(v1()[10:] + GET)
            response = wire.response()
            assert response.body == b"hello"
            assert response.closes
            wire.expect_closed()
        connections.close()  # which the server waits for
        assert server.wait() == 0


def test_a_stop_waits_for_no_header_for_long(engine: str) -> None:
    arguments = ("--proxy-protocol", "--graceful-timeout", "20")
    with run_server(APP, engine, *arguments) as server, ExitStack() as connections:
        silent, slow = (connections.enter_context(server.connect()) for _ in range(2))
        slow.send(v1()[:10])
        started = time.monotonic()
        server.signal()
        silent.expect_closed()
        slow.expect_closed()
        assert server.wait() == 0
        assert time.monotonic() - started < 5


def test_closing_at_once_closes_those_that_wait(serve: ServeFixture) -> None:
    site = serve(Echo(), proxy_protocol=True, graceful_timeout=0)
    with site.connect() as wire:
        wire.send(v1()[:10])
        wait_for_open(site, 1)
        site.server.stop()
        wire.expect_closed()


def test_many_at_once(serve: ServeFixture) -> None:
    site = serve(Echo(), proxy_protocol=True, io_threads=2)
    with ExitStack() as connections:
        wires = [connections.enter_context(site.connect()) for _ in range(100)]
        for wire in wires:
            wire.send(v2()[:14])
        for number, wire in enumerate(wires):
            header = v2(port=1000 + number)
            wire.send(header[14:] + GET)
        for number, wire in enumerate(wires):
            assert environ_of(wire.response())["REMOTE_PORT"] == str(1000 + number)
