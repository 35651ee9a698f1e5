"""The server as process 1 of a namespace, as it is in a container without an `init` in front."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.process import URL, ServerProcess
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

APP = """
import os, subprocess, time

GATES = os.path.dirname(__file__)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/orphan":
        # The shell ends at once, and its child is nobody's, until somebody closes the gate.
        subprocess.run(["sh", "-c", "cat gate >/dev/null 2>&1 &"], check=True, cwd=GATES)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/slow":
        yield b"begun "
        time.sleep(1)
    yield b"done"
"""

ALONE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


@contextmanager
def as_process_1(engine: str, folder: Path, *arguments: str) -> Iterator[ServerProcess]:
    tried = subprocess.run([*ALONE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no namespace of processes: {tried.stderr.strip()}")
    (folder / "ones.py").write_text(APP)
    serve = [sys.executable, "-m", "prowingen_wsgi", "ones:app", "--engine", engine]
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    server = ServerProcess(
        [*ALONE, *serve, "--bind", "127.0.0.1:0", *arguments],
        {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
    )
    try:
        server.url = server.wait_for_line(URL)
        assert "pid 1)" in server.wait_for_line(r"listening on .*pid \d+\)")
        yield server
    finally:
        server.end()


def children(process: int) -> list[int]:
    return [
        int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


def readers(path: Path, processes: list[int]) -> int:
    """How many of them have it open."""
    found = 0
    for process in processes:
        with suppress(OSError):  # it has ended
            found += any(each.resolve() == path for each in Path(f"/proc/{process}/fd").iterdir())
    return found


@pytest.mark.parametrize("arguments", [[], ["--workers", "2"]], ids=["alone", "workers"])
def test_sigterm_lets_requests_finish_and_ends_it(
    engine: str, tmp_path: Path, arguments: list[str]
) -> None:
    with as_process_1(engine, tmp_path, *arguments) as server, server.connect() as wire:
        wire.get("/slow")
        reply = wire.reply()
        reply.exactly(6)
        (first,) = children(server.pid)
        os.kill(first, signal.SIGTERM)
        assert reply.rest().text == "begun done"
        assert server.wait() == 0, server.log


def test_a_supervisor_waits_for_orphans(engine: str, tmp_path: Path) -> None:
    gate = tmp_path.resolve() / "gate"
    os.mkfifo(gate)
    with (
        gate.open("r+b", buffering=0) as held,
        as_process_1(engine, tmp_path, "--workers", "1") as server,
    ):
        (first,) = children(server.pid)
        own = children(first)
        for _ in range(3):
            with server.connect() as wire:
                assert wire.ask("/orphan").text == "done"
        adopted = eventually(lambda: readers(gate, children(first)) == 3)
        assert adopted, "they are process 1's now"
        held.close()
        assert eventually(lambda: children(first) == own), "they stay as zombies"
        with server.connect() as wire:
            assert wire.ask().text == "done"
        os.kill(first, signal.SIGTERM)
        assert server.wait() == 0, server.log
