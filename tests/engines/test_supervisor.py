"""A supervisor and its workers, as an administrator and the accidents of a machine treat them."""

from __future__ import annotations

import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from harness.load import under_load
from harness.process import ServerProcess, run_server
from harness.waiting import eventually
from harness.wire import Truncated, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APP = "apps.workers:app"

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are found in /proc"
)


def wait_until(true: Callable[[], bool], what: str) -> None:
    assert eventually(true), what


def children(process: int) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    return [int(word) for word in path.read_text().split()]


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def ask(server: ServerProcess, path: str = "/") -> str:
    with server.connect() as wire:
        return wire.ask(path, "Connection: close").text


def answering(server: ServerProcess) -> set[int]:
    """Who answers, if they are asked often enough for all to."""
    return {int(ask(server)) for _ in range(20)}


def ready(server: ServerProcess) -> int:
    return server.log.count(" is ready")


@contextmanager
def supervised(
    engine: str, *arguments: str, app: str = APP, workers: int = 2, path: Path | None = None
) -> Iterator[ServerProcess]:
    """A server with all its workers ready; at its end nothing of it is left."""
    environment = {}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
        environment["PYTHONDONTWRITEBYTECODE"] = "1"  # two versions may have one time stamp
    with run_server(
        app, engine, "--workers", str(workers), *arguments, environment=environment
    ) as server:
        wait_until(lambda: ready(server) >= workers, server.log)
        family = children(server.pid)
        yield server
        family += [] if is_gone(server.pid) else children(server.pid)
        if server.process.poll() is None:
            server.signal(signal.SIGTERM)
            server.wait()
        wait_until(lambda: all(map(is_gone, family)), "a child is left")


# ---- serving


def test_workers_share_the_work(engine: str) -> None:
    with supervised(engine, workers=3) as server:
        assert answering(server) <= set(children(server.pid))
        wires = [server.connect() for _ in range(30)]
        pids = {wire.ask().text for wire in wires}
        for wire in wires:
            wire.close()
        assert len(pids) == 3
        assert ask(server, "/environ") == "True"


def test_workers_have_about_as_many_connections_each(engine: str) -> None:
    """A worker that gets no core for a while leaves all that come meanwhile to the other, and is
    first when it runs again."""
    with supervised(engine) as server:
        wires: list[Wire] = []
        pids: list[str] = []

        def even_with_more() -> bool:
            more = [server.connect() for _ in range(32)]
            wires.extend(more)
            for wire in more:
                wire.get()
            pids.extend(wire.response().text for wire in more)
            return len(set(pids)) == 2 and min(map(pids.count, set(pids))) >= len(pids) // 4

        assert any(even_with_more() for _ in range(4)), pids
        for wire in wires:
            wire.close()


def test_a_single_worker_can_be_supervised_too(engine: str) -> None:
    with supervised(engine, workers=1) as server:
        assert [int(ask(server))] == children(server.pid)
        assert ask(server, "/environ") == "False"


def test_auto_is_a_worker_for_each_core(engine: str) -> None:
    cores = len(os.sched_getaffinity(0))
    with run_server(APP, engine, "--workers", "auto") as server:
        server.wait_for_line(f"{cores} workers of")
        wait_until(lambda: len(children(server.pid)) == cores, "a worker for each core")
        server.signal()
        assert server.wait() == 0


def test_preloaded_workers_share_one_load(engine: str) -> None:
    with supervised(engine, "--preload") as server:
        (template,) = children(server.pid)
        assert len(children(template)) == 2
        assert {ask(server, "/loader") for _ in range(10)} == {str(template)}
        assert answering(server) <= set(children(template))


# ---- accidents


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["forked", "preloaded"])
def test_a_crashed_worker_is_replaced_and_its_end_explained(
    engine: str, preload: tuple[str, ...]
) -> None:
    with supervised(engine, *preload) as server:
        with server.connect() as wire, pytest.raises((Truncated, ConnectionError)):
            wire.ask("/segfault")
        server.wait_for_line(r"worker \d \(pid \d+\) was killed by SIGSEGV")
        wait_until(lambda: ready(server) == 3, "no replacement")
        with server.connect() as wire, pytest.raises((Truncated, ConnectionError)):
            wire.ask("/exit")
        server.wait_for_line(r"worker \d \(pid \d+\) exited with code 7")
        wait_until(lambda: ready(server) == 4, "no replacement")
        assert ask(server)


def test_only_the_requests_of_killed_workers_fail(engine: str) -> None:
    with supervised(engine, workers=2) as server, under_load(server.address) as load:
        killed = set()
        for count in range(5):
            load.wait_for_answers(200)
            victim = max(children(server.pid))
            killed.add(str(victim).encode())
            os.kill(victim, signal.SIGKILL)
            server.wait_for_line(rf"pid {victim}\) was killed by SIGKILL")
            wait_until(lambda count=count: ready(server) == 3 + count, "no replacement")  # type: ignore[misc]
        load.wait_for_answers(200)
    # A connection that fails before its first answer does not say whose it was.
    assert {failure.after for failure in load.failures} <= killed | {b""}
    assert len(load.failures) <= 5 * 16


def test_a_worker_that_cannot_start_ends_the_server(engine: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    environment = {"PYTHONPATH": str(tmp_path)}
    for preload in ([], ["--preload"]):
        with (
            pytest.raises(AssertionError) as failed,
            run_server("broken:app", engine, "--workers", "2", *preload, environment=environment),
        ):
            pass
        assert "importing broken failed" in str(failed.value)
        assert "ZeroDivisionError" in str(failed.value)


def test_restarts_that_fail_are_spaced_out(engine: str, tmp_path: Path) -> None:
    marker = tmp_path / "break"
    (tmp_path / "fragile.py").write_text(
        "from pathlib import Path\n"
        "from apps.workers import app\n"
        f"if Path({str(marker)!r}).exists(): raise RuntimeError('broken now')\n"
    )
    with supervised(engine, app="fragile:app", workers=1, path=tmp_path) as server:
        marker.touch()
        os.kill(children(server.pid)[0], signal.SIGKILL)
        server.wait_for_line(r"the next worker is started in 0\.[1-9] s")
        marker.unlink()
        wait_until(lambda: ready(server) == 2, server.log)
        assert server.log.count("broken now") <= 8
        assert ask(server)


def lowest_free_descriptor(process: int) -> int:
    taken = {int(each.name) for each in Path(f"/proc/{process}/fd").iterdir()}
    return next(number for number in range(len(taken) + 1) if number not in taken)


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["forked", "preloaded"])
def test_a_supervisor_without_a_free_descriptor_goes_on(
    engine: str, preload: tuple[str, ...]
) -> None:
    with supervised(engine, *preload) as server:
        soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        few = lowest_free_descriptor(server.pid)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (few, hard))
        server.signal(signal.SIGTTIN)
        server.wait_for_line("cannot start a worker, next try in .* [Tt]oo many open files")
        server.signal(signal.SIGHUP)
        server.wait_for_line("reloading")
        wait_until(lambda: server.log.count("cannot start a worker") >= 3, server.log)
        wait_until(lambda: len(answering(server)) == 2, "both go on")
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft, hard))
        wait_until(lambda: ready(server) == 2 + 3, server.log)


def test_a_lost_template_is_made_anew(engine: str) -> None:
    with supervised(engine, "--preload") as server:
        (template,) = children(server.pid)
        workers = children(template)
        os.kill(template, signal.SIGKILL)
        server.wait_for_line("what has loaded the application was killed by SIGKILL")
        assert answering(server) <= set(workers), "they go on"
        assert not any(map(is_gone, workers))
        os.kill(workers[0], signal.SIGKILL)
        server.wait_for_line(rf"pid {workers[0]}\) has ended")
        wait_until(lambda: ready(server) == 3, "no replacement")
        assert ask(server)
        server.signal()
        assert server.wait() == 0
        wait_until(lambda: all(map(is_gone, workers)), "a worker is left")


def test_workers_leave_when_their_supervisor_is_killed(engine: str) -> None:
    for preload in ([], ["--preload"]):
        with run_server(APP, engine, "--workers", "2", *preload) as server:
            wait_until(lambda: ready(server) == 2, server.log)
            family = children(server.pid)
            family += [each for child in family for each in children(child)]
            with server.connect() as wire:
                assert wire.ask().status == 200
                wire.get("/slow")
                server.signal(signal.SIGKILL)
                assert wire.response().status == 200, "a request that runs is finished"
            wait_until(lambda: all(map(is_gone, family)), "an orphan is left")  # noqa: B023
            server.process.wait()


def test_threads_of_a_preloaded_application_keep_nothing(engine: str, tmp_path: Path) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading\n"
        "from apps.workers import app\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
    )
    environment = {"PYTHONPATH": str(tmp_path)}
    for number in (signal.SIGTERM, signal.SIGKILL):
        with run_server(
            "threaded:app", engine, "--workers", "1", "--preload", environment=environment
        ) as server:
            wait_until(lambda: ready(server) == 1, server.log)
            family = children(server.pid)
            family += [each for child in family for each in children(child)]
            assert len(family) == 2
            server.signal(number)
            server.process.wait(10)
            wait_until(lambda: all(map(is_gone, family)), "a process is left")  # noqa: B023


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_keeps_a_process_is_named(engine: str, tmp_path: Path, workers: str) -> None:
    (tmp_path / "named.py").write_text(
        "import threading\n"
        "from apps.workers import app\n"
        "threading.Thread(target=threading.Event().wait, name='feeder').start()\n"
    )
    environment = {"PYTHONPATH": str(tmp_path)}
    with run_server("named:app", engine, "--workers", workers, environment=environment) as server:
        server.signal()
        server.wait_for_line("when these threads of the application do.*: feeder\n")
        server.signal()
        assert server.wait() in (0, -signal.SIGTERM)


def test_a_template_that_does_not_end_is_killed(engine: str, tmp_path: Path) -> None:
    (tmp_path / "lingering.py").write_text(
        "import atexit, os, threading\n"
        "from apps.workers import app\n"
        "loader = os.getpid()\n"
        "atexit.register(lambda: os.getpid() == loader and threading.Event().wait())\n"
    )
    with supervised(engine, "--preload", app="lingering:app", path=tmp_path) as server:
        server.signal()
        assert server.wait() == 0


# ---- limits


def test_a_worker_that_has_served_enough_is_replaced_without_a_failure(engine: str) -> None:
    arguments = ("--max-requests", "500", "--max-requests-jitter", "100")
    with supervised(engine, *arguments) as server, under_load(server.address) as load:
        wait_until(lambda: server.log.count("it has taken 500 requests") >= 5, server.log)
    assert load.failures == []
    assert len(load.answers) >= 5


def test_a_worker_that_has_grown_is_replaced(engine: str) -> None:
    with supervised(engine, "--max-rss", "150MiB", workers=1) as server:
        before = ask(server, "/grow")
        server.wait_for_line(r"is replaced: it uses \d{3} MiB of memory")
        wait_until(lambda: is_gone(int(before)), "it is still there")
        assert ask(server) != before


def test_a_stuck_worker_shows_its_stacks_and_is_replaced(engine: str) -> None:
    arguments = ("--worker-timeout", "1", "--threads", "2")
    with supervised(engine, *arguments, workers=1) as server:
        stuck = children(server.pid)[0]
        wires = [server.connect() for _ in range(2)]
        for wire in wires:
            wire.get("/hang")
        server.wait_for_line(r"has been stuck for [\d.]+ s")
        server.wait_for_line(r"workers.py\", line \d+ in app")
        wait_until(lambda: is_gone(stuck), "it is still there")
        for wire in wires:
            wire.close()
        assert int(ask(server)) != stuck


def test_a_worker_with_a_free_thread_is_not_stuck(engine: str) -> None:
    with supervised(engine, "--worker-timeout", "0.5", "--threads", "2", workers=1) as server:
        before = ask(server)
        with server.connect() as hanging:
            hanging.get("/hang")
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                assert ask(server) == before
        server.signal(signal.SIGQUIT)
        server.wait()


def test_a_stuck_worker_leaves_new_connections_to_the_others(engine: str) -> None:
    with supervised(engine, "--threads", "1") as server, ExitStack() as stack:
        hanging = stack.enter_context(server.connect())
        hanging.get("/hang")

        def all_are_answered() -> bool:
            wires = [stack.enter_context(server.connect()) for _ in range(10)]
            for wire in wires:
                wire.get("/")
            return all(select.select([wire.socket], [], [], 0.5)[0] for wire in wires)

        # Those that came before it was known to be stuck wait with it.
        assert eventually(all_are_answered)
        server.signal(signal.SIGQUIT)
        server.wait()


def test_a_frozen_worker_is_replaced(engine: str) -> None:
    with supervised(engine, "--worker-timeout", "1", workers=1) as server:
        frozen = int(ask(server))
        os.kill(frozen, signal.SIGSTOP)
        server.wait_for_line("has been stuck for")
        wait_until(lambda: is_gone(frozen), "it is still there")
        assert int(ask(server)) != frozen


def test_a_server_that_was_stopped_as_a_whole_is_not_stuck(engine: str) -> None:
    """As `docker pause` does; its supervisor may come to run again before a worker does."""
    with supervised(engine, "--worker-timeout", "1", workers=1) as server:
        worker = int(ask(server))
        os.kill(worker, signal.SIGSTOP)
        server.signal(signal.SIGSTOP)
        time.sleep(1.5)
        server.signal(signal.SIGCONT)
        time.sleep(0.5)  # which is time for a look or two, and less than the worker has
        os.kill(worker, signal.SIGCONT)
        assert int(ask(server)) == worker
        assert "has been stuck" not in server.log


# ---- signals


def test_the_number_of_workers_can_be_changed(engine: str) -> None:
    with supervised(engine) as server:
        server.signal(signal.SIGTTIN)
        wait_until(lambda: ready(server) == 3, "no third worker")
        server.signal(signal.SIGTTOU)
        server.wait_for_line("workers wanted: 2")
        server.signal(signal.SIGTTOU)
        wait_until(lambda: len(children(server.pid)) == 1, "too many workers")
        server.signal(signal.SIGTTOU)
        server.wait_for_line("workers wanted: 1\n(.*\n)*.*workers wanted: 1")
        assert len(answering(server)) == 1


def test_term_lets_requests_finish(engine: str) -> None:
    with supervised(engine) as server, server.connect() as wire:
        assert wire.ask().status == 200
        wire.get("/slow")
        assert ask(server)  # its head is on its way to a worker by now
        server.signal(signal.SIGTERM)
        assert wire.response().status == 200
        wire.close()  # which the server waits for
        assert server.wait() == 0


def test_quit_ends_at_once(engine: str) -> None:
    with supervised(engine) as server, server.connect() as wire:
        wire.get("/hang")
        began = time.monotonic()
        server.signal(signal.SIGQUIT)
        assert server.wait() == 0
        assert time.monotonic() - began < 10


def test_a_second_signal_ends_what_still_runs(engine: str) -> None:
    with supervised(engine) as server, server.connect() as wire:
        assert wire.ask().status == 200
        wire.get("/hang")
        server.signal(signal.SIGTERM)
        server.wait_for_line("a second signal ends them")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def test_logs_are_reopened_in_every_worker(engine: str, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with supervised(engine, "--access-log", str(log)) as server:
        assert answering(server)
        wait_until(lambda: len(log.read_text().splitlines()) == 20, "lines are missing")
        log.rename(tmp_path / "old.log")
        server.signal(signal.SIGUSR1)
        wait_until(log.exists, "it was not opened anew")
        wait_until(lambda: bool(answering(server)) and "GET / " in log.read_text(), "no line")


# ---- what is left behind


def test_a_unix_socket_and_a_pid_file_go_with_the_supervisor(engine: str, tmp_path: Path) -> None:
    path, pidfile = tmp_path / "app.sock", tmp_path / "app.pid"
    with supervised(engine, "--bind", f"unix:{path}", "--pidfile", str(pidfile)) as server:
        assert int(pidfile.read_text()) == server.pid
        os.kill(children(server.pid)[0], signal.SIGKILL)
        wait_until(lambda: ready(server) == 3, "no replacement")
        assert path.exists(), "a worker's end takes nothing away"
        assert ask(server)
        server.signal()
        assert server.wait() == 0
        assert not path.exists()
        assert not pidfile.exists()


def test_a_pid_file_of_a_server_that_runs_is_respected(engine: str, tmp_path: Path) -> None:
    pidfile = tmp_path / "app.pid"
    pidfile.write_text(f"{os.getpid()}\n")
    with (
        pytest.raises(AssertionError, match=rf"process {os.getpid()} has it, and runs"),
        run_server(APP, engine, "--workers", "1", "--pidfile", str(pidfile)),
    ):
        pass
    assert pidfile.read_text() == f"{os.getpid()}\n"
    pidfile.write_text("999999999\n")  # of a server that crashed
    with run_server(APP, engine, "--pidfile", str(pidfile)) as server:
        assert int(pidfile.read_text()) == server.pid
        server.signal()
        server.wait()
        assert not pidfile.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_workers_run_as_somebody_else_and_the_socket_is_theirs(engine: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    place = Path("/tmp") / f"prowingen-{os.getpid()}.sock"
    with supervised(
        engine, "--user", "nobody", "--umask", "007", "--bind", f"unix:{place}"
    ) as server:
        worker = children(server.pid)[0]
        status = Path(f"/proc/{worker}/status").read_text()
        nobody = place.stat().st_uid
        assert nobody != 0
        assert re.search(rf"^Uid:\s+{nobody}\s+{nobody}\s+{nobody}", status, re.MULTILINE)
        assert place.stat().st_mode & 0o777 == 0o770
        with server.connect() as wire:
            assert wire.ask().status == 200
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(place))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_files_that_somebody_else_may_not_remove_cut_no_request(
    engine: str, tmp_path: Path
) -> None:
    with TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        place, pidfile = folder / "socket", folder / "pid"
        arguments = ("--bind", f"unix:{place}", "--pidfile", str(pidfile), "--user", "nobody")
        with run_server("apps.plain:app", engine, *arguments) as server:
            with server.connect() as wire:
                wire.get("/slow?300")
                reply = wire.reply()
                assert reply.data() == b"begun "
                server.signal()
                assert reply.rest().body == b"begun done"
            assert server.wait() == 0
            assert f"the socket's file stays, {place}" in server.log
            assert f"the pid file stays, {pidfile}" in server.log
        with run_server("apps.plain:app", engine, *arguments) as server, server.connect() as wire:
            assert wire.ask().status == 200


def test_unknown_users_are_refused(engine: str) -> None:
    with (
        pytest.raises(AssertionError, match='user: "no-such-user": this system knows no such user'),
        run_server(APP, engine, "--workers", "1", "--user", "no-such-user"),
    ):
        pass


# ---- how it is started


@pytest.mark.parametrize("workers", ["0", "1"])
def test_closed_standard_streams_are_no_sockets(engine: str, tmp_path: Path, workers: str) -> None:
    (tmp_path / "talking.py").write_text(
        "import sys\n"
        "def app(environ, start_response):\n"
        "    print('said', file=environ['wsgi.errors'])\n"
        "    print(sys.stdin.read())\n"
        "    start_response('200 OK', [('Content-Length', '4')])\n"
        "    return [b'done']\n"
    )
    path = tmp_path / "socket"
    command = [sys.executable, "-m", "prowingen_wsgi", "talking:app", "--engine", engine]
    command += ["--bind", f"unix:{path}", "--workers", workers]
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', *command],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    try:
        wait_until(lambda: process.poll() is not None or path.exists(), "no socket")
        with Wire(str(path)) as wire:
            assert wire.ask().body == b"done"
    finally:
        process.terminate()
        assert process.wait(10) == 0
