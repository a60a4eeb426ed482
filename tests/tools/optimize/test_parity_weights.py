"""Risk parity: equal contributions to 1e-10, the nearest within limits with a bound, and reasons for what is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import lapack

from tools.optimize import Solution, Undefined, solve
from tools.optimize.parity import contribution_error, contributions
from tools.units import FloatArray


def book(assets: int, seed: int = 0, days: int = 120, scale: float = 0.01) -> FloatArray:
    random = np.random.default_rng(seed)
    market = random.normal(0.0, scale, (days, 1)) * random.uniform(-0.3, 1.5, assets)
    return np.asarray(market + random.normal(0.0, scale, (days, assets)) * random.uniform(0.2, 3.0, assets))


def objective(covariance: FloatArray, weights: FloatArray) -> float:
    """ln σ(w) − mean ln w, from its definition."""
    return float(0.5 * np.log(weights @ covariance @ weights) - np.log(weights).mean())


def cyclical(covariance: FloatArray) -> FloatArray:
    """Cyclical coordinate descent (Griveau-Billion et al. 2013): an independent way to the same weights."""
    assets = covariance.shape[0]
    x = 1.0 / np.sqrt(np.diag(covariance))
    for _ in range(2000):
        for i in range(assets):
            rest = covariance[i] @ x - covariance[i, i] * x[i]
            x[i] = (-rest + np.sqrt(rest**2 + 4.0 * covariance[i, i] / assets)) / (2.0 * covariance[i, i])
    return np.asarray(x / x.sum())


@pytest.mark.parametrize("scale", [1e-2, 1e-4, 1e-8])
@pytest.mark.parametrize("assets", [1, 2, 7, 50, 200])
def test_contributions_are_equal_to_rounding(assets: int, scale: float) -> None:
    returns = 1e-4 + book(assets, days=365, scale=scale)
    solution = solve(returns, "risk_parity")
    shares = contributions(np.atleast_2d(np.cov(returns.T)), solution.weights)
    assert np.abs(shares - 1.0 / assets).max() <= 1e-10
    assert solution.extra["contribution_error"] <= 1e-10
    assert solution.gap == pytest.approx(0.0, abs=1e-9)
    assert solution.exact
    assert solution.note is None


@pytest.mark.parametrize("seed", range(3))
def test_coordinate_descent_comes_to_the_same_weights(seed: int) -> None:
    returns = book(6, seed)
    assert solve(returns, "risk_parity").weights == pytest.approx(cyclical(np.cov(returns.T)), rel=1e-9)


def test_uncorrelated_assets_have_inverse_volatilities() -> None:
    solution = solve(book(3), "risk_parity", covariance=np.diag([1.0, 4.0, 16.0]) * 1e-4)
    assert solution.weights == pytest.approx(np.array([4.0, 2.0, 1.0]) / 7.0, rel=1e-12)


def test_negative_correlations_are_no_obstacle() -> None:
    covariance = np.array([[1.0, -0.45, -0.45], [-0.45, 1.0, -0.45], [-0.45, -0.45, 1.0]]) * 1e-4
    solution = solve(book(3), "risk_parity", covariance=covariance)
    assert solution.weights == pytest.approx(np.full(3, 1 / 3), abs=1e-12)
    assert solution.exact


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), st.integers(0, 2**32 - 1), st.booleans())
def test_the_bound_holds_within_limits(assets: int, seed: int, moved: bool) -> None:
    random = np.random.default_rng(seed)
    inside, previous = random.dirichlet(np.full(assets, 3.0), 2)
    returns, share = book(assets, seed, 60), random.uniform(0.0, 1.0, assets)
    turnover = {"previous": previous, "turnover": float(np.abs(inside - previous).sum()) + 0.05} if moved else {}
    solution = solve(
        returns,
        "risk_parity",
        max_weights=np.minimum(inside + 0.02, 1.0),
        group_caps=[(share, float(share @ inside) + 0.01)],
        **turnover,
    )
    covariance = np.cov(returns.T)
    assert solution.value == pytest.approx(objective(covariance, solution.weights), rel=1e-9)
    assert solution.bound is not None
    assert solution.bound <= objective(covariance, inside)
    assert solution.gap is not None
    assert solution.gap <= 1e-8
    assert share @ solution.weights <= share @ inside + 0.01 + 1e-9
    assert solution.extra["contribution_error"] == pytest.approx(contribution_error(covariance, solution.weights))


def test_a_cap_that_binds_is_said_and_priced() -> None:
    returns = book(5, seed=1)
    free = solve(returns, "risk_parity").weights
    caps = np.ones(5)
    caps[int(np.argmax(free))] = float(free.max()) - 0.05
    solution = solve(returns, "risk_parity", max_weights=caps)
    assert not solution.exact
    assert f"{solution.extra['contribution_error']:.2%}" in str(solution.note)
    assert [limit.limit for limit in solution.binding] == [f"max_weight[{int(np.argmax(free))}]"]
    caps += 1e-6
    looser = solve(returns, "risk_parity", max_weights=caps)
    assert solution.value is not None
    assert looser.value is not None
    assert solution.value - looser.value == pytest.approx(1e-6 * solution.binding[0].price, rel=1e-3)


def test_a_cap_that_does_not_bind_changes_nothing() -> None:
    returns = book(5, seed=1)
    free = solve(returns, "risk_parity")
    assert solve(returns, "risk_parity", max_weight=float(free.weights.max()) + 0.01).weights.tolist() == (
        free.weights.tolist()
    )


def test_assets_without_room_are_left_out() -> None:
    solution = solve(book(4), "risk_parity", group_caps=[([1, 1, 0, 0], 0.0)])
    assert solution.weights[:2].tolist() == [0.0, 0.0]
    assert solution.weights[2:].min() > 0.0
    assert "no weight to 2 of 4" in str(solution.note)
    assert np.ptp(contributions(np.cov(book(4).T), solution.weights)[2:]) <= 1e-8


def test_a_constant_series_counts_with_the_median_volatility() -> None:
    returns = book(4)
    returns[:, 0] = 1e-4
    solution = solve(returns, "risk_parity")
    covariance = np.cov(returns.T)
    covariance[0] = covariance[:, 0] = 0.0
    covariance[0, 0] = np.median(np.diag(covariance)[1:])
    assert contribution_error(covariance, solution.weights) <= 1e-10
    assert not solution.exact
    assert "1 of 4" in str(solution.note)
    still = solve(np.tile([1e-4, 2e-4], (60, 1)), "risk_parity")
    assert still.weights.tolist() == [0.5, 0.5]
    assert not still.exact


def test_perfect_hedges_are_said() -> None:
    days = np.random.default_rng(0).normal(0.0, 0.01, (60, 1))
    solution = solve(np.hstack([days, -2.0 * days]), "risk_parity")
    assert solution.weights == pytest.approx([2 / 3, 1 / 3], rel=1e-6)
    assert not solution.exact
    assert "volatility" in str(solution.note)
    thin = solve(book(12, days=4), "risk_parity")
    assert thin.weights.min() > 0.0
    assert thin.note is not None


def test_one_day_is_said() -> None:
    with pytest.raises(Undefined, match="two days"):
        solve([[0.01, 0.02]], "risk_parity")


def assert_alike(first: Solution, second: Solution, order: FloatArray) -> None:
    assert second.weights == pytest.approx(first.weights[order], abs=1e-14)


@pytest.mark.parametrize("cap", [1.0, 0.25])
def test_twins_share_alike_in_any_order(cap: float) -> None:
    returns = book(4, seed=2)[:, [0, 1, 2, 1, 3]]
    solution = solve(returns, "risk_parity", max_weight=cap)
    assert solution.weights[1] == pytest.approx(solution.weights[3], abs=1e-15)
    order = np.array([4, 3, 0, 2, 1])
    assert_alike(solution, solve(returns[:, order], "risk_parity", max_weight=cap), order)


@pytest.mark.parametrize("loading", [(0.1, 0.8), (-0.3, 1.5), (0.0, 0.0)])
def test_a_dozen_steps_are_enough_for_200_assets(loading: tuple[float, float], monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    solver = lapack.dposv

    def counted(*arguments: Any, **options: Any) -> Any:
        steps.append(1)
        return solver(*arguments, **options)

    monkeypatch.setattr(lapack, "dposv", counted)
    random = np.random.default_rng(5)
    returns = random.normal(0.0, 1.0, (365, 1)) * random.uniform(*loading, 200) + random.normal(0.0, 1.0, (365, 200))
    assert solve(0.01 * returns, "risk_parity").extra["contribution_error"] <= 1e-15
    assert 1 <= len(steps) <= 12
