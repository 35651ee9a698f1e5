"""Under systemd: sockets that it passes, and what it is told (sd_listen_fds(3), sd_notify(3))."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.process import TESTS, ServerProcess, run_server
from harness.wire import Wire
from test_supervisor import APP, children, ready, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

PASS_ON = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


class Manager:
    """systemd's end of a notify socket."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(20)

    def hear(self, *wanted: str) -> dict[str, str]:
        """The next message that has one of these names; others are passed over."""
        while True:
            lines = self._socket.recv(4096).decode().splitlines()
            said = dict(line.split("=", 1) for line in lines)
            if set(wanted) & set(said):
                return said

    def hears_within(self, seconds: float, after: float) -> bool:
        """Whether anything comes in so many seconds, but for what comes before."""
        time.sleep(after)
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(4096):
                pass
        self._socket.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            return bool(self._socket.recv(4096))
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path)
    yield manager
    manager.close()


@contextmanager
def activated(engine: str, *arguments: str, names: str = "") -> Iterator[tuple[ServerProcess, int]]:
    """A server with a socket as systemd passes it, and the socket's port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        # Moved to where systemd has it, by the process that is then the server: LISTEN_PID fits.
        command = [sys.executable, "-c", PASS_ON, str(listener.fileno())]
        command += ["-m", "prowingen_wsgi", APP, "--engine", engine, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(TESTS), "LISTEN_FDS": "1"}
        if names:
            environment["LISTEN_FDNAMES"] = names
        server = ServerProcess(command, environment, pass_fds=(listener.fileno(),))
        try:
            yield server, port
        finally:
            server.end()


def ask(port: int) -> str:
    with Wire(("127.0.0.1", port)) as wire:
        return wire.ask("/", "Connection: close").text


@pytest.mark.parametrize("workers", ["0", "2"])
def test_it_serves_on_the_sockets_that_are_passed(engine: str, workers: str) -> None:
    with activated(engine, "--bind", "systemd", "--workers", workers) as (server, port):
        server.wait_for_line(f"listening on http://127.0.0.1:{port} ")
        assert int(ask(port)) in [server.pid, *children(server.pid)]
        if workers != "0":
            wait_until(lambda: ready(server) == 2, server.log)
            server.signal(signal.SIGHUP)
            wait_until(lambda: ready(server) == 4, "no reload")
            assert ask(port)
        server.signal()
        assert server.wait() == 0


def test_sockets_are_chosen_by_their_names(engine: str) -> None:
    with activated(engine, "--bind", "systemd:web", names="web") as (server, port):
        server.wait_for_line(f":{port} ")
        assert ask(port)
    with activated(engine, "--bind", "systemd:admin", names="web") as (server, _):
        assert server.wait() == 1
        assert "systemd has passed no socket called admin" in server.log


def test_without_a_socket_it_says_so(engine: str) -> None:
    refused = "systemd has passed no socket to this process"
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}  # another's
    arguments = ("--bind", "systemd")
    with (
        pytest.raises(AssertionError, match=refused),
        run_server(APP, engine, *arguments, environment=environment),
    ):
        pass


@pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None, reason="systemd-socket-activate is missing"
)
def test_it_is_started_by_the_first_connection(engine: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=web"]
    command += [f"-E{name}" for name in ("PATH", "PYTHONPATH")]
    command += [sys.executable, "-m", "prowingen_wsgi", APP, "--engine", engine]
    command += ["--bind", "systemd:web", "--workers", "1"]
    server = ServerProcess(command, {**os.environ, "PYTHONPATH": str(TESTS)})
    try:
        server.wait_for_line("Listening on")
        assert "prowingen" not in server.log
        assert ask(port)
        server.signal()
        assert server.wait() == 0
    finally:
        server.end()


def test_a_supervisor_tells_of_its_life(engine: str, manager: Manager) -> None:
    environment = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "500000"}
    with run_server(APP, engine, "--workers", "2", environment=environment) as server:
        assert manager.hear("READY")["STATUS"] == "serving by 2 workers"
        for _ in range(3):
            assert manager.hear("WATCHDOG")["WATCHDOG"] == "1"
        server.signal(signal.SIGHUP)
        assert int(manager.hear("RELOADING")["MONOTONIC_USEC"]) > 0
        assert manager.hear("READY")
        server.signal()
        assert manager.hear("STOPPING")
        assert server.wait() == 0


def test_a_process_without_a_supervisor_does_so_too(engine: str, manager: Manager) -> None:
    environment = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "500000"}
    with run_server(APP, engine, environment=environment) as server:
        assert manager.hear("READY")["STATUS"] == "serving"
        for _ in range(3):
            assert manager.hear("WATCHDOG")["WATCHDOG"] == "1"
        server.signal()
        assert manager.hear("STOPPING")
        assert server.wait() == 0


def test_a_stuck_process_lets_the_watchdog_bite(engine: str, manager: Manager) -> None:
    environment = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"}
    arguments = ("--threads", "1")
    with run_server(APP, engine, *arguments, environment=environment) as server:
        assert manager.hear("WATCHDOG")
        with server.connect() as wire:
            wire.get("/hang")
            assert not manager.hears_within(1.5, after=0.5)
        server.signal(signal.SIGQUIT)
        server.wait()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_the_unit_files_are_sound(tmp_path: Path) -> None:
    for unit in DEPLOY.glob("prowingen@.*"):
        # A program that is there, in the place of the installed one.
        text = unit.read_text().replace("/usr/bin/prowingen", sys.executable)
        (tmp_path / unit.name.replace("@", "@app")).write_text(text)
    units = [str(path) for path in tmp_path.glob("prowingen@app.*")]
    assert len(units) == 2
    command = ["systemd-analyze", "verify", "--man=no", *units]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in result.stderr.splitlines() if "prowingen" in line]
    assert complaints == []
