"""HTTPS: certificates that an authority issues, with the command: workers, reloads, `--check`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from pwd import getpwnam
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from prowingen_wsgi import Config, ConfigError, Server, acme_certificates, originals
from prowingen_wsgi.acme_folder import AcmeFolder
from prowingen_wsgi.processes import acme_process
from prowingen_wsgi.processes.acme_process import AcmeProcess

from harness.acme_authority import AcmeAuthority
from harness.apps import hello
from harness.certificates import authority_file
from harness.process import TESTS, ServerProcess, run_server
from harness.site import address_of
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prowingen_wsgi.processes.generation import Generation

    from harness.logwatch import LogWatch

NAME = "www.example.test"
OTHER = "shop.example.test"

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="it reads /proc")


@pytest.fixture
def authority() -> Iterator[AcmeAuthority]:
    with AcmeAuthority().running() as running:
        yield running


@pytest.fixture
def environment() -> dict[str, str]:
    return {"REQUESTS_CA_BUNDLE": authority_file()}


def arguments(authority: AcmeAuthority, folder: Path, *names: str) -> list[str]:
    named = [word for name in names for word in ("--acme-domain", name)]
    return [*named, "--acme-directory", authority.directory, "--acme-folder", str(folder)]


def port_of(url: str) -> int:
    port = address_of(url)[1]
    assert isinstance(port, int)
    return port


def is_served(server: ServerProcess, authority: AcmeAuthority, name: str) -> bool:
    """Whether a client that trusts the authority gets through to whichever worker is there."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port_of(server.url)), timeout=10) as connection,
            authority.client_context().wrap_socket(connection, server_hostname=name),
        ):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_all_workers_answer_challenges_and_take_what_one_process_has_had_issued(
    engine: str,
    authority: AcmeAuthority,
    environment: dict[str, str],
    tmp_path: Path,
    challenge: str,
) -> None:
    more = ["--workers", "2", "--redirect-http", "127.0.0.1:0", "--acme-challenge", challenge]
    given = arguments(authority, tmp_path / "acme", NAME)
    with run_server("apps.plain:app", engine, *given, *more, environment=environment) as server:
        redirect = server.wait_for_line(r"redirecting http://127\.0\.0\.1:\d+").split()[1]
        authority.look_at(tls=port_of(server.url), http=port_of(redirect))
        server.wait_for_line(f"acme: {NAME}: a certificate was issued")
        server.wait_for_line("(?s)read anew.*read anew")
        assert all(is_served(server, authority, NAME) for _ in range(8))
        assert authority.issued == [NAME], "by one process"
        assert server.log.count("is ready") == 2
        assert "has ended" not in server.log


def test_a_reload_takes_further_names(
    engine: str, authority: AcmeAuthority, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "prowingen.toml"
    file.write_text(f'acme_domain = ["{NAME}"]\n')
    given = arguments(authority, tmp_path / "acme")
    more = ["--workers", "1", "--config", str(file)]
    with run_server("apps.plain:app", engine, *given, *more, environment=environment) as server:
        authority.look_at(tls=port_of(server.url))
        server.wait_for_line(f"acme: {NAME}: a certificate was issued")
        file.write_text(f'acme_domain = ["{NAME}", "{OTHER}"]\n')
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for_line(f"acme: {OTHER}: a certificate was issued")
        assert eventually(lambda: is_served(server, authority, OTHER))
        assert authority.issued == [NAME, OTHER]
        assert len(authority.accounts) == 1
        assert "next one starts" not in server.log, "it was told to end"


def test_a_single_process_of_the_command_renews_by_itself(
    engine: str, authority: AcmeAuthority, environment: dict[str, str], tmp_path: Path
) -> None:
    given = arguments(authority, tmp_path / "acme", NAME)
    with run_server("apps.plain:app", engine, *given, environment=environment) as server:
        authority.look_at(tls=port_of(server.url))
        server.wait_for_line(f"acme: {NAME}: a certificate was issued")
        assert eventually(lambda: is_served(server, authority, NAME))


@needs_proc
def test_the_end_of_the_process_that_renews_touches_nothing_that_is_served(
    engine: str, authority: AcmeAuthority, environment: dict[str, str], tmp_path: Path
) -> None:
    authority.is_down = True
    given = [*arguments(authority, tmp_path / "acme", NAME), "--workers", "1"]
    with run_server("apps.plain:app", engine, *given, environment=environment) as server:
        server.wait_for_line(f"acme: {NAME}: .* cannot be reached: ")
        worker = int(server.wait_for_line(r"worker 1 \(pid \d+\)").rstrip(")").split()[-1])
        (renews,) = processes_of(server) - {worker}
        os.kill(renews, signal.SIGKILL)
        server.wait_for_line("the process that renews certificates has ended; the next one starts")
        assert server.log.count("is ready") == 1
        os.kill(server.pid, signal.SIGTERM)
        assert server.process.wait(10) == 0


def processes_of(server: ServerProcess) -> set[int]:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    return {int(each) for each in children.read_text().split()}


@needs_proc
def test_a_reload_that_changes_nothing_of_it_leaves_its_process_and_none_begins_anew(
    authority: AcmeAuthority, environment: dict[str, str], tmp_path: Path
) -> None:
    authority.look_at(tls=0)
    file = tmp_path / "prowingen.toml"
    given = [*arguments(authority, tmp_path / "acme", NAME), "--config", str(file)]
    file.write_text("workers = 1\n")
    with run_server("apps.plain:app", "auto", *given, environment=environment) as server:
        server.wait_for_line("found no answer to its challenge .*; next try in 4 min; ")
        worker = int(server.wait_for_line(r"worker 1 \(pid \d+\)").rstrip(")").split()[-1])
        (renews,) = processes_of(server) - {worker}
        os.kill(server.pid, signal.SIGHUP)
        assert eventually(lambda: worker not in processes_of(server))
        assert renews in processes_of(server)
        file.write_text('workers = 1\nacme_email = "me@example.test"\n')
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for_line("next try in 4 min, after what was tried before")
        assert renews not in processes_of(server)
        assert authority.looked == [(NAME, "tls-alpn-01")]
        assert "next one starts" not in server.log


@needs_proc
def test_a_stop_of_all_processes_in_a_challenge_leaves_nothing_of_it(
    authority: AcmeAuthority, environment: dict[str, str], tmp_path: Path
) -> None:
    """As by a terminal, or by systemd."""
    folder = tmp_path / "acme"
    given = [*arguments(authority, folder, NAME), "--workers", "1"]
    with run_server("apps.plain:app", "auto", *given, environment=environment) as server:
        assert eventually(lambda: any((folder / "challenges").glob("[!.]*")))
        os.killpg(server.pid, signal.SIGTERM)
        assert server.wait() == 0
        assert list((folder / "challenges").iterdir()) == []
        assert list(folder.rglob(".*")) == []
        assert "ERROR" not in server.log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_is_issued_to_who_serves(authority: AcmeAuthority) -> None:
    with TemporaryDirectory(dir="/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        trusted = place / "authority.pem"
        trusted.write_text(Path(authority_file()).read_text())
        given = [*arguments(authority, place / "acme", NAME), "--workers", "1", "--user", "nobody"]
        environment = {"REQUESTS_CA_BUNDLE": str(trusted)}
        with run_server("apps.plain:app", "auto", *given, environment=environment) as server:
            authority.look_at(tls=port_of(server.url))
            server.wait_for_line(f"acme: {NAME}: a certificate was issued")
            assert eventually(lambda: is_served(server, authority, NAME))
            files = [place / "acme", *(place / "acme").rglob("*")]
            assert {each.stat().st_uid for each in files} == {getpwnam("nobody").pw_uid}


def generation(**options: Any) -> Generation:
    config = Config(acme_domain=(NAME,), **options)
    return cast("Generation", SimpleNamespace(config=config, identity=None))


def test_there_is_one_process_at_most_and_another_one_for_what_it_has_to_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[int] = []
    told: list[int] = []

    def fork(_: object) -> int:
        begun.append(len(begun) + 1)
        return begun[-1]

    monkeypatch.setattr(originals.os, "kill", lambda process, _: told.append(process))
    process = AcmeProcess(fork)
    for options in ({}, {"threads": 9}):
        process.serve(generation(**options))
        process.keep_up()
        assert (begun, told) == ([1], [])
    process.serve(generation(acme_email="me@example.test"))
    process.keep_up()
    assert (begun, told) == ([1], [1])
    process.ended(1, 0)
    process.keep_up()
    assert (begun, told) == ([1, 2], [1])


@pytest.mark.parametrize("status", [0, signal.SIGTERM, signal.SIGKILL, 1 << 8])
def test_an_end_that_nobody_has_asked_for_is_said(error_log: LogWatch, status: int) -> None:
    process = AcmeProcess(lambda _: 4711)
    process.serve(generation())
    process.keep_up()
    process.ended(4711, status)
    assert ("the process that renews certificates has ended" in error_log.text) == (
        status not in (0, signal.SIGTERM)
    )


def test_who_does_not_end_is_killed_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acme_process, "_PATIENCE", 0.1)
    deaf = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo deaf; exec sleep 60"], stdout=subprocess.PIPE, text=True
    )
    assert deaf.stdout is not None
    with deaf.stdout as told:
        assert told.readline() == "deaf\n"
        process = AcmeProcess(lambda _: deaf.pid)
        process.serve(generation())
        process.keep_up()
        process.join()
        with pytest.raises(ProcessLookupError):
            os.kill(deaf.pid, 0)
        deaf.wait()


def test_check_says_what_there_is_and_makes_nothing(
    authority: AcmeAuthority, tmp_path: Path
) -> None:
    folder = AcmeFolder(tmp_path / "acme")
    command = [sys.executable, "-m", "prowingen_wsgi", "apps.plain:app", "--check"]
    command += arguments(authority, folder.path, NAME, OTHER)

    def ran() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, capture_output=True, text=True, cwd=TESTS, check=False, timeout=20
        )

    def told() -> str:
        done = ran()
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert f"acme_domain: {NAME}: none has been issued yet" in told()
    assert not folder.path.exists()
    folder.prepare()
    folder.keep_issued(OTHER, authority.directory, *authority.issue(OTHER))
    said = told()
    assert f"acme_domain: {NAME}: none has been issued yet" in said
    assert f"acme_domain: {OTHER}: a certificate of {authority.directory}, valid until" in said
    folder.keep_issued(NAME, authority.directory, "<html>sorry</html>", "")
    done = ran()
    assert done.returncode != 0
    assert f'acme_folder: "{folder.certificate_file(NAME)}": it holds no certif' in done.stderr
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------------------- in one process


def refused(**options: Any) -> str:
    with pytest.raises(ConfigError) as info:
        Server(hello, Config.embedded({"bind": "127.0.0.1:0", "acme_domain": NAME, **options}))
    return str(info.value)


def test_without_the_library_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(acme_certificates, "find_spec", lambda _: None)
    assert refused(acme_folder=str(tmp_path)) == (
        "acme_domain: the package acme is needed: pip install 'prowingen-wsgi[acme]'"
    )


@pytest.mark.parametrize("file", ["acme.py", "acme/__init__.py"])
def test_a_package_of_the_applications_is_no_library_and_is_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str
) -> None:
    there = tmp_path / file
    there.parent.mkdir(exist_ok=True)
    there.write_text("raise AssertionError\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme"]:
        monkeypatch.delitem(sys.modules, name)
    said = refused(acme_folder=str(tmp_path / "folder"))
    assert "the package acme is needed: pip install 'prowingen-wsgi[acme]'; \"" in said
    assert str(tmp_path / "acme") in said


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert refused(acme_folder=str(file / "acme")) == (
        f'acme_folder: "{file}/acme": Not a directory'
    )


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/shop:/var/lib/more"}, "/var/lib/shop/acme"),
        ({"XDG_STATE_HOME": "/home/me/state"}, "/home/me/state/prowingen/acme"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/me"}, None),
    ],
)
def test_without_one_it_is_where_the_system_keeps_state(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], folder: str | None
) -> None:
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    usual = "/home/me/.local/state/prowingen/acme"
    if os.geteuid() == 0:
        usual = "/var/lib/prowingen/acme"
    found = acme_certificates.acme_folder(Config(acme_domain=(NAME,)))
    assert str(found.path) == (folder or usual)
