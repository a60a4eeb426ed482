"""Probabilistic and deflated Sharpe ratio and Lo's factor: the papers' figures, scipy, loops, laws and reasons."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tools.metrics.sharpe import (
    deflated_sharpe,
    deflated_sharpe_reasons,
    lo_factor,
    lo_factor_reasons,
    probabilistic_sharpe,
    probabilistic_sharpe_reasons,
    sharpe_threshold,
)
from tools.units import FloatArray

RATE = 0.03
DAILY_RATE = 1.03 ** (1 / 365) - 1


def sample(strategies: int = 12, days: int = 365, seed: int = 3) -> FloatArray:
    """Returns that are neither normal nor symmetric."""
    random = np.random.default_rng(seed)
    shape = (strategies, days)
    return random.normal(4e-4, 0.008, shape) - random.exponential(0.004, shape) + 0.004


def probability(sharpe: float, days: int, skewness: float, kurtosis: float, threshold: float) -> float:
    spread = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
    return float(stats.norm.cdf((sharpe - threshold) * math.sqrt(days - 1) / math.sqrt(spread)))


def naive(series: FloatArray, threshold: float) -> float:
    ratio = (series.mean() - DAILY_RATE) / series.std(ddof=1)
    return probability(ratio, series.size, stats.skew(series), stats.kurtosis(series, fisher=False), threshold)


def test_the_oracle_gives_the_figures_of_the_papers() -> None:
    """Two years of months at an annual ratio of 1.59 (2012); five years of days after 100 trials (2014)."""
    assert probability(0.458, 24, 0.0, 3.0, 0.0) == pytest.approx(0.982, abs=5e-4)
    assert probability(0.458, 24, -2.448, 10.164, 0.0) == pytest.approx(0.913, abs=5e-4)
    assert probability(2.5 / 250**0.5, 1250, -3.0, 10.0, sharpe_threshold(100, 0.5 / 250)) == pytest.approx(
        0.9004, abs=5e-5
    )


def test_threshold_of_a_hundred_trials() -> None:
    assert sharpe_threshold(100, 0.5 / 250) == pytest.approx(0.1132, abs=5e-5)  # the paper of 2014
    assert sharpe_threshold(100, 1 / 365) * 365**0.5 == pytest.approx(2.53, abs=5e-3)
    assert sharpe_threshold(1, 0.1) == 0.0


def test_threshold_is_near_the_mean_of_the_largest_of_many_normals() -> None:
    """The formula is an approximation of extreme value theory: half a percent off at 50 trials."""
    largest = np.random.default_rng(1).standard_normal((40_000, 50)).max(axis=1)
    assert sharpe_threshold(50, 1.0) == pytest.approx(largest.mean(), rel=0.015)


@pytest.mark.parametrize("days", [60, 365])
@pytest.mark.parametrize("threshold", [0.0, 0.05])
def test_probabilistic_equals_scipy(days: int, threshold: float) -> None:
    returns = sample(days=days)
    expected = [naive(series, threshold) for series in returns]
    assert probabilistic_sharpe(returns, threshold, RATE) == pytest.approx(np.array(expected), rel=1e-12)


def test_deflated_equals_scipy() -> None:
    returns = sample()
    ratios = (returns.mean(axis=1) - DAILY_RATE) / returns.std(axis=1, ddof=1)
    spread = ratios.std(ddof=1)
    gamma = float(np.euler_gamma)
    for trials in (2, 12, 500):
        largest = (1 - gamma) * stats.norm.ppf(1 - 1 / trials) + gamma * stats.norm.ppf(1 - 1 / (trials * math.e))
        expected = np.array([naive(series, spread * largest) for series in returns])
        assert deflated_sharpe(returns, trials, None, RATE) == pytest.approx(expected, rel=1e-10)
        assert deflated_sharpe(returns, trials, spread**2, RATE) == pytest.approx(expected, rel=1e-10)


def test_one_trial_is_not_deflated() -> None:
    returns = sample()
    assert (deflated_sharpe(returns, 1, 0.01) == probabilistic_sharpe(returns)).all()
    assert (deflated_sharpe(returns[:1], 1) == probabilistic_sharpe(returns[:1])).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 400), st.integers(1, 1000))
def test_more_trials_and_a_higher_threshold_are_harder_to_beat(seed: int, trials: int, more: int) -> None:
    returns = sample(4, 90, seed)
    assert (deflated_sharpe(returns, trials + more) <= deflated_sharpe(returns, trials)).all()
    assert (probabilistic_sharpe(returns, 0.02) <= probabilistic_sharpe(returns, 0.01)).all()
    assert ((probabilistic_sharpe(returns) >= 0.0) & (probabilistic_sharpe(returns) <= 1.0)).all()


def test_undefined_figures_say_why() -> None:
    random = np.random.default_rng(1)
    smooth = 2e-4 + 1e-5 * random.standard_normal(90)
    few = np.where(np.arange(90) % 3, 0.01, -0.01)
    rows = np.array([sample(1, 90)[0], np.full(90, 1e-4), few, smooth])
    reasons = [
        None,
        "the returns do not vary",
        "fewer than 10 distinct returns",
        "the daily Sharpe ratio is above 1 in size, where the expansion behind the probability does not hold",
    ]
    assert probabilistic_sharpe_reasons(rows) == reasons
    assert np.isnan(probabilistic_sharpe(rows)).tolist() == [False, True, True, True]
    assert deflated_sharpe_reasons(rows, 4) == reasons  # the smooth row has a ratio, and counts among the trials
    assert np.isnan(deflated_sharpe(rows, 4)).tolist() == [False, True, True, True]
    assert probabilistic_sharpe_reasons(sample(2, 59)) == ["fewer than 60 days"] * 2
    assert np.isnan(probabilistic_sharpe(sample(2, 59))).all()


def test_several_trials_without_a_variance_are_undefined() -> None:
    one = sample(1)
    assert np.isnan(deflated_sharpe(one, 5)).all()
    assert deflated_sharpe_reasons(one, 5) == [
        "fewer than two strategies have a Sharpe ratio whose variance could be taken"
    ]
    assert deflated_sharpe_reasons(one, 5, 0.01) == [None]
    assert np.isfinite(deflated_sharpe(one, 5, 0.01)).all()


def lo_by_loops(series: list[float], q: int) -> float:
    mean = sum(series) / len(series)
    d = [value - mean for value in series]
    total = sum(value * value for value in d)
    rho = [sum(a * b for a, b in zip(d, d[lag:], strict=False)) / total for lag in range(q)]
    return q / math.sqrt(q + 2 * sum((q - lag) * rho[lag] for lag in range(1, q)))


@pytest.mark.parametrize("q", [1, 2, 7, 30, 60])
def test_factor_equals_the_formula_as_loops(q: int) -> None:
    returns = sample(5, 120)
    returns[0] = np.cumsum(returns[0])  # hangs together
    expected = [lo_by_loops(series.tolist(), q) for series in returns]
    assert lo_factor(returns, q) == pytest.approx(np.array(expected), rel=1e-9)
    assert lo_factor_reasons(returns, q) == [None] * 5


def test_independent_returns_have_the_square_root_and_slow_ones_far_less() -> None:
    """A rate with autocorrelation 0.99^k has η(30) = 1.05; the mean of the sample hides a little of it."""
    random = np.random.default_rng(4)
    noise = random.standard_normal((40, 4000))
    slow = noise.copy()
    for day in range(1, 4000):
        slow[:, day] += 0.99 * slow[:, day - 1]
    assert np.median(lo_factor(noise, 30)) == pytest.approx(30**0.5, rel=0.03)
    assert np.median(lo_factor(slow, 30)) == pytest.approx(1.05, rel=0.03)


def test_factor_needs_twice_its_span_and_variation() -> None:
    assert lo_factor_reasons(sample(1, 729)) == ["fewer than 730 days"]
    assert np.isfinite(lo_factor(sample(1, 730))).all()
    assert lo_factor_reasons(sample(1, 59), 7) == ["fewer than 60 days"]
    assert np.isnan(lo_factor(sample(1, 59), 7)).all()
    flat = np.vstack([np.full(90, 1e-4), sample(1, 90)])
    assert lo_factor_reasons(flat, 7) == ["the returns do not vary", None]
    assert np.isnan(lo_factor(flat, 7)).tolist() == [True, False]


def test_impossible_arguments_are_refused() -> None:
    returns = sample(2, 90)
    with pytest.raises(ValueError, match="threshold_sharpe_per_day"):
        probabilistic_sharpe(returns, math.nan)
    for trials, variance in ((0, 0.1), (0, None), (2, -0.1), (2, math.inf)):
        with pytest.raises(ValueError, match=r"trials|variance"):
            deflated_sharpe(returns, trials, variance)
    with pytest.raises(ValueError, match="q must be"):
        lo_factor(returns, 0)
    returns[1, 4] = math.nan
    for measure in (probabilistic_sharpe, lo_factor):
        with pytest.raises(ValueError, match=r"returns\[1, 4\]"):
            measure(returns)


def test_no_strategy_gives_empty_arrays() -> None:
    none = np.zeros((0, 90))
    assert probabilistic_sharpe(none).shape == lo_factor(none, 7).shape == deflated_sharpe(none, 3).shape == (0,)
