"""Return, volatility and Sharpe ratio of daily returns, how far they move from resample to resample, and luck.

Rates are fractions per year, volatility is std (ddof 1) · √365, the Sharpe ratio (mean − θ)/std · √365 with θ the
risk-free rate of a day: the definitions of ``tools.metrics``, over the last axis of arrays of any shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from evals.outcomes import DRAWS, Interval, block_places, interval
from tools.metrics.sharpe import deflated_sharpe, lo_factor
from tools.units import DAYS_PER_YEAR, FloatArray, daily_return

BLOCK_DAYS = 30  # a holding period; rates move slowly, so that short blocks would call them certain
LEVEL = 0.95
SPAN_DAYS = 30  # of the Sharpe ratio by Lo: of a month, as a year of days holds no second year to correlate with


class Figures(NamedTuple):
    """Of one series of returns; ``over_staking`` is the Sharpe ratio over what plain staking earned on the same days.

    ``sharpe`` and ``sharpe_lo`` are over 0: the second with Lo's correction for days that hang together. ``deflated``
    is the probability that the ratio over staking is no luck of the best of all trials. None where undefined.
    """

    annual_return: float
    volatility: float
    sharpe: float | None
    sharpe_lo: float | None
    over_staking: float | None
    deflated: float | None


class Difference(NamedTuple):
    """What one strategy has more than another, each with the range of ``LEVEL`` of the paired resamples."""

    annual_return: Interval
    volatility: Interval
    sharpe: Interval
    over_staking: Interval


def annual_return(returns: FloatArray) -> FloatArray:
    """Return growth^(365/days) − 1 over the last axis."""
    return np.asarray(np.expm1(np.log1p(returns).sum(axis=-1) * DAYS_PER_YEAR / returns.shape[-1]))


def volatility(returns: FloatArray) -> FloatArray:
    """Return std (ddof 1) · √365 over the last axis."""
    return np.asarray(returns.std(axis=-1, ddof=1) * math.sqrt(DAYS_PER_YEAR))


def sharpe(returns: FloatArray, risk_free: float = 0.0) -> FloatArray:
    """Return (mean − θ)/std · √365 over the last axis; NaN or infinite where nothing varies."""
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = returns.mean(axis=-1) - daily_return(risk_free)
        return np.asarray(excess / returns.std(axis=-1, ddof=1) * math.sqrt(DAYS_PER_YEAR))


def sharpe_lo(returns: FloatArray, risk_free: float = 0.0) -> float | None:
    """Return the yearly ratio of one series (n_days,) made from monthly ones, with Lo's η(30); None where undefined."""
    factor = float(lo_factor(returns[None], SPAN_DAYS)[0])
    value = float(sharpe(returns, risk_free)) / math.sqrt(DAYS_PER_YEAR) * factor * math.sqrt(DAYS_PER_YEAR / SPAN_DAYS)
    return _known(value)


def figures(returns: FloatArray, staking: float, trials: Sequence[FloatArray], tried: int) -> Figures:
    """Return the figures of one series (n_days,).

    ``staking`` is the risk-free rate; ``trials`` are the returns of all strategies tried on the same days and ``tried``
    how many were tried in all: a ratio is deflated by the variance of the former and the number of the latter.
    """
    rows = np.vstack([returns, *trials])
    variance = np.var(sharpe(rows[1:], staking) / math.sqrt(DAYS_PER_YEAR), ddof=1) if len(trials) > 1 else 0.0
    return Figures(
        float(annual_return(returns)),
        float(volatility(returns)),
        _known(float(sharpe(returns))),
        sharpe_lo(returns),
        _known(float(sharpe(returns, staking))),
        _known(float(deflated_sharpe(returns[None], tried, float(variance), staking)[0])),
    )


def range_of(
    returns: FloatArray,
    measure: Callable[[FloatArray], FloatArray],
    block_days: int = BLOCK_DAYS,
    draws: int = DRAWS,
) -> Interval:
    """Return a measure of one series (n_days,) with the range of ``LEVEL`` of its block resamples.

    Raises ValueError for a series shorter than two blocks.
    """
    if returns.ndim != 1 or returns.size < 2 * block_days:
        raise ValueError(f"a series of at least {2 * block_days} days, not {returns.shape}")
    return interval(float(measure(returns)), measure(returns[block_places(returns.size, block_days, draws)]), LEVEL)


def difference(
    own: FloatArray, rival: FloatArray, staking: float, block_days: int = BLOCK_DAYS, draws: int = DRAWS
) -> Difference:
    """Return what ``own`` has more than ``rival`` (n_days,), resampled in pairs by blocks of days.

    Raises ValueError for series of different lengths or shorter than two blocks.
    """
    if own.shape != rival.shape or own.ndim != 1 or own.size < 2 * block_days:
        raise ValueError(f"two series of the same days, at least {2 * block_days}, not {own.shape} and {rival.shape}")
    places = block_places(own.size, block_days, draws)
    pairs = own[places], rival[places]

    def more(measure: Callable[[FloatArray], FloatArray]) -> Interval:
        return interval(float(measure(own) - measure(rival)), measure(pairs[0]) - measure(pairs[1]), LEVEL)

    return Difference(
        more(annual_return), more(volatility), more(sharpe), more(lambda returns: sharpe(returns, staking))
    )


def sharpe_difference_error(first: float, second: float, correlation: float, years: float) -> float:
    """Return the standard error of the difference of two yearly Sharpe ratios from so many years of daily returns.

    √((2 − 2ρ + ½ (S₁² + S₂² − 2 S₁ S₂ ρ²)/365) / years), for independent normal days: Jobson & Korkie (Journal of
    Finance 36(4), 1981) as corrected by Memmel (Finance Letters 1, 2003), ratios of a day being S/√365. Raises
    ValueError for a correlation outside [−1, 1] or no positive number of years.
    """
    if not (-1.0 <= correlation <= 1.0 and years > 0.0):
        raise ValueError(f"correlation must lie in [-1, 1] and years above 0, not {correlation} and {years}")
    own = (first**2 + second**2 - 2.0 * first * second * correlation**2) / (2.0 * DAYS_PER_YEAR)
    return math.sqrt(max(0.0, 2.0 - 2.0 * correlation + own) / years)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
