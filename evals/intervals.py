"""Intervals from resampling: how much a figure would move with other cases of the same kind.

Percentile bootstrap (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13), seeded, so that a report is
the same on every run. It says how much the cases at hand differ, not whether they are the right ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tools.units import FloatArray

DRAWS = 2_000
LEVEL = 0.95
SEED = 20250228

Statistic = Callable[[FloatArray], FloatArray]
"""Maps resamples (n_draws, n_cases) to figures (n_draws,)."""


class Interval(NamedTuple):
    """A figure with the range that holds ``LEVEL`` of its resamples."""

    value: float
    low: float
    high: float


def mean(samples: FloatArray) -> FloatArray:
    """Return the mean of each row (n_draws, n_cases)."""
    return np.asarray(samples.mean(axis=1))


def median(samples: FloatArray) -> FloatArray:
    """Return the median of each row (n_draws, n_cases)."""
    return np.asarray(np.median(samples, axis=1))


def p95(samples: FloatArray) -> FloatArray:
    """Return the 95th percentile of each row (n_draws, n_cases), interpolated linearly."""
    return np.asarray(np.quantile(samples, 0.95, axis=1))


def bootstrap(values: FloatArray, statistic: Statistic = mean) -> Interval:
    """Return a statistic of ``values`` (n_cases,) with its interval; a single value has itself for both ends.

    Raises ValueError for no values, and for NaN or infinity.
    """
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1 or not series.size or not np.isfinite(series).all():
        raise ValueError("values must be one row of finite numbers, at least one")
    random = np.random.Generator(np.random.PCG64(SEED))
    figures = np.sort(statistic(series[random.integers(series.size, size=(DRAWS, series.size))]))
    outside = math.floor(DRAWS * (1.0 - LEVEL) / 2.0)
    return Interval(float(statistic(series[None])[0]), float(figures[outside]), float(figures[DRAWS - 1 - outside]))
