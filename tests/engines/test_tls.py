"""HTTPS: certificates that are asked for and refused, what an application hears of it, and what
becomes of clients that do not speak it as they should.

What HTTP does over TLS is what it does without: `pytest --tls` runs the other tests so.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from prowingen_wsgi import Config, ConfigError, Server

from harness.apps import Echo, Gate, hello
from harness.certificates import (
    Files,
    ReturningClient,
    authority,
    client_context,
    server_files,
    write,
)
from harness.process import run_server
from harness.proxyhead import environ_of, v1
from harness.wire import Wire, until_refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = os.urandom(3_000_000)


@pytest.fixture
def options() -> dict[str, object]:
    return dict(vars(server_files()))


@pytest.fixture
def site(serve: ServeFixture, options: dict[str, object]) -> Site:
    return serve(Echo(), **options)


def hash_of_body(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    seen = hashlib.sha256()
    while piece := environ["wsgi.input"].read(65536):
        seen.update(piece)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [seen.hexdigest().encode()]


def big(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", str(len(BODY)))])
    return [BODY]


def test_the_application_sees_https(site: Site) -> None:
    assert site.url.startswith("https://")
    environ = environ_of(site.ask())
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["SSL_PROTOCOL"] == "TLSv1.3"
    assert environ["SSL_CIPHER"].startswith("TLS_")
    assert environ["SSL_TLS_SNI"] == "localhost"
    assert environ["SSL_CLIENT_VERIFY"] == "NONE"
    assert "SSL_CLIENT_CERT" not in environ


def test_an_application_without_tls_hears_nothing_of_it(serve: ServeFixture) -> None:
    site = serve(Echo(), certfile="", keyfile="")
    assert not [name for name in environ_of(site.ask()) if name.startswith("SSL_")]


def test_bodies_come_through_whole(serve: ServeFixture, options: dict[str, object]) -> None:
    with serve(big, **options).connect() as wire:
        assert wire.ask().body == BODY
        assert wire.ask().body == BODY
    site = serve(hash_of_body, **options)
    assert site.post(BODY).text == hashlib.sha256(BODY).hexdigest()


def test_a_file_comes_through_whole(
    serve: ServeFixture, options: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(BODY)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", str(len(BODY)))])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))
        return wrapped

    assert serve(app, **options).ask().body == BODY


def test_a_slow_reader_gets_all_of_it(serve: ServeFixture, options: dict[str, object]) -> None:
    with serve(big, **options).connect(receive_buffer=4096) as wire:
        wire.get("/", "Connection: close")
        reply = wire.reply()
        assert reply.exactly(len(BODY) // 2) + reply.rest().body[len(BODY) // 2 :]
        assert reply.head().body == BODY


def test_records_may_be_small_and_cut(site: Site) -> None:
    with site.connect() as wire:
        for byte in GET:
            wire.send(bytes([byte]))  # a record each
        assert wire.response().status == 200


def through_memory(address: Any, pieces: int) -> bytes:
    """Sends a request whose ciphertext arrives in pieces, whatever records it consists of."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(address, timeout=10) as sock:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        # The end of the handshake and the request at once, cut anywhere.
        tls.write(GET)
        sent = outgoing.read()
        size = -(-len(sent) // pieces)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(sent), size):
            sock.sendall(sent[at : at + size])
        while True:
            try:
                return tls.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(sock.recv(65536))


@pytest.mark.parametrize("pieces", [1, 2, 7, 1000])
def test_a_request_may_come_with_the_end_of_the_handshake(site: Site, pieces: int) -> None:
    assert through_memory(site.address, pieces).startswith(b"HTTP/1.1 200 OK\r\n")


def with_goodbye(address: Any, data: bytes) -> bytes:
    """Sends bytes and close_notify in one segment; what is answered until the server's own."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    answer = b""
    with socket.create_connection(address, timeout=10) as sock:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        sock.sendall(outgoing.read())
        tls.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap()
        sock.sendall(outgoing.read())
        while True:
            try:
                piece = tls.read(65536)
            except ssl.SSLWantReadError:
                if received := sock.recv(65536):
                    incoming.write(received)
                else:
                    incoming.write_eof()
            except ssl.SSLZeroReturnError:
                return answer
            else:
                if not piece:
                    return answer
                answer += piece


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (GET, b"HTTP/1.1 200 OK\r\n"),
        (GET + GET, b"HTTP/1.1 200 OK\r\n"),
        (GET[:-2], b"HTTP/1.1 400 Bad Request\r\n"),
        (GET[:5], b"HTTP/1.1 400 Bad Request\r\n"),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello",
            b"HTTP/1.1 400 Bad Request\r\n",
        ),
        (b"", b""),
    ],
    ids=["request", "requests", "head", "line", "body", "nothing"],
)
def test_an_end_that_comes_with_the_last_bytes_is_heard_at_once(
    site: Site, data: bytes, answer: bytes
) -> None:
    begun = time.monotonic()
    answered = with_goodbye(site.address, data)
    assert answered.startswith(answer)
    assert answered.count(answer) == max(1, data.count(GET)) or not answer
    assert time.monotonic() - begun < 5, "no time limit was waited for"


def test_an_end_that_comes_with_a_body_that_is_read_later_is_heard(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    """Reading pauses, as the body is more than waits for a worker."""
    body = BODY[:40_000]
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    site = serve(hash_of_body, body_buffer=1000, **options)
    answered = with_goodbye(site.address, head.encode() + body)
    assert answered.endswith(hashlib.sha256(body).hexdigest().encode())


@pytest.mark.engines("embedded")
def test_the_goodbye_waits_for_a_socket_that_is_full(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    """Python's client raises SSLEOFError for an end without close_notify."""
    sizes = [200_000 + 6_007 * step for step in range(12)]

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        size = sizes[int(environ["PATH_INFO"][1:])]
        start_response("200 OK", [("Content-Length", str(size))])
        return [BODY[:size]]

    site = serve(app, **options)
    with ExitStack() as stack:
        wires = []
        for number in range(len(sizes)):
            wire = stack.enter_context(site.connect(receive_buffer=4096))
            wire.get(f"/{number}", "Connection: close")
            wires.append(wire)
        for size, wire in zip(sizes, wires, strict=True):
            assert wire.response().body == BODY[:size]
            wire.expect_closed()


def test_the_server_says_goodbye(serve: ServeFixture, options: dict[str, object]) -> None:
    # Python's client raises SSLEOFError for an end without close_notify.
    site = serve(hello, **options)
    with site.connect() as wire:
        assert wire.ask("/", "Connection: close").status == 200
        wire.expect_closed()


def test_an_idle_connection_is_closed_with_a_goodbye(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    with serve(hello, keep_alive_timeout=0.2, **options).connect() as wire:
        assert wire.ask().status == 200
        wire.expect_closed()


def test_a_drain_answers_what_runs(serve: ServeFixture, options: dict[str, object]) -> None:
    gate = Gate()

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    site = serve(app, **options)
    with site.connect() as wire, site.connect() as silent:
        wire.get()
        gate.wait_entered()
        stopping = stop_in_background(site)
        until_refused(lambda: Wire(site.address))
        gate.opened.set()
        response = wire.response()
        assert response.body == b"ok"
        assert response.closes
        silent.expect_closed()
    stopping.join()


def stop_in_background(site: Site) -> Any:
    import threading

    thread = threading.Thread(target=site.server.stop)
    thread.start()
    return thread


# ------------------------------------------------------------------- clients that do not fit


def test_plain_http_is_told_so(site: Site) -> None:
    with Wire(site.address) as wire:
        response = wire.ask()
        assert response.status == 400
        assert "this port speaks HTTPS" in response.text
        wire.expect_closed()


def test_plain_http_without_end_is_not_read_to_its_end(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    """Neither is anybody held up by whoever sends it."""
    site = serve(hello, drain_limit=100_000, **options)
    with Wire(site.address) as wire:
        wire.send(b"POST / HTTP/1.1\r\n")
        sent = 0
        while sent < 100_000_000 and wire.send_leniently(bytes(65536)):
            sent += 65536
        assert sent < 100_000_000
    assert site.ask().status == 200


def test_plain_http_with_a_body_gets_its_answer(site: Site) -> None:
    with Wire(site.address) as wire:
        wire.send(b"POST / HTTP/1.1\r\n")
        response = wire.reply()
        assert response.head().status == 400
        wire.send(bytes(100_000))  # what it had yet to send resets nothing
        assert "this port speaks HTTPS" in response.rest().text
        wire.expect_closed()


def test_other_bytes_end_the_connection(site: Site) -> None:
    with Wire(site.address) as wire:
        wire.send(bytes(300))
        wire.read_to_end()
    assert site.ask().status == 200


def test_a_client_without_trust_is_said_in_the_log(site: Site, error_log: LogWatch) -> None:
    with pytest.raises(ssl.SSLError):
        site.connect(tls=client_context(trustme.CA()))
    error_log.wait_for("its TLS handshake failed: tlsv1 alert unknown ca")
    assert site.ask().status == 200


def test_who_only_looks_whether_the_port_is_open_is_no_cause_for_a_word(
    serve: ServeFixture, options: dict[str, object], error_log: LogWatch
) -> None:
    site = serve(hello, **options)
    for sent in (b"", b"\x16\x03\x01"):
        with Wire(site.address) as wire:
            wire.send(sent)
        with Wire(site.address) as wire:
            wire.send(sent)
            wire.reset()
    assert site.ask().status == 200
    assert "handshake" not in error_log.text


def test_a_handshake_has_its_time(serve: ServeFixture, options: dict[str, object]) -> None:
    site = serve(hello, header_timeout=0.3, **options)
    with Wire(site.address) as silent, Wire(site.address) as begun:
        begun.send(b"\x16\x03\x01\x02\x00\x01")
        silent.expect_closed()
        begun.read_to_end()
    assert site.ask().status == 200


def test_handshakes_that_hang_hold_nobody_up(site: Site) -> None:
    hanging = [Wire(site.address) for _ in range(50)]
    try:
        for wire in hanging:
            wire.send(b"\x16\x03\x01")
        begun = time.monotonic()
        assert site.ask().status == 200
        assert time.monotonic() - begun < 5
    finally:
        for wire in hanging:
            wire.close()


def test_a_stop_ends_handshakes(serve: ServeFixture, options: dict[str, object]) -> None:
    site = serve(hello, **options)
    with Wire(site.address) as wire:
        wire.send(b"\x16\x03\x01")
        begun = time.monotonic()
        site.server.stop()
        assert time.monotonic() - begun < 4
        wire.read_to_end()


def test_old_versions_are_refused(serve: ServeFixture, options: dict[str, object]) -> None:
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert environ_of(asked(serve(Echo(), **options), context))["SSL_PROTOCOL"] == "TLSv1.2"
    newest_only = serve(hello, tls_min_version="1.3", **options)
    with pytest.raises(ssl.SSLError, match="alert protocol version"):
        newest_only.connect(tls=context)


def test_ciphers_of_tls_1_2_can_be_chosen(serve: ServeFixture, options: dict[str, object]) -> None:
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    site = serve(Echo(), ciphers="ECDHE+CHACHA20", **options)
    assert "CHACHA20" in environ_of(asked(site, context))["SSL_CIPHER"]
    context.set_ciphers("ECDHE+AESGCM")
    with pytest.raises(ssl.SSLError):
        site.connect(tls=context)


def test_http_1_1_is_negotiated(serve: ServeFixture, options: dict[str, object]) -> None:
    site = serve(Echo(), http="1.1", **options)
    context = client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with site.connect(tls=context) as wire:
        assert isinstance(wire.socket, ssl.SSLSocket)
        assert wire.socket.selected_alpn_protocol() == "http/1.1"
        assert wire.ask().status == 200
    context.set_alpn_protocols(["ftp"])
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        site.connect(tls=context)


def test_http_2_can_be_negotiated(serve: ServeFixture, options: dict[str, object]) -> None:
    import httpx

    with httpx.Client(http2=True, verify=client_context(), trust_env=False) as client:
        response = client.get(serve(Echo(), http="2", **options).url)
    assert response.http_version == "HTTP/2"
    assert "SSL_PROTOCOL" in response.text


def asked(site: Site, context: ssl.SSLContext) -> Any:
    with site.connect(tls=context) as wire:
        return wire.ask("/", "Connection: close")


# ------------------------------------------------------------------- certificates of clients


@pytest.fixture
def ca_certs(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(path)
    return str(path)


def with_certificate(ca: trustme.CA, folder: Path) -> ssl.SSLContext:
    files = write(ca.issue_cert("client@example.org", common_name="Ada"), folder, "client")
    context = client_context()
    context.load_cert_chain(files.certfile, files.keyfile)
    return context


@pytest.mark.parametrize("cert_reqs", ["optional", "required"])
def test_a_clients_certificate_is_shown(
    serve: ServeFixture, options: dict[str, object], ca_certs: str, tmp_path: Path, cert_reqs: str
) -> None:
    site = serve(Echo(), ca_certs=ca_certs, cert_reqs=cert_reqs, **options)
    environ = environ_of(asked(site, with_certificate(authority(), tmp_path)))
    assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert environ["SSL_CLIENT_CERT"].startswith("-----BEGIN CERTIFICATE-----")
    assert "CN=Ada" in environ["SSL_CLIENT_S_DN"]
    assert "trustme" in environ["SSL_CLIENT_I_DN"]


def test_without_one_an_optional_is_none_and_a_required_refused(
    serve: ServeFixture, options: dict[str, object], ca_certs: str, error_log: LogWatch
) -> None:
    optional = serve(Echo(), ca_certs=ca_certs, cert_reqs="optional", **options)
    assert environ_of(optional.ask())["SSL_CLIENT_VERIFY"] == "NONE"
    required = serve(Echo(), ca_certs=ca_certs, cert_reqs="required", **options)
    with pytest.raises((ssl.SSLError, ConnectionError)):  # the alert, or what follows
        required.ask()
    error_log.wait_for("its TLS handshake failed: peer did not return a certificate")


@pytest.mark.parametrize("cert_reqs", ["optional", "required"])
def test_a_certificate_of_a_stranger_is_refused(
    serve: ServeFixture, options: dict[str, object], ca_certs: str, tmp_path: Path, cert_reqs: str
) -> None:
    site = serve(Echo(), ca_certs=ca_certs, cert_reqs=cert_reqs, **options)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        asked(site, with_certificate(trustme.CA(), tmp_path))


def test_a_session_is_resumed(site: Site) -> None:
    with ReturningClient(site.address) as client:
        assert client.ask().status == 200
        assert not client.resumed
        assert client.ask().status == 200
        assert client.resumed


def test_a_resumed_session_has_the_name_that_was_asked_for(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    site = serve(Echo(), **options)
    with ReturningClient(site.address) as client:
        for resumed in (False, True, True):
            assert environ_of(client.ask())["SSL_TLS_SNI"] == "localhost"
            assert client.resumed == resumed


def test_without_a_name_there_is_none(site: Site) -> None:
    context = client_context()
    context.check_hostname = False
    with Wire(site.address) as wire:
        wire.socket = context.wrap_socket(wire.socket)
        assert "SSL_TLS_SNI" not in environ_of(wire.ask())


def test_a_session_is_resumed_by_every_worker(engine: str) -> None:
    files = server_files()
    arguments = ["--workers", "2", "--certfile", files.certfile, "--keyfile", files.keyfile]
    with (
        run_server("apps.workers:app", engine, *arguments) as server,
        ReturningClient(server.address) as client,
    ):
        assert client.resumed_by_all(2, lambda: client.ask().body)


# ------------------------------------------------------------------- together with other options


def test_a_proxy_header_comes_before_the_handshake(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    site = serve(Echo(), proxy_protocol=True, **options)
    with Wire(site.address) as wire:
        wire.send(v1())
        wire.socket = client_context().wrap_socket(wire.socket, server_hostname="localhost")
        environ = environ_of(wire.ask())
    assert environ["REMOTE_ADDR"] == "192.0.2.1"
    assert environ["wsgi.url_scheme"] == "https"


def test_a_unix_socket_speaks_tls_too(
    serve: ServeFixture, options: dict[str, object], tmp_path: Path
) -> None:
    site = serve(Echo(), bind=f"unix:{tmp_path}/socket", **options)
    environ = environ_of(asked(site, client_context()))
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["SERVER_PORT"] == "443"


def test_workers_serve_it_and_a_reload_takes_the_new_certificate(
    engine: str, tmp_path: Path
) -> None:
    first = write(authority().issue_cert("localhost"), tmp_path, "served")
    arguments = ["--certfile", first.certfile, "--keyfile", first.keyfile, "--workers", "2"]
    with run_server("apps.plain:app", engine, *arguments) as server:
        assert server.url.startswith("https://")
        before = certificate_of(server.address)
        Path(first.keyfile).write_text("no key")
        server.signal(signal.SIGHUP)
        server.wait_for_line("there is no private key")
        assert certificate_of(server.address) == before
        write(authority().issue_cert("localhost"), tmp_path, "served")
        server.signal(signal.SIGHUP)
        server.wait_for_line("(?s)there is no private key.*reloading.*has ended.*has ended")
        assert certificate_of(server.address) != before


def certificate_of(address: Any) -> bytes:
    with (
        socket.create_connection(address, timeout=10) as sock,
        client_context().wrap_socket(sock, server_hostname="localhost") as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""


# ------------------------------------------------------------------- options that are wrong


def refused(**options: object) -> str:
    with pytest.raises(ConfigError) as info:
        Server(hello, Config.embedded({"bind": "127.0.0.1:0", **options}))
    return str(info.value)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return write(authority().issue_cert("localhost"), tmp_path, "own")


def test_files_that_are_missing_or_wrong_are_named(files: Files, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    text = tmp_path / "text.pem"
    text.write_text("text")
    missing = "No such file or directory"
    assert refused(certfile=str(nothing)) == f'certfile: "{nothing}": {missing}'
    assert refused(certfile=str(text)) == f'certfile: "{text}": there is no certificate (PEM) in it'
    assert refused(certfile=files.certfile) == (
        f'certfile: "{files.certfile}": there is no private key (PEM) in it: name its file in '
        "keyfile"
    )
    both = {"certfile": files.certfile}
    assert refused(**both, keyfile=str(nothing)) == f'keyfile: "{nothing}": {missing}'
    assert refused(**both, keyfile=str(text)) == (
        f'keyfile: "{text}": there is no private key (PEM) in it'
    )
    for key_type in trustme.KeyType:  # the certificate's is one of them
        leaf = authority().issue_cert("localhost", key_type=key_type)
        other = write(leaf, tmp_path, "other")
        assert refused(**both, keyfile=other.keyfile) == (
            f'keyfile: "{other.keyfile}": it is not the key of the certificate in certfile'
        )


def test_options_without_their_company_are_refused(files: Files) -> None:
    assert refused(keyfile=files.keyfile) == "keyfile: it needs certfile"
    assert refused(cert_reqs="required") == "cert_reqs: it needs certfile"
    both: dict[str, object] = {"certfile": files.certfile, "keyfile": files.keyfile}
    assert refused(**both, cert_reqs="optional") == (
        'cert_reqs: "optional": it needs ca_certs, whose certificates are trusted'
    )
    assert refused(**both, ciphers="NONSENSE") == (
        'ciphers: "NONSENSE": OpenSSL knows no cipher suite of TLS 1.2 in it'
    )


def test_a_key_may_be_encrypted(serve: ServeFixture, files: Files, tmp_path: Path) -> None:
    encrypted = tmp_path / "encrypted.key"
    command = ["openssl", "pkey", "-aes256", "-passout"]
    paths = ["-in", files.keyfile, "-out", str(encrypted)]
    subprocess.run([*command, "pass:open sesame", *paths], check=True)
    both: dict[str, object] = {"certfile": files.certfile, "keyfile": str(encrypted)}
    assert refused(**both) == (
        f'keyfile: "{encrypted}": the key is encrypted: give its password in keyfile_password'
    )
    assert refused(**both, keyfile_password="no") == (
        f'keyfile: "{encrypted}": keyfile_password does not open it'
    )
    assert serve(hello, **both, keyfile_password="open sesame").ask().status == 200


def test_certificate_and_key_may_be_in_one_file(serve: ServeFixture, tmp_path: Path) -> None:
    leaf = authority().issue_cert("localhost")
    both = tmp_path / "both.pem"
    leaf.private_key_and_cert_chain_pem.write_to_path(both)
    assert serve(hello, certfile=str(both), keyfile="").ask().status == 200


def test_the_check_shows_no_password_and_reads_the_files(files: Files) -> None:
    command = [sys.executable, "-m", "prowingen_wsgi", "apps.plain:app", "--check"]
    command += ["--certfile", files.certfile, "--keyfile", files.keyfile]
    command += ["--keyfile-password", "open sesame"]
    told = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert told.returncode == 0, told.stderr
    assert "***" in told.stdout
    assert "sesame" not in told.stdout
    Path(files.keyfile).write_text("")
    told = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert told.returncode != 0
    assert "there is no private key (PEM) in it" in told.stderr
