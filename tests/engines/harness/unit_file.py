"""A unit file of systemd's, read as far as a test needs it to do what systemd would do."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class UnitFile:
    """The instance of a template."""

    def __init__(self, path: Path, instance: str) -> None:
        self._lines: dict[str, list[str]] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            if "=" in line and not line.startswith(("#", ";", "[")):
                name, _, value = line.partition("=")
                filled = value.replace("%i", instance).replace("%S", "/var/lib")
                self._lines.setdefault(name.strip(), []).append(filled.strip())

    def all(self, name: str) -> list[str]:
        return self._lines.get(name, [])

    def one(self, name: str) -> str:
        (value,) = self._lines[name]
        return value

    def command(self, name: str, **variables: str) -> list[str]:
        """The words of ExecStart and its like, with its variables filled in as systemd does."""
        words = []
        for word in shlex.split(self.one(name)):
            for variable, value in variables.items():
                word = word.replace(f"${variable}", value)
            words.append(word.replace("$$", "$"))
        return words
