"""`python -m bench --compare REV`: the server as it was at a commit beside the present one.

A run of the benchmark in which the two take part, and nobody else. They are started anew in every
round, and the one that comes first in a round comes second in the next: what drifts favours none.
Both have the applications of this tree, and options that both know.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import comparison, machine, revisions
from bench.choice import built_engines
from bench.environment import SetupError
from bench.measurement import Window
from bench.paths import OUT
from bench.results import Run
from bench.rows import Kind, cases
from bench.runner import Plan, Runner
from bench.servers import Launch, Server, ours

if TYPE_CHECKING:
    from bench.revisions import Tree
    from bench.rows import Case

ROUNDS, SECONDS = 10, 2


@dataclass(frozen=True)
class Comparison:
    """What is asked for."""

    revision: str
    rows: list[str]
    named: bool
    """The rows were named: one that cannot be compared is then an error."""
    python: str
    engines: list[str] | None = None
    threads: tuple[int, ...] | None = None
    connections: int | None = None
    rounds: int = ROUNDS
    window: Window = field(default_factory=lambda: Window(SECONDS, 1))
    time_limit: float = float("inf")
    """In seconds, after which nothing is started."""


def carry_out(asked: Comparison, output: Path, command: str) -> Run:
    """Builds, measures, and writes the results, also of a run that is ended before its time."""
    check_rounds(asked.rounds)
    python = shutil.which(asked.python)
    if python is None:
        raise ValueError(f"--python: {asked.python}: no such command")
    python = str(Path(python).absolute())
    OUT.mkdir(parents=True, exist_ok=True)
    commit = revisions.commit_of(asked.revision)
    if shutil.which("wrk") is None:
        raise SetupError("wrk is not installed: run `python -m bench setup`")
    engines = asked.engines or built_engines(python)
    about = machine.about(command)
    trees = (
        revisions.at(commit, python, engines),
        revisions.here(str(about["commit"]), python, engines),
    )
    for tree in trees:
        check_engines(tree, engines)
    wanted = cases(asked.rows, asked.threads, asked.connections)
    compared = {engine: supported(wanted, trees, engine, asked.named) for engine in engines}
    about |= {comparison.BEFORE: trees[0].name, comparison.AFTER: trees[1].name}
    found = Run(about | {"before_commit": commit})
    ends = time.monotonic() + asked.time_limit
    try:
        for engine, chosen in compared.items():
            servers = [server_of(tree, engine) for tree in trees]
            plan = Plan(chosen, servers, asked.rounds, asked.window, ends)
            commits = {
                server.name: tree.commit[:10] for server, tree in zip(servers, trees, strict=True)
            }
            Runner(plan, found, versions=commits).carry_out()
    finally:
        found.write(output, comparisons=[pair.as_json() for pair in comparison.pairs(found)])
    return found


def check_rounds(rounds: int) -> None:
    if rounds < 2 or rounds % 2:
        raise ValueError(
            f"--rounds: {rounds}: to compare takes an even number, so that each is first as often"
        )


def check_engines(tree: Tree, engines: list[str]) -> None:
    if lacking := [engine for engine in engines if engine not in tree.engines]:
        raise ValueError(
            f"--engines: {tree.name} has no engine {', '.join(lacking)}; "
            f"it has {', '.join(tree.engines)}"
        )


def server_of(tree: Tree, engine: str) -> Server:
    """Ours, as the benchmark starts it, but of this tree."""
    present = ours(engine, tree.python)

    def command(launch: Launch) -> list[str]:
        return [*tree.start, *present.command(launch)[1:]]

    return replace(
        present,
        name=f"{tree.name}-{engine}",
        command=command,
        environment=tree.environment,
        folder=tree.folder,
    )


def supported(wanted: list[Case], trees: tuple[Tree, ...], engine: str, named: bool) -> list[Case]:
    """The cases whose options both trees know. Raises ValueError for one that was named."""
    chosen = []
    for case in wanted:
        reason = why_not(case, trees, engine)
        if not reason:
            chosen.append(case)
        elif named:
            raise ValueError(f"--rows: {case.row.name}: {reason}")
        else:
            print(f"bench: {case.label} is left out: {reason}", file=sys.stderr)
    return chosen


def why_not(case: Case, trees: tuple[Tree, ...], engine: str) -> str:
    """Empty where both trees can be measured."""
    if case.row.http3 and not ours(engine).speaks_http3:
        return f"the engine {engine} speaks no HTTP/3"
    launch = Launch(
        app=case.row.app,
        port=1,
        threads=case.threads,
        row=case.row.name,
        access_log=Path("log") if case.row.kind is Kind.LOG else None,
        tls=case.row.tls,
        http2=case.row.http2,
        http3=case.row.http3,
    )
    for tree in trees:
        words = server_of(tree, engine).command(launch)
        options = [word for word in words if re.fullmatch(r"--[a-z][a-z0-9-]*", word)]
        if unknown := [option for option in options if option not in tree.options]:
            return (
                f"{tree.name} does not know {', '.join(unknown)}, which this row is measured with"
            )
    return ""
