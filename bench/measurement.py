"""One server in one case, once: start, check, warm up, measure, end.

The CPU of the server's tree is read right before the load starts and right after it
has ended, so it covers the requests that wrk counts and next to nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import certificate, h2load, idle, probe, static_files, websocket_load, wrk
from bench.limits import raise_open_files
from bench.load import LoadError, LoadResult
from bench.paths import OUT, ROOT
from bench.process import Running, ServerError, free_port, running
from bench.results import Measurement
from bench.rows import Case, Kind
from bench.servers import Launch, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

IDLE_CONNECTIONS = 10_000
SPARE_FILES = 500
BROADCASTS = 10
"""Of a round: a hundred thousand messages."""
MIXED_RATE = 1500.0
"""Arrivals a second: 150 of them block for 50 ms, which keeps 7.5 of 16 threads busy.
Far enough from 16 that waiting for a thread is rare and the server's own delays show."""


@dataclass(frozen=True)
class Window:
    seconds: float
    warm_up: float


@dataclass(frozen=True)
class Found:
    measurement: Measurement
    command: list[str]
    notes: list[str]


def measure(server: Server, case: Case, window: Window, *, log: bool = False) -> Found:
    """Raises ServerError or WrongAnswerError where there is nothing to measure."""
    if case.row.kind in (Kind.IDLE, Kind.BROADCAST):
        _require_files()
    load = os.getloadavg()[0]
    access_log = OUT / "access.log" if log else None
    if access_log is not None:
        access_log.unlink(missing_ok=True)
    launch = Launch(
        app=case.row.app,
        port=free_port(),
        threads=case.threads,
        connections=case.connections,
        row=case.row.name,
        access_log=access_log,
        tls=case.row.tls,
        http2=case.row.http2,
        http3=case.row.http3,
    )
    if case.row.tls:
        certificate.make()
    if case.row.files:
        static_files.make()

    command = server.command(launch)
    with _started(server, command, launch.port) as running_server:
        try:
            notes = probe.until_answered(case.row.probe, launch.port)
        except probe.WrongAnswerError as error:
            running_server.check()
            raise ServerError(str(error)) from None
        if window.warm_up and case.row.kind is not Kind.BROADCAST:
            _load(case, launch.port, window.warm_up)
        found = MEASURES[case.row.kind](running_server, case, window)
        running_server.check()
    return Found(replace(found, load_before=load), command, notes)


@contextmanager
def _started(server: Server, command: list[str], port: int) -> Iterator[Running]:
    if shutil.which(command[0]) is None:
        advice = "see --python" if server.ours else "`python -m bench setup` says why"
        raise ServerError(f"{Path(command[0]).name} is not installed: {advice}")
    environment = {"PYTHONPATH": str(ROOT)}
    with running(
        command,
        port=port,
        environment=environment | server.environment,
        cwd=server.folder,
        log=OUT / "logs" / f"{server.name}.log",
    ) as found:
        yield found


def _require_files() -> None:
    available = raise_open_files()
    if available < IDLE_CONNECTIONS + SPARE_FILES:
        raise ServerError(
            f"only {available} open files are allowed here: "
            f"{IDLE_CONNECTIONS + SPARE_FILES} are needed"
        )


def _load(case: Case, port: int, seconds: float) -> LoadResult:
    run = wrk.run
    if case.row.kind is Kind.ECHO:
        run = websocket_load.run
    elif case.row.http2 or case.row.http3:
        run = partial(h2load.run, protocol="h3" if case.row.http3 else "h2")
    try:
        return run(
            f"{'https' if case.row.tls else 'http'}://127.0.0.1:{port}{case.row.path}",
            connections=case.connections,
            seconds=seconds,
            options=case.row.options,
        )
    except LoadError as error:
        raise ServerError(str(error)) from None


def _closed_loop(server: Running, case: Case, window: Window) -> Measurement:
    before = server.usage()
    result = _load(case, server.port, window.seconds)
    after = server.usage()
    if not result.requests:
        raise server.failed("answered no request")
    return Measurement(
        requests=result.requests,
        requests_per_second=result.requests_per_second,
        p50_ms=None if case.row.pipelined else result.p50_ms,
        p99_ms=None if case.row.pipelined else result.p99_ms,
        cpu_us=1e6 * after.cpu_since(before) / result.requests,
        peak_rss_mib=after.peak_rss_kib / 1024,
        non_2xx=result.non_2xx,
        socket_errors=result.socket_errors,
        load_before=0.0,
    )


def _mixed(server: Running, case: Case, window: Window) -> Measurement:
    closed_loop = _closed_loop(server, case, window)
    seconds = max(1.0, window.seconds)
    command = [sys.executable, "-m", "bench.open_loop"]
    try:
        done = subprocess.run(
            [*command, str(server.port), str(MIXED_RATE), str(seconds)],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 30,
        )
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().rpartition("\n")[2]
        raise server.failed(f"open-loop load failed: {reason}") from None
    except subprocess.TimeoutExpired:
        raise server.failed("open-loop load did not end") from None
    latency: dict[str, float] = json.loads(done.stdout)
    return replace(closed_loop, extra=latency)


def _idle(server: Running, case: Case, window: Window) -> Measurement:
    without = _closed_loop(server, case, window)
    before = server.usage().rss_kib
    commands = websocket_load.holders if case.row.websocket else idle.commands
    with idle.holding(commands(server.port, IDLE_CONNECTIONS)) as holders:
        if holders.opened < IDLE_CONNECTIONS:
            raise server.failed(
                f"only {holders.opened} of {IDLE_CONNECTIONS} connections were answered"
            )
        after = server.usage().rss_kib
        loaded = _closed_loop(server, case, window)
        left = holders.count()
    if left < IDLE_CONNECTIONS:
        raise server.failed(f"only {left} of {IDLE_CONNECTIONS} connections stayed open")
    return replace(
        loaded,
        extra={
            "without_requests_per_second": without.requests_per_second,
            "throughput_ratio": loaded.requests_per_second / without.requests_per_second,
            "rss_before_mib": before / 1024,
            "rss_after_mib": after / 1024,
            "kib_per_connection": (after - before) / IDLE_CONNECTIONS,
        },
    )


def _broadcast(server: Running, case: Case, window: Window) -> Measurement:
    before_open = server.usage().rss_kib
    try:
        with websocket_load.listening(server.port, case.connections, BROADCASTS) as listeners:
            if listeners.opened < case.connections:
                raise server.failed(
                    f"only {listeners.opened} of {case.connections} WebSockets were answered"
                )
            after_open = server.usage().rss_kib
            if window.warm_up:
                listeners.broadcast()
            before = server.usage()
            found = listeners.broadcast()
            after = server.usage()
    except LoadError as error:
        raise server.failed(str(error)) from None
    return Measurement(
        requests=found.load.requests,
        requests_per_second=found.load.requests_per_second,
        p50_ms=found.load.p50_ms,
        p99_ms=found.load.p99_ms,
        cpu_us=1e6 * after.cpu_since(before) / max(1, found.load.requests),
        peak_rss_mib=after.peak_rss_kib / 1024,
        non_2xx=0,
        socket_errors=found.load.socket_errors,
        load_before=0.0,
        extra={
            "broadcast_ms": found.broadcast_ms,
            "spread_ms": found.spread_ms,
            "kib_per_connection": (after_open - before_open) / case.connections,
        },
    )


MEASURES = {
    Kind.CLOSED: _closed_loop,
    Kind.ECHO: _closed_loop,
    Kind.BROADCAST: _broadcast,
    Kind.LOG: _closed_loop,
    Kind.MIXED: _mixed,
    Kind.IDLE: _idle,
}
