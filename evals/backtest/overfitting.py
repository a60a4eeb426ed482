"""How likely the best of many strategies is the best by luck.

Combinatorially symmetric cross-validation (Bailey, Borwein, López de Prado & Zhu, "The probability of backtest
overfitting", 2015): the days are cut into an even number of blocks; half of them, in every combination, are the sample
in which the best strategy is picked, the other half tells where it lands. Between the two, days of the sample are left
out: ``PURGE_DAYS`` on either side of a block outside it, and ``EMBARGO_DAYS`` more after one (López de Prado, "Advances
in Financial Machine Learning", 2018, ch. 7), because the rates of neighbouring days are nearly the same.

The measure is the mean daily return, not the Sharpe ratio of the paper: a series of carry has hardly any variance, and
its Sharpe ratio says how smooth its rates are.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.units import DAYS_PER_YEAR, FloatArray

PURGE_DAYS, EMBARGO_DAYS = 1, 7
MOST_BLOCKS, LEAST_BLOCKS = 16, 6
_SAME = 1e-12  # of a daily return: series this close are one


class Cscv(NamedTuple):
    """What came of the splits; ``probability`` None with the ``reason`` where there are too few days or strategies."""

    probability: float | None
    reason: str | None
    blocks: int
    splits: int
    rank: float | None
    degradation: float | None


def cscv(returns: FloatArray) -> Cscv:
    """Cross-validate strategies by their daily returns (n_strategies, n_days), finite; equal series count once.

    The relative rank out of sample of the one picked is its place among n over n + 1, ties by the middle; the logit of
    it is at most 0 in ``probability`` of the splits.
    """
    rows = distinct(returns)
    blocks = _blocks(rows.shape[1])
    if rows.shape[0] < 2:
        return Cscv(None, "fewer than two strategies differ", 0, 0, None, None)
    if blocks < LEAST_BLOCKS:
        days = LEAST_BLOCKS * _block_days()
        return Cscv(None, f"{rows.shape[1]} days are fewer than the {days} of {LEAST_BLOCKS} blocks", 0, 0, None, None)
    of_day = np.arange(rows.shape[1]) * blocks // rows.shape[1]
    inside = np.array(list(itertools.combinations(range(blocks), blocks // 2)))
    outside = ~(of_day[None, :, None] == inside[:, None, :]).any(axis=2)
    within, beyond = _means(rows, ~(outside | _left_out(outside))), _means(rows, outside)
    every = np.arange(inside.shape[0])
    best = np.argmax(within, axis=1)
    picked = beyond[every, best][:, None]
    places = (beyond < picked).sum(axis=1) + ((beyond == picked).sum(axis=1) + 1) / 2.0
    ranks, changes = places / (rows.shape[0] + 1), picked[:, 0] - within[every, best]
    return Cscv(
        float((ranks <= 0.5).mean()),
        None,
        blocks,
        inside.shape[0],
        math.fsum(ranks) / ranks.size,
        DAYS_PER_YEAR * math.fsum(changes) / changes.size,
    )


def _means(rows: FloatArray, taken: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the mean of each row over the days taken in each split, (n_splits, n_strategies)."""
    weights = taken / taken.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("sd,nd->sn", weights, rows))


def distinct(returns: FloatArray) -> FloatArray:
    """Return the rows (n_strategies, n_days) that differ from every row before them."""
    kept: list[FloatArray] = []
    for row in returns:
        if not any(np.abs(row - other).max() <= _SAME for other in kept):
            kept.append(row)
    return np.array(kept).reshape(len(kept), returns.shape[1])


def effective_trials(returns: FloatArray) -> float:
    """Return ρ̄ + (1 − ρ̄) · n for n distinct series with mean correlation ρ̄: one if they move as one, n if apart.

    Bailey & López de Prado, "The deflated Sharpe ratio" (2014), appendix A.3. A series that does not vary is left out;
    a mean correlation below 0 counts as 0.
    """
    rows = distinct(returns)
    rows = rows[np.ptp(rows, axis=1) > _SAME]
    if rows.shape[0] < 2:
        return float(rows.shape[0])
    correlations = np.corrcoef(rows)
    mean = float(correlations[~np.eye(rows.shape[0], dtype=bool)].mean())
    return float(min(1.0, max(0.0, mean)) * (1 - rows.shape[0]) + rows.shape[0])


def _blocks(days: int) -> int:
    """Return the even number of blocks: as many as leave each at least twice what is left out beside it."""
    return min(MOST_BLOCKS, days // _block_days() // 2 * 2)


def _block_days() -> int:
    return 2 * (PURGE_DAYS + EMBARGO_DAYS)


def _left_out(outside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Mark the days (…, n_days) purged before and after a block outside the sample, and those embargoed after one."""
    marked = np.zeros_like(outside)
    for lag in range(1, PURGE_DAYS + 1):
        marked[..., :-lag] |= outside[..., lag:]
    for lag in range(1, PURGE_DAYS + EMBARGO_DAYS + 1):
        marked[..., lag:] |= outside[..., :-lag]
    return marked
