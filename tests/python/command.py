"""A command under test: its exit code, its output, and its error output line by line."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TIME_LIMIT = 20.0


class Command:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, words: str) -> str:
        """The first line of error output that holds these words, now or soon."""

        def found() -> list[str]:
            return [line for line in self._lines if words in line]

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, TIME_LIMIT)
            assert found(), f"no {words!r} in:\n{''.join(self._lines)}"
            return found()[0]

    def result(self) -> tuple[int, str, str]:
        """Exit code, output and error output, when it has ended."""
        assert self.process.stdout is not None
        output = self.process.stdout.read()
        code = self.process.wait(TIME_LIMIT)
        self._reader.join(TIME_LIMIT)
        return code, output, "".join(self._lines)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(TIME_LIMIT)
        self._reader.join(TIME_LIMIT)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


def start_command(arguments: list[str], folder: Path, environment: dict[str, str]) -> Command:
    return Command(
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
    )
