"""What a series of daily returns proves: figures with intervals, and differences by paired resamples.

Blocks of days are resampled together, for the rates of neighbouring days are nearly the same (circular block bootstrap,
Politis & Romano 1992). The resamples of one window know nothing of what another season would have brought.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evals.backtest.records import Basis, Comparison, Figures
from evals.outcomes import DRAWS, block_places, bootstrap_mean, interval
from tools.metrics.returns import compute_metrics
from tools.metrics.sharpe import (
    deflated_sharpe,
    deflated_sharpe_reasons,
    probabilistic_sharpe_reasons,
)
from tools.units import DAYS_PER_YEAR, FloatArray, daily_return, significant

LEVEL = 0.9
DIGITS = 9
_SHORTEST, _LONGEST = 10, 30


class Tried(NamedTuple):
    """How many trials the deflated ratios are held against."""

    all: int
    effective: float


def block_days(days: int) -> int:
    """Return the length of a block: a tenth of the window, between ten days and a month."""
    return max(_SHORTEST, min(_LONGEST, days // 10))


def figures(rows: FloatArray, risk_free: float, tried: Tried) -> list[Figures]:
    """Return the figures of each series (n_strategies, n_days) of simple daily returns.

    ``risk_free`` is a rate a year. A Sharpe ratio is None, with the reason, where ``tools.metrics`` has none for its
    probability: below 60 days, without variation, or above 1 a day, where a series of carry comes.
    """
    metrics = compute_metrics(rows, np.zeros(rows.shape[1]), risk_free)
    reasons = probabilistic_sharpe_reasons(rows, risk_free)
    ranges = _sharpe_ranges(rows, risk_free)
    effective = max(1, math.ceil(tried.effective))
    deflated = deflated_sharpe(rows, tried.all, risk_free_rate=risk_free)
    deflated_effective = deflated_sharpe(rows, effective, risk_free_rate=risk_free)
    lacking = deflated_sharpe_reasons(rows, tried.all, risk_free_rate=risk_free)
    found = []
    for n, row in enumerate(rows):
        growth = float(np.prod(1.0 + row))
        low, high = ranges[n] if reasons[n] is None else (None, None)
        found.append(
            Figures(
                total_return=significant(growth - 1.0, DIGITS),
                annual_return=significant(growth ** (DAYS_PER_YEAR / row.size) - 1.0, DIGITS),
                annual_volatility=significant(float(metrics["annual_volatility"][n]), DIGITS),
                sharpe=significant(float(metrics["sharpe"][n]), DIGITS) if reasons[n] is None else None,
                sharpe_low=low,
                sharpe_high=high,
                sharpe_missing=reasons[n],
                deflated_sharpe=_given(deflated[n]),
                deflated_sharpe_effective=_given(deflated_effective[n]),
                deflated_sharpe_missing=lacking[n],
                max_drawdown=significant(float(metrics["max_drawdown"][n]), DIGITS),
            )
        )
    return found


def compare(strategy: str, own: FloatArray, against: str, other: FloatArray, basis: Basis) -> Comparison:
    """Return how much more a year a series of returns (n_days,) earned than another, in log returns."""
    differences = np.log1p(own) - np.log1p(other)
    length = block_days(differences.size)
    enough = differences.size >= 2 * length
    interval = bootstrap_mean(differences, length, level=LEVEL) if enough else None
    return Comparison(
        strategy=strategy,
        against=against,
        basis=basis,
        difference=significant(DAYS_PER_YEAR * math.fsum(differences) / differences.size, DIGITS),
        low=None if interval is None else significant(DAYS_PER_YEAR * interval.low, DIGITS),
        high=None if interval is None else significant(DAYS_PER_YEAR * interval.high, DIGITS),
    )


def _sharpe_ranges(rows: FloatArray, risk_free: float) -> Sequence[tuple[float | None, float | None]]:
    """Return for each series the range that holds ``LEVEL`` of the annual Sharpe ratios of its resamples."""
    days = rows.shape[1]
    length = block_days(days)
    if days < 2 * length:
        return [(None, None)] * rows.shape[0]
    places = block_places(days, length, DRAWS)
    threshold = daily_return(risk_free)
    ranges: list[tuple[float | None, float | None]] = []
    for row in rows:
        drawn = row[places] - threshold
        spread = drawn.std(axis=1, ddof=1)
        if not (spread > 0.0).all():
            ranges.append((None, None))
            continue
        ratios = drawn.mean(axis=1) / spread * math.sqrt(DAYS_PER_YEAR)
        found = interval(float(ratios.mean()), ratios, LEVEL)
        ranges.append((significant(found.low, DIGITS), significant(found.high, DIGITS)))
    return ranges


def _given(value: float) -> float | None:
    return None if math.isnan(value) else significant(float(value), DIGITS)
