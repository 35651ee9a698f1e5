"""One server process from start to end: started in its own session, ended by its pid."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import accounting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 15.0
STOP_SECONDS = 3.0
LOG_LINE = 300


class ServerError(Exception):
    """A server did not start, answered wrongly or ended early. Says why."""


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def usage(self) -> accounting.Usage:
        return accounting.usage(self.process.pid)

    def failed(self, what: str) -> ServerError:
        """With the last line that the server logged, mostly the reason."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return ServerError(f"{what}: {lines[-1][:LOG_LINE]}" if lines else what)

    def check(self) -> None:
        code = self.process.poll()
        if code is not None:
            raise self.failed(f"ended with {code}")


def free_port() -> int:
    """A port below the ephemeral range, so that no client socket can be holding it."""
    for port in random.sample(range(20000, 32000), 200):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerError("no free port between 20000 and 32000")


@contextmanager
def running(
    command: list[str], *, port: int, environment: dict[str, str], cwd: Path, log: Path
) -> Iterator[Running]:
    """Starts `command`, waits until it accepts connections, and ends it at the end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=os.environ | environment,
                start_new_session=True,
            )
        except OSError as error:
            raise ServerError(f"cannot be run: {error.strerror}") from error
    server = Running(process, port, log)
    try:
        _await_connect(server)
        yield server
    finally:
        _stop(process)


def _await_connect(server: Running) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        server.check()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", server.port), 1).close()
            return
        time.sleep(0.02)
    raise server.failed(f"accepted no connection within {START_SECONDS:.0f} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Asks the first process to end, then ends whatever is left of its tree."""
    members = {
        (stat.pid, stat.started) for stat in accounting.tree(process.pid, accounting.all_stats())
    }
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    for stat in accounting.all_stats():
        if (stat.pid, stat.started) in members or stat.session == process.pid:
            with suppress(ProcessLookupError):
                os.kill(stat.pid, signal.SIGKILL)
    process.wait()
