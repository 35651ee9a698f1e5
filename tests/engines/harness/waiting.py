"""Waiting for what has no signal of its own: another process, the kernel, a counter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TIME_LIMIT = 20.0
_LOOK = 0.01


def eventually(condition: Callable[[], object], seconds: float = TIME_LIMIT) -> bool:
    """Whether something is so, now or soon."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK)
    return True
