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
