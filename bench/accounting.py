"""What a server's process tree has used, read from /proc.

A tree is every process of the server's session plus every descendant of its first
process, so that one that daemonises a child or starts a new session is still counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PROC = Path("/proc")
CPUCLOCK_SCHED = 2


@dataclass(frozen=True)
class Stat:
    """The fields of /proc/PID/stat that are needed here."""

    pid: int
    parent: int
    session: int
    started: int
    """Clock ticks after boot: with `pid` it tells a process from a later namesake."""


@dataclass(frozen=True)
class Usage:
    """CPU seconds of each process, and the tree's peak and present memory in KiB.

    Memory is summed over processes: pages that a fork shares count once for each.
    """

    cpu: dict[int, float]
    peak_rss_kib: int
    rss_kib: int

    def cpu_since(self, earlier: Usage) -> float:
        """CPU seconds used since `earlier`; processes that have gone add nothing."""
        return sum(seconds - earlier.cpu.get(pid, 0.0) for pid, seconds in self.cpu.items())


def parse_stat(text: str) -> Stat:
    """The name in parentheses may hold spaces and parentheses: cut at the last one."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return Stat(
        pid=int(head.split(" ", 1)[0]),
        parent=int(fields[1]),
        session=int(fields[3]),
        started=int(fields[19]),
    )


def tree(root: int, stats: list[Stat]) -> list[Stat]:
    """The members of `root`'s tree among `stats`."""
    members = {root} | {stat.pid for stat in stats if stat.session == root}
    grown = True
    while grown:
        more = {stat.pid for stat in stats if stat.parent in members} - members
        members |= more
        grown = bool(more)
    return [stat for stat in stats if stat.pid in members]


def parse_memory(status: str) -> tuple[int, int]:
    """(VmHWM, VmRSS) in KiB from /proc/PID/status; zeros for a zombie."""
    values = {"VmHWM:": 0, "VmRSS:": 0}
    for line in status.splitlines():
        words = line.split()
        if words and words[0] in values:
            values[words[0]] = int(words[1])
    return values["VmHWM:"], values["VmRSS:"]


def all_stats(proc: Path = PROC) -> list[Stat]:
    stats = []
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                stats.append(parse_stat((entry / "stat").read_text()))
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended between the listing and the reading
    return stats


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of `pid`, ended ones included.

    The process's own CPU clock, in nanoseconds: the counters in /proc/PID/stat come in
    ticks of 10 ms, more than a server uses in some rows. The clock's number is that of
    clock_getcpuclockid(3).
    """
    return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)


def usage(root: int, proc: Path = PROC, cpu_clock: Callable[[int], float] = cpu_seconds) -> Usage:
    cpu: dict[int, float] = {}
    peak = present = 0
    for stat in tree(root, all_stats(proc)):
        try:
            memory = parse_memory((proc / str(stat.pid) / "status").read_text())
            cpu[stat.pid] = cpu_clock(stat.pid)
        except OSError:
            continue  # ended meanwhile
        peak += memory[0]
        present += memory[1]
    return Usage(cpu=cpu, peak_rss_kib=peak, rss_kib=present)
