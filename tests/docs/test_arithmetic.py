"""The table of workers and threads follows from the rules above it."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from blocks.pages import ROOT

from prowingen_wsgi.configuration.config import OPTIONS

PAGE = (ROOT / "docs/workers_and_threads.md").read_text()
ROW = re.compile(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| ", re.MULTILINE)
LOAD = Fraction(7, 10)


def test_the_table_is_what_its_rules_say() -> None:
    rows = [tuple(map(int, row.groups())) for row in ROW.finditer(PAGE)]
    assert len(rows) >= 6
    for rate, computes, waits, workers, threads in rows:
        assert workers == math.ceil(rate * computes / (1000 * LOAD))
        wanted = rate * (computes + waits) / (workers * 1000 * LOAD)
        assert threads == max(2, math.ceil(wanted))


def test_the_defaults_are_those_that_the_page_names() -> None:
    assert f"one process of {OPTIONS['threads'].default} threads" in PAGE
    assert OPTIONS["workers"].default == 0
    assert OPTIONS["io_threads"].default == 1
