"""What watchers of a server with several processes are told: by whichever they ask, of all of them,
whatever the application does to any."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from harness.process import run_server
from harness.scraping import admin_of
from harness.waiting import eventually
from harness.watching import PATH, Watch, doing, in_request
from harness.wire import Wire
from test_supervisor import children, ready, supervised, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from harness.process import ServerProcess
    from harness.wire import Address

ADMIN = ("--admin-bind", "127.0.0.1:0")

APP = """
import ctypes, os, threading, time

HELD = ctypes.PyDLL(None)  # calls of it keep the GIL

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stuck":
        threading.Event().wait()
    if path == "/hold":
        HELD.sleep(3)
    if path == "/slow":
        time.sleep(0.2)
    answer = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "watched.py").write_text(APP)
    return tmp_path


def workers(figures: dict[str, Any]) -> set[int]:
    return {each["worker"] for each in figures["workers"]}


def ask_another(server: ServerProcess, stack: ExitStack, than: int, path: str) -> None:
    """Has a worker that is not this one asked, by a connection that stays."""
    for _ in range(200):
        wire = stack.enter_context(server.connect())
        if int(wire.ask("/").text) != than:
            wire.get(path)
            return
    raise AssertionError(f"all connections went to {than}")


def test_requests_of_another_process_are_seen(engine: str, folder: Path) -> None:
    """Of each of the two watchers one at least is told by the other process."""
    arguments = (*ADMIN, "--request-timeout", "50s", "--graceful-timeout", "1s")
    with supervised(engine, *arguments, app="watched:app", path=folder) as server:
        first, second = children(server.pid)
        with ExitStack() as stack:
            for each in (first, second):
                ask_another(server, stack, each, f"/stuck?not={each}")
            with Watch(admin_of(server)) as watch:
                figures = watch.wait_for(lambda told: len(doing(told)) == 2)
                assert workers(figures) == {first, second}
                for each, other in ((first, second), (second, first)):
                    row = in_request(figures, f"GET /stuck?not={each} HTTP/1.1")
                    assert row["worker"] == other
                    assert row["state"] == "running"
                    assert 40 < row["deadline"] < 50
                    assert row["seconds"] >= 0


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["alone", "two"])
def test_one_that_holds_the_gil_is_seen(
    engine: str, folder: Path, arguments: tuple[str, ...]
) -> None:
    with (
        run_server(
            "watched:app", engine, *ADMIN, *arguments, environment={"PYTHONPATH": str(folder)}
        ) as server,
        ExitStack() as stack,
    ):
        if arguments:
            wait_until(lambda: ready(server) == 2, server.log)
        watches = [stack.enter_context(Watch(admin_of(server))) for _ in range(4)]
        for watch in watches:
            watch.wait_for_more(1)
        wire = stack.enter_context(server.connect())
        wire.get("/hold")
        for watch in watches:
            watch.wait_for(lambda told: in_request(told, "GET /hold HTTP/1.1"))
        before = time.monotonic()
        for watch in watches:
            watch.wait_for_more(2)
            row = in_request(watch.latest["figures"], "GET /hold HTTP/1.1")
            assert row["seconds"] > 0
        assert time.monotonic() - before < 2, "the GIL was held all that time"
        assert wire.response().status == 200
        for watch in watches:
            watch.wait_for(lambda told: not doing(told))
            slowest = watch.wait_for(lambda told: told["requests"], "slowest")["requests"]
            assert slowest[0]["request"] == "GET /hold HTTP/1.1"
            assert slowest[0]["seconds"] >= 3


def test_watchers_go_on_through_reloads_and_crashes(engine: str, folder: Path) -> None:
    with supervised(engine, *ADMIN, app="watched:app", path=folder) as server:
        admin = admin_of(server)
        with server.connect() as wire:
            assert wire.ask("/slow").status == 200
        before = set(children(server.pid))
        with ExitStack() as stack:
            # Of these each process has some, but for bad luck.
            watches = [stack.enter_context(Watch(admin)) for _ in range(8)]
            for watch in watches:
                watch.wait_for(lambda told: workers(told) == before)
            was_ready = ready(server)
            server.signal(signal.SIGHUP)
            wait_until(lambda: ready(server) >= was_ready + 2, "no reload")
            for watch in watches:
                watch.wait_for_end(10)
            assert not any(watch.cut for watch in watches), "their answers came to an end"
        wait_until(lambda: set(children(server.pid)).isdisjoint(before), "the old ones stay")
        now = children(server.pid)
        with Watch(admin) as watch:
            figures = watch.wait_for(lambda told: workers(told) == set(now))
            assert figures["worker_ends"] == {"replaced": 2}
            told = watch.wait_for(lambda told: told["requests"], "slowest")
            assert told["requests"][0]["request"] == "GET /slow HTTP/1.1", "it is not forgotten"
            assert told["requests"][0]["worker"] in before
        os.kill(now[0], signal.SIGKILL)
        wait_until(lambda: len(set(children(server.pid)) - {now[0]}) == 2, "no other")

        def all_are_told_of() -> bool:
            with Watch(admin) as watch:
                figures = watch.wait_for(lambda told: told["wanted"] == 2)
                return workers(figures) == set(children(server.pid))

        assert eventually(all_are_told_of)


def test_a_worker_that_is_replaced_waits_for_no_watcher(engine: str, folder: Path) -> None:
    """Nor for one that reads nothing; and requests are answered meanwhile."""
    with (
        supervised(engine, *ADMIN, app="watched:app", path=folder) as server,
        ExitStack() as stack,
    ):
        for _ in range(4):
            stack.enter_context(_deaf(admin_of(server)))
            stack.enter_context(Watch(admin_of(server)))
        before = set(children(server.pid))
        begun = time.monotonic()
        server.signal(signal.SIGHUP)
        wait_until(lambda: set(children(server.pid)).isdisjoint(before), "the old ones stay")
        assert time.monotonic() - begun < 15
        begun = time.monotonic()
        server.signal(signal.SIGTERM)
        server.wait()
        assert time.monotonic() - begun < 8


def _deaf(admin: Address) -> Wire:
    wire = Wire(admin, receive_buffer=4096)
    wire.get(PATH)
    return wire
