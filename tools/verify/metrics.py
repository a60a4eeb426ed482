"""The return metrics of one series, from their definitions, in plain floating point with exactly rounded sums.

Simple daily returns, 365 days a year, losses positive. Value at risk is the order statistic ⌈αT⌉ of the losses,
conditional value at risk the exact tail mean with a fractional last observation (Rockafellar and Uryasev 2002; Acerbi
and Tasche 2002). Sortino's deviation is over all days (target: the risk-free rate), so is Omega's threshold. Skewness
and excess kurtosis are population moments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tools.verify.series import DAYS_PER_YEAR, daily_return

CONFIDENCE = 0.95
RELATIVE = 1e-7
ABSOLUTE = 1e-12

# An undefined ratio is null in a record: fewer days than this, or a spread that is only rounding.
LEAST_DAYS, LEAST_DAYS_ANNUAL, LEAST_DISTINCT = 60, 30, 10
TINY, TINY_OF_MEAN = 1e-12, 1e-8

# A daily return is a difference of numbers near 1: it carries an error of this size whatever its own.
ROUNDING = 1e-15


@dataclass(frozen=True, slots=True)
class Estimate:
    """A recomputed metric.

    ``value`` is None where the formula divides by nothing; ``may_be_null``: a rule allows the record to give none;
    ``relative`` and ``absolute``: the agreement that the rounding of daily returns allows.
    """

    value: float | None
    may_be_null: bool = False
    relative: float = RELATIVE
    absolute: float = ABSOLUTE


@dataclass(frozen=True, slots=True)
class _Moments:
    """Mean, deviations from it and their standard deviation (ddof 1) of a series of shape (n_days,)."""

    mean: float
    deviations: Sequence[float]
    spread: float

    @property
    def flat(self) -> bool:
        """Return whether the spread is only rounding."""
        return self.spread <= max(TINY, TINY_OF_MEAN * abs(self.mean))


def estimates(returns: Sequence[float], benchmark: Sequence[float], risk_free_rate: float) -> dict[str, Estimate]:
    """Compute the thirteen return metrics.

    ``returns`` and ``benchmark`` are daily, of shape (n_days,), n_days ≥ 2; the rate is a fraction per year, above −1.
    """
    days = len(returns)
    threshold = daily_return(risk_free_rate)
    own, market = _moments(returns), _moments(benchmark)
    # Equal values may differ in the last bits after weighting.
    few = len({round(r, 15) for r in returns}) < LEAST_DISTINCT
    short = days < LEAST_DAYS
    drawdown = max_drawdown(returns)
    annual = math.expm1(DAYS_PER_YEAR / days * math.fsum(math.log1p(r) for r in returns))
    alpha, beta = _alpha_and_beta(own, market, threshold, short)
    return {
        "annual_return": Estimate(annual, may_be_null=days < LEAST_DAYS_ANNUAL),
        "annual_volatility": Estimate(own.spread * math.sqrt(DAYS_PER_YEAR)),
        "sharpe": _ratio((own.mean - threshold) * math.sqrt(DAYS_PER_YEAR), own.spread, own.flat or few or short),
        "sortino": _sortino(returns, own.mean, threshold, short),
        "max_drawdown": Estimate(drawdown),
        "var_95": Estimate(historical_var(returns)),
        "cvar_95": Estimate(conditional_value_at_risk(returns)),
        "calmar": _ratio(annual, drawdown, short or drawdown <= TINY),
        "alpha": alpha,
        "beta": beta,
        "skewness": _standard_moment(own, 3),
        "kurtosis": _standard_moment(own, 4),
        "omega": _omega(returns, threshold, short),
    }


def _moments(series: Sequence[float]) -> _Moments:
    mean = math.fsum(series) / len(series)
    deviations = [value - mean for value in series]
    return _Moments(mean, deviations, math.sqrt(math.fsum(d * d for d in deviations) / (len(series) - 1)))


def _ratio(numerator: float, denominator: float, may_be_null: bool) -> Estimate:
    if denominator == 0.0:
        return Estimate(None, may_be_null=True)
    slack = ROUNDING / denominator
    value = numerator / denominator
    return Estimate(value, may_be_null, RELATIVE + slack, ABSOLUTE + math.sqrt(DAYS_PER_YEAR) * slack)


def _sortino(returns: Sequence[float], mean: float, threshold: float, short: bool) -> Estimate:
    shortfalls = [min(r - threshold, 0.0) for r in returns]
    deviation = math.sqrt(math.fsum(s * s for s in shortfalls) / len(returns))
    return _ratio((mean - threshold) * math.sqrt(DAYS_PER_YEAR), deviation, short or deviation <= TINY)


def _omega(returns: Sequence[float], threshold: float, short: bool) -> Estimate:
    gains = math.fsum(max(r - threshold, 0.0) for r in returns)
    losses = math.fsum(max(threshold - r, 0.0) for r in returns)
    estimate = _ratio(gains, losses, short or losses <= len(returns) * TINY)
    if not losses:
        return estimate
    relative = estimate.relative + len(returns) * ROUNDING / losses
    return Estimate(estimate.value, estimate.may_be_null, relative, estimate.absolute)


def _alpha_and_beta(own: _Moments, market: _Moments, threshold: float, short: bool) -> tuple[Estimate, Estimate]:
    """Compute beta = cov / var and alpha = 365 · ((mean − θ) − beta · (benchmark's mean − θ)) (Jensen 1968)."""
    squares = math.fsum(d * d for d in market.deviations)
    if squares == 0.0:
        return Estimate(None, may_be_null=True), Estimate(None, may_be_null=True)
    products = [mine * other for mine, other in zip(own.deviations, market.deviations, strict=True)]
    beta = math.fsum(products) / squares
    excess = market.mean - threshold
    alpha = DAYS_PER_YEAR * ((own.mean - threshold) - beta * excess)
    slack = ABSOLUTE + ROUNDING * (market.spread + own.spread) / market.spread**2
    may_be_null = short or market.flat
    return (
        Estimate(
            alpha, may_be_null, RELATIVE, DAYS_PER_YEAR * (ROUNDING + (slack + RELATIVE * abs(beta)) * abs(excess))
        ),
        Estimate(beta, may_be_null, RELATIVE, slack),
    )


def _standard_moment(own: _Moments, order: int) -> Estimate:
    days = len(own.deviations)
    variance = math.fsum(d * d for d in own.deviations) / days
    moment = math.fsum(d**order for d in own.deviations) / days
    scale = variance ** (order / 2)
    if scale == 0.0:
        return Estimate(None, may_be_null=True)
    slack = order * ROUNDING / own.spread
    value = moment / scale - (3.0 if order == 4 else 0.0)
    return Estimate(value, own.flat, RELATIVE + slack, ABSOLUTE + slack)


def max_drawdown(returns: Sequence[float]) -> float:
    """Return the largest fall from a peak of the compounded value, the start at 1 included; positive."""
    value = peak = 1.0
    worst = 0.0
    for r in returns:
        value *= 1.0 + r
        peak = max(peak, value)
        worst = max(worst, 1.0 - value / peak)
    return worst


def historical_var(returns: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Return the loss of rank ⌈αT⌉, ascending; negative when even that day gains."""
    losses = sorted(-r for r in returns)
    return losses[math.ceil(round(confidence * len(losses), 9)) - 1]


def conditional_value_at_risk(returns: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Return the mean of the worst (1 − α)T losses, the last of them counted by its fraction."""
    losses = sorted((-r for r in returns), reverse=True)
    tail = round((1.0 - confidence) * len(losses), 9)
    whole = math.floor(tail)
    fractional = (tail - whole) * losses[whole] if tail > whole else 0.0
    return (math.fsum(losses[:whole]) + fractional) / tail
