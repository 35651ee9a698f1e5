"""What an administrators' address passes on to whoever has the control socket.

/-/stacks is for anybody who reaches it, /-/control for who has the token."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from harness.admin_control import (
    JSON,
    RIGHT,
    SLOW,
    TOKEN,
    Meanwhile,
    all_serve,
    code_of,
    control,
    lines_of,
    pids_of,
    post,
    prepared,
    question,
    result_of,
    running,
    sockets_of,
    stacks_of,
    workers_of,
)
from harness.controlled import WAYS, ctl
from harness.h2wire import H2Wire
from harness.process import run_server
from harness.scraping import ask_admin
from harness.waiting import eventually
from harness.wire import Truncated, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ssl import SSLContext

    from harness.process import ServerProcess
    from harness.wire import Address

MOST_RELAYS = 8

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are found in /proc"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepared(tmp_path)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def served(engine: str, folder: Path, way: str) -> Iterator[tuple[ServerProcess, Address]]:
    with running(engine, folder, *WAYS[way]) as found:
        yield found


@pytest.fixture
def workers(engine: str, folder: Path) -> Iterator[tuple[ServerProcess, Address]]:
    with running(engine, folder, *WAYS["workers"]) as found:
        yield found


@pytest.fixture(scope="module")
def alone(
    engine: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, Address]]:
    """One server for all that it refuses, or answers and goes on."""
    with running(engine, prepared(tmp_path_factory.mktemp("alone"))) as found:
        yield found


# ---- what is asked


def test_each_command_is_answered(served: tuple[ServerProcess, Address], way: str) -> None:
    server, admin = served
    status = result_of(control(admin, "status"))
    assert (status["pid"], status["state"], status["ready"]) == (server.pid, "serving", True)
    assert len(workers_of(admin)) == (1 if way == "alone" else 2)
    assert result_of(control(admin, "log-level", level="debug"))["level"] == "debug"
    assert result_of(control(admin, "ready", ready=False))["withdrawn"]
    assert ask_admin(admin, "/-/ready").status == 503
    assert not result_of(control(admin, "ready", ready=True))["withdrawn"]
    assert ask_admin(admin, "/-/ready").status == 200
    assert result_of(control(admin, "stop"))["is"] == "stopping"
    assert server.wait() == 0


def test_stacks_are_shown_without_a_token(served: tuple[ServerProcess, Address], way: str) -> None:
    server, admin = served
    with server.connect() as waiting:
        waiting.get("/wait?for=what")

        def waits() -> list[str]:
            return [
                thread["request"]
                for each in stacks_of(admin)
                for thread in each["threads"]
                if any(frame["function"] == "wait_for_it" for frame in thread["frames"])
            ]

        assert eventually(lambda: waits() == ["GET /wait?for=what HTTP/1.1"])
        assert len(stacks_of(admin)) == (1 if way == "alone" else 2)


@pytest.mark.skipif(sys.platform != "linux", reason="stacks without the GIL are Linux's")
def test_neither_way_needs_a_workers_gil(engine: str, folder: Path) -> None:
    with (
        running(engine, folder, "--workers", "1") as (server, admin),
        server.connect() as keeping,
    ):
        keeping.get("/gil")
        assert eventually(
            lambda: any("C code keeps it" in each["note"] for each in stacks_of(admin)), 4
        ), "it answers meanwhile"
        assert workers_of(admin)[0]["state"] == "ready"
        assert keeping.response().status == 200


def test_it_is_answered_beside_a_control_socket(engine: str, folder: Path, way: str) -> None:
    path = folder / "ctl.sock"
    with running(engine, folder, *WAYS[way], "--control-socket", str(path)) as (server, admin):
        assert result_of(control(admin, "status"))["pid"] == ctl(path, "status").result["pid"]
        assert ctl(path, "stop", "--wait").code == 0
        assert server.wait() == 0
        assert not path.exists()


def test_lines_come_as_they_are_said(workers: tuple[ServerProcess, Address]) -> None:
    _, admin = workers
    before = pids_of(admin)
    with Meanwhile(admin, "reload", wait=True) as reload:
        assert reload.status == 200
        assert reload.line()["event"] == {"is": "begun", "generation": 2}
        assert len(before & pids_of(admin)) >= 0, "others are answered meanwhile"
        *ready, last = reload.rest()
        assert [each["event"]["is"] for each in ready] == ["ready", "ready"]
        assert last["result"] == {"is": "done", "generation": 2, "workers": 2}
    assert eventually(lambda: not before & pids_of(admin))


def test_a_reload_that_replaces_who_passes_it_on_comes_to_its_end(
    engine: str, folder: Path
) -> None:
    with running(engine, folder, "--workers", "1") as (_, admin):
        (before,) = pids_of(admin)
        (*_, last) = lines_of(control(admin, "reload", wait=True))
        assert last["result"] == {"is": "done", "generation": 2, "workers": 1}
        assert eventually(lambda: before not in pids_of(admin))


def test_a_reload_that_fails_says_why(workers: tuple[ServerProcess, Address], folder: Path) -> None:
    _, admin = workers
    before = pids_of(admin)
    (folder / "asked.py").write_text("raise ValueError('not today')\n")
    answer = control(admin, "reload", wait=True)
    assert answer.status == 200, "it had begun"
    assert code_of(answer) == "failed"
    assert "not today" in answer.text
    assert pids_of(admin) == before


def test_a_changed_token_holds_from_the_reload_on(
    workers: tuple[ServerProcess, Address], folder: Path
) -> None:
    _, admin = workers
    other = "another-token-another-token"
    (folder / "token").write_text(other)
    assert result_of(control(admin, "reload", wait=True))["is"] == "done"
    fields = (f"Authorization: Bearer {other}", JSON)
    assert eventually(lambda: control(admin, "status").status == 401), "the old one is over"
    assert post(admin, question("status"), *fields).status == 200


def test_a_reload_without_a_token_is_refused(
    workers: tuple[ServerProcess, Address], folder: Path
) -> None:
    _, admin = workers
    (folder / "token").chmod(0o644)
    answer = control(admin, "reload")
    assert answer.status == 500
    assert "admin_token_file" in answer.text
    assert all_serve(admin)


# ---- who may ask


def test_without_a_configured_token_nothing_is_controlled(engine: str, folder: Path) -> None:
    with running(engine, folder, token=False) as (_, admin):
        for fields in ([RIGHT, JSON], [JSON], ["Authorization: Bearer ", JSON]):
            answer = post(admin, question("stop"), *fields)
            assert answer.status == 403
            assert "admin_token_file" in answer.text
        assert len(stacks_of(admin)) == 1


WRONG = [
    "Bearer",
    "Bearer ",
    f"Bearer {TOKEN}=",
    f"Bearer {TOKEN[:-1]}",
    f"Bearer {TOKEN} {TOKEN}",
    f"Basic {TOKEN}",
    TOKEN,
    "Bearer \xff\xfe\x80",
    "Bearer " + "x" * 4000,
]


def test_a_wrong_token_is_refused_and_told_once(alone: tuple[ServerProcess, Address]) -> None:
    server, admin = alone
    assert post(admin, question("stop"), JSON).status == 401
    assert "wrong token" not in server.log, "there was none"
    for said in WRONG * 3:
        answer = post(admin, question("stop"), JSON, f"Authorization: {said}")
        assert (answer.status, answer.get("www-authenticate")) == (401, 'Bearer realm="prowingen"')
        assert TOKEN not in answer.text
    twice = post(admin, question("stop"), JSON, RIGHT, RIGHT)
    assert twice.status == 401
    server.wait_for_line("a wrong token was refused, of 127.0.0.1")
    assert all_serve(admin)
    assert server.log.count("wrong token") == 1, "not one line for each"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://test.evil.example", "https://test:1"]
)
def test_a_page_of_another_origin_is_refused(
    alone: tuple[ServerProcess, Address], origin: str
) -> None:
    _, admin = alone
    assert control(admin, "stop", f"Origin: {origin}").status == 403
    assert ask_admin(admin, "/-/stacks", f"Origin: {origin}").status == 403


def test_a_page_of_this_host_is_answered(alone: tuple[ServerProcess, Address]) -> None:
    _, admin = alone
    assert control(admin, "status", "Origin: http://test").status == 200
    assert ask_admin(admin, "/-/stacks", "Origin: https://TEST").status == 200


def test_a_public_name_for_a_loopback_address_is_refused(
    alone: tuple[ServerProcess, Address],
) -> None:
    _, admin = alone
    for host, status in (("evil.example:80", 403), ("127.0.0.1", 200), ("localhost:9", 200)):
        with Wire(admin) as wire:
            wire.send(f"GET /-/stacks HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert wire.response().status == status, host


def test_no_form_of_a_page_can_post(alone: tuple[ServerProcess, Address]) -> None:
    _, admin = alone
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = post(admin, question("stop"), RIGHT, f"Content-Type: {kind}")
        assert answer.status == 415
    assert post(admin, question("stop"), RIGHT).status == 415
    kind = "Content-Type: application/json; charset=utf-8"
    assert post(admin, question("status"), RIGHT, kind).status == 200
    with Wire(admin) as wire:
        preflight = wire.ask("/-/control", method="OPTIONS")
        assert (preflight.status, preflight.get("allow")) == (405, "POST")
        assert preflight.get("access-control-allow-origin") is None


def test_methods_are_told(alone: tuple[ServerProcess, Address]) -> None:
    _, admin = alone
    answer = ask_admin(admin, "/-/control")
    assert (answer.status, answer.get("allow")) == (405, "POST")
    answer = ask_admin(admin, "/-/stacks", method="DELETE")
    assert (answer.status, answer.get("allow")) == (405, "GET, HEAD")
    head = ask_admin(admin, "/-/stacks", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.get("content-type") == "application/x-ndjson"


# ---- how it is asked


def test_a_body_may_come_in_pieces(alone: tuple[ServerProcess, Address]) -> None:
    _, admin = alone
    body = question("status")
    with Wire(admin) as wire:
        wire.send(
            f"POST /-/control HTTP/1.1\r\nHost: test\r\n{RIGHT}\r\n{JSON}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        for octet in body:
            wire.send(b"1\r\n" + bytes([octet]) + b"\r\n")
        wire.send(b"0\r\n\r\n")
        assert result_of(wire.response("POST"))["state"] == "serving"


def test_a_client_that_waits_for_100_gets_it(alone: tuple[ServerProcess, Address]) -> None:
    _, admin = alone
    body = question("status")
    with Wire(admin) as wire:
        wire.send(
            f"POST /-/control HTTP/1.1\r\nHost: test\r\n{RIGHT}\r\n{JSON}\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        reply = wire.reply("POST")
        assert reply.continued() == 100
        wire.send(body)
        assert result_of(reply.rest())["state"] == "serving"


def test_json_may_have_line_breaks(alone: tuple[ServerProcess, Address]) -> None:
    _, admin = alone
    body = b'\r\n{\n  "v": 1,\r\n  "command": "status"\n}\n\n'
    assert result_of(post(admin, body, RIGHT, JSON))["state"] == "serving"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "request"),
        (b"nonsense", 400, "request"),
        (b"\x00\xff", 400, "request"),
        (b"[" * 4000, 400, "request"),
        (question("status") + b"\n" + question("stop"), 400, "request"),
        (b'{"command": "status"}', 400, "version"),
        (question("destroy"), 400, "command"),
        (question("log-level", level="loud"), 400, "argument"),
        (question("reload"), 409, "refused"),
    ],
)
def test_what_is_refused_has_a_status(
    alone: tuple[ServerProcess, Address], body: bytes, status: int, code: str
) -> None:
    _, admin = alone
    answer = post(admin, body, RIGHT, JSON)
    assert (answer.status, code_of(answer)) == (status, code)
    assert all_serve(admin)


def test_a_question_has_a_longest_line(alone: tuple[ServerProcess, Address]) -> None:
    _, admin = alone
    whole = question("status")
    padding = b" " * (4095 - len(whole))
    assert post(admin, b'{"a":"' + b"x" * 4096 + b'"}', RIGHT, JSON).status == 413
    assert post(admin, b"x" * 100_000, RIGHT, JSON).status == 413
    assert post(admin, whole[:-1] + padding + b"}", RIGHT, JSON).status == 200
    assert post(admin, whole[:-1] + padding + b" }", RIGHT, JSON).status == 413


def test_a_body_that_does_not_come_is_not_waited_for(alone: tuple[ServerProcess, Address]) -> None:
    _, admin = alone
    with Wire(admin) as wire:
        wire.send(
            f"POST /-/control HTTP/1.1\r\nHost: test\r\n{RIGHT}\r\n{JSON}\r\n"
            "Content-Length: 10\r\n\r\n{".encode()
        )
        assert wire.response("POST").status == 408


def test_pipelined_questions_are_answered_in_turn(alone: tuple[ServerProcess, Address]) -> None:
    _, admin = alone
    with Wire(admin) as wire:
        for number in range(3):
            wire.post("/-/control", question("status"), RIGHT, JSON, f"X-Number: {number}")
            wire.get("/-/stacks")
        for _ in range(3):
            assert "serves_by" in result_of(wire.response("POST"))
            assert "workers" in result_of(wire.response())


class _Plain:
    """An administrators' address, for who speaks HTTP/2 there."""

    tls: SSLContext | None = None

    def __init__(self, address: Address) -> None:
        self.address = address


def test_http2_is_spoken_too(alone: tuple[ServerProcess, Address]) -> None:
    _, admin = alone
    fields = [("authorization", f"Bearer {TOKEN}"), ("content-type", "application/json")]
    with H2Wire(_Plain(admin), timeout=30) as wire:
        stacks = wire.start("GET", "/-/stacks")
        status = wire.ask("/-/control", "POST", fields, question("status"))
        assert json.loads(status.body)["result"]["state"] == "serving"
        assert json.loads(wire.response(stacks).body)["ok"]
        assert wire.ask("/-/control", "POST", fields[1:], question("stop")).status == 401
        origin = ("origin", "http://b")
        assert wire.ask("/-/control", "POST", [*fields, origin], question("stop")).status == 403


def test_http_1_0_is_answered_until_the_connections_end(
    alone: tuple[ServerProcess, Address],
) -> None:
    _, admin = alone
    with Wire(admin) as wire:
        wire.get("/-/stacks", version="1.0")
        answer = wire.response()
        assert "workers" in result_of(answer)
        assert answer.closes


# ---- what becomes of those who ask and those who answer


def test_too_many_at_once_are_told_to_come_again(engine: str, folder: Path) -> None:
    body = question("status")
    head = (
        f"POST /-/control HTTP/1.1\r\nHost: test\r\n{RIGHT}\r\n{JSON}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    with running(engine, folder) as (_, admin):
        halves = [Wire(admin) for _ in range(MOST_RELAYS)]
        for each in halves:
            each.send(head + body[:-1])
        assert eventually(lambda: control(admin, "status").status == 503)
        refused = ask_admin(admin, "/-/stacks")
        assert (refused.status, refused.get("retry-after")) == (503, "1")
        assert ask_admin(admin, "/-/metrics").status == 200, "the address itself waits for nobody"
        for each in halves[1:]:
            each.send(body[-1:])
            assert result_of(each.response("POST"))["state"] == "serving"
        halves[0].close()  # which gives its place back
        assert eventually(lambda: control(admin, "status").status == 200)
        for each in halves[1:]:
            each.close()


@needs_proc
def test_a_client_that_leaves_ends_its_conversation(engine: str, folder: Path) -> None:
    with running(engine, folder, "--workers", "1") as (server, admin):
        (worker,) = pids_of(admin)
        before = min(sockets_of(worker) for _ in range(200))  # what the last question had is going
        (folder / "asked.py").write_text(SLOW)
        with Meanwhile(admin, "reload", wait=True, timeout=3600) as reload:
            assert reload.line()["event"]["is"] == "begun"
            assert eventually(lambda: "asked.py" in ask_admin(admin, "/-/stacks").text)
            held = sockets_of(server.pid)
            assert sockets_of(worker) > before, "the client's, and the way to who answers"
        assert eventually(lambda: sockets_of(worker) <= before)
        assert eventually(lambda: sockets_of(server.pid) == held - 1)


def test_a_killed_worker_cuts_what_it_passed_on(engine: str, folder: Path) -> None:
    with running(engine, folder, "--workers", "1") as (_, admin):
        (worker,) = pids_of(admin)
        (folder / "asked.py").write_text(SLOW)
        with Meanwhile(admin, "reload", wait=True) as reload:
            assert reload.line()["event"]["is"] == "begun"
            os.kill(worker, signal.SIGKILL)
            with pytest.raises((Truncated, ConnectionError)):
                reload.rest()


def test_a_stopped_supervisor_is_not_waited_for(workers: tuple[ServerProcess, Address]) -> None:
    server, admin = workers
    server.signal(signal.SIGSTOP)
    try:
        with Wire(admin, timeout=15) as wire:
            wire.get("/-/stacks")
            assert ask_admin(admin, "/-/metrics").status == 200
            assert wire.response().status == 504
    finally:
        server.signal(signal.SIGCONT)
    assert all_serve(admin)


def test_a_killed_supervisor_is_told_of(engine: str, folder: Path) -> None:
    with (
        running(engine, folder, "--workers", "1") as (server, admin),
        server.connect() as waiting,
        Wire(admin) as asking,
    ):
        waiting.get("/wait")  # so that its worker is there for a while
        assert eventually(lambda: "wait_for_it" in ask_admin(admin, "/-/stacks").text)
        server.signal(signal.SIGSTOP)
        asking.get("/-/stacks")
        assert ask_admin(admin, "/-/metrics").status == 200, "the other has come before it"
        server.signal(signal.SIGKILL)
        assert asking.response().status == 503


def test_a_stop_that_is_waited_for_is_cut_at_the_end(
    served: tuple[ServerProcess, Address],
) -> None:
    server, admin = served
    with Meanwhile(admin, "stop", wait=True) as stop:
        assert stop.line()["event"]["is"] == "stopping"
        with pytest.raises((Truncated, ConnectionError)):
            stop.rest()
    assert server.wait() == 0


@needs_proc
def test_children_of_the_applications_have_none_of_it(engine: str, folder: Path, way: str) -> None:
    (folder / "asked.py").write_text(
        "import os, time\n"
        "def app(environ, start_response):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        time.sleep(60)\n"
        "        os._exit(0)\n"
        "    start_response('200 OK', [])\n"
        "    return [str(child).encode()]\n"
    )
    # Asked of nothing before, as what ends just then may be a child's still.
    with running(engine, folder, *WAYS[way], token=False) as (server, _):
        with server.connect() as wire:
            child = int(wire.ask("/", "Connection: close").text)
        try:
            assert eventually(lambda: sockets_of(child) == 0), "once it has run at all"
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize("way", ["alone", "workers", "preload"], indirect=True)
def test_with_another_user_the_token_is_roots_alone(engine: str, way: str) -> None:
    with TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        # Not every module need be that user's to read.
        (folder / "asked.py").write_text("from apps.plain import app\n")
        (folder / "token").write_text(TOKEN)
        (folder / "token").chmod(0o600)
        with running(engine, folder, *WAYS[way], "--user", "nobody") as (server, admin):
            assert result_of(control(admin, "status"))["pid"] == server.pid
            assert len(stacks_of(admin)) == (1 if way == "alone" else 2)
            if way != "alone":
                assert result_of(control(admin, "reload", wait=True))["is"] == "done"
            assert result_of(control(admin, "stop"))["is"] == "stopping"
            assert server.wait() == 0


def test_a_token_that_is_none_is_an_error_at_the_start(engine: str, folder: Path, way: str) -> None:
    (folder / "token").chmod(0o644)
    with (
        pytest.raises(AssertionError, match=r"admin_token_file: .*chmod o-rw"),
        running(engine, folder, *WAYS[way]),
    ):
        pass


def test_a_token_needs_an_address(engine: str, folder: Path) -> None:
    with (
        pytest.raises(AssertionError, match="it needs admin_bind"),
        run_server(
            "asked:app",
            engine,
            "--admin-token-file",
            str(folder / "token"),
            environment={"PYTHONPATH": str(folder)},
        ),
    ):
        pass
