"""Instructions of requests alone, as steadily as they can be counted: for a figure that is kept.

Valgrind's callgrind runs the server, and is told when to count: once it serves, has answered some
requests, and idles. So neither the start nor the end are in the count, which one run is enough for.
What differs from run to run is taken away: the seed of Python's hashes, the addresses, the
environment, and the order of things. There is one connection with one request at a time, so that
threads take turns in one way, however long a busy machine keeps them, or the client, waiting.
What the clock makes them do in between comes on top, and the more of it the slower the machine is:
so there are many short windows, and of each thread the one that it did least in counts. The main
thread has no part in requests, and wakes up by the clock alone: it is left out.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from counted_apps import MODULE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from counted_apps import Application

PATIENCE = 300.0
"""Seconds for whatever has to come: under valgrind all takes fifty times as long."""
WARM_UP = 200
"""Requests before it counts: Python specialises what it has run often."""


class CountError(Exception):
    """With what is to be said."""


@dataclass(frozen=True)
class Counting:
    """What is counted, and how long."""

    python: str
    engine: str
    application: Application
    windows: int = 24


def why_not() -> str:
    """The reason why nothing can be counted here; empty if it can."""
    for command in ("valgrind", "vgdb"):
        if shutil.which(command) is None:
            return f"{command} is not installed: it comes with the package valgrind"
    return ""


Window = dict[str, int]
"""Instructions by thread."""
MAIN = "01"
"""The process's first thread, by valgrind's number."""


def each_request(counting: Counting) -> float:
    """Instructions of one, over all threads."""
    return least(counted(counting)) / counting.application.requests


def least(windows: list[Window]) -> int:
    """Of each thread in its least busy window, together. One that a window has not did nothing."""
    threads = {thread for window in windows for thread in window} - {MAIN}
    return sum(min(window.get(thread, 0) for window in windows) for thread in threads)


def counted(counting: Counting) -> list[Window]:
    """Of so many requests, window by window."""
    if reason := why_not():
        raise CountError(reason)
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"{MODULE}.py").write_text(counting.application.source)
        port = _free_port()
        with _server(counting, folder, port) as server:
            client = _connected(server, port)
            with client:
                _ask(client, counting.application, WARM_UP)
                server.tell("instrumentation", "on")
                _ask(client, counting.application, counting.application.requests)
                server.tell("zero")
                found = []
                for number in range(counting.windows):
                    _ask(client, counting.application, counting.application.requests)
                    server.tell("dump", f"window {number + 1}")
                    found.append(window(folder, number + 1))
    return found


@dataclass(frozen=True)
class _Server:
    process: subprocess.Popen[str]
    folder: Path

    def tell(self, *words: str) -> None:
        """Valgrind, and not what it runs; it has done so when this returns."""
        prefix, pid = f"--vgdb-prefix={self.folder}/vgdb", f"--pid={self.process.pid}"
        done = subprocess.run(
            ["vgdb", prefix, pid, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if done.returncode:
            raise CountError(f"valgrind did not take {' '.join(words)!r}: {done.stderr.strip()}")

    def check(self) -> None:
        if self.process.poll() is not None:
            raise CountError(f"the server did not start:\n{self.process.communicate()[1]}")


@contextmanager
def _server(counting: Counting, folder: Path, port: int) -> Iterator[_Server]:
    # Addresses, of which some are hashed, are the same each time.
    fixed = ["setarch", "--addr-no-randomize"] if shutil.which("setarch") else []
    valgrind = ["valgrind", "--tool=callgrind", "--cache-sim=no", "--instr-atstart=no"]
    valgrind += ["--separate-threads=yes"]
    valgrind += [f"--callgrind-out-file={folder}/counts", f"--vgdb-prefix={folder}/vgdb"]
    serve = [counting.python, "-m", "prowingen_wsgi", f"{MODULE}:app", "--threads", "1"]
    serve += ["--bind", f"127.0.0.1:{port}", "--engine", counting.engine]
    process = subprocess.Popen(
        [*fixed, *valgrind, *serve],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "PYTHONHASHSEED": "0",
            "LC_ALL": "C.UTF-8",
        },
    )
    try:
        yield _Server(process, folder)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _connected(server: _Server, port: int) -> socket.socket:
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), PATIENCE)
        except ConnectionRefusedError:
            server.check()
        if time.monotonic() > ends:
            raise CountError(f"the server did not start within {PATIENCE:g} s")
        time.sleep(0.05)


def _ask(client: socket.socket, application: Application, requests: int) -> None:
    """One after another; each answer is looked at."""
    for _ in range(requests):
        client.sendall(application.question)
        answer = b""
        while not answer.endswith(application.end):
            piece = client.recv(65536)
            if not piece:
                raise CountError(f"the server closed its connection after {answer!r}")
            answer += piece
            if not b"HTTP/1.1 200 ".startswith(answer[:13]):
                raise CountError(f"the server answered {answer!r}")


def window(folder: Path, number: int) -> Window:
    """Of a dump, which is a file for each thread that did anything."""
    found = {}
    for path in folder.glob(f"counts.{number}-*"):
        if total := re.search(r"^totals: (\d+)", path.read_text(), re.MULTILINE):
            found[path.name.rpartition("-")[2]] = int(total[1])
    if not found:
        raise CountError("valgrind told no count")
    return found
