"""Preferred weights that break a limit move to the nearest ones that keep it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.optimize import optimize
from tools.optimize.limits import Limits, read_limits
from tools.optimize.nearest import nearest
from tools.units import FloatArray

RETURNS = np.random.default_rng(1).normal(0.0, 0.01, (60, 6))


def limits(assets: int, **given_limits: object) -> Limits:
    return read_limits(assets, **given_limits)  # type: ignore[arg-type]


def distance(weights: FloatArray, preferred: FloatArray) -> float:
    return float(((weights - preferred) ** 2 / preferred).sum())


def test_feasible_weights_stay_as_they_are() -> None:
    preferred = np.array([0.2, 0.3, 0.5])
    assert nearest(preferred, limits(3, max_weight=0.5)) is preferred


def test_a_capped_weight_is_shared_in_proportion() -> None:
    """0.6 is cut to 0.4 and the others, 1 : 3, share what it leaves, until 0.3 · 1.5 meets the cap as well."""
    assert nearest(np.array([0.6, 0.1, 0.3]), limits(3, max_weight=0.5)) == pytest.approx([0.5, 0.125, 0.375])
    assert nearest(np.array([0.6, 0.1, 0.3]), limits(3, max_weight=0.4)) == pytest.approx([0.4, 0.2, 0.4])


def test_floors_and_caps_at_once() -> None:
    weights = nearest(np.array([0.7, 0.2, 0.06, 0.04]), limits(4, max_weight=0.5, min_weight=0.1))
    assert weights == pytest.approx([0.5, 0.3, 0.1, 0.1])


def test_equal_weights_stay_equal_within_each_group() -> None:
    """Two protocols with different caps: each cut is spread over its own pools and the rest goes to the free ones."""
    caps = [([1, 1, 0, 0, 0, 0], 0.1), ([0, 0, 1, 1, 0, 0], 0.25)]
    weights = optimize(RETURNS, "equal", group_caps=caps)
    assert weights == pytest.approx([0.05, 0.05, 0.125, 0.125, 0.325, 0.325], abs=1e-12)


def test_a_slack_group_cap_changes_nothing() -> None:
    bare = optimize(RETURNS, "inverse_volatility", max_weight=0.18)
    assert (
        optimize(RETURNS, "inverse_volatility", max_weight=0.18, group_caps=[([1] * 3 + [0] * 3, 0.9)]) == bare
    ).all()


def test_a_single_feasible_portfolio_is_found() -> None:
    caps = [([1, 1, 0, 0], 0.3), ([0, 0, 1, 1], 0.7)]
    weights = nearest(np.array([0.4, 0.4, 0.1, 0.1]), limits(4, max_weight=0.35, group_caps=caps))
    assert weights == pytest.approx([0.15, 0.15, 0.35, 0.35], abs=1e-10)


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 10), st.integers(0, 2**32 - 1))
def test_nothing_feasible_is_nearer(assets: int, seed: int) -> None:
    """The distance is convex and the feasible set too: if no way towards another feasible point is shorter, none is."""
    random = np.random.default_rng(seed)
    preferred, inside = random.dirichlet(np.ones(assets), 2) * 0.9 + 0.1 / assets
    shares = random.uniform(0.0, 1.0, (2, assets)).round()
    caps = np.minimum(inside + random.uniform(0.0, 0.3, assets), 1.0)
    groups = list(zip(shares, shares @ inside + random.uniform(0.0, 0.05, 2), strict=True))
    kept = limits(assets, max_weights=caps, group_caps=groups)
    weights = nearest(preferred, kept)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert (shares @ weights <= kept.caps + 1e-9).all()
    gradient = 2.0 * (weights - preferred) / preferred
    assert gradient @ (inside - weights) >= -1e-9
    for _ in range(20):
        other = nearest(random.dirichlet(np.ones(assets)) * 0.99 + 0.01 / assets, kept)
        assert gradient @ (other - weights) >= -1e-8
        assert distance(other, preferred) >= distance(weights, preferred) - 1e-9
