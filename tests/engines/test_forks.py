"""Children that the application forks: they come back, or live on, and the server is the parent's.

Each server is a process of its own: a child that was not stopped would go on with these tests.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.certificates import client_context, server_files
from harness.process import TESTS, URL, ServerProcess, run_server
from harness.waiting import eventually
from harness.wire import Truncated, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

APP = "apps.forking:app"
pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes by /proc")


def is_alive(process: int) -> bool:
    """Whether it runs; one that nobody has waited for does not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def read_strictly(wire: Wire) -> None:
    while wire.socket.recv(4096):
        pass


def parent_of(process: int) -> int:
    status = Path(f"/proc/{process}/stat").read_text()
    return int(status.rpartition(")")[2].split()[1])


@contextmanager
def living_child(wire: Wire) -> Iterator[int]:
    """A child of the application's that goes on while its request is answered."""
    answer = wire.ask("/lives_on")
    child = int(answer.get("X-Child") or 0)
    assert answer.body == b"parent"
    assert is_alive(child)
    try:
        yield child
        assert is_alive(child), "nothing was shown"
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def expect_left(server: ServerProcess, target: str, how: str = "came back from it") -> None:
    """The child has said so, in one line, and is gone."""
    line = re.escape(f" {target} HTTP/1.1: a child process that the application forked {how}")
    said = server.wait_for_line(rf"\[\d+\] WARNING [A-Z]+{line}")
    child = int(said[1:].partition("]")[0])
    assert eventually(lambda: not is_alive(child))
    assert server.log.count(f"[{child}]") == 1
    assert "Traceback" not in server.log


@pytest.fixture(scope="module")
def server(engine: str) -> Iterator[ServerProcess]:
    with run_server(APP, engine, "--threads", "2") as process:
        yield process


@contextmanager
def program(
    engine: str, interface: str, *bind: str, pass_fds: tuple[int, ...] = ()
) -> Iterator[ServerProcess]:
    """A program that serves."""
    path = str(TESTS / "apps" / "forking.py")
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, path, interface, engine, *bind]
    process = ServerProcess(command, environment, pass_fds=pass_fds)
    try:
        process.url = process.wait_for_line(URL)
        yield process
    finally:
        process.end()


# ---- children of an application that is loaded

WAYS = [(), ("--workers", "1"), ("--workers", "1", "--preload")]
WAY_NAMES = ["single", "forked", "preloaded"]
FORKS = """
import os, time
from pathlib import Path
from apps.plain import app
if child := os.fork():
    Path(__file__).with_name("child").write_text(str(child))
else:
    time.sleep(60)
    os._exit(0)
"""


def holders(port: int) -> list[int]:
    """Processes with a listening socket on this port."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    sockets = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}")}
    found = []
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):
            if any(str(each.readlink()) in sockets for each in folder.iterdir()):
                found.append(int(folder.parent.name))
    return found


@pytest.mark.parametrize("arguments", WAYS, ids=WAY_NAMES)
def test_a_child_of_the_load_keeps_no_address_in_use(
    engine: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "forks_early.py").write_text(FORKS)
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(TESTS)])}
    with run_server("forks_early:app", engine, *arguments, environment=environment) as server:
        with server.connect() as wire:
            assert wire.ask("/").status == 200
        port = int(server.url.rpartition(":")[2])
        assert holders(port) != []
        server.signal()
        server.process.wait(10)
        assert holders(port) == []
        child = int((tmp_path / "child").read_text())
        assert is_alive(child)
        os.kill(child, signal.SIGTERM)
        assert eventually(lambda: not is_alive(child)), "it has handlers of the server's"


BEGINS_PROCESSES = """
import multiprocessing, os, time
from pathlib import Path
from apps.plain import app
context = multiprocessing.get_context("fork")
daemon = context.Process(target=time.sleep, args=(60,), daemon=True)
daemon.start()
pool = context.Pool(1)
Path(__file__).with_name("children").write_text(f"{daemon.pid} {pool.apply(os.getpid)}")
"""


def test_processes_of_a_preloaded_application_outlive_a_worker_and_not_the_server(
    engine: str, tmp_path: Path
) -> None:
    (tmp_path / "begins.py").write_text(BEGINS_PROCESSES)
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(TESTS)])}
    arguments = ("--workers", "1", "--preload")
    with run_server("begins:app", engine, *arguments, environment=environment) as server:
        children = [int(word) for word in (tmp_path / "children").read_text().split()]
        worker = server.wait_for_line(r"worker 1 \(pid \d+\) is ready")
        os.kill(int(worker.split("pid ")[1].partition(")")[0]), signal.SIGTERM)
        server.wait_for_line("(?s)exited with code 0.*is ready")
        assert all(map(is_alive, children))
        server.signal()
        assert server.wait(4) == 0, "less than its template would be waited for"
        assert not any(map(is_alive, children))
        assert "Traceback" not in server.log


STARTS_A_PROGRAM = """
import subprocess

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    program = ["ls", "/proc/self/fd"]
    yield subprocess.run(program, close_fds=False, stdout=subprocess.PIPE).stdout
"""


@pytest.mark.parametrize("arguments", WAYS, ids=WAY_NAMES)
def test_a_program_that_the_application_starts_gets_no_descriptor(
    engine: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "starts.py").write_text(STARTS_A_PROGRAM)
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(TESTS)])}
    arguments += ("--pidfile", str(tmp_path / "pid"), "--access-log", str(tmp_path / "log"))
    with (
        run_server("starts:app", engine, *arguments, environment=environment) as server,
        server.connect() as wire,
    ):
        assert wire.ask("/").body.split() == [b"0", b"1", b"2", b"3"]  # 3 is the folder


# ---- children that come back


@pytest.mark.parametrize("way", ["comes_back", "forks_in_close"])
def test_a_child_that_comes_back_ends(server: ServerProcess, way: str) -> None:
    with server.connect() as wire:
        assert wire.ask(f"/{way}").body == b"parent"
        assert wire.ask("/no_fork").body == b"parent", "the connection is the parent's alone"
        expect_left(server, f"/{way}")


@pytest.mark.parametrize(
    "way", ["returns_a_generator", "yields_nothing_for_ever", "writes", "hints", "sets_trailers"]
)
def test_a_child_that_goes_on_with_the_answer_ends(server: ServerProcess, way: str) -> None:
    with server.connect() as wire:
        child = int(wire.ask(f"/{way}").body)
        assert child != 0
        expect_left(server, f"/{way}")
        assert not is_alive(child)


def test_a_child_of_a_thread_that_goes_on_with_the_answer_ends(server: ServerProcess) -> None:
    with server.connect() as wire:
        assert re.fullmatch(rb"parent [1-9]\d*", wire.ask("/in_a_thread").body)
        expect_left(server, "/in_a_thread")


@pytest.mark.parametrize("size", [5, 1_000_000])
def test_a_child_that_reads_the_body_ends(server: ServerProcess, size: int) -> None:
    with server.connect() as wire:
        wire.post(f"/reads?{size}", b"x" * size)
        assert wire.response().body == b"x" * size
        expect_left(server, f"/reads?{size}")


def test_a_child_that_raises_ends_and_says_what(server: ServerProcess) -> None:
    with server.connect() as wire:
        assert wire.ask("/raises").body == b"parent"
        expect_left(server, "/raises", "came back from it by ValueError (not mine); it ends")


@pytest.mark.parametrize("code", [0, 7])
def test_a_child_that_exits_has_its_code(server: ServerProcess, code: int) -> None:
    with server.connect() as wire:
        assert wire.ask(f"/exits?{code}").body == str(code).encode()
        how = f"came back from it by SystemExit ({code}); it ends with code {code} "
        expect_left(server, f"/exits?{code}", how)


def test_a_child_that_exits_with_a_text_has_said_it(server: ServerProcess) -> None:
    with server.connect() as wire:
        assert wire.ask("/exits_with_text").body == b"1"
        expect_left(server, "/exits_with_text", "came back from it by SystemExit (enough)")


def test_a_child_with_a_terminal_of_its_own_says_it_there(server: ServerProcess) -> None:
    with server.connect() as wire:
        answer = wire.ask("/forkpty")
        assert answer.text.count("\n") == 1
        assert "a child process that the application forked came back" in answer.text
        assert eventually(lambda: not is_alive(int(answer.get("X-Child") or 0)))


@pytest.mark.parametrize("arguments", [["--workers", "1"], ["--workers", "1", "--preload"]])
def test_a_child_of_a_supervised_worker_ends(engine: str, arguments: list[str]) -> None:
    with run_server(APP, engine, *arguments) as server:
        with server.connect() as wire:
            assert wire.ask("/comes_back").body == b"parent"
            expect_left(server, "/comes_back")
        server.signal()
        assert server.wait() == 0


def test_a_child_of_a_program_that_serves_ends(engine: str) -> None:
    with program(engine, "wsgi") as server:
        with server.connect() as wire:
            assert wire.ask("/comes_back").body == b"parent"
            expect_left(server, "/comes_back")
        server.signal()
        assert server.wait() == 0


def test_a_child_of_a_raw_handler_ends(engine: str) -> None:
    with program(engine, "listener") as server:
        for way in ("comes_back", "deferred", "flushes", "raises", "exits"):
            with server.connect() as wire:
                answer = wire.ask(f"/{way}")
                assert (answer.body, wire.ask("/no_fork").body) == (b"parent", b"parent")
                expect_left(server, f"/{way}")
        with server.connect() as wire:
            wire.post("/reads", b"x")
            assert wire.response().body == b"parent"
            expect_left(server, "/reads")


# ---- signals of a supervised worker and of its children

SHOWS_HANDLERS = """
import os, signal

def handlers():
    return " ".join(repr(signal.getsignal(each)) for each in (2, 15, 3, 1, 10))

def of_a_child():
    reader, writer = os.pipe()
    if child := os.fork():
        os.close(writer)
        os.waitpid(child, 0)
        with open(reader) as said:
            return said.read()
    os.write(writer, handlers().encode())
    os._exit(0)

LOADED = of_a_child()

def app(environ, start_response):
    text = (LOADED if environ["PATH_INFO"] == "/loaded" else of_a_child()).encode()
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]
"""


@pytest.fixture(params=[(), (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)], ids=["", "ignored"])
def _ignored(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a shell's script, or nohup, has a program in the background ignore."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in request.param}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_ignored")
@pytest.mark.parametrize("arguments", WAYS, ids=WAY_NAMES)
def test_a_child_has_the_signal_handlers_that_the_server_found(
    engine: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "shows.py").write_text(SHOWS_HANDLERS)
    here = [sys.executable, "-c", "import shows; print(shows.handlers())"]
    found = subprocess.run(here, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    environment = {"PYTHONPATH": str(tmp_path)}
    with (
        run_server("shows:app", engine, *arguments, environment=environment) as server,
        server.connect() as wire,
    ):
        assert wire.ask("/loaded").text == found.strip()
        assert wire.ask("/").text == found.strip()


# ---- children that live on


def test_a_child_has_no_socket_of_the_server(server: ServerProcess) -> None:
    with server.connect() as idle, server.connect() as wire:
        assert idle.ask("/no_fork").body == b"parent"
        assert wire.ask("/job").body == b"0 []"
        assert idle.ask("/no_fork").body == b"parent"


def test_a_child_has_no_socket_that_the_program_has_inherited(engine: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        number = inherited.fileno()
        with program(engine, "wsgi", f"fd://{number}", pass_fds=(number,)) as server:
            with server.connect() as wire:
                assert wire.ask("/executes").body == b"0"
                assert wire.ask("/job").body == b"0 []"
            server.signal()
            assert server.wait() == 0


@pytest.mark.parametrize("arguments", WAYS, ids=WAY_NAMES)
def test_a_child_has_no_file_of_the_server(
    engine: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Else a body that waits, or a log that is rotated and removed, would take up the disk."""
    log = tmp_path / "access.log"
    arguments += ("--access-log", str(log), "--spool-dir", str(tmp_path))
    with (
        run_server(APP, engine, *arguments) as server,
        server.connect() as slow,
        server.connect() as wire,
    ):
        slow.send(b"POST /no_fork HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        slow.send(b"200000\r\n" + b"x" * 0x200000 + b"\r\n")  # more than memory has room for
        process = int(wire.ask("/process").body)

        def files() -> list[str]:
            found = []
            for each in Path(f"/proc/{process}/fd").iterdir():
                with suppress(FileNotFoundError):
                    found.append(str(each.readlink()))
            return [path for path in found if path.startswith(str(tmp_path))]

        assert eventually(lambda: len(files()) == 2), "a log and a body"
        wire.post("/files", b"x" * 0x20000)
        seen = wire.response().text.split("\n")
        assert [path for path in seen if path.startswith(str(tmp_path))] == []
        assert len(files()) >= 2
        slow.send(b"0\r\n\r\n")
        assert slow.response().body == b"parent", "the file is still the parent's"
        assert eventually(lambda: files() == [str(log)])
        log.rename(tmp_path / "rotated.log")
        server.signal(signal.SIGUSR1)
        assert eventually(log.exists)
        wire.post("/files", b"")
        assert str(tmp_path) not in wire.response().text


def test_a_program_that_is_started_has_no_socket_of_the_server(server: ServerProcess) -> None:
    with server.connect() as wire:
        assert wire.ask("/executes").body == b"0"


def test_a_signal_ends_a_child_and_not_the_server(server: ServerProcess) -> None:
    with server.connect() as wire:
        assert wire.ask("/terminated").body == b"-15"
        assert wire.ask("/no_fork").body == b"parent"


def test_the_end_of_a_connection_waits_for_no_child(server: ServerProcess) -> None:
    with (
        server.connect() as closing,
        server.connect() as refused,
        server.connect() as cut,
        server.connect() as half_closed,
        server.connect() as wire,
    ):
        for each in (closing, refused, cut, half_closed):  # which the server has accepted then
            each.ask("/no_fork")
        with living_child(wire):
            closing.get("/no_fork", version="1.0")
            assert closing.read_to_end().endswith(b"parent")
            refused.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            assert refused.response().status == 400
            refused.expect_closed()
            cut.get("/cut")
            with pytest.raises(Truncated):
                cut.response()
            half_closed.finish_sending()
            half_closed.expect_closed()


def test_a_cut_answer_is_reset_whoever_has_the_socket(server: ServerProcess) -> None:
    """Its end is the connection's end, so that only a reset tells it from a whole one."""
    with server.connect() as cut, server.connect() as wire:
        cut.ask("/no_fork")
        with living_child(wire):
            cut.get("/cut", version="1.0")
            with pytest.raises(ConnectionResetError):
                read_strictly(cut)


def test_the_end_of_a_tls_connection_waits_for_no_child(engine: str) -> None:
    files = server_files()
    arguments = ["--certfile", str(files.certfile), "--keyfile", str(files.keyfile)]
    with run_server(APP, engine, *arguments) as server:
        context = client_context()
        with (
            Wire(server.address, tls=context) as closing,
            Wire(server.address) as silent,
            Wire(server.address, tls=context) as wire,
        ):
            closing.ask("/no_fork")
            with living_child(wire):
                closing.get("/no_fork", version="1.0")
                assert closing.read_to_end().endswith(b"parent")
                silent.send(b"GET / HTTP/1.1\r\n\r\n")
                assert silent.response().status == 400
                silent.expect_closed()


@pytest.mark.parametrize("arguments", [[], ["--workers", "2"]])
def test_the_address_is_free_once_the_server_has_stopped(engine: str, arguments: list[str]) -> None:
    with (
        run_server(APP, engine, *arguments) as server,
        server.connect() as wire,
        living_child(wire),
    ):
        server.signal()
        wire.expect_closed()
        wire.close()  # which the server waits for
        assert server.wait() == 0
        bind = server.url.removeprefix("http://")
        with run_server(APP, engine, "--bind", bind) as next_one, next_one.connect() as again:
            assert again.ask("/no_fork").body == b"parent"


def test_the_end_of_a_worker_is_seen_though_a_child_lives(engine: str) -> None:
    """Nobody waits for a worker whose template is gone: the end of its pipe tells."""
    with (
        run_server(APP, engine, "--workers", "1", "--preload") as server,
        server.connect() as wire,
        living_child(wire) as child,
    ):
        worker = parent_of(child)
        os.kill(parent_of(worker), signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        server.wait_for_line(rf"worker 1 \(pid {worker}\) has ended")


def test_a_reload_leaves_a_child_alone(engine: str) -> None:
    with (
        run_server(APP, engine, "--workers", "1") as server,
        server.connect() as wire,
        living_child(wire),
    ):
        server.signal(signal.SIGHUP)
        wire.expect_closed()
        wire.close()
        with server.connect() as again:
            assert again.ask("/comes_back").body == b"parent"
            expect_left(server, "/comes_back")
        server.signal()
        assert server.wait() == 0
