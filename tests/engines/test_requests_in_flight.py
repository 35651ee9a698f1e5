"""What `prowingen ctl requests` says of the requests in threads, in each way of running."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness.controlled import WAYS, controlled, ctl
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.process import ServerProcess

APP = """
import ctypes, os, threading

HELD = threading.Event()

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/free":
        HELD.set()
    elif path == "/gil":
        ctypes.PyDLL(None).sleep(3)
    elif path == "/read":
        environ["wsgi.input"].read()
    elif path != "/":
        HELD.wait(60)
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def served(engine: str, tmp_path: Path, way: str) -> Iterator[tuple[ServerProcess, Path]]:
    (tmp_path / "held.py").write_text(APP)
    arguments = (*WAYS[way], "--body-buffer", "0", "--request-timeout", "60")
    with controlled("held:app", engine, tmp_path, *arguments) as found:
        yield found


def requests(path: Path) -> list[dict[str, Any]]:
    workers = ctl(path, "requests").result["workers"]
    return [
        {**request, "worker": each["worker"], "pid": each["pid"]}
        for each in workers
        for request in each["requests"]
    ]


def free_all(server: ServerProcess, path: Path) -> None:
    """Each process has an event of its own."""

    def are_free() -> bool:
        with server.connect() as wire:
            wire.ask("/free", "Connection: close")
        return not requests(path)

    assert eventually(are_free)


def test_it_says_which_whose_and_for_how_long(served: tuple[ServerProcess, Path], way: str) -> None:
    server, path = served
    assert requests(path) == []
    began = time.monotonic()
    with server.connect() as held, server.connect() as reading:
        held.get("/held?by=it")
        reading.send(b"POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab")

        def states() -> dict[str, str]:
            return {each["target"]: each["state"] for each in requests(path)}

        expected = {"/held?by=it": "running", "/read": "waiting_for_client"}
        assert eventually(lambda: states() == expected)
        first, second = sorted(requests(path), key=lambda each: str(each["target"]))
        assert (first["method"], second["method"]) == ("GET", "POST")
        assert first["client"] == "127.0.0.1"
        assert first["ident"] != second["ident"] or first["pid"] != second["pid"]
        assert 0 < first["seconds"] < time.monotonic() - began
        assert 50 < first["seconds_left"] < 60
        assert (first["worker"] == 0) == (way == "alone")
        text = ctl(path, "requests", json=False).output.splitlines()
        assert text[0].split()[:4] == ["worker", "pid", "thread", "state"]
        assert any(line.endswith("127.0.0.1  GET     /held?by=it") for line in text[1:])
        assert any(" waiting for client " in line for line in text[1:])
        reading.send(b"cde")
        assert reading.response().status == 200
        free_all(server, path)
        assert held.response().status == 200
    said = ctl(path, "requests", json=False)
    assert said.output == "no thread is in a request\n"


def test_what_a_client_sends_says_nothing_to_a_terminal(
    served: tuple[ServerProcess, Path],
) -> None:
    """The head is refused that has control characters; what is left is text."""
    server, path = served
    with server.connect() as held, server.connect() as refused:
        refused.send(b"GET /\x1b[2J HTTP/1.1\r\nHost: h\r\n\r\n")
        assert refused.response().status == 400
        held.send(b"X-%s /%%1b%%5b2J HTTP/1.1\r\nHost: h\r\n\r\n" % (b"M" * 30))
        assert eventually(lambda: len(requests(path)) == 1)
        output = ctl(path, "requests", json=False).output
        assert output.rstrip().endswith("  X-MMMMMMMMMMMMMMMM  /%1b%5b2J")
        assert all(each.isprintable() or each == "\n" for each in output)
        free_all(server, path)


@pytest.mark.parametrize("way", ["workers"], indirect=True)
def test_a_worker_whose_gil_is_kept_says_it_nevertheless(
    served: tuple[ServerProcess, Path],
) -> None:
    server, path = served
    with server.connect() as wire:
        wire.get("/gil")
        assert eventually(lambda: any(each["target"] == "/gil" for each in requests(path)))
        workers = ctl(path, "requests").result["workers"]
        assert [each["note"] for each in workers] == ["", ""]
        assert wire.response().status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the supervisor may notice first")
@pytest.mark.parametrize("way", ["workers"], indirect=True)
def test_a_worker_that_is_stopped_is_named(served: tuple[ServerProcess, Path]) -> None:
    _, path = served
    stopped = ctl(path, "workers").result["workers"][0]["pid"]
    os.kill(stopped, signal.SIGSTOP)
    try:
        workers = ctl(path, "requests").result["workers"]
        notes = {each["pid"]: each["note"] for each in workers}
        assert notes.pop(stopped) == "it says nothing: it is stopped, or ends"
        assert set(notes.values()) == {""}
        output = ctl(path, "requests", json=False).output
        assert f"(pid {stopped}): it says nothing" in output
    finally:
        os.kill(stopped, signal.SIGCONT)
