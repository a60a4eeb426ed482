"""Shrunk covariances and means: Ledoit & Wolf by naive loops, James & Stein's formula, and what cannot be measured."""

from __future__ import annotations

import numpy as np
import pytest

from tools.optimize import Problem
from tools.optimize.limits import read_limits
from tools.optimize.moments import (
    Undefined,
    covariance_factor,
    gram,
    shrunk_covariance,
    shrunk_mean,
    standard_errors,
)
from tools.units import FloatArray


def book(assets: int, seed: int = 0, days: int = 60) -> FloatArray:
    random = np.random.default_rng(seed)
    market = random.normal(0.0, 0.01, (days, 1)) * random.uniform(-0.5, 1.5, assets)
    return np.asarray(market + random.normal(0.0, 0.01, (days, assets)) * random.uniform(0.01, 3.0, assets))


def naive(x: FloatArray) -> tuple[FloatArray, float]:
    """Ledoit & Wolf (2004), appendix, with its loops and full formulas, on any series (n_days, n_assets)."""
    days, assets = x.shape
    y = x - x.mean(axis=0)
    s = y.T @ y / days
    pairs = [(i, j) for i in range(assets) for j in range(assets) if i != j]
    r = np.mean([s[i, j] / np.sqrt(s[i, i] * s[j, j]) for i, j in pairs])
    target = np.array(
        [[s[i, i] if i == j else r * np.sqrt(s[i, i] * s[j, j]) for j in range(assets)] for i in range(assets)]
    )
    pi = np.array([[np.mean((y[:, i] * y[:, j] - s[i, j]) ** 2) for j in range(assets)] for i in range(assets)])

    def theta(k: int, i: int, j: int) -> float:
        return float(np.mean((y[:, k] ** 2 - s[k, k]) * (y[:, i] * y[:, j] - s[i, j])))

    rho = np.trace(pi) + sum(
        r / 2 * (np.sqrt(s[j, j] / s[i, i]) * theta(i, i, j) + np.sqrt(s[i, i] / s[j, j]) * theta(j, i, j))
        for i, j in pairs
    )
    intensity = min(1.0, max(0.0, (pi.sum() - rho) / ((target - s) ** 2).sum() / days))
    return intensity * target + (1.0 - intensity) * s, float(intensity)


@pytest.mark.parametrize(("assets", "days", "seed"), [(3, 30, 0), (5, 60, 1), (8, 12, 2), (15, 200, 3)])
def test_it_is_ledoit_and_wolf_on_standardised_series(assets: int, days: int, seed: int) -> None:
    returns = book(assets, seed, days)
    deviation = returns.std(axis=0, ddof=1)
    standard = (returns - returns.mean(axis=0)) / returns.std(axis=0)
    expected, intensity = naive(standard)
    found = shrunk_covariance(returns)
    assert found.intensity == pytest.approx(intensity, rel=1e-10, abs=1e-14)
    assert found.covariance == pytest.approx(expected * np.outer(deviation, deviation), rel=1e-10)
    assert 0.0 <= found.intensity <= 1.0
    assert np.linalg.eigvalsh(found.covariance).min() >= -1e-18


def test_the_units_of_an_asset_do_not_matter() -> None:
    returns, units = book(6), np.array([1e-6, 1.0, 1e3, 1e-2, 1.0, 1.0])
    found, scaled = shrunk_covariance(returns), shrunk_covariance(returns * units)
    assert scaled.intensity == pytest.approx(found.intensity, rel=1e-10)
    assert scaled.covariance == pytest.approx(found.covariance * np.outer(units, units), rel=1e-9)


def test_little_data_is_shrunk_more() -> None:
    assert shrunk_covariance(book(8, days=15)).intensity > shrunk_covariance(book(8, days=2000)).intensity


def test_a_constant_series_is_not_safe() -> None:
    returns = book(4)
    returns[:, 2] = 1e-4
    found = shrunk_covariance(returns).covariance
    deviation = np.delete(returns.std(axis=0, ddof=1), 2)
    assert found[2, 2] == pytest.approx(np.median(deviation) ** 2)
    assert np.delete(found[2], 2).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("returns", [np.zeros((1, 3)), np.full((90, 3), 1e-4)])
def test_no_covariance_is_said(returns: FloatArray) -> None:
    with pytest.raises(Undefined):
        shrunk_covariance(returns)


def test_one_asset_keeps_its_variance() -> None:
    returns = book(1)
    assert shrunk_covariance(returns).covariance == pytest.approx(returns.var(ddof=1), rel=1e-12)


def test_the_factor_is_that_of_the_sample_covariance() -> None:
    returns, limits = book(5), read_limits(5)
    assert gram(covariance_factor(Problem(returns, limits))) == pytest.approx(np.cov(returns.T), rel=1e-10)
    given = np.cov(returns.T)
    assert gram(covariance_factor(Problem(returns, limits, covariance=given))) == pytest.approx(given, rel=1e-10)
    wide = book(70)
    assert gram(wide) == pytest.approx(wide.T @ wide, rel=1e-9, abs=1e-15)


def test_means_shrink_by_james_and_stein() -> None:
    """The formula, with the errors of the function itself, which are tested below."""
    returns = np.random.default_rng(0).normal([1e-3, 2e-3, 0.0, -1e-3, 3e-3], 0.01, (400, 5))
    mean, errors = returns.mean(axis=0), standard_errors(returns)
    for target, free in ((None, 2.0), (1e-3, 3.0)):
        centre = mean.mean() if target is None else target
        intensity = min(1.0, free / float((((mean - centre) / errors) ** 2).sum()))
        found = shrunk_mean(returns, target)
        assert found.intensity == pytest.approx(intensity, rel=1e-12)
        assert found.mean == pytest.approx(centre + (1.0 - intensity) * (mean - centre), rel=1e-12)
    assert np.argsort(shrunk_mean(returns).mean).tolist() == np.argsort(mean).tolist()


def test_shrinking_comes_nearer_to_the_truth() -> None:
    random, truth = np.random.default_rng(1), np.array([1e-3, 1.2e-3, 0.8e-3, 1.1e-3, 0.9e-3, 1e-3])
    samples = [random.normal(truth, 0.01, (60, 6)) for _ in range(200)]
    plain = np.mean([((sample.mean(axis=0) - truth) ** 2).sum() for sample in samples])
    shrunk = np.mean([((shrunk_mean(sample).mean - truth) ** 2).sum() for sample in samples])
    assert shrunk < 0.6 * plain


def test_an_accrual_knows_its_mean_badly() -> None:
    """The error of an AR(1) mean, by simulation: with ρ = 0.95 the days count as a fortieth of themselves."""
    random, rho, days = np.random.default_rng(2), 0.95, 4000
    series = np.zeros((days, 200))
    shocks = random.normal(0.0, 1.0, (days, 200))
    for day in range(1, days):
        series[day] = rho * series[day - 1] + shocks[day]
    true_error = series.mean(axis=0).std()
    assert np.median(standard_errors(series)) == pytest.approx(true_error, rel=0.2)
    assert standard_errors(shocks) == pytest.approx(np.full(200, days**-0.5), rel=0.1)


def test_means_that_cannot_be_shrunk_stay() -> None:
    assert shrunk_mean(book(3)).intensity == 0.0
    assert shrunk_mean(book(2), target=0.0).intensity == 0.0
    constant = shrunk_mean(np.tile([1e-4, 2e-4, 3e-4, 4e-4], (60, 1)))
    assert constant.intensity == 0.0
    assert constant.mean == pytest.approx([1e-4, 2e-4, 3e-4, 4e-4])
    with pytest.raises(Undefined):
        shrunk_mean(np.zeros((1, 5)))
    with pytest.raises(ValueError, match=r"returns\[0, 1\]"):
        shrunk_mean(np.array([[0.0, np.nan], [0.0, 0.0]]))
