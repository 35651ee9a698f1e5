from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench.results import Spread, read
from bench.samples import case, measurement, outcome, run

if TYPE_CHECKING:
    from pathlib import Path


def test_the_spread_is_over_the_rounds() -> None:
    found = outcome("granian", measurement(300), measurement(100), measurement(200))
    assert found.spread("requests_per_second") == Spread(200, 100, 300)


def test_an_extra_metric_has_a_spread_and_a_missing_one_has_none() -> None:
    found = outcome("granian", measurement(1, fast_p99_ms=3.0))
    assert found.median("fast_p99_ms") == 3.0
    assert found.spread("no_such") is None


def test_a_percentile_that_is_none_has_no_spread() -> None:
    assert outcome("granian", measurement(1, p99=None)).spread("p99_ms") is None


def test_one_error_in_one_round_makes_a_server_incomparable() -> None:
    found = outcome("granian", measurement(1), measurement(1, non_2xx=1))
    assert found.errors == 1
    assert not found.comparable


def test_errors_of_the_open_loop_count() -> None:
    assert not outcome("granian", measurement(1, errors=2)).comparable


def test_the_best_peer_is_the_fastest_and_for_the_rest_the_lowest() -> None:
    found = case(
        outcome("prowingen-embedded", measurement(900, cpu=1)),
        outcome("granian", measurement(500, p99=2, cpu=30)),
        outcome("bjoern", measurement(400, p99=9, cpu=20)),
    )
    best = {
        metric: pair[0].server
        for metric in ("requests_per_second", "p99_ms", "cpu_us")
        if (pair := found.best_peer(metric)) is not None
    }
    assert best == {"requests_per_second": "granian", "p99_ms": "granian", "cpu_us": "bjoern"}


def test_a_peer_with_errors_or_a_failure_is_never_the_best() -> None:
    found = case(
        outcome("granian", measurement(900, non_2xx=5)),
        outcome("bjoern", measurement(800), failure="crashed"),
        outcome("waitress", measurement(10)),
    )
    best = found.best_peer("requests_per_second")
    assert best is not None
    assert best[0].server == "waitress"


def test_the_ratio_is_over_the_best_peer() -> None:
    own = outcome("prowingen-embedded", measurement(900))
    found = case(own, outcome("granian", measurement(600)))
    assert found.ratio(own, "requests_per_second") == pytest.approx(1.5)


def test_there_is_no_ratio_without_peers_nor_with_errors() -> None:
    own = outcome("prowingen-embedded", measurement(900))
    assert case(own).ratio(own, "requests_per_second") is None
    marked = outcome("prowingen-embedded", measurement(900, non_2xx=1))
    both = case(marked, outcome("granian", measurement(600)))
    assert both.ratio(marked, "requests_per_second") is None


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    written = run(
        case(
            outcome("prowingen-embedded", measurement(900, p99=None, fast_p99_ms=2.0)),
            outcome("bjoern", failure="did not start", notes=["one thread"]),
        )
    )
    written.write(file)
    assert read(file) == written


def test_the_file_carries_summaries_and_ratios(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    run(
        case(
            outcome("prowingen-embedded", measurement(900)),
            outcome("granian", measurement(600)),
        )
    ).write(file)
    own = json.loads(file.read_text())["cases"][0]["outcomes"][0]
    assert own["summary"]["requests_per_second"] == {"median": 900, "low": 900, "high": 900}
    assert own["ratio_to_best_peer"]["requests_per_second"] == pytest.approx(1.5)
