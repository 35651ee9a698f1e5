"""Certificates, and proxies that are believed, by gunicorn's own settings."""

from __future__ import annotations

import json
import os
import signal
import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from harness.certificates import ReturningClient, authority, client_context, server_files, write
from harness.proxyhead import v1, v2
from harness.site import address_of
from harness.waiting import eventually
from harness.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.arbiter import Arbiter

    Start = Callable[..., Arbiter]

TLS = ["--certfile", server_files().certfile, "--keyfile", server_files().keyfile]
SECURE = "X-Forwarded-Proto: https"


def look(arbiter: Arbiter, *fields: str, ahead: bytes = b"", **options: Any) -> dict[str, Any]:
    """What the application sees of a request with these fields, behind other bytes."""
    with Wire(address_of(arbiter.addresses()[0]), **options) as wire:
        wire.send(ahead)
        seen: dict[str, Any] = json.loads(wire.ask("/", *fields).body)
        return seen


def test_https_by_gunicorns_settings(start: Start) -> None:
    arbiter = start(*TLS, "-w", "2")
    arbiter.wait_for(r"the certificate of localhost \(EC\) is valid until")
    assert look(arbiter, tls=client_context())["wsgi.url_scheme"] == "https"
    arbiter.send(signal.SIGHUP)
    arbiter.booted(4)
    assert look(arbiter, tls=client_context())["wsgi.url_scheme"] == "https"
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait() == 0


def test_a_session_is_resumed_by_every_worker(start: Start) -> None:
    arbiter = start(*TLS, "-w", "2")
    with ReturningClient(address_of(arbiter.addresses()[0])) as client:
        assert client.resumed_by_all(2, lambda: json.loads(client.ask().body)["pid"])


def test_a_clients_certificate_is_required(start: Start, tmp_path: Path) -> None:
    ca_certs = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(ca_certs)
    arbiter = start(*TLS, "--ca-certs", str(ca_certs), "--cert-reqs", "2")
    with pytest.raises((ssl.SSLError, ConnectionError)):  # the alert, or what follows
        look(arbiter, tls=client_context())
    arbiter.wait_for("its TLS handshake failed: peer did not return a certificate")
    context = client_context()
    client = write(authority().issue_cert("ada@example.org"), tmp_path, "client")
    context.load_cert_chain(client.certfile, client.keyfile)
    assert look(arbiter, tls=context)["wsgi.url_scheme"] == "https"


def test_a_certificate_that_cannot_be_used_stops_gunicorn(start: Start, tmp_path: Path) -> None:
    other = write(trustme.CA().issue_cert("localhost"), tmp_path, "other")
    arbiter = start(*TLS, "--keyfile", other.keyfile)
    assert arbiter.wait() == 3
    assert "it is not the key of the certificate in certfile" in arbiter.output


def test_a_worker_that_finds_a_bad_certificate_is_followed_by_one_that_finds_it_mended(
    start: Start, tmp_path: Path
) -> None:
    """It may be in the middle of being renewed when a worker is replaced."""
    files = write(authority().issue_cert("localhost", "127.0.0.1"), tmp_path, "server")
    arbiter = start("--certfile", files.certfile, "--keyfile", files.keyfile, "-w", "1")
    (first,) = arbiter.booted(1)
    whole = Path(files.keyfile).read_text()
    Path(files.keyfile).write_text("")
    os.kill(first, signal.SIGKILL)
    arbiter.wait_for("Cannot serve: keyfile")
    Path(files.keyfile).write_text(whole)
    assert eventually(lambda: answers(arbiter))
    assert look(arbiter, tls=client_context())["wsgi.url_scheme"] == "https"
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait() == 0


def answers(arbiter: Arbiter) -> bool:
    with suppress(OSError):
        return bool(look(arbiter, tls=client_context()))
    return False


GOES_ELSEWHERE = """
import os
from gunicorn_app import app
os.chdir("/")
"""


def elsewhere(folder: Path) -> list[str]:
    """A folder with an application that leaves it; the arguments that it is started with."""
    (folder / "goes_elsewhere.py").write_text(GOES_ELSEWHERE)
    (folder / "spool").mkdir()
    return ["--chdir", str(folder), "-w", "1"]


def test_files_are_where_gunicorn_was_told_wherever_the_application_goes(
    start: Start, tmp_path: Path
) -> None:
    write(authority().issue_cert("localhost", "127.0.0.1"), tmp_path, "server")
    arguments = [*elsewhere(tmp_path), "--certfile", "server.pem", "--keyfile", "server.key"]
    variables = {"PROWINGEN_SPOOL_DIR": "spool"}
    arbiter = start(*arguments, app="goes_elsewhere:app", variables=variables)
    assert look(arbiter, tls=client_context())["wsgi.url_scheme"] == "https"
    arbiter.send(signal.SIGHUP)
    arbiter.booted(2)
    arbiter.wait_for("Worker exiting")
    assert look(arbiter, tls=client_context())["wsgi.url_scheme"] == "https"
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait() == 0


def test_files_are_where_gunicorn_was_told_wherever_a_preloaded_application_has_gone(
    start: Start, tmp_path: Path
) -> None:
    # gunicorn itself looks for certificates where it has gone to with the application.
    variables = {"PROWINGEN_SPOOL_DIR": "spool"}
    arguments = [*elsewhere(tmp_path), "--preload"]
    arbiter = start(*arguments, app="goes_elsewhere:app", variables=variables)
    assert look(arbiter)["wsgi.url_scheme"] == "http"
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait() == 0


def test_the_scheme_of_a_proxy_that_is_trusted_is_believed(start: Start) -> None:
    arbiter = start()
    assert look(arbiter)["wsgi.url_scheme"] == "http"
    seen = look(arbiter, SECURE, "X-Forwarded-For: 192.0.2.9")
    assert seen["wsgi.url_scheme"] == "https"
    assert seen["REMOTE_ADDR"] == "127.0.0.1", "gunicorn leaves it to the application"


def test_the_scheme_of_anybody_else_is_not(start: Start) -> None:
    arbiter = start("--forwarded-allow-ips", "192.0.2.0/24")
    assert look(arbiter, SECURE)["wsgi.url_scheme"] == "http"


def test_a_unix_socket_is_always_trusted(start: Start, tmp_path: Path) -> None:
    arbiter = start("--forwarded-allow-ips", "192.0.2.0/24", bind="unix:here.sock")
    arbiter.booted()
    arbiter.known_addresses = [f"unix:{tmp_path}/here.sock"]
    assert look(arbiter, SECURE)["wsgi.url_scheme"] == "https"


@pytest.mark.parametrize("header", [v1(), v2()], ids=["v1", "v2"])
def test_a_proxy_header_tells_the_client(start: Start, header: bytes) -> None:
    arbiter = start("--proxy-protocol", "auto")
    assert look(arbiter, ahead=header)["REMOTE_ADDR"] == "192.0.2.1"


def test_a_proxy_header_of_anybody_else_closes_the_connection(start: Start) -> None:
    arbiter = start("--proxy-protocol", "--proxy-allow-from", "192.0.2.1")
    with Wire(address_of(arbiter.addresses()[0])) as wire:
        wire.expect_closed()
