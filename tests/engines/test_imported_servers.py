"""A configuration of uWSGI's or granian's, imported, serves what it served."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from test_configuration_files import serving
from test_supervisor import ready, wait_until

if TYPE_CHECKING:
    from harness.process import ServerProcess

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are found in /proc"
)

# Says where it is, how many share it, and who asks.
APP = """
import os

def application(environ, start_response):
    size = len(environ["wsgi.input"].read())
    told = (os.path.basename(os.getcwd()), environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], size)
    answer = " ".join(map(str, told)).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]

def make():
    return application
"""


def write_from(home: Path, *arguments: str) -> str:
    """Imports, into the file that is served by; what is said of it."""
    command = [sys.executable, "-m", "prowingen_wsgi", *arguments[:1], "-o", "prowingen.toml"]
    done = subprocess.run(
        [*command, *arguments[1:]], cwd=home, check=True, capture_output=True, text=True
    )
    return done.stderr


def ask(server: ServerProcess, *fields: str) -> str:
    with server.connect() as wire:
        return wire.ask("/", "Connection: close", *fields).text


def test_uwsgis_configuration_serves_once_it_is_imported(engine: str, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "shop").mkdir()
    (tmp_path / "site" / "shop" / "wsgi.py").write_text(APP)
    (tmp_path / "app.ini").write_text(
        "[uwsgi]\n"
        "base = %dsite\n"
        "ini = :more\n"
        "chdir = %(base)\n"
        "wsgi-file = %(base)/shop/wsgi.py\n"
        "socket = %(base)/shop.sock\n"
        "chmod-socket = 660\n"
        "processes = 2\nthreads = %(processes + 1)\n"
        "req-logger = file:access.log\n"
        "log-format = %(method) %(status) %(var.HTTP_X_ID)\n"
        "[more]\n"
        "limit-post = 5\n"
    )
    told = write_from(tmp_path, "import-uwsgi", "app.ini")
    assert "replace uwsgi_pass by proxy_pass" in told
    with serving(tmp_path, "--engine", engine) as server:
        wait_until(lambda: ready(server) == 2, server.log)
        server.wait_for_line("2 workers of 3 threads")
        path = tmp_path / "site" / "shop.sock"
        assert server.url == f"unix:{path}"
        assert path.stat().st_mode & 0o007 == 0
        said = ask(server, "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https", "X-Id: 7")
        assert said == "site 192.0.2.7 https 0"
        with server.connect() as wire:
            wire.post("/", b"longer")
            assert wire.response().status == 413
        server.signal()
        assert server.wait() == 0
    lines = (tmp_path / "site" / "access.log").read_text().splitlines()
    assert sorted(lines) == ["GET 200 7", "POST 413 -"]  # each worker writes its own


def test_granians_command_serves_once_it_is_imported(engine: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    write_from(
        tmp_path,
        "import-granian",
        "web: GRANIAN_WORKERS=2 granian --interface wsgi --host 127.0.0.1 --port 0 "
        "--blocking-threads 3 --factory shop:make --no-http1-keep-alive",
    )
    with serving(tmp_path, "--engine", engine) as server:
        wait_until(lambda: ready(server) == 2, server.log)
        server.wait_for_line("2 workers of 3 threads")
        with server.connect() as wire:
            answer = wire.ask("/", "X-Forwarded-For: 192.0.2.7")
            assert answer.text == f"{tmp_path.name} 127.0.0.1 http 0"
            assert answer.get("connection") == "close"
        server.signal()
        assert server.wait() == 0
