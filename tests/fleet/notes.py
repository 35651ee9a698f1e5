"""What became of the requests of a load, read from the file that it writes while it runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import IO


@dataclass(frozen=True)
class Note:
    """status: 0 where there was no answer, and error says why. host, version: who has answered."""

    number: int
    method: str
    path: str
    begun: float
    took: float
    status: int = 0
    error: str = ""
    host: str | None = None
    version: str | None = None

    @property
    def failed(self) -> bool:
        return self.status != 200

    @property
    def is_a_page(self) -> bool:
        """Whether it may be asked for again: nothing of the answer comes before all of it."""
        return self.method == "GET" and self.path != "/stream"

    def __str__(self) -> str:
        what = self.error or f"{self.status} by {self.host or 'the proxy'}"
        return f"{self.method} {self.path} {self.number}, after {self.took:.2f} s: {what}"


class Notes:
    """file: as it is written, from its beginning."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._begun = b""
        self._finished = False
        self._seen: list[Note] = []

    def __call__(self) -> list[Note]:
        """All so far."""
        text = b"" if self._finished else self._file.read()
        *whole, self._begun = (self._begun + text).split(b"\n")
        lines: list[dict[str, Any]] = [json.loads(line) for line in whole]
        self._seen += [Note(**line) for line in lines]
        return self._seen

    def finish(self) -> None:
        """Nothing more is written; the file may go."""
        self()
        self._finished = True

    @property
    def failed(self) -> list[Note]:
        return [note for note in self() if note.failed]

    def answered_by(self, host: str, version: str = "", since: float = 0) -> bool:
        """Whether a request that has begun since then has been answered by that host."""
        return any(
            note.host == host and note.begun >= since and version in ("", note.version)
            for note in self()
        )
