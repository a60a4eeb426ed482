"""The forecasts that anything heavier has to beat: today's value, a smoothed one, and a return to the mean.

With x_1 … x_n the APYs of a history and h = 1, 2, … the days ahead:

``last``  x_n: "tomorrow equals today".
``ewma``  s_n on every day ahead, s_t = α x_t + (1 − α) s_{t−1}, α = 0.2, s_0 = the median of the first 7 days, so that
          a spike on the first day does not linger (Brown, Statistical Forecasting for Inventory Control, 1959). Written
          out: s_n = Σ_k α (1 − α)^k x_{n−k} + (1 − α)^n s_0, one product of a matrix with a vector.
``ar1``   μ + φ^h (y − μ) with φ from ordinary least squares of x_t on x_{t−1}, φ = S_xy / S_xx over the n − 1 pairs,
          held within [0, 0.999] so that the forecast neither swings nor explodes; μ = (m_1 − φ m_0)/(1 − φ) from the
          means of the pairs, held within the smallest and the largest APY of the history; y the median of the last 3
          days, so that today's spike is not taken for the level (Hamilton, Time Series Analysis, 1994, chapter 8).
          Where x did not move, or within rounding of that, there is no φ: the forecast is ``last``.

All three work on the APY itself, not on its logarithm: measured on the recorded market in ``docs/forecasts.md``. None
goes below zero as long as the history does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from tools.units import FloatArray

Baseline = Literal["last", "ewma", "ar1"]

ALPHA = 0.2
START_DAYS = 7
LEVEL_DAYS = 3
MOST_PERSISTENT = 0.999
LEAST_DAYS = 10  # a slope of fewer pairs is noise
STILL = 1e-8  # as in tools.market.features: the feed gives APYs in steps of 1e-7


def last_value(histories: FloatArray, horizon_days: int) -> FloatArray:
    """Forecast the last APY of each history (n_series, n_days) for every day ahead: (n_series, horizon_days)."""
    return _flat(_checked(histories, horizon_days)[:, -1], horizon_days)


def ewma(histories: FloatArray, horizon_days: int, alpha: float = ALPHA) -> FloatArray:
    """Forecast the exponentially weighted mean of each history (n_series, n_days): (n_series, horizon_days).

    Raises ValueError unless 0 < alpha ≤ 1, and as ``_checked``.
    """
    if not 0.0 < alpha <= 1.0:
        raise ValueError(f"alpha must lie above 0 and not above 1, not {alpha}")
    series = _checked(histories, horizon_days)
    days = series.shape[1]
    weights = alpha * (1.0 - alpha) ** np.arange(days - 1, -1, -1)
    start = np.median(series[:, :START_DAYS], axis=1)
    return _flat(np.einsum("ij,j->i", series, weights) + (1.0 - alpha) ** days * start, horizon_days)


def ar1(histories: FloatArray, horizon_days: int) -> FloatArray:
    """Forecast the return of each history (n_series, n_days) to its mean: (n_series, horizon_days).

    See the top of this module; series that ``ar1_reason`` gives a reason for are forecast by their last value.
    """
    series = _checked(histories, horizon_days)
    level = np.median(series[:, -LEVEL_DAYS:], axis=1)
    mean, slope = ar1_fit(series)
    powers = slope[:, None] ** np.arange(1, horizon_days + 1)
    ahead = mean[:, None] + powers * (level - mean)[:, None]
    return np.where(_unfit(series)[:, None], series[:, -1:], ahead)


def ar1_fit(series: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean that each row (n_series, n_days) goes back to, and its slope φ, each (n_series,).

    Rows that never moved have their last value and φ = 0.
    """
    pairs = max(1, series.shape[1] - 1)
    before, after = series[:, :-1], series[:, 1:]
    mean_before, mean_after = (np.add.reduce(part, axis=1) / pairs for part in (before, after))
    deviation = before - mean_before[:, None]
    squares = np.einsum("ij,ij->i", deviation, deviation)
    products = np.einsum("ij,ij->i", deviation, after)  # Σ deviation = 0: the mean of ``after`` drops out
    unfit = _unfit(series)
    slope = np.clip(products / np.where(unfit, 1.0, squares), 0.0, MOST_PERSISTENT)
    mean = (mean_after - slope * mean_before) / (1.0 - slope)
    bounded = np.clip(mean, series.min(axis=1), series.max(axis=1))
    return np.where(unfit, series[:, -1], bounded), np.where(unfit, 0.0, slope)


def ar1_reason(history: FloatArray) -> str | None:
    """Say why a history (n_days,) has no AR(1) of its own and is forecast by its last value; None where it has."""
    if history.size < LEAST_DAYS:
        return f"fewer than {LEAST_DAYS} days of history"
    return "the APY never changed" if bool(_unfit(history[None, :])[0]) else None


BASELINES: dict[Baseline, Callable[[FloatArray, int], FloatArray]] = {"last": last_value, "ewma": ewma, "ar1": ar1}


def _checked(histories: npt.ArrayLike, horizon_days: int) -> FloatArray:
    """Return the histories as an array; raises ValueError for another shape, no day, no horizon, NaN and infinity."""
    series = np.asarray(histories, dtype=np.float64)
    if series.ndim != 2 or series.shape[1] == 0:
        raise ValueError(f"histories must have shape (n_series, n_days) with at least one day, not {series.shape}")
    if horizon_days < 1:
        raise ValueError(f"horizon_days must be at least 1, not {horizon_days}")
    if not np.isfinite(series).all():
        row, day = (int(place[0]) for place in np.nonzero(~np.isfinite(series)))
        raise ValueError(f"histories[{row}, {day}] is {series[row, day]}: every APY must be a finite number")
    return series


def _unfit(series: FloatArray) -> npt.NDArray[np.bool_]:
    if series.shape[1] < LEAST_DAYS:
        return np.ones(series.shape[0], dtype=bool)
    return np.asarray(np.ptp(series[:, :-1], axis=1) <= STILL)


def _flat(level: FloatArray, horizon_days: int) -> FloatArray:
    return np.repeat(level[:, None], horizon_days, axis=1)
