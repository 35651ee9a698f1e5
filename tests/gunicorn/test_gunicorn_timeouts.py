"""gunicorn's timeout kills a worker whose threads are all stuck, and no other."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.waiting import TIME_LIMIT, eventually

if TYPE_CHECKING:
    import http.client
    import re
    from collections.abc import Callable, Iterator

    from harness.arbiter import Arbiter

    Start = Callable[..., Arbiter]

# Looked at every quarter of a second with a timeout of one.
TIMEOUT = 1
LONGER = 2.25 * TIMEOUT


def _hang(arbiter: Arbiter, seconds: float, requests: int = 1) -> list[socket.socket]:
    """Connections whose requests keep threads busy."""
    host, port = arbiter.addresses()[0].removeprefix("http://").split(":")
    wires = []
    for number in range(requests):
        wire = socket.create_connection((host, int(port)), timeout=TIME_LIMIT)
        wire.sendall(f"GET /sleep?{seconds} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wires.append(wire)
        arbiter.wait_for("sleeping", number + 1)
    return wires


def _close(wires: list[socket.socket]) -> None:
    for wire in wires:
        wire.close()


def test_a_stuck_worker_is_killed_and_replaced(start: Start) -> None:
    arbiter = start("--threads", "2", "--timeout", str(TIMEOUT))
    (first,) = arbiter.booted()
    began = time.monotonic()
    wires = _hang(arbiter, 60, requests=2)
    (timeout,) = arbiter.wait_for(r"WORKER TIMEOUT \(pid:(\d+)\)")
    taken = time.monotonic() - began
    assert int(timeout.group(1)) == first
    assert TIMEOUT <= taken < TIMEOUT + 5
    arbiter.wait_for("All threads are stuck")
    arbiter.wait_for("in _sleep")  # where they are
    second = arbiter.booted(2)[1]
    assert arbiter.look()["pid"] == second
    _close(wires)


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    """A worker that takes nothing, so that the other one does."""
    os.kill(pid, signal.SIGSTOP)
    try:
        stat = Path(f"/proc/{pid}/stat")
        assert eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_other_worker_goes_on_meanwhile(start: Start) -> None:
    arbiter = start("-w", "2", "--threads", "2", "--timeout", str(TIMEOUT))
    stuck, well = arbiter.booted(2)
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(arbiter.connect())) for _ in range(3)]
        with _frozen(stuck):
            assert {_pid(client) for client in clients} == {well}
        with _frozen(well):
            wires = _hang(arbiter, 60, requests=2)
        stack.callback(_close, wires)
        timeouts: list[re.Match[str]] = []
        waiting = threading.Thread(
            target=lambda: timeouts.extend(arbiter.wait_for(r"WORKER TIMEOUT \(pid:(\d+)\)"))
        )
        waiting.start()
        while waiting.is_alive():
            assert {_pid(client) for client in clients} == {well}
        arbiter.booted(3)
        assert [int(timeout.group(1)) for timeout in timeouts] == [stuck]
        assert {_pid(client) for client in clients} == {well}


def _pid(client: http.client.HTTPConnection) -> int:
    client.request("GET", "/")
    answer: dict[str, int] = json.loads(client.getresponse().read())
    return answer["pid"]


def test_a_worker_with_a_free_thread_is_not_killed(start: Start) -> None:
    arbiter = start("--threads", "3", "--timeout", str(TIMEOUT))
    (only,) = arbiter.booted()
    wires = _hang(arbiter, LONGER, requests=2)
    for wire in wires:
        assert wire.recv(100).startswith(b"HTTP/1.1 200")
    _close(wires)
    assert arbiter.look()["pid"] == only
    assert "WORKER TIMEOUT" not in arbiter.output


def test_slow_clients_do_not_kill_a_worker(start: Start) -> None:
    arbiter = start("--threads", "1", "--timeout", str(TIMEOUT))
    (only,) = arbiter.booted()
    host, port = arbiter.addresses()[0].removeprefix("http://").split(":")
    large = 8 * 1024 * 1024  # beyond what is buffered before a worker is taken
    with socket.create_connection((host, int(port)), timeout=TIME_LIMIT) as wire:
        head = f"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: {large}\r\n\r\n"
        wire.sendall(head.encode() + bytes(large - 8))
        time.sleep(LONGER)
        wire.sendall(bytes(8))
        assert wire.recv(100).startswith(b"HTTP/1.1 200")
    assert arbiter.look()["pid"] == only


def test_an_idle_worker_is_not_killed(start: Start) -> None:
    arbiter = start("--timeout", str(TIMEOUT))
    (only,) = arbiter.booted()
    time.sleep(LONGER)
    assert arbiter.look()["pid"] == only


GIL_HOLDER = """
import ctypes
def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/hold":
        print("holding", flush=True)
        ctypes.PyDLL(None).sleep(60)  # a PyDLL's function keeps the GIL
    return [b"{}"]
"""


def _ask_in_vain(arbiter: Arbiter) -> None:
    with suppress(OSError):
        arbiter.ask("/hold")


def test_a_worker_that_holds_the_gil_for_ever_is_killed(start: Start, tmp_path: Path) -> None:
    (tmp_path / "holder.py").write_text(GIL_HOLDER)
    arbiter = start("--threads", "4", "--timeout", str(TIMEOUT), app="holder:app")
    held = threading.Thread(target=_ask_in_vain, args=(arbiter,))
    held.start()
    arbiter.wait_for("holding")
    arbiter.wait_for("WORKER TIMEOUT")
    arbiter.booted(2)
    assert arbiter.ask()[0] == 200
    held.join()


def test_a_worker_that_holds_the_gil_leaves_with_its_arbiter(start: Start, tmp_path: Path) -> None:
    (tmp_path / "holder.py").write_text(GIL_HOLDER)
    arbiter = start("--graceful-timeout", "0", "--timeout", "0", app="holder:app")
    held = threading.Thread(target=_ask_in_vain, args=(arbiter,))
    held.start()
    arbiter.wait_for("holding")
    arbiter.process.kill()
    assert eventually(lambda: not arbiter.members(), 15)
    held.join()


def test_long_requests_one_after_the_other_do_not_add_up(start: Start) -> None:
    arbiter = start("--threads", "1", "--timeout", "2")
    (only,) = arbiter.booted()
    asking = [threading.Thread(target=arbiter.ask, args=("/sleep?1.2",)) for _ in range(3)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert arbiter.look()["pid"] == only
