"""`prowingen ctl` beside servers that say all sorts of things: its output and its exit codes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from prowingen_wsgi.control import shown
from prowingen_wsgi.control.client import NoServerError, SilentError, ask
from prowingen_wsgi.control.command import main
from prowingen_wsgi.control.protocol import NotDone

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]


@contextmanager
def saying(path: Path, *lines: bytes, reads: bool = True) -> Iterator[list[bytes]]:
    """A server that says this to whoever comes first. Yields what it has been asked."""
    asked: list[bytes] = []

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            if reads:
                asked.append(connection.recv(4096))
            for line in lines:
                connection.sendall(line)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join()


def line(**members: Any) -> bytes:
    return json.dumps({"v": 1, **members}).encode() + b"\n"


def test_events_and_then_the_result(tmp_path: Path) -> None:
    path = tmp_path / "s"
    lines = [
        line(event={"is": "begun"}),
        line(event={"is": "ready"}),
        line(ok=True, result={"a": 1}),
    ]
    with saying(path, *lines) as asked:
        answer = ask(str(path), "reload", wait=True, timeout=5.0)
        assert [event["is"] for event in answer] == ["begun", "ready"]
        assert answer.result == {"a": 1}
    assert json.loads(asked[0]) == {"v": 1, "command": "reload", "wait": True, "timeout": 5.0}


def test_an_answer_in_pieces_is_one(tmp_path: Path) -> None:
    path = tmp_path / "s"
    said = line(ok=True, result={"much": "x" * 300_000})
    with saying(path, *(said[at : at + 7000] for at in range(0, len(said), 7000))):
        answer = ask(str(path), "stacks")
        assert list(answer) == []
    assert len(answer.result["much"]) == 300_000


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([line(ok=False, error={"code": "busy", "message": "later"})], NotDone),
        ([], SilentError),
        ([line(event={"is": "begun"})], SilentError),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], NoServerError),
        ([b"\0\0\0\x10gunicorn speaks so"], NoServerError),
        ([b"[1]\n"], NoServerError),
        ([b"{}\n"], NoServerError),
    ],
)
def test_what_is_no_result_is_an_error(
    tmp_path: Path, lines: list[bytes], error: type[Exception]
) -> None:
    path = tmp_path / "s"
    with saying(path, *lines), pytest.raises(error):
        list(ask(str(path), "status"))


def test_a_server_that_stops_has_ended_when_it_hangs_up(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with saying(path, line(event={"is": "stopping", "pid": 7})):
        answer = ask(str(path), "stop", wait=True)
        assert [event["pid"] for event in answer] == [7]
    assert answer.result == {"is": "ended", "pid": 7}


# ---- the command


def test_exit_code_1_a_refusal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s"
    with saying(path, line(ok=False, error={"code": "refused", "message": "not\x1b[2J now"})):
        assert main(["--socket", str(path), "reload"]) == 1
    assert capfd.readouterr().err == "prowingen: not\\x1b[2J now\n", "a terminal is told nothing"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "COMMAND"),
        (["explode"], "invalid choice"),
        (["ready"], "ready takes one of on, off"),
        (["ready", "perhaps"], "ready takes one of on, off"),
        (["log-level", "loud"], "log-level takes one of debug, info,"),
        (["status", "on"], "status takes no value"),
        (["status", "--wait"], "--wait: status does not take it"),
        (["reload", "--now"], "--now: reload does not take it"),
        (["status", "--timeout", "soon"], "more than 0, at most 3600 seconds"),
        (["status", "--timeout", "nan"], "more than 0, at most 3600 seconds"),
        (["status"], "which server? Give its --socket PATH, or set PROWINGEN_CONTROL_SOCKET"),
    ],
)
def test_exit_code_2_a_wrong_command_line(
    arguments: list[str],
    says: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PROWINGEN_CONTROL_SOCKET", raising=False)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert says in capfd.readouterr().err


@pytest.mark.parametrize("there", ["nothing", "stale", "folder"])
def test_exit_code_3_no_server(
    tmp_path: Path, there: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s"
    if there == "stale":
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(path))
    elif there == "folder":
        path.mkdir()
    assert main(["--socket", str(path), "status"]) == 3
    assert capfd.readouterr().err.startswith(f"prowingen: {path}: no server listens there")


def test_exit_code_3_a_path_that_no_socket_can_have(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--socket", str(tmp_path / ("x" * 120)), "status"]) == 3
    assert "path too long" in capfd.readouterr().err


def test_exit_code_5_a_server_that_says_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        assert main(["--socket", str(path), "status", "--timeout", "0.1"]) == 5
        assert "has said nothing for 0.1 s" in capfd.readouterr().err
        assert main(["--socket", str(path), "status", "--timeout", "0.1", "--json"]) == 5
    said = json.loads(capfd.readouterr().out)
    assert (said["ok"], said["error"]["code"]) == (False, "silent")


def test_the_variable_names_the_socket(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"
    monkeypatch.setenv("PROWINGEN_CONTROL_SOCKET", str(path))
    result = {"level": "debug", "workers_to_follow": []}
    with saying(path, line(ok=True, result=result)) as asked:
        assert main(["log-level", "debug", "--json"]) == 0
    assert json.loads(asked[0])["level"] == "debug"
    assert json.loads(capfd.readouterr().out) == {"ok": True, "result": result}


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with saying(path, line(ok=True, result={"level": "info", "workers_to_follow": []})):
        reader, writer = os.pipe()
        os.close(reader)
        run = subprocess.run(
            [sys.executable, "-m", "prowingen_wsgi", "ctl", "log-level", "info"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PROWINGEN_CONTROL_SOCKET": str(path)},
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writer)
    assert (run.returncode, run.stderr) == (0, b"")


def test_it_runs_without_what_a_server_needs() -> None:
    """Beside a package's upgrade, or on a machine under pressure: it loads little."""
    program = (
        "import sys\n"
        "from prowingen_wsgi.command.cli import main\n"
        "try:\n    main(['ctl', '--help'])\n"
        "except SystemExit:\n    pass\n"
        "print('loaded:', *sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = run.stdout.partition("loaded: ")[2].split()
    assert "prowingen_wsgi.control.command" in loaded
    assert not {"prowingen_wsgi._native", "prowingen_wsgi.server", "asyncio"} & set(loaded)


# ---- what people see


def test_stacks_as_people_see_them() -> None:
    frame = {"file": "/app/a.py", "line": 3, "function": "view", "source": "time.sleep(60)"}
    common = {"is_cut": False, "frames": [frame]}
    threads = [
        {
            "thread": "prowingen-worker-1",
            "request": "GET /\x1b[31m HTTP/1.1",
            "seconds": 3.25,
            "idle": "",
            **common,
        },
        {
            "thread": "prowingen-worker-2",
            "request": None,
            "seconds": None,
            "idle": "waits for a request",
            **common,
        },
    ]
    worker = {"worker": 2, "pid": 7, "state": "ready", "note": "a note", "threads": threads}
    assert shown.result("stacks", {"workers": [worker]}).splitlines() == [
        "worker 2 (pid 7), ready",
        "  a note",
        "  prowingen-worker-1: GET /\\x1b[31m HTTP/1.1, for 3.2 s",
        '    File "/app/a.py", line 3, in view',
        "      time.sleep(60)",
        "  prowingen-worker-2: waits for a request",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "0.2 s"), (75, "75 s"), (600, "10 min"), (7200, "2 h"), (500_000, "6 d")],
)
def test_times_as_people_say_them(seconds: float, text: str) -> None:
    assert shown.duration(seconds) == text
