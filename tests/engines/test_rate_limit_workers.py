"""All workers of a server count together."""

from __future__ import annotations

import signal
import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from harness.process import run_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from harness.process import ServerProcess

APP = """
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "counted.py").write_text(APP)
    return tmp_path


def ask(server: ServerProcess, path: str = "/") -> tuple[int, str]:
    with server.connect() as wire:
        answer = wire.ask(path, "Connection: close")
        return answer.status, answer.text


@pytest.mark.parametrize("preload", [False, True], ids=["", "preload"])
def test_a_client_has_one_bucket_with_all_workers(engine: str, folder: Path, preload: bool) -> None:
    options = ("--workers", "4", "--rate-limit", "40/h", *(("--preload",) if preload else ()))
    with run_server(
        "counted:app", engine, *options, environment={"PYTHONPATH": str(folder)}
    ) as server:
        assert eventually(lambda: server.log.count(" is ready") == 4), "all serve"
        with ExitStack() as stack:
            # Held open, so that no worker gets all of them.
            wires = [stack.enter_context(server.connect()) for _ in range(12)]
            answers = [wire.ask("/") for wire in wires * 5]
        served = [answer.text for answer in answers if answer.status == 200]
        assert [answer.status for answer in answers] == [200] * 40 + [429] * 20
        assert len(set(served)) > 1, "more than one worker has served"
        # A reload starts new workers, and nobody anew.
        server.signal(signal.SIGHUP)
        server.wait_for_line("reloading")
        server.wait_for_line("is ready")
        assert ask(server)[0] == 429


def test_the_rate_holds_over_several_workers(engine: str, folder: Path) -> None:
    # The burst lasts four seconds, so that a busy machine's pauses lose nothing of the rate.
    options = ("--workers", "4", "--rate-limit", "100/s burst 400")
    with run_server(
        "counted:app", engine, *options, environment={"PYTHONPATH": str(folder)}
    ) as server:
        before = time.monotonic()
        assert ask(server)[0] == 200
        begun = time.monotonic()
        served = [0] * 8
        last_refused = [begun] * 8

        def flood(at: int) -> None:
            with server.connect() as wire:
                while time.monotonic() < begun + 3 or last_refused[at] == begun:
                    status = wire.ask("/").status
                    served[at] += status == 200
                    if status == 429:
                        last_refused[at] = time.monotonic()

        threads = [threading.Thread(target=flood, args=(at,)) for at in range(len(served))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(served) + 1 <= 100 * (time.monotonic() - before) + 400
        # Whoever was refused came when all was used up.
        assert sum(served) + 1 >= 0.9 * (100 * (max(last_refused) - begun) + 400)


def test_a_unix_socket_without_a_forwarded_address_is_not_limited(
    engine: str, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    if len(str(path)) > 100:
        pytest.skip("the folder's name is too long for a socket")
    options = ("--bind", f"unix:{path}", "--rate-limit", "1/h", "--forwarded-allow-ips", "unix")
    with run_server(
        "counted:app", engine, *options, environment={"PYTHONPATH": str(folder)}
    ) as server:

        def status(*fields: str) -> int:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(str(path))
                lines = ["GET / HTTP/1.1", "Host: a", "Connection: close", *fields, "", ""]
                client.sendall("\r\n".join(lines).encode())
                answer = b"".join(iter(lambda: client.recv(65536), b""))
            return int(answer.split()[1])

        assert server.pid
        assert [status() for _ in range(3)] == [200] * 3
        assert [status("X-Forwarded-For: 192.0.2.1") for _ in range(2)] == [200, 429]
