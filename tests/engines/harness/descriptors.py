"""A process that can open nothing more, or little: what it has open stays so."""

from __future__ import annotations

import os
import resource
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """This process may open so many more. For what is served by it: a client has to be there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as taken:
        places = [taken.enter_context(Path(os.devnull).open()) for _ in range(count + 1)]
        last = max(each.fileno() for each in places)
    resource.setrlimit(resource.RLIMIT_NOFILE, (last, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
