"""What a page's block does to this process, undone: the next test is in it, too."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


_State = tuple[tuple[logging.Handler, ...], int, bool, bool]
_NEW: _State = ((), logging.NOTSET, True, False)


@contextmanager
def as_it_was() -> Iterator[None]:
    """Loggers, variables, the modules' path and the current folder."""
    folder, path, environment = Path.cwd(), list(sys.path), dict(os.environ)
    before = {each: _state(each) for each in _loggers()}

    yield
    os.chdir(folder)
    sys.path[:] = path
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)
    for logger in _loggers():
        handlers, level, logger.propagate, logger.disabled = before.get(logger, _NEW)
        logger.handlers = list(handlers)
        logger.setLevel(level)


def _loggers() -> list[logging.Logger]:
    return [logging.root, *map(logging.getLogger, list(logging.root.manager.loggerDict))]


def _state(logger: logging.Logger) -> _State:
    return tuple(logger.handlers), logger.level, logger.propagate, logger.disabled
