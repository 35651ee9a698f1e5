"""Descriptors that stay with this process when the application forks another one.

The native side sees to the sockets that it serves. These are what Python code has beside them, and
never closes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from .originals import os

if TYPE_CHECKING:
    from collections.abc import Iterable


def close_in_children(descriptors: Iterable[int]) -> None:
    """Has them closed in every child that is forked from now on."""
    left = list(descriptors)

    def close() -> None:
        while left:  # in a child's own child the numbers mean something else
            with suppress(OSError):
                os.close(left.pop())

    os.register_at_fork(after_in_child=close)
