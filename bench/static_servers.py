"""Who is measured in the rows of static files: who serves files by itself, beside nginx."""

from __future__ import annotations

import os
import shutil

from bench import static_files
from bench.paths import OUT
from bench.servers import MANY, Launch, Server, script

ROWS = ("static-10k", "static-10m")

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

# One process, as of every server. An open file is remembered, and several packets are filled.
_CONFIGURATION = """\
daemon off;
{user}
worker_processes 1;
pid {out}/nginx.pid;
error_log stderr crit;
events {{ worker_connections {many}; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    open_file_cache max=1000;
    server {{
        listen {address} backlog={many};
        location {prefix}/ {{ alias {folder}/; }}
    }}
}}
"""


def _nginx(launch: Launch) -> list[str]:
    path = OUT / "nginx.conf"
    text = _CONFIGURATION.format(
        user="user root;" if os.geteuid() == 0 else "",
        out=OUT,
        many=MANY,
        address=launch.address,
        prefix=static_files.PREFIX,
        folder=static_files.FOLDER,
    )
    path.write_text(text)
    return [NGINX or "nginx", "-p", str(OUT), "-e", "stderr", "-c", str(path)]


def _granian(launch: Launch) -> list[str]:
    return [
        *(script("granian"), "--interface", "wsgi", "--workers", "1"),
        *("--blocking-threads", str(launch.threads)),
        *("--host", "127.0.0.1", "--port", str(launch.port)),
        *("--http", "1", "--no-ws", "--no-access-log", "--log-level", "error", "--backlog", MANY),
        *("--static-path-route", static_files.PREFIX),
        *("--static-path-mount", str(static_files.FOLDER)),
        launch.app,
    ]


def _uwsgi(launch: Launch) -> list[str]:
    return [
        *(script("uwsgi"), "--master", "--processes", "1", "--threads", str(launch.threads)),
        *("--http", launch.address, "--http-keepalive"),
        *("--static-map", f"{static_files.PREFIX}={static_files.FOLDER}"),
        *("--module", launch.app, "--pythonpath", "."),
        *("--listen", "1024", "--disable-logging", "--die-on-term", "--need-app"),
    ]


STATIC_PEERS: tuple[Server, ...] = (
    Server(
        "nginx",
        _nginx,
        "",
        program=NGINX or "nginx",
        note="one worker process",
        rows=ROWS,
        serves_files=True,
    ),
    Server("granian", _granian, "granian", rows=ROWS, serves_files=True),
    Server("uwsgi", _uwsgi, "uwsgi", note="HTTP router in front", rows=ROWS, serves_files=True),
)
