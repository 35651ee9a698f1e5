"""Writes a run's tables where readers look: five rows in the README, all of them in the docs.

What is between the markers of a page is the tool's, and the rest its author's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.paths import ROOT
from bench.report import brief, markdown

if TYPE_CHECKING:
    from pathlib import Path

    from bench.results import Run

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
README, PAGE = ROOT / "README.md", ROOT / "docs/benchmark.md"


def publish(run: Run) -> list[Path]:
    """The pages that were written. Raises ValueError for one without its markers."""
    pages = {README: brief(run), PAGE: markdown(run)}
    for path, table in pages.items():
        path.write_text(between_markers(path.read_text(), table, path.name))
    return list(pages)


def between_markers(text: str, table: str, name: str) -> str:
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"{name}: the table's place is between {BEGIN} and {END}: put them in")
    return f"{before}{BEGIN}\n{table}{END}{after}"
