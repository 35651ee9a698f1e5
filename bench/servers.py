"""Who is measured, and the command line each gets.

Every peer runs as one process with its access log off and the options its own
documentation offers for speed; the reason for each such option stands beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import static_files
from bench.paths import (
    CERTIFICATE,
    KEY,
    PEER_PYTHON,
    PROXYGEN_HELLO,
    ROOT,
    SITE_PACKAGES,
    VENV,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANY = "16384"
"""More connections than any row opens."""


@dataclass(frozen=True)
class Launch:
    """What a command line depends on."""

    app: str
    port: int
    threads: int
    connections: int = 64
    row: str = ""
    """Its name, for an option that helps in one row and does harm in another."""
    access_log: Path | None = None
    tls: bool = False
    http2: bool = False
    http3: bool = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def certificate(self, certificate_option: str, key_option: str) -> list[str]:
        """The options for HTTPS, if it is asked for."""
        if not self.tls:
            return []
        return [certificate_option, str(CERTIFICATE), key_option, str(KEY)]


@dataclass(frozen=True)
class Server:
    name: str
    command: Callable[[Launch], list[str]]
    distribution: str
    python: str = str(PEER_PYTHON)
    ours: bool = False
    note: str = ""
    """For the reader of the results: what is particular about this server."""
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path = ROOT
    """Where it is started."""
    speaks_tls: bool = False
    speaks_http2: bool = False
    """Over TLS."""
    speaks_http3: bool = False
    speaks_websocket: bool = False
    serves_files: bool = False
    """By itself, without the application."""
    program: str = ""
    """What tells its version, where that is no distribution of Python's."""
    rows: tuple[str, ...] = ()
    """All it can take part in, where that is not every row."""
    ceiling: bool = False
    """No peer but a bound: what an engine of ours makes without Python."""

    def version(self) -> str:
        """The installed version, or an empty string."""
        if self.program:
            return self._program_version()
        if not self.distribution:
            return "C++" if PROXYGEN_HELLO.exists() else ""
        code = "import importlib.metadata,sys;print(importlib.metadata.version(sys.argv[1]))"
        try:
            done = subprocess.run(
                [self.python, "-c", code, self.distribution],
                capture_output=True,
                text=True,
                check=False,
                timeout=30,
                cwd=ROOT,
            )
        except OSError:
            return ""
        return done.stdout.strip()

    def _program_version(self) -> str:
        try:
            done = subprocess.run(
                [self.program, "-v"], capture_output=True, text=True, check=False, timeout=30
            )
        except OSError:
            return ""
        return (done.stdout + done.stderr).strip().rpartition("/")[2]


def script(name: str) -> str:
    return str(VENV / "bin" / name)


def _granian(launch: Launch) -> list[str]:
    return [
        *(script("granian"), "--interface", "wsgi", "--workers", "1"),
        *("--blocking-threads", str(launch.threads)),
        *("--host", "127.0.0.1", "--port", str(launch.port)),
        # One version and no WebSockets are asked for: no detection of them is paid for. Its check
        # beforehand speaks HTTP/1, so that both have to be there for HTTP/2.
        *(
            "--http",
            "auto" if launch.http2 else "1",
            "--no-ws",
            "--no-access-log",
            "--log-level",
            "error",
        ),
        *("--backlog", MANY),
        *(["--http1-pipeline-flush"] if launch.row == "pipelined-16" else []),
        *launch.certificate("--ssl-certificate", "--ssl-keyfile"),
        launch.app,
    ]


def _gunicorn(launch: Launch) -> list[str]:
    return [
        *(script("gunicorn"), "--worker-class", "gthread", "--workers", "1"),
        *("--threads", str(launch.threads), "--bind", launch.address),
        # The default of 2 s would close connections between two batches of a slow row.
        *("--keep-alive", "75", "--worker-connections", MANY),
        # The C parser, which is an extra; the heartbeat file in memory; no side socket.
        *("--http-parser", "fast", "--worker-tmp-dir", "/dev/shm"),
        *("--no-control-socket", "--log-level", "error"),
        *launch.certificate("--certfile", "--keyfile"),
        launch.app,
    ]


def _uwsgi(launch: Launch) -> list[str]:
    # `--http-socket` closes after each answer. `--http11-socket` keeps connections
    # alive but binds each to a thread, so it serves at most `threads` of them; with
    # more, uWSGI's HTTP router in front of the worker is what keeps them alive.
    if launch.tls:
        listen = ["--https", f"{launch.address},{CERTIFICATE},{KEY}", "--http-keepalive"]
    elif launch.threads >= launch.connections:
        listen = ["--http11-socket", launch.address]
    else:
        listen = ["--http", launch.address, "--http-keepalive", "--http-auto-chunked"]
        if launch.row == "answer-1mib":
            # Four times as fast as with a page, but request bodies fail with it.
            listen += ["--http-buffer-size", str(1 << 20)]
    return [
        *(script("uwsgi"), "--master", "--processes", "1"),
        *("--threads", str(launch.threads), *listen),
        *("--module", launch.app, "--pythonpath", "."),
        *("--listen", "1024", "--disable-logging", "--die-on-term", "--need-app"),
    ]


def _waitress(launch: Launch) -> list[str]:
    return [
        *(script("waitress-serve"), "--host", "127.0.0.1"),
        *("--port", str(launch.port), "--threads", str(launch.threads)),
        # select() cannot watch the connections of idle-10k, and poll() is no slower.
        *("--connection-limit", MANY, "--asyncore-use-poll", "--backlog", "2048"),
        # A 1 MiB answer stays out of a temporary file; few large system calls.
        *("--outbuf-overflow", str(1 << 24), "--send-bytes", str(1 << 18)),
        *("--recv-bytes", str(1 << 16)),
        launch.app,
    ]


def _socketify(launch: Launch) -> list[str]:
    return [
        *(str(PEER_PYTHON), "-m", "socketify", launch.app),
        *("--host", "127.0.0.1", "--port", str(launch.port)),
        *("--interface", "wsgi", "--workers", "1", "--disable-listen-log", "true"),
    ]


def _pyvoy(launch: Launch) -> list[str]:
    return [
        *(script("pyvoy"), "--interface", "wsgi", "--address", "127.0.0.1"),
        *("--port", str(launch.port), "--worker-threads", str(launch.threads)),
        *launch.certificate("--tls-cert", "--tls-key"),
        *("--log-level", "off", launch.app),
    ]


def _hypercorn(launch: Launch) -> list[str]:
    return [
        *(script("hypercorn"), "--workers", "1", "--bind", launch.address),
        *("--backlog", MANY, "--log-level", "error"),
        *launch.certificate("--certfile", "--keyfile"),
        f"wsgi:{launch.app}",
    ]


def _peregrine(launch: Launch) -> list[str]:
    return [
        *(script("peregrine"), "--protocol", "wsgi", "--workers", "1", "--no-websockets"),
        *("--wsgi-threads", str(launch.threads), "--max-connections", MANY),
        *("--host", "127.0.0.1", "--port", str(launch.port)),
        *launch.certificate("--tls-cert", "--tls-key"),
        launch.app,
    ]


def _launched(name: str) -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        start = [str(PEER_PYTHON), "-m", "bench.launch", name]
        return [*start, launch.app, str(launch.port), str(launch.threads)]

    return command


ONE_THREAD = "one thread by design, whatever the row says"

PEERS: tuple[Server, ...] = (
    Server("granian", _granian, "granian", speaks_tls=True, speaks_http2=True),
    Server("bjoern", _launched("bjoern"), "bjoern", note=ONE_THREAD),
    Server("fastwsgi", _launched("fastwsgi"), "fastwsgi", note=ONE_THREAD),
    Server("socketify", _socketify, "socketify", note=ONE_THREAD),
    Server("gunicorn", _gunicorn, "gunicorn", note="gthread worker", speaks_tls=True),
    Server(
        "uwsgi",
        _uwsgi,
        "uwsgi",
        note="HTTP router in front, or http11-socket where threads suffice",
        speaks_tls=True,
    ),
    Server("waitress", _waitress, "waitress"),
    Server("cheroot", _launched("cheroot"), "cheroot"),
    Server(
        "pyvoy",
        _pyvoy,
        "pyvoy",
        note="runs inside Envoy",
        speaks_tls=True,
        speaks_http2=True,
        speaks_http3=True,
    ),
    Server(
        "hypercorn",
        _hypercorn,
        "hypercorn",
        note="asyncio; its number of WSGI threads is that of Python's default pool",
        speaks_tls=True,
        speaks_http2=True,
    ),
    Server(
        "peregrine",
        _peregrine,
        "peregrine-server",
        speaks_tls=True,
        speaks_http2=True,
    ),
)


CEILING = Server(
    "proxygen-cpp",
    lambda launch: [str(PROXYGEN_HELLO), str(launch.port)],
    "",
    note="proxygen's own hello world in C++, without Python: the ceiling of WSGI on it",
    rows=("hello",),
    ceiling=True,
)


def ours(engine: str, python: str = sys.executable) -> Server:
    """This project's server with one of its engines.

    It borrows the peers' Flask, so that every server runs the very same one.
    """

    def command(launch: Launch) -> list[str]:
        words = [python, "-m", "prowingen_wsgi", launch.app, "--bind", launch.address]
        words += ["--threads", str(launch.threads), "--engine", engine]
        words += launch.certificate("--certfile", "--keyfile")
        words += ["--http3"] if launch.http3 else []
        if launch.row.startswith("static-"):
            words += ["--static", f"{static_files.PREFIX}={static_files.FOLDER}"]
        if launch.row.startswith("cached-"):
            words += ["--response-cache", "16MiB"]
        if launch.access_log is not None:
            words += ["--access-log", str(launch.access_log)]
        return words

    return Server(
        name=f"prowingen-{engine}",
        command=command,
        distribution="prowingen-wsgi",
        python=python,
        ours=True,
        speaks_tls=True,
        speaks_http2=True,
        speaks_http3=engine == "proxygen",
        speaks_websocket=True,
        serves_files=True,
        environment={"PYTHONPATH": os.pathsep.join([str(ROOT), str(SITE_PACKAGES)])},
    )
