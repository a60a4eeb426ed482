"""The best scores filled to their caps, and the volatility-adjusted stable share."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tools.optimize import solve, stable_share

DAYS = np.zeros((2, 4))


def test_the_best_score_is_filled_first() -> None:
    scores = [0.03, 0.09, 0.05, 0.07]
    solution = solve(DAYS, "risk_adjusted", mean=scores, max_weights=[1.0, 0.5, 0.4, 0.2])
    assert solution.weights == pytest.approx([0.0, 0.5, 0.3, 0.2], abs=1e-15)
    assert solution.value == pytest.approx(0.5 * 0.09 + 0.2 * 0.07 + 0.3 * 0.05, rel=1e-15)
    assert solution.gap == pytest.approx(0.0, abs=1e-15)
    assert [limit.limit for limit in solution.binding] == ["max_weight[1]", "max_weight[3]"]
    assert [limit.price for limit in solution.binding] == pytest.approx([0.04, 0.02], rel=1e-9)


def test_a_group_cap_makes_it_the_linear_program() -> None:
    """Greedy would take 0.6 of the first and block the group; the program gives way where that earns more."""
    scores, share, cap = np.array([0.09, 0.085, 0.02, 0.01]), np.array([1.0, 0.3, 0.0, 0.0]), 0.3
    solution = solve(DAYS, "risk_adjusted", mean=scores, max_weight=0.6, group_caps=[(share, cap, "issuer")])
    steps = np.linspace(0.0, 0.6, 61)
    tried = (
        np.array([a, b, c, 1.0 - a - b - c])
        for a, b, c in itertools.product(steps, steps, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    )
    best = max(float(scores @ w) for w in tried if 0.0 <= w[3] <= 0.6 and share @ w <= cap + 1e-12)
    assert solution.value is not None
    assert solution.value >= best - 1e-12
    assert share @ solution.weights <= cap + 1e-9
    assert solution.gap == pytest.approx(0.0, abs=1e-12)
    assert "issuer" in [limit.limit for limit in solution.binding]


def test_equal_scores_share_alike() -> None:
    solution = solve(DAYS, "risk_adjusted", mean=[0.05, 0.05, 0.05, 0.01])
    assert solution.weights == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.0], abs=1e-15)
    noise = np.random.default_rng(0).normal(size=(30, 4))
    assert solve(noise, "risk_adjusted", mean=[0.05] * 4, max_weight=0.4).weights == pytest.approx([0.25] * 4)


def test_negative_scores_still_place_the_money() -> None:
    assert solve(DAYS, "risk_adjusted", mean=[-0.4, -0.1, -0.2, -0.3], max_weight=0.5).weights.tolist() == [
        0,
        0.5,
        0.5,
        0,
    ]


def test_the_mean_return_is_the_score_of_last_resort() -> None:
    returns = np.array([[0.01, 0.03], [0.02, 0.01]])
    assert solve(returns, "risk_adjusted").weights.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("method", ["equal", "inverse_volatility"])
def test_a_rule_that_a_limit_moves_is_not_exact(method: str) -> None:
    returns = np.random.default_rng(0).normal(size=(30, 4))
    free = solve(returns, method)
    assert free.exact
    assert free.note is None
    assert free.gap is None
    moved = solve(returns, method, max_weights=[0.1, 1, 1, 1])
    assert not moved.exact
    assert "limits move" in str(moved.note)


def test_the_stable_share() -> None:
    """A risky part of 8 % volatility is halved for a target of 4 %; below the target nothing need be stable."""
    assert stable_share(0.08, 0.04) == 0.5
    assert stable_share(0.04, 0.08) == 0.0
    assert stable_share(0.0, 0.0) == 0.0
    assert stable_share(0.08, 0.0) == 1.0
    for wrong in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="volatilities"):
            stable_share(wrong, 0.1)
        with pytest.raises(ValueError, match="volatilities"):
            stable_share(0.1, wrong)


def test_the_stable_share_keeps_the_target_as_a_group_cap() -> None:
    returns = np.random.default_rng(0).normal(0.0, [0.01, 0.01, 1e-7, 1e-7], (200, 4))
    risky = np.array([1.0, 1.0, 0.0, 0.0])
    volatility = float((returns @ risky / 2).std(ddof=1))
    cap = 1.0 - stable_share(volatility, 0.4 * volatility)
    weights = solve(returns, "equal", group_caps=[(risky, cap)]).weights
    assert (returns @ weights).std(ddof=1) == pytest.approx(0.4 * volatility, rel=1e-3)
