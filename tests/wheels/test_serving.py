"""A wheel that was just installed serves: at once, over HTTPS and on HTTP/2."""

from __future__ import annotations

import re
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from harness.certificates import client_context, server_files
from harness.commands import ask, run_command

if TYPE_CHECKING:
    from harness.installed import Installed

EXAMPLES = Path(__file__).parents[2] / "examples"
START_LIMIT = 2.0


def test_flask_is_served_within_two_seconds_of_the_commands_start(
    installed: Installed, capsys: pytest.CaptureFixture[str]
) -> None:
    """The quickest of three starts: other work on the machine is not what is asked about."""
    command = [installed.command, "flask_app:app", "--bind", "127.0.0.1:0"]
    starts: list[float] = []
    for _ in range(3):
        began = time.monotonic()
        with run_command(command, EXAMPLES, **installed.variables) as server:
            response = ask(server)
            starts.append(time.monotonic() - began)
            assert response.status == 200
            assert b"It works" in response.body
    with capsys.disabled():
        told = ", ".join(f"{seconds:.2f}" for seconds in starts)
        print(f"\n{installed.folder.parent.name}: first answers after {told} s", end=" ")
    assert min(starts) < START_LIMIT


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_https_is_served(installed: Installed, version: str) -> None:
    files = server_files()
    command = [installed.command, "flask_app:app", "--bind", "127.0.0.1:0"]
    command += ["--certfile", files.certfile, "--keyfile", files.keyfile]
    with (
        run_command(command, EXAMPLES, **installed.variables) as server,
        httpx.Client(http2=version == "HTTP/2", verify=client_context()) as client,
    ):
        response = client.get(f"{server.url}/download")
        assert response.http_version == version
        assert len(response.content) == 8 * 1024 * 1024


def test_a_certificate_for_development_is_made(installed: Installed, tmp_path: Path) -> None:
    """By the OpenSSL in the wheel, on a machine whose configuration of OpenSSL is elsewhere."""
    command = [installed.command, "flask_app:app", "--bind", "127.0.0.1:0", "--https"]
    variables = installed.variables | {"XDG_DATA_HOME": str(tmp_path)}
    with run_command(command, EXAMPLES, **variables) as server:
        authority = tmp_path / "prowingen/authority.pem"
        with httpx.Client(verify=ssl.create_default_context(cafile=authority)) as client:
            assert client.get(f"{server.url}/api/about").status_code == 200


def test_only_the_embedded_engine_is_in_it(installed: Installed) -> None:
    versions = installed.run("-I", "-m", "prowingen_wsgi", "--version")
    assert re.search(r"^embedded: Boost .+, nghttp2 .+, OpenSSL 3\.", versions, re.MULTILINE)
    assert "proxygen:" not in versions
