"""What weights came to: the yields that pools went on to pay, held to the end without a hand laid on them.

A chart's APY of a day is taken as paid on that day. It holds no price, no exploit and no exit: what is measured here is
carry alone, and of pools that the record still has.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.market.quality import MAX_APY, MAX_GAP_DAYS
from tools.market.snapshot import RawRow
from tools.metrics.inputs import checked
from tools.risk.measures import conditional_value_at_risk
from tools.units import DAYS_PER_YEAR, FloatArray, daily_return, from_percent

BLOCK_DAYS = 10
DRAWS = 2_000
_STREAM = 20_240_930  # of the bootstrap: the same resamples on every machine

IndexArray = npt.NDArray[np.int64]


class Paid(NamedTuple):
    """What a pool paid on each day, APYs of shape (n_days,), and for how many days it had then been silent, (n_days,).

    A day that reports has 0. Up to ``longest_gap_days`` silent days take the last value (``carried``); later ones, and
    those before the first report, count as 0 (``unpaid``).
    """

    apy: FloatArray
    silent: IndexArray
    longest_gap_days: int = MAX_GAP_DAYS

    @property
    def carried(self) -> int:
        """Return the number of days that took the last value."""
        return int(((self.silent > 0) & (self.silent <= self.longest_gap_days)).sum())

    @property
    def unpaid(self) -> int:
        """Return the number of days that earned nothing for want of a report."""
        return int((self.silent > self.longest_gap_days).sum())


class Cost(NamedTuple):
    """What holding costs beside events: gas and leaving once, dilution per year, fractions of the money."""

    gas: float
    leaving: float
    dilution: float


class Outcome(NamedTuple):
    """What was earned over ``days`` days.

    ``gross_apy`` and ``net_apy`` are annualised: growth^(365/days) − 1; net of gas and of leaving, both paid in full,
    and of the own deposit's dilution, None where these are not known. ``volatility`` (ddof 1) and ``cvar_95`` are of
    the ``returns`` (n_days,) of a day, a gain in the worst days being negative. ``carried`` and ``unpaid`` count
    pool-days.
    """

    days: int
    gross_apy: float
    net_apy: float | None
    volatility: float
    cvar_95: float
    carried: int
    unpaid: int
    returns: FloatArray


class Interval(NamedTuple):
    """A mean, or another figure in its place, with the range that holds ``level`` of its resamples."""

    mean: float
    low: float
    high: float
    level: float


def paid(chart: Sequence[RawRow], decided: dt.date, days: int, longest_gap_days: int = MAX_GAP_DAYS) -> Paid:
    """Read what a pool paid on the ``days`` days after ``decided``; of several rows of a day the last one counts.

    A rate outside [0, 1000 %] or that is no finite number is no rate. Days without one take the last rate (that of the
    decision's day or the three before it included) for at most ``longest_gap_days``, then 0: money in a pool that no
    longer reports is taken to earn nothing.
    """
    rates = rates_of(chart)
    last, age = _known_on(rates, decided)
    apy, silent = np.zeros(days), np.zeros(days, dtype=np.int64)
    for day in range(days):
        rate = rates.get((decided + dt.timedelta(days=day + 1)).isoformat())
        age = 0 if rate is not None else age + 1
        if rate is not None:
            last = rate
        apy[day], silent[day] = (last if age <= longest_gap_days else 0.0), age
    return Paid(apy, silent, longest_gap_days)


def _known_on(rates: Mapping[str, float], day: dt.date) -> tuple[float, int]:
    """Return the last rate at the end of a day with its age in days; 0 and an age beyond what is carried without."""
    for age in range(MAX_GAP_DAYS + 1):
        rate = rates.get((day - dt.timedelta(days=age)).isoformat())
        if rate is not None:
            return rate, age
    return 0.0, MAX_GAP_DAYS


def rates_of(chart: Sequence[RawRow]) -> dict[str, float]:
    """Return the usable APYs of a chart by day; a rate outside [0, 1000 %] or that is no finite number is none."""
    rates: dict[str, float] = {}
    for row in chart:
        stamp, percent = row.get("timestamp"), row.get("apy")
        usable = isinstance(percent, float | int) and not isinstance(percent, bool) and 0.0 <= percent <= 100 * MAX_APY
        if isinstance(stamp, str) and usable:
            assert percent is not None
            rates[stamp[:10]] = from_percent(percent)
    return rates


def portfolio_returns(apys: Sequence[FloatArray], weights: Sequence[float]) -> FloatArray:
    """Return the daily returns (n_days,) of money laid out by ``weights`` and then left alone.

    ``apys`` are one array (n_days,) per pool; interest stays where it arose, so that the shares drift.
    """
    growth = np.cumprod(1.0 + daily_return(np.array(apys)), axis=1)
    wealth = np.einsum("i,it->t", np.asarray(weights, dtype=np.float64), growth)
    before = np.concatenate([[math.fsum(weights)], wealth[:-1]])
    return np.asarray(wealth / before - 1.0)


def outcome(
    weights: Mapping[str, float], charts: Mapping[str, Sequence[RawRow]], decided: dt.date, days: int, cost: Cost | None
) -> Outcome:
    """Hold ``weights`` (by pool id, adding up to 1) from the end of ``decided`` for ``days`` days.

    ``charts`` need a pool's rows of these days and of the four up to ``decided``; a pool without a chart earns nothing.
    Raises ValueError for weights that do not add up to 1.
    """
    if abs(math.fsum(weights.values()) - 1.0) > 1e-9:
        raise ValueError(f"weights must add up to 1, not {math.fsum(weights.values())}")
    pools = sorted(weights)
    got = [paid(charts.get(pool, ()), decided, days) for pool in pools]
    returns = portfolio_returns([one.apy for one in got], [weights[pool] for pool in pools])
    growth = float(np.prod(1.0 + returns))
    per_year = DAYS_PER_YEAR / days
    return Outcome(
        days=days,
        gross_apy=growth**per_year - 1.0,
        net_apy=None if cost is None else (growth - cost.gas - cost.leaving) ** per_year - 1.0 - cost.dilution,
        volatility=float(returns.std(ddof=1)),
        cvar_95=float(conditional_value_at_risk(returns, 0.95)),
        carried=sum(one.carried for one in got),
        unpaid=sum(one.unpaid for one in got),
        returns=returns,
    )


def turnover(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return the share of the money that has to move: ½ Σ |Δ weight| over all pools of either."""
    return math.fsum(abs(after.get(pool, 0.0) - before.get(pool, 0.0)) for pool in sorted({*before, *after})) / 2.0


def bootstrap_mean(
    values: FloatArray, block_days: int = BLOCK_DAYS, draws: int = DRAWS, level: float = 0.9
) -> Interval:
    """Return the mean of a daily series (n_days,) with an interval from a circular block bootstrap.

    Blocks keep what neighbouring days share (Politis & Romano 1992). One window holds few blocks, and nothing of what
    other months would have brought: the interval says how much one month of days can tell, not how certain the method
    is. Raises ValueError for NaN, infinity or a series shorter than two blocks.
    """
    series = checked(values, "values", 1)
    if series.size < 2 * block_days:
        raise ValueError(f"values: {series.size} days are fewer than two blocks of {block_days}")
    means = np.add.reduce(series[block_places(series.size, block_days, draws)], axis=1) / series.size
    return interval(math.fsum(series) / series.size, means, level)


def block_places(days: int, block_days: int, draws: int) -> IndexArray:
    """Return the days (n_draws, n_days) that each resample of a circular block bootstrap takes, in their order.

    Several series read at the same places are resampled in pairs: what they shared on a day they share in each draw.
    """
    random = np.random.Generator(np.random.PCG64(_STREAM))
    starts = random.integers(days, size=(draws, math.ceil(days / block_days)))
    return np.asarray((starts[:, :, None] + np.arange(block_days)).reshape(draws, -1)[:, :days] % days)


def interval(value: float, resamples: FloatArray, level: float) -> Interval:
    """Return a figure with the range that holds ``level`` of its ``resamples`` (n_draws,)."""
    ordered = np.sort(resamples)
    outside = round(ordered.size * (1.0 - level) / 2.0)
    return Interval(value, float(ordered[outside]), float(ordered[ordered.size - 1 - outside]), level)
