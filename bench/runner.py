"""The order of a run: round by round, every server in turn.

Servers of a case are interleaved, so that a machine that slows down slows them all,
and each round starts with another server, so that none is always first. A server that
fails is not tried again in that case; the reason becomes its result.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.measurement import Window, measure
from bench.paths import shown, tidy
from bench.process import ServerError
from bench.results import WITH_LOG, CaseResult, Measurement, Outcome, Run
from bench.rows import Case, Kind

if TYPE_CHECKING:
    from bench.servers import Server


@dataclass(frozen=True)
class Plan:
    cases: list[Case]
    servers: list[Server]
    rounds: int
    window: Window
    deadline: float
    """Of `time.monotonic()`: nothing is started after it."""
    named: bool = False
    """The servers were named, so peers also take part in rows that are ours."""


@dataclass
class Entrant:
    """A server in a case; hello-log has two of the same server."""

    server: Server
    outcome: Outcome
    log: bool = False


@dataclass
class Runner:
    plan: Plan
    run: Run
    versions: dict[str, str] = field(default_factory=dict)

    def carry_out(self) -> None:
        for case in self.plan.cases:
            result = CaseResult(case.row.name, case.row.says, case.threads, case.connections)
            self.run.cases.append(result)
            entrants = self._entrants(case)
            result.outcomes = [entrant.outcome for entrant in entrants]
            for number in range(self.plan.rounds):
                start = number % max(1, len(entrants))
                for entrant in entrants[start:] + entrants[:start]:
                    self._once(case, entrant, number)

    def _entrants(self, case: Case) -> list[Entrant]:
        kind = case.row.kind
        taking_part = [
            server
            for server in self.plan.servers
            if server.ours or not case.row.ours_only or (self.plan.named and kind is not Kind.LOG)
            if not server.rows or case.row.name in server.rows
            if server.speaks_tls or not case.row.tls
            if server.speaks_http2 or not case.row.http2
            if server.speaks_http3 or not case.row.http3
            if server.speaks_websocket or not case.row.websocket
            if server.serves_files or not case.row.files
        ]
        variants = (False, True) if kind is Kind.LOG else (False,)
        return [
            Entrant(server, self._outcome(server, log), log)
            for server in taking_part
            for log in variants
        ]

    def _outcome(self, server: Server, log: bool) -> Outcome:
        if server.name not in self.versions:
            self.versions[server.name] = server.version()
        return Outcome(
            server=server.name + (WITH_LOG if log else ""),
            # Ours may be built in place, without a version: the commit says which it is.
            version=self.versions[server.name] or str(self.run.about["commit"]),
            ours=server.ours,
            ceiling=server.ceiling,
            notes=[server.note] if server.note else [],
        )

    def _once(self, case: Case, entrant: Entrant, number: int) -> None:
        outcome = entrant.outcome
        if outcome.failure:
            return
        if time.monotonic() > self.plan.deadline:
            outcome.failure = "the run's time limit was reached"
            return
        try:
            found = measure(entrant.server, case, self.plan.window, log=entrant.log)
        except ServerError as error:
            outcome.failure = tidy(str(error))
            _say(case, outcome, number, f"failed: {outcome.failure}")
            return
        outcome.command = shown(found.command)
        outcome.notes += [note for note in found.notes if note not in outcome.notes]
        outcome.rounds.append(found.measurement)
        _say(case, outcome, number, _figures(found.measurement))


def _figures(one: Measurement) -> str:
    p99 = one.extra.get("fast_p99_ms", one.p99_ms)
    words = [f"{one.requests_per_second:9,.0f} req/s", f"{one.cpu_us:7.1f} µs CPU"]
    words += [f"p99 {p99:8.2f} ms"] if p99 is not None else []
    words += [f"{one.errors} errors"] if one.errors else []
    return "  ".join(words)


def _say(case: Case, outcome: Outcome, number: int, what: str) -> None:
    line = f"{case.label:16} round {number + 1}  {outcome.server:22} {what}"
    print(line, file=sys.stderr, flush=True)
