"""Least variance, utility and the Sharpe ratio: exact against brute force and closed forms, proven, never silent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.optimize import Infeasible, Solution, Undefined, cones, solve, variance
from tools.optimize.cones import SETTINGS, by_active_set, multiples, quadratic
from tools.optimize.limits import read_limits
from tools.units import FloatArray

METHODS = ("min_variance", "mean_variance", "max_sharpe")


def book(assets: int, seed: int = 0, days: int = 120, scale: float = 0.01, drift: float = 0.1) -> FloatArray:
    random = np.random.default_rng(seed)
    market = random.normal(0.0, scale, (days, 1)) * random.uniform(0.3, 1.5, assets)
    own = random.normal(0.0, scale, (days, assets)) * random.uniform(0.2, 2.0, assets)
    return np.asarray(market + own + drift * scale * random.uniform(-0.5, 1.5, assets))


def objective(returns: FloatArray, weights: FloatArray, method: str, aversion: float = 1.0) -> Any:
    """Evaluate weights (..., n_assets) without any of the code under test."""
    series = weights @ returns.T
    deviation, mean = series.std(axis=-1, ddof=1), series.mean(axis=-1)
    return {
        "min_variance": deviation,
        "mean_variance": mean - aversion / 2.0 * deviation**2,
        "max_sharpe": mean / deviation,
    }[method]


def feasible(assets: int, cap: float, count: int = 300) -> FloatArray:
    weights = np.random.default_rng(1).dirichlet(np.full(assets, 0.4), count)
    even = 1.0 / assets
    pull = np.minimum(1.0, (cap - even) / np.maximum(weights.max(axis=1, keepdims=True) - even, 1e-15))
    return np.asarray(even + pull * (weights - even))


def assert_proven(solution: Solution, returns: FloatArray, others: FloatArray, aversion: float = 1.0) -> None:
    """The value is that of the weights, the bound is beyond every other feasible portfolio, the gap next to nothing."""
    assert solution.value is not None
    assert solution.bound is not None
    assert solution.gap is not None
    own = float(objective(returns, solution.weights, solution.method, aversion))
    assert solution.value == pytest.approx(own, rel=1e-9, abs=1e-16)
    figures = objective(returns, others, solution.method, aversion)
    if solution.maximised:
        assert figures.max() <= solution.bound + 1e-12 * abs(solution.bound)
        assert solution.bound >= solution.value
    else:
        assert figures.min() >= solution.bound - 1e-12 * abs(solution.bound)
        assert solution.bound <= solution.value
    size = max(abs(own), aversion / 2.0 * float((solution.weights @ returns.T).var()))
    assert solution.gap <= 1e-9 * size


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-2, 1e-4, 1e-8])
@pytest.mark.parametrize(("assets", "days"), [(3, 120), (12, 120), (12, 8), (40, 30)])
def test_the_gap_is_proven_from_price_books_to_carry(method: str, scale: float, assets: int, days: int) -> None:
    """1e-8 is a pure carry book; with fewer days than assets the covariance is singular."""
    returns = (1e-4 if scale < 1e-2 else 0.0) + book(assets, days=days, scale=scale)
    cap = max(0.2, 2.0 / assets)
    solution = solve(returns, method, max_weight=cap)
    assert_proven(solution, returns, feasible(assets, cap))
    assert abs(solution.weights.sum() - 1.0) <= 1e-12
    assert solution.weights.min() >= 0.0
    assert solution.weights.max() <= cap + 1e-12


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(METHODS), st.integers(2, 9), st.integers(0, 2**32 - 1), st.booleans())
def test_the_bound_holds_under_every_kind_of_limit(method: str, assets: int, seed: int, thin: bool) -> None:
    """Groups, a floor and a turnover around random weights, which no bound may exclude."""
    random = np.random.default_rng(seed)
    inside = random.dirichlet(np.ones(assets))
    returns = 0.03 + book(assets, seed, days=5 if thin else 60)
    mean = returns.mean(axis=0)
    previous = random.dirichlet(np.ones(assets))
    share = random.uniform(0.0, 1.0, assets)
    solution = solve(
        returns,
        method,
        max_weights=np.minimum(inside + random.uniform(0.0, 0.3, assets), 1.0),
        group_caps=[(share, float(share @ inside) + 0.01)],
        return_floor=float(mean @ inside) - 1e-5,
        previous=previous,
        turnover=float(np.abs(inside - previous).sum()) + 0.05,
        risk_aversion=3.0,
    )
    assert_proven(solution, returns, inside[None], aversion=3.0)
    assert share @ solution.weights <= share @ inside + 0.01 + 1e-9
    assert mean @ solution.weights >= mean @ inside - 1e-5 - 1e-9 * np.ptp(mean)
    assert np.abs(solution.weights - previous).sum() <= np.abs(inside - previous).sum() + 0.05 + 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_two_assets_equal_brute_force(method: str) -> None:
    returns = book(2, seed=3)
    grid = np.linspace(0.0, 1.0, 20_001)
    figures = objective(returns, np.column_stack([grid, 1.0 - grid]), method)
    best = figures.min() if method == "min_variance" else figures.max()
    solution = solve(returns, method)
    assert objective(returns, solution.weights, method) == pytest.approx(best, rel=1e-9)


def test_least_variance_is_its_closed_form_where_no_limit_holds() -> None:
    covariance = np.diag([1.0, 2.0, 4.0]) * 1e-4 + 2e-5
    inverse = np.linalg.solve(covariance, np.ones(3))
    solution = solve(book(3), "min_variance", covariance=covariance)
    assert solution.weights == pytest.approx(inverse / inverse.sum(), rel=1e-12)
    assert solution.value == pytest.approx(inverse.sum() ** -0.5, rel=1e-12)
    assert solution.binding == ()


def test_the_largest_ratio_is_its_closed_form_where_no_limit_holds() -> None:
    covariance, mean = np.diag([1.0, 2.0, 4.0]) * 1e-4, np.array([3e-4, 2e-4, 5e-4])
    rate = 1.02 ** (1 / 365) - 1.0
    tangent = (mean - rate) / np.diag(covariance)
    solution = solve(book(3), "max_sharpe", covariance=covariance, mean=mean, risk_free_rate=0.02)
    assert solution.weights == pytest.approx(tangent / tangent.sum(), rel=1e-11)
    assert solution.value == pytest.approx(math.sqrt(((mean - rate) * tangent).sum()), rel=1e-12)


def test_utility_follows_its_aversion() -> None:
    covariance, mean = np.diag([1e-4, 1e-4]), np.array([2e-4, 1e-4])
    for aversion in (2.0, 10.0):  # w₁ − w₂ = (μ₁ − μ₂)/(λσ²)
        weights = solve(book(2), "mean_variance", covariance=covariance, mean=mean, risk_aversion=aversion).weights
        assert weights[0] - weights[1] == pytest.approx(min(1.0, 1.0 / aversion), rel=1e-11)
    with pytest.raises(ValueError, match="risk_aversion"):
        solve(book(2), "mean_variance", risk_aversion=0.0)


@pytest.mark.parametrize("method", METHODS)
def test_a_price_is_what_a_looser_cap_brings(method: str) -> None:
    """The derivative of the optimum with respect to a cap, by a small step of that cap."""
    returns = book(6, seed=5, drift=1.0)
    caps = np.full(6, 0.3)
    solution = solve(returns, method, max_weights=caps)
    assert solution.binding
    assert solution.value is not None
    name, price = solution.binding[0]
    asset = int(name.removeprefix("max_weight[").removesuffix("]"))
    caps[asset] += 1e-5
    looser = solve(returns, method, max_weights=caps)
    assert looser.value is not None
    assert abs(looser.value - solution.value) == pytest.approx(1e-5 * price, rel=1e-3)


def test_a_given_covariance_may_be_singular_but_not_negative() -> None:
    loads = np.random.default_rng(0).normal(size=(2, 8))
    singular = loads.T @ loads * 1e-4
    solution = solve(book(8), "min_variance", covariance=singular)
    assert solution.gap is not None
    assert solution.gap <= 1e-11
    crooked = [[1.0, 1.1], [1.1, 1.0]]
    with pytest.raises(ValueError, match="negative eigenvalue"):
        solve(book(2), "min_variance", covariance=crooked)
    with pytest.raises(ValueError, match="symmetric"):
        solve(book(2), "min_variance", covariance=[[1.0, 0.5], [0.2, 1.0]])


def test_a_perfect_hedge_leaves_no_volatility() -> None:
    days = np.random.default_rng(0).normal(0.0, 0.01, (50, 1))
    solution = solve(np.hstack([days, -2.0 * days]), "min_variance")
    assert solution.weights == pytest.approx([2 / 3, 1 / 3], abs=1e-9)
    assert solution.value == pytest.approx(0.0, abs=1e-12)


def test_no_excess_return_is_said_and_never_equal_weights() -> None:
    falling = book(4) - 0.05
    with pytest.raises(Undefined, match="risk-free rate"):
        solve(falling, "max_sharpe")
    rising = falling.copy()
    rising[:, 0] += 0.06  # one asset earns something, and its cap lets too little of it in
    with pytest.raises(Undefined, match="risk-free rate"):
        solve(rising, "max_sharpe", max_weights=[0.1, 1, 1, 1])
    assert solve(rising, "max_sharpe").weights[0] > 0.5


def test_a_ratio_without_risk_is_said() -> None:
    flat = np.column_stack([np.full(90, 1e-4), 1e-3 + np.abs(book(1, days=90)[:, 0])])
    with pytest.raises(Undefined, match="no volatility"):
        solve(flat, "max_sharpe")
    assert solve(flat, "max_sharpe", max_weights=[0.4, 1.0]).weights == pytest.approx([0.4, 0.6], abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_one_day_is_said(method: str) -> None:
    with pytest.raises(Undefined, match="two days"):
        solve([[0.01, 0.02]], method)
    assert solve([[0.01, 0.02]], method, covariance=np.eye(2) * 1e-4).weights.sum() == pytest.approx(1.0)


def test_constant_returns_tie_in_variance() -> None:
    solution = solve(np.tile([1e-4, 2e-4, 3e-4], (90, 1)), "min_variance", max_weights=[0.2, 1, 1])
    assert solution.weights == pytest.approx([0.2, 0.4, 0.4], abs=1e-12)
    assert solution.value == 0.0
    assert "tie" in str(solution.note)


@pytest.mark.parametrize("method", METHODS)
def test_one_portfolio_is_found_where_only_one_is_left(method: str) -> None:
    assert solve(book(1, drift=3.0), method).weights.tolist() == [1.0]
    for assets in (6, 10, 49):
        solution = solve(book(assets, drift=3.0), method, max_weight=1.0 / assets)
        assert solution.weights == pytest.approx(np.full(assets, 1.0 / assets), abs=1e-12)
        assert solution.gap == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_twins_share_alike_in_any_order(method: str) -> None:
    returns = book(4, seed=2)[:, [0, 1, 2, 1, 3]]
    weights = solve(returns, method, max_weight=0.3).weights
    assert weights[1] == weights[3]
    order = np.array([4, 3, 0, 2, 1])
    assert solve(returns[:, order], method, max_weight=0.3).weights == pytest.approx(weights[order], abs=1e-14)


def test_probabilities_weigh_the_scenarios() -> None:
    """Chances of 2/n and 1/n are days that come twice and once, but for the correction of the sample's variance."""
    returns = book(4, days=30)
    chances = np.where(np.arange(30) < 10, 2.0, 1.0)
    twice = np.vstack([returns, returns[:10]])
    expected = solve(twice, "min_variance", max_weight=0.4).weights
    solution = solve(returns, "min_variance", max_weight=0.4, probabilities=chances / chances.sum())
    assert solution.weights == pytest.approx(expected, abs=1e-10)


def test_conflicts_come_before_the_solver() -> None:
    with pytest.raises(Infeasible):
        solve(book(3), "max_sharpe", max_weight=0.2)


@pytest.mark.parametrize("method", ["min_variance", "max_sharpe"])
@pytest.mark.parametrize(("assets", "cap"), [(50, 1.0), (50, 0.1), (120, 0.05)])
def test_the_active_set_alone_solves_a_plain_book(
    method: str, assets: int, cap: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("interior points were asked")

    returns = book(assets, 3, days=365)
    for module in (cones, variance):
        monkeypatch.setattr(module, "run", refuse)
    solution = solve(returns, method, max_weight=cap)
    assert_proven(solution, returns, feasible(assets, cap))
    assert solution.gap is not None
    assert solution.value is not None
    assert solution.gap <= 1e-10 * solution.value


def test_the_active_set_from_nothing_meets_interior_points() -> None:
    """Caps and a group bind; where it does not settle it says so, which must be the exception."""
    settled = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        matrix = np.cov(book(12, seed).T) * 1e4
        pull = random.normal(0.0, 0.1, 12)
        limits = read_limits(12, 0.25, group_caps=[((np.arange(12) < 6).astype(float), 0.4)]).polytope()
        found = by_active_set(matrix, pull, limits)
        if found is None:
            continue
        settled += 1
        right = quadratic(matrix, pull, limits, SETTINGS[0])
        assert found.solution == pytest.approx(right.solution, abs=1e-9)
        assert found.prices == pytest.approx(right.prices, abs=1e-7)
    assert settled >= 10


def test_the_active_set_is_not_tried_on_singular_or_lifted_programs() -> None:
    eye = np.eye(3)
    lifted = read_limits(3, turnover=0.5, previous=[0.2, 0.3, 0.5]).polytope()
    assert by_active_set(eye, np.zeros(3), lifted) is None
    assert by_active_set(np.ones((3, 3)), np.zeros(3), read_limits(3).polytope()) is None
    assert by_active_set(eye, np.zeros(3), read_limits(3).polytope()) is not None


def test_all_multiples_of_the_weights_keep_the_multiplied_limits() -> None:
    polytope = read_limits(3, 0.5, 0.1).polytope()
    cone = multiples(polytope)
    for weights, kept in (([0.5, 0.4, 0.1], True), ([0.6, 0.3, 0.1], False), ([0.5, 0.45, 0.05], False)):
        for scale in (0.1, 1.0, 7.0):
            assert bool((cone.rows @ (scale * np.array(weights)) <= 1e-12).all()) is kept


@pytest.mark.parametrize("seed", range(6))
def test_a_ratio_is_proven_where_there_are_fewer_days_than_assets(seed: int) -> None:
    """Float residue of the optimum's own conditions must not be taken for a doubt."""
    returns = book(20, seed, days=12)
    solution = solve(returns, "max_sharpe", max_weight=0.2)
    assert_proven(solution, returns, feasible(20, 0.2))
    assert solution.note is None
    assert solution.gap is not None
    assert solution.value is not None
    assert solution.gap <= 1e-9 * solution.value
