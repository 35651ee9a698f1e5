"""Reads the tables of tests/corpus; their format is told in the README.md there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[2] / "corpus"
_REPEAT = re.compile(r"\\\*(\d+)\{((?:[^{}\\]|\\.)*)\}")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|.)")
_NAMED = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


@dataclass
class Case:
    name: str
    keys: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""

    @property
    def statuses(self) -> set[int]:
        return {int(word) for word in self.keys.get("status", "200").split()}

    @property
    def options(self) -> dict[str, int | str]:
        start = "option "
        return {
            key.removeprefix(start): int(value) if value.isdigit() else value
            for key, value in self.keys.items()
            if key.startswith(start)
        }

    @property
    def client_ends(self) -> bool:
        return self.keys.get("end") == "close"

    @property
    def server_ends(self) -> bool:
        return self.keys.get("connection") == "close"


def unescape(text: str) -> str:
    while _REPEAT.search(text):  # innermost first, so that repetitions nest
        text = _REPEAT.sub(lambda match: match[2] * int(match[1]), text)

    def one(match: re.Match[str]) -> str:
        word = match[1]
        return chr(int(word[1:], 16)) if len(word) == 3 else _NAMED[word]

    return _ESCAPE.sub(one, text)


def _read(path: Path) -> list[Case]:
    cases: list[Case] = []
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith("== "):
            cases.append(Case(f"{path.stem}: {line[3:]}"))
        elif line[:1] in (">", "|"):
            text = unescape(line[2:]) + ("\r\n" if line[0] == ">" else "")
            cases[-1].raw += text.encode("latin-1")
        elif line and not line.startswith("#"):
            key, colon, value = line.partition(":")
            assert colon, f"{path.name}: what is {line!r}?"
            cases[-1].keys[key] = unescape(value.strip(" "))
    for case in cases:
        assert case.raw, f"{case.name} sends nothing"
        assert "rfc" in case.keys, f"{case.name} names no section"
    return cases


@cache
def cases(kind: str) -> list[Case]:
    """All cases in the folder `valid` or `invalid`."""
    return [case for path in sorted((CORPUS / kind).glob("*.http")) for case in _read(path)]
