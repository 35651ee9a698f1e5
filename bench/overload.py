"""What a budget for waiting does where more is asked for than an application can do.

    python -m bench.overload [--engine NAME] [--rate 2000] [--capacity 500] [--seconds 20]

Requests arrive as they do in bench/open_loop.py, whether or not the server keeps up, each on a
connection that is free or else on a new one, so that all of them wait for workers and none for
another. The application answers `--capacity` requests a second and no more. It is measured with
`queue_timeout` and without, one after the other: how many were answered by the application, how
long these took, as their clients see it, and how busy the machine was, since a latency that was
measured beside other work says nothing.

Prints one JSON object for each.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import sys
import time
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.open_loop import Connection, arrivals, percentile
from bench.process import ServerError, free_port, running

APP = """
import threading, time

LOCK = threading.Lock()
NEXT = [0.0]

def app(environ, start_response):
    with LOCK:
        now = time.monotonic()
        turn = NEXT[0] = max(NEXT[0] + 1 / {capacity}, now)
    time.sleep(turn - now)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
BUDGET_SECONDS = 1.0
DESCRIPTORS = 16_384


def overload(port: int, rate: float, seconds: float) -> dict[str, float]:
    """Offers it for so long, and counts what was answered within that time."""
    waiting = deque(arrivals(rate, seconds))
    offered = len(waiting)
    idle: deque[Connection] = deque()
    busy: dict[int, tuple[Connection, float]] = {}
    took: list[float] = []
    refused: list[float] = []
    watch = select.epoll()
    start = time.monotonic()
    behind = 0.0
    while (now := time.monotonic() - start) < seconds:
        while waiting and waiting[0].at <= now:
            at = waiting.popleft().at
            behind = max(behind, now - at)
            connection = idle.popleft() if idle else Connection(port)
            number = connection.socket.fileno()
            if number not in busy:
                watch.register(number, select.EPOLLIN | select.EPOLLONESHOT)
            connection.send("/")
            busy[number] = (connection, at)
        for number, _ in watch.poll(0.001):
            connection, at = busy[number]
            good = connection.receive()
            if good is None:
                watch.modify(number, select.EPOLLIN | select.EPOLLONESHOT)
                continue
            del busy[number]
            watch.unregister(number)
            (took if good else refused).append(time.monotonic() - start - at)
            # A refused one may be told that its connection ends.
            idle.append(connection) if good else connection.socket.close()
    for connection in (*idle, *(each for each, _ in busy.values())):
        connection.socket.close()
    watch.close()
    return {
        "offered_per_s": round(offered / seconds, 1),
        "goodput_per_s": round(len(took) / seconds, 1),
        "refused_per_s": round(len(refused) / seconds, 1),
        "unanswered": len(busy),
        "p50_s": round(percentile(took, 0.5), 3) if took else 0.0,
        "p99_s": round(percentile(took, 0.99), 3) if took else 0.0,
        "max_s": round(max(took, default=0.0), 3),
        "refused_max_s": round(max(refused, default=0.0), 3),
        "generator_behind_s": round(behind, 3),
        "load_average": os.getloadavg()[0],
    }


def measure(given: argparse.Namespace, budget: float) -> dict[str, float]:
    with TemporaryDirectory() as folder:
        (Path(folder) / "paced.py").write_text(APP.format(capacity=given.capacity))
        port = free_port()
        command = [sys.executable, "-m", "prowingen_wsgi", "paced:app", "--pythonpath", folder]
        command += ["--engine", given.engine, "--bind", f"127.0.0.1:{port}"]
        if budget:
            command += ["--queue-timeout", f"{budget:g}s"]
        log = Path(folder) / "log"
        with running(command, port=port, environment={}, cwd=Path.cwd(), log=log) as server:
            found = overload(port, given.rate, given.seconds)
            server.check()
    return {"queue_timeout": budget, **found}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description=__doc__)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--rate", type=float, default=2000, help="requests a second")
    parser.add_argument("--capacity", type=float, default=500, help="that the application does")
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = DESCRIPTORS if most == resource.RLIM_INFINITY else min(DESCRIPTORS, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    try:
        for budget in (BUDGET_SECONDS, 0.0):
            print(json.dumps({"engine": given.engine, **measure(given, budget)}), flush=True)
    except ServerError as error:
        print(f"bench.overload: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
