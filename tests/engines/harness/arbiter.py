"""A real gunicorn under test: its output line by line, its workers, and clients of it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from harness.waiting import TIME_LIMIT, eventually

if TYPE_CHECKING:
    from pathlib import Path

_LISTENING = re.compile(r"Listening at: (\S+)")
_BOOTING = re.compile(r"Booting worker with pid: (\d+)")


class Arbiter:
    """gunicorn in a session of its own."""

    def __init__(
        self,
        arguments: list[str],
        folder: Path,
        environment: dict[str, str],
        launcher: tuple[str, ...] = (),
        **popen: Any,
    ) -> None:
        self.process = subprocess.Popen(
            [*launcher, sys.executable, "-m", "gunicorn", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
            **popen,
        )
        self.known_addresses: list[str] = []
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    # ---- output

    @property
    def output(self) -> str:
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, pattern: str, times: int = 1) -> list[re.Match[str]]:
        """The first lines of output that match, now or soon."""

        def found() -> list[re.Match[str]]:
            return [match for line in self._lines if (match := re.search(pattern, line))]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= times or self._ended, TIME_LIMIT)
            assert len(found()) >= times, f"no {pattern!r} in:\n{''.join(self._lines)}"
            return found()

    def addresses(self) -> list[str]:
        """Where it listens; as it says itself, unless the test knows better."""
        return self.known_addresses or self.wait_for(_LISTENING.pattern)[0].group(1).split(",")

    def booted(self, times: int = 1) -> list[int]:
        """Process ids of workers, in the order of their starts."""
        return [int(match.group(1)) for match in self.wait_for(_BOOTING.pattern, times)]

    # ---- clients

    def connect(self, index: int = 0) -> http.client.HTTPConnection:
        address = self.addresses()[index]
        if address.startswith("unix:"):
            return _UnixConnection(address.removeprefix("unix:"))
        host, port = address.removeprefix("http://").rsplit(":", 1)
        return http.client.HTTPConnection(host, int(port), timeout=TIME_LIMIT)

    def ask(self, target: str = "/", index: int = 0, **fields: str) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        connection = self.connect(index)
        try:
            names = {name.replace("_", "-"): value for name, value in fields.items()}
            connection.request("GET", target, headers={"Connection": "close", **names})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def look(self, target: str = "/", index: int = 0, **fields: str) -> dict[str, Any]:
        """What the application says about a request."""
        status, body = self.ask(target, index, **fields)
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer

    # ---- processes

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = TIME_LIMIT) -> int:
        code = self.process.wait(seconds)
        self._reader.join(TIME_LIMIT)
        return code

    def members(self) -> set[int]:
        """Process ids of the session."""
        found = subprocess.run(
            ["ps", "-o", "pid=,stat=", "-s", str(self.process.pid)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        rows = [line.split() for line in found.splitlines()]
        return {int(row[0]) for row in rows if not row[1].startswith("Z")}

    def gone(self, seconds: float = TIME_LIMIT) -> bool:
        """Whether no process of the session is left, now or soon."""
        return eventually(lambda: not self.members(), seconds)

    def end(self) -> None:
        """Ends what is left, and fails if a worker outlives its arbiter."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(TIME_LIMIT)
        left = not self.gone(5)
        if left:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(TIME_LIMIT)
        self._reader.join(TIME_LIMIT)
        assert self.process.stdout is not None
        self.process.stdout.close()
        assert not left, f"processes were left behind:\n{self.output}"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIME_LIMIT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIME_LIMIT)
        self.sock.connect(self._path)


class Load:
    """Clients that ask again and again, each on one connection for as long as it is kept alive."""

    def __init__(self, arbiter: Arbiter, clients: int = 8, target: str = "/") -> None:
        self._arbiter = arbiter
        self._target = target
        self._going = True
        self.pids: set[int] = set()
        self.answers = 0
        self.failures: list[str] = []
        self._lock = threading.Lock()  # guards the three above
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._going = False
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection = self._arbiter.connect()
        while self._going:
            try:
                connection.request("GET", self._target)
                response = connection.getresponse()
                answer = json.loads(response.read())
            except Exception as error:  # noqa: BLE001  # whatever it is, a request has failed
                connection.close()
                with self._lock:
                    self.failures.append(repr(error))
                continue
            with self._lock:
                self.answers += 1
                self.pids.add(answer["pid"])
        connection.close()
