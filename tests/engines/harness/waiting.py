"""Waiting for what has no signal of its own: another process, the kernel, a counter."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


def accepts(path: Path) -> bool:
    """Whether somebody listens at a Unix socket, which is there a moment before that."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0
