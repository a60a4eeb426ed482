"""The figures of all candidates, in one vectorised call."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tools.candidates.construct import CandidateSet, Draft
from tools.metrics import compute_metrics, missing_reasons
from tools.metrics.sharpe import (
    deflated_sharpe,
    deflated_sharpe_reasons,
    probabilistic_sharpe,
    probabilistic_sharpe_reasons,
)
from tools.records import METRIC_KEYS, Window
from tools.strategies.universe import Universe
from tools.units import FloatArray, daily_return, significant

AVERAGING_DAYS = 30


@dataclass(frozen=True)
class Measured:
    """A draft with its figures.

    ``metrics`` has every key of the contract, None where undefined with the reason in ``missing``. ``apy_mean_30d``,
    ``apy_low`` and ``apy_high`` are the last, lowest and highest 30-day average APY of these weights in the window, the
    range widened to hold the APY of the day. ``returns`` has shape (n_days,).
    """

    draft: Draft
    window: Window
    metrics: Mapping[str, float | None]
    missing: Mapping[str, str]
    apy_mean_30d: float
    apy_low: float
    apy_high: float
    returns: FloatArray


def measure(
    candidates: CandidateSet, universe: Universe, as_of: dt.date, risk_free_rate: float
) -> tuple[Measured, ...]:
    """Compute the thirteen return metrics and the aggregates of every candidate over the shared window.

    Returns are carry only: daily returns made of the pools' annual rates, so they hold no price, no depeg and no
    exploit. Figures are kept to 12 significant digits, because the last bits of a sum depend on the machine.
    """
    if not candidates.drafts:
        return ()
    days = candidates.days
    apy = np.array([_weighted(draft, days) for draft in candidates.drafts])
    returns = np.array([_weighted(draft, days, returns=True) for draft in candidates.drafts])
    benchmark = universe.benchmark[-days:]
    computed = compute_metrics(returns, benchmark, risk_free_rate)
    reasons = missing_reasons(computed, returns, benchmark)
    window = Window(first=(as_of - dt.timedelta(days=days - 1)).isoformat(), last=as_of.isoformat(), days=days)
    return tuple(
        _measured(
            draft, window, {key: float(values[i]) for key, values in computed.items()}, reasons[i], apy[i], returns[i]
        )
        for i, draft in enumerate(candidates.drafts)
    )


def _weighted(draft: Draft, days: int, *, returns: bool = False) -> FloatArray:
    """Sum the pools' series at the draft's weights, pool by pool: the same bits whatever the number of threads."""
    total = np.zeros(days)
    for pool, weight in zip(draft.pools, draft.weights, strict=True):
        series = pool.history.apy[-days:]
        total += weight * (daily_return(series) if returns else series)
    return total


def _measured(
    draft: Draft,
    window: Window,
    computed: Mapping[str, float],
    reasons: Mapping[str, str],
    apy: FloatArray,
    returns: FloatArray,
) -> Measured:
    values: dict[str, float | None] = {
        key: significant(value) if math.isfinite(value) else None for key, value in computed.items()
    }
    tvl = np.array([pool.row.tvl_usd for pool in draft.pools])
    rates = np.array([pool.row.apy for pool in draft.pools])
    portfolio_apy = significant(math.fsum(draft.weights * rates))
    values["weighted_apy"] = significant(math.fsum(tvl * rates) / math.fsum(tvl))
    values["total_tvl_usd"] = math.fsum(tvl)
    values["pool_count"] = float(len(draft.pools))
    values["portfolio_apy"] = portfolio_apy
    span = min(AVERAGING_DAYS, apy.size)
    averages = np.convolve(apy, np.full(span, 1.0 / span), mode="valid")
    return Measured(
        draft=draft,
        window=window,
        metrics={key: values[key] for key in METRIC_KEYS},
        missing=dict(reasons),
        apy_mean_30d=significant(float(averages[-1])),
        apy_low=min(significant(float(averages.min())), portfolio_apy),
        apy_high=max(significant(float(averages.max())), portfolio_apy),
        returns=returns,
    )


class SharpeEvidence(NamedTuple):
    """How sure a Sharpe ratio is: probabilities that it is above 0, and above luck; None with a reason in ``missing``.

    ``deflated`` counts the ``trials``: the strategies that were tried for the mandate.
    """

    probability: float | None
    deflated: float | None
    trials: int
    missing: Mapping[str, str]


def sharpe_evidence(measured: Sequence[Measured], risk_free_rate: float) -> list[SharpeEvidence]:
    """Return the probabilistic and the deflated Sharpe ratio of every candidate, all of them counted as trials."""
    if not measured:
        return []
    trials = len(measured)
    returns = np.array([candidate.returns for candidate in measured])
    probabilities = probabilistic_sharpe(returns, risk_free_rate=risk_free_rate)
    deflated = deflated_sharpe(returns, trials, risk_free_rate=risk_free_rate)
    doubts = zip(
        probabilistic_sharpe_reasons(returns, risk_free_rate),
        deflated_sharpe_reasons(returns, trials, risk_free_rate=risk_free_rate),
        strict=True,
    )
    return [
        SharpeEvidence(_or_none(probability), _or_none(over_luck), trials, _named(*doubt))
        for probability, over_luck, doubt in zip(probabilities, deflated, doubts, strict=True)
    ]


def _named(probability: str | None, deflated: str | None) -> dict[str, str]:
    reasons = {"sharpe_probability": probability, "deflated_sharpe": deflated}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _or_none(value: float) -> float | None:
    return significant(float(value)) if math.isfinite(value) else None
