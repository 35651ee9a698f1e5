"""`prowingen top` at a terminal: what is painted there while a server changes."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from harness.controlled import controlled, ctl
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.process import ServerProcess

pytest.importorskip("curses")

TIME_LIMIT = 20.0
HELD = """
import threading

EVENT = threading.Event()

def app(environ, start_response):
    EVENT.set() if environ["PATH_INFO"] == "/free" else EVENT.wait(60)
    start_response("200 OK", [])
    return []
"""
_SEQUENCES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-B0]|[=>78])")


class Terminal:
    """A terminal of a size, and what is shown there: in the order in which it is painted."""

    def __init__(self, rows: int, columns: int, command: list[str]) -> None:
        self._ours, theirs = os.openpty()
        self.resize(rows, columns)
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, words: str) -> None:
        """Until this is painted, from now on or before; what was before it is forgotten."""
        deadline = time.monotonic() + TIME_LIMIT
        while words not in self.shown:
            ready, _, _ = select.select([self._ours], [], [], deadline - time.monotonic())
            assert ready, f"no {words!r} in:\n{self.shown}"
            painted = os.read(self._ours, 65536).decode(errors="replace")
            self.shown += _SEQUENCES.sub(" ", painted)
        self.shown = self.shown.partition(words)[2]

    def end(self) -> int:
        """The exit code, of a command that is about to end; all that it writes is taken."""
        deadline = time.monotonic() + TIME_LIMIT
        while self.process.poll() is None:
            assert time.monotonic() < deadline
            if select.select([self._ours], [], [], 0.05)[0]:
                try:
                    self.shown += os.read(self._ours, 65536).decode(errors="replace")
                except OSError:  # which is how Linux says that nobody has the other end
                    break
        return self.process.wait(TIME_LIMIT)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextmanager
def top(path: Path, rows: int = 24, columns: int = 120) -> Iterator[Terminal]:
    command = [sys.executable, "-m", "prowingen_wsgi", "top", "--socket", str(path)]
    terminal = Terminal(rows, columns, command)
    try:
        yield terminal
    finally:
        terminal.close()


def once(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "prowingen_wsgi",
            "top",
            "--socket",
            str(path),
            "--once",
            *arguments,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def free(server: ServerProcess) -> None:
    with server.connect() as wire:
        assert wire.ask("/free").status == 200


def test_it_shows_what_changes_and_ends_by_q(engine: str, tmp_path: Path) -> None:
    arguments = ("--workers", "2", "--health-path", "/-")
    with (
        controlled("apps.plain:app", engine, tmp_path, *arguments) as (server, path),
        top(path) as terminal,
    ):
        terminal.wait_for(f"pid {server.pid}")
        terminal.wait_for("serving, ready")
        terminal.wait_for(server.url)
        terminal.wait_for("worker")
        for row in ctl(path, "workers").result["workers"]:
            terminal.wait_for(str(row["pid"]))
        ctl(path, "ready", "off")
        terminal.wait_for("administrator")
        terminal.press("q")
        assert terminal.end() == 0


def test_it_is_shown_as_far_as_there_is_room(engine: str, tmp_path: Path) -> None:
    with (
        controlled("apps.plain:app", engine, tmp_path) as (server, path),
        top(path, rows=2, columns=20) as terminal,
    ):
        terminal.wait_for("prowingen")
        terminal.resize(24, 120)
        os.kill(terminal.process.pid, signal.SIGWINCH)
        terminal.wait_for(f"{server.pid}")
        terminal.wait_for("ends this")
        terminal.press("\x1b")
        assert terminal.end() == 0


def test_a_server_that_goes_away_is_waited_for(engine: str, tmp_path: Path) -> None:
    with (
        controlled("apps.plain:app", engine, tmp_path) as (server, path),
        top(path) as terminal,
    ):
        terminal.wait_for("serving, ready")
        assert ctl(path, "stop", "--wait").code == 0
        server.wait()
        terminal.wait_for("waiting for it")
        with controlled("apps.plain:app", engine, tmp_path) as (again, _):
            terminal.wait_for(f"{again.pid}")
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.end() == 0


def test_by_t_it_shows_what_threads_are_in(engine: str, tmp_path: Path) -> None:
    (tmp_path / "held.py").write_text(HELD)
    with (
        controlled("held:app", engine, tmp_path, "--workers", "1") as (server, path),
        top(path) as terminal,
    ):
        terminal.wait_for("t shows threads")
        terminal.press("t")
        terminal.wait_for("no thread is in a request")
        terminal.wait_for("t shows workers")
        with server.connect() as wire:
            wire.get("/in-hand?of=what")
            terminal.wait_for("running")
            terminal.press("t")
            terminal.wait_for("memory")
            terminal.press("T")
            terminal.wait_for("running")
            free(server)
            assert wire.response().status == 200
        terminal.press("q")
        assert terminal.end() == 0


def test_once_it_is_printed_for_scripts(engine: str, tmp_path: Path) -> None:
    (tmp_path / "held.py").write_text(HELD)
    with controlled("held:app", engine, tmp_path, "--workers", "1") as (server, path):
        workers = once(path)
        assert (workers.returncode, workers.stderr) == (0, "")
        assert "serving, ready" in workers.stdout
        assert "\nworker  pid" in workers.stdout
        assert "q ends this" not in workers.stdout
        assert once(path, "--threads").stdout.endswith("\n\nno thread is in a request\n")
        with server.connect() as wire:
            wire.get("/in-hand")
            assert eventually(lambda: "/in-hand" in ctl(path, "requests").output)
            threads = once(path, "--threads")
            cells = threads.stdout.splitlines()[-1].split()
            assert (cells[0], cells[3], cells[-2:]) == ("1", "running", ["GET", "/in-hand"])
            free(server)
            assert wire.response().status == 200


def test_once_of_no_server_is_an_error(tmp_path: Path) -> None:
    run = once(tmp_path / "none")
    assert (run.returncode, run.stdout) == (3, "")
    assert run.stderr.startswith(f"prowingen: {tmp_path / 'none'}: no server listens there: ")


def test_without_a_terminal_it_says_so(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "prowingen_wsgi", "top", "--socket", str(tmp_path / "s")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "prowingen: top needs a terminal; with --once it does not\n"
