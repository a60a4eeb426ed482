"""Tail losses and drawdown of many return series at once, for ``tools.metrics`` and ``tools.risk.measures``.

Losses are positive. Each row is computed on its own and in a fixed order, so a figure does not depend on the rows
beside it.
"""

from __future__ import annotations

import math

import numpy as np

from tools.units import FloatArray

# The drawdown is a recursion over days. Taken day by day across many strategies it runs on whole vectors; these sizes
# keep the transposed piece (32 days of 2048 strategies, 512 KB) in the second-level cache.
_STRATEGIES, _DAYS = 2048, 32


def tail_size(days: int, confidence: float) -> float:
    """Return the number of days in the tail, (1 − confidence) · days, in general a fraction: 18.25 for a year at 95 %.

    A product that is an integer but for float rounding is that integer: (1 − 0.95) · 100 is 5, not 5.000000000000004.
    Raise ValueError unless 0 < confidence < 1.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    size = (1.0 - confidence) * days
    nearest = float(round(size))
    return nearest if nearest >= 1.0 and abs(size - nearest) < 1e-9 else size


def worst_returns(scratch: FloatArray, count: int) -> FloatArray:
    """Return the ``count`` lowest returns of each row of ``scratch`` (n_strategies, n_days), ascending; reorder it.

    They are sorted because a partition leaves them in an order that depends on the processor, and sums depend on the
    order.
    """
    scratch.partition(count - 1, axis=1)
    return np.sort(scratch[:, :count], axis=1)


def tail_losses(worst: FloatArray, size: float) -> tuple[FloatArray, FloatArray]:
    """Return historical VaR and CVaR, each (n_strategies,), from the floor(size) + 1 lowest returns of each row.

    VaR is the order statistic L_(⌈αT⌉) of the ascending losses, without interpolation. CVaR is the mean of the worst
    ``size`` = (1 − α)T days with the last one counted in part: VaR + Σ max(L − VaR, 0) / ((1 − α)T), the minimum over
    ζ of Rockafellar & Uryasev (2000), eq. 4, hence equal to what the linear program of ``tools.optimize`` minimises.
    Either may be negative (even the tail earns) and is not cut at 0.
    """
    var = 0.0 - worst[:, -1]
    beyond = worst[:, -1:] - worst
    return var, var + beyond.sum(axis=1) / size


def tail_days(days: int, confidence: float) -> tuple[float, int]:
    """Return the tail's size and how many of the lowest returns VaR and CVaR need: (18.25, 19) for a year at 95 %."""
    size = tail_size(days, confidence)
    return size, min(math.floor(size) + 1, days)


def growth_and_drawdown(returns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the growth Π(1 + r) and the maximum drawdown of each row of (n_strategies, n_days), each (n_strategies,).

    The starting value 1 counts as a peak, so a loss on the first day is a drawdown. Wealth over its running peak
    follows d_t = min(1, d_{t−1}(1 + r_t)): neither wealth nor peak is needed, so it cannot overflow and rounding does
    not pile up from one drawdown to the next. A return below −1 makes the drawdown meaningless: the caller masks such
    rows.
    """
    growth = np.ones(returns.shape[0])
    lowest = np.ones(returns.shape[0])
    for first in range(0, returns.shape[0], _STRATEGIES):
        rows = slice(first, first + _STRATEGIES)
        below_peak = np.ones_like(growth[rows])
        for day in range(0, returns.shape[1], _DAYS):
            factors = np.ascontiguousarray(returns[rows, day : day + _DAYS].T) + 1.0
            with np.errstate(over="ignore"):  # growth beyond the range of floats is infinite
                growth[rows] *= np.multiply.reduce(factors, axis=0)
            below_peak = _advance(factors, below_peak)
            np.minimum(lowest[rows], factors.min(axis=0), out=lowest[rows])
    return growth, 1.0 - lowest


def _advance(factors: FloatArray, below_peak: FloatArray) -> FloatArray:
    """Replace growth factors (n_days, n_strategies) by wealth over its running peak, in place; return the last day."""
    for today in factors:
        np.multiply(today, below_peak, out=today)
        np.minimum(today, 1.0, out=today)
        below_peak = today
    return below_peak
