"""What the machine, or the container that this runs in, has to give: cores and memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .originals import os

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .configuration.config import Config

__all__ = ["memory_budget", "memory_limit", "worker_count"]

SHARE = 8
"""The part of the memory that clients may fill by default is one in so many."""

LEAST_BUDGET = 8 * 1024 * 1024

_ROOT = Path("/")


def worker_count(config: Config) -> int:
    """How many processes serve by a configuration."""
    if config.workers != "auto":
        return max(1, int(config.workers))
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def memory_budget(config: Config, processes: int | None = None) -> int:
    """What one process may keep for its clients, in bytes; `processes`: that share the memory."""
    if config.memory_budget:
        return config.memory_budget
    shared_by = worker_count(config) if processes is None else max(1, processes)
    return max(memory_limit() // SHARE // shared_by, LEAST_BUDGET)


def memory_limit(root: Path = _ROOT) -> int:
    """The least of what the machine has and what the control groups of this process may use."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_group_limits(root)])


def _group_limits(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux, or no /proc
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        # "0::/path" of version 2, "4:memory:/path" of version 1 (cgroups(7)).
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _limits(mounts, path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits(mounts / "memory", path, "memory.limit_in_bytes")


def _limits(mount: Path, path: str, name: str) -> Iterator[int]:
    """Those of the group and of all above it. In a container the path may be the host's, of which
    only the end, the mount itself, is seen."""
    group = Path(path.lstrip("/"))
    for each in (group, *group.parents):
        try:
            text = (mount / each / name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal():  # or "max"
            yield int(text)
