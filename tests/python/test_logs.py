"""What silences the error log, and what does not."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
import multiprocessing
import os
import subprocess
import sys
import threading
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from prowingen_wsgi.logs import error_log, lock_natively, log_native_event
from prowingen_wsgi.output import StandardErrorHandler

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """The messages that get to a handler."""
    found: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    error_log.addHandler(handler)
    yield found
    error_log.removeHandler(handler)
    error_log.setLevel(logging.NOTSET)
    logging.disable(logging.NOTSET)


def test_disabling_all_loggers_is_not_meant_for_it(lines: list[str]) -> None:
    logging.disable(logging.CRITICAL)
    error_log.error("after disable")
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
    error_log.error("after dictConfig")
    assert lines == ["after disable", "after dictConfig"]


def test_its_own_level_and_filters_are(lines: list[str]) -> None:
    error_log.setLevel(logging.ERROR)
    error_log.warning("below its level")
    error_log.error("at its level")
    error_log.addFilter(veto)
    error_log.error("filtered")
    error_log.removeFilter(veto)
    assert lines == ["at its level"]


def veto(_record: logging.LogRecord) -> bool:
    return False


def fail(*_arguments: object, **_options: object) -> bool:
    raise RuntimeError("of the application")


def test_an_event_is_shown_though_logging_fails(
    lines: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    error_log.addFilter(fail)
    log_native_event(logging.ERROR, "GET / HTTP/1.1", None)
    error_log.removeFilter(fail)
    errors = capfd.readouterr().err
    assert "GET / HTTP/1.1" in errors
    assert "RuntimeError: of the application" in errors
    assert lines == []


def test_an_event_is_shown_though_no_record_can_be_made(
    lines: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "_logRecordFactory", fail)
    error_log.warning("of %d bytes", 7)
    log_native_event(logging.ERROR, "GET / HTTP/1.1", ValueError("of a view"))
    monkeypatch.undo()
    errors = capfd.readouterr().err
    assert "of 7 bytes" in errors
    assert "GET / HTTP/1.1" in errors
    assert "ValueError: of a view" in errors
    assert "RuntimeError: of the application" in errors
    error_log.warning("as before")
    assert lines == ["as before"]


def test_a_line_names_the_place_that_it_comes_from() -> None:
    places: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: places.append(record.filename)  # type: ignore[method-assign]
    error_log.addHandler(handler)
    error_log.error("here")
    error_log.exception("and here")
    error_log.removeHandler(handler)
    assert places == ["test_logs.py"] * 2


class Patched:
    """A lock as those of gevent and eventlet: for one thread."""

    __module__ = "gevent.lock"

    def __init__(self) -> None:
        self.owner = 0

    def acquire(self) -> bool:
        assert not self.owner
        self.owner = threading.get_ident()
        return True

    def release(self) -> None:
        assert self.owner == threading.get_ident()
        self.owner = 0


def test_handlers_get_native_locks_even_while_they_are_held() -> None:
    memory = logging.handlers.MemoryHandler(0, target=logging.StreamHandler())
    target = memory.target
    assert target is not None
    patched: Any = Patched()
    memory.lock, target.lock = patched, Patched()  # type: ignore[assignment]
    memory.acquire()
    lock_natively(memory)
    assert memory.lock is not patched
    memory.acquire()  # as a handler that flushes itself does
    memory.release()
    memory.release()
    assert not patched.owner
    native = memory.lock
    lock_natively(memory)
    assert memory.lock is native
    assert not isinstance(target.lock, Patched)


def test_locks_that_are_no_patchs_stay() -> None:
    handler = logging.Handler()
    before = handler.lock
    lock_natively(handler)
    assert handler.lock is before
    shared: Any = multiprocessing.RLock()
    handler.lock = shared
    lock_natively(handler)
    assert handler.lock is shared
    handler.lock = None
    lock_natively(handler)
    assert handler.lock is None


def test_a_logger_that_was_configured_before_the_import_stays_what_it_is() -> None:
    program = """
        import logging
        class Own(logging.Logger):
            own = True
        logging.setLoggerClass(Own)
        before = logging.getLogger("prowingen_wsgi.error")
        before.setLevel("ERROR")
        from prowingen_wsgi.logs import error_log
        assert error_log is before and error_log.own and error_log.level == logging.ERROR
        assert isinstance(error_log, Own)
    """
    subprocess.run([sys.executable, "-c", dedent(program)], check=True)


def test_the_commands_lines_get_through_whatever_standard_error_has_become() -> None:
    program = """
        import io, sys
        from prowingen_wsgi import logs
        logs.show_on_stderr("info")
        sys.stderr = io.TextIOWrapper(sys.stderr.buffer)
        sys.stderr = None  # closes the buffer of the first one
        logs.error_log.info("%s line", "a whole")
        logs.error_log.info("%d", "no number")
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(program)],
        check=True,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )
    assert done.stderr.endswith("INFO a whole line\n")


def test_a_filter_may_put_another_record_in_the_place_of_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As from Python 3.12 on."""
    handler = StandardErrorHandler()
    other = logging.makeLogRecord({"msg": "another"})
    shown: list[logging.LogRecord] = []
    monkeypatch.setattr(handler, "emit", shown.append)
    for answer, handled in ((other, True), (True, True), (False, False)):
        monkeypatch.setattr(handler, "filter", lambda _, answer=answer: answer)
        assert handler.handle(record := logging.makeLogRecord({"msg": "one"})) is handled
        if answer is True:
            assert shown.pop() is record
    assert shown == [other]
