"""The limit on open files, which idle-10k needs raised here and in the servers."""

from __future__ import annotations

import resource


def raise_open_files() -> int:
    """Raises the soft limit to the hard one, which children inherit; returns it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
