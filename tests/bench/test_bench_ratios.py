"""Ratios of paired rounds, and how sure they are."""

from __future__ import annotations

import random
from math import exp, gamma, pi, sqrt

import pytest

from bench.ratios import Interval, paired, t_quantile


def density(t: float, freedom: int) -> float:
    scale = gamma((freedom + 1) / 2) / (sqrt(freedom * pi) * gamma(freedom / 2))
    return float(scale * (1 + t * t / freedom) ** (-(freedom + 1) / 2))


@pytest.mark.parametrize("freedom", [1, 2, 3, 9, 30])
@pytest.mark.parametrize("probability", [0.9, 0.975, 0.99375])
def test_a_quantile_has_its_share_of_the_distribution_below_it(
    probability: float, freedom: int
) -> None:
    end = t_quantile(probability, freedom)
    steps = 20_000
    heights = [density(end * (i + 0.5) / steps, freedom) for i in range(steps)]
    assert 0.5 + sum(heights) * end / steps == pytest.approx(probability, abs=1e-5)


def test_the_median_is_in_the_middle() -> None:
    assert t_quantile(0.5, 4) == pytest.approx(0, abs=1e-9)


def test_what_slows_a_whole_round_down_does_not_count() -> None:
    before = [100.0, 50.0, 10.0, 75.0]
    found = paired(before, [1.1 * value for value in before])
    assert found.ratio == pytest.approx(1.1)
    assert found.low == pytest.approx(found.high)
    assert found.tells


def test_the_other_way_round_is_the_reciprocal() -> None:
    one = paired([100.0, 110.0, 90.0], [130.0, 105.0, 100.0])
    other = paired([130.0, 105.0, 100.0], [100.0, 110.0, 90.0])
    assert one.ratio == pytest.approx(1 / other.ratio)
    assert one.low == pytest.approx(1 / other.high)


def test_more_confidence_and_fewer_rounds_make_it_wider() -> None:
    before, after = [100.0] * 6, [101.0, 104.0, 99.0, 103.0, 98.0, 102.0]
    wide, narrow = paired(before, after, 0.99), paired(before, after, 0.9)
    assert wide.low < narrow.low < narrow.ratio < narrow.high < wide.high
    two = paired(before[:2], after[:2])
    assert two.low < wide.low
    assert two.high > wide.high


def test_two_rounds_that_disagree_tell_nothing() -> None:
    assert not paired([1.0, 1.0], [1e9, 1e-9]).tells


def test_of_equal_servers_one_in_twenty_is_called_different() -> None:
    chance = random.Random(7)
    called = sum(
        paired(
            [exp(chance.gauss(0, 0.05)) for _ in range(6)],
            [exp(chance.gauss(0, 0.05)) for _ in range(6)],
        ).tells
        for _ in range(2000)
    )
    assert 0.03 < called / 2000 < 0.07


def test_one_is_left_out_or_it_is_not() -> None:
    assert Interval(1.1, 1.01, 1.2).tells
    assert Interval(0.9, 0.8, 0.99).tells
    assert not Interval(1.1, 0.99, 1.2).tells


def test_what_has_no_ratio_is_refused() -> None:
    with pytest.raises(ValueError, match="two or more rounds"):
        paired([1.0], [1.0])
    with pytest.raises(ValueError, match="two or more rounds"):
        paired([1.0, 1.0], [1.0])
    with pytest.raises(ValueError, match="above zero"):
        paired([1.0, 0.0], [1.0, 1.0])
