"""A server with a control socket, in each of the ways in which it can run, and `prowingen ctl`."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prowingen_wsgi.control.command import main

from harness.process import run_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.process import ServerProcess

WAYS: dict[str, tuple[str, ...]] = {
    "alone": (),
    "workers": ("--workers", "2"),
    "preload": ("--workers", "2", "--preload"),
}


class Said:
    """What `prowingen ctl` has said. `answer`: its last line, with --json."""

    def __init__(self, code: int, output: str) -> None:
        self.code = code
        self.output = output

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines()]

    @property
    def answer(self) -> dict[str, Any]:
        return self.lines[-1]

    @property
    def result(self) -> dict[str, Any]:
        assert self.answer["ok"], self.answer
        result: dict[str, Any] = self.answer["result"]
        return result

    @property
    def message(self) -> str:
        return str(self.answer["error"]["message"])

    def __repr__(self) -> str:
        return f"{self.code} {self.output}"


def ctl(path: Path, *arguments: str, json: bool = True) -> Said:
    """As the command does it, without a process for it."""
    lines: list[str] = []
    flags = ["--json"] if json else []
    code = main(["--socket", str(path), *arguments, *flags], lines.append)
    return Said(code, "".join(f"{line}\n" for line in lines))


def ctl_command(path: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "prowingen_wsgi", "ctl", "--socket", str(path), *arguments]


@contextmanager
def controlled(
    app: str, engine: str, folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[tuple[ServerProcess, Path]]:
    """A server whose modules and whose socket are in a folder, with all its workers ready."""
    path = folder / "ctl.sock"
    variables = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})}
    with run_server(
        app, engine, "--control-socket", str(path), *arguments, environment=variables
    ) as server:

        def all_ready() -> bool:
            said = ctl(path, "status")
            if said.code != 0:
                return False
            serving = said.result.get("workers", {}).get("ready", 0)
            return bool(serving >= said.result.get("workers_wanted", 0))

        assert eventually(all_ready), server.log
        yield server, path
