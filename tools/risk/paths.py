"""Simulated price paths: where they end and how deep they fall, without ever holding a path in full."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tools.units import DAYS_PER_YEAR, FloatArray

# A chunk's normal numbers (32 days of 2000 paths, 512 KB) stay in the second-level cache. The numbers of a chunk are a
# stream of their own, so these two are part of what a seed means: changing them changes every simulated figure.
_PATHS, _DAYS = 2000, 32


def simulate_gbm(
    mu: float, sigma: float, *, horizon_days: int, seed: int, paths: int = 100_000, workers: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Simulate geometric Brownian motion day by day; return terminal wealth and maximum drawdown, each (paths,).

    ``mu`` is the drift and ``sigma`` the volatility of the price, both per year of 365 days (0.8 is 80 %), so the
    logarithm moves by (μ − σ²/2)/365 + σ/√365 · Z a day and E[W_T] = exp(μ · horizon_days / 365) (Glasserman 2003,
    Monte Carlo Methods in Financial Engineering, eq. 3.21). Wealth starts at 1. The drawdown is a fraction in [0, 1),
    seen at the days' ends; the starting value counts as a peak.

    Every 2000 paths draw from a child of their own of ``SeedSequence(seed)``: the same arguments give the same result
    to the last bit, whatever the number of ``workers`` (threads). Raises ValueError for a drift or volatility that is
    not finite, a negative volatility or seed, and for less than one day, path or worker.
    """
    _check(mu, sigma, horizon_days, paths, workers)
    drift, scale = (mu - sigma * sigma / 2.0) / DAYS_PER_YEAR, sigma / math.sqrt(DAYS_PER_YEAR)
    firsts = range(0, paths, _PATHS)
    children = np.random.SeedSequence(seed).spawn(len(firsts))
    total, lowest = np.empty(paths), np.empty(paths)

    def simulate(first: int, child: np.random.SeedSequence) -> None:
        part = slice(first, first + _PATHS)
        _chunk(np.random.Generator(np.random.SFC64(child)), drift, scale, horizon_days, total[part], lowest[part])

    if workers == 1:
        for first, child in zip(firsts, children, strict=True):
            simulate(first, child)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(simulate, firsts, children))  # the list raises what a thread raised
    return np.exp(total, out=total), 0.0 - np.expm1(lowest, out=lowest)


def _check(mu: float, sigma: float, horizon_days: int, paths: int, workers: int) -> None:
    if not math.isfinite(mu):
        raise ValueError(f"mu must be a finite drift per year, not {mu}")
    if not (math.isfinite(sigma) and sigma >= 0.0):
        raise ValueError(f"sigma must be a finite volatility per year of at least 0, not {sigma}")
    for name, count in (("horizon_days", horizon_days), ("paths", paths), ("workers", workers)):
        if count < 1:
            raise ValueError(f"{name} must be at least 1, not {count}")


def _chunk(
    random: np.random.Generator, drift: float, scale: float, days: int, total: FloatArray, lowest: FloatArray
) -> None:
    """Write the log wealth after ``days`` and the lowest log of wealth over its running peak, both (n_paths,).

    Log wealth below its peak follows d_t = min(0, d_{t−1} + x_t), which needs neither the wealth nor the peak. Days
    are rows: each step is one operation on a whole vector of paths.
    """
    total.fill(0.0)
    lowest.fill(0.0)
    below_peak = np.zeros_like(total)
    buffer = np.empty((min(_DAYS, days), total.shape[0]))
    for first in range(0, days, _DAYS):
        steps = buffer[: days - first]
        random.standard_normal(out=steps)
        steps *= scale
        steps += drift
        total += np.add.reduce(steps, axis=0)
        for today in steps:
            today += below_peak
            np.minimum(today, 0.0, out=today)
            below_peak = today
        np.minimum(lowest, np.minimum.reduce(steps, axis=0), out=lowest)
        below_peak = below_peak.copy()  # the buffer is about to be written again
