"""Figures of a server with several processes: nothing is lost with one of them, and nothing that
becomes of the application keeps them from being told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from harness.load import under_load
from harness.reloading import connecting
from harness.scraping import admin_of, ask_admin, scrape
from harness.waiting import eventually
from test_supervisor import children, ready, supervised, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from harness.process import ServerProcess
    from harness.scraping import Figures
    from harness.wire import Address

ADMIN = ("--admin-bind", "127.0.0.1:0")

APP = """
import ctypes, os, threading

HELD = ctypes.PyDLL(None)  # calls of it keep the GIL

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stuck":
        threading.Event().wait()
    if path == "/hold":
        HELD.sleep(2)
    answer = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "counted.py").write_text(APP)
    return tmp_path


class Watch:
    """Scrapes all the time, each time by a connection of its own, and sees that no counter ever
    goes back."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._ended = threading.Event()
        self._before: dict[object, float] = {}
        self.scrapes = 0
        self.faults: list[str] = []
        self._thread = threading.Thread(target=self._run, name="watch")

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(20)

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            try:
                self._look(scrape(self._address))
            except (OSError, AssertionError) as error:
                self.faults.append(f"scrape {self.scrapes}: {error!r}")
            self.scrapes += 1

    def _look(self, figures: Figures) -> None:
        for key, value in figures.counters():
            if value < self._before.get(key, 0):
                self.faults.append(f"{key} went from {self._before[key]} to {value}")
            self._before[key] = value


def reload_once(server: ServerProcess, workers: int) -> None:
    """Until who was replaced is gone: what has a worker to kill is not to find one of those."""
    before, old = ready(server), set(children(server.pid))
    server.signal(signal.SIGHUP)
    wait_until(lambda: ready(server) >= before + workers, "no reload")
    wait_until(lambda: old.isdisjoint(children(server.pid)), "who was replaced stays")


@pytest.mark.timeout(120)
def test_no_request_is_lost_with_its_process(engine: str, folder: Path) -> None:
    """Reloads, and a worker that is killed: the histogram has what clients have."""
    with supervised(engine, *ADMIN, app="counted:app", workers=4, path=folder) as server:
        admin = admin_of(server)
        with Watch(admin) as watch, under_load(server.address, connections=8) as load:
            load.wait_for_answers(5_000)
            reload_once(server, 4)
            load.wait_for_answers(5_000)
            os.kill(children(server.pid)[0], signal.SIGKILL)
            load.wait_for_answers(5_000)
            reload_once(server, 4)
            load.wait_for_answers(5_000)
        answered = load.answers.total()
        # Of those that were in flight, an answer may have been counted and not have come.
        in_flight = len(load.failures) + 8
        assert eventually(lambda: scrape(admin)("connections_open") == 0)
        now = scrape(admin)
        assert answered <= now("request_duration_seconds_count") <= answered + in_flight
        assert now("requests_total") == now("request_duration_seconds_count")
        assert answered <= now("responses_total", code="200") <= answered + in_flight
        assert now("application_duration_seconds_count") == now("responses_total", code="200")
        assert now("worker_ends_total", cause="crash") == 1
        assert eventually(lambda: scrape(admin)("worker_ends_total", cause="replaced") >= 7)
        assert eventually(lambda: scrape(admin)("workers") == 4)
        assert scrape(admin)("workers_wanted") == 4
        assert len(load.failures) <= 8, "the killed one's connections alone"
    assert watch.scrapes > 5, "all the while"
    # A scrape may have been with the one that was killed.
    assert len(watch.faults) <= 1, watch.faults
    assert not [fault for fault in watch.faults if " went from " in fault]


def test_reloads_lose_no_scrape(engine: str, folder: Path) -> None:
    with supervised(engine, *ADMIN, app="counted:app", workers=2, path=folder) as server:
        with Watch(admin_of(server)) as watch, connecting(server.address, 2) as tally:
            for _ in range(3):
                tally.wait_for_answers(100)
                reload_once(server, 2)
        assert tally.lost == []
        assert watch.faults == []
        assert eventually(
            lambda: scrape(admin_of(server))("connections_accepted_total") == tally.connections
        )


def test_figures_of_one_process_say_which(engine: str, folder: Path) -> None:
    with supervised(engine, *ADMIN, app="counted:app", workers=3, path=folder) as server:
        admin = admin_of(server)
        pids = {str(pid) for pid in children(server.pid)}
        assert eventually(lambda: scrape(admin).labels("resident_memory_bytes", "worker") == pids)
        assert scrape(admin).labels("threads", "worker") == pids
        assert eventually(lambda: scrape(admin)("threads") == 24), "threads begin one by one"
        server.signal(signal.SIGTTOU)
        assert eventually(lambda: scrape(admin)("workers") == 2)
        assert eventually(lambda: len(scrape(admin).labels("queue_length", "worker")) == 2)


def test_why_processes_end_is_counted(engine: str, folder: Path) -> None:
    with supervised(
        engine, *ADMIN, "--max-requests", "5", app="counted:app", workers=1, path=folder
    ) as server:
        admin = admin_of(server)
        with connecting(server.address, 1) as tally:
            tally.wait_for_answers(20)
            assert eventually(lambda: scrape(admin)("worker_ends_total", cause="max_requests") >= 2)
        assert tally.lost == []
        assert scrape(admin)("worker_ends_total", cause="crash") == 0
        before = scrape(admin)("requests_total")
        assert before >= 20
        wait_until(lambda: len(children(server.pid)) == 1, "no worker")
        os.kill(children(server.pid)[0], signal.SIGSEGV)
        assert eventually(lambda: ready(server) >= 4)
        assert eventually(lambda: _crashes(admin) == 1)


def _crashes(admin: Address) -> float:
    try:
        return scrape(admin)("worker_ends_total", cause="crash")
    except (OSError, AssertionError):  # the only worker is gone, and the next not there yet
        return 0


@pytest.mark.parametrize("arguments", [(), ("--workers", "1")], ids=["alone", "supervised"])
def test_figures_are_told_whatever_the_application_does(
    engine: str, folder: Path, arguments: tuple[str, ...]
) -> None:
    from harness.process import run_server

    with run_server(
        "counted:app",
        engine,
        *("--threads", "2", "--health-stall", "0.3s", *ADMIN, *arguments),
        environment={"PYTHONPATH": str(folder)},
    ) as server:
        admin = admin_of(server)
        assert ask_admin(admin, "/-/ready").status == 200
        assert eventually(lambda: scrape(admin)("threads", state="idle") == 2)
        with server.connect() as held, server.connect() as behind:
            held.get("/hold")
            assert eventually(lambda: scrape(admin)("threads", state="running") == 1)
            behind.get("/")
            times: list[float] = []
            while len(times) < 10:
                begun = time.monotonic()
                assert scrape(admin)("requests_in_flight") >= 1
                times.append(time.monotonic() - begun)
            assert sum(times) < 1.5, "the GIL was held all that time"
            assert scrape(admin)("responses_total") == 0
            assert held.response().status == behind.response().status == 200
        assert eventually(lambda: scrape(admin)("gil_wait_seconds_sum") > 0.5), "nobody stood by"
        with ExitStack() as stuck:
            for _ in range(3):
                stuck.enter_context(server.connect()).get("/stuck")
            assert eventually(lambda: ask_admin(admin, "/-/ready").status == 503)
            assert ask_admin(admin, "/-/live").status == 200
            now = scrape(admin)
            assert now("stalled_seconds") >= 0.3
            assert now("threads", state="running") == 2
            assert now("queue_length") == 1


def test_an_address_that_a_reload_brings_counts_from_then_on(engine: str, folder: Path) -> None:
    config = folder / "server.toml"
    config.write_text("workers = 2\n")
    with supervised(
        engine, "--config", str(config), app="counted:app", workers=2, path=folder
    ) as server:
        config.write_text('workers = 2\nadmin_bind = "127.0.0.1:0"\n')
        reload_once(server, 2)
        admin = admin_of(server)
        with connecting(server.address, 1) as tally:
            tally.wait_for_answers(10)
        assert eventually(lambda: scrape(admin)("requests_total") == tally.answered)


def test_a_server_that_stops_tells_to_the_end(engine: str, folder: Path) -> None:
    with supervised(
        engine, *ADMIN, "--drain-delay", "1s", app="counted:app", workers=2, path=folder
    ) as server:
        admin = admin_of(server)
        server.signal(signal.SIGTERM)
        assert eventually(lambda: ask_admin(admin, "/-/ready").status == 503)
        assert scrape(admin)("workers_wanted") == 2
        server.wait()


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="there is no promtool, which Prometheus comes with"
)
def test_promtool_has_nothing_to_say(engine: str, folder: Path) -> None:
    with supervised(engine, *ADMIN, app="counted:app", workers=2, path=folder) as server:
        with connecting(server.address, 1) as tally:
            tally.wait_for_answers(10)
        told = ask_admin(admin_of(server)).text
        check = subprocess.run(
            ["promtool", "check", "metrics"], input=told, capture_output=True, text=True, timeout=20
        )
    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")
