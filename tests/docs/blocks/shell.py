"""Runs a page's shell blocks as a reader would: in one folder, one after the other.

What serves goes to the background on a free port, is asked once, and told to end when the page is
over or begins another on the same address. Later commands meet it where the page says that it is:
addresses are written over in them, and back in what they print. In a `console` block lines that
begin with `$ ` are commands and the others what they print, where `...` stands for anything.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.process import ServerProcess

from prowingen_wsgi import _native

from .pages import CHECKED, FILE, NOT_RUN, ROOT, SLOW

if TYPE_CHECKING:
    from .pages import Block

TIMEOUT, SLOW_TIMEOUT = 60, 3600
SYSTEM = re.compile(r"(?<![\w./:])/(?:var|run|srv|etc)/[\w./-]+")
"""Paths of a machine's own, which are the scratch folder's here."""
_READY = re.compile(
    r"(?:listening on|Running on|Listening at:|development server at|serving on) "
    r"(?P<url>(?:https?://[^\s,/]+:\d+|unix:[^\s,]+))"
)
_ONCE = {
    "--check", "--version", "--help", "ctl", "top", "dev-cert", "import-gunicorn", "import-granian",
    "import-uwsgi",
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """One command line, and what it prints by the page; None if that says nothing of it."""

    line: str
    prints: str | None = None

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line, comments=True)

    @property
    def program(self) -> list[str]:
        """Without the variables in front."""
        words = self.words
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        return words

    @property
    def serves(self) -> bool:
        words = self.program
        if not words or _ONCE.intersection(words):
            return False
        if words[0] in ("prowingen", "gunicorn"):
            return True
        if words[0] == "flask":
            return "run" in words
        return words[:2] == ["python", "manage.py"] and words[2] in ("runserver", "prowingen")


def commands(block: Block) -> list[Command]:
    text = block.text.replace("\\\n", " ")
    if block.language == "sh":
        return [Command(line) for line in text.splitlines() if shlex.split(line, comments=True)]
    found: list[Command] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:], ""))
        elif found:
            found[-1] = Command(found[-1].line, f"{found[-1].prints}{line}\n")
        else:
            raise ValueError(f"{block.name}: output before the first command: {line}")
    return found


def matches(pattern: str, text: str) -> bool:
    parts = [re.escape(part) for part in pattern.strip().split("...")]
    return re.fullmatch(".*".join(parts), text.strip(), re.DOTALL) is not None


class Shell:
    """A reader's terminals: a folder, and what they have started."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.log: list[str] = []
        self.asked = 0
        self._env = {**os.environ, **variables}
        self._servers: dict[str, tuple[str, ServerProcess]] = {}

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        for served in self._servers.values():
            served[1].end()

    def run(self, block: Block, *, slow: bool = False) -> None:
        if NOT_RUN in block.comments or (SLOW in block.comments and not slow):
            return
        if FILE in block.comments:
            self.write(block)
            return
        if SLOW in block.comments:
            # One script, in which what is activated stays so, and what is installed is what is run.
            script = f"set -e\nunset PYTHONPATH\n{block.text}"
            self._run(Command(script), SLOW_TIMEOUT)
            return
        for command in commands(block):
            self._do(command, block)

    def _do(self, command: Command, block: Block) -> None:
        engine = _option(command.words, "--engine")
        if engine is not None and engine not in _native.engines():
            return  # not every machine has proxygen
        try:
            if CHECKED in block.comments:
                self._run(Command(f"{command.line} --check"))
            elif command.serves:
                self._serve(command)
            else:
                self._run(command)
        except AssertionError as error:
            raise AssertionError(f"{block.name}: {command.line}\n{error}") from error

    def write(self, block: Block) -> None:
        path = self.folder / block.comments[FILE]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)

    def finish(self) -> None:
        for shown in list(self._servers):
            self._end(shown)

    def _run(self, command: Command, timeout: float = TIMEOUT) -> None:
        line = self._here(command.line)
        for shown, (url, _) in self._servers.items():
            line = line.replace(shown, url.split("://")[-1])
        code, output = run_to_its_end(line, self.folder, self._env, timeout)
        output = output.replace(str(self.folder), "")
        for shown, (url, _) in self._servers.items():
            output = output.replace(url.split("://")[-1], shown)
        self.log.append(f"$ {line}\n{output}")
        assert code == 0, f"ended with {code}:\n{output}"
        if command.prints:
            assert matches(command.prints, output), f"printed:\n{output}"

    def _serve(self, command: Command) -> None:
        line, shown = self._elsewhere(command)
        self._end(shown)
        server = ServerProcess(["bash", "-c", f"exec {line}"], self._env, self.folder)
        self._servers[shown] = ("", server)
        said = _READY.search(server.wait_for_line(_READY))
        assert said is not None
        self._servers[shown] = (said["url"], server)
        self.log.append(f"$ {line} &\n{server.log}")
        if command.prints:
            expected = command.prints.strip().splitlines()
            for wanted in expected:
                server.wait_for_line(_pattern(wanted, shown, said["url"].split("://")[-1]))
        status = _status(said["url"], command, self.folder)
        assert status < 500, f"answers {status}:\n{server.log}"
        self.asked += 1

    def _end(self, shown: str) -> None:
        if shown not in self._servers:
            return
        _, server = self._servers.pop(shown)
        server.signal(signal.SIGTERM)
        code = server.wait()
        log = server.log
        server.end()
        # The development servers of the frameworks end by the signal, as they do without this one.
        assert code in (0, -signal.SIGTERM, 128 + signal.SIGTERM), f"ended with {code}:\n{log}"
        assert "Traceback" not in log, log

    def _here(self, line: str) -> str:
        def inside(found: re.Match[str]) -> str:
            path = self.folder / found.group(0).lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            return str(path)

        return SYSTEM.sub(inside, line)

    def _elsewhere(self, command: Command) -> tuple[str, str]:
        """The command on a free port, and the address that the page gives it."""
        words = [self._here(word) for word in command.words]
        # Variables in front of a command are the shell's, and `exec` knows none.
        words = ["env", *words] if command.words != command.program else words
        if command.program[0] == "flask":
            port = _option(words, "--port", "-p") or "5000"
            return shlex.join([*words, "--port", str(_free_port())]), f"127.0.0.1:{port}"
        if command.program[1:3] == ["manage.py", "runserver"]:
            return shlex.join([*words, f"127.0.0.1:{_free_port()}"]), "127.0.0.1:8000"
        shown = ""
        for index, word in enumerate(words):
            if word not in ("--bind", "-b", "--redirect-http"):
                continue
            place = words[index + 1]
            assert not place.startswith(("systemd", "fd:")), "needs who passes the socket on"
            if word != "--redirect-http":
                shown = shown or place
            if not place.startswith("unix:"):
                words[index + 1] = "127.0.0.1:0"
        if not shown:
            shown = "127.0.0.1:8000"
            words += ["--bind", "127.0.0.1:0"]
        return shlex.join(words), shown


def run_to_its_end(line: str, folder: Path, env: dict[str, str], timeout: float) -> tuple[int, str]:
    """How a shell's line ended and what it printed; nothing of it is left when its time is over."""
    process = subprocess.Popen(
        ["bash", "-c", line],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise AssertionError(f"not done after {timeout:.0f} s:\n{output}") from None
    return process.returncode, output


def _pattern(wanted: str, shown: str, real: str) -> str:
    text = wanted.replace(shown, real)
    return ".*".join(re.escape(part) for part in text.split("..."))


def _option(words: list[str], *names: str) -> str | None:
    for name in names:
        if name in words:
            return words[words.index(name) + 1]
    return None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _status(url: str, command: Command, folder: Path) -> int:
    """What the server answers to a request for its root."""
    place = url.removeprefix("unix:")
    curl = ["curl", "--silent", "--insecure", "--output", os.devnull, "--write-out", "%{http_code}"]
    curl += ["--unix-socket", place, "http://localhost/"] if place != url else [f"{url}/"]
    if "--proxy-protocol" in command.words:
        curl.append("--haproxy-protocol")
    done = subprocess.run(
        curl, cwd=folder, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 0, f"curl {url}: {done.returncode}"
    return int(done.stdout)


def variables(folder: Path) -> dict[str, str]:
    """Of a shell in which `prowingen` and `python` are this tree's."""
    tools = folder / ".bin"
    tools.mkdir()
    for name, arguments in {"prowingen": "-m prowingen_wsgi", "python": ""}.items():
        path = tools / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        path.chmod(0o755)
    # At a terminal curl shows no progress for what it prints.
    (folder / ".curlrc").write_text("silent\nshow-error\n")
    search = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {
        "PATH": search,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "PYTHONUNBUFFERED": "1",
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "share"),
        "XDG_STATE_HOME": str(folder / "state"),
    }
