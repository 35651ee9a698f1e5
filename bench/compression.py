"""What compressing costs, level by level, beside nginx's.

    python -m bench compression [--levels 1,5,9] [--seconds 2] [--kib 64]

The same page is asked for as it is and in each coding, over kept connections, of one process each:
of nginx as a file, of ours from a WSGI application. The difference of both is what the coding
costs: CPU seconds of the server's process for each MiB of the page. nginx codes by zlib.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import statistics
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bench import wrk
from bench.paths import OUT, ROOT
from bench.process import Running, free_port, running
from bench.static_servers import NGINX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FOLDER = OUT / "compression"
PAGE = FOLDER / "page.json"
CONNECTIONS = 8
MIB = 1 << 20

_NGINX = """\
daemon off;
{user}
worker_processes 1;
pid {out}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    open_file_cache max=10;
    types {{ application/json json; }}
    gzip on;
    gzip_comp_level {level};
    gzip_types application/json;
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {folder}; }}
    }}
}}
"""


def make_page(size: int) -> bytes:
    """Rows as an API answers them; always the same."""
    chance = random.Random(1)
    words = [chance.randbytes(chance.randrange(2, 6)).hex() for _ in range(400)]
    rows: list[dict[str, object]] = []
    while len(json.dumps(rows)) < size:
        for _ in range(20):
            rows.append(
                {
                    "id": len(rows),
                    "name": " ".join(chance.sample(words, 3)),
                    "email": f"user{chance.randrange(10**6)}@example.org",
                    "active": chance.random() < 0.5,
                    "score": round(chance.random() * 100, 2),
                    "tags": chance.sample(words, 3),
                }
            )
    return json.dumps(rows).encode()


def app(_environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Of ours; nginx has the same in a file."""
    start_response("200 OK", [("Content-Type", "application/json")])
    return [_page()]


def _page() -> bytes:
    if not _kept:
        _kept.append(PAGE.read_bytes())
    return _kept[0]


_kept: list[bytes] = []


@dataclass(frozen=True)
class Cost:
    requests_per_second: float
    cpu_us: float
    """Of a request."""
    size: int
    """Of the answer's content."""


@contextmanager
def nginx(level: int) -> Iterator[Running]:
    port = free_port()
    path = FOLDER / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    path.write_text(_NGINX.format(user=user, out=FOLDER, folder=FOLDER, level=level, port=port))
    command = [NGINX or "nginx", "-p", str(FOLDER), "-e", "stderr", "-c", str(path)]
    with running(
        command, port=port, environment={}, cwd=ROOT, log=OUT / "logs" / "nginx.log"
    ) as server:
        yield server


@contextmanager
def ours(engine: str, coding: str, level: int) -> Iterator[Running]:
    port = free_port()
    command = [
        *(sys.executable, "-m", "prowingen_wsgi", "bench.compression:app", "--engine", engine),
        *("--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--compress"),
        *("--compress-codings", f"{coding}:{level}"),
    ]
    with running(
        command, port=port, environment={}, cwd=ROOT, log=OUT / "logs" / f"{engine}.log"
    ) as server:
        yield server


def measure(server: Running, coding: str, seconds: float) -> Cost:
    url = f"http://127.0.0.1:{server.port}/{PAGE.name}"
    request = urllib.request.Request(url, headers={"Accept-Encoding": coding})
    with urllib.request.urlopen(request) as answer:
        content = answer.read()
        told = answer.headers["Content-Encoding"] or "identity"
    if told != coding:
        raise ValueError(f"{url}: {told} where {coding} was asked for")
    if coding == "gzip" and gzip.decompress(content) != PAGE.read_bytes():
        raise ValueError(f"{url}: another page")
    before = server.usage()
    load = wrk.run(
        url,
        connections=CONNECTIONS,
        seconds=seconds,
        options=["-H", f"Accept-Encoding: {coding}"],
    )
    cpu = server.usage().cpu_since(before)
    if load.errors:
        raise ValueError(f"{url}: {load.errors} requests failed")
    return Cost(load.requests_per_second, cpu / load.requests * 1e6, len(content))


def compare(levels: Iterable[int], engines: list[str], seconds: float, rounds: int) -> None:
    size = PAGE.stat().st_size
    print("| coding | server | ratio | coding, CPU ms/MiB | whole, CPU ms/MiB | requests/s |")
    print("|---|---|---|---|---|---|")
    for level in levels:
        makers: dict[str, tuple[str, Callable[[], Any]]] = {}
        if NGINX is not None:
            makers["nginx"] = "gzip", partial(nginx, level)
        for engine in engines:
            for coding in ("gzip", "br", "zstd"):
                makers[f"prowingen-{engine} {coding}"] = (
                    coding,
                    partial(ours, engine, coding, level),
                )
        costs: dict[str, list[tuple[Cost, Cost]]] = {name: [] for name in makers}
        for _ in range(rounds):
            for name, (coding, make) in makers.items():
                with make() as server:
                    plain = measure(server, "identity", seconds)
                    costs[name].append((plain, measure(server, coding, seconds)))
        for name, pairs in costs.items():
            scale = MIB / size / 1e3
            alone = statistics.median(
                (coded.cpu_us - plain.cpu_us) * scale for plain, coded in pairs
            )
            whole = statistics.median(coded.cpu_us * scale for _, coded in pairs)
            rate = statistics.median(coded.requests_per_second for _, coded in pairs)
            coding = makers[name][0]
            ratio = size / pairs[0][1].size
            row = f"{name.split()[0]} | {ratio:.2f} | {alone:.2f} | {whole:.2f} | {rate:,.0f}"
            print(f"| {coding}:{level} | {row} |", flush=True)


def prepare(kib: int) -> None:
    if shutil.which("wrk") is None:
        raise ValueError("no wrk: run `python -m bench setup`")
    FOLDER.mkdir(parents=True, exist_ok=True)
    PAGE.write_bytes(make_page(kib * 1024))
