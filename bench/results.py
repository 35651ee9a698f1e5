"""What a run found, as it stands in the JSON file, and the figures drawn from it.

A run holds cases (a row at a number of threads), a case holds one outcome a server, an
outcome holds one measurement a round or the reason why there is none. Measurements
with errors are kept but never used: an outcome that has any is marked, and takes part
in no comparison.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

WITH_LOG = "+log"
"""Ends the name of a server that writes an access log, in the row that compares them."""

METRICS = ("requests_per_second", "p50_ms", "p99_ms", "cpu_us", "peak_rss_mib")


@dataclass(frozen=True)
class Measurement:
    """One server, one round."""

    requests: int
    requests_per_second: float
    p50_ms: float | None
    p99_ms: float | None
    """None where wrk has no percentile that means anything."""
    cpu_us: float
    """CPU of the server's whole process tree for each request, in microseconds."""
    peak_rss_mib: float
    non_2xx: int
    socket_errors: dict[str, int]
    load_before: float
    """One-minute load average when the server was started."""
    extra: dict[str, float] = field(default_factory=dict)
    """What only this kind of row has, such as the fast requests' p99."""

    @property
    def errors(self) -> int:
        late = int(self.extra.get("errors", 0))
        return self.non_2xx + sum(self.socket_errors.values()) + late


@dataclass(frozen=True)
class Spread:
    median: float
    low: float
    high: float


@dataclass
class Outcome:
    server: str
    version: str
    ours: bool
    ceiling: bool = False
    """A bound to compare with, and nobody's peer."""
    command: str = ""
    notes: list[str] = field(default_factory=list)
    rounds: list[Measurement] = field(default_factory=list)
    failure: str = ""
    """Why this server was not measured, or not to the end; empty if it was."""

    @property
    def errors(self) -> int:
        return sum(measurement.errors for measurement in self.rounds)

    @property
    def comparable(self) -> bool:
        return bool(self.rounds) and not self.failure and not self.errors

    def values(self, metric: str) -> list[float | None]:
        """Of each round: of a metric by name, or of an extra one."""
        return [_value(measurement, metric) for measurement in self.rounds]

    def spread(self, metric: str) -> Spread | None:
        """Over the rounds."""
        values = [value for value in self.values(metric) if value is not None]
        return Spread(median(values), min(values), max(values)) if values else None

    def median(self, metric: str) -> float | None:
        spread = self.spread(metric)
        return spread.median if spread else None


def _value(measurement: Measurement, metric: str) -> float | None:
    value: float | None
    value = getattr(measurement, metric) if metric in METRICS else measurement.extra.get(metric)
    return value


@dataclass
class CaseResult:
    row: str
    says: str
    threads: int
    connections: int
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def label(self) -> str:
        return f"{self.row} @{self.threads}"

    @property
    def ours(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.ours]

    def best_peer(self, metric: str) -> tuple[Outcome, float] | None:
        """The comparable peer with the best median: the lowest but for requests/s."""
        peers = [
            (outcome, value)
            for outcome in self.outcomes
            if not (outcome.ours or outcome.ceiling)
            and outcome.comparable
            and (value := outcome.median(metric)) is not None
        ]
        if not peers:
            return None
        best: Callable[..., tuple[Outcome, float]]
        best = max if metric == "requests_per_second" else min
        return best(peers, key=lambda pair: pair[1])

    def ratio(self, outcome: Outcome, metric: str) -> float | None:
        """`outcome` over the best peer of this metric; None without both."""
        best = self.best_peer(metric)
        value = outcome.median(metric)
        if best is None or value is None or not outcome.comparable or not best[1]:
            return None
        return value / best[1]


@dataclass
class Run:
    about: dict[str, Any]
    """Machine, versions, command and date."""
    cases: list[CaseResult] = field(default_factory=list)

    def write(self, path: Path, **computed: Any) -> None:
        """With what somebody else has computed of it, which is not read again."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self._as_json() | computed, indent=1) + "\n")

    def _as_json(self) -> dict[str, Any]:
        """The rounds, and beside them what a reader would compute from them."""
        document = asdict(self)
        for case, written in zip(self.cases, document["cases"], strict=True):
            for outcome, entry in zip(case.outcomes, written["outcomes"], strict=True):
                entry["errors"] = outcome.errors
                entry["comparable"] = outcome.comparable
                entry["summary"] = {
                    metric: asdict(spread)
                    for metric in (*METRICS, *_extras(outcome.rounds))
                    if (spread := outcome.spread(metric)) is not None
                }
                if outcome.ours:
                    entry["ratio_to_best_peer"] = {
                        metric: case.ratio(outcome, metric) for metric in METRICS
                    }
        return document


def _extras(rounds: Iterable[Measurement]) -> list[str]:
    return sorted({name for measurement in rounds for name in measurement.extra})


COMPUTED = ("errors", "comparable", "summary", "ratio_to_best_peer")


def read(path: Path) -> Run:
    document = json.loads(path.read_text())
    run = Run(document["about"])
    for written in document["cases"]:
        outcomes = []
        for entry in written.pop("outcomes"):
            kept = {name: v for name, v in entry.items() if name not in COMPUTED}
            rounds = [Measurement(**one) for one in kept.pop("rounds")]
            outcomes.append(Outcome(**kept, rounds=rounds))
        run.cases.append(CaseResult(**written, outcomes=outcomes))
    return run
