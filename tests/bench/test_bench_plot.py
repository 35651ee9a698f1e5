from __future__ import annotations

from bench.plot import CHARTS, ranked, shown
from bench.samples import case, measurement, outcome, run

RATES, P99 = CHARTS


def test_bars_grow_towards_the_best_at_the_top() -> None:
    found = case(
        outcome("granian", measurement(500, p99=9)),
        outcome("prowingen-embedded", measurement(900, p99=2)),
        outcome("bjoern", measurement(700, p99=5)),
    )
    assert [one.server for one, _ in ranked(found, RATES)][-1] == "prowingen-embedded"
    assert [value for _, value in ranked(found, RATES)] == [500, 700, 900]
    assert [value for _, value in ranked(found, P99)] == [9, 5, 2]


def test_a_server_without_a_usable_result_is_shown_without_a_bar() -> None:
    found = case(
        outcome("granian", measurement(500)),
        outcome("bjoern", failure="no answer"),
        outcome("uwsgi", measurement(900, non_2xx=1)),
    )
    assert [(one.server, value) for one, value in ranked(found, RATES)] == [
        ("bjoern", None),
        ("uwsgi", None),
        ("granian", 500),
    ]


def test_rows_of_ours_alone_and_rows_without_the_figure_are_not_drawn() -> None:
    alone = case(outcome("prowingen-embedded", measurement(500)), row="hello-log")
    piped = case(outcome("granian", measurement(500, p99=None)), row="pipelined-16")
    assert shown(run(alone, piped), RATES) == [piped]
    assert shown(run(alone, piped), P99) == []
