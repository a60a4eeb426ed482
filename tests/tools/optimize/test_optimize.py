"""Allocation methods: formulas, caps, optimality against independent answers, conflicts, order and twins."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.optimize import METHODS, Infeasible, optimize, solve
from tools.optimize.moments import Undefined
from tools.risk.measures import conditional_value_at_risk
from tools.units import FloatArray


def book(assets: int, seed: int = 11, days: int = 120, scale: float = 0.01) -> FloatArray:
    random = np.random.default_rng(seed)
    return random.normal(scale / 10, scale, (days, assets)) * random.uniform(0.3, 2.0, assets)


def carry(assets: int, seed: int = 5, days: int = 120) -> FloatArray:
    """Daily returns of stable pools: 1e-4 with swings of 1e-8, where an absolute solver tolerance sees nothing."""
    return 1e-4 + book(assets, seed, days, scale=1e-8)


def cvar(returns: FloatArray, weights: FloatArray, confidence: float = 0.95) -> float:
    return float(conditional_value_at_risk(returns @ weights, confidence))


def feasible(assets: int, cap: float, count: int, seed: int = 0) -> FloatArray:
    """Random weights (count, assets) within the cap: random points, pulled towards equal weights until they fit."""
    weights = np.random.default_rng(seed).dirichlet(np.full(assets, 0.5), count)
    even = 1.0 / assets
    pull = np.minimum(1.0, (cap - even) / np.maximum(weights.max(axis=1, keepdims=True) - even, 1e-15))
    return np.asarray(even + pull * (weights - even))


def where_defined(returns: FloatArray, method: str, **limits: Any) -> FloatArray | None:
    """Return the weights, or None where a ratio or a share of risk means nothing on these data, and is said to."""
    try:
        return optimize(returns, method, **limits)
    except Undefined:
        assert method in ("max_sharpe", "risk_parity")
        return None


def assert_sound(weights: FloatArray, lower: Any = 0.0, upper: Any = 1.0) -> None:
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert (weights >= np.asarray(lower) - 1e-12).all()
    assert (weights <= np.asarray(upper) + 1e-12).all()
    assert not np.signbit(weights).any()


def test_equal() -> None:
    assert optimize(book(4), "equal").tolist() == [0.25] * 4


def test_inverse_volatility_is_its_formula() -> None:
    returns = book(5)
    inverse = 1.0 / returns.std(axis=0, ddof=1)
    assert optimize(returns, "inverse_volatility") == pytest.approx(inverse / inverse.sum(), rel=1e-12)


def test_inverse_volatility_takes_a_given_covariance() -> None:
    covariance = np.diag([0.01, 0.04]) ** 2 + [[0.0, 1e-4], [1e-4, 0.0]]
    weights = optimize(book(2), "inverse_volatility", covariance=covariance)
    assert weights == pytest.approx([0.8, 0.2], rel=1e-12)
    assert optimize(book(2, days=1), "inverse_volatility", covariance=covariance) == pytest.approx([0.8, 0.2])


def test_a_constant_pool_does_not_take_it_all() -> None:
    returns = book(4)
    returns[:, 0] = 1e-4
    inverse = 1.0 / returns[:, 1:].std(axis=0, ddof=1)
    expected = np.concatenate([[np.median(inverse)], inverse])  # of three the median of 1/σ is 1/median
    assert optimize(returns, "inverse_volatility") == pytest.approx(expected / expected.sum(), rel=1e-12)


def test_an_almost_constant_pool_counts_as_a_twentieth_of_the_median_volatility() -> None:
    returns = np.tile([[0.01, -0.01]], (60, 1)).reshape(-1, 1) * [1e-6, 1.0, 1.0]
    assert optimize(returns, "inverse_volatility") == pytest.approx(np.array([20.0, 1.0, 1.0]) / 22.0, rel=1e-12)


def test_constant_pools_alone_get_equal_weights() -> None:
    returns = np.tile([1e-4, 2e-4, 3e-4, 4e-4], (90, 1))
    assert optimize(returns, "inverse_volatility").tolist() == [0.25] * 4


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("days", [2, 120])
def test_bounds_hold_to_the_edge(method: str, days: int) -> None:
    """From loose caps to those that leave one portfolio, also where n times the cap is 1 but for float rounding."""
    for assets, cap, floor in itertools.product((1, 3, 7, 10), (1.0, 0.4), (0.0, 0.02)):
        cap = max(cap, 1.0 / assets)
        weights = where_defined(book(assets, days=days), method, max_weight=cap, min_weight=floor)
        assert weights is None or assert_sound(weights, floor, cap) is None
    for assets in (6, 10, 20, 49):  # sums of n times 1/n fall on either side of 1
        weights = where_defined(book(assets, days=days), method, max_weight=1.0 / assets)
        assert weights is None or weights == pytest.approx(np.full(assets, 1.0 / assets), abs=1e-12)
    weights = where_defined(book(3, days=days), method, min_weight=1 / 3)
    assert weights is None or weights == pytest.approx(np.full(3, 1 / 3), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(METHODS)), st.integers(2, 12), st.integers(0, 2**32 - 1), st.booleans())
def test_every_limit_holds(method: str, assets: int, seed: int, stable: bool) -> None:
    """Caps per asset and two overlapping groups, drawn around a random portfolio so that they can be kept."""
    random = np.random.default_rng(seed)
    inside = random.dirichlet(np.ones(assets))
    caps = np.minimum(inside + random.uniform(0.0, 0.2, assets), 1.0)
    shares = np.array([random.integers(0, 2, assets), random.uniform(0.0, 1.0, assets)], dtype=float)
    groups = [
        (row, float(row @ inside + slack)) for row, slack in zip(shares, random.uniform(0.0, 0.1, 2), strict=True)
    ]
    returns = carry(assets, seed, 40) if stable else book(assets, seed, 40)
    most = max(0.9, float(inside.max()))
    weights = where_defined(returns, method, max_weights=caps, group_caps=groups, max_weight=most)
    if weights is None:
        return
    assert_sound(weights, 0.0, caps)
    assert all(row @ weights <= cap + 1e-9 for row, cap in groups)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_assets_does_not_matter(method: str) -> None:
    returns = np.column_stack([book(4), book(2)[:, [0, 0, 1]], np.full((120, 2), 1e-3)])
    shares, caps = np.array([1.0, 0.5, 0, 0, 1, 1, 0, 0, 0]), np.linspace(0.3, 0.5, 9)
    base = optimize(returns, method, max_weights=caps, group_caps=[(shares, 0.2)])
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(9)
        weights = optimize(returns[:, order], method, max_weights=caps[order], group_caps=[(shares[order], 0.2)])
        assert weights == pytest.approx(base[order], abs=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_twins_get_the_same_weight(method: str) -> None:
    returns = book(3)[:, [0, 1, 0, 2, 0]]
    weights = optimize(returns, method, max_weight=0.4, group_caps=[([0, 1, 0, 1, 0], 0.3)])
    assert_sound(weights, 0.0, 0.4)
    assert weights[0] >= 0.7 / 3 - 1e-9
    assert weights[[2, 4]] == pytest.approx(weights[[0, 0]], abs=1e-14)


@pytest.mark.parametrize("returns", [book(8), carry(8), book(8, days=10)], ids=["prices", "carry", "ten days"])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_min_cvar_is_below_every_other_portfolio(returns: FloatArray, confidence: float) -> None:
    """1e-10 of the spread of the returns is the solver's tolerance."""
    weights = optimize(returns, "min_cvar", max_weight=0.3, confidence=confidence)
    least = cvar(returns, weights, confidence)
    others = conditional_value_at_risk(feasible(8, 0.3, 200) @ returns.T, confidence)
    assert (others >= least - 1e-10 * np.ptp(returns)).all()
    steps = [cvar(returns, weights + step, confidence) for step in small_steps(weights, 0.3)]
    assert min(steps) >= least - 1e-10 * np.ptp(returns)


def small_steps(weights: FloatArray, cap: float) -> list[FloatArray]:
    """Moves of 1e-4 from one asset to another that stay feasible."""
    unit = np.eye(weights.size)
    pairs = itertools.permutations(range(weights.size), 2)
    return [1e-4 * (unit[a] - unit[b]) for a, b in pairs if weights[a] + 1e-4 <= cap and weights[b] >= 1e-4]


@pytest.mark.parametrize("seed", range(5))
def test_min_cvar_of_two_assets_equals_brute_force(seed: int) -> None:
    returns = book(2, seed)
    grid = np.linspace(0.0, 0.8, 200_001)[50_000:]  # the caps leave weights of 0.2 to 0.8
    portfolios = np.column_stack([grid, 1.0 - grid])
    losses = conditional_value_at_risk(portfolios[::100] @ returns.T)
    near = int(np.argmin(losses)) * 100
    fine = portfolios[max(near - 100, 0) : near + 101]
    best = conditional_value_at_risk(fine @ returns.T).min()
    weights = optimize(returns, "min_cvar", max_weight=0.8)
    assert cvar(returns, weights) == pytest.approx(best, rel=1e-6)
    assert cvar(returns, weights) <= best + 1e-15


def test_min_cvar_objective_is_that_of_its_dual() -> None:
    """Strong duality: the least CVaR is the best bound by weights of the days q ≤ 1/((1 − α)T), solved separately."""
    from scipy.optimize import linprog

    returns = book(6, days=100)
    days, assets = returns.shape
    # max v subject to v ≤ −q·r_i for every asset: the worst reweighting of the days against the best asset.
    rows = np.column_stack([np.ones(assets), returns.T])
    dual = linprog(
        np.concatenate([[-1.0], np.zeros(days)]),
        A_ub=rows,
        b_ub=np.zeros(assets),
        A_eq=[np.concatenate([[0.0], np.ones(days)])],
        b_eq=[1.0],
        bounds=[(None, None), *[(0.0, 1 / 5)] * days],
    )
    assert cvar(returns, optimize(returns, "min_cvar")) == pytest.approx(-dual.fun, rel=1e-7)


def test_min_cvar_prefers_the_higher_constant() -> None:
    returns = np.tile([1e-4, 3e-4, 2e-4], (90, 1))
    assert optimize(returns, "min_cvar", max_weight=0.5) == pytest.approx([0.0, 0.5, 0.5], abs=1e-12)
    alike = 1e-4 + 1e-17 * np.arange(4.0)  # but for rounding
    assert optimize(np.tile(alike, (90, 1)), "min_cvar").tolist() == [0.25] * 4


def test_group_caps_bind_in_min_cvar() -> None:
    returns = carry(6)
    free = optimize(returns, "min_cvar")
    favourite = int(np.argmax(free))
    shares = np.zeros(6)
    shares[favourite] = 1.0
    cap = float(free[favourite]) / 2
    held = optimize(returns, "min_cvar", group_caps=[(shares, cap)])
    assert held[favourite] == pytest.approx(cap, abs=1e-9)
    assert cvar(returns, held) > cvar(returns, free)


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"max_weight": 0.24}, ("max_weight",)),
        ({"max_weights": [0.1, 0.2, 0.3, 0.3]}, tuple(f"max_weight[{n}]" for n in range(4))),
        ({"max_weights": [0.1, 0.2, 0.3, 0.9], "max_weight": 0.3}, ("max_weight", "max_weight[0]", "max_weight[1]")),
        ({"min_weight": 0.26}, ("min_weight",)),
        ({"min_weight": 0.2, "max_weights": [0.1, 1, 1, 1]}, ("min_weight", "max_weight[0]")),
        ({"group_caps": [([1, 1, 1, 1], 0.9)]}, ("group_caps[0]",)),
        (
            {"group_caps": [([1, 0, 0, 0], 0.9), ([1, 1, 0, 0], 0.3), ([0, 0, 1, 1], 0.6)]},
            ("group_caps[1]", "group_caps[2]"),
        ),
        ({"min_weight": 0.1, "group_caps": [([0, 0, 1, 1], 0.15)]}, ("min_weight", "group_caps[0]")),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_conflicts_are_named(method: str, limits: dict[str, Any], named: tuple[str, ...]) -> None:
    with pytest.raises(Infeasible) as caught:
        optimize(book(4), method, **limits)
    assert caught.value.limits == named
    assert isinstance(caught.value, ValueError)
    assert all(name in str(caught.value) for name in named)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"method": "maximum_luck"}, "maximum_luck"),
        ({"returns": np.full((90, 3), np.nan)}, r"returns\[0, 0\] is nan"),
        ({"returns": np.zeros(90)}, "dimension"),
        ({"returns": np.zeros((90, 0))}, "returns"),
        ({"max_weight": float("nan")}, "max_weight"),
        ({"min_weight": -0.1}, "min_weight"),
        ({"max_weights": [0.5, -0.1, 0.9]}, "max_weights"),
        ({"max_weights": [0.5, 0.5]}, "shape"),
        ({"group_caps": [([1, 2, 0], 0.5)]}, "between 0 and 1"),
        ({"group_caps": [([1, 0], 0.5)]}, "shape"),
        ({"group_caps": [([1, 0, 0], float("inf"))]}, "group_caps"),
        ({"method": "min_cvar", "confidence": 1.0}, "confidence"),
        ({"method": "inverse_volatility", "returns": np.zeros((1, 3))}, "two days"),
        ({"covariance": np.eye(2)}, "covariance"),
        ({"covariance": -np.eye(3)}, "covariance"),
    ],
)
def test_unusable_input_is_refused(change: dict[str, Any], match: str) -> None:
    arguments = {"returns": book(3), "method": "equal"} | change
    with pytest.raises(ValueError, match=match):
        optimize(arguments.pop("returns"), arguments.pop("method"), **arguments)


@pytest.mark.parametrize("method", METHODS)
def test_input_is_not_changed(method: str) -> None:
    returns, caps = book(4), np.full(4, 0.5)
    kept = returns.copy()
    returns.flags.writeable = caps.flags.writeable = False
    optimize(returns, method, max_weights=caps, group_caps=[(caps, 0.5)])
    assert (returns == kept).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"returns": np.zeros((0, 3))}, r"at least one day.*\(0, 3\)"),
        ({"returns": [["a", "b"]]}, "returns must be made of numbers"),
        ({"risk_free_rate": -2}, "risk_free_rate"),
        ({"risk_free_rate": float("nan")}, "risk_free_rate"),
        ({"max_weight": [1, 1]}, "max_weight"),
        ({"max_weight": "all"}, "max_weight"),
        ({"min_weight": [0.0, 0.1, 0.0]}, "min_weight"),
        ({"confidence": float("nan")}, "confidence"),
        ({"confidence": None}, "confidence"),
        ({"confidence": 0.0}, "confidence"),
        ({"risk_aversion": float("nan")}, "risk_aversion"),
        ({"risk_aversion": -1.0}, "risk_aversion"),
        ({"return_floor": [0.0, 0.0]}, "return_floor"),
        ({"turnover": -1.0, "previous": [0.3, 0.3, 0.3]}, "turnover"),
        ({"turnover": [1.0, 1.0], "previous": [0.3, 0.3, 0.3]}, "turnover"),
        ({"previous": [0.5, 0.5]}, "previous"),
        ({"previous": [np.nan, 0.5, 0.5]}, "previous"),
        ({"mean": "high"}, "mean"),
        ({"covariance": "none"}, "covariance"),
        ({"probabilities": [[0.5, 0.5]]}, "probabilities"),
        ({"group_caps": 3}, "group_caps"),
        ({"group_caps": [([1],)]}, r"group_caps\[0\]"),
        ({"group_caps": [([1, 0, 0], 0.5), ([1, 0, 0], 0.5, "a", "b")]}, r"group_caps\[1\]"),
        ({"group_caps": [([1, 0, 0], [0.5, 0.5])]}, r"group_caps\[0\]"),
        ({"group_caps": [([1, 0], 0.5)]}, r"group_caps\[0\]"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_everything_given_is_checked_by_name_whatever_the_method(
    method: str, change: dict[str, Any], match: str
) -> None:
    arguments = {"returns": book(3)} | change
    with pytest.raises(ValueError, match=match) as caught:
        optimize(arguments.pop("returns"), method, **arguments)
    assert not isinstance(caught.value, Infeasible | Undefined)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(1, 6))
def test_the_only_portfolio_is_the_answer_whatever_the_data(method: str, seed: int) -> None:
    """Two days of twenty assets whose volatilities span nine orders of magnitude: no solver has to see that."""
    random = np.random.default_rng(seed)
    returns = random.standard_t(2, (2, 20)) * 0.01 * 10.0 ** random.integers(-6, 3, 20)
    weights = where_defined(returns, method, max_weight=1 / 20, min_weight=0.01)
    assert weights is None or weights == pytest.approx(np.full(20, 1 / 20), abs=1e-12)
    floors = random.dirichlet(np.ones(20))
    weights = where_defined(returns, method, max_weights=floors, group_caps=[(np.ones(20), 1.0)])
    assert weights is None or weights == pytest.approx(floors, abs=1e-12)


@pytest.mark.parametrize("method", ["min_variance", "min_cvar", "mean_cvar", "min_evar"])
def test_data_as_small_as_residue_is_not_called_alike(method: str) -> None:
    """Returns of 1e-13 count as rounding: the weights tie, which is no optimum of what was given, and is said."""
    small = solve(book(3, scale=1e-13), method)
    assert small.weights == pytest.approx(np.full(3, 1 / 3), abs=1e-12)
    assert not small.exact
    assert small.note is not None
    assert "rounding" in small.note
    assert small.value != small.bound
    same = solve(np.full((60, 3), 1e-4), method)
    assert same.exact
    assert same.note is not None
    assert "rounding" not in same.note
