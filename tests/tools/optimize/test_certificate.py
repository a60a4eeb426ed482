"""The bound that comes with a solution: never above what can be reached, also where the solver's figures are spoilt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.optimize import solve
from tools.optimize.certificate import binding, support
from tools.optimize.limits import Limits, read_limits
from tools.optimize.tails import Tail, drawdowns, prove_drawdown, tail_mean, within
from tools.units import FloatArray


def drawn(seed: int) -> tuple[dict[str, Any], FloatArray]:
    """Draw limits around a random portfolio, so that they can be kept, and the portfolio."""
    random = np.random.default_rng(seed)
    assets = int(random.integers(1, 9))
    inside = random.dirichlet(np.ones(assets))
    limits: dict[str, Any] = {"max_weights": np.minimum(inside + random.uniform(0.0, 0.3, assets), 1.0)}
    if random.random() < 0.6:
        shares = random.integers(0, 2, (2, assets)).astype(float)
        limits["group_caps"] = [(row, float(row @ inside + random.uniform(0.0, 0.05))) for row in shares]
    if random.random() < 0.5:
        mean = random.normal(0.0, 1e-3, assets)
        limits |= {"mean": mean, "return_floor": float(mean @ inside - random.uniform(0.0, 1e-4))}
    if random.random() < 0.5:
        previous = random.dirichlet(np.ones(assets))
        limits |= {"previous": previous, "turnover": float(np.abs(previous - inside).sum() + random.uniform(0.0, 0.1))}
    return limits, inside


def least(limits: Limits, costs: FloatArray) -> float:
    """Minimise costs·w by a program in money bought and sold, HiGHS as it comes."""
    from scipy.optimize import linprog

    assets = costs.size
    rows, values = list(limits.shares), list(limits.caps)
    if limits.mean is not None and limits.floor is not None:
        rows.append(-limits.mean * 1e3)
        values.append(-limits.floor * 1e3)
    matrix = np.hstack([np.array(rows).reshape(-1, assets), np.zeros((len(rows), 2 * assets))])
    equal, target = [np.r_[np.ones(assets), np.zeros(2 * assets)]], [1.0]
    if limits.turnover is not None and limits.previous is not None:
        matrix = np.vstack([matrix, np.r_[np.zeros(assets), np.ones(2 * assets)]])
        values.append(limits.turnover)
        identity = np.eye(assets)
        equal += list(np.hstack([identity, -identity, identity]))
        target += list(limits.previous)
    bounds = [*zip(limits.lower, limits.upper, strict=True), *[(0.0, None)] * (2 * assets)]
    result = linprog(np.r_[costs, np.zeros(2 * assets)], matrix, values, equal, target, bounds)
    assert result.status == 0
    return float(result.fun)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_bound_is_the_least_cost(seed: int) -> None:
    given_limits, inside = drawn(seed)
    costs = np.random.default_rng(seed + 1).normal(size=inside.size)
    limits = read_limits(inside.size, **given_limits)
    found = support(limits, costs)
    assert found.value == pytest.approx(least(limits, costs), abs=1e-7)  # HiGHS keeps a row within 1e-7 only
    assert found.value <= costs @ inside + 1e-15


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_wrong_prices_only_lower_the_bound(seed: int) -> None:
    given_limits, inside = drawn(seed)
    random = np.random.default_rng(seed + 1)
    costs = random.normal(size=inside.size)
    limits = read_limits(inside.size, **given_limits)
    best = support(limits, costs)
    for spoilt in (best.prices + random.normal(0.0, 1e-3, best.prices.size), random.normal(0.0, 3.0, best.prices.size)):
        assert support(limits, costs, spoilt).value <= min(best.value + 1e-9, costs @ inside + 1e-15)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_price_is_what_a_looser_limit_is_worth(seed: int) -> None:
    """The least cost is convex in each limit: loosening by a step gains at most price · step, tightening loses more."""
    given_limits, inside = drawn(seed)
    costs = np.random.default_rng(seed + 1).normal(size=inside.size)
    limits = read_limits(inside.size, **given_limits)
    found = support(limits, costs)
    weights = solve(-costs[None], "min_cvar", **given_limits).weights
    for name, price in binding(limits, weights, found, costs):
        gain = found.value - support(read_limits(inside.size, **loosened(given_limits, name, 1e-4)), costs).value
        assert -1e-9 <= gain <= price * 1e-4 + 1e-9
        assert price > 0.0


def loosened(limits: dict[str, Any], name: str, step: float) -> dict[str, Any]:
    looser = dict(limits)
    if name.startswith("max_weight["):
        looser["max_weights"] = np.array(limits["max_weights"])
        looser["max_weights"][int(name[11:-1])] += step
    elif name.startswith("group_caps["):
        looser["group_caps"] = list(limits["group_caps"])
        row, cap = looser["group_caps"][int(name[11:-1])]
        looser["group_caps"][int(name[11:-1])] = (row, cap + step)
    elif name == "return_floor":
        looser[name] = limits[name] - step
    else:
        looser[name] = limits[name] + step
    return looser


def test_the_price_of_the_only_limit_is_the_difference_it_makes() -> None:
    """The best asset earns 3e-4, the next 1e-4: a cap costs 2e-4 per unit of money that it keeps out."""
    returns = np.tile([1e-4, 3e-4, 0.0], (10, 1))
    solution = solve(returns, "min_cvar", max_weight=0.6)
    assert solution.binding == (("max_weight[1]", pytest.approx(2e-4)),)
    grouped = solve(returns, "min_cvar", group_caps=[([0, 1, 0], 0.6, "issuer circle")])
    assert grouped.binding == (("issuer circle", pytest.approx(2e-4)),)
    moved = solve(returns, "min_cvar", previous=[1.0, 0.0, 0.0], turnover=0.5)
    assert moved.weights == pytest.approx([0.75, 0.25, 0.0])
    assert moved.binding == (("turnover", pytest.approx(1e-4)),)  # a unit of turnover moves half a unit of money
    assert solve(returns, "min_cvar").binding == ()


def test_the_price_of_a_return_floor_is_risk_per_return() -> None:
    """Two assets of CVaR 0 and 0.02 and means 0 and 1e-3: each unit of mean costs 20 of CVaR."""
    swings = np.array([0.022, -0.02] * 30)
    returns = np.column_stack([np.zeros(60), swings])
    solution = solve(returns, "min_cvar", return_floor=5e-4)
    assert solution.weights == pytest.approx([0.5, 0.5])
    assert solution.binding == (("return_floor", pytest.approx(20.0)),)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-6, 1e-2, 1.0]))
def test_any_reweighting_and_any_drawdown_prices_give_a_valid_bound(seed: int, spoilt: float) -> None:
    """The certificate from a spoilt dual solution never exceeds the objective of any weights that keep the limits."""
    random = np.random.default_rng(seed)
    given_limits, inside = drawn(seed)
    days = int(random.integers(1, 25))
    returns = random.normal(0.0, 1.0, (days, inside.size))
    size = float(random.uniform(1.0, days)) if days > 1 else 1.0
    most = np.full(days, 1.0 / size)
    limits = read_limits(inside.size, **given_limits)
    worst = within(random.dirichlet(np.ones(days)) + spoilt * random.normal(size=days), most)
    assert worst.sum() == pytest.approx(1.0, abs=1e-12)
    assert (worst >= 0.0).all()
    assert (worst <= most).all()
    costs = -(worst[:, None] * returns).sum(axis=0)
    prices = random.normal(0.0, 1.0, limits.polytope().values.size)
    assert support(limits, costs, prices).value <= tail_mean(-(returns @ inside), most) + 1e-12
    tail = Tail(returns, most, np.zeros(inside.size), 1.0, 1.0)
    held = random.uniform(-0.5, 1.5, days)
    found = prove_drawdown(tail, limits, inside, random.dirichlet(np.ones(days)), held, prices)
    assert found.value == pytest.approx(tail_mean(drawdowns(returns @ inside), most))
    assert found.support.value <= found.value + 1e-12


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from(["min_cvar", "mean_cvar", "min_cdar", "min_max_drawdown"]), st.booleans()
)
def test_no_weights_beat_the_bound(seed: int, method: str, stable: bool) -> None:
    """Weights that keep the limits, among them some very near the optimum, stay on their side of the bound."""
    given_limits, inside = drawn(seed)
    mean = given_limits.pop("mean", None)
    random = np.random.default_rng(seed + 1)
    returns = random.normal(0.0, 0.01, (40, inside.size))
    if stable:
        returns = 1e-4 + 1e-6 * returns
    if "return_floor" in given_limits:
        assert mean is not None
        given_limits["return_floor"] = float(returns.mean(axis=0) @ inside)
    solution = solve(returns, method, **given_limits)
    assert solution.value is not None
    assert solution.bound is not None
    sign = -1.0 if solution.maximised else 1.0
    for part in (0.0, 1e-9, 1e-6, 1e-3, 0.1, 1.0):
        weights = (1.0 - part) * solution.weights + part * inside
        value = objective(returns, weights, method)
        assert sign * value >= sign * solution.bound - 1e-15
        if part == 0.0:
            assert solution.value == pytest.approx(value, rel=1e-12, abs=1e-16)


def objective(returns: FloatArray, weights: FloatArray, method: str) -> float:
    """Evaluate an objective anew, from sorted losses or a loop over days."""
    series = returns @ weights
    if method in ("min_cvar", "mean_cvar"):
        risk = worst_mean(-series)
        return risk if method == "min_cvar" else float(series.mean()) - risk
    wealth = peak = 0.0
    below = []
    for earned in series:
        wealth += earned
        peak = max(peak, wealth)
        below.append(peak - wealth)
    return max(below) if method == "min_max_drawdown" else worst_mean(np.array(below))


def worst_mean(losses: FloatArray) -> float:
    """Average the worst 2 of 40: the tail of 95 %."""
    return float(np.sort(losses)[-2:].mean())


def test_the_rounding_of_the_bound_is_small() -> None:
    """On a book that earns 1e-4 a day with swings of 1e-8 the gap is below 1e-8 of the CVaR and of the swings."""
    returns = 1e-4 + 1e-8 * np.random.default_rng(4).normal(size=(365, 20))
    solution = solve(returns, "min_cvar", max_weight=0.2)
    assert solution.gap is not None
    assert solution.value is not None
    assert solution.gap <= 1e-8 * abs(solution.value)
    assert solution.gap <= 1e-8 * 1e-8
