"""The load of the rows of WebSockets: what it prints, and, where it can be built, what it finds out
about a server that answers so or so."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bench.load import LoadError
from bench.paths import BENCH
from bench.websocket_load import parse, parse_broadcast
from bench.websocket_probe import accept_of, frame, masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Answer = Callable[[bytes, bytes], bytes]
    """(head of a frame, payload) to what is sent back."""

FIGURES: dict[str, Any] = {
    "messages": 3000,
    "seconds": 1.5,
    "p50_us": 700.0,
    "p99_us": 4400.0,
    "errors": 2,
    "busy": 0.5,
}


def test_a_report_gives_rate_latency_and_errors() -> None:
    result = parse(json.dumps(FIGURES))
    assert (result.requests, result.requests_per_second) == (3000, 2000.0)
    assert (result.p50_ms, result.p99_ms) == (0.7, 4.4)
    assert result.socket_errors == {"websocket": 2}
    assert result.errors == 2


@pytest.mark.parametrize("missing", sorted(FIGURES))
def test_a_report_without_a_figure_is_an_error(missing: str) -> None:
    kept = {name: value for name, value in FIGURES.items() if name != missing}
    with pytest.raises(LoadError, match=missing):
        parse(json.dumps(kept))


@pytest.mark.parametrize("output", ["", "handshake: 404", "10000\n"])
def test_what_is_no_report_is_an_error(output: str) -> None:
    with pytest.raises(LoadError, match="not a report"):
        parse(output)


def test_a_load_generator_without_time_to_spare_has_measured_itself() -> None:
    with pytest.raises(LoadError, match="busy: 99%"):
        parse(json.dumps(FIGURES | {"busy": 0.99}))


def test_a_broadcast_is_the_median_of_its_times() -> None:
    figures = FIGURES | {"broadcast_us": [9e3, 5e3, 7e3], "spread_us": [1e3, 2e3, 4e3]}
    result = parse_broadcast(json.dumps(figures))
    assert (result.broadcast_ms, result.spread_ms) == (7.0, 2.0)
    assert result.load.requests == 3000
    with pytest.raises(LoadError, match="no broadcast"):
        parse_broadcast(json.dumps(FIGURES))


def test_a_frame_of_the_probe_is_that_of_the_rfc() -> None:
    """RFC 6455 sections 1.3 and 5.7."""
    assert frame(1, b"Hello", b"\x37\xfa\x21\x3d") == bytes.fromhex("818537fa213d7f9f4d5158")
    assert frame(2, bytes(256), b"abcd")[:4] == b"\x82\xfe\x01\x00"
    assert frame(2, bytes(65536), b"abcd")[:10] == b"\x82\xff\0\0\0\0\0\1\0\0"
    assert accept_of(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("c++")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C++ compiler, or no epoll")
    program: Path = tmp_path_factory.mktemp("bench") / "websocket_load"
    sources = sorted(str(path) for path in (BENCH / "native").glob("websocket_*.cpp"))
    flags = ["-std=c++20", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    subprocess.run([compiler, *flags, "-o", str(program), *sources], check=True)
    return program


@contextmanager
def serving(answer: Answer, greeting: bytes = b"") -> Iterator[str]:
    """A server that answers each frame with `answer`; yields its URL."""

    def talk(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            while file.readline().strip():
                pass
            accept = accept_of(b"dGhlIHNhbXBsZSBub25jZQ==")
            head = b"HTTP/1.1 101 Ok\r\nSec-WebSocket-Accept: %s\r\n\r\n" % accept
            connection.sendall(head + greeting)
            while len(start := file.read(2)) == 2:
                size = start[1] & 0x7F
                if size == 126:
                    size = int.from_bytes(file.read(2), "big")
                key = file.read(4)
                if start[0] & 0xF == 8:
                    return
                connection.sendall(answer(start, masked(file.read(size), key)))

    def accept_all() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept_all, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/echo"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def unmasked(first: int, payload: bytes) -> bytes:
    size = len(payload)
    head = bytes([first, size]) if size < 126 else bytes([first, 126]) + size.to_bytes(2, "big")
    return head + payload


def echo(start: bytes, payload: bytes) -> bytes:
    return unmasked(start[0], payload)


def in_pieces(start: bytes, payload: bytes) -> bytes:
    """With a ping between them."""
    first, second = payload[:3], payload[3:]
    return unmasked(start[0] & 0xF, first) + unmasked(0x89, b"?") + unmasked(0x80, second)


def run(load: Path, mode: str, url: str, *options: str, lines: str = "") -> tuple[str, str]:
    done = subprocess.run(
        [str(load), mode, "--url", url, *options],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout, done.stderr


ECHO = ("--connections", "3", "--seconds", "0.2")


@pytest.mark.parametrize("size", ["1", "5", "8", "12", "125", "126", "4000"])
@pytest.mark.parametrize("kind", [(), ("--text",)], ids=["octets", "text"])
def test_each_answer_is_counted(load: Path, size: str, kind: tuple[str, ...]) -> None:
    with serving(echo) as url:
        figures = json.loads(run(load, "echo", url, *ECHO, "--size", size, *kind)[0])
    assert figures["messages"] > 3
    assert figures["errors"] == 0
    assert 0 < figures["p50_us"] <= figures["p99_us"]
    assert figures["seconds"] >= 0.2


def test_an_answer_may_come_in_pieces_and_between_pings(load: Path) -> None:
    pongs = []

    def answer(start: bytes, payload: bytes) -> bytes:
        if start[0] & 0xF == 10:
            pongs.append(payload)
            return b""
        return in_pieces(start, payload)

    with serving(answer) as url:
        figures = json.loads(run(load, "echo", url, *ECHO, "--size", "20")[0])
    assert figures["errors"] == 0
    assert figures["messages"] > 3
    assert set(pongs) == {b"?"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda _, payload: unmasked(0x81, payload), "not what was sent"),
        (lambda start, payload: echo(start, payload[:-1]), "not what was sent"),
        (lambda start, payload: echo(start, b"x" + payload[1:]), "not what was sent"),
        (lambda start, payload: echo(start, payload[:-1] + b"x"), "not what was sent"),
        (lambda start, payload: echo(bytes([start[0] | 0x40]), payload), "reserved bits"),
        (lambda _, payload: unmasked(0x80, payload), "a continuation of nothing"),
        (lambda *_: unmasked(0x88, b"\x03\xf3"), "closed the WebSocket with 1011"),
    ],
    ids=["opcode", "length", "first", "last", "bits", "continuation", "close"],
)
def test_an_answer_that_is_none_is_an_error(load: Path, answer: Answer, reason: str) -> None:
    def once(start: bytes, payload: bytes) -> bytes:
        # What is wrong is no answer: the connection ends, so that none is waited for.
        return answer(start, payload) + unmasked(0x88, b"")

    with serving(once) as url:
        output, errors = run(load, "echo", url, "--connections", "1", "--seconds", "0.1")
    assert json.loads(output)["messages"] == 0
    assert json.loads(output)["errors"] >= 1
    assert reason in errors


def test_the_idle_are_counted_and_answer_pings(load: Path) -> None:
    pongs = []
    came = threading.Event()

    def answer(start: bytes, payload: bytes) -> bytes:
        pongs.append((start[0], payload))
        came.set()
        return b""

    with serving(answer, greeting=unmasked(0x89, b"there?")) as url:
        process = subprocess.Popen(
            [str(load), "idle", "--url", url, "--connections", "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert came.wait(10)
        finally:
            output, _ = process.communicate("\n", timeout=10)
    assert output == "1\n1\n"
    assert pongs == [(0x8A, b"there?")]


def test_each_broadcast_waits_for_all(load: Path) -> None:
    """Of one, which is told: this server has no others."""

    def answer(_start: bytes, payload: bytes) -> bytes:
        return unmasked(0x81, b"news" if payload == b"go" else payload)

    with serving(answer) as url:
        output, _ = run(load, "listen", url, "--connections", "1", "--messages", "3", lines="\n\n")
    opened, *reports = output.splitlines()
    assert opened == "1"
    assert len(reports) == 2
    for report in reports:
        figures = json.loads(report)
        assert (figures["messages"], figures["errors"]) == (3, 0)
        assert len(figures["broadcast_us"]) == len(figures["spread_us"]) == 3


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["echo"], "--url: is missing"),
        (["echo", "--url", "http://127.0.0.1:1/"], "must be ws://"),
        (["echo", "--url", "ws://localhost:1/"], "must be ws://"),
        (["echo", "--url", "ws://127.0.0.1:1/", "--size", "-1"], "above 0"),
        (["other", "--url", "ws://127.0.0.1:1/"], "echo, idle or listen"),
    ],
)
def test_wrong_arguments_are_named(load: Path, arguments: list[str], reason: str) -> None:
    done = subprocess.run(
        [str(load), *arguments], capture_output=True, text=True, check=False, timeout=10
    )
    assert done.returncode == 2
    assert reason in done.stderr
