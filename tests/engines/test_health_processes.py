"""Probes of a server with several processes, and of one that is about to stop."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from harness.process import run_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.process import ServerProcess

APP = """
import os, threading, prowingen_wsgi

STUCK = threading.Event()

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stuck":
        STUCK.wait(60)
    if path == "/unready":
        prowingen_wsgi.set_ready(False)
    if path == "/free":
        STUCK.set()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""

HEALTH = ("--health-path", "/-", "--health-stall", "0.3s")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "probed.py").write_text(APP)
    return tmp_path


@pytest.fixture(params=[0, 2], ids=["alone", "workers"])
def workers(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


@pytest.fixture
def server(engine: str, folder: Path, workers: int) -> Iterator[ServerProcess]:
    with run_server(
        "probed:app",
        engine,
        *("--workers", str(workers), "--threads", "1", "--drain-delay", "2s", *HEALTH),
        environment={"PYTHONPATH": str(folder)},
    ) as started:
        yield started


def ask(server: ServerProcess, path: str = "/-/ready") -> tuple[int, str]:
    with server.connect() as wire:
        answer = wire.ask(path, "Connection: close")
        return answer.status, answer.text


def test_a_server_that_is_told_to_stop_serves_on_and_is_not_ready(server: ServerProcess) -> None:
    assert eventually(lambda: ask(server)[0] == 200)
    begun = time.monotonic()
    server.signal(signal.SIGTERM)
    assert eventually(lambda: ask(server)[0] == 503)
    assert ask(server) == (503, "not ready: it is about to stop\n")
    assert ask(server, "/-/live") == (200, "alive\n")
    assert ask(server, "/")[0] == 200, "who comes yet is served"
    assert server.wait() in (0, -signal.SIGTERM)
    assert time.monotonic() - begun >= 2


def test_a_second_signal_ends_the_delay(server: ServerProcess) -> None:
    assert eventually(lambda: ask(server)[0] == 200)
    begun = time.monotonic()
    server.signal(signal.SIGTERM)
    assert eventually(lambda: ask(server)[0] == 503)
    server.signal(signal.SIGTERM)
    server.wait()
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("workers", [2], indirect=True)
def test_of_several_workers_one_that_is_ready_is_enough(server: ServerProcess) -> None:
    assert eventually(lambda: server.log.count(" is ready") == 2), "both serve"
    first = ask(server, "/unready")[1]
    # What one knows of the other is a tenth of a second old.
    assert eventually(lambda: ask(server)[0] == 200)
    assert all(ask(server)[0] == 200 for _ in range(20))
    # The other one says so too: then nobody is.
    assert eventually(lambda: ask(server, "/")[1] != first and ask(server, "/unready")[1] != first)
    assert eventually(lambda: ask(server)[0] == 503)
    assert ask(server) == (503, "not ready: the application says so\n")
