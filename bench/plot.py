"""Requests per second as small multiples: one panel a case, servers sorted.

    bench/.venv/bin/python -m bench.plot RESULTS.json STEM

Runs in the peers' environment, which alone has matplotlib; the import by name keeps
type checking independent of it. Writes STEM.png and STEM.svg.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.report import RATE
from bench.results import CaseResult, Outcome, Run, read

OURS = "#1b6ca8"
PEER = "#c3cad3"
TEXT = "#24292f"
FAINT = "#6e7781"
COLUMNS = 3
PANEL_WIDTH = 4.4
BAR_HEIGHT = 0.27


def shown(run: Run) -> list[CaseResult]:
    """The cases with somebody to compare: ours alone needs no picture."""
    return [
        case
        for case in run.cases
        if len({o.server for o in case.outcomes if o.comparable}) > 1
        and any(not o.ours for o in case.outcomes)
    ]


def ranked(case: CaseResult) -> list[tuple[Outcome, float]]:
    """Fastest last, since a horizontal bar chart is drawn from the bottom up."""
    pairs = [
        (outcome, outcome.median(RATE) or 0.0) for outcome in case.outcomes if outcome.comparable
    ]
    return sorted(pairs, key=lambda pair: pair[1])


def draw(run: Run, stem: Path) -> None:
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("Agg")
    plt: Any = import_module("matplotlib.pyplot")
    plt.rcParams |= {
        "font.family": "DejaVu Sans",
        "font.size": 8.5,
        "text.color": TEXT,
        "svg.fonttype": "none",
        "svg.hashsalt": "bench",
    }
    cases = shown(run)
    if not cases:
        raise SystemExit("plot: the results hold no case with servers to compare")
    most = max(len(ranked(case)) for case in cases)
    columns = min(COLUMNS, len(cases))
    rows = -(-len(cases) // columns)
    height = most * BAR_HEIGHT + 0.75
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(PANEL_WIDTH * columns, height * rows + 0.9),
        squeeze=False,
        layout="constrained",
    )
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1, wspace=0.02, hspace=0.03)
    figure.suptitle(
        "Requests per second, one process, higher is better",
        x=0.01,
        ha="left",
        fontsize=13,
        fontweight="bold",
    )
    for axis, case in zip(axes.flat, cases, strict=False):
        _panel(axis, case, most)
    for axis in axes.flat[len(cases) :]:
        axis.set_visible(False)
    figure.supxlabel(_caption(run), x=0.01, ha="left", fontsize=8, color=FAINT)
    figure.savefig(stem.with_suffix(".png"), dpi=150, facecolor="white")
    figure.savefig(stem.with_suffix(".svg"), facecolor="white", metadata={"Date": None})
    plt.close(figure)


def _panel(axis: Any, case: CaseResult, most: int) -> None:
    pairs = ranked(case)
    top = max(value for _, value in pairs)
    # Panels with fewer servers keep the same bar height: missing bars are left blank.
    places = range(most - len(pairs), most)
    for place, (outcome, value) in zip(places, pairs, strict=True):
        spread = outcome.spread(RATE)
        axis.barh(place, value, height=0.72, color=OURS if outcome.ours else PEER)
        weight = "bold" if outcome.ours else "normal"
        colour = OURS if outcome.ours else TEXT
        low, high = (spread.low, spread.high) if spread else (value, value)
        if high > low:
            axis.plot([low, high], [place, place], color=TEXT, linewidth=0.9, alpha=0.6)
        axis.text(
            max(value, high) + top * 0.015,
            place,
            f"{value:,.0f}",
            va="center",
            fontsize=8,
            fontweight=weight,
            color=colour,
        )
    axis.set_yticks(list(places), [outcome.server for outcome, _ in pairs])
    for label, (outcome, _) in zip(axis.get_yticklabels(), pairs, strict=True):
        label.set_color(OURS if outcome.ours else TEXT)
        label.set_fontweight("bold" if outcome.ours else "normal")
    axis.set_ylim(-0.6, most - 0.4)
    axis.set_xlim(0, top * 1.22)
    axis.set_xticks([])
    axis.tick_params(length=0)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)
    axis.spines["left"].set_color(PEER)
    plural = "thread" if case.threads == 1 else "threads"
    axis.set_title(
        f"{case.row} · {case.threads} {plural}",
        loc="left",
        fontsize=10,
        fontweight="bold",
    )


def _caption(run: Run) -> str:
    about = run.about
    return (
        f"Median over rounds; the line spans lowest to highest. wrk on loopback, "
        f"{about['cores']} cores ({about['cpu']}), Python {about['python']}, "
        f"{about['date'][:10]}. Results with errors are left out."
    )


if __name__ == "__main__":
    draw(read(Path(sys.argv[1])), Path(sys.argv[2]))
