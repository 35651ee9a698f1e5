"""Sockets, applications, limits and configuration files as gunicorn's users have them."""

from __future__ import annotations

import json
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.waiting import TIME_LIMIT, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.arbiter import Arbiter

    Start = Callable[..., Arbiter]


def _raw(arbiter: Arbiter, request: bytes) -> bytes:
    """What comes for some bytes until the connection is closed."""
    host, port = arbiter.addresses()[0].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=TIME_LIMIT) as wire:
        wire.sendall(request)
        answer = b""
        while piece := wire.recv(65536):
            answer += piece
        return answer


def test_it_starts_serves_and_stops(start: Start) -> None:
    arbiter = start("-w", "2", "--threads", "5")
    pids = arbiter.booted(2)
    answer = arbiter.look("/some/path")
    assert answer["pid"] in pids
    assert eventually(lambda: bool(arbiter.look()["threads"] == 5))
    assert answer["PATH_INFO"] == "/some/path"
    assert answer["wsgi.multiprocess"] is True
    assert answer["wsgi.multithread"] is True
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait() == 0
    assert "Traceback" not in arbiter.output


def test_one_worker_with_one_thread_says_so(start: Start) -> None:
    answer = start().look()
    assert answer["threads"] == 1
    assert answer["wsgi.multiprocess"] is False
    assert answer["wsgi.multithread"] is False


def test_all_binds_are_served(start: Start, tmp_path: Path) -> None:
    arbiter = start("-b", "127.0.0.1:0", "-b", "unix:here.sock")
    assert len(arbiter.addresses()) == 3
    assert [arbiter.ask(index=index)[0] for index in (0, 1)] == [200, 200]
    connection = arbiter.connect(0)
    assert connection.port != arbiter.connect(1).port
    unix = f"unix:{tmp_path}/here.sock"
    arbiter.known_addresses = [unix]
    assert arbiter.ask()[0] == 200
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait() == 0
    assert not (tmp_path / "here.sock").exists()


def test_sockets_of_each_worker_with_reuse_port(start: Start) -> None:
    with socket.socket() as probe:  # gunicorn does not say which ports it got
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        arbiter = start("-w", "2", "--reuse-port", bind=address)
        arbiter.booted(2)
        arbiter.known_addresses = [f"http://{address}"]
        seen: set[int] = set()
        assert eventually(lambda: _answers(arbiter, seen) == 2)
        arbiter.send(signal.SIGTERM)
        assert arbiter.wait() == 0


def _answers(arbiter: Arbiter, seen: set[int]) -> int:
    with suppress(ConnectionRefusedError):  # before they listen
        seen.add(arbiter.look()["pid"])
    return len(seen)


def test_a_socket_of_systemd_is_served(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # As systemd does: descriptor 3, and a variable with the process's own number.
        code = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3);"
            "os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.argv[2], sys.argv[2:])"
        )
        arbiter = start(
            bind=None,
            variables={"LISTEN_FDS": "1"},
            launcher=(sys.executable, "-c", code, str(listener.fileno())),
            pass_fds=(listener.fileno(),),
        )
        port = listener.getsockname()[1]
        assert arbiter.addresses() == [f"http://127.0.0.1:{port}"]
        assert arbiter.ask()[0] == 200


def test_a_configuration_file_is_followed(start: Start, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(
        "bind = '127.0.0.1:0'\nthreads = 3\nraw_env = ['PROWINGEN_SERVER_HEADER=mine']\n"
        "limit_request_fields = 5\n"
    )
    arbiter = start(bind=None)
    assert eventually(lambda: bool(arbiter.look()["threads"] == 3))
    answer = _raw(arbiter, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"\r\nServer: mine\r\n" in answer
    fields = b"".join(b"X-%d: 1\r\n" % number for number in range(5))
    answer = _raw(arbiter, b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431")


def test_limits(start: Start) -> None:
    arbiter = start("--limit-request-line", "100", "--limit-request-field_size", "200")
    head = b"HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    assert _raw(arbiter, b"GET /%s %s\r\n" % (b"a" * 80, head)).startswith(b"HTTP/1.1 200")
    assert _raw(arbiter, b"GET /%s %s\r\n" % (b"a" * 100, head)).startswith(b"HTTP/1.1 414")
    long = b"X: %s\r\n\r\n" % (b"a" * 250)
    assert _raw(arbiter, b"GET / " + head + long).startswith(b"HTTP/1.1 431")


def test_a_body_in_chunks_has_a_length(start: Start) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = _raw(start(), head + b"3\r\na=1\r\n0\r\n\r\n")
    seen = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert seen["CONTENT_LENGTH"] == "3"
    assert "HTTP_TRANSFER_ENCODING" not in seen


def test_a_large_field_passes_where_the_limit_allows(start: Start) -> None:
    arbiter = start("--limit-request-field_size", "0")
    large = b"X: %s\r\n\r\n" % (b"a" * 200_000)
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    assert _raw(arbiter, head + large).startswith(b"HTTP/1.1 200")


def test_connections_are_kept_alive_for_as_long_as_is_set(start: Start) -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert b"\r\nConnection: close\r\n" in _raw(start("--keep-alive", "0"), request)
    # Ends only when the server closes.
    assert b"\r\nConnection: close\r\n" not in _raw(start("--keep-alive", "1"), request)


def test_a_preloaded_application_is_the_arbiters(start: Start) -> None:
    arbiter = start("-w", "2", "--preload")
    assert arbiter.look()["loaded_by"] == arbiter.process.pid


def test_without_preload_each_worker_loads_it(start: Start) -> None:
    answer = start("-w", "2").look()
    assert answer["loaded_by"] == answer["pid"]


def test_the_variable_script_name_mounts_the_application(start: Start) -> None:
    arbiter = start("--env", "SCRIPT_NAME=/shop")
    answer = arbiter.look("/shop/cart")
    assert (answer["SCRIPT_NAME"], answer["PATH_INFO"]) == ("/shop", "/cart")
    assert arbiter.ask("/elsewhere")[0] == 404


def test_a_value_out_of_bounds_is_no_endless_restart(start: Start) -> None:
    arbiter = start("--threads", "0")
    assert arbiter.wait() == 3
    assert 'threads: "0": must be a whole number' in arbiter.output


def test_workers_share_connections_evenly(start: Start) -> None:
    arbiter = start("-w", "2", "--threads", "2", "--keep-alive", "15")
    arbiter.booted(2)
    seen: set[int] = set()
    assert eventually(lambda: _answers(arbiter, seen) == 2)
    clients = [arbiter.connect() for _ in range(16)]
    pids = []
    for client in clients:
        client.request("GET", "/")
        body = client.getresponse().read()
        pids.append(body.partition(b",")[0])
    counts = [pids.count(pid) for pid in set(pids)]
    assert len(counts) == 2
    assert min(counts) >= 5
    for client in clients:
        client.close()
