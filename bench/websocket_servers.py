"""Who is measured in the rows of WebSockets beside ours with callbacks.

WSGI has no WebSockets of its own, so a peer has an application in the interface that it knows them
by, as fast as it offers it. The row's application is ours, and is not looked at here.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from bench.paths import PEER_PYTHON
from bench.servers import MANY, Launch, Server, ours, script

ASGI = "bench.websocket_asgi:app"
ECHO_ROWS = ("ws-echo-64", "ws-echo-64k")
ROWS = (*ECHO_ROWS, "ws-idle-10k", "ws-broadcast-10k")


def _granian(launch: Launch) -> list[str]:
    return [
        *(script("granian"), "--interface", "asginl", "--workers", "1"),
        *("--loop", "uvloop"),
        *("--host", "127.0.0.1", "--port", str(launch.port)),
        *("--http", "1", "--no-access-log", "--log-level", "error", "--backlog", MANY),
        ASGI,
    ]


def _uvicorn(launch: Launch) -> list[str]:
    return [
        *(script("uvicorn"), "--host", "127.0.0.1", "--port", str(launch.port)),
        # Of its three implementations of WebSockets this is ahead in every row.
        *("--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio"),
        *("--ws-per-message-deflate", "false", "--lifespan", "off", "--backlog", MANY),
        *("--no-access-log", "--log-level", "error", ASGI),
    ]


def _gunicorn(launch: Launch) -> list[str]:
    return [
        *(script("gunicorn"), "--worker-class", "gthread", "--workers", "1"),
        # Each WebSocket keeps a thread.
        *("--threads", str(launch.threads + launch.connections), "--bind", launch.address),
        *("--worker-connections", MANY, "--http-parser", "fast", "--worker-tmp-dir", "/dev/shm"),
        *("--no-control-socket", "--log-level", "error"),
        "bench.websocket_flask:app",
    ]


def _socketify(launch: Launch) -> list[str]:
    return [str(PEER_PYTHON), "-m", "bench.websocket_socketify", str(launch.port)]


WEBSOCKET_PEERS: tuple[Server, ...] = (
    Server(
        "granian",
        _granian,
        "granian",
        note="WebSockets: an ASGI application",
        speaks_websocket=True,
        rows=ROWS,
    ),
    Server(
        "uvicorn",
        _uvicorn,
        "uvicorn",
        note="WebSockets: an ASGI application, by websockets, httptools and uvloop",
        speaks_websocket=True,
        rows=ROWS,
    ),
    Server(
        "gunicorn",
        _gunicorn,
        "gunicorn",
        note="WebSockets: flask-sock, two threads for each",
        speaks_websocket=True,
        rows=ECHO_ROWS,
    ),
    Server(
        "socketify",
        _socketify,
        "socketify",
        note="WebSockets: its own interface",
        speaks_websocket=True,
        rows=ROWS,
    ),
)


def ours_blocking(engine: str, python: str = sys.executable) -> Server:
    """Ours with a thread for each WebSocket, which ten thousand are too many for."""
    evented = ours(engine, python)

    def command(launch: Launch) -> list[str]:
        words = evented.command(
            # With one thread an application is called by one, and serves one WebSocket.
            replace(launch, app="bench.websocket_apps:blocking", threads=max(2, launch.threads))
        )
        return [*words, "--long-lived-threads", str(launch.connections + launch.threads)]

    return replace(
        evented,
        name=f"{evented.name}-blocking",
        command=command,
        note="WebSockets: a thread for each",
        rows=ECHO_ROWS,
    )
