"""Loss measures at any level: textbook values, float faults of the rank, laws, parity with naive loops."""

from __future__ import annotations

import math
from fractions import Fraction

import empyrical
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tools.metrics import compute_metrics
from tools.risk.measures import conditional_value_at_risk, historical_var, max_drawdown
from tools.units import FloatArray

SERIES = arrays(np.float64, st.integers(1, 120), elements=st.floats(-1.0, 1.0))
LEVELS = st.sampled_from(["0.5", "0.9", "0.95", "0.975", "0.99", "0.999"])


def naive_tail(returns: FloatArray, level: str) -> tuple[float, float]:
    """VaR and CVaR with the rank and the tail in exact fractions: what floats must reproduce."""
    losses = sorted((-returns).tolist())
    days, alpha = len(losses), Fraction(level)
    size = (1 - alpha) * days
    whole = math.floor(size)
    worst = losses[::-1]
    part = float(size - whole) * worst[whole] if size > whole else 0.0
    return losses[math.ceil(alpha * days) - 1], (math.fsum(worst[:whole]) + part) / float(size)


@settings(max_examples=200, deadline=None)
@given(SERIES, LEVELS)
def test_equal_to_exact_fractions(returns: FloatArray, level: str) -> None:
    var, cvar = naive_tail(returns, level)
    assert historical_var(returns, float(level)) == var
    assert float(conditional_value_at_risk(returns, float(level))) == pytest.approx(cvar, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("days", range(20, 2001, 20))
def test_whole_tails_survive_float_rounding(days: int) -> None:
    """(1 − 0.95)·100 is 5.000000000000004 in floats; the tail has five days, and VaR is L_(95), not L_(94) or
    L_(96)."""
    returns = -np.arange(1.0, days + 1)
    assert historical_var(returns, 0.95) == days * 19 // 20
    assert historical_var(returns, 0.9) == days * 9 // 10
    assert float(conditional_value_at_risk(returns, 0.95)) == pytest.approx(days - (days // 20 - 1) / 2, rel=1e-14)


def test_a_tail_that_earns_is_a_negative_loss() -> None:
    returns = np.linspace(1e-4, 2e-4, 100)
    assert historical_var(returns) < 0.0
    assert conditional_value_at_risk(returns) < 0.0


def test_no_loss_is_zero_and_not_minus_zero() -> None:
    for measure in (historical_var, conditional_value_at_risk, max_drawdown):
        assert str(float(measure(np.zeros(30)))) == "0.0"


@pytest.mark.parametrize("level", [1e-13, 1.0 - 1e-13])
def test_extreme_levels_are_the_mean_and_the_worst(level: float) -> None:
    returns = np.array([0.01, -0.03, 0.02, -0.01])
    expected = -returns.mean() if level < 0.5 else 0.03
    assert float(conditional_value_at_risk(returns, level)) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(SERIES, LEVELS, st.floats(0.01, 100.0), st.floats(-1.0, 1.0))
def test_cvar_is_coherent(returns: FloatArray, level: str, factor: float, shift: float) -> None:
    alpha = float(level)
    var, cvar = historical_var(returns, alpha), conditional_value_at_risk(returns, alpha)
    assert -returns.max() <= var <= cvar <= -returns.min() + 1e-12
    assert float(conditional_value_at_risk(factor * returns, alpha)) == pytest.approx(factor * float(cvar), abs=1e-10)
    assert float(conditional_value_at_risk(returns + shift, alpha)) == pytest.approx(float(cvar) - shift, abs=1e-12)
    other = np.roll(returns, 1)
    assert conditional_value_at_risk(returns + other, alpha) <= 2 * cvar + 1e-12  # subadditive: other is a permutation
    assert conditional_value_at_risk(other, alpha) == cvar


def test_cvar_is_the_minimum_over_zeta() -> None:
    """Rockafellar & Uryasev 2000, theorem 1: CVaR is the least ζ + Σ max(L − ζ, 0)/((1 − α)T), reached at VaR."""
    losses = np.random.default_rng(5).standard_t(3, 365) / 100
    values = [zeta + np.maximum(losses - zeta, 0).sum() / 18.25 for zeta in losses]
    assert float(conditional_value_at_risk(-losses)) == pytest.approx(min(values), rel=1e-13)
    assert losses[int(np.argmin(values))] == historical_var(-losses)


@settings(max_examples=100, deadline=None)
@given(SERIES)
def test_drawdown_is_the_worst_stretch(returns: FloatArray) -> None:
    wealth = np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    falls = [1.0 - low / high for i, high in enumerate(wealth) if high > 0.0 for low in wealth[i:]]
    assert float(max_drawdown(returns)) == pytest.approx(max(falls), abs=1e-12)


def test_drawdown_equals_empyrical_but_for_the_sign() -> None:
    returns = np.random.default_rng(2).normal(0.0, 0.02, (20, 365))
    theirs = [-empyrical.max_drawdown(row) for row in returns]
    assert max_drawdown(returns) == pytest.approx(np.array(theirs), rel=1e-12)


def test_a_tiny_drawdown_keeps_its_digits() -> None:
    returns = np.concatenate([np.full(200, 0.01), [-1e-9], np.full(164, 0.01)])
    assert float(max_drawdown(returns)) == pytest.approx(1e-9, rel=1e-6)


def test_many_series_are_as_one_by_one_and_as_the_metrics() -> None:
    returns = np.random.default_rng(4).normal(0.0, 0.01, (2100, 80))
    metrics = compute_metrics(returns, returns[0])
    for measure, key in (
        (historical_var, "var_95"),
        (conditional_value_at_risk, "cvar_95"),
        (max_drawdown, "max_drawdown"),
    ):
        values = measure(returns)
        assert values.shape == (2100,)
        np.testing.assert_array_equal(values, metrics[key])
        assert measure(returns[2099]).shape == ()
        assert measure(returns[2099]) == values[2099]


def test_input_is_not_changed() -> None:
    returns = np.random.default_rng(4).normal(0.0, 0.01, 80)
    kept = returns.copy()
    returns.flags.writeable = False
    historical_var(returns)
    max_drawdown(returns)
    assert (returns == kept).all()


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 95.0, float("nan")])
def test_levels_outside_the_open_interval_are_refused(level: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        historical_var(np.zeros(10), level)


@pytest.mark.parametrize("returns", [[], [0.1, float("nan")], [[[0.1]]], 0.1])
def test_unusable_input_is_refused(returns: object) -> None:
    for measure in (historical_var, conditional_value_at_risk, max_drawdown):
        with pytest.raises(ValueError, match="returns"):
            measure(returns)  # type: ignore[operator]


def test_drawdown_refuses_a_loss_of_more_than_everything() -> None:
    with pytest.raises(ValueError, match="more than everything"):
        max_drawdown([0.1, -1.1])
