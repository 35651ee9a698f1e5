"""HEAD beside itself, built and measured: nothing may come of it. By `nox -s compare`, which takes
as long as two builds of the server do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.comparison import pairs
from bench.paths import ROOT
from bench.results import read

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 3600

pytestmark = [
    pytest.mark.skipif(
        "PROWINGEN_COMPARE_HEAD" not in os.environ, reason="it builds the server: `nox -s compare`"
    ),
    pytest.mark.timeout(PATIENCE),
]


def compare(output: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", "--compare", "HEAD", "--engines", "embedded"]
    return subprocess.run(
        [*command, "--output", str(output), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_the_present_commit_is_as_fast_as_itself(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    words = ("--rows", "hello", "--threads", "2", "--rounds", "4", "--seconds", "1")
    done = compare(output, *words)
    assert done.returncode == 0, done.stderr
    (pair,) = pairs(read(output))
    assert (len(pair.before.rounds), len(pair.after.rounds)) == (4, 4)
    assert pair.trouble == ""
    (written,) = json.loads(output.read_text())["comparisons"]
    assert written["verdict"] == pair.verdict
    assert f"| hello @2 | {written['ratios']['requests_per_second']['ratio']:.3f} (" in done.stdout
    # Not the verdict: one time in twenty chance has another one. Twice as fast it never is.
    for metric, ratio in written["ratios"].items():
        assert 0.5 < ratio["ratio"] < 2, metric
    # Built once.
    again = compare(tmp_path / "again.json", *words[:4], "--rounds", "2", "--seconds", "1")
    assert again.returncode == 0, again.stderr
    assert f"building {pair.before.version[:10]}" not in again.stderr
