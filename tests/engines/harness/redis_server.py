"""A Redis of a test's own, by a socket in a folder, which can be killed and come back."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.process import ServerProcess

if TYPE_CHECKING:
    import signal

PROGRAM = shutil.which("redis-server", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))


class RedisServer:
    def __init__(self) -> None:
        if PROGRAM is None:
            pytest.skip("redis-server is not installed")
        # A socket's path is short.
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self._socket = Path(self._folder.name) / "redis"
        self._process: ServerProcess | None = None

    def __enter__(self) -> RedisServer:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Until it can be asked."""
        assert PROGRAM is not None
        command = [PROGRAM, "--port", "0", "--unixsocket", str(self._socket), "--save", ""]
        self._process = ServerProcess(command, {**os.environ}, Path(self._folder.name))
        self._process.wait_for_line("eady to accept connections")

    def kill(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.signal(number)
