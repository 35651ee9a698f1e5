"""A signal that crosses with a request, at every moment of a process's life, cuts none."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.certificates import client_context, server_files
from harness.process import TESTS, URL, ServerProcess, run_server
from harness.proxyhead import v1
from harness.reloading import Bursts, connecting
from harness.waiting import eventually
from harness.wire import Wire, until_refused
from test_supervisor import children, is_gone, ready, supervised, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are found in /proc"
)

# Takes a moment to be loaded, to answer, and to leave, and notes what it does, with who does it.
SLOW = """
import atexit, os, time
from pathlib import Path

notes = Path(__file__).with_name("notes")

def note(what):
    with notes.open("a") as file:
        file.write(f"{what} {os.getpid()}\\n")

def leave():
    note("leaving")
    time.sleep(0.3)
    note("left")

note("loading")
time.sleep(0.2)
atexit.register(leave)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/crash" and "crashed" not in notes.read_text():
        note("crashed")
        os._exit(7)
    start_response("200 OK", [("Content-Length", "10")])
    yield b"begun "
    time.sleep(0.3)
    yield b"done"
"""


def notes(folder: Path, what: str) -> list[int]:
    """Who has done that so far, by process id."""
    path = folder / "notes"
    lines = path.read_text().splitlines() if path.exists() else []
    return [int(line.split()[1]) for line in lines if line.startswith(what + " ")]


@contextmanager
def starting(engine: str, folder: Path, *arguments: str) -> Iterator[tuple[ServerProcess, Wire]]:
    """A server that is about to load the slow application, and a client that waits already."""
    (folder / "slow.py").write_text(SLOW)
    socket = f"/tmp/prowingen-{os.getpid()}.sock"
    command = [sys.executable, "-m", "prowingen_wsgi", "slow:app", "--engine", engine]
    command += ["--bind", f"unix:{socket}", *arguments]
    path = os.pathsep.join([str(folder), str(TESTS)])
    server = ServerProcess(command, {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"})
    try:
        wait_until(lambda: notes(folder, "loading") != [], server.log)
        with Wire(socket) as wire:
            yield server, wire
    finally:
        server.end()
        (folder / "notes").unlink()


WAYS = [(), ("--workers", "1"), ("--workers", "1", "--preload")]


@pytest.mark.parametrize("arguments", WAYS, ids=["single", "forked", "preloaded"])
def test_a_stop_right_after_the_start_lets_the_first_request_finish(
    engine: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with starting(engine, tmp_path, *arguments) as (server, wire):
        wire.get()
        reply = wire.reply()
        assert reply.data() == b"begun "
        server.signal()
        assert reply.rest().body == b"begun done"
        wire.close()  # which the server waits for
        assert server.wait() == 0
        assert notes(tmp_path, "left") == notes(tmp_path, "leaving") != []


def test_a_worker_that_still_loads_holds_up_no_stop(engine: str, tmp_path: Path) -> None:
    with starting(engine, tmp_path, "--workers", "2") as (server, _):
        server.signal()
        assert server.wait() == 0
        assert ready(server) == 0


def test_a_worker_whose_supervisor_is_killed_at_the_start_answers_and_leaves(
    engine: str, tmp_path: Path
) -> None:
    with starting(engine, tmp_path, "--workers", "1") as (server, wire):
        wire.get()
        server.signal(signal.SIGKILL)
        assert wire.response().body == b"begun done"
        (worker,) = notes(tmp_path, "loading")
        wait_until(lambda: is_gone(worker), "an orphan is left")
        assert notes(tmp_path, "left") == [worker]


def test_a_worker_that_crashes_in_its_first_request_could_start(
    engine: str, tmp_path: Path
) -> None:
    with starting(engine, tmp_path, "--workers", "1") as (server, wire):
        wire.get("/crash")
        server.wait_for_line("exited with code 7")
        wait_until(lambda: ready(server) == 2, server.log)
        server.signal()
        assert server.wait() == 0


def test_a_stop_that_a_group_is_told_of_is_no_second_signal(engine: str, tmp_path: Path) -> None:
    """As by timeout(1), or by systemd's KillMode=control-group."""
    (tmp_path / "slow.py").write_text(SLOW)
    with supervised(engine, app="slow:app", workers=1, path=tmp_path) as server:
        worker = children(server.pid)[0]
        with server.connect() as wire:
            wire.get()
            reply = wire.reply()
            reply.data()
            os.killpg(server.pid, signal.SIGTERM)
            assert reply.rest().body == b"begun done"
        assert server.wait() == 0
        assert notes(tmp_path, "left") == [worker]


def test_a_signal_does_not_cut_the_exit_of_a_worker(engine: str, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    with supervised(engine, app="slow:app", workers=1, path=tmp_path) as server:
        old = children(server.pid)[0]
        server.signal(signal.SIGHUP)
        wait_until(lambda: notes(tmp_path, "leaving") == [old], server.log)
        for number in (signal.SIGTERM, signal.SIGUSR1):
            os.kill(old, number)
        wait_until(lambda: notes(tmp_path, "left") == [old], server.log)


def test_a_worker_that_still_loads_is_not_ended_by_a_rotation_of_logs(
    engine: str, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    with starting(engine, tmp_path, "--workers", "1", "--access-log", str(log)) as (server, wire):
        server.signal(signal.SIGUSR1)
        wire.get()
        assert wire.response().status == 200
        wire.close()
        server.signal()
        assert server.wait() == 0
        assert len(notes(tmp_path, "loading")) == 1
        assert log.read_text().count("GET / HTTP/1.1") == 1


BLOCKS_SIGNALS = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"


@pytest.mark.parametrize("arguments", WAYS, ids=["single", "forked", "preloaded"])
def test_an_application_that_blocks_signals_can_be_stopped(
    engine: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "blocks.py").write_text(f"{BLOCKS_SIGNALS}\nfrom apps.workers import app\n")
    environment = {"PYTHONPATH": str(tmp_path)}
    with run_server("blocks:app", engine, *arguments, environment=environment) as server:
        server.signal()
        assert server.wait(5) == 0
        assert "is killed" not in server.log


def test_who_starts_it_with_blocked_signals_can_stop_it() -> None:
    for workers in ("0", "1"):
        program = "import os, signal, sys\n"
        program += "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        program += "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        command = [sys.executable, "-c", program, "-m", "prowingen_wsgi", "apps.plain:app"]
        command += ["--bind", "127.0.0.1:0", "--workers", workers]
        server = ServerProcess(command, {**os.environ, "PYTHONPATH": str(TESTS)})
        try:
            server.wait_for_line(URL)
            server.signal()
            assert server.wait(5) == 0
        finally:
            server.end()


# ---- a whole group


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_what_the_supervisor_answers_ends_no_request_of_its_group(
    engine: str, tmp_path: Path, number: signal.Signals
) -> None:
    """As from a terminal that hangs up, or from who rotates logs."""
    (tmp_path / "slow.py").write_text(SLOW)
    with supervised(engine, app="slow:app", workers=1, path=tmp_path) as server:
        with server.connect() as wire:
            wire.get()
            reply = wire.reply()
            reply.data()
            os.killpg(server.pid, number)
            assert reply.rest().body == b"begun done"
        assert "was killed" not in server.log


STARTS_A_PROGRAM = """
import subprocess

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield subprocess.run(["cat", "/proc/self/status"], stdout=subprocess.PIPE).stdout
"""


def test_a_program_that_a_worker_starts_ignores_no_signal(engine: str, tmp_path: Path) -> None:
    (tmp_path / "starts.py").write_text(STARTS_A_PROGRAM)
    with supervised(engine, app="starts:app", workers=1, path=tmp_path) as server:
        with server.connect() as wire:
            status = wire.ask().text
        ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM):
            assert not ignored & 1 << number - 1, number.name


# ---- reloads


@pytest.mark.parametrize("way", [(), ("--preload",), ("--max-requests", "200")])
def test_bursts_of_reloads_lose_no_request(engine: str, way: tuple[str, ...]) -> None:
    with supervised(engine, *way) as server:
        with connecting(server.address) as tally:
            for _ in range(3):
                tally.wait_for_answers(200)
                Bursts(changing=True).send(server)
            started = ready(server)
            wait_until(lambda: ready(server) > started, server.log)
            tally.wait_for_answers(200)
        assert tally.lost == []
        assert "is killed" not in server.log


# ---- a process that does not run for a while

# Longer than a drain waits for a first request.
FROZEN = 1.2


@contextmanager
def frozen(process: int) -> Iterator[None]:
    """It does not run for a while, in which the client does what it does."""
    thaw = threading.Timer(FROZEN, os.kill, (process, signal.SIGCONT))
    os.kill(process, signal.SIGSTOP)
    stat = Path(f"/proc/{process}/stat")
    assert eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
    thaw.start()
    try:
        yield
    finally:
        thaw.join()


def test_a_request_that_comes_while_a_draining_process_does_not_run_is_answered(
    engine: str,
) -> None:
    with run_server("apps.plain:app", engine) as server:
        wires = [server.connect() for _ in range(6)]
        assert wires[0].ask().body == b"hello"
        wires[1].send(b"GET / HT")
        server.signal()
        until_refused(server.connect)
        with frozen(server.pid):
            wires[1].send(b"TP/1.1\r\nHost: test\r\n\r\n")
            for wire in (wires[0], *wires[2:]):
                wire.get()
            time.sleep(FROZEN)
        for wire in wires:
            response = wire.response()
            assert response.body == b"hello"
            assert response.closes
            wire.close()
        assert server.wait() == 0


def test_a_request_that_came_before_the_drain_of_an_idle_connection_is_answered(
    engine: str,
) -> None:
    """It was idle for so long that the drain leaves it no time."""
    with run_server("apps.plain:app", engine) as server, server.connect() as wire:
        assert wire.ask().body == b"hello"
        time.sleep(FROZEN)
        with frozen(server.pid):
            server.signal()
            wire.get()
        assert wire.response().body == b"hello"
        wire.close()
        assert server.wait() == 0


def test_a_time_limit_does_not_count_what_came_while_the_process_did_not_run(engine: str) -> None:
    arguments = ("--header-timeout", "1", "--body-timeout", "1", "--keep-alive-timeout", "1")
    with run_server("apps.plain:app", engine, *arguments) as server:
        fresh, used, half = (server.connect() for _ in range(3))
        assert used.ask().body == b"hello"
        half.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nab")
        with frozen(server.pid):
            for wire in (fresh, used):
                wire.get()
            half.send(b"cd")
            time.sleep(FROZEN)
        # A body's time is proxygen's own there (docs/proxygen.md).
        for wire in (fresh, used) if engine == "proxygen" else (fresh, used, half):
            assert wire.response().status == 200
        for wire in (fresh, used, half):
            wire.close()


@pytest.mark.parametrize("proxy", [False, True], ids=["direct", "proxied"])
def test_a_handshake_that_comes_while_a_draining_process_does_not_run_is_finished(
    engine: str, proxy: bool
) -> None:
    files = server_files()
    arguments = ["--certfile", files.certfile, "--keyfile", files.keyfile]
    arguments += ["--proxy-protocol"] if proxy else []
    with run_server("apps.plain:app", engine, *arguments) as server, server.connect() as wire:
        server.signal()
        until_refused(server.connect)
        with frozen(server.pid):
            if proxy:
                wire.send(v1())
            wire.socket = client_context().wrap_socket(wire.socket, server_hostname="localhost")
        assert wire.ask().body == b"hello"
        wire.close()
        assert server.wait() == 0


PIPED = """
import signal
signal.signal(signal.SIGPIPE, signal.SIG_DFL)

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""


@pytest.mark.parametrize("io_threads", [1, 2])
def test_a_client_that_leaves_a_file_ends_no_process_that_dies_of_that(
    engine: str, tmp_path: Path, io_threads: int
) -> None:
    """sendfile(2) cannot be told to raise no SIGPIPE, by which such a program ends."""
    (tmp_path / "piped.py").write_text(PIPED)
    with (tmp_path / "large").open("wb") as large:
        large.truncate(256 * 1024 * 1024)
    with run_server(
        "piped:app",
        engine,
        *("--static", f"/files={tmp_path}", "--io-threads", str(io_threads)),
        environment={"PYTHONPATH": str(tmp_path)},
    ) as server:
        for _ in range(20):
            wire = server.connect()
            assert wire.ask("/").text == "hello"
            wire.get("/files/large")
            assert wire.socket.recv(1000).startswith(b"HTTP/1.1 200")
            wire.finish_sending()
            wire.reset()
            with server.connect() as other:
                assert other.ask("/").text == "hello"
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
