"""The Mann–Kendall test: against a naive loop, worked examples, and what must not change it."""

from __future__ import annotations

import math
from collections import Counter
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.strategies.trend import SIGNIFICANCE_Z, falling_trend, mann_kendall_z

SERIES = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=40)


def naive_z(values):
    """Gilbert (1987), ch. 16, by the definition."""
    n = len(values)
    s = sum((values[j] > values[i]) - (values[j] < values[i]) for i in range(n) for j in range(i + 1, n))
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    if s == 0 or variance == 0:
        return 0.0
    return (s - (1 if s > 0 else -1)) / math.sqrt(variance)


@given(SERIES)
def test_equals_the_naive_loop_with_ties(values):
    assert mann_kendall_z(np.array(values)) == pytest.approx(naive_z(values), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "s", "variance"),
    [
        (range(1, 11), 45, 125.0),
        (range(10, 0, -1), -45, 125.0),
        ([10, 15, 14, 20], 4, 26 / 3),  # five pairs up, one down
        ([1, 1, 2, 2, 3], 8, (5 * 4 * 15 - 2 * (2 * 1 * 9)) / 18),  # two pairs of ties
        ([23, 24, 29, 6, 29, 24, 34, 33, 15, 27], 9, (10 * 9 * 25 - 2 * (2 * 1 * 9)) / 18),
    ],
)
def test_worked_examples(values, s, variance):
    expected = (s - math.copysign(1, s)) / math.sqrt(variance)
    assert mann_kendall_z(np.array(list(values), dtype=float)) == pytest.approx(expected, rel=1e-14)


@given(SERIES)
def test_reversing_the_days_turns_the_sign_and_scaling_changes_nothing(values):
    z = mann_kendall_z(np.array(values))
    assert mann_kendall_z(np.array(values[::-1])) == pytest.approx(-z, abs=1e-12)
    assert mann_kendall_z(np.array(values) * 3.0 + 7.0) == pytest.approx(z, abs=1e-12)
    assert mann_kendall_z(-np.array(values)) == pytest.approx(-z, abs=1e-12)


def test_equal_values_have_no_trend():
    assert mann_kendall_z(np.full(30, 0.05)) == 0.0
    assert falling_trend(np.full(30, 0.05)) == "not_down"


def test_the_threshold_is_one_sided_at_five_percent():
    assert pytest.approx(NormalDist().inv_cdf(0.95), abs=1e-12) == SIGNIFICANCE_Z


@pytest.mark.parametrize(
    ("days", "trend"), [(0, "unknown"), (1, "unknown"), (19, "unknown"), (20, "down"), (30, "down")]
)
def test_fewer_than_twenty_values_are_unknown(days, trend):
    assert falling_trend(-np.arange(days, dtype=float)) == trend


def test_rising_and_flat_series_do_not_fall():
    assert falling_trend(np.arange(30.0)) == "not_down"
    assert falling_trend(np.tile([1.0, 2.0], 15)) == "not_down"


def test_shuffled_days_fall_about_one_time_in_twenty():
    generator = np.random.default_rng(3)
    falls = sum(falling_trend(generator.permutation(30).astype(float)) == "down" for _ in range(2_000))
    assert 60 <= falls <= 140, "5 % of 2,000 permutations, within four standard deviations"


def test_the_order_of_days_is_what_counts():
    falling = -np.arange(30.0)
    assert falling_trend(falling) == "down"
    assert falling_trend(np.random.default_rng(1).permutation(falling)) == "not_down"
