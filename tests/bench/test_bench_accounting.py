from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.accounting import Stat, Usage, cpu_seconds, parse_memory, parse_stat, tree, usage

LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def stat_line(pid: int, name: str, parent: int, session: int, started: int = 7) -> str:
    fields = ["S", str(parent), str(pid), str(session), *["0"] * 15, str(started), "0"]
    return f"{pid} ({name}) {' '.join(fields)}\n"


def stat(pid: int, parent: int, session: int) -> Stat:
    return Stat(pid, parent, session, started=0)


def test_a_process_name_may_hold_spaces_and_parentheses() -> None:
    found = parse_stat(stat_line(42, "a (b) c) d", 7, 40, started=1234))
    assert found == Stat(pid=42, parent=7, session=40, started=1234)


@LINUX
def test_this_process_reads_as_itself() -> None:
    found = parse_stat(Path("/proc/self/stat").read_text())
    assert (found.pid, found.parent) == (os.getpid(), os.getppid())
    assert found.session == os.getsid(0)


def test_the_tree_holds_descendants_of_every_depth() -> None:
    stats = [stat(10, 1, 10), stat(12, 11, 10), stat(11, 10, 10), stat(20, 1, 20)]
    assert {one.pid for one in tree(10, stats)} == {10, 11, 12}


def test_the_tree_holds_an_orphan_of_the_session_and_a_child_with_its_own() -> None:
    orphan, own_session, of_orphan = stat(11, 1, 10), stat(12, 10, 12), stat(13, 11, 13)
    found = tree(10, [stat(10, 1, 10), orphan, own_session, of_orphan])
    assert {one.pid for one in found} == {10, 11, 12, 13}


def test_memory_is_peak_and_present() -> None:
    status = "Name:\tpython\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\nThreads:\t1\n"
    assert parse_memory(status) == (2048, 1024)


def test_a_zombie_has_no_memory() -> None:
    assert parse_memory("Name:\tpython\nState:\tZ (zombie)\n") == (0, 0)


def test_usage_sums_the_tree_and_nothing_else(tmp_path: Path) -> None:
    for pid, parent, session in ((10, 1, 10), (11, 10, 10), (20, 1, 20)):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "stat").write_text(stat_line(pid, "x", parent, session))
        (folder / "status").write_text("VmHWM: 100 kB\nVmRSS: 60 kB\n")
    (tmp_path / "meminfo").write_text("")
    found = usage(10, tmp_path, cpu_clock=lambda pid: pid / 10)
    assert found == Usage(cpu={10: 1.0, 11: 1.1}, peak_rss_kib=200, rss_kib=120)


def test_cpu_since_counts_new_processes_from_their_start() -> None:
    before = Usage({10: 1.0, 11: 5.0}, 0, 0)
    after = Usage({10: 1.5, 12: 0.25}, 0, 0)
    assert after.cpu_since(before) == pytest.approx(0.75)


@LINUX
def test_the_cpu_clock_is_that_of_the_process() -> None:
    times = os.times()
    assert cpu_seconds(os.getpid()) == pytest.approx(times.user + times.system, abs=0.2)
