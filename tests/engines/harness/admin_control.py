"""A server that is asked on its administrators' address, and what one asks there."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.process import run_server
from harness.scraping import admin_of, ask_admin
from harness.waiting import eventually
from harness.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.process import ServerProcess
    from harness.wire import Address, Response

APP = """
import ctypes, os, threading

HELD = threading.Event()

def keep_the_gil():
    ctypes.PyDLL(None).sleep(4)

def wait_for_it():
    HELD.wait(60)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/gil":
        keep_the_gil()
    elif path == "/wait":
        wait_for_it()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""
SLOW = f"import time\ntime.sleep(60)\n{APP}"
TOKEN = "0123456789abcdef-._~+/=="
RIGHT = f"Authorization: Bearer {TOKEN}"
JSON = "Content-Type: application/json"
ADMIN = ("--admin-bind", "127.0.0.1:0", "--threads", "2")


def prepared(folder: Path) -> Path:
    (folder / "asked.py").write_text(APP)
    path = folder / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return folder


@contextmanager
def running(
    engine: str, folder: Path, *arguments: str, token: bool = True
) -> Iterator[tuple[ServerProcess, Address]]:
    """A server with an administrators' address, all of whose workers serve."""
    options = ["--admin-token-file", str(folder / "token")] if token else []
    variables = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    with run_server(
        "asked:app", engine, *ADMIN, *options, *arguments, environment=variables
    ) as server:
        admin = admin_of(server)
        if token:
            assert eventually(lambda: all_serve(admin)), server.log
        yield server, admin


def question(command: str, **arguments: Any) -> bytes:
    return json.dumps({"v": 1, "command": command, **arguments}).encode()


def control(admin: Address, command: str, *fields: str, **arguments: Any) -> Response:
    return post(admin, question(command, **arguments), RIGHT, JSON, *fields)


def post(admin: Address, body: bytes, *fields: str) -> Response:
    with Wire(admin, timeout=30) as wire:
        wire.post("/-/control", body, *fields)
        return wire.response("POST")


def lines_of(answer: Response) -> list[dict[str, Any]]:
    assert answer.get("content-type") == "application/x-ndjson", answer
    assert answer.get("cache-control") == "no-store"
    return [json.loads(line) for line in answer.text.splitlines()]


def result_of(answer: Response) -> dict[str, Any]:
    assert answer.status == 200, answer
    *_, last = lines_of(answer)
    assert last["ok"], last
    result: dict[str, Any] = last["result"]
    return result


def code_of(answer: Response) -> str:
    *_, last = lines_of(answer)
    assert not last["ok"]
    return str(last["error"]["code"])


def all_serve(admin: Address) -> bool:
    status = result_of(control(admin, "status"))
    wanted = status.get("workers_wanted", 0)
    return bool(
        status["state"] == "serving" and wanted == status.get("workers", {}).get("ready", 0)
    )


def workers_of(admin: Address) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = result_of(control(admin, "workers"))["workers"]
    return found


def pids_of(admin: Address) -> set[int]:
    return {each["pid"] for each in workers_of(admin)}


def stacks_of(admin: Address) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = result_of(ask_admin(admin, "/-/stacks"))["workers"]
    return found


class Meanwhile:
    """A command whose lines are read one by one, as they come."""

    def __init__(self, admin: Address, command: str, **arguments: Any) -> None:
        self.wire = Wire(admin, timeout=30)
        self.wire.post("/-/control", question(command, **arguments), RIGHT, JSON)
        self._reply = self.wire.reply("POST")
        self._heard = b""

    def __enter__(self) -> Meanwhile:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    @property
    def status(self) -> int:
        return self._reply.head().status

    def line(self) -> dict[str, Any]:
        while b"\n" not in self._heard:
            piece = self._reply.data()
            assert piece, "no further line"
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        return said

    def rest(self) -> list[dict[str, Any]]:
        while piece := self._reply.data():
            self._heard += piece
        return [json.loads(line) for line in self._heard.splitlines()]


def sockets_of(pid: int) -> int:
    found = 0
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += str(each.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return found
