"""HTTPS: certificates that an authority issues, with the command: workers, reloads, `--check`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi import Config, ConfigError, Server, acme_certificates
from prowingen_wsgi.acme_folder import AcmeFolder

from harness.acme_authority import AcmeAuthority
from harness.apps import hello
from harness.certificates import authority_file
from harness.process import TESTS, ServerProcess, run_server
from harness.site import address_of
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "www.example.test"
OTHER = "shop.example.test"


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


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="it reads /proc")
def test_the_end_of_the_process_that_renews_touches_nothing_that_is_served(
    engine: str, authority: AcmeAuthority, environment: dict[str, str], tmp_path: Path
) -> None:
    authority.is_down = True
    given = [*arguments(authority, tmp_path / "acme", NAME), "--workers", "1"]
    with run_server("apps.plain:app", engine, *given, environment=environment) as server:
        server.wait_for_line(f"acme: {NAME}: .* cannot be reached: ")
        worker = server.wait_for_line(r"worker 1 \(pid \d+\)").rstrip(")").split()[-1]
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        (renews,) = set(children) - {worker}
        os.kill(int(renews), signal.SIGKILL)
        server.wait_for_line("the process that renews certificates has ended; the next one starts")
        assert server.log.count("is ready") == 1
        os.kill(server.pid, signal.SIGTERM)
        assert server.process.wait(10) == 0


def test_check_says_what_there_is_and_makes_nothing(
    authority: AcmeAuthority, tmp_path: Path
) -> None:
    folder = AcmeFolder(tmp_path / "acme")
    command = [sys.executable, "-m", "prowingen_wsgi", "apps.plain:app", "--check"]
    command += arguments(authority, folder.path, NAME, OTHER)

    def told() -> str:
        return subprocess.run(
            command, capture_output=True, text=True, cwd=TESTS, check=True, timeout=20
        ).stdout

    assert f"acme_domain: {NAME}: none has been issued yet" in told()
    assert not folder.path.exists()
    folder.prepare()
    folder.keep_issued(OTHER, authority.directory, *authority.issue(OTHER))
    said = told()
    assert f"acme_domain: {NAME}: none has been issued yet" in said
    assert f"acme_domain: {OTHER}: a certificate of {authority.directory}, valid until" in said


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


def test_two_processes_do_not_ask_at_once(tmp_path: Path) -> None:
    folder = AcmeFolder(tmp_path / "acme")
    folder.prepare()
    asks = f"""
from pathlib import Path
from prowingen_wsgi.acme_folder import AcmeFolder
with AcmeFolder(Path({str(folder.path)!r})).lock() as mine:
    print(mine)
"""

    def asked() -> str:
        return subprocess.run(
            [sys.executable, "-c", asks], capture_output=True, text=True, check=True, timeout=20
        ).stdout

    with folder.lock() as mine:
        assert mine
        assert asked() == "False\n"
    assert asked() == "True\n"
