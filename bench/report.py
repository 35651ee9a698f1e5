"""The Markdown that a README carries: ours against the best peer, row by row.

The best peer is chosen for each figure separately, so each ratio is against whoever
did that best in the same run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.results import WITH_LOG

if TYPE_CHECKING:
    from bench.results import CaseResult, Outcome, Run, Spread

RATE = "requests_per_second"
CPU = "cpu_us"
IDLE = {"idle-10k": "connections", "ws-idle-10k": "WebSockets"}
"""The rows beside idle connections, and what those are."""
BRIEF = [
    ("hello", 8),
    ("flask-json", 8),
    ("stream-100", 8),
    ("mixed", 16),
    ("answer-1mib", 8),
]
"""Rows and threads that the README has; docs/benchmark.md has all."""
MARK = "†"
NONE = "\N{EN DASH}"


def latency_metric(case: CaseResult) -> str:
    """Overall percentiles of `mixed` only say how long the slow requests sleep."""
    return "fast_p99_ms" if case.row == "mixed" else "p99_ms"


def markdown(run: Run, *, full: bool = False) -> str:
    parts = [_summary(run), *_special(run)]
    if full:
        parts += [_details(case) for case in run.cases]
    parts += [_absent(run), about_line(run)]
    return "\n\n".join(part for part in parts if part) + "\n"


def brief(run: Run) -> str:
    """For the README: the rows that say most, and the default engine alone."""
    compared = [
        (case, outcome)
        for row in BRIEF
        for case in run.cases
        if (case.row, case.threads) == row
        for outcome in case.ours
        if outcome.server == "prowingen-embedded"
    ]
    return _table(compared) + "\n"


def _summary(run: Run) -> str:
    return _table(
        [
            (case, outcome)
            for case in run.cases
            for outcome in case.ours
            if any(not other.ours for other in case.outcomes)
        ]
    )


def _table(compared: list[tuple[CaseResult, Outcome]]) -> str:
    if not compared:
        return ""
    engines = {outcome.server for _, outcome in compared}
    lines = table_head(
        ["Row", "Threads"],
        ["Requests/s", "Best peer", "Ratio", "p99 ms", "Best peer", "CPU µs", "Best peer"],
    )
    for case, outcome in compared:
        name = case.row if len(engines) == 1 else f"{case.row} ({outcome.server})"
        metric = latency_metric(case)
        cells = [
            name,
            str(case.threads),
            _own(outcome, RATE),
            _peer(case, RATE),
            _ratio(case.ratio(outcome, RATE)),
            _own(outcome, metric),
            _peer(case, metric),
            _own(outcome, CPU),
            _peer(case, CPU),
        ]
        lines.append(table_line(cells))
    return "\n".join(lines)


def _own(outcome: Outcome, metric: str) -> str:
    spread = outcome.spread(metric)
    if spread is None:
        return NONE
    mark = "" if outcome.comparable else f" {MARK}"
    return f"**{number(spread.median)}**{mark}"


def _peer(case: CaseResult, metric: str) -> str:
    best = case.best_peer(metric)
    return f"{number(best[1])} ({best[0].server})" if best else NONE


def _ratio(ratio: float | None) -> str:
    return NONE if ratio is None else f"{ratio:.2f}"


def number(value: float) -> str:
    """Three figures are all that a few rounds on a shared machine can stand for."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _special(run: Run) -> list[str]:
    """Where a server is compared with itself, or with a bound, or has what no other row has."""
    lines = []
    for case in run.cases:
        for outcome in case.outcomes:
            if outcome.ceiling:
                lines += _ceiling_lines(case, outcome)
            elif case.row in IDLE:
                lines += _idle_line(case, outcome)
            elif case.row == "ws-broadcast-10k":
                lines += _broadcast_line(case, outcome)
            elif case.row == "hello-log" and outcome.server.endswith(WITH_LOG):
                lines += _log_line(case, outcome)
    return ["\n".join(lines)] if lines else []


def _ceiling_lines(case: CaseResult, ceiling: Outcome) -> list[str]:
    bound = ceiling.median(RATE)
    return [
        f"- {case.label}, {outcome.server}: {rate / bound:.2f} of the {number(bound)} requests/s "
        f"that {ceiling.server} makes without Python"
        for outcome in case.ours
        if bound and outcome.server == "prowingen-proxygen" and (rate := outcome.median(RATE))
    ]


def _idle_line(case: CaseResult, outcome: Outcome) -> list[str]:
    ratio = outcome.median("throughput_ratio")
    size = outcome.median("kib_per_connection")
    if ratio is None or size is None:
        return []
    return [
        f"- {case.label}, {outcome.server}: {100 * ratio:.0f} % of its own throughput "
        f"with 10,000 idle {IDLE[case.row]} open, {size:.1f} KiB of memory each"
    ]


def _broadcast_line(case: CaseResult, outcome: Outcome) -> list[str]:
    whole = outcome.median("broadcast_ms")
    size = outcome.median("kib_per_connection")
    if whole is None or size is None:
        return []
    return [
        f"- {case.label}, {outcome.server}: all have it after {number(whole)} ms; {size:.1f} KiB "
        "of memory for each"
    ]


def _log_line(case: CaseResult, outcome: Outcome) -> list[str]:
    plain = outcome.server.removesuffix(WITH_LOG)
    without = [other for other in case.outcomes if other.server == plain]
    rates = (outcome.median(RATE), without[0].median(RATE) if without else None)
    if rates[0] is None or not rates[1]:
        return []
    return [
        f"- {case.label}, {plain}: {100 * rates[0] / rates[1]:.0f} % of its own "
        "throughput with an access log"
    ]


def _details(case: CaseResult) -> str:
    lines = [
        f"### {case.row}, {case.threads} threads, {case.connections} connections",
        "",
        f"{case.says}. Median (lowest to highest round).",
        "",
        *table_head(["Server"], ["Requests/s", "p50 ms", "p99 ms", "CPU µs", "Peak MiB"]),
    ]
    metrics = [RATE, "p50_ms", latency_metric(case), CPU, "peak_rss_mib"]
    if case.row == "mixed":
        metrics[1] = "fast_p50_ms"
    ranked = sorted(case.outcomes, key=lambda one: -(one.median(RATE) or 0.0))
    for outcome in ranked:
        if not outcome.rounds:
            continue
        name = f"**{outcome.server}**" if outcome.ours else outcome.server
        mark = "" if outcome.comparable else f" {MARK}"
        cells = [_spread(outcome.spread(metric)) for metric in metrics]
        lines.append(table_line([f"{name} {outcome.version}{mark}", *cells]))
    return "\n".join(lines)


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return NONE
    return f"{number(spread.median)} ({number(spread.low)}{NONE}{number(spread.high)})"


def _absent(run: Run) -> str:
    """Every failure, error and peculiarity, with the rows it was seen in."""
    seen: dict[tuple[str, str], list[str]] = {}
    for case in run.cases:
        for outcome in case.outcomes:
            remarks = list(outcome.notes)
            if outcome.failure:
                remarks.append(f"not measured: {_first_line(outcome.failure)}")
            elif not outcome.rounds:
                remarks.append("not measured: the run ended before")
            if outcome.errors:
                remarks.append(
                    f"{MARK} answers with errors or none, not compared ({_error_kinds(outcome)})"
                )
            for remark in remarks:
                seen.setdefault((outcome.server, remark), []).append(case.label)
    everywhere = len(run.cases)
    lines = []
    for (server, remark), labels in seen.items():
        where = "" if len(labels) == everywhere else f" [{', '.join(labels)}]"
        lines.append(f"- {server}: {remark}{where}")
    return "\n".join(lines)


def _first_line(text: str) -> str:
    line = text.strip().split("\n", 1)[0]
    return line if len(line) <= 160 else f"{line[:157]}..."


def _error_kinds(outcome: Outcome) -> str:
    """Names without counts, so that the same trouble in two rows is one remark."""
    kinds = {"non-2xx"} if any(one.non_2xx for one in outcome.rounds) else set()
    for one in outcome.rounds:
        kinds |= {kind for kind, count in one.socket_errors.items() if count}
        kinds |= {"open-loop"} if one.extra.get("errors") else set()
    return ", ".join(sorted(kinds))


def about_line(run: Run) -> str:
    about = run.about
    versions = sorted(
        {
            f"{outcome.server} {outcome.version}"
            for case in run.cases
            for outcome in case.outcomes
            if outcome.version and not outcome.server.endswith(WITH_LOG)
        }
    )
    return (
        f"Measured {about['date'][:10]} with `{about['command']}` on {about['cores']} "
        f"cores ({about['cpu']}), {about['system']}, Python {about['python']}, "
        f"wrk {about['wrk']}; commit {about['commit']}. {'; '.join(versions)}."
    )


def table_head(left: list[str], right: list[str]) -> list[str]:
    rules = ["---"] * len(left) + ["--:"] * len(right)
    return [table_line([*left, *right]), f"|{'|'.join(rules)}|"]


def table_line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
