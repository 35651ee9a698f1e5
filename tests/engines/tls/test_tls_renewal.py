"""HTTPS: certificates that are read anew while they are served."""

from __future__ import annotations

import datetime
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prowingen_wsgi import ConfigError

from harness.apps import Echo, hello
from harness.certificates import ReturningClient, authority, write
from harness.https import certificate_of
from harness.process import run_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from harness.certificates import Files
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

SWAPS = 10


def fresh(folder: Path, *, days: int = 365) -> Files:
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days, minutes=10)
    return write(authority().issue_cert("localhost", not_after=end), folder, "served")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return fresh(tmp_path)


def test_certificates_are_swapped_under_load_and_no_request_fails(
    serve: ServeFixture, files: Files, tmp_path: Path
) -> None:
    site = serve(hello, certfile=files.certfile, keyfile=files.keyfile)
    over = threading.Event()
    answered: list[int] = []
    failed: list[BaseException] = []

    def come_again_and_again() -> None:
        try:
            while not over.is_set():
                answered.append(site.ask().status)
        except BaseException as error:  # noqa: BLE001  # any is the test's failure
            failed.append(error)

    clients = [threading.Thread(target=come_again_and_again) for _ in range(2)]
    with site.connect() as kept:
        assert kept.ask().status == 200
        for client in clients:
            client.start()
        try:
            seen = {certificate_of(site.address)}
            for _ in range(SWAPS):
                fresh(tmp_path)
                site.server.renew_certificates()
                seen.add(certificate_of(site.address))
        finally:
            over.set()
            for client in clients:
                client.join()
        assert kept.ask().status == 200, "connections outlive the certificate they began with"
    assert len(seen) == SWAPS + 1, "each was seen by the next handshake"
    assert failed == []
    assert set(answered) == {200}


def test_a_change_is_noticed_and_told(
    serve: ServeFixture, files: Files, tmp_path: Path, error_log: LogWatch
) -> None:
    site = serve(hello, certfile=files.certfile, keyfile=files.keyfile)
    before = certificate_of(site.address)
    fresh(tmp_path)
    error_log.wait_for("INFO certificates were read anew", timeout=15)
    assert certificate_of(site.address) != before


def test_files_that_are_no_good_leave_the_ones_before_in_use(
    serve: ServeFixture, files: Files, tmp_path: Path, error_log: LogWatch
) -> None:
    site = serve(hello, certfile=files.certfile, keyfile=files.keyfile)
    before = certificate_of(site.address)
    whole = Path(files.certfile).read_bytes()
    Path(files.certfile).write_bytes(whole[: len(whole) // 3])
    error_log.wait_for("ERROR certfile", "; what was read before stays in use", timeout=15)
    assert certificate_of(site.address) == before
    with pytest.raises(ConfigError, match="certfile"):
        site.server.renew_certificates()
    Path(files.certfile).write_bytes(whole)
    write(authority().issue_cert("localhost"), tmp_path, "other")
    Path(files.keyfile).write_bytes((tmp_path / "other.key").read_bytes())
    with pytest.raises(ConfigError, match="it is not the key of the certificate in certfile"):
        site.server.renew_certificates()
    assert certificate_of(site.address) == before
    fresh(tmp_path)
    site.server.renew_certificates()
    assert certificate_of(site.address) != before


def test_sessions_are_resumed_across_a_renewal(
    serve: ServeFixture, files: Files, tmp_path: Path
) -> None:
    site = serve(Echo(), certfile=files.certfile, keyfile=files.keyfile)
    with ReturningClient(site.address) as client:
        assert client.ask().status == 200
        fresh(tmp_path)
        site.server.renew_certificates()
        assert client.ask().status == 200
        assert client.resumed


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (100, "INFO certfile: {file}: the certificate of localhost (EC) is valid until "),
        (20, "WARNING certfile: {file}: the certificate of localhost expires in 20 days, on "),
        (1, "WARNING certfile: {file}: the certificate of localhost expires in 1 day, on "),
        (0, "WARNING certfile: {file}: the certificate of localhost expires within a day, on "),
        (-2, "WARNING certfile: {file}: the certificate of localhost expired on "),
    ],
)
def test_the_log_says_until_when_it_is_valid(
    serve: ServeFixture, tmp_path: Path, error_log: LogWatch, days: int, told: str
) -> None:
    files = fresh(tmp_path, days=days)
    serve(hello, certfile=files.certfile, keyfile=files.keyfile)
    error_log.wait_for(told.format(file=f'"{files.certfile}"'))


def test_every_worker_takes_the_new_one_and_none_is_replaced(engine: str, tmp_path: Path) -> None:
    files = fresh(tmp_path, days=3)
    arguments = ["--certfile", files.certfile, "--keyfile", files.keyfile, "--workers", "2"]
    with run_server("apps.plain:app", engine, *arguments) as server:
        server.wait_for_line("(?s)WARNING.*expires in 3 days")
        server.wait_for_line("(?s)is ready.*is ready")
        before = certificate_of(server.address)
        fresh(tmp_path)
        server.wait_for_line("(?s)read anew.*read anew")
        assert eventually(lambda: certificate_of(server.address) != before)
        assert server.log.count("is ready") == 2
        assert "has ended" not in server.log
        assert server.log.count("expires in 3 days") == 1, "told once, by the supervisor"
