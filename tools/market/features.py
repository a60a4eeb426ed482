"""What a pool's history says beside its yield: pattern, steadiness, liquidity, and how it moves with its market.

Over the window (at most the 365 days that end on the day of the decision), with x_t the APY of day t, v_t the TVL and
m_t the median APY of the asset's eligible pools:

``days``                     days in the window.
``apy_mean``                 mean of x.
``apy_volatility``           standard deviation of x with n − 1, in APY points as a fraction. The daily level, not the
                             returns: an APY is a rate that persists, so no √365 belongs here (Lo 2002).
``apy_trend``                30 × the median of (x_j − x_i)/(j − i) over all pairs i < j of the last 30 days: what the
                             APY changes by in 30 days (Theil 1950; Sen 1968). One bad day does not move it.
``persistence``              Σ (x_t − x̄)(x_{t−1} − x̄) / Σ (x_t − x̄)², the lag-1 autocorrelation (Box & Jenkins 1976,
                             section 2.1.6): near 1, tomorrow's APY is today's; near 0, today's says nothing.
``spikes``                   days with x_t ≥ 3 × the median of the 30 days before and a percentage point above it; days
                             without 30 days of the window before them are not tested. The checks of
                             ``tools.market.quality`` have already taken out the wildest: these are what is left.
``reward_share``             reward APY / APY of the day, at most 1.
``tvl_change_30d``           v_n / v_{n−30} − 1.
``tvl_worst_day``            the largest fall (v_{t−1} − v_t)/v_{t−1} from one day to the next, 0 where it never fell. A
                             day on which the feed lost sight of the pool looks the same as a flight.
``correlation_with_median``  Pearson's correlation of x_t − x_{t−1} with m_t − m_{t−1}. Changes, because two levels that
                             drift correlate whatever they are (Granger & Newbold 1974).

``exit_cost`` and ``days_to_exit`` depend on the position and come from ``tools.risk.costs``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tools.market.snapshot import History, Row
from tools.records import PoolFeatures
from tools.units import FloatArray, significant

TREND_DAYS, TREND_LEAST_DAYS = 30, 20
LEAST_DAYS = 30  # below this a correlation is noise: its standard error is about 1/√n
SPIKE_MEMORY, SPIKE_RATIO, SPIKE_RISE = 30, 3.0, 0.01
TVL_DAYS = 30
STILL = 1e-8  # the feed gives APYs in steps of 1e-7: a smaller range is the residue of arithmetic
AMOUNT_UNKNOWN = "no amount is known"


IndexArray = np.ndarray[tuple[int, ...], np.dtype[np.intp]]


class _Figure(NamedTuple):
    """A value, or the reason why there is none."""

    value: float | None
    reason: str = ""


def pool_features(
    history: History,
    row: Row,
    median_apy: FloatArray,
    *,
    exit_cost: float | None,
    days_to_exit: float | None,
    reasons: Mapping[str, str] | None = None,
) -> PoolFeatures:
    """Describe a pool's history; the definitions stand at the top of this module.

    ``history.apy`` (n_days,) is a fraction per year, ``history.tvl_usd`` (n_days,) dollars, ``median_apy`` (m_days,)
    the median APY of the asset's eligible pools; all end on the same day, and the correlation is taken over the days
    that both have. A TVL that is NaN on every day is a history without TVL. ``reasons`` says why ``exit_cost`` or
    ``days_to_exit`` is None; without one, that no amount is known. Values are kept to 12 significant digits, because
    the last bits of a sum depend on the machine. Raises ValueError for fewer than two days, for arrays of different
    lengths and for what is not finite.
    """
    apy, tvl = history.apy, history.tvl_usd
    _check(apy, tvl, median_apy, history.pool_id)
    known = reasons or {}
    figures = {
        "apy_trend": _trend(apy),
        "persistence": _persistence(apy),
        "reward_share": _reward_share(row),
        "tvl_change_30d": _tvl_change(tvl),
        "tvl_worst_day": _tvl_worst_day(tvl),
        "correlation_with_median": _correlation(apy, median_apy),
        "exit_cost": _Figure(exit_cost, known.get("exit_cost", AMOUNT_UNKNOWN)),
        "days_to_exit": _Figure(days_to_exit, known.get("days_to_exit", AMOUNT_UNKNOWN)),
    }
    return PoolFeatures(
        days=apy.size,
        apy_mean=significant(float(np.mean(apy))),
        apy_volatility=0.0 if _still(apy) else significant(float(np.std(apy, ddof=1))),
        spikes=_spikes(apy),
        missing={name: figure.reason for name, figure in figures.items() if figure.value is None},
        **{name: None if figure.value is None else significant(figure.value) for name, figure in figures.items()},
    )


def _check(apy: FloatArray, tvl: FloatArray, median_apy: FloatArray, pool_id: str) -> None:
    if apy.size < 2 or apy.shape != tvl.shape:
        raise ValueError(f"pool {pool_id}: {apy.size} days of APY and {tvl.size} of TVL; at least 2 of each are needed")
    for name, values in (("APY", apy), ("TVL", tvl), ("median APY", median_apy)):
        if not np.isfinite(values).all() and not (values is tvl and np.isnan(tvl).all()):
            raise ValueError(f"pool {pool_id}: the {name} of day {int(np.argmin(np.isfinite(values)))} is not finite")


def _still(values: FloatArray) -> bool:
    return bool(np.ptp(values) <= STILL)


def _trend(apy: FloatArray) -> _Figure:
    if apy.size < TREND_LEAST_DAYS:
        return _Figure(None, f"fewer than {TREND_LEAST_DAYS} days of history")
    recent = apy[-TREND_DAYS:]
    earlier, later = _pairs(recent.size)
    slopes = (recent[later] - recent[earlier]) / (later - earlier)
    return _Figure(TREND_DAYS * float(np.median(slopes)))


@functools.cache
def _pairs(days: int) -> tuple[IndexArray, IndexArray]:
    """Return the first and the second day of every pair, each of shape (days · (days − 1) / 2,)."""
    return np.triu_indices(days, k=1)


def _persistence(apy: FloatArray) -> _Figure:
    if apy.size < LEAST_DAYS:
        return _Figure(None, f"fewer than {LEAST_DAYS} days of history")
    if _still(apy):
        return _Figure(None, "the APY never changed")
    deviation = apy - np.mean(apy)
    return _Figure(float(np.sum(deviation[1:] * deviation[:-1]) / np.sum(deviation**2)))


def _spikes(apy: FloatArray) -> int:
    tested = apy[SPIKE_MEMORY:]
    # Most days need no median: it is at least the smallest APY of the window, and that is at least 0.
    high = np.flatnonzero(tested >= max(SPIKE_RATIO * float(apy.min()) - STILL, SPIKE_RISE))
    if not high.size:
        return 0
    medians = np.median(np.lib.stride_tricks.sliding_window_view(apy, SPIKE_MEMORY)[high], axis=1)
    return sum(
        # 3 × 0.1 is a little more than 0.3: APYs are kept to 12 decimals, and so is what they are held against.
        value >= round(SPIKE_RATIO * median, 12) and value >= round(median + SPIKE_RISE, 12)
        for value, median in zip(tested[high].tolist(), medians.tolist(), strict=True)
    )


def _reward_share(row: Row) -> _Figure:
    if row.apy_base is None and row.apy_reward is None:
        return _Figure(None, "the APY is reported without a split")
    if row.apy <= 0.0:
        return _Figure(None, "the pool pays nothing")
    return _Figure(min(1.0, (row.apy_reward or 0.0) / row.apy))


def _tvl_fault(tvl: FloatArray) -> str:
    if np.isnan(tvl).all():
        return "no TVL is recorded"
    return "the recorded TVL falls below zero" if tvl.min() < 0.0 else ""


def _tvl_change(tvl: FloatArray) -> _Figure:
    if fault := _tvl_fault(tvl):
        return _Figure(None, fault)
    if tvl.size <= TVL_DAYS:
        return _Figure(None, f"no more than {TVL_DAYS} days of history")
    before = float(tvl[-1 - TVL_DAYS])
    if before == 0.0:
        return _Figure(None, f"the recorded TVL of {TVL_DAYS} days before is zero")
    return _Figure(float(tvl[-1]) / before - 1.0)


def _tvl_worst_day(tvl: FloatArray) -> _Figure:
    if fault := _tvl_fault(tvl):
        return _Figure(None, fault)
    before, after = tvl[:-1], tvl[1:]
    if not (before > 0.0).any():
        return _Figure(None, "the recorded TVL is zero")
    fell = after < before
    return _Figure(float(np.max(1.0 - after[fell] / before[fell], initial=0.0)))


def _correlation(apy: FloatArray, median_apy: FloatArray) -> _Figure:
    days = min(apy.size, median_apy.size)
    if days < LEAST_DAYS:
        return _Figure(None, f"fewer than {LEAST_DAYS} days of history")
    own, market = np.diff(apy[-days:]), np.diff(median_apy[-days:])
    if _still(own):
        return _Figure(None, "the APY never changed its pace")
    if _still(market):
        return _Figure(None, "the median APY never changed its pace")
    own, market = own - np.mean(own), market - np.mean(market)
    product = math.sqrt(float(np.sum(own**2))) * math.sqrt(float(np.sum(market**2)))
    return _Figure(max(-1.0, min(1.0, float(np.sum(own * market)) / product)))
