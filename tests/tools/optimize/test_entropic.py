"""The lowest EVaR: its value by the independent measure, its worst case within the ball, its bound under everything."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.optimize import Solution, solve
from tools.optimize.entropic import tilt
from tools.risk.measures import entropic_value_at_risk
from tools.units import FloatArray


def book(assets: int, seed: int = 0, days: int = 120, scale: float = 0.01) -> FloatArray:
    random = np.random.default_rng(seed)
    market = random.normal(0.0, scale, (days, 1)) * random.uniform(0.3, 1.5, assets)
    own = random.standard_t(4, (days, assets)) * scale * random.uniform(0.2, 2.0, assets)
    return np.asarray(market + own)


def divergence(worst: FloatArray, chance: FloatArray) -> float:
    inside = worst > 0.0
    return float((worst[inside] * np.log(worst[inside] / chance[inside])).sum())


def assert_proven(solution: Solution, returns: FloatArray, confidence: float, others: FloatArray) -> None:
    """The bound comes from a distribution within KL ≤ −ln(1 − α), and no portfolio at hand is below it."""
    assert solution.value is not None
    assert solution.bound is not None
    assert solution.gap is not None
    own = float(entropic_value_at_risk(returns @ solution.weights, confidence))
    spread = float(returns.std(axis=0).max())
    assert solution.value == pytest.approx(own, abs=1e-10 * spread)
    assert solution.gap <= 1e-8 * spread
    assert solution.worst_case is not None
    assert solution.worst_case.min() >= 0.0
    assert solution.worst_case.sum() == pytest.approx(1.0, abs=1e-12)
    assert divergence(solution.worst_case, np.full(returns.shape[0], 1 / returns.shape[0])) <= -math.log1p(-confidence)
    assert entropic_value_at_risk(others @ returns.T, confidence).min() >= solution.bound - 1e-12 * spread


@pytest.mark.parametrize("scale", [1e-2, 1e-8])
@pytest.mark.parametrize(("assets", "days"), [(1, 60), (4, 365), (20, 120), (8, 30), (30, 25), (5, 15), (3, 1)])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_the_gap_is_proven(scale: float, assets: int, days: int, confidence: float) -> None:
    """From tails of many days to those of less than one, where it is the largest loss; 1e-8 is a pure carry book."""
    returns = (1e-4 if scale < 1e-2 else 0.0) + book(assets, days=days, scale=scale)
    if days == 1:
        returns = book(assets, days=2, scale=scale)[:1]
    solution = solve(returns, "min_evar", confidence=confidence)
    others = np.vstack([np.eye(assets), np.random.default_rng(1).dirichlet(np.full(assets, 0.4), 100)])
    if days > 1:
        assert_proven(solution, returns, confidence, others)
    assert solution.value == pytest.approx(entropic_value_at_risk(returns @ solution.weights, confidence), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), st.integers(0, 2**32 - 1), st.sampled_from([25, 70]))
def test_the_bound_holds_under_every_kind_of_limit(assets: int, seed: int, days: int) -> None:
    random = np.random.default_rng(seed)
    inside, previous = random.dirichlet(np.ones(assets), 2)
    returns = book(assets, seed, days)
    mean, share = returns.mean(axis=0), random.uniform(0.0, 1.0, assets)
    solution = solve(
        returns,
        "min_evar",
        confidence=0.9,
        max_weights=np.minimum(inside + random.uniform(0.0, 0.3, assets), 1.0),
        group_caps=[(share, float(share @ inside) + 0.01)],
        return_floor=float(mean @ inside) - 1e-5,
        previous=previous,
        turnover=float(np.abs(inside - previous).sum()) + 0.05,
    )
    assert_proven(solution, returns, 0.9, inside[None])
    assert share @ solution.weights <= share @ inside + 0.01 + 1e-9


def test_two_assets_equal_brute_force() -> None:
    returns = book(2, seed=3)
    grid = np.linspace(0.0, 1.0, 4001)
    best = entropic_value_at_risk(np.column_stack([grid, 1.0 - grid]) @ returns.T).min()
    solution = solve(returns, "min_evar")
    assert solution.value == pytest.approx(best, rel=1e-6)
    assert solution.value is not None
    assert solution.value <= best + 1e-14


def test_a_normal_book_has_the_weights_of_least_variance() -> None:
    """Of a normal loss EVaR is mean + σ√(−2 ln(1 − α)); antithetic normal quantiles make the sample one of them."""
    from scipy.stats import norm, qmc

    draws = norm.ppf(np.clip(qmc.Sobol(2, rng=1).random(2048), 1e-6, 1 - 1e-6))
    draws = np.vstack([draws, -draws])
    draws = (draws - draws.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(draws.T))).T
    returns = draws * [0.01, 0.02]
    solution = solve(returns, "min_evar", confidence=0.8)
    assert solution.weights == pytest.approx([0.8, 0.2], abs=5e-3)
    assert solution.value == pytest.approx(math.sqrt(0.8) * 0.01 * math.sqrt(-2.0 * math.log(0.2)), rel=1e-2)


def test_the_worst_case_tilts_towards_the_losses() -> None:
    losses, chance = np.array([-1.0, 0.0, 2.0, 5.0]), np.full(4, 0.25)
    found = tilt(losses, chance, 0.3)
    assert np.log(found.worst_case / chance) @ [1, -1, 0, 0] == pytest.approx(-found.inverse, rel=1e-9)
    assert divergence(found.worst_case, chance) == pytest.approx(0.3, rel=1e-12)
    assert found.value == pytest.approx(float(losses @ found.worst_case), rel=1e-12)
    assert tilt(losses, chance, math.log(4.0)).value == 5.0


def test_probabilities_are_days_that_come_more_often() -> None:
    returns = book(4, days=60)
    chances = np.where(np.arange(60) < 20, 2.0, 1.0) / 80.0
    twice = solve(np.vstack([returns, returns[:20]]), "min_evar", max_weight=0.5)
    once = solve(returns, "min_evar", max_weight=0.5, probabilities=chances)
    assert once.value == pytest.approx(twice.value, rel=1e-10)
    assert once.weights == pytest.approx(twice.weights, abs=1e-6)
    assert once.worst_case is not None
    assert twice.worst_case is not None
    assert once.worst_case[:20] == pytest.approx(2.0 * twice.worst_case[:20], rel=1e-4, abs=1e-12)


def test_a_constant_asset_and_constant_books() -> None:
    returns = book(3)
    returns[:, 0] = 1e-4
    assert solve(returns, "min_evar").weights == pytest.approx([1.0, 0.0, 0.0], abs=1e-7)
    best = solve(np.tile([1e-4, 3e-4, 2e-4], (90, 1)), "min_evar", max_weight=0.5)
    assert best.weights == pytest.approx([0.0, 0.5, 0.5], abs=1e-9)
    tied = solve(np.full((90, 3), 1e-4), "min_evar", max_weights=[0.2, 1.0, 1.0])
    assert tied.weights == pytest.approx([0.2, 0.4, 0.4], abs=1e-12)
    assert "tie" in str(tied.note)


def test_twins_share_alike_in_any_order() -> None:
    returns = book(4, seed=2)[:, [0, 1, 2, 1, 3]]
    weights = solve(returns, "min_evar", max_weight=0.3).weights
    assert weights[1] == weights[3]
    order = np.array([4, 3, 0, 2, 1])
    assert solve(returns[:, order], "min_evar", max_weight=0.3).weights == pytest.approx(weights[order], abs=1e-14)


def test_losses_alone_change_nothing() -> None:
    """EVaR falls by what every return rises: the weights stay."""
    returns = book(5)
    up, down = solve(returns, "min_evar"), solve(returns - 0.2, "min_evar")
    assert down.weights == pytest.approx(up.weights, abs=1e-6)
    assert up.value is not None
    assert down.value == pytest.approx(up.value + 0.2, abs=1e-12)


@pytest.mark.parametrize("confidence", [0.0, 1.0, math.nan])
def test_a_confidence_outside_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        solve(book(2), "min_evar", confidence=confidence)


@pytest.mark.parametrize("method", ["min_evar", "min_cvar", "mean_cvar"])
@pytest.mark.parametrize("confidence", [0.4, 0.95])
def test_a_scenario_of_probability_zero_changes_nothing(method: str, confidence: float) -> None:
    possible = [[0.01, 0.02], [0.0, 0.01], [0.03, -0.01]]
    alone = solve(possible, method, probabilities=[0.3, 0.3, 0.4], confidence=confidence)
    beside = solve(
        [possible[0], [-0.5, 1e6], *possible[1:]], method, probabilities=[0.3, 0, 0.3, 0.4], confidence=confidence
    )
    assert beside.weights == pytest.approx(alone.weights, abs=1e-14)
    assert beside.value == pytest.approx(alone.value, rel=1e-12)
    assert beside.bound == pytest.approx(alone.bound, rel=1e-12)
    assert beside.worst_case is not None
    assert alone.worst_case is not None
    assert beside.worst_case[1] == 0.0
    assert np.delete(beside.worst_case, 1) == pytest.approx(alone.worst_case, abs=1e-12)


def test_the_largest_loss_may_be_one_that_cannot_happen() -> None:
    found = solve([[0.01, 0.02], [0.0, 0.01], [-0.5, -0.4]], "min_evar", probabilities=[0.5, 0.5, 0], confidence=0.4)
    assert found.weights == pytest.approx([0.0, 1.0], abs=1e-12)
    assert found.gap is not None
    assert found.gap <= 1e-12
