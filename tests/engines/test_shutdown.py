"""Stopping: what runs is finished, what idles is closed, and nothing stays behind."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from harness.apps import Environ, Gate, StartResponse, hello
from harness.process import ServerProcess, run_server
from harness.site import ServeFixture, start_site
from harness.waiting import eventually
from harness.wire import Truncated, until_refused

APP = "apps.plain:app"
SIGNALS = [signal.SIGTERM, signal.SIGINT]


def as_a_shell_shows(code: int) -> int:
    return 128 - code if code < 0 else code


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_signal_lets_the_running_request_finish(engine: str, number: signal.Signals) -> None:
    with run_server(APP, engine) as server:
        with server.connect() as wire:
            wire.get("/slow?700")
            reply = wire.reply()
            assert reply.exactly(6) == b"begun "
            server.signal(number)
            assert reply.rest().body == b"begun done"
            wire.expect_closed()
        code = server.wait()
    assert as_a_shell_shows(code) in ({0, 143} if number == signal.SIGTERM else {0, 130})
    assert "Traceback" not in server.log


def test_idle_connections_are_closed_at_once(engine: str) -> None:
    with run_server(APP, engine, "--graceful-timeout", "20") as server:
        wires = [server.connect() for _ in range(5)]
        for wire in wires[1:]:
            assert wire.ask().body == b"hello"
        started = time.monotonic()
        server.signal()
        for wire in wires:
            wire.expect_closed()
            wire.close()
        server.wait()
        assert time.monotonic() - started < 5


def test_request_that_crossed_with_the_stop_is_answered(engine: str) -> None:
    """A connection in use, and one whose client has not come to ask yet."""
    with run_server(APP, engine) as server, server.connect() as used, server.connect() as fresh:
        assert used.ask().body == b"hello"
        server.signal()
        until_refused(server.connect)
        for wire in (used, fresh):
            response = wire.ask()
            assert response.body == b"hello"
            assert response.closes
            wire.close()  # which the server waits for
        server.wait()


def test_connection_that_waits_to_be_accepted_is_answered(engine: str) -> None:
    """And is not reset although its client goes on sending (RFC 9112 section 9.6)."""
    with run_server(APP, engine) as server, contextlib.ExitStack() as connections:
        wires = [connections.enter_context(server.connect()) for _ in range(100)]
        for wire in wires:
            wire.send(b"POST /%zz HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        server.signal()
        for _ in range(2):
            until_refused(server.connect)
            for wire in wires:
                wire.send_leniently(b"more")
        assert [wire.response().status for wire in wires] == [400] * 100
        connections.close()
        server.wait()


@pytest.mark.parametrize(
    "arguments", [[], ["--workers", "2"], ["--workers", "2", "--preload"]], ids=" ".join
)
def test_new_connections_are_refused_while_the_last_request_runs(
    engine: str, arguments: list[str]
) -> None:
    """At once, so that a proxy asks elsewhere; and by none of the processes are they kept."""
    with run_server(APP, engine, *arguments) as server, server.connect() as wire:
        wire.get("/slow?1000")
        reply = wire.reply()
        reply.exactly(6)
        server.signal()
        until_refused(server.connect)
        assert wire.is_silent(0.05), "it runs"
        assert reply.rest().body == b"begun done"


def test_answer_given_while_draining_announces_the_close(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        gate.pass_through()
        start_response("200 OK", [])
        return [b"hello"]

    site = serve(app)
    with site.connect() as wire:
        wire.get()
        gate.wait_entered()
        stopper = threading.Thread(target=site.server.stop)
        stopper.start()
        until_refused(site.connect)
        gate.opened.set()
        response = wire.response()
        assert response.body == b"hello"
        wire.expect_goodbye(response)
    stopper.join()  # which waits for the client to close, too


def test_request_that_outlasts_the_graceful_time_is_cut(engine: str) -> None:
    with run_server(APP, engine, "--graceful-timeout", "0.5") as server:
        with server.connect() as wire:
            wire.get("/slow?20000")
            reply = wire.reply()
            reply.exactly(6)
            started = time.monotonic()
            server.signal()
            with pytest.raises((Truncated, ConnectionResetError)):
                reply.rest()
        server.wait()
        assert time.monotonic() - started < 10


def test_second_signal_ends_it_at_once(engine: str) -> None:
    with run_server(APP, engine, "--graceful-timeout", "60") as server:
        with server.connect() as wire:
            wire.get("/slow?30000")
            reply = wire.reply()
            reply.exactly(6)
            server.signal(signal.SIGINT)
            until_refused(server.connect)
            started = time.monotonic()
            server.signal(signal.SIGINT)
            with pytest.raises((Truncated, ConnectionResetError)):
                reply.rest()
        server.wait()
        assert time.monotonic() - started < 8
    assert "Traceback" not in server.log


def test_interrupt_of_an_idle_server_is_clean(engine: str) -> None:
    with run_server(APP, engine) as server:
        server.signal(signal.SIGINT)
        assert as_a_shell_shows(server.wait()) in (0, 130)
    assert "Traceback" not in server.log
    assert "KeyboardInterrupt" not in server.log


def test_streaming_answers_finish_whole_under_sigterm(engine: str) -> None:
    with run_server(APP, engine) as server:
        wires = [server.connect() for _ in range(4)]
        replies = []
        for wire in wires:
            wire.get("/download?20000000")
            replies.append(wire.reply())
            replies[-1].head()
        server.signal()
        for reply in replies:
            assert len(reply.rest().body) == 20_000_000
        for wire in wires:
            wire.close()
        server.wait()


def test_no_accepted_request_is_lost_under_load(engine: str, tmp_path: Path) -> None:
    """What the app began, its client got whole: read off the app's own notes."""
    notes = tmp_path / "notes"
    notes.touch()
    answered: set[str] = set()
    faults: list[str] = []
    enough = threading.Event()

    def ask_until_closed(server: ServerProcess, client: int) -> None:
        number = 0
        while number < 100_000:
            try:
                wire = server.connect()
            except OSError:
                return
            with wire:
                while True:
                    number += 1
                    name = f"{client}-{number}"
                    try:
                        wire.get(f"/noted?{name}")
                        response = wire.response()
                    except OSError:
                        break
                    except Truncated as error:
                        if error.partial is not None:
                            faults.append(f"{name} was cut")
                        break
                    if response.text != name or response.status != 200:
                        faults.append(f"{name} got {response}")
                    answered.add(name)
                    if len(answered) > 300:
                        enough.set()
                    if response.closes:
                        break

    with run_server(APP, engine, environment={"NOTES": str(notes)}) as server:
        clients = [
            threading.Thread(target=ask_until_closed, args=(server, client)) for client in range(8)
        ]
        for thread in clients:
            thread.start()
        assert enough.wait(20)
        server.signal()
        for thread in clients:
            thread.join(20)
        server.wait()
    begun = set(notes.read_text().split())
    assert not faults, faults[:5]
    assert begun - answered == set(), "begun by the app, lost on the way back"


def test_several_servers_run_in_one_process(serve: ServeFixture) -> None:
    sites = [serve(hello, threads=2) for _ in range(5)]
    for site in sites:
        assert site.ask().body == b"hello"
    sites[0].server.stop()
    for site in sites[1:]:
        assert site.ask().body == b"hello"


def _tasks() -> set[str]:
    return {task.name for task in Path("/proc/self/task").iterdir()}


def _file_count() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _expect_to_end(tasks: set[str]) -> None:
    """A thread that was joined in Python is still on its way out of the kernel."""
    ended = eventually(lambda: not tasks & _tasks())
    assert ended, f"threads {sorted(tasks & _tasks())} are still there"


@pytest.mark.timeout(60)
def test_starting_and_stopping_leaks_no_thread_and_no_file(engine: str) -> None:
    def cycle() -> None:
        with start_site(hello, engine, threads=2) as site:
            assert site.ask().body == b"hello"
            site.connect().ask()

    for _ in range(3):  # whatever is opened once for the process
        cycle()
    tasks, files = _tasks(), _file_count()
    for _ in range(100):
        cycle()
    _expect_to_end(_tasks() - tasks)
    assert _file_count() == files


def test_server_can_be_started_and_stopped_off_the_main_thread(engine: str) -> None:
    bodies: list[bytes] = []

    def embed() -> None:
        with start_site(hello, engine) as site:
            bodies.append(site.ask().body)

    thread = threading.Thread(target=embed)
    thread.start()
    thread.join(20)
    assert bodies == [b"hello"]


def test_stop_twice_is_harmless(serve: ServeFixture) -> None:
    site = serve(hello)
    site.server.stop()
    site.server.stop()


# Python 3.12 warns of any fork with threads around, which is what this is about.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_server_starts_in_a_forked_child(engine: str) -> None:
    """The parent runs a server of its own, whose threads the child does not have."""
    with start_site(hello, engine) as parent:
        assert parent.ask().body == b"hello"
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with start_site(hello, engine) as site:
                    code = 0 if site.ask().body == b"hello" else 2
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert parent.ask().body == b"hello"


def test_exception_in_the_with_block_stops_the_server_and_passes(engine: str) -> None:
    with pytest.raises(LookupError, match="mine"), start_site(hello, engine) as site:
        raise LookupError("mine")
    until_refused(site.connect)
