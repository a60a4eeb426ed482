"""The thirteen metrics of many strategies at once, from the sums that numpy or the compiled loops take."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tools.metrics.compiled import compiled_sums, is_available
from tools.metrics.inputs import (
    DAYS_FOR_RATIOS,
    DAYS_FOR_RETURN,
    RESIDUE,
    BoolArray,
    check_finite,
    checked,
    shaped,
    with_few_distinct,
    without_variance,
)
from tools.metrics.sums import Sums, dot, numpy_sums
from tools.units import DAYS_PER_YEAR, FloatArray, daily_return

RETURN_METRICS = (
    "annual_return", "annual_volatility", "sharpe", "sortino", "max_drawdown", "var_95", "cvar_95", "calmar",
    "alpha", "beta", "skewness", "kurtosis", "omega",
)  # fmt: skip

# Importing numba and loading the kernels takes about 0.4 s once per process. The compiled sums save about 7 ms per
# million returns, so they are for those who screen many or often; a handful of strategies takes numpy under 1 ms.
_COMPILED_FROM = 1_000_000

Backend = Literal["auto", "numpy", "compiled"]


@dataclass(frozen=True, slots=True)
class _Benchmark:
    """The benchmark's daily mean, its deviations from it (n_days,), and whether it varies at all."""

    mean: float
    deviations: FloatArray
    varies: bool


def compute_metrics(
    returns: npt.ArrayLike, benchmark: npt.ArrayLike, risk_free_rate: float = 0.0, backend: Backend = "auto"
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

    ``backend`` "auto" takes the compiled loops of ``tools.metrics.compiled`` from a million returns on where numba is
    installed, and numpy otherwise; the two agree to 1e-10, and the choice depends on nothing but the size.

    Raises ValueError for NaN or infinity in the input (naming where), for shapes that do not fit, for a rate that is
    not finite or not above −1; ModuleNotFoundError for "compiled" without numba. The input is not changed.
    """
    rows, reference = _shaped_pair(returns, benchmark)
    if not (math.isfinite(risk_free_rate) and risk_free_rate > -1.0):
        raise ValueError(f"risk_free_rate must be a finite fraction above -1, not {risk_free_rate}")
    threshold = daily_return(float(risk_free_rate))
    with np.errstate(all="ignore"):  # what is undefined is masked below, by rule and not by accident
        market = _benchmark(reference)
        sums = _sums(backend, rows)(rows, market.deviations, threshold)
        if not np.isfinite(sums.mean).all():  # a return that is not finite leaves no finite mean: cheaper than to look
            check_finite(rows, "returns")
        metrics = _from_sums(sums, rows, market, threshold) | _from_wealth(sums, rows.shape[1])
    return {
        key: _given(np.isfinite(metrics[key]), metrics[key]) + 0.0 for key in RETURN_METRICS
    }  # + 0.0: no minus zero


def checked_pair(returns: npt.ArrayLike, benchmark: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Check strategies (n_strategies, n_days) and benchmark (n_days,) as ``checked`` does, and that the days agree."""
    rows, reference = _shaped_pair(returns, benchmark)
    check_finite(rows, "returns")
    return rows, reference


def _shaped_pair(returns: npt.ArrayLike, benchmark: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Check all but whether the returns are finite."""
    rows, reference = shaped(returns, "returns", 2), checked(benchmark, "benchmark", 1)
    if reference.shape[0] != rows.shape[1]:
        raise ValueError(f"benchmark has {reference.shape[0]} days, returns have {rows.shape[1]}")
    return rows, reference


def _benchmark(returns: FloatArray) -> _Benchmark:
    mean = np.add.reduce(returns) / returns.shape[0]
    deviations = returns - mean
    return _Benchmark(
        float(mean), deviations, not without_variance(_std(dot(deviations, deviations), returns.shape[0]), mean)
    )


def _sums(backend: Backend, returns: FloatArray) -> Callable[[FloatArray, FloatArray, float], Sums]:
    if backend == "auto":
        backend = "compiled" if returns.size >= _COMPILED_FROM and is_available() else "numpy"
    return compiled_sums if backend == "compiled" else numpy_sums


def _std(squares: FloatArray, days: int) -> FloatArray:
    """Return the standard deviation (ddof 1) from a sum of squared deviations; NaN for a single day."""
    return np.asarray(np.sqrt(squares / (days - 1))) if days > 1 else np.full_like(squares, np.nan)


def _from_sums(sums: Sums, returns: FloatArray, benchmark: _Benchmark, threshold: float) -> dict[str, FloatArray]:
    """Turn the sums into every metric but those of compounded wealth; what is undefined is NaN or infinite."""
    days = returns.shape[1]
    std = _std(sums.squares, days)
    flat = without_variance(std, sums.mean) | (days < 2)
    downside = np.sqrt(sums.shortfall_squares / days)
    excess, variance, long = sums.mean - threshold, sums.squares / days, days >= DAYS_FOR_RATIOS
    beta = _given(long and benchmark.varies, sums.with_benchmark / dot(benchmark.deviations, benchmark.deviations))
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


def _from_wealth(sums: Sums, days: int) -> dict[str, FloatArray]:
    """Return annual return, drawdown and Calmar; NaN for the rows where a day loses more than everything."""
    ruined, drawdown = sums.worst < -1.0, sums.drawdown
    annual = _given(~ruined & (days >= DAYS_FOR_RETURN), sums.growth ** (DAYS_PER_YEAR / days) - 1.0)
    return {
        "annual_return": annual,
        "max_drawdown": _given(~ruined, drawdown),
        "calmar": _given((days >= DAYS_FOR_RATIOS) & (drawdown > RESIDUE), annual / drawdown),
    }


def _given(defined: BoolArray | bool, values: FloatArray) -> FloatArray:
    return np.where(defined, values, np.nan)
