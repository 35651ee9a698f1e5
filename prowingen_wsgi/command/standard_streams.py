"""The three standard streams of a command that was started with some of them closed."""

from __future__ import annotations

import sys

from ..originals import os


def open_missing() -> None:
    """Opens /dev/null for each that is closed.

    Its descriptor, 0 to 2, would be the next socket's otherwise: whatever writes to standard error
    would write to that, and `sys.stderr` is None meanwhile, which applications do not expect.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None and not _is_open(number):
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
