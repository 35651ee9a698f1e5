"""What a server's process tree has used, read from /proc.

A tree is every process of the server's session plus every descendant of its first
process, so that one that daemonises a child or starts a new session is still counted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Stat:
    """The fields of /proc/PID/stat that are needed here."""

    pid: int
    parent: int
    session: int
    ticks: int
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
        return sum(
            seconds - earlier.cpu.get(pid, 0.0) for pid, seconds in self.cpu.items()
        )


def parse_stat(text: str) -> Stat:
    """The name in parentheses may hold spaces and parentheses: cut at the last one."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return Stat(
        pid=int(head.split(" ", 1)[0]),
        parent=int(fields[1]),
        session=int(fields[3]),
        ticks=int(fields[11]) + int(fields[12]),
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


def usage(root: int, proc: Path = PROC) -> Usage:
    per_second = os.sysconf("SC_CLK_TCK")
    cpu: dict[int, float] = {}
    peak = present = 0
    for stat in tree(root, all_stats(proc)):
        try:
            memory = parse_memory((proc / str(stat.pid) / "status").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
        cpu[stat.pid] = stat.ticks / per_second
        peak += memory[0]
        present += memory[1]
    return Usage(cpu=cpu, peak_rss_kib=peak, rss_kib=present)
