"""An application whose answers tell how often it was called, for tests of what is kept of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.apps import Environ, StartResponse

KEPT = ("Cache-Control", "s-maxage=60")


class Pages:
    """Answers with the number of the call, and with fields and a status that tests set."""

    def __init__(self, *fields: tuple[str, str], status: str = "200 OK") -> None:
        self.fields = list(fields)
        self.status = status
        self.environs: list[Environ] = []
        self._lock = threading.Lock()

    @property
    def calls(self) -> int:
        return len(self.environs)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            self.environs.append(environ)
            number = self.calls
        return self.answer(number, start_response)

    def answer(self, number: int, start_response: StartResponse) -> Iterable[bytes]:
        start_response(self.status, [("Content-Type", "text/plain"), *self.fields])
        return [f"answer {number}".encode()]
