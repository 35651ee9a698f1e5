"""What a request has cost, and how rows compared with peers', over commits: a page, two pictures.

    python -m bench history

Drawn from what is kept in the repository: `bench/kept/history.json`, which `tools/instructions.py
--keep` appends to, and the runs in `bench/results`. Each picture says which figures it was drawn
from, so that a test sees, without drawing it, whether it is the present ones. The pictures are made
by the peers' environment, which alone has matplotlib, and the tables by any.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from bench.paths import BENCH, ROOT
from bench.plot import pyplot
from bench.publish import between_markers
from bench.report import BRIEF, CPU, RATE, table_head, table_line
from bench.results import read

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs/history.md"
INSTRUCTIONS = ROOT / "docs/history-instructions.svg"
BENCHMARK = ROOT / "docs/history-benchmark.svg"
KEPT = BENCH / "kept/history.json"
RESULTS = BENCH / "results"
ENGINE = "prowingen-embedded"
COLOURS = ("#1b6ca8", "#d1711f", "#3a8f4d", "#8a5fb0", "#b0413e", "#6e7781")
FAINT = "#6e7781"

Point = tuple[str, float]
Series = dict[str, list[Point]]
"""By name: where on the horizontal axis, and the figure."""


def instructions(kept: Path = KEPT) -> dict[str, Series]:
    """By application, and what was counted it on; at each commit."""
    panels: dict[str, Series] = {}
    for one in json.loads(kept.read_text()):
        series = panels.setdefault(one["application"], {})
        points = series.setdefault(f"{one['engine']}, {_terms(one)}", [])
        points.append((f"{one['date']}\n{one['commit']}", one["instructions"]))
    return panels


def _terms(one: dict[str, Any]) -> str:
    """What there may be several of: a word less for what a reader can suppose."""
    terms = one["terms"]
    words = [terms["python"], terms["compiler"]]
    words += ["proxygen built in"] if "proxygen" in terms["engines"].split(", ") else []
    words += [f"{name} {terms[name]}" for name in ("flask",) if name in terms]
    return ", ".join(words)


def benchmark(results: Path = RESULTS) -> dict[str, Series]:
    """Of the rows that the README has: the ratio to the best peer, at each run that is kept."""
    panels: dict[str, Series] = {
        "Requests/s, times the best peer's": {},
        "CPU of a request, times the best peer's": {},
    }
    for path in sorted(results.glob("*.json")):
        run = read(path)
        where = f"{run.about['date'][:10]}\n{run.about['commit']}"
        for panel, metric in zip(panels.values(), (RATE, CPU), strict=True):
            for row in BRIEF:
                for case in run.cases:
                    for outcome in case.ours:
                        ratio = case.ratio(outcome, metric)
                        if (case.row, case.threads) == row and outcome.server == ENGINE and ratio:
                            panel.setdefault(case.label, []).append((where, ratio))
    return panels


def digest(panels: dict[str, Series]) -> str:
    return f"drawn from {sha256(json.dumps(panels).encode()).hexdigest()[:16]}"


def tables() -> str:
    counted = table_head(["Application", "Counted on", "Commit"], ["Instructions a request"])
    for application, series in instructions().items():
        for name, points in series.items():
            for where, value in points:
                counted.append(table_line([application, name, _commit(where), f"{round(value):,}"]))
    rates, cpu = benchmark().values()
    measured = table_head(["Row", "Commit"], ["Requests/s", "CPU"])
    for name, points in rates.items():
        other = dict(cpu.get(name, []))
        for where, value in points:
            cells = [f"{value:.2f}", f"{other[where]:.2f}" if where in other else "–"]
            measured.append(table_line([name, _commit(where), *cells]))
    return "\n".join(
        [
            "## Instructions of a request",
            "",
            f"![Instructions of a request over commits]({INSTRUCTIONS.name})",
            "",
            *counted,
            "",
            "## The benchmark's rows beside the best peer",
            "",
            f"![Ratios to the best peer over runs]({BENCHMARK.name})",
            "",
            *measured,
            "",
        ]
    )


def _commit(where: str) -> str:
    date, _, commit = where.partition("\n")
    return f"{commit}, {date}"


def page(text: str) -> str:
    """The page with the tables of now; what is outside of the markers is its author's."""
    return between_markers(text, tables(), PAGE.name)


def draw(panels: dict[str, Series], path: Path, line: float | None = None) -> None:
    plt = pyplot()
    figure, axes = plt.subplots(
        1, len(panels), figsize=(5.6 * len(panels), 4.2), squeeze=False, layout="constrained"
    )
    for axis, (title, series) in zip(axes.flat, panels.items(), strict=True):
        # In the order in which they were kept: commits are no clock.
        places = list(dict.fromkeys(where for points in series.values() for where, _ in points))
        for (name, points), colour in zip(series.items(), COLOURS * 4, strict=False):
            found = [places.index(where) for where, _ in points]
            axis.plot(
                found, [value for _, value in points], "o-", color=colour, markersize=4, label=name
            )
        if line is not None:
            axis.axhline(line, color=FAINT, linewidth=0.8)
        axis.set_title(title, loc="left", fontsize=10, fontweight="bold")
        highest = max(value for points in series.values() for _, value in points)
        axis.set_ylim(0, 1.08 * highest)
        axis.set_xlim(-0.5, max(len(places) - 0.5, 0.5))
        axis.set_xticks(range(len(places)), places)
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        axis.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.16))
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    metadata = {"Date": None, "Description": digest(panels)}
    figure.savefig(path, facecolor="white", metadata=metadata)
    plt.close(figure)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    draw(instructions(), INSTRUCTIONS)
    draw(benchmark(), BENCHMARK, 1)
    for written in (PAGE, INSTRUCTIONS, BENCHMARK):
        print(f"bench: {written.relative_to(ROOT)}", file=sys.stderr)
