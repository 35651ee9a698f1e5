"""Signals, reloads and ends: no request fails that need not."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from harness.arbiter import Load
from harness.site import address_of
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.arbiter import Arbiter

    Start = Callable[..., Arbiter]


def _in_thread(call: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    results: list[object] = []

    def run() -> None:
        try:
            results.append(call())
        except OSError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def test_reloads_under_load_fail_no_request(start: Start) -> None:
    arbiter = start("-w", "2", "--threads", "2")
    arbiter.booted(2)
    with Load(arbiter) as load:
        for reload in range(1, 4):
            arbiter.send(signal.SIGHUP)
            arbiter.booted(2 + 2 * reload)
            arbiter.wait_for("Worker exiting", 2 * reload)
    assert load.failures == []
    assert len(load.pids) >= 4


def test_a_worker_is_replaced_after_its_requests_without_a_failure(start: Start) -> None:
    arbiter = start(
        "-w", "2", "--threads", "4", "--max-requests", "300", "--max-requests-jitter", "100"
    )
    with Load(arbiter) as load:
        arbiter.wait_for("Autorestarting worker after [34]", 4)
        arbiter.booted(6)
    assert load.failures == []
    assert len(load.pids) >= 4


def test_one_worker_alone_is_replaced_without_a_failure(start: Start) -> None:
    arbiter = start("--threads", "4", "--max-requests", "200")
    with Load(arbiter, clients=4) as load:
        arbiter.booted(3)
    assert load.failures == []


def test_a_killed_worker_is_replaced(start: Start) -> None:
    arbiter = start("-w", "2")
    first, second = arbiter.booted(2)
    os.kill(first, signal.SIGKILL)
    third = arbiter.booted(3)[2]
    seen: set[int] = set()

    def both_answer() -> bool:
        seen.add(arbiter.look()["pid"])
        return seen == {second, third}

    assert eventually(both_answer)


def test_a_termination_lets_requests_finish(start: Start) -> None:
    arbiter = start("--threads", "2", "--graceful-timeout", "10")
    thread, results = _in_thread(lambda: arbiter.ask("/sleep?0.5")[0])
    arbiter.wait_for("sleeping")
    arbiter.send(signal.SIGTERM)
    thread.join()
    assert results == [200]
    assert arbiter.wait() == 0


def test_a_termination_waits_no_longer_than_it_may(start: Start) -> None:
    arbiter = start("--threads", "2", "--graceful-timeout", "1")
    thread, results = _in_thread(lambda: arbiter.ask("/sleep?60")[0])
    arbiter.wait_for("sleeping")
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait(10) == 0
    thread.join()
    assert isinstance(results[0], OSError)


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT])
def test_a_quit_is_quick(start: Start, number: signal.Signals) -> None:
    arbiter = start("--threads", "2", "--graceful-timeout", "30")
    thread, results = _in_thread(lambda: arbiter.ask("/sleep?60")[0])
    arbiter.wait_for("sleeping")
    arbiter.send(number)
    assert arbiter.wait(10) == 0
    thread.join()
    assert isinstance(results[0], OSError)


def test_workers_come_and_go_by_signal(start: Start) -> None:
    arbiter = start("-w", "1")
    arbiter.booted()
    arbiter.send(signal.SIGTTIN)
    arbiter.booted(2)
    assert eventually(lambda: len(arbiter.members()) == 3)
    arbiter.send(signal.SIGTTOU)
    arbiter.wait_for("Worker exiting")
    assert eventually(lambda: len(arbiter.members()) == 2)
    assert arbiter.ask()[0] == 200


def test_workers_leave_when_the_arbiter_is_killed(start: Start) -> None:
    arbiter = start("-w", "2", "--threads", "2")
    arbiter.booted(2)
    arbiter.ask()
    arbiter.process.kill()
    assert arbiter.gone(15)


RELOADED = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"%s"]
"""


def test_an_edit_is_served(start: Start, tmp_path: Path) -> None:
    source = tmp_path / "edited.py"
    source.write_text(RELOADED % "before")
    arbiter = start("--reload", "--reload-engine", "poll", app="edited:app")
    assert arbiter.ask() == (200, b"before")
    source.write_text(RELOADED % "after")
    assert _touched_until(source, lambda: arbiter.ask()[1] == b"after")
    arbiter.wait_for("Worker reloading")


def test_a_syntax_error_is_shown_until_it_is_mended(start: Start, tmp_path: Path) -> None:
    source = tmp_path / "edited.py"
    source.write_text("def app(:\n")
    arbiter = start("--reload", "--reload-engine", "poll", app="edited:app")
    status, body = arbiter.ask()
    assert status == 500
    assert b"SyntaxError" in body
    source.write_text(RELOADED % "mended")
    assert _touched_until(source, lambda: arbiter.ask()[1] == b"mended")


def test_a_change_of_an_extra_file_reloads(start: Start, tmp_path: Path) -> None:
    extra = tmp_path / "extra.txt"
    extra.write_text("1")
    arbiter = start("--reload", "--reload-engine", "poll", "--reload-extra-file", str(extra))
    first = arbiter.look()["pid"]
    assert _touched_until(extra, lambda: bool(arbiter.look()["pid"] != first))


def _touched_until(path: Path, condition: Callable[[], bool]) -> bool:
    """Makes a file newer and newer: the reloader may not have seen yet how old it was."""

    def touch_and_see() -> bool:
        newer = path.stat().st_mtime + 2
        os.utime(path, (newer, newer))
        return eventually(condition, 1.5)

    return eventually(touch_and_see)


def test_an_application_that_fails_to_load_stops_gunicorn(start: Start, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('broken')\n")
    arbiter = start(app="broken:app")
    assert arbiter.wait() == 3
    assert "broken" in arbiter.output


def test_a_child_that_lives_on_keeps_no_address(start: Start) -> None:
    arbiter = start("-w", "1", app="gunicorn_app:forks")
    arbiter.booted()
    address = arbiter.addresses()[0].removeprefix("http://")
    child = int(arbiter.ask("/lives_on")[1])
    try:
        arbiter.send(signal.SIGTERM)
        assert arbiter.wait() == 0
        with socket.create_server(address_of(f"http://{address}"), reuse_port=False):
            os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_that_comes_back_ends(start: Start) -> None:
    arbiter = start("-w", "1", app="gunicorn_app:forks")
    arbiter.booted()
    assert int(arbiter.ask("/comes_back")[1]) != 0
    arbiter.wait_for(r"\[\d+\] WARNING GET /comes_back HTTP/1\.1: a child process .* came back")
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait() == 0
    assert arbiter.gone()


BEGINS_A_PROCESS = """
import multiprocessing, os, time
from gunicorn_app import app
daemon = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
daemon.start()
print("began", daemon.pid, flush=True)
"""


def test_a_worker_does_not_end_a_process_of_a_preloaded_application(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "begins_a_process.py").write_text(BEGINS_A_PROCESS)
    arbiter = start("-w", "1", "--preload", app="begins_a_process:app")
    child = int(arbiter.wait_for(r"began (\d+)")[0].group(1))
    worker = arbiter.look()["pid"]
    os.kill(worker, signal.SIGTERM)
    arbiter.wait_for("Worker exiting")
    assert arbiter.look()["pid"] != worker
    assert child in arbiter.members()
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait() == 0
    assert arbiter.gone()
    assert "Traceback" not in arbiter.output


FORKS_WHEN_TOLD = """
import os, time

def app(environ, start_response):
    print("waiting", flush=True)
    while not os.path.exists("fork now"):
        time.sleep(0.01)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"forked"]
"""


def test_a_fork_while_requests_finish_is_like_any_other(start: Start, tmp_path: Path) -> None:
    (tmp_path / "forks_when_told.py").write_text(FORKS_WHEN_TOLD)
    with socket.socket() as probe:  # gunicorn does not say which port it got
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
        bind = "{}:{}".format(*address)
        arbiter = start("-w", "1", "--reuse-port", app="forks_when_told:app", bind=bind)
        arbiter.known_addresses = [f"http://{bind}"]
        assert eventually(lambda: not _is_refused(address))
        thread, results = _in_thread(arbiter.ask)
        arbiter.wait_for("waiting")
        arbiter.send(signal.SIGTERM)
        assert eventually(lambda: _is_refused(address))
        (tmp_path / "fork now").touch()
        thread.join()
    assert results == [(200, b"forked")]
    assert arbiter.wait() == 0
    assert "Error" not in arbiter.output


def _is_refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return True
    return False


def test_workers_count_a_client_together(start: Start) -> None:
    arbiter = start("-w", "4", variables={"PROWINGEN_RATE_LIMIT": "30/h"})
    arbiter.booted(4)
    assert [arbiter.ask()[0] for _ in range(40)] == [200] * 30 + [429] * 10
    arbiter.send(signal.SIGHUP)
    arbiter.booted(8)
    assert arbiter.ask()[0] == 429
