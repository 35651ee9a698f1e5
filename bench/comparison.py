"""What a run with two trees of ours says: their ratios, row by row, and who is faster.

It is a run as any other, in which two servers take part; what is here is computed from its rounds.
A figure is called different only where its interval at 98.75 % leaves out one: there are four of
them, and so a row whose trees are equal is called different at most once in twenty times. What is
under one per cent is not called, either: two builds of the same sources may differ by that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bench.ratios import SHOWN, Interval, paired
from bench.report import CPU, NONE, RATE, about_line, latency_metric, table_head, table_line
from bench.results import WITH_LOG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.results import CaseResult, Outcome, Run

BEFORE, AFTER = "before", "after"
"""In `about`: the names of the two trees, with which those of their servers begin."""
RSS = "peak_rss_mib"
CALLED = 1 - (1 - SHOWN) / 4
LEAST = 0.01
NO_DIFFERENCE = "no difference that these rounds can tell"


@dataclass(frozen=True)
class Pair:
    """The two trees' servers with one engine, in one case."""

    case: CaseResult
    engine: str
    """And whether it wrote a log."""
    before: Outcome
    after: Outcome

    @property
    def label(self) -> str:
        return f"{self.case.label} ({self.engine})"

    @property
    def trouble(self) -> str:
        """Why the two are not compared; empty if they are."""
        for outcome in (self.before, self.after):
            if outcome.failure:
                return f"{outcome.server}: {outcome.failure.splitlines()[0]}"
            if outcome.errors:
                return f"{outcome.server}: {outcome.errors} answers with errors, or none"
        if min(len(self.before.rounds), len(self.after.rounds)) < 2:
            return "fewer than two rounds with both"
        return ""

    @property
    def metrics(self) -> tuple[str, str, str, str]:
        return (RATE, CPU, latency_metric(self.case), RSS)

    def interval(self, metric: str, confidence: float = SHOWN) -> Interval | None:
        """Of now to then; None where the two have no such figure."""
        both = [
            (old, new)
            for old, new in zip(self.before.values(metric), self.after.values(metric), strict=False)
            if old is not None and new is not None and old > 0 and new > 0
        ]
        if self.trouble or len(both) < 2:
            return None
        return paired([old for old, _ in both], [new for _, new in both], confidence)

    def called(self, metric: str) -> int:
        """1 where it is more than it was, -1 where it is less, 0 where that cannot be told."""
        found = self.interval(metric, CALLED)
        if found is None or not found.tells or abs(found.ratio - 1) < LEAST:
            return 0
        return 1 if found.ratio > 1 else -1

    @property
    def verdict(self) -> str:
        """Of speed: requests a second, and the CPU time of one. Memory and p99 are added to it."""
        if self.trouble:
            return f"not compared: {self.trouble}"
        rate, cpu, p99, memory = (self.called(metric) for metric in self.metrics)
        speeds = {rate, -cpu} - {0}
        if speeds == {1, -1}:
            words = [
                "more requests/s, and more CPU for each"
                if rate > 0
                else "fewer requests/s, and less CPU for each"
            ]
        else:
            words = [{1: "faster", -1: "slower"}[speeds.pop()] if speeds else NO_DIFFERENCE]
        words += [{1: "p99 is longer", -1: "p99 is shorter"}[p99]] if p99 else []
        words += [{1: "more memory", -1: "less memory"}[memory]] if memory else []
        return "; ".join(words)

    def as_json(self) -> dict[str, Any]:
        ratios = {metric: self.interval(metric) for metric in self.metrics}
        return {
            "row": self.case.row,
            "threads": self.case.threads,
            "engine": self.engine,
            "rounds": min(len(self.before.rounds), len(self.after.rounds)),
            "confidence": SHOWN,
            "ratios": {name: asdict(one) for name, one in ratios.items() if one is not None},
            "verdict": self.verdict,
        }


def pairs(run: Run) -> Iterator[Pair]:
    before, after = (f"{run.about[side]}-" for side in (BEFORE, AFTER))
    for case in run.cases:
        servers = {outcome.server: outcome for outcome in case.outcomes}
        for name, outcome in servers.items():
            engine = name.removeprefix(before)
            if name.startswith(before) and after + engine in servers:
                yield Pair(case, engine, outcome, servers[after + engine])


def is_one(run: Run) -> bool:
    """Whether two trees took part."""
    return BEFORE in run.about and AFTER in run.about


def markdown(run: Run) -> str:
    found = list(pairs(run))
    engines = {pair.engine.removesuffix(WITH_LOG) for pair in found}
    lines = table_head(["Row"], ["Requests/s", "CPU a request", "p99", "Memory"])
    lines = [f"{text} {more}" for text, more in zip(lines, ["Verdict |", "--- |"], strict=True)]
    for pair in found:
        label = pair.case.label if len(engines) == 1 else pair.label
        label += " with a log" if pair.engine.endswith(WITH_LOG) else ""
        figures = [_cell(pair.interval(metric)) for metric in pair.metrics]
        lines.append(table_line([label, *figures, pair.verdict]))
    about = run.about
    intro = (
        f"{about[AFTER]} (commit {about['commit']}) beside {about[BEFORE]}: ratios, above 1 where "
        f"{about[AFTER]} has more, with intervals at {SHOWN:.0%}.".replace("%", " %")
    )
    return "\n\n".join([intro, "\n".join(lines), about_line(run)]) + "\n"


def _cell(found: Interval | None) -> str:
    if found is None:
        return NONE
    return f"{found.ratio:.3f} ({found.low:.3f}{NONE}{found.high:.3f})"
