"""How long a request may still take, and what is said of one that has taken longer."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any

from .logs import error_log
from .originals import time

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["remaining", "tell_overdue"]


def remaining(environ: Mapping[str, Any]) -> float | None:
    """Seconds until the request is answered 504 in the application's place; below 0 once it was.

    None if it may take as long as it takes: without `request_timeout`, or with another server.
    environ: of the request, in which "prowingen.deadline" is the time, as `time.monotonic()` has
        it.
    """
    deadline = environ.get("prowingen.deadline")
    return None if deadline is None else deadline - time.monotonic()


def tell_overdue(message: str, thread: int) -> None:
    """Logs it, with the stack of a thread, by its ident; 0: of none."""
    frame = sys._current_frames().get(thread)
    if frame is None:
        error_log.error("%s", message)
    else:
        stack = "".join(traceback.format_stack(frame)).rstrip()
        error_log.error("%s; its thread is in:\n%s", message, stack)
