"""Thousands of clients that send half a request or hardly read: the process stays small, the others
are served as if nothing was, and it is over when they are gone."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import strangers
from harness.process import run_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.process import ServerProcess

pytestmark = pytest.mark.alone("its clients take what there is, and time is measured")

APP = "apps.strangers:app"
MIB = 1024


@contextmanager
def crowd(server: ServerProcess, *counts: int) -> Iterator[None]:
    """So many bodies, heads and readers, in a process of their own."""
    assert isinstance(server.address, tuple)
    command = [sys.executable, strangers.__file__, str(server.address[1]), *map(str, counts)]
    process = subprocess.Popen(
        command, cwd=Path(strangers.__file__).parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"all there\n"
        yield
    finally:
        process.communicate()  # the end of its input


def p99_of_normal_clients(count: int, *servers: ServerProcess) -> list[float]:
    """Of the time that their requests take, each on a connection of its own, in seconds. The
    servers are asked in turn, so that what else the machine has to do slows down each of them."""
    times: list[list[float]] = [[] for _ in servers]
    for _ in range(count):
        for server, taken in zip(servers, times, strict=True):
            started = time.perf_counter()
            with server.connect() as wire:
                assert wire.ask("/hello", "Connection: close").body == b"hello"
            taken.append(time.perf_counter() - started)
    return [sorted(taken)[int(count * 0.99)] for taken in times]


def survive(engine: str, bodies: int, heads: int, readers: int, budget: str) -> ServerProcess:
    """Returns the server's process, ended, with what it has said."""
    files = 2 * (bodies + heads + readers) + 200
    arguments = ["--threads", str(readers + 8), "--memory-budget", budget]
    with (
        run_server(APP, engine, *arguments, max_files=files) as server,
        run_server(APP, engine, "--threads", "8") as undisturbed,
    ):
        with crowd(server, bodies, heads, readers):
            p99, elsewhere = p99_of_normal_clients(1000, server, undisturbed)
            peak = server.resident_kib("VmHWM")
        bound = max(0.05, 3 * elsewhere)
        ended = time.monotonic()
        with server.connect() as wire:
            wire.post("/upload", bytes(1 << 20))
            assert wire.response().body == b"%d" % (1 << 20)
            assert len(wire.ask("/generated?10485760").body) == 10 << 20
        assert p99_of_normal_clients(20, server)[0] < 2 * bound
        assert time.monotonic() - ended < 5, "recovery"
        assert peak < 300 * MIB, f"{peak // MIB} MiB"
        assert p99 < bound, f"{p99 * 1000:.0f} ms, not {bound * 1000:.0f}"
        return server


def test_pieces_of_a_long_answer_are_freed_as_they_leave(engine: str) -> None:
    with run_server(APP, engine, "--threads", "1") as server, server.connect() as wire:
        assert wire.ask("/generated?1048576").status == 200
        before = server.resident_kib()
        wire.get(f"/generated?{128 << 20}")
        reply, taken = wire.reply(), 0
        while data := reply.data():
            taken += len(data)
        assert taken == 128 << 20
        assert server.resident_kib("VmHWM") - before < 24 * MIB


def test_a_few_hundred_strangers_are_survived(engine: str) -> None:
    server = survive(engine, 250, 250, 100, "16MiB")
    assert server.log.count("memory_budget is full") == 1


# proxygen keeps more for each connection than the bound allows for so many: docs/proxygen.md.
@pytest.mark.engines("embedded")
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_thousands_of_strangers_are_survived(engine: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 15_000:
        pytest.skip(f"a process may open {hard} files, and 15,000 are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        survive(engine, 2500, 2500, 2000, "32MiB")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
