"""What stays with a process when another one is forked from it: descriptors, and its children.

The native side sees to the sockets that it serves. These are what Python code has: the listening
sockets until they are served, so while the application is loaded, and pipes beside them. A child
of the application's that lives on with a copy would keep an address in use, or have a process
that is gone pass for alive.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from .originals import os
from .threads import current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Descriptors, with what closes them.
_kept: dict[int, Callable[[], object]] = {}
# The thread that forks a process of the server's own.
_sharing: int | None = None


def keep_from_children(descriptor: int, close: Callable[[], object] | None = None) -> None:
    """Has it closed in every child that is forked from now on. Raises OSError if it is not open.

    close: what closes it there, if it is an object that would else do so once more.
    """
    _kept[descriptor] = close or _closer(descriptor)


def _closer(descriptor: int) -> Callable[[], None]:
    """Closes what a descriptor is now: it may be a caller's, who may close it, and whose next file
    then has its number."""
    before = os.fstat(descriptor)

    def close() -> None:
        if os.path.samestat(os.fstat(descriptor), before):
            os.close(descriptor)

    return close


def leave_to_children(descriptor: int) -> None:
    """It is about to be closed here, or another's, and its number to mean something else."""
    _kept.pop(descriptor, None)


def close_in_children(descriptors: Iterable[int]) -> None:
    """Has these closed in every child that is forked from now on; they are never closed here."""
    for descriptor in descriptors:
        keep_from_children(descriptor)


@contextmanager
def sharing_descriptors() -> Iterator[None]:
    """Around a fork of the server's own, whose child gets them all."""
    global _sharing
    _sharing = current()
    try:
        yield
    finally:
        _sharing = None


def disown_children() -> None:
    """In a worker, forked from a process that has loaded the application: as multiprocessing does
    in its own children. Of the processes that the application began while it was loaded, a worker
    that ends would end the daemons, which are the others' too, and fail to wait for them."""
    if processes := sys.modules.get("multiprocessing.process"):
        processes._children.clear()


def _close_in_child() -> None:
    if _sharing == current():
        return
    while _kept:  # in a child's own child the numbers mean something else
        _, close = _kept.popitem()
        with suppress(OSError):
            close()


os.register_at_fork(after_in_child=_close_in_child)
