"""What runs on a host: the server with hosted.py, version after version."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.process import URL, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
DRAIN_DELAY = 3.0  # seconds
PROBED = ("--health-path", "/-/health", "--drain-delay", f"{DRAIN_DELAY:g}s")
STUCK = ("--health-stall", "1s", "--worker-timeout", "3s")
THREADS = 8
"""Of all workers of a host."""


class Host:
    """where: an address with its port; inside: what runs a command there, if that is elsewhere."""

    def __init__(
        self, name: str, where: str, engine: str, *arguments: str, inside: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.version = 0
        words = [sys.executable, "-m", "prowingen_wsgi", "hosted:app", "--engine", engine]
        size = ["--workers", "2", "--threads", "4"]
        self._command = [*inside, *words, "--bind", where, *size, *arguments]
        self._server: ServerProcess | None = None

    def begin(self) -> None:
        """Starts the next version."""
        self.end()
        self.version += 1
        folders = [str(HERE), os.environ.get("PYTHONPATH", "")]
        variables = {
            "PYTHONPATH": os.pathsep.join(filter(None, folders)),
            "FLEET_HOST": self.name,
            "FLEET_VERSION": str(self.version),
        }
        self._server = ServerProcess(self._command, {**os.environ, **variables})

    def start(self) -> None:
        """The same, and it serves."""
        self.begin()
        self.wait_until_it_serves()

    def wait_until_it_serves(self) -> None:
        self._running.wait_for_line(URL)

    def stop(self) -> int:
        """As whoever deploys does: SIGTERM, and the exit code when it has ended."""
        self._running.signal(signal.SIGTERM)
        return self._running.wait(30)

    def signal_all(self, number: signal.Signals) -> None:
        """To all of its processes."""
        os.killpg(self._running.pid, number)

    @property
    def log(self) -> str:
        return self._running.log

    @property
    def _running(self) -> ServerProcess:
        assert self._server is not None, f"{self.name} has not been started"
        return self._server

    def end(self) -> None:
        if self._server is not None:
            self._server.end()
            self._server = None
