"""HTTPS: sessions that clients come back with."""

from __future__ import annotations

import datetime
import ssl
from typing import TYPE_CHECKING

import pytest

from harness.apps import Echo
from harness.certificates import ReturningClient, authority, authority_file, server_files, write
from harness.process import run_server
from harness.proxyhead import environ_of
from harness.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from harness.site import ServeFixture, Site

SECOND = datetime.timedelta(seconds=1)


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


def test_a_session_goes_on_with_its_own_name(serve: ServeFixture, tmp_path: Path) -> None:
    """RFC 6066 section 3: behind another name there may be others who are let in."""
    files = write(authority().issue_cert("localhost", "other.localhost"), tmp_path, "two")
    site = serve(Echo(), certfile=files.certfile, keyfile=files.keyfile)
    with ReturningClient(site.address) as client:
        for name, resumed in [
            ("localhost", False),
            ("LocalHost", True),
            ("other.localhost", False),
        ]:
            seen = environ_of(client.ask(name))["SSL_TLS_SNI"]
            assert (seen.lower(), client.resumed) == (name.lower(), resumed)


def test_a_session_goes_on_no_longer_than_its_clients_certificate(
    serve: ServeFixture, options: dict[str, object], tmp_path: Path
) -> None:
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)
    own = write(authority().issue_cert("ada@example.org", not_after=end), tmp_path, "own")
    site = serve(Echo(), ca_certs=authority_file(), cert_reqs="required", **options)
    with ReturningClient(site.address, own) as client:
        assert client.ask().status == 200
        assert client.ask().status == 200
        assert client.resumed
        assert eventually(lambda: datetime.datetime.now(datetime.timezone.utc) > end + SECOND)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            client.ask()


def test_a_session_is_resumed_by_every_worker(engine: str) -> None:
    files = server_files()
    arguments = ["--workers", "2", "--certfile", files.certfile, "--keyfile", files.keyfile]
    with (
        run_server("apps.workers:app", engine, *arguments) as server,
        ReturningClient(server.address) as client,
    ):
        assert client.resumed_by_all(2, lambda: client.ask().body)
