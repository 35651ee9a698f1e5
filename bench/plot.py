"""Requests per second and p99 as small multiples: one panel a case, servers sorted.

    bench/.venv/bin/python -m bench.plot RESULTS.json STEM

Runs in the peers' environment, which alone has matplotlib; the import by name keeps
type checking independent of it. Writes STEM and STEM-p99, each as .png and .svg.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.report import RATE, latency_metric, number
from bench.results import CaseResult, Outcome, Run, read

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = "#1b6ca8"
PEER = "#c3cad3"
TEXT = "#24292f"
FAINT = "#6e7781"
COLUMNS = 3
PANEL_WIDTH = 4.4
BAR_HEIGHT = 0.27
OUTLIER = 8.0
"""Times the median beyond which a latency is cut off."""


@dataclass(frozen=True)
class Chart:
    title: str
    suffix: str
    metric: Callable[[CaseResult], str]
    higher_is_better: bool


CHARTS = (
    Chart("Requests per second, one process; higher is better", "", lambda _: RATE, True),
    Chart("99th percentile of latency in ms; lower is better", "-p99", latency_metric, False),
)


def shown(run: Run, chart: Chart) -> list[CaseResult]:
    """The cases with somebody to compare: ours alone needs no picture."""
    return [
        case
        for case in run.cases
        if any(not outcome.ours for outcome in case.outcomes)
        and any(value is not None for _, value in ranked(case, chart))
    ]


def ranked(case: CaseResult, chart: Chart) -> list[tuple[Outcome, float | None]]:
    """The best last, since a bar chart grows upwards; those without a value first."""
    pairs = [
        (one, one.median(chart.metric(case)) if one.comparable else None) for one in case.outcomes
    ]
    valued = [(outcome, value) for outcome, value in pairs if value is not None]
    valued.sort(key=lambda pair: pair[1], reverse=not chart.higher_is_better)
    return [*((outcome, None) for outcome, value in pairs if value is None), *valued]


def pyplot() -> Any:
    """matplotlib's, for files that look alike and come out the same each time."""
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("Agg")
    plt: Any = import_module("matplotlib.pyplot")
    plt.rcParams |= {
        "font.family": "DejaVu Sans",
        "font.size": 8.5,
        "text.color": TEXT,
        # Outlines rather than text: a reader without the font sees the same.
        "svg.fonttype": "path",
        "svg.hashsalt": "bench",
    }
    return plt


def draw(run: Run, chart: Chart, stem: Path) -> None:
    plt = pyplot()
    cases = shown(run, chart)
    if not cases:
        return
    most = max(len(case.outcomes) for case in cases)
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
    figure.suptitle(chart.title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    for axis, case in zip(axes.flat, cases, strict=False):
        _panel(axis, case, chart, most)
    for axis in axes.flat[len(cases) :]:
        axis.set_visible(False)
    figure.supxlabel(_caption(run), x=0.01, ha="left", fontsize=8, color=FAINT)
    figure.savefig(f"{stem}{chart.suffix}.png", dpi=150, facecolor="white")
    # Without the date the same results give the same file.
    figure.savefig(f"{stem}{chart.suffix}.svg", facecolor="white", metadata={"Date": None})
    plt.close(figure)


def _panel(axis: Any, case: CaseResult, chart: Chart, most: int) -> None:
    pairs = ranked(case, chart)
    top = _reach([value for _, value in pairs if value is not None], chart)
    # A panel with fewer servers keeps the height of its bars and leaves the rest blank.
    places = range(most - len(pairs), most)
    for place, (outcome, value) in zip(places, pairs, strict=True):
        _bar(axis, place, outcome, value, outcome.spread(chart.metric(case)), top)
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
    axis.spines["left"].set_bounds(places[0] - 0.5, most - 0.5)
    plural = "thread" if case.threads == 1 else "threads"
    title = f"{case.row} · {case.threads} {plural}"
    if chart.metric(case) == "fast_p99_ms":
        title += " · fast requests"
    axis.set_title(title, loc="left", fontsize=10, fontweight="bold")


def _reach(values: list[float], chart: Chart) -> float:
    """Where the axis ends. A server that cannot cope at all has latencies beside which
    all others would vanish: its bar is cut off and says so by a gap.
    """
    if chart.higher_is_better:
        return max(values)
    return min(max(values), OUTLIER * median(values))


def _bar(
    axis: Any, place: int, outcome: Outcome, value: float | None, spread: Any, top: float
) -> None:
    gap = top * 0.015
    if value is None:
        reason = "errors" if outcome.errors else "no result"
        axis.text(gap, place, reason, va="center", fontsize=8, fontstyle="italic", color=FAINT)
        return
    drawn = min(value, top)
    axis.barh(place, drawn, height=0.72, color=OURS if outcome.ours else PEER)
    if value > top:
        axis.barh(place, top * 0.015, left=top * 0.94, height=0.8, color="white")
    elif spread.high > spread.low:
        # Cut short, so that one bad round does not push the figure out of the panel.
        ends = [spread.low, min(spread.high, top * 1.1)]
        axis.plot(ends, [place, place], color=TEXT, linewidth=0.9, alpha=0.6)
    axis.text(
        max(drawn, min(spread.high, top * (1.1 if value <= top else 1.0))) + gap,
        place,
        number(value),
        va="center",
        fontsize=8,
        fontweight="bold" if outcome.ours else "normal",
        color=OURS if outcome.ours else TEXT,
    )


def _caption(run: Run) -> str:
    about = run.about
    return (
        f"Median over rounds; the line spans lowest to highest. wrk on loopback, "
        f"{about['cores']} cores ({about['cpu']}), Python {about['python']}, "
        f"{about['date'][:10]}."
    )


if __name__ == "__main__":
    results = read(Path(sys.argv[1]))
    for one in CHARTS:
        draw(results, one, Path(sys.argv[2]))
