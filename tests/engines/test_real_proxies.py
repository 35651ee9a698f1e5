"""Behind HAProxy and nginx as Debian has them, set up as docs/behind_a_proxy.md says."""

from __future__ import annotations

import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.apps import Echo
from harness.proxies import (
    CLIENT,
    ask_from_outside,
    program,
    run_haproxy,
    run_nginx,
    run_nginx_stream,
    upstream,
)
from harness.proxyhead import environ_of
from harness.waiting import eventually
from harness.wire import Wire

if TYPE_CHECKING:
    from pathlib import Path

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

pytestmark = [
    pytest.mark.no_tls("the proxies speak HTTP to it"),
    pytest.mark.no_http2("the proxies speak HTTP/1.1 to it"),
]

SPOOF = (
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-Proto: ftp",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Port: 666",
    "X-Forwarded-Prefix: /evil",
    'Forwarded: for="6.6.6.6',
)

HAPROXY_FIELDS = (
    "option forwardfor",
    "http-request set-header X-Forwarded-Proto https",
    "http-request set-header X-Forwarded-Host %[req.hdr(host)]",
)
NGINX_FIELDS = (
    "proxy_set_header Host $http_host",
    "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for",
    "proxy_set_header X-Forwarded-Proto https",
    "proxy_set_header X-Forwarded-Host $http_host",
    "proxy_set_header X-Forwarded-Port 8443",
    "proxy_set_header X-Forwarded-Prefix /app",
)
ALL = "for,proto,host,port,prefix"


def wait_for_request(app: Echo, path: str) -> dict[str, str]:
    def asked() -> list[dict[str, str]]:
        return [environ for environ in list(app.environs) if environ["PATH_INFO"] == path]

    assert eventually(asked), f"nobody asked for {path}"
    return asked()[0]


# ---- HAProxy


@pytest.mark.parametrize(
    "protocol",
    ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority"],
    ids=["v1", "v2", "v2 with TLVs"],
)
@pytest.mark.parametrize("mode", ["http", "tcp"])
def test_haproxy_sends_proxy_headers(
    serve: ServeFixture, tmp_path: Path, error_log: LogWatch, protocol: str, mode: str
) -> None:
    app = Echo()
    site = serve(app, proxy_protocol=True)
    server = f"{upstream(site.address)} {protocol} check inter 50ms"
    with run_haproxy(
        tmp_path, server, "option httpchk GET /health HTTP/1.1\\r\\nHost:\\ check", mode=mode
    ) as port:
        for _ in range(3):
            with Wire(("127.0.0.1", port), source=CLIENT) as wire:
                own = str(wire.socket.getsockname()[1])
                for _ in range(2):
                    environ = environ_of(wire.ask("/", *SPOOF))
                    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == (CLIENT, own)
                    assert environ["SERVER_PORT"] == str(port)
        assert wait_for_request(app, "/health")["REMOTE_ADDR"] == "127.0.0.1"
        assert environ_of(ask_from_outside(port))["REMOTE_ADDR"] == CLIENT
    assert "WARNING" not in error_log.text


@pytest.mark.parametrize("protocol", ["send-proxy", "send-proxy-v2"])
def test_haproxy_may_just_see_whether_the_port_is_open(
    serve: ServeFixture, tmp_path: Path, error_log: LogWatch, protocol: str
) -> None:
    site = serve(Echo(), proxy_protocol=True)
    server = f"{upstream(site.address)} {protocol} check inter 20ms fall 1"
    with run_haproxy(tmp_path, server) as port:
        accepted = site.server.stats()["connections_accepted"]
        assert eventually(lambda: site.server.stats()["connections_accepted"] >= accepted + 10)
        assert environ_of(ask_from_outside(port))["REMOTE_ADDR"] == CLIENT
    assert "WARNING" not in error_log.text


def test_haproxy_tells_that_its_client_speaks_tls(serve: ServeFixture, tmp_path: Path) -> None:
    certificate, key = tmp_path / "front.pem", tmp_path / "key.pem"
    request = [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(request + names, check=True, stderr=subprocess.DEVNULL)
    certificate.write_text(certificate.read_text() + key.read_text())
    site = serve(Echo(), proxy_protocol=True)
    server = f"{upstream(site.address)} send-proxy-v2-ssl-cn"
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with run_haproxy(tmp_path, server, bind=f"ssl crt {certificate}", mode="tcp") as port:
        wire = Wire(("127.0.0.1", port), source=CLIENT)
        wire.socket = context.wrap_socket(wire.socket)
        with wire:
            environ = environ_of(wire.ask())
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == (CLIENT, "https")


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_haproxy_adds_fields(serve: ServeFixture, tmp_path: Path, unix: bool) -> None:
    where = f"unix:{tmp_path}/app.sock" if unix else "127.0.0.1:0"
    trusted = "unix" if unix else "127.0.0.1"
    options = {"forwarded_allow_ips": trusted, "forwarded_fields": "for,proto,host"}
    site = serve(Echo(), bind=where, **options)
    server = upstream(site.address).replace("unix:", "unix@")
    with run_haproxy(tmp_path, server, *HAPROXY_FIELDS) as port:
        environ = environ_of(ask_from_outside(port, "/", *SPOOF))
    assert environ["REMOTE_ADDR"] == CLIENT
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "test"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("test", "443")
    assert environ["SCRIPT_NAME"] == ""


def test_haproxy_writes_forwarded(serve: ServeFixture, tmp_path: Path) -> None:
    site = serve(
        Echo(),
        forwarded_allow_ips="127.0.0.1",
        forwarded_header="forwarded",
        forwarded_fields="for,proto,host",
    )
    add = (
        'http-request add-header Forwarded "for=\\"%[src]:%[src_port]\\";proto=https;'
        'host=\\"%[req.hdr(host)]\\""'
    )
    with run_haproxy(tmp_path, upstream(site.address), add) as port:
        environ = environ_of(ask_from_outside(port, "/", *SPOOF))
    assert environ["REMOTE_ADDR"] == CLIENT
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "test"


# ---- nginx


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_nginx_adds_fields(serve: ServeFixture, tmp_path: Path, unix: bool) -> None:
    where = f"unix:{tmp_path}/app.sock" if unix else "127.0.0.1:0"
    trusted = "unix" if unix else "127.0.0.1"
    site = serve(Echo(), bind=where, forwarded_allow_ips=trusted, forwarded_fields=ALL)
    with run_nginx(tmp_path, upstream(site.address), *NGINX_FIELDS) as port:
        for _ in range(3):  # nginx keeps its connection for other clients
            environ = environ_of(ask_from_outside(port, "/app/x?q", *SPOOF))
            assert environ["REMOTE_ADDR"] == CLIENT
            assert environ["wsgi.url_scheme"] == "https"
            assert environ["HTTP_HOST"] == "test"
            assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("test", "8443")
            assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/app", "/x")
        with Wire(("127.0.0.1", port)) as wire:
            assert environ_of(wire.ask())["REMOTE_ADDR"] == "127.0.0.1"


def test_nginx_sends_proxy_headers(serve: ServeFixture, tmp_path: Path) -> None:
    site = serve(Echo(), proxy_protocol=True)
    with run_nginx_stream(tmp_path, upstream(site.address), "proxy_protocol on") as port:
        for _ in range(3):
            environ = environ_of(ask_from_outside(port, "/", *SPOOF))
            assert environ["REMOTE_ADDR"] == CLIENT
            assert environ["SERVER_PORT"] == str(port)


def test_nginx_sends_proxy_headers_over_a_unix_socket(serve: ServeFixture, tmp_path: Path) -> None:
    site = serve(Echo(), proxy_protocol=True, bind=f"unix:{tmp_path}/app.sock")
    with run_nginx_stream(tmp_path, upstream(site.address), "proxy_protocol on") as port:
        assert environ_of(ask_from_outside(port))["REMOTE_ADDR"] == CLIENT


# ---- both, one behind the other


def test_haproxy_in_front_of_nginx(serve: ServeFixture, tmp_path: Path) -> None:
    site = serve(Echo(), forwarded_allow_ips="127.0.0.1")
    adds = (
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for",
        "proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto",
    )
    with (
        run_nginx(tmp_path, upstream(site.address), *adds) as inner,
        run_haproxy(tmp_path, f"127.0.0.1:{inner}", *HAPROXY_FIELDS) as outer,
    ):
        environ = environ_of(ask_from_outside(outer, "/", *SPOOF))
    assert environ["HTTP_X_FORWARDED_FOR"] == f"6.6.6.6, {CLIENT}, 127.0.0.1"
    assert environ["REMOTE_ADDR"] == CLIENT
    assert environ["wsgi.url_scheme"] == "https"


def test_a_balancer_of_connections_in_front_of_nginx(serve: ServeFixture, tmp_path: Path) -> None:
    """HAProxy sends PROXY headers to this server for a client that is nginx."""
    site = serve(Echo(), proxy_protocol=True, forwarded_allow_ips="127.0.0.1")
    server = f"{upstream(site.address)} send-proxy-v2"
    with (
        run_haproxy(tmp_path, server, mode="tcp") as inner,
        run_nginx(tmp_path, f"127.0.0.1:{inner}", *NGINX_FIELDS) as outer,
    ):
        environ = environ_of(ask_from_outside(outer, "/", *SPOOF))
        assert environ["REMOTE_ADDR"] == CLIENT
        assert environ["wsgi.url_scheme"] == "https"
        # A client that goes round nginx speaks for itself alone.
        environ = environ_of(ask_from_outside(inner, "/", *SPOOF, "X-Forwarded-Proto: https"))
        assert environ["REMOTE_ADDR"] == CLIENT
        assert environ["wsgi.url_scheme"] == "http"
