"""HTTPS: sessions that clients come back with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.apps import Echo
from harness.certificates import ReturningClient, server_files
from harness.process import run_server
from harness.proxyhead import environ_of

if TYPE_CHECKING:
    from harness.site import ServeFixture, Site


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


def test_a_session_is_resumed_by_every_worker(engine: str) -> None:
    files = server_files()
    arguments = ["--workers", "2", "--certfile", files.certfile, "--keyfile", files.keyfile]
    with (
        run_server("apps.workers:app", engine, *arguments) as server,
        ReturningClient(server.address) as client,
    ):
        assert client.resumed_by_all(2, lambda: client.ask().body)
