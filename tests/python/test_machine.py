"""What the machine or the container has: the least of what all that bound it say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from prowingen_wsgi.configuration.config import Config
from prowingen_wsgi.machine import (
    LEAST_BUDGET,
    memory_budget,
    memory_limit,
    worker_count,
)

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/a/b\n", {"sys/fs/cgroup/a/b/memory.max": "67108864\n"}, 64 * MIB),
        (
            "0::/a/b\n",
            {"sys/fs/cgroup/a/memory.max": "67108864\n", "sys/fs/cgroup/a/b/memory.max": "max\n"},
            64 * MIB,
        ),
        ("0::/\n", {"sys/fs/cgroup/memory.max": "134217728\n"}, 128 * MIB),
        ("0::/../../host/path\n", {"sys/fs/cgroup/memory.max": "67108864\n"}, 64 * MIB),
        (
            "12:pids:/a\n4:cpu,memory:/a\n0::/\n",
            {"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "67108864\n"},
            64 * MIB,
        ),
        (
            "4:memory:/\n",
            {"sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}"},
            MACHINE,
        ),
        ("0::/a\n", {"sys/fs/cgroup/a/memory.max": "max\n"}, MACHINE),
        ("0::/nowhere\n", {}, MACHINE),
    ],
    ids=["v2", "v2 above", "v2 container", "v2 outside", "v1", "v1 none", "v2 none", "unknown"],
)
def test_least_limit_counts(
    tmp_path: Path, groups: str, limits: dict[str, str], expected: int
) -> None:
    for name, text in {"proc/self/cgroup": groups, **limits}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert memory_limit(tmp_path) == expected


def test_machine_counts_where_there_are_no_groups(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) == MACHINE


def test_processes_share_the_budget() -> None:
    alone = memory_budget(Config())
    assert LEAST_BUDGET <= alone <= MACHINE // 8
    assert memory_budget(Config(workers=4)) == max(alone // 4, LEAST_BUDGET)
    assert memory_budget(Config(), processes=4) == max(alone // 4, LEAST_BUDGET)
    assert memory_budget(Config(workers=1000)) == max(alone // 1000, LEAST_BUDGET)


def test_budget_that_is_set_is_each_process_own() -> None:
    assert memory_budget(Config(memory_budget=64 * MIB, workers=4)) == 64 * MIB


def test_workers_are_counted() -> None:
    assert worker_count(Config()) == 1
    assert worker_count(Config(workers=3)) == 3
    assert worker_count(Config(workers="auto")) >= 1
