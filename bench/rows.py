"""The rows of the benchmark: what is asked, how often at once, with how many threads."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from bench import apps, probe, static_files, websocket_probe
from bench.paths import LUA

FLASK_PATH = "/users/42/orders?page=3"
STREAMS = ["-m10"]
WEBSOCKETS = "bench.websocket_apps:evented"


class Kind(Enum):
    """How a row is measured; each kind has its own function in `measurement`."""

    CLOSED = "a closed loop alone: wrk, or h2load for HTTP/2 and 3"
    MIXED = "wrk for throughput, then open-loop arrivals for the fast requests' latency"
    IDLE = "wrk before and while ten thousand idle connections are held"
    ECHO = "WebSockets in a closed loop"
    BROADCAST = "one message to ten thousand WebSockets, ten times"
    LOG = "wrk, ours with and without an access log"


@dataclass(frozen=True)
class Row:
    name: str
    app: str
    says: str
    """One line for the reader of the results."""
    probe: probe.Probe
    path: str = "/"
    options: list[str] = field(default_factory=list)
    """What the load generator is told beyond connections and time."""
    threads: tuple[int, ...] = (8,)
    fixed_threads: bool = False
    """The row means this number of threads alone: `--threads` does not touch it."""
    connections: int = 64
    fixed_connections: bool = False
    pipelined: bool = False
    tls: bool = False
    """Over HTTPS; only servers that speak it take part."""
    http2: bool = False
    """Over HTTP/2; only servers that speak it take part."""
    http3: bool = False
    """Likewise."""
    websocket: bool = False
    """Over WebSockets; only servers that have an application for it take part."""
    files: bool = False
    """A file is asked for, with no application; only servers that serve files take part."""
    kind: Kind = Kind.CLOSED

    ours_only: bool = False
    """Peers are measured only if they are named on the command line."""


ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        Row(
            "hello",
            "bench.apps:hello",
            "13-byte answer from a raw WSGI callable",
            probe.HELLO,
            threads=(1, 8, 64),
        ),
        Row(
            "flask-json",
            "bench.flask_app:app",
            "small Flask application: route with a converter, jsonify",
            probe.expects(b'"user 42"', path=FLASK_PATH, contains=True),
            path=FLASK_PATH,
            threads=(1, 8, 64),
        ),
        Row(
            "answer-1mib",
            "bench.apps:answer_1mib",
            "1 MiB answer in one piece",
            probe.expects(apps.ANSWER),
        ),
        Row(
            "echo-64k",
            "bench.apps:echo",
            "64 KiB POST, echoed",
            probe.expects(probe.UPLOAD, upload=probe.UPLOAD),
            options=["-s", str(LUA / "echo.lua")],
        ),
        Row(
            "stream-100",
            "bench.apps:stream_100",
            "generator of 100 chunks of 1 KiB, no Content-Length",
            probe.expects(apps.CHUNK * apps.CHUNKS),
        ),
        Row(
            "sleep-10ms",
            "bench.apps:sleep_10ms",
            "application that blocks for 10 ms; 6,400 requests/s are possible",
            probe.HELLO,
            threads=(64,),
            fixed_threads=True,
            fixed_connections=True,
        ),
        Row(
            "mixed",
            "bench.apps:mixed",
            "nine fast requests to one that blocks for 50 ms; 3,200 requests/s are "
            "possible; latency of the fast ones at 1,500 arrivals/s",
            probe.HELLO,
            options=["-s", str(LUA / "mixed.lua")],
            threads=(16,),
            fixed_threads=True,
            fixed_connections=True,
            kind=Kind.MIXED,
        ),
        Row(
            "no-keepalive",
            "bench.apps:hello",
            "hello with Connection: close, a new connection for each request",
            probe.closes,
            options=["-H", "Connection: close"],
        ),
        Row(
            "pipelined-16",
            "bench.apps:hello",
            "hello, sixteen requests in one write",
            probe.pipelines,
            options=["-s", str(LUA / "pipelined.lua")],
            pipelined=True,
        ),
        Row(
            "tls-hello",
            "bench.apps:hello",
            "hello over HTTPS",
            probe.expects(apps.HELLO, tls=True),
            tls=True,
        ),
        Row(
            "tls-handshake",
            "bench.apps:hello",
            "hello over HTTPS with Connection: close, a handshake for each request",
            probe.expects(apps.HELLO, tls=True),
            options=["-H", "Connection: close"],
            tls=True,
        ),
        Row(
            "tls-1mib",
            "bench.apps:answer_1mib",
            "1 MiB answer in one piece over HTTPS",
            probe.expects(apps.ANSWER, tls=True),
            tls=True,
        ),
        Row(
            "h2-hello",
            "bench.apps:hello",
            "hello by HTTP/2 over TLS: 100 connections with 10 streams each",
            probe.expects(apps.HELLO, tls=True),
            options=STREAMS,
            threads=(1, 8, 64),
            connections=100,
            tls=True,
            http2=True,
        ),
        Row(
            "h2-flask-json",
            "bench.flask_app:app",
            "flask-json by HTTP/2 over TLS: 100 connections with 10 streams each",
            probe.expects(b'"user 42"', path=FLASK_PATH, contains=True, tls=True),
            path=FLASK_PATH,
            options=STREAMS,
            connections=100,
            tls=True,
            http2=True,
        ),
        Row(
            "h3-hello",
            "bench.apps:hello",
            "hello by HTTP/3: 100 connections with 10 streams each",
            probe.expects(apps.HELLO, tls=True),
            options=STREAMS,
            connections=100,
            tls=True,
            http3=True,
        ),
        Row(
            "static-10k",
            "bench.apps:hello",
            "file of 10 KiB, by the server itself",
            probe.expects(static_files.CONTENTS["10k.bin"], path="/static/10k.bin"),
            path="/static/10k.bin",
            files=True,
        ),
        Row(
            "static-10m",
            "bench.apps:hello",
            "file of 10 MiB, by the server itself",
            probe.expects(static_files.CONTENTS["10m.bin"], path="/static/10m.bin"),
            path="/static/10m.bin",
            connections=16,
            files=True,
        ),
        Row(
            "cached-hit",
            "bench.apps:kept",
            "hello that the server keeps, and gives without the application",
            probe.HELLO,
            ours_only=True,
        ),
        Row(
            "hello-log",
            "bench.apps:hello",
            "hello with an access log written to a file, against none",
            probe.HELLO,
            kind=Kind.LOG,
            ours_only=True,
        ),
        Row(
            "idle-10k",
            "bench.apps:hello",
            "hello while 10,000 idle keep-alive connections are open, against without",
            probe.HELLO,
            kind=Kind.IDLE,
            ours_only=True,
        ),
        Row(
            "ws-echo-64",
            WEBSOCKETS,
            "WebSockets: text of 64 octets, sent back; one in flight on each",
            websocket_probe.echoes,
            path="/echo",
            options=["--size", "64", "--text"],
            websocket=True,
            kind=Kind.ECHO,
        ),
        Row(
            "ws-echo-64k",
            WEBSOCKETS,
            "WebSockets: 64 KiB of octets, sent back; one in flight on each",
            websocket_probe.echoes,
            path="/echo",
            options=["--size", "65536"],
            connections=16,
            websocket=True,
            kind=Kind.ECHO,
        ),
        Row(
            "ws-idle-10k",
            WEBSOCKETS,
            "hello while 10,000 idle WebSockets are open, against without",
            websocket_probe.echoes_beside_hello,
            websocket=True,
            kind=Kind.IDLE,
        ),
        Row(
            "ws-broadcast-10k",
            WEBSOCKETS,
            "1 KiB of text to 10,000 WebSockets; latency from the word that starts it",
            websocket_probe.broadcasts,
            path="/room",
            connections=10_000,
            fixed_connections=True,
            websocket=True,
            kind=Kind.BROADCAST,
        ),
    )
}


@dataclass(frozen=True)
class Case:
    """A row at one number of threads and connections: the unit that is compared."""

    row: Row
    threads: int
    connections: int

    @property
    def label(self) -> str:
        return f"{self.row.name} @{self.threads}"


def cases(names: list[str], threads: tuple[int, ...] | None, connections: int | None) -> list[Case]:
    """The named rows at their own or the given threads and connections."""
    found = []
    for name in names:
        row = ROWS[name]
        counts = row.threads if row.fixed_threads or threads is None else threads
        if connections is not None and not row.fixed_connections:
            row = replace(row, connections=connections)
        found += [Case(row, count, row.connections) for count in counts]
    return found
