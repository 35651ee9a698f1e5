from __future__ import annotations

import pytest

from bench.open_loop import arrivals, percentile


def test_each_ten_arrivals_hold_one_slow_request() -> None:
    schedule = arrivals(1000, 2)
    for start in range(0, len(schedule) - 9, 10):
        assert sum(arrival.slow for arrival in schedule[start : start + 10]) == 1


def test_arrivals_come_in_order_at_about_the_rate_asked_for() -> None:
    schedule = arrivals(1000, 4)
    moments = [arrival.at for arrival in schedule]
    assert moments == sorted(moments)
    assert moments[-1] < 4
    assert len(schedule) == pytest.approx(4000, rel=0.1)


def test_every_server_gets_the_same_arrivals() -> None:
    assert arrivals(500, 1) == arrivals(500, 1)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)]
)
def test_a_percentile_is_a_value_that_occurred(share: float, expected: float) -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, share) == expected


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0
