"""HTTP/3 (RFC 9114): the same exchanges, limits and endings over QUIC."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import prowingen_wsgi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness.apps import PLAIN, Closable, Echo, Gate, Routes, answering, hello
from harness.browser import open_page
from harness.certificates import authority, server_files, write
from harness.h2wire import H2Wire
from harness.h3client import Fields, H3Client, begin_and_vanish, h3_client, relay
from harness.h3serve import HTTP3_ONLY, on_connection, serve3
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.apps import Environ, StartResponse
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

__all__ = ["serve3"]
pytestmark = HTTP3_ONLY

NO_ERROR = 0x100
MESSAGE_ERROR = 0x10E
REQUEST: Fields = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"localhost"),
    (b":path", b"/"),
]


def hashing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    seen = hashlib.sha256()
    while piece := environ["wsgi.input"].read(65536):
        seen.update(piece)
    start_response("200 OK", PLAIN)
    return [seen.hexdigest().encode()]


def test_a_request_tells_the_truth(serve3: ServeFixture) -> None:
    site = serve3(Echo())

    async def use(client: H3Client) -> Any:
        return await client.ask("/a%20b?c=d", ("cookie", "a=1"), ("cookie", "b=2"), body=b"body")

    answer = on_connection(site, use)
    assert answer.status == 200
    seen = json.loads(answer.body)
    environ = seen["environ"]
    assert seen["body"] == "body"
    assert (environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"]) == (
        "GET",
        "/a b",
        "c=d",
    )
    assert (environ["SERVER_PROTOCOL"], environ["wsgi.url_scheme"]) == ("HTTP/3.0", "https")
    assert (environ["HTTP_HOST"], environ["SERVER_PORT"]) == ("localhost", str(site.port))
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert (environ["SSL_PROTOCOL"], environ["SSL_TLS_SNI"]) == ("TLSv1.3", "localhost")
    assert environ["SSL_CIPHER"].startswith("TLS_")
    assert environ["CONTENT_LENGTH"] == "4"


def test_a_head_has_no_body(serve3: ServeFixture) -> None:
    async def use(client: H3Client) -> Any:
        return await client.ask(method="HEAD")

    # With a length: this client takes a HEAD's answer for one that breaks off.
    answer = on_connection(serve3(lambda *call: answering(iter([b"hello"]))(*call)), use)
    assert (answer.status, answer.get("content-length"), answer.body) == (200, None, b"")


def test_other_versions_tell_where_it_is(serve3: ServeFixture) -> None:
    site = serve3(hello)
    with H2Wire(site) as two:
        second = two.ask("/").get("alt-svc")
    assert site.ask().get("alt-svc") == f'h3=":{site.port}"; ma=86400'
    assert second == f'h3=":{site.port}"; ma=86400'

    async def use(client: H3Client) -> Any:
        return await client.ask()

    answer = on_connection(site, use)
    assert sorted(answer.heads[0]) == [
        ":status",
        "content-length",
        "content-type",
        "date",
        "server",
    ]


def test_what_they_tell_can_be_chosen(serve3: ServeFixture) -> None:
    site = serve3(hello, alt_svc='h3=":443"; ma=60')
    assert site.ask().get("alt-svc") == 'h3=":443"; ma=60'


def test_a_thousand_requests_on_one_connection(serve3: ServeFixture) -> None:
    async def use(client: H3Client) -> Any:
        statuses = []
        for _ in range(20):
            answers = await asyncio.gather(*(client.ask(body=b"x") for _ in range(50)))
            statuses += [answer.status for answer in answers]
        return statuses

    site = serve3(hello, threads=4)
    assert on_connection(site, use) == [200] * 1000
    assert site.server.stats()["connections_accepted"] == 1


def test_streams_run_side_by_side(serve3: ServeFixture) -> None:
    together = threading.Barrier(3, timeout=10)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        together.wait()
        return hello(environ, start_response)

    async def use(client: H3Client) -> Any:
        return [answer.status for answer in await asyncio.gather(*(client.ask() for _ in range(3)))]

    assert on_connection(serve3(app, threads=3), use) == [200] * 3


def test_much_goes_both_ways(serve3: ServeFixture) -> None:
    body = os.urandom(3_000_000)
    site = serve3(Routes(hash=hashing, big=answering([body[:1_000_000], body[1_000_000:]])))

    async def use(client: H3Client) -> Any:
        return await asyncio.gather(
            client.ask("/hash", method="PUT", body=body), client.ask("/big")
        )

    up, down = on_connection(site, use, window=1 << 18)
    assert up.body.decode() == hashlib.sha256(body).hexdigest()
    assert bytes(down.body) == body


def test_lost_datagrams_are_sent_again(serve3: ServeFixture) -> None:
    body = os.urandom(1_000_000)
    site = serve3(Routes(hash=hashing, big=answering([body])))

    async def use(client: H3Client) -> Any:
        return await asyncio.gather(
            client.ask("/hash", method="PUT", body=body), client.ask("/big")
        )

    with relay(site, loss=0.02) as between:
        up, down = on_connection(site, use, port=between.port)
        assert between.lost > 0
    assert up.body.decode() == hashlib.sha256(body).hexdigest()
    assert bytes(down.body) == body


def test_a_client_may_move_to_another_port(serve3: ServeFixture) -> None:
    site = serve3(hello)
    with relay(site) as between:

        async def use(client: H3Client) -> Any:
            first = await client.ask()
            between.move()
            more = [await client.ask() for _ in range(5)]
            return [answer.status for answer in (first, *more)]

        assert on_connection(site, use, port=between.port) == [200] * 6
    assert site.server.stats()["connections_accepted"] == 1


@pytest.mark.parametrize(
    ("bind", "address"),
    [("0.0.0.0:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "::1")],
)
def test_an_answer_leaves_by_the_address_that_was_asked(
    serve3: ServeFixture, bind: str, address: str
) -> None:
    """Of all that the machine has; else clients drop it."""
    echo = Echo()
    site = serve3(echo, bind=bind)
    with relay(site, host=address) as between:

        async def use(client: H3Client) -> Any:
            answers = [await client.ask()]
            between.move()
            answers.append(await client.ask())
            return [answer.status for answer in answers]

        assert on_connection(site, use, port=between.port) == [200] * 2
    assert {environ["SERVER_NAME"] for environ in echo.environs} == {address}


@pytest.mark.parametrize(
    "head",
    [
        [field for field in REQUEST if field[0] != b":method"],
        [field for field in REQUEST if field[0] != b":path"],
        [field for field in REQUEST if field[0] != b":scheme"],
        [*REQUEST, (b":path", b"/again")],
        [*REQUEST, (b":unknown", b"x")],
        [*REQUEST[:3], (b"a", b"b"), REQUEST[3]],
        [*REQUEST, (b"connection", b"close")],
        [*REQUEST, (b"transfer-encoding", b"chunked")],
        [*REQUEST, (b"te", b"gzip")],
        [*REQUEST[:3], (b":path", b"")],
        [*REQUEST, (b"a", b"line\nbreak")],
        [*REQUEST, (b"content-length", b"5")],
        [*REQUEST, (b"content-length", b"x")],
        [(b":method", b"G T"), *REQUEST[1:]],
    ],
)
def test_a_malformed_request_is_not_served(serve3: ServeFixture, head: Fields) -> None:
    """It is answered 400, or its stream is reset (RFC 9114 section 4.1.2)."""
    echo = Echo()

    async def use(client: H3Client) -> Any:
        malformed = await client.answer(client.send_head(head))
        return malformed, await client.ask("/next")

    malformed, following = on_connection(serve3(echo), use)
    assert malformed.reset is not None or malformed.status == 400
    assert following.status == 200
    assert [environ["PATH_INFO"] for environ in echo.environs] == ["/next"]


@pytest.mark.parametrize(
    ("options", "fields", "body", "status"),
    [
        ({"max_body": 1000}, (), b"x" * 1001, 413),
        ({"max_body": 1000}, (("content-length", "1001"),), b"", 413),
        ({"max_header_fields": 10}, tuple((f"x{i}", "y") for i in range(11)), b"", 431),
        ({"max_field_line": 100}, (("x", "y" * 200),), b"", 431),
    ],
)
def test_limits_hold(
    serve3: ServeFixture,
    options: dict[str, Any],
    fields: tuple[tuple[str, str], ...],
    body: bytes,
    status: int,
) -> None:
    async def use(client: H3Client) -> Any:
        stream = client.request("/", *fields, method="POST", end=False)
        client.send(stream, body)
        return await client.begun(stream)

    assert on_connection(serve3(hello, **options), use).status == status


def test_no_more_connections_are_taken_than_there_is_room_for(serve3: ServeFixture) -> None:
    site = serve3(hello, max_connections=2)

    async def use(client: H3Client) -> Any:
        async with h3_client(site) as second:
            answers = [await client.ask(), await second.ask()]
            with pytest.raises(ConnectionError):
                async with h3_client(site):
                    pass
        while site.server.stats()["connections_open"] > 1:
            await asyncio.sleep(0.01)
        async with h3_client(site) as third:
            return [*answers, await third.ask()]

    assert [answer.status for answer in on_connection(site, use)] == [200] * 3


def test_clients_get_in_while_others_begin_and_vanish(serve3: ServeFixture) -> None:
    site = serve3(hello)
    begin_and_vanish(site, times=150)

    async def use(client: H3Client) -> Any:
        return await client.ask()

    assert on_connection(site, use).status == 200


def test_an_answer_that_breaks_off_is_a_reset(serve3: ServeFixture, error_log: LogWatch) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        yield b"begun"
        raise RuntimeError("broken")

    async def use(client: H3Client) -> Any:
        return await client.ask()

    answer = on_connection(serve3(app), use)
    assert answer.reset is not None
    assert eventually(lambda: "broken" in error_log.text)


def test_a_client_that_leaves_ends_its_request(serve3: ServeFixture) -> None:
    def endless() -> Iterable[bytes]:
        while True:
            yield b"x" * 1000

    stream_reset, gone = Closable(endless()), Closable(endless())
    site = serve3(
        Routes(
            reset=lambda *call: answering(stream_reset)(*call),
            gone=lambda *call: answering(gone)(*call),
        )
    )

    async def use(client: H3Client) -> None:
        reset, going = client.request("/reset"), client.request("/gone")
        await asyncio.gather(client.begun(reset), client.begun(going))
        client.reset(reset)
        await asyncio.to_thread(stream_reset.expect_closed_once)

    on_connection(site, use)
    gone.expect_closed_once()


def test_a_client_that_takes_nothing_holds_back_the_application(serve3: ServeFixture) -> None:
    produced = [0]

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        for _ in range(1000):
            produced[0] += 1
            yield bytes(64 * 1024)

    async def use(client: H3Client) -> bool:
        client.keep_window_shut()
        await client.begun(client.request())
        before = -1
        while before != produced[0]:
            before = produced[0]
            await asyncio.sleep(0.2)
        return produced[0] < 200

    assert on_connection(serve3(app), use, window=1 << 17)


def test_a_drain_answers_what_was_asked(serve3: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return hello(environ, start_response)

    site = serve3(app)

    async def use(client: H3Client) -> Any:
        stream = client.request()
        await asyncio.to_thread(gate.wait_entered)
        stopping = asyncio.create_task(asyncio.to_thread(site.server.stop, 5))
        await asyncio.sleep(0.1)
        gate.opened.set()
        answer = await client.answer(stream)
        code = await asyncio.wait_for(client.terminated, 10)
        await stopping
        return answer, code

    answer, code = on_connection(site, use)
    assert (answer.status, answer.body) == (200, b"hello")
    assert code in (0, NO_ERROR)


def test_an_idle_connection_is_closed_in_time_and_a_slow_answer_is_not(
    serve3: ServeFixture,
) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return hello(environ, start_response)

    async def use(client: H3Client) -> Any:
        stream = client.request()
        await asyncio.sleep(0.6)
        gate.opened.set()
        answer = await client.answer(stream)
        return answer.status, await asyncio.wait_for(client.terminated, 5)

    status, code = on_connection(serve3(app, keep_alive_timeout=0.3), use)
    assert status == 200
    assert code in (0, NO_ERROR)


def test_a_program_that_the_application_runs_gets_no_socket(serve3: ServeFixture) -> None:
    list_sockets = (
        "import os; print(sum(os.readlink(f'/proc/self/fd/{fd}').startswith('socket')"
        " for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}')))"
    )

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        output = subprocess.check_output([sys.executable, "-c", list_sockets], close_fds=False)
        start_response("200 OK", PLAIN)
        return [output]

    async def use(client: H3Client) -> Any:
        return await client.ask()

    assert on_connection(serve3(app), use).body == b"0\n"


def test_a_browser_speaks_it(serve3: ServeFixture) -> None:
    site = serve3(answering([b"<title>served</title>"], headers=[("Content-Type", "text/html")]))
    certificate = x509.load_pem_x509_certificate(Path(server_files().certfile).read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
    with open_page(
        f"--origin-to-force-quic-on=127.0.0.1:{site.port}",
        f"--ignore-certificate-errors-spki-list={pin}",
    ) as page:
        page.goto(f"https://127.0.0.1:{site.port}/")
        assert page.title() == "served"
        script = "performance.getEntriesByType('navigation')[0].nextHopProtocol"
        assert page.evaluate(script) == "h3"


async def serial_of(client: H3Client) -> int:
    certificate = client._quic.tls._peer_certificate
    assert certificate is not None
    return certificate.serial_number


def test_certificates_are_chosen_by_name_and_renewed(serve3: ServeFixture, tmp_path: Path) -> None:
    first = write(authority().issue_cert("localhost"), tmp_path, "first")
    second = write(authority().issue_cert("other.example"), tmp_path, "second")
    site = serve3(
        hello, certfile=[first.certfile, second.certfile], keyfile=[first.keyfile, second.keyfile]
    )
    serials = [on_connection(site, serial_of, name=name) for name in ("localhost", "other.example")]
    assert serials[0] != serials[1]
    write(authority().issue_cert("other.example"), tmp_path, "second")
    site.server.renew_certificates()
    renewed = [on_connection(site, serial_of, name=name) for name in ("localhost", "other.example")]
    assert renewed[0] == serials[0]
    assert renewed[1] != serials[1]


def test_it_needs_a_certificate(engine: str) -> None:
    with pytest.raises(prowingen_wsgi.ConfigError, match=r"^http3: it needs certfile"):
        prowingen_wsgi.serve(hello, engine=engine, bind="127.0.0.1:0", http3=True)


@pytest.mark.engines("embedded")
def test_an_engine_without_it_says_so(serve: ServeFixture) -> None:
    with pytest.raises(
        prowingen_wsgi.ConfigError, match=r"^http3: the embedded engine .* no HTTP/3"
    ):
        serve(hello, http3=True, **vars(server_files()))
