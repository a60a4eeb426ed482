"""Means and covariances that the methods work on: as the scenarios have them, or shrunk to what all have in common.

A covariance comes as a factor F with F'F = Σ: a variance is then a sum of squares, never negative, and exact where it
is almost nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.metrics.inputs import checked, without_variance
from tools.optimize.problem import Problem
from tools.units import FloatArray

_NOT_SEMIDEFINITE = 1e-8  # of the largest eigenvalue of the correlations: below −this a matrix is no covariance
_BLOCK = 16
_MOST_PERSISTENT = 0.999
_LEAST_SHRINKABLE = 4  # estimates below which shrinking them to their own mean helps nothing (James & Stein 1961)


class Undefined(ValueError):
    """A method's objective means nothing on these data; the message says why. Another method may still do."""


class ShrunkCovariance(NamedTuple):
    """A covariance (n_assets, n_assets) and how far it went towards its target, from 0 to 1."""

    covariance: FloatArray
    intensity: float


class ShrunkMean(NamedTuple):
    """Means (n_assets,) and how far they went towards their target, from 0 to 1."""

    mean: FloatArray
    intensity: float


def scenario_probabilities(problem: Problem) -> FloatArray:
    """Return the probability of each scenario (n_scenarios,), adding up to 1."""
    count = problem.returns.shape[0]
    if problem.probabilities is None:
        return np.full(count, 1.0 / count)
    return np.asarray(problem.probabilities / problem.probabilities.sum())


def covariance_factor(problem: Problem) -> FloatArray:
    """Return F of shape (n_rows, n_assets) with F'F the covariance: as given, or that of the scenarios.

    The sample's rows are √(p_t / (1 − Σp²))·(r_t − mean), which is ddof 1 where all scenarios are alike; an asset that
    varies by no more than float residue gets a column of zeros. Raises ``Undefined`` for a single scenario, ValueError
    for a matrix that is not symmetric or has a clearly negative eigenvalue.
    """
    if problem.covariance is not None:
        return _matrix_factor(problem.covariance)
    chances = scenario_probabilities(problem)
    spare = 1.0 - float((chances * chances).sum())
    if np.count_nonzero(chances) < 2:
        raise Undefined("a covariance needs at least two days of returns, or must be given")
    mean = (chances[:, None] * problem.returns).sum(axis=0)
    rows = np.sqrt(chances / spare)[:, None] * (problem.returns - mean)
    rows[:, without_variance(np.sqrt((rows * rows).sum(axis=0)), mean)] = 0.0
    return np.asarray(rows)


def _matrix_factor(covariance: FloatArray) -> FloatArray:
    """Factor a covariance by Cholesky, or where it is singular by eigenvalues, of which rounding's negatives become 0.

    Both in correlation space, where an asset of tiny volatility is as visible as any other.
    """
    volatility = np.sqrt(np.diag(covariance))
    if np.abs(covariance - covariance.T).max() > _NOT_SEMIDEFINITE * np.abs(covariance).max():
        raise ValueError("covariance must be symmetric")
    scale = np.where(volatility > 0.0, volatility, 1.0)
    correlation = (covariance + covariance.T) / 2.0 / scale[:, None] / scale
    try:
        return np.asarray(np.linalg.cholesky(correlation).T * scale)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(correlation)
    if values[0] < -_NOT_SEMIDEFINITE * max(float(values[-1]), 1.0):
        raise ValueError(f"covariance has a negative eigenvalue: {values[0]:.2e} of its correlations")
    return np.asarray(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T * scale)


def covariance_matrix(problem: Problem, factor: FloatArray) -> FloatArray:
    """Return the covariance (n_assets, n_assets): as given, or F'F of ``covariance_factor``."""
    return gram(factor) if problem.covariance is None else (problem.covariance + problem.covariance.T) / 2.0


def gram(rows: FloatArray) -> FloatArray:
    """Return F'F (n_assets, n_assets) of F (n_rows, n_assets), the same on any number of threads."""
    columns = np.ascontiguousarray(rows.T)
    assets = columns.shape[0]
    result = np.empty((assets, assets))
    for first in range(0, assets, _BLOCK):  # what lies above the diagonal, a block at a time
        last = first + _BLOCK
        result[first:last, first:] = np.einsum("it,jt->ij", columns[first:last], columns[first:])
        result[first:, first:last] = result[first:last, first:].T
    return result


def shrunk_covariance(returns: npt.ArrayLike) -> ShrunkCovariance:
    """Shrink the sample covariance of ``returns`` (n_days, n_assets) towards one correlation for all pairs.

    Ledoit & Wolf, "Honey, I shrunk the sample covariance matrix" (J. Portfolio Management 30(4), 2004), appendix, on
    standardised series: in covariance space the few series of large volatility would decide the intensity for all.
    The result is scaled back by the volatilities (ddof 1). The formula takes days as independent; those of an accrual
    are not, so it shrinks them less than it should.

    A series that does not vary measures no volatility and must not count as safe: it gets the median one, and no
    correlation. Raises ``Undefined`` for a single day, or where no series varies; ValueError for NaN or infinity.
    """
    days = checked(returns, "returns", 2)
    if days.shape[0] < 2:
        raise Undefined("a covariance needs at least two days of returns")
    volatility = days.std(axis=0, ddof=1)
    varies = ~without_variance(volatility, days.mean(axis=0))
    if not varies.any():
        raise Undefined("a covariance needs at least one series that varies")
    moving = days[:, varies]
    standard = (moving - moving.mean(axis=0)) / moving.std(axis=0)
    intensity, correlation = _towards_one_correlation(standard)
    whole = np.eye(days.shape[1])
    whole[np.ix_(varies, varies)] = correlation
    scale = np.where(varies, volatility, np.median(volatility[varies]))
    return ShrunkCovariance(whole * scale[:, None] * scale, intensity)


def _towards_one_correlation(standard: FloatArray) -> tuple[float, FloatArray]:
    """Return intensity and shrunk correlations of standardised series (n_days, n_assets), as in Ledoit & Wolf (2004).

    With unit variances π = Σ AsyVar(c_ij), ρ = Σ π_ii + r̄ Σ_{i≠j} θ_ij, θ_ij = mean(z_i³z_j) − c_ij (the two thetas of
    a pair swap over the double sum), γ = Σ (r̄ − c_ij)²; the intensity is (π − ρ) / γ / T within [0, 1].
    """
    days, assets = standard.shape
    correlation = gram(standard) / days
    np.fill_diagonal(correlation, 1.0)
    if assets == 1:
        return 0.0, correlation
    apart = ~np.eye(assets, dtype=bool)
    common = float(correlation[apart].mean())
    spread = float(((common - correlation[apart]) ** 2).sum())
    squares = np.ascontiguousarray((standard * standard).T)
    noise = np.einsum("it,jt->ij", squares, squares) / days - correlation**2
    cubes, plain = np.ascontiguousarray((standard**3).T), np.ascontiguousarray(standard.T)
    shared = np.einsum("it,jt->ij", cubes, plain) / days - correlation
    excess = float(noise[apart].sum()) - common * float(shared[apart].sum())
    intensity = 1.0 if spread <= 0.0 else min(1.0, max(0.0, excess / spread / days))
    return intensity, np.where(apart, intensity * common + (1.0 - intensity) * correlation, 1.0)


def shrunk_mean(returns: npt.ArrayLike, target: float | None = None) -> ShrunkMean:
    """Shrink the means of ``returns`` (n_days, n_assets) towards ``target``, or their own average.

    The positive-part estimator of James & Stein (1961) in the form of Efron & Morris, "Data analysis using Stein's
    estimator" (JASA 70, 1975), as Jorion (J. Financial and Quantitative Analysis 21, 1986) uses it on portfolios: the
    intensity is (n − 2) / Σz², or (n − 3) / Σz² towards the average, at most 1, z_i the distance of mean i from the
    target in its standard errors. One intensity for all keeps their order.

    A standard error is σ/√T' with T' = T(1 − ρ)/(1 + ρ) ≥ 1, ρ ≥ 0 the series' lag-1 autocorrelation: the days of an
    accrual (ρ about 0.99) tell almost nothing new, and √T would call its mean certain. A series that does not vary has
    the median error of the others. Nothing is shrunk (intensity 0) below three means, four towards their average, or
    where no series varies. Raises ``Undefined`` for a single day, ValueError for NaN or infinity.
    """
    days = checked(returns, "returns", 2)
    if days.shape[0] < 2:
        raise Undefined("the error of a mean needs at least two days of returns")
    mean = days.mean(axis=0)
    errors = standard_errors(days)
    free = mean.size - (_LEAST_SHRINKABLE - 2 if target is not None else _LEAST_SHRINKABLE - 1)
    if free < 1 or not (errors > 0.0).any():
        return ShrunkMean(mean, 0.0)
    centre = float(mean.mean()) if target is None else target
    known = np.where(errors > 0.0, errors, np.median(errors[errors > 0.0]))
    distance = float((((mean - centre) / known) ** 2).sum())
    intensity = min(1.0, free / distance) if distance > 0.0 else 1.0
    return ShrunkMean(centre + (1.0 - intensity) * (mean - centre), intensity)


def standard_errors(returns: FloatArray) -> FloatArray:
    """Return the standard error of each mean (n_assets,) of ``returns`` (n_days, n_assets), 0 where none varies."""
    volatility = returns.std(axis=0, ddof=1)
    varies = ~without_variance(volatility, returns.mean(axis=0))
    away = returns - returns.mean(axis=0)
    lagged = (away[1:] * away[:-1]).sum(axis=0) / np.where(varies, (away * away).sum(axis=0), 1.0)
    persistence = np.clip(lagged, 0.0, _MOST_PERSISTENT)
    effective = np.maximum(returns.shape[0] * (1.0 - persistence) / (1.0 + persistence), 1.0)
    return np.asarray(np.where(varies, volatility / np.sqrt(effective), 0.0))
