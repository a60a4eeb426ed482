"""The thirteen metrics of many strategies at once, in one pass over blocks of rows that stay in the cache.

Sums are numpy's own (``add.reduce``, ``einsum``) and never BLAS: they come out the same whatever the number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.metrics.inputs import (
    DAYS_FOR_RATIOS,
    DAYS_FOR_RETURN,
    RESIDUE,
    BoolArray,
    checked,
    with_few_distinct,
    without_variance,
)
from tools.metrics.losses import growth_and_drawdown, tail_days, tail_losses, worst_returns
from tools.units import DAYS_PER_YEAR, FloatArray, daily_return

RETURN_METRICS = (
    "annual_return", "annual_volatility", "sharpe", "sortino", "max_drawdown", "var_95", "cvar_95", "calmar",
    "alpha", "beta", "skewness", "kurtosis", "omega",
)  # fmt: skip

_CONFIDENCE = 0.95
_BLOCK = 32_768  # returns to a block: two work arrays of 256 KB beside the block itself


@dataclass(frozen=True, slots=True)
class _Benchmark:
    """The benchmark's daily mean, its deviations from it (n_days,), and whether it varies at all."""

    mean: float
    deviations: FloatArray
    varies: bool


class _Sums(NamedTuple):
    """What the rows add up to, each (n_strategies,): deviations from the mean, days around the threshold, the tail."""

    mean: FloatArray
    squares: FloatArray
    cubes: FloatArray
    fourths: FloatArray
    with_benchmark: FloatArray
    excess: FloatArray
    shortfall: FloatArray
    shortfall_squares: FloatArray
    worst: FloatArray
    var: FloatArray
    cvar: FloatArray


def compute_metrics(
    returns: npt.ArrayLike, benchmark: npt.ArrayLike, risk_free_rate: float = 0.0
) -> dict[str, FloatArray]:
    """Compute the thirteen return metrics of every strategy.

    ``returns`` (n_strategies, n_days) and ``benchmark`` (n_days,) are simple daily returns (0.001 is 0.1 %),
    ``risk_free_rate`` a fraction per year, taken per day as θ = (1 + rate)^(1/365) − 1. Returns one array
    (n_strategies,) for each key of ``RETURN_METRICS``; losses are positive, a year has 365 days (T days in the
    window):

    - ``annual_return`` Π(1 + r)^(365/T) − 1; ``annual_volatility`` std (ddof 1) · √365
    - ``sharpe`` (mean − θ) / std · √365; ``sortino`` the same over √(Σ min(r − θ, 0)² / T), all T days counted
      (Sortino & van der Meer 1991); ``omega`` Σ max(r − θ, 0) / Σ max(θ − r, 0) (Keating & Shadwick 2002)
    - ``max_drawdown`` compounded, the starting value counts as a peak; ``calmar`` annual_return / max_drawdown (Young
      1991)
    - ``var_95`` the order statistic L_(⌈0.95 T⌉), ``cvar_95`` the exact fractional tail mean (Rockafellar & Uryasev
      2000)
    - ``beta`` cov / var with the same ddof; ``alpha`` ((mean − θ) − β(mean_b − θ)) · 365 (Jensen 1968), arithmetic
    - ``skewness``, ``kurtosis`` of the population, kurtosis in excess of the normal's 3

    Missing values: a figure that is undefined is NaN, never infinite; ``missing_reasons`` says why. That is
    ``annual_return`` below 30 days; ``sharpe``, ``sortino``, ``calmar``, ``alpha``, ``beta`` below 60;
    ``annual_volatility`` below 2; ``sharpe`` of fewer than ten distinct returns; ``sharpe``, ``skewness``,
    ``kurtosis`` where std ≤ max(1e-12, 1e-8 · |mean|), and ``alpha``, ``beta`` where that holds of the benchmark;
    ``sortino``, ``omega`` without a day below θ (a downside deviation of at most 1e-12 is rounding); ``calmar``
    without a drawdown (at most 1e-12); ``annual_return``, ``max_drawdown``, ``calmar`` where a day loses more than
    everything (r < −1); and whatever leaves the range of floats.

    Raises ValueError for NaN or infinity in the input (naming where), for shapes that do not fit, for a rate that is
    not finite or not above −1. The input is not changed.
    """
    rows, reference = checked_pair(returns, benchmark)
    if not (math.isfinite(risk_free_rate) and risk_free_rate > -1.0):
        raise ValueError(f"risk_free_rate must be a finite fraction above -1, not {risk_free_rate}")
    threshold = daily_return(float(risk_free_rate))
    with np.errstate(all="ignore"):  # what is undefined is masked below, by rule and not by accident
        market = _benchmark(reference)
        sums = _sums(rows, market, threshold)
        metrics = _from_sums(sums, rows, market, threshold) | _from_wealth(rows, sums.worst < -1.0)
    return {
        key: _given(np.isfinite(metrics[key]), metrics[key]) + 0.0 for key in RETURN_METRICS
    }  # + 0.0: no minus zero


def checked_pair(returns: npt.ArrayLike, benchmark: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Check strategies (n_strategies, n_days) and benchmark (n_days,) as ``checked`` does, and that the days agree."""
    rows, reference = checked(returns, "returns", 2), checked(benchmark, "benchmark", 1)
    if reference.shape[0] != rows.shape[1]:
        raise ValueError(f"benchmark has {reference.shape[0]} days, returns have {rows.shape[1]}")
    return rows, reference


def _benchmark(returns: FloatArray) -> _Benchmark:
    mean = np.add.reduce(returns) / returns.shape[0]
    deviations = returns - mean
    return _Benchmark(
        float(mean), deviations, not without_variance(_std(_dot(deviations, deviations), returns.shape[0]), mean)
    )


def _dot(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("...j,...j->...", left, right))


def _std(squares: FloatArray, days: int) -> FloatArray:
    """Return the standard deviation (ddof 1) from a sum of squared deviations; NaN for a single day."""
    return np.asarray(np.sqrt(squares / (days - 1))) if days > 1 else np.full_like(squares, np.nan)


def _sums(returns: FloatArray, benchmark: _Benchmark, threshold: float) -> _Sums:
    """Go over blocks of rows that fit the cache; a row's sums do not depend on its block."""
    strategies, days = returns.shape
    height = max(1, _BLOCK // days)
    scratch = np.empty((2, min(height, strategies), days))
    blocks = (returns[first : first + height] for first in range(0, max(strategies, 1), height))
    parts = [_block_sums(block, benchmark.deviations, threshold, *scratch[:, : block.shape[0]]) for block in blocks]
    return _Sums(*map(np.concatenate, zip(*parts, strict=True)))


def _block_sums(
    block: FloatArray, benchmark: FloatArray, threshold: float, deviations: FloatArray, work: FloatArray
) -> _Sums:
    """Return the sums of one block (n_rows, n_days); the last two arguments are scratch of its shape."""
    mean = np.add.reduce(block, axis=1) / block.shape[1]
    np.subtract(block, mean[:, None], out=deviations)
    np.multiply(deviations, deviations, out=work)
    powers = np.add.reduce(work, axis=1), _dot(work, deviations), _dot(work, work), _dot(deviations, benchmark)
    np.subtract(block, threshold, out=work)
    excess = np.add.reduce(work, axis=1)
    np.minimum(work, 0.0, out=work)
    shortfall = np.add.reduce(work, axis=1), _dot(work, work)
    np.copyto(work, block)
    size, count = tail_days(block.shape[1], _CONFIDENCE)
    lowest = worst_returns(work, count)
    return _Sums(mean, *powers, excess, *shortfall, lowest[:, 0], *tail_losses(lowest, size))


def _from_sums(sums: _Sums, returns: FloatArray, benchmark: _Benchmark, threshold: float) -> dict[str, FloatArray]:
    """Turn the sums into every metric but those of compounded wealth; what is undefined is NaN or infinite."""
    days = returns.shape[1]
    std = _std(sums.squares, days)
    flat = without_variance(std, sums.mean) | (days < 2)
    downside = np.sqrt(sums.shortfall_squares / days)
    excess, variance, long = sums.mean - threshold, sums.squares / days, days >= DAYS_FOR_RATIOS
    beta = _given(long and benchmark.varies, sums.with_benchmark / _dot(benchmark.deviations, benchmark.deviations))
    return {
        "annual_volatility": std * math.sqrt(DAYS_PER_YEAR),
        "sharpe": _given(long & ~flat & ~with_few_distinct(returns), excess / std * math.sqrt(DAYS_PER_YEAR)),
        "sortino": _given(long & (downside > RESIDUE), excess / downside * math.sqrt(DAYS_PER_YEAR)),
        "omega": _given(downside > RESIDUE, (sums.excess - sums.shortfall) / -sums.shortfall),
        "var_95": sums.var,
        "cvar_95": sums.cvar,
        "beta": beta,
        "alpha": (excess - beta * (benchmark.mean - threshold)) * DAYS_PER_YEAR,
        "skewness": _given(~flat, sums.cubes / days / variance**1.5),
        "kurtosis": _given(~flat, sums.fourths / days / variance**2 - 3.0),
    }


def _from_wealth(returns: FloatArray, ruined: BoolArray) -> dict[str, FloatArray]:
    """Return annual return, drawdown and Calmar; NaN for the rows where a day loses more than everything."""
    days = returns.shape[1]
    growth, drawdown = growth_and_drawdown(returns)
    annual = _given(~ruined & (days >= DAYS_FOR_RETURN), growth ** (DAYS_PER_YEAR / days) - 1.0)
    return {
        "annual_return": annual,
        "max_drawdown": _given(~ruined, drawdown),
        "calmar": _given((days >= DAYS_FOR_RATIOS) & (drawdown > RESIDUE), annual / drawdown),
    }


def _given(defined: BoolArray | bool, values: FloatArray) -> FloatArray:
    return np.where(defined, values, np.nan)
