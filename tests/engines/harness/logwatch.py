"""Waits for lines of the error log, which the server may write after the answer is on its way."""

from __future__ import annotations

import logging
import threading


class LogWatch(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._changed = threading.Condition()
        self._records: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        with self._changed:
            self._records.append(text)
            self._changed.notify_all()

    @property
    def text(self) -> str:
        with self._changed:
            return "\n".join(self._records)

    def clear(self) -> None:
        with self._changed:
            self._records.clear()

    def wait_for(self, *words: str, timeout: float = 5) -> str:
        """The record that holds all these words, now or soon."""

        def found() -> str | None:
            holding = (text for text in self._records if all(word in text for word in words))
            return next(holding, None)

        with self._changed:
            record = self._changed.wait_for(found, timeout)
        assert record, f"no log record holds {words}:\n{self.text}"
        return record


class Lines:
    """Takes the lines of an access log, and lets a test wait for as many as it expects."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, line: str) -> None:
        with self._changed:
            self._lines.append(line)
            self._changed.notify_all()

    def wait(self, count: int) -> list[str]:
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self._lines) >= count, 10)
            assert enough, f"{len(self._lines)} lines instead of {count}: {self._lines}"
            return [line.rstrip("\n") for line in self._lines]
