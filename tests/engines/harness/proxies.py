"""HAProxy and nginx as the system has them, in front of a server of a test."""

from __future__ import annotations

import functools
import os
import re
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.waiting import eventually
from harness.wire import Response, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.wire import Address

# nginx is at home where a user's PATH may not lead.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
START_TIMEOUT = 10.0
_ATTEMPTS = 5

CLIENT = "127.0.0.5"
"""Where requests come from: another address than the one that the proxies connect from."""


def program(name: str) -> str:
    """Its path; skips the test where it is not installed."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        pytest.skip(f"{name} is not installed (cmake/system-packages.txt)")
    return found


def ask_from_outside(port: int, target: str = "/", *fields: str) -> Response:
    """One request from CLIENT."""
    with Wire(("127.0.0.1", port), source=CLIENT) as wire:
        return wire.ask(target, "Connection: close", *fields)


def upstream(address: Address) -> str:
    """A server's address as both write it."""
    return f"unix:{address}" if isinstance(address, str) else f"{address[0]}:{address[1]}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


def _has_ended_or_answers(process: subprocess.Popen[bytes], port: int) -> bool:
    if process.poll() is not None:
        return True
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def _running(command: list[str], config: Path, template: str) -> Iterator[int]:
    """Runs a proxy on a free port, which takes the place of PORT in the configuration."""
    try:
        socket.create_server((CLIENT, 0)).close()
    except OSError:
        pytest.skip(f"this machine has no address {CLIENT}")
    output = config.with_suffix(".log")
    for _ in range(_ATTEMPTS):  # another process may take the port meanwhile
        port = _free_port()
        config.write_text(template.replace("PORT", str(port)))
        with output.open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            decided = functools.partial(_has_ended_or_answers, process, port)
            assert eventually(decided, START_TIMEOUT), output.read_text()
            if process.poll() is None:
                yield port
                return
        finally:
            process.kill()
            process.wait()
    pytest.fail(f"{command[0]} does not start:\n{output.read_text()}")


@contextmanager
def run_haproxy(
    folder: Path, server: str, *backend: str, bind: str = "", mode: str = "http"
) -> Iterator[int]:
    """HAProxy with one backend of one server, which are the lines given; the port it listens on."""
    lines = "\n    ".join([*backend, f"server app {server}"])
    template = f"""\
defaults
    mode {mode}
    timeout connect 5s
    timeout client 20s
    timeout server 20s
frontend front
    bind 127.0.0.1:PORT {bind}
    default_backend back
backend back
    {lines}
"""
    config = folder / "haproxy.cfg"
    with _running([program("haproxy"), "-db", "-q", "-f", str(config)], config, template) as port:
        yield port


@contextmanager
def run_nginx(folder: Path, server: str, *directives: str, listen: str = "") -> Iterator[int]:
    """nginx that passes everything on, its directives as given; the port it listens on."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n    ".join(f"{kind}_temp_path {folder}/nginx-{kind};" for kind in kinds)
    lines = "\n            ".join(f"{directive};" for directive in directives)
    body = f"""\
http {{
    access_log off;
    {temporary}
    upstream app {{ server {server}; keepalive 4; }}
    server {{
        listen 127.0.0.1:PORT {listen};
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            {lines}
        }}
    }}
}}
"""
    with _run_nginx(folder, body) as port:
        yield port


@contextmanager
def run_nginx_files(folder: Path, root: Path) -> Iterator[int]:
    """nginx that serves the files of a folder; the port it listens on."""
    body = f"""\
http {{
    access_log off;
    server {{
        listen 127.0.0.1:PORT;
        location / {{ root {root}; gzip_static on; }}
    }}
}}
"""
    with _run_nginx(folder, body) as port:
        yield port


@contextmanager
def run_nginx_stream(folder: Path, server: str, *directives: str) -> Iterator[int]:
    """nginx that passes connections on, without a look at what is in them."""
    lines = "\n        ".join(f"{directive};" for directive in directives)
    body = f"""\
stream {{
    server {{
        listen 127.0.0.1:PORT;
        proxy_pass {server};
        {lines}
    }}
}}
"""
    with _run_nginx(folder, body, _stream_module()) as port:
        yield port


@contextmanager
def _run_nginx(folder: Path, body: str, module: str = "") -> Iterator[int]:
    user = "user root;" if os.geteuid() == 0 else ""
    head = f"""\
{module}
{user}
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
"""
    config = folder / "nginx.conf"
    command = [program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(config)]
    with _running(command, config, head + body) as port:
        yield port


@functools.cache
def _stream_module() -> str:
    """What loads nginx's stream module; skips the test where there is none."""
    version = subprocess.run(
        [program("nginx"), "-V"], stderr=subprocess.PIPE, text=True, check=True
    )
    if re.search(r"--with-stream(\s|$)", version.stderr):
        return ""
    place = re.search(r"--modules-path=(\S+)", version.stderr)
    module = Path(place.group(1) if place else "/nowhere") / "ngx_stream_module.so"
    if not module.exists():
        pytest.skip("nginx's stream module is not installed (cmake/system-packages.txt)")
    return f"load_module {module};"
