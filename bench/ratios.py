"""How two servers' figures relate, of rounds that each had both: a ratio with an interval.

The rounds are paired. What slows a whole round down slows both of it, and leaves their ratio as it
is; logarithms of ratios are symmetric, so that twice as fast and half as fast weigh alike. Of their
mean there is a t interval: it supposes that rounds differ by chance, and not that they are many.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, log, pi, sin, sqrt, tan
from statistics import fmean, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = 0.95
"""The confidence of the intervals that are printed."""


@dataclass(frozen=True)
class Interval:
    ratio: float
    low: float
    high: float

    @property
    def tells(self) -> bool:
        """Whether the two are different, as far as its confidence goes."""
        return not self.low <= 1.0 <= self.high


def paired(before: Sequence[float], after: Sequence[float], confidence: float = SHOWN) -> Interval:
    """after/before of rounds in which both were measured; at least two, all of them above zero."""
    if len(before) != len(after) or len(before) < 2:
        raise ValueError("pairs are of two or more rounds that both have")
    if min(*before, *after) <= 0:
        raise ValueError("only figures above zero have a ratio")
    logs = [log(new / old) for old, new in zip(before, after, strict=True)]
    middle = fmean(logs)
    reach = t_quantile((1 + confidence) / 2, len(logs) - 1) * stdev(logs) / sqrt(len(logs))
    return Interval(exp(middle), _exp(middle - reach), _exp(middle + reach))


def t_quantile(probability: float, freedom: int) -> float:
    """Of Student's distribution, for a probability of one half or more."""
    low, high = 0.0, pi / 2
    for _ in range(80):
        angle = (low + high) / 2
        if (1 + _within(angle, freedom)) / 2 < probability:
            low = angle
        else:
            high = angle
    return sqrt(freedom) * tan(low)


def _within(angle: float, freedom: int) -> float:
    """The probability of less than t either way, t being √freedom·tan(angle): a finite series for
    a whole number of degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    square = cos(angle) ** 2
    odd = freedom % 2
    term = cos(angle) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for power in range(2 + odd, freedom - 1, 2):
        term *= square * (power - 1) / power
        total += term
    return 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total


def _exp(exponent: float) -> float:
    """Two rounds that disagree have an interval that ends beyond what numbers reach to."""
    return exp(min(exponent, 700.0))
