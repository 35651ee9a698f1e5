"""A server in a process of its own, as its users start it from a shell."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from harness.site import address_of
from harness.wire import Address, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).resolve().parents[2]
URL = re.compile(r"(https?://[^\s,]+:\d+|unix:[^\s,]+)")
START_TIMEOUT = 20.0
STOP_TIMEOUT = 15.0


class ServerProcess:
    """Started with its standard error read by a thread, so that it never blocks on the pipe."""

    def __init__(
        self,
        command: list[str],
        env: dict[str, str],
        cwd: Path = TESTS,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=pass_fds,
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.url = ""

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def log(self) -> str:
        with self._changed:
            return "".join(self._lines)

    def wait_for_line(self, pattern: str | re.Pattern[str], timeout: float = START_TIMEOUT) -> str:
        """The first match in the output so far or to come."""
        compiled = re.compile(pattern)
        found: list[str] = []

        def seen() -> bool:
            match = compiled.search("".join(self._lines))
            if match:
                found.append(match.group(0))
            return bool(found) or self._ended

        with self._changed:
            self._changed.wait_for(seen, timeout)
        assert found, f"no {compiled.pattern!r} in:\n{self.log}"
        return found[0]

    tls = None

    @property
    def address(self) -> Address:
        return address_of(self.url)

    @property
    def port(self) -> int:
        address = self.address
        assert isinstance(address, tuple)
        return address[1]

    @property
    def pid(self) -> int:
        return self.process.pid

    def connect(self, **options: float) -> Wire:
        return Wire(self.address, **options)  # type: ignore[arg-type]

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code

    def resident_kib(self, field: str = "VmRSS") -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found.group(1))

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # with the processes that it started
        self.process.wait(STOP_TIMEOUT)
        self._reader.join(STOP_TIMEOUT)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def run_server(
    app: str,
    engine: str,
    *arguments: str,
    max_files: int | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[ServerProcess]:
    """`python -m prowingen_wsgi app` on a free port, ready to be asked; killed at the end."""
    command = [sys.executable, "-m", "prowingen_wsgi", app, "--engine", engine]
    if "--bind" not in arguments:
        command += ["--bind", "127.0.0.1:0"]
    command += arguments
    if max_files is not None:
        # A shell sets the limit: preexec_fn is unsafe in a process that runs threads.
        command = ["sh", "-c", f'ulimit -n {max_files} && exec "$0" "$@"', *command]
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH", "")]))
    env = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(environment or {})}
    server = ServerProcess(command, env)
    try:
        server.url = server.wait_for_line(URL)
        yield server
    finally:
        server.end()
