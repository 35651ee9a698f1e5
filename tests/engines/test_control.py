"""`prowingen ctl` and real servers: each command, in each of the ways in which a server runs."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from harness.controlled import WAYS, Said, controlled, ctl, ctl_command
from harness.process import run_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.process import ServerProcess

APP = """
import ctypes, logging, os, threading, time

HELD = threading.Event()
VERSION = 1

def wait_for_it():
    HELD.wait(60)

def spin():
    while not HELD.is_set():
        sum(range(500))

def keep_the_gil():
    ctypes.PyDLL(None).sleep(4)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/wait":
        wait_for_it()
    elif path == "/spin":
        spin()
    elif path == "/gil":
        keep_the_gil()
    elif path == "/free":
        HELD.set()
    elif path == "/debug":
        logging.getLogger("prowingen_wsgi.error").debug("a debugging line of %d", os.getpid())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {VERSION}".encode()]
"""

HANGING = "open(__file__ + '.seen', 'a').write('x'); HELD.wait(60)"
AS_NOBODY = ("--user", "nobody")
HEALTH = ("--health-path", "/-", "--threads", "3")

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are found in /proc"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "asked.py").write_text(APP)
    return tmp_path


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def served(engine: str, folder: Path, way: str) -> Iterator[tuple[ServerProcess, Path]]:
    with controlled("asked:app", engine, folder, *WAYS[way], *HEALTH) as found:
        yield found


@pytest.fixture
def workers(engine: str, folder: Path) -> Iterator[tuple[ServerProcess, Path]]:
    with controlled("asked:app", engine, folder, *WAYS["workers"], *HEALTH) as found:
        yield found


def ask(server: ServerProcess, path: str = "/") -> tuple[int, str]:
    with server.connect() as wire:
        answer = wire.ask(path, "Connection: close")
        return answer.status, answer.text


def versions(server: ServerProcess) -> set[str]:
    return {ask(server)[1].split()[1] for _ in range(10)}


def serves_only(server: ServerProcess, version: str) -> bool:
    """Soon: an old worker takes what comes in the moment that it learns to leave."""
    return eventually(lambda: versions(server) == {version})


def rewrite(folder: Path, before: str, after: str) -> None:
    text = (folder / "asked.py").read_text()
    (folder / "asked.py").write_text(text.replace(before, after))


# ---- what is asked


def test_status_and_workers(served: tuple[ServerProcess, Path], way: str) -> None:
    server, path = served
    for _ in range(5):
        assert ask(server)[0] == 200
    assert eventually(lambda: ctl(path, "status").result["requests_taken"] == 5)
    said = ctl(path, "status")
    status = said.result
    assert said.code == 0
    assert (status["pid"], status["state"], status["ready"]) == (server.pid, "serving", True)
    assert status["addresses"] == [server.url]
    assert status["rss_bytes"] > 2**20
    rows = ctl(path, "workers").result["workers"]
    assert len(rows) == (1 if way == "alone" else 2)
    assert sum(row["requests_taken"] for row in rows) == 5
    assert all(row["state"] == "ready" and row["ready"] for row in rows)
    assert {row["pid"] for row in rows} >= {int(ask(server)[1].split()[0])}
    shown = ctl(path, "status", json=False).output
    assert shown.startswith("serving, ready\n")
    assert server.url in shown
    assert ctl(path, "workers", json=False).output.startswith("worker  pid")


def test_stacks_say_what_threads_are_in(served: tuple[ServerProcess, Path]) -> None:
    server, path = served
    with server.connect() as waiting, server.connect() as spinning:
        waiting.get("/wait?for=what")
        spinning.get("/spin")

        def threads() -> dict[str, list[str]]:
            workers = ctl(path, "stacks").result["workers"]
            assert all(not each["note"] for each in workers)
            return {
                thread["request"]: [frame["function"] for frame in thread["frames"]]
                for each in workers
                for thread in each["threads"]
                if thread["request"] is not None
            }

        assert eventually(lambda: len(threads()) == 2)
        found = threads()
        assert "wait_for_it" in found["GET /wait?for=what HTTP/1.1"]
        assert "spin" in found["GET /spin HTTP/1.1"]
        text = ctl(path, "stacks", json=False).output
        assert "prowingen-worker-" in text
        assert ": GET /wait?for=what HTTP/1.1, for " in text
        assert "HELD.wait(60)" in text
        assert "waits for a request" in text
        while any(threads().values()):  # each process has an event of its own
            ask(server, "/free")


def all_show_debugging(server: ServerProcess, pids: set[int]) -> bool:
    ask(server, "/debug")
    return all(f"a debugging line of {each}" in server.log for each in pids)


def test_log_level_is_of_all_processes(
    served: tuple[ServerProcess, Path], way: str, folder: Path
) -> None:
    server, path = served
    ask(server, "/debug")
    assert "a debugging line" not in server.log
    said = ctl(path, "log-level", "debug")
    assert said.result == {"level": "debug", "workers_to_follow": []}
    pids = {row["pid"] for row in ctl(path, "workers").result["workers"]}
    assert eventually(lambda: all_show_debugging(server, pids))
    if way != "alone":  # those that start later have it, too
        rewrite(folder, "VERSION = 1", "VERSION = 2")
        assert ctl(path, "reload", "--wait").code == 0
        new = {row["pid"] for row in ctl(path, "workers").result["workers"]} - pids
        assert eventually(lambda: all_show_debugging(server, new))
    assert ctl(path, "log-level", "default").result["level"] == "info"
    lines = server.log.count("a debugging line")
    for _ in range(6):
        ask(server, "/debug")
    assert server.log.count("a debugging line") == lines


def test_ready_off_is_of_all_processes_those_that_start_later_too(
    served: tuple[ServerProcess, Path], way: str
) -> None:
    server, path = served
    said = ctl(path, "ready", "off")
    assert said.result == {"withdrawn": True, "probes": ["/-"]}
    refused = (503, "not ready: an administrator says so\n")
    assert {ask(server, "/-/ready") for _ in range(10)} == {refused}
    assert ask(server)[0] == 200, "who comes yet is served"
    status = ctl(path, "status")
    assert (status.code, status.result["why_not_ready"]) == (4, "an administrator says so")
    if way != "alone":
        assert ctl(path, "reload", "--wait").code == 0
        assert {ask(server, "/-/ready") for _ in range(10)} == {refused}
    assert ctl(path, "ready", "on").result["withdrawn"] is False
    assert {ask(server, "/-/ready")[0] for _ in range(10)} == {200}
    assert ctl(path, "status").code == 0


def test_stop_waits_for_the_end(served: tuple[ServerProcess, Path], way: str) -> None:
    server, path = served
    said = ctl(path, "stop", "--wait")
    assert said.code == 0, said
    assert said.lines[0]["event"] == {"is": "stopping", "pid": server.pid}
    assert said.result == {"is": "ended", "pid": server.pid}
    assert server.wait() in (0, -signal.SIGTERM)
    assert "SIGTERM: " in server.log
    assert not path.exists()
    assert ctl(path, "status").code == 3
    assert "Traceback" not in server.log, way


@pytest.mark.parametrize("way", ["alone", "workers"], indirect=True)
def test_stop_now_does_what_sigquit_does(served: tuple[ServerProcess, Path]) -> None:
    server, path = served
    with server.connect() as wire:
        wire.get("/wait")
        assert eventually(lambda: "wait_for_it" in ctl(path, "stacks").output)
        assert ctl(path, "stop", "--now").result == {"is": "stopping", "pid": server.pid}
        server.wait()
    assert "SIGQUIT: closing everything at once" in server.log
    assert not path.exists()


def test_a_server_that_stops_says_so_while_it_finishes(
    served: tuple[ServerProcess, Path],
) -> None:
    server, path = served
    with server.connect() as wire:
        wire.get("/wait")
        assert eventually(lambda: "wait_for_it" in ctl(path, "stacks").output)
        late = ctl(path, "stop", "--wait", "--timeout", "0.3")
        assert (late.code, late.answer["error"]["code"]) == (1, "failed")
        status = ctl(path, "status")
        assert (status.code, status.result["state"]) == (4, "stopping")
        assert status.result["why_not_ready"] == "it is about to stop"
        assert ctl(path, "stop").code == 0  # a second one, which closes everything
        server.wait()


# ---- reloads


def test_alone_it_cannot_be_reloaded(engine: str, folder: Path) -> None:
    with controlled("asked:app", engine, folder) as (_, path):
        said = ctl(path, "reload", "--wait")
        assert (said.code, said.answer["error"]["code"]) == (1, "refused")
        assert "serves without workers" in said.message


@pytest.mark.parametrize("way", ["workers", "preload"], indirect=True)
def test_reload_waits_for_all_new_workers(served: tuple[ServerProcess, Path], folder: Path) -> None:
    server, path = served
    before = {row["pid"] for row in ctl(path, "workers").result["workers"]}
    rewrite(folder, "VERSION = 1", "VERSION = 2")
    said = ctl(path, "reload", "--wait")
    assert said.code == 0, said
    assert said.result == {"is": "done", "generation": 2, "workers": 2}
    assert serves_only(server, "2")
    ready = {line["event"]["pid"] for line in said.lines[:-1] if line["event"]["is"] == "ready"}
    after = {
        row["pid"] for row in ctl(path, "workers").result["workers"] if row["state"] == "ready"
    }
    assert ready == after
    assert not ready & before
    begun = ctl(path, "reload")
    assert begun.result == {"is": "begun", "generation": 3}


@pytest.mark.parametrize("way", ["workers", "preload"], indirect=True)
def test_a_reload_that_fails_says_which_worker_and_why(
    served: tuple[ServerProcess, Path], folder: Path, way: str
) -> None:
    server, path = served
    rewrite(folder, "VERSION = 1", "import a_module_that_is_missing")
    said = ctl(path, "reload", "--wait")
    assert (said.code, said.answer["error"]["code"]) == (1, "failed")
    who = "what loads the application: " if way == "preload" else "worker "
    assert f"the workers go on as they are: {who}" in said.message
    assert "No module named 'a_module_that_is_missing'" in said.message
    failed = [line["event"] for line in said.lines[:-1] if line["event"]["is"] == "failed"]
    assert len(failed) == 1
    assert versions(server) == {"1"}
    status = ctl(path, "status")
    assert (status.code, status.result["generation"]) == (0, 1)
    assert "a_module_that_is_missing" in status.result["last_failed_start"]["why"]
    rewrite(folder, "import a_module_that_is_missing", "VERSION = 2")
    assert ctl(path, "reload", "--wait").code == 0
    assert serves_only(server, "2")


def test_a_reload_that_crashes_says_how(workers: tuple[ServerProcess, Path], folder: Path) -> None:
    _, path = workers
    rewrite(folder, "VERSION = 1", "os.abort()")
    said = ctl(path, "reload", "--wait")
    assert said.code == 1
    assert "was killed by SIGABRT" in said.message


def test_a_reload_of_a_wrong_configuration_says_what_is_wrong(engine: str, folder: Path) -> None:
    file = folder / "p.toml"
    file.write_text('app = "asked:app"\nthreads = 2\n')
    arguments = ("--config", str(file), "--workers", "1")
    with controlled("asked:app", engine, folder, *arguments) as (_, path):
        file.write_text("threads = 0\n")
        said = ctl(path, "reload")
        assert said.code == 1
        assert "threads" in said.message


def test_a_reload_that_hangs_is_given_up_and_can_be_looked_at(
    workers: tuple[ServerProcess, Path], folder: Path
) -> None:
    server, path = workers
    rewrite(folder, "VERSION = 1", HANGING)
    said = ctl(path, "reload", "--wait", "--timeout", "1")
    assert said.code == 1
    assert "after 1 s 0 of 2 workers serve, and it goes on" in said.message
    assert ctl(path, "status").result["state"] == "reloading"
    if sys.platform == "linux":
        found = [each for each in ctl(path, "stacks").result["workers"] if each["note"]]
        assert [each["state"] for each in found] == ["starting"]
        assert "still loads the application" in found[0]["note"]
        (thread,) = found[0]["threads"]
        assert any(frame["file"].endswith("asked.py") for frame in thread["frames"])
    with subprocess.Popen(
        ctl_command(path, "reload", "--wait", "--json"), stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert '"begun"' in first.stdout.readline()
        seen = folder / "asked.py.seen"
        assert eventually(lambda: seen.read_text() == "xx"), "it hangs again"
        rewrite(folder, HANGING, "VERSION = 2")
        assert ctl(path, "reload", "--wait").code == 0
        assert "another reload has overtaken this one" in first.communicate()[0]
        assert first.returncode == 1
    assert serves_only(server, "2")


# ---- what must be answered when Python cannot


@pytest.mark.skipif(sys.platform != "linux", reason="stacks without the GIL are Linux's")
@pytest.mark.parametrize("way", ["workers", "preload"], indirect=True)
def test_while_c_code_keeps_the_gil_all_is_answered(served: tuple[ServerProcess, Path]) -> None:
    server, path = served
    with server.connect() as wire:
        begun = time.monotonic()
        wire.get("/gil")

        def held() -> Said:
            return ctl(path, "stacks")

        said = held()
        while not any(each["note"] for each in said.result["workers"]):
            assert time.monotonic() < begun + 4, said
            said = held()
        (stuck,) = [each for each in said.result["workers"] if each["note"]]
        assert "C code keeps it" in stuck["note"]
        functions = {frame["function"] for each in stuck["threads"] for frame in each["frames"]}
        assert "keep_the_gil" in functions
        asked = time.monotonic()
        assert ctl(path, "status").code == 0
        assert len(ctl(path, "workers").result["workers"]) == 2
        assert wire.response().status == 200, "who has been looked at goes on"
        assert time.monotonic() > asked
    assert "Traceback" not in server.log


def stop(process: int) -> None:
    """By SIGSTOP; returns when none of its threads runs any more."""
    os.kill(process, signal.SIGSTOP)
    threads = list(Path(f"/proc/{process}/task").iterdir())

    def stopped(thread: Path) -> bool:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0] == "T"

    assert eventually(lambda: all(map(stopped, threads)))


@needs_proc
def test_a_worker_that_is_stopped_is_told_of_and_not_waited_for(
    workers: tuple[ServerProcess, Path],
) -> None:
    _, path = workers
    pid = ctl(path, "workers").result["workers"][0]["pid"]
    stop(pid)
    try:
        said = ctl(path, "stacks")
        stopped, other = said.result["workers"]
        assert stopped["pid"] == pid
        assert "it is stopped" in stopped["note"]
        assert not other["note"]
        assert other["threads"]
        level = ctl(path, "log-level", "debug")
        assert level.result["workers_to_follow"] == [stopped["worker"]]

        def unheard() -> bool:
            row = ctl(path, "workers").result["workers"][0]
            return bool(row["why_not_ready"] == "nothing is heard of it")

        assert eventually(unheard)
        assert ctl(path, "status").code == 0, "one that is ready is enough"
    finally:
        os.kill(pid, signal.SIGCONT)


@needs_proc
def test_alone_and_stopped_it_is_not_waited_for_for_ever(engine: str, folder: Path) -> None:
    with controlled("asked:app", engine, folder) as (server, path):
        stop(server.pid)
        try:
            said = ctl(path, "status", "--timeout", "0.5")
        finally:
            server.signal(signal.SIGCONT)
        assert (said.code, said.answer["error"]["code"]) == (5, "silent")
        assert ctl(path, "status").code == 0


# ---- the socket


@pytest.mark.parametrize("way", ["alone", "workers"], indirect=True)
def test_its_file_is_for_the_server_s_user_alone(served: tuple[ServerProcess, Path]) -> None:
    _, path = served
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert stat.S_ISSOCK(path.lstat().st_mode)


@pytest.mark.parametrize("way", ["alone", "workers"], indirect=True)
def test_a_server_that_was_killed_leaves_a_file_that_the_next_one_replaces(
    engine: str, folder: Path, way: str
) -> None:
    with controlled("asked:app", engine, folder, *WAYS[way]) as (server, path):
        pids = {row["pid"] for row in ctl(path, "workers").result["workers"]}
        server.signal(signal.SIGKILL)
        server.wait()
        assert path.exists()
        # Its workers have no part of it, also while they finish.
        said = ctl(path, "status")
        assert said.code == 3, (said, pids)
        with controlled("asked:app", engine, folder, *WAYS[way]) as (_, again):
            assert again == path
            assert ctl(path, "status").result["pid"] != server.pid
        assert path.exists(), "it was killed by the test, too"


@pytest.mark.parametrize("way", ["alone", "workers"], indirect=True)
def test_two_servers_on_one_path(engine: str, folder: Path, way: str) -> None:
    with controlled("asked:app", engine, folder, *WAYS[way]) as (first, path):
        with (
            pytest.raises(AssertionError, match="another server listens on it"),
            run_server(
                "asked:app",
                engine,
                *WAYS[way],
                *("--control-socket", str(path)),
                environment={"PYTHONPATH": str(folder)},
            ),
        ):
            pass
        assert ctl(path, "status").result["pid"] == first.pid


@pytest.mark.parametrize("way", ["alone", "workers"], indirect=True)
def test_peers_that_flood_or_say_nothing_cost_nobody_an_answer(
    served: tuple[ServerProcess, Path],
) -> None:
    server, path = served
    with ExitStack() as stack:
        for number in range(40):
            peer = stack.enter_context(socket.socket(socket.AF_UNIX))
            peer.setblocking(False)
            try:
                peer.connect(str(path))
                if number % 2:
                    peer.send(b"x" * 100_000)
            except OSError:
                continue  # it has been let go, or the backlog is full
        for _ in range(3):
            assert ctl(path, "status").code == 0
            assert ask(server)[0] == 200
    assert ctl(path, "status").code == 0


@pytest.mark.parametrize("way", ["alone", "workers"], indirect=True)
def test_what_the_application_starts_has_nothing_of_it(engine: str, folder: Path, way: str) -> None:
    (folder / "forks.py").write_text(
        "import os, time\n"
        "def app(environ, start_response):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        time.sleep(60)\n"
        "        os._exit(0)\n"
        "    start_response('200 OK', [])\n"
        "    return [str(child).encode()]\n"
    )
    with controlled("forks:app", engine, folder, *WAYS[way]) as (server, path):
        child = int(ask(server)[1])
        try:
            assert ctl(path, "stop", "--wait").code == 0
            with socket.socket(socket.AF_UNIX) as peer:
                assert peer.connect_ex(str(path)) != 0
            found = [each.readlink() for each in Path(f"/proc/{child}/fd").iterdir()]
            own = [str(each) for each in found if str(each).startswith("socket:")]
            assert not own, "neither a connection nor a link"
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize("way", ["alone", "workers"], indirect=True)
def test_with_another_user_root_may_ask_and_strangers_may_not(engine: str, way: str) -> None:
    with TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with controlled("apps.plain:app", engine, folder, *WAYS[way], *AS_NOBODY) as (server, path):
            assert ctl(path, "status").code == 0
            status = path.lstat()
            assert stat.S_IMODE(status.st_mode) == 0o600
            assert (status.st_uid == 0) == (way == "workers"), "its server's user is its owner"
            stranger = os.fork()
            if stranger == 0:
                code = 1
                try:
                    os.setuid(65533)
                    with socket.socket(socket.AF_UNIX) as peer:
                        code = peer.connect_ex(str(path))
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(stranger, 0)[1]) == errno.EACCES
            assert ctl(path, "stop", "--wait").code == 0
            server.wait()
            # In a folder that only root may write in, it stays, and the log says so.
            assert path.exists() == (way == "alone")
            assert ("the control socket's file stays" in server.log) == (way == "alone")
