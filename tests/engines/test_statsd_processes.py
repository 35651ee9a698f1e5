"""Of a server with several processes one pushes: no difference is lost or comes twice, whichever
of them ends, and how."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from harness.load import under_load
from harness.process import run_server
from harness.reloading import connecting
from harness.statsd_daemon import daemon
from test_metrics_processes import folder, reload_once
from test_supervisor import children, ready, supervised, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from harness.statsd_daemon import Daemon, Pushed

__all__ = ["folder"]  # a fixture

REQUESTS = "prowingen.requests."
TAKEN = "prowingen.request_duration_milliseconds.count"


def pushing(statsd: Daemon, interval: str = "0.1s") -> tuple[str, ...]:
    return ("--statsd", statsd.address, "--statsd-interval", interval)


def kill(server_pid: int, victim: int) -> None:
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in children(server_pid), "it is still there")


@pytest.mark.timeout(120)
def test_sums_are_what_clients_had_whatever_becomes_of_processes(
    engine: str, folder: Path, tmp_path: Path
) -> None:
    """Two workers, reloads, and each of the two killed, in the middle of it and in between."""
    with daemon("unix", tmp_path) as statsd:
        with supervised(
            engine, *pushing(statsd), app="counted:app", workers=2, path=folder
        ) as server:
            with connecting(server.address, 3) as tally:
                tally.wait_for_answers(300)
                reload_once(server, 2)
                tally.wait_for_answers(300)
            assert tally.lost == []
            answered = tally.answered
            statsd.wait_for(lambda now: now.sum(REQUESTS) == answered)
            # One of them is who pushes.
            for victim in children(server.pid):
                before = ready(server)
                kill(server.pid, victim)
                wait_until(lambda least=before: ready(server) > least, "nobody takes its place")  # type: ignore[misc]
                with connecting(server.address, 1) as tally:
                    tally.wait_for_answers(20)
                assert tally.lost == []
                answered += tally.answered
                statsd.wait_for(lambda now, all_of=answered: now.sum(REQUESTS) == all_of)  # type: ignore[misc]
            with under_load(server.address, connections=4) as load:
                for victim in children(server.pid):
                    load.wait_for_answers(500)
                    kill(server.pid, victim)
                load.wait_for_answers(500)
            answered += load.answers.total()
            # Of those that were in flight, an answer may have been counted and not have come.
            in_flight = len(load.failures) + 4
            statsd.wait_for(lambda now: now.sum(REQUESTS) >= answered)
            server.signal(signal.SIGTERM)
            server.wait()
        pushed = statsd.so_far()
        assert answered <= pushed.sum(REQUESTS) <= answered + in_flight
        assert pushed.counters[TAKEN] == pushed.sum(REQUESTS)
        assert pushed.counters["prowingen.responses.200"] == pushed.sum(REQUESTS)
        assert pushed.counters["prowingen.worker_ends.crash"] == 4
        assert pushed.counters["prowingen.worker_ends.replaced"] == 2


def test_whoever_ends_last_pushes_what_all_have_counted(
    engine: str, folder: Path, tmp_path: Path
) -> None:
    with daemon("unix", tmp_path) as statsd:
        with supervised(
            engine, *pushing(statsd, "1h"), app="counted:app", workers=3, path=folder
        ) as server:
            with connecting(server.address) as tally:
                tally.wait_for_answers(300)
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
        assert tally.lost == []
        pushed = statsd.so_far()
        assert pushed.sum(REQUESTS) == pushed.counters[TAKEN] == tally.answered
        assert pushed.counters["prowingen.connections_accepted"] == tally.connections


def test_gauges_of_processes_are_one_or_say_which(
    engine: str, folder: Path, tmp_path: Path
) -> None:
    with (
        daemon("unix", tmp_path) as statsd,
        supervised(
            engine, *pushing(statsd), "--threads", "3", app="counted:app", workers=2, path=folder
        ),
    ):
        statsd.wait_for(lambda now: now.gauge("prowingen.threads.idle") == 6)
        statsd.wait_for(lambda now: now.gauge("prowingen.workers") == 2)

    def workers(now: Pushed) -> set[str]:
        return {
            tag for name, tags in now.gauges for tag in tags if name == "prowingen.queue_length"
        }

    with (
        daemon("udp", tmp_path) as statsd,
        supervised(
            engine,
            *pushing(statsd),
            *("--statsd-format", "dogstatsd"),
            app="counted:app",
            workers=2,
            path=folder,
        ) as server,
    ):
        pids = {f"worker:{pid}" for pid in children(server.pid)}
        statsd.wait_for(lambda now: workers(now) == pids)


def test_it_is_pushed_while_the_application_keeps_the_gil(
    engine: str, folder: Path, tmp_path: Path
) -> None:
    with (
        daemon("unix", tmp_path) as statsd,
        run_server(
            "counted:app",
            engine,
            *("--threads", "2", *pushing(statsd)),
            environment={"PYTHONPATH": str(folder)},
        ) as server,
        server.connect() as held,
    ):
        held.get("/hold")
        statsd.wait_for(lambda now: now.gauge("prowingen.threads.running") == 1)
        before = len(statsd.so_far().datagrams)
        statsd.wait_for(lambda now: len(now.datagrams) > before + 5)
        assert statsd.so_far().sum(REQUESTS) == 0, "it is held all that time"
        assert held.response().status == 200
        statsd.wait_for(lambda now: now.sum(REQUESTS) == 1)


def test_a_child_that_the_application_forks_has_no_copy_of_the_socket(
    engine: str, tmp_path: Path
) -> None:
    (tmp_path / "forking.py").write_text(FORKING)
    with (
        daemon("unix", tmp_path) as statsd,
        run_server(
            "forking:app", engine, *pushing(statsd), environment={"PYTHONPATH": str(tmp_path)}
        ) as server,
        server.connect() as wire,
    ):
        statsd.wait_for(lambda now: now.datagrams)
        answer = wire.ask("/").text
        assert answer.split() == ["1", "0"], "sockets of datagrams, here and in the child"


FORKING = """
import os, socket, stat

def datagram_sockets():
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.stat(f"/proc/self/fd/{name}").st_mode):
                with socket.socket(fileno=os.dup(int(name))) as each:
                    count += each.type == socket.SOCK_DGRAM
        except OSError:
            continue
    return count

def app(environ, start_response):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(datagram_sockets()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    answer = f"{datagram_sockets()} {os.read(reading, 10).decode()}".encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""
