"""Small made-up results, to see and test reports and plots without a run."""

from __future__ import annotations

from bench.results import CaseResult, Measurement, Outcome, Run

ABOUT = {
    "date": "2030-01-02T03:04:05+00:00",
    "command": "python -m bench",
    "commit": "abc1234",
    "cpu": "A processor",
    "cores": 2,
    "system": "Linux 6.1",
    "python": "3.11.7",
    "wrk": "4.1.0",
}


def measurement(
    rate: float,
    *,
    p99: float | None = 4.0,
    cpu: float = 10.0,
    non_2xx: int = 0,
    **extra: float,
) -> Measurement:
    return Measurement(
        requests=int(rate),
        requests_per_second=rate,
        p50_ms=1.0,
        p99_ms=p99,
        cpu_us=cpu,
        peak_rss_mib=20.0,
        non_2xx=non_2xx,
        socket_errors={"connect": 0, "read": 0, "write": 0, "timeout": 0},
        load_before=0.5,
        extra=extra,
    )


def outcome(
    server: str, *rounds: Measurement, failure: str = "", notes: list[str] | None = None
) -> Outcome:
    return Outcome(
        server=server,
        version="1.0",
        ours=server.startswith("prowingen"),
        rounds=list(rounds),
        failure=failure,
        notes=notes or [],
    )


def case(*outcomes: Outcome, row: str = "hello", threads: int = 8) -> CaseResult:
    return CaseResult(row, "what it asks", threads, 64, list(outcomes))


def run(*cases: CaseResult) -> Run:
    return Run(dict(ABOUT), list(cases))
