"""The life of a server, on a stand-in for the native module."""

from __future__ import annotations

import logging
import os
import queue
import signal
import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from prowingen_wsgi import originals
from prowingen_wsgi.configuration.config import Config, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from types import ModuleType

LOCAL = Config(bind=("127.0.0.1:0",), threads=2)


def hello(_environ: object, _start_response: object) -> Iterable[bytes]:
    return [b"hello"]


class Held:
    """An application whose requests last until they are let go."""

    def __init__(self) -> None:
        self.begun: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.let_go = threading.Event()

    def __call__(self, _environ: object, _start_response: object) -> Iterable[bytes]:
        self.begun.put(threading.current_thread().name)
        self.let_go.wait()
        return [b"held"]


@pytest.fixture
def held() -> Iterator[Held]:
    app = Held()
    yield app
    app.let_go.set()


@pytest.fixture
def make(server_module: ModuleType) -> Iterator[Callable[..., Any]]:
    """Makes servers that are stopped when the test ends."""
    with ExitStack() as stack:

        def start(app: object = hello, config: Config = LOCAL, **options: object) -> Any:
            server = server_module.Server(app, config, **options)
            stack.callback(server.stop, graceful=0)
            return server

        yield start


def connect(server: Any) -> socket.socket:
    host, _, port = server.addresses[0].removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def ask(server: Any) -> bytes:
    with connect(server) as client:
        return client.recv(100)


def calls(server: Any) -> list[str]:
    return list(server._native.calls)


def test_serve_starts_tells_its_address_and_stops(server_module: ModuleType) -> None:
    with server_module.serve(hello, bind="127.0.0.1:0", threads=3, max_body="1k") as server:
        assert ask(server) == b"hello"
        assert server._native.options["max_body"] == 1024
        assert server._native.options["engine"] == "embedded"
        names = {thread.name for thread in threading.enumerate()}
        assert {f"prowingen-worker-{number}" for number in (1, 2, 3)} <= names
    assert not any(thread.name.startswith("prowingen") for thread in threading.enumerate())
    assert calls(server) == ["start", "begin_drain", "stop"]
    with pytest.raises(ConnectionError):
        connect(server)


def test_serve_runs_without_a_with_statement(server_module: ModuleType) -> None:
    server = server_module.serve(hello, "127.0.0.1:0")
    assert ask(server) == b"hello"
    server.stop()


def test_serve_takes_a_callable_for_the_access_log(server_module: ModuleType) -> None:
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    with server_module.serve(hello, "127.0.0.1:0", access_log=lines.put) as server:
        ask(server)
        assert lines.get(timeout=10) == "a line"


def test_a_callable_that_fails_is_reported_once_and_called_again(
    server_module: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def failing(line: str) -> None:
        lines.put(line)
        raise RuntimeError("log is full")

    with server_module.serve(hello, "127.0.0.1:0", access_log=failing) as server:
        for _ in range(3):
            ask(server)
            lines.get(timeout=10)
    assert caplog.text.count("RuntimeError: log is full") == 1
    assert "lines lost so far: 1" in caplog.text


def test_serve_takes_a_path_for_the_access_log(server_module: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with server_module.serve(hello, "127.0.0.1:0", access_log=path) as server:
        assert server._native.options["access_log"] == str(path)


def test_serve_refuses_what_it_does_not_know(server_module: ModuleType) -> None:
    with pytest.raises(TypeError, match='did you mean "threads"'):
        server_module.serve(hello, thread=4)
    with pytest.raises(ConfigError, match=r'^engine: "proxygen": this build has only embedded$'):
        server_module.serve(hello, engine="proxygen")
    with pytest.raises(ConfigError, match=r"^workers: it is an option of the command"):
        server_module.Server(hello, Config(workers=2))
    with pytest.raises(TypeError, match="a WSGI application must be callable, not str"):
        server_module.serve("hello:app")


def test_auto_is_the_leaner_engine(
    server_module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = {"embedded": "1", "proxygen": "2"}
    monkeypatch.setattr(server_module._native, "engines", lambda: built)
    for http in ("auto", "1.1", "2"):
        assert server_module.choose_engine(server_module.Config(http=http)) == "embedded"


def test_several_servers_run_in_one_process(make: Callable[..., Any]) -> None:
    with make() as first, make() as second:
        assert first.addresses != second.addresses
        assert ask(first) == ask(second) == b"hello"
        first.stop()
        assert ask(second) == b"hello"


def test_sockets_are_open_before_the_start_and_nothing_else_runs(make: Callable[..., Any]) -> None:
    threads = threading.active_count()
    server = make()
    assert threading.active_count() == threads
    with connect(server) as client:
        server.start()
        assert client.recv(100) == b"hello"


def test_a_server_can_be_started_after_a_fork(make: Callable[..., Any]) -> None:
    served = threading.Event()

    def app(_environ: object, _start_response: object) -> Iterable[bytes]:
        served.set()
        return [b"from the child"]

    server = make(app)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            server.start()
            code = 0 if served.wait(10) else 2
            server.stop()
        finally:
            os._exit(code)
    try:
        assert ask(server) == b"from the child"
    finally:
        assert os.waitpid(child, 0)[1] == 0


def test_a_server_that_never_started_can_be_stopped(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    server = make(config=Config(bind=(f"unix:{tmp_path}/app.sock",)))
    assert (tmp_path / "app.sock").exists()
    server.stop()
    assert not (tmp_path / "app.sock").exists()
    assert server.wait(0)


def test_a_server_starts_once(make: Callable[..., Any]) -> None:
    server = make()
    server.start()
    with pytest.raises(RuntimeError, match="starts once, and this one is running"):
        server.start()
    server.stop()
    with pytest.raises(RuntimeError, match="starts once, and this one is stopped"), server:
        pass


def test_a_failed_start_leaves_nothing_behind(make: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    config = Config(bind=("127.0.0.1:0", f"unix:{path}"), access_log_format="%refused")
    server = make(config=config)
    with pytest.raises(ConfigError, match=r"^access_log_format: refused$"):
        server.start()
    assert server.wait(0)
    assert not path.exists()
    with pytest.raises(ConnectionError):
        connect(server)


def test_stop_lets_a_request_finish(make: Callable[..., Any], held: Held) -> None:
    server = make(held)
    server.start()
    with connect(server) as client:
        held.begun.get(timeout=10)
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        assert not server.wait(0.1)
        held.let_go.set()
        assert client.recv(100) == b"held"
        stopper.join(10)
    assert server.wait(0)
    assert server.abandoned == []


def test_stop_gives_up_on_an_application_that_does_not_end(
    make: Callable[..., Any], held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    server = make(held)
    server.start()
    with connect(server):
        worker = held.begun.get(timeout=10)
        server.stop(graceful=0)
        assert server.abandoned == [worker]
    assert f"the application still runs on {worker}" in caplog.text


def test_another_stop_shortens_the_first_ones_time(make: Callable[..., Any], held: Held) -> None:
    server = make(held)
    server.start()
    with connect(server):
        held.begun.get(timeout=10)
        first = threading.Thread(target=server.stop, kwargs={"graceful": 600})
        first.start()
        while "begin_drain" not in calls(server):
            server.wait(0.01)
        server.stop(graceful=0)
        first.join(10)
        assert not first.is_alive()


def test_a_socket_file_is_gone_before_requests_have_finished(
    make: Callable[..., Any], held: Held, tmp_path: Path
) -> None:
    path = tmp_path / "app.sock"
    server = make(held, Config(bind=(f"unix:{path}",)))
    server.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(path))
        held.begun.get(timeout=10)
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        while "begin_drain" not in calls(server):
            server.wait(0.01)
        assert not path.exists()
        held.let_go.set()
        stopper.join(10)


def test_an_exception_of_the_application_is_logged(
    make: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_environ: object, _start_response: object) -> Iterable[bytes]:
        raise KeyError("from the app")

    with make(broken) as server:
        assert ask(server) == b""
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "prowingen_wsgi.error"
    assert record.getMessage() == "GET / HTTP/1.1"
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


def run_in_thread(server: Any) -> tuple[threading.Thread, list[object]]:
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(server.run()))
    thread.start()
    return thread, results


def test_run_in_another_thread_ends_by_stop_and_leaves_signals_alone(
    make: Callable[..., Any],
) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    server = make()
    thread, results = run_in_thread(server)
    assert ask(server) == b"hello"
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    server.stop()
    thread.join(10)
    assert results == [None]


def test_run_in_the_main_thread_puts_the_handlers_back(make: Callable[..., Any]) -> None:
    def mine(_number: int, _frame: object) -> None:
        raise AssertionError("the server handles this one")

    before = signal.signal(signal.SIGTERM, mine)
    try:
        server = make()
        server.start()
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        assert server.run() == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_stop_from_another_thread_ends_run(make: Callable[..., Any]) -> None:
    server = make()
    server.start()
    threading.Timer(0.05, server.stop).start()
    assert server.run() is None


def test_a_running_server_is_stopped_when_the_interpreter_ends(make: Callable[..., Any]) -> None:
    server = make()
    server.start()
    server._at_exit()
    assert calls(server)[-1] == "stop"


def test_a_forked_child_does_not_stop_its_parents_server(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make()
    server.start()
    with monkeypatch.context() as child:
        child.setattr(originals.os, "getpid", lambda: -1)
        server._at_exit()
    assert calls(server) == ["start"]
