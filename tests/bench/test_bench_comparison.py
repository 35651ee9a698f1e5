"""What is said of two trees' rounds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench.comparison import NO_DIFFERENCE, Pair, is_one, markdown, pairs
from bench.results import Measurement, Outcome, Run, read
from bench.samples import case, measurement, outcome, run

if TYPE_CHECKING:
    from pathlib import Path

STEADY = (100.0, 101.0, 99.0, 100.0, 102.0, 98.0)


def rounds(
    *, speed: float = 1.0, cpu: float = 1.0, p99: float = 1.0, memory: float = 1.0
) -> list[Measurement]:
    return [
        replace(
            measurement(speed * value, cpu=cpu * 10.0, p99=p99 * 4.0), peak_rss_mib=memory * 20.0
        )
        for value in STEADY
    ]


def compared(*cases: list[Outcome]) -> Run:
    found = run(*(case(*outcomes) for outcomes in cases))
    found.about |= {"before": "1a2b3c4d5e", "after": "now"}
    return found


def pair_of(after: list[Measurement], before: list[Measurement] | None = None) -> Pair:
    found = compared(
        [
            outcome("1a2b3c4d5e-embedded", *(rounds() if before is None else before)),
            outcome("now-embedded", *after),
        ]
    )
    return next(pairs(found))


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        (rounds(), NO_DIFFERENCE),
        (rounds(speed=1.1), "faster"),
        (rounds(speed=0.9), "slower"),
        (rounds(cpu=0.9), "faster"),
        (rounds(cpu=1.1), "slower"),
        (rounds(speed=1.1, cpu=0.9), "faster"),
        (rounds(speed=1.1, cpu=1.1), "more requests/s, and more CPU for each"),
        (rounds(speed=0.9, cpu=0.9), "fewer requests/s, and less CPU for each"),
        (rounds(speed=1.1, p99=2.0), "faster; p99 is longer"),
        (rounds(p99=0.5), f"{NO_DIFFERENCE}; p99 is shorter"),
        (rounds(memory=1.2), f"{NO_DIFFERENCE}; more memory"),
        (rounds(memory=0.8), f"{NO_DIFFERENCE}; less memory"),
    ],
)
def test_the_verdict_is_of_speed_and_p99_and_memory_are_added(
    after: list[Measurement], verdict: str
) -> None:
    assert pair_of(after).verdict == verdict


def test_what_is_sure_but_under_one_percent_is_not_called() -> None:
    assert pair_of(rounds(cpu=1.009)).verdict == NO_DIFFERENCE
    assert pair_of(rounds(cpu=1.011)).verdict == "slower"


def test_what_differs_from_round_to_round_is_not_called() -> None:
    noisy = [measurement(value) for value in (150.0, 70.0, 140.0, 80.0, 130.0, 100.0)]
    found = pair_of(noisy)
    assert found.verdict == NO_DIFFERENCE
    interval = found.interval("requests_per_second")
    assert interval is not None
    assert interval.high / interval.low > 1.5


def test_a_server_that_failed_is_not_compared() -> None:
    found = compared(
        [
            outcome("1a2b3c4d5e-embedded", failure="ended with 2: no such option"),
            outcome("now-embedded", *rounds()),
        ]
    )
    pair = next(pairs(found))
    assert pair.verdict == "not compared: 1a2b3c4d5e-embedded: ended with 2: no such option"
    assert pair.interval("requests_per_second") is None
    assert "| – | – | – | – | not compared" in markdown(found)


def test_answers_with_errors_are_not_compared() -> None:
    assert pair_of([measurement(100, non_2xx=3)] * 2).verdict == (
        "not compared: now-embedded: 6 answers with errors, or none"
    )


def test_one_round_is_none() -> None:
    assert pair_of(rounds()[:1]).verdict == "not compared: fewer than two rounds with both"


def test_the_row_of_fast_and_slow_requests_is_compared_by_the_fast_ones() -> None:
    slow = [measurement(100, p99=60.0, fast_p99_ms=4.0)] * 4
    quick = [measurement(100, p99=60.0, fast_p99_ms=1.0)] * 4
    found = run(case(outcome("a-embedded", *slow), outcome("now-embedded", *quick), row="mixed"))
    found.about |= {"before": "a", "after": "now"}
    assert next(pairs(found)).verdict == f"{NO_DIFFERENCE}; p99 is shorter"


def test_a_row_without_a_percentile_has_the_rest() -> None:
    without = [measurement(value, p99=None) for value in STEADY]
    pair = pair_of(without, without)
    assert pair.interval("p99_ms") is None
    assert pair.verdict == NO_DIFFERENCE


def test_each_engine_is_compared_with_itself() -> None:
    found = compared(
        [
            outcome("1a2b3c4d5e-embedded", *rounds()),
            outcome("now-embedded", *rounds(speed=1.2)),
            outcome("1a2b3c4d5e-proxygen", *rounds()),
            outcome("now-proxygen", *rounds(speed=0.8)),
        ]
    )
    assert [(pair.engine, pair.verdict) for pair in pairs(found)] == [
        ("embedded", "faster"),
        ("proxygen", "slower"),
    ]
    assert "| hello @8 (proxygen) | 0.800 (" in markdown(found)


def test_the_file_has_the_comparison_and_is_read_as_any_other(tmp_path: Path) -> None:
    found = compared(
        [outcome("1a2b3c4d5e-embedded", *rounds()), outcome("now-embedded", *rounds(speed=1.1))]
    )
    path = tmp_path / "results.json"
    found.write(path, comparisons=[pair.as_json() for pair in pairs(found)])
    written = json.loads(path.read_text())["comparisons"][0]
    assert written["verdict"] == "faster"
    assert written["ratios"]["requests_per_second"]["ratio"] == pytest.approx(1.1)
    assert is_one(read(path))
    assert markdown(read(path)) == markdown(found)
    assert not is_one(run())
