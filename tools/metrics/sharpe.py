"""How much a Sharpe ratio is worth: the probability that it is no luck, and the year it is stated for.

Returns are simple and daily, (n_strategies, n_days); every result is (n_strategies,), NaN where undefined, and each
figure has a function beside it that says why. Ratios here are per day, never annualised: that is what the formulas ask
for. NaN or infinity in the returns, no day at all, or another number of dimensions raise ValueError, as does a rate
that ``compute_metrics`` refuses.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.metrics.inputs import DAYS_FOR_RATIOS, checked
from tools.metrics.missing import is_flat, missing_reasons
from tools.metrics.returns import compute_metrics
from tools.metrics.sums import dot
from tools.units import DAYS_PER_YEAR, FloatArray

_EULER_GAMMA = 0.5772156649015329
# The variance of an estimated Sharpe ratio is an expansion around small ratios. A daily ratio of 1 is 19 a year: only
# a series of accruals, smooth because prices and losses are not in it, comes there.
_LARGEST_SHARPE = 1.0

_TOO_LARGE = "the daily Sharpe ratio is above 1 in size, where the expansion behind the probability does not hold"
_NO_VARIANCE = "the estimated variance of the Sharpe ratio is not positive"
_NO_SPANS = "sums over so many days do not vary, or are beyond the range of floating-point numbers"
_NO_TRIALS = "fewer than two strategies have a Sharpe ratio whose variance could be taken"


class _Daily(NamedTuple):
    """Per day, each (n_strategies,): the Sharpe ratio, and T − 1 times the variance of its estimate; why none."""

    sharpe: FloatArray
    variance: FloatArray
    days: int
    reasons: list[str | None]


def probabilistic_sharpe(
    returns: npt.ArrayLike, threshold_sharpe_per_day: float = 0.0, risk_free_rate: float = 0.0
) -> FloatArray:
    """Return the probability that the true Sharpe ratio exceeds ``threshold_sharpe_per_day``, from 0 to 1.

    Φ((SR − SR*) √(T − 1) / √(1 − γ₃ SR + (γ₄ − 1)/4 · SR²)), eq. 11 of Bailey & López de Prado, "The Sharpe ratio
    efficient frontier" (Journal of Risk 15(2), 2012): SR = (mean − θ) / std (ddof 1) per day, skewness γ₃ and raw
    kurtosis γ₄ (3 for a normal) of the population. ``risk_free_rate`` is a fraction per year. The formula takes the
    days for independent; where a rate moves slowly the probability is too far from one half.

    NaN below 60 days, without variation, with fewer than ten distinct returns, where the daily ratio is above 1 in
    size (the expansion does not hold there) or the variance comes out not positive: ``probabilistic_sharpe_reasons``
    says which. Raises ValueError for a threshold that is not finite.
    """
    if not math.isfinite(threshold_sharpe_per_day):
        raise ValueError(f"threshold_sharpe_per_day must be finite, not {threshold_sharpe_per_day}")
    return _probability(_daily(returns, risk_free_rate), threshold_sharpe_per_day)


def deflated_sharpe(
    returns: npt.ArrayLike, trials: int, trial_variance: float | None = None, risk_free_rate: float = 0.0
) -> FloatArray:
    """Return the probability that the true Sharpe ratio exceeds what the best of ``trials`` without skill would show.

    The probabilistic Sharpe ratio at ``sharpe_threshold``: Bailey & López de Prado, "The deflated Sharpe ratio"
    (Journal of Portfolio Management 40(5), 2014). ``trials`` counts everything that was tried before these were
    shown, as independent trials; ``trial_variance`` is the variance (ddof 1) of the trials' daily ratios, by default
    that of the rows given, of all that have a ratio.

    NaN as in ``probabilistic_sharpe``, and everywhere if no variance is given and fewer than two rows have a ratio
    (a single trial needs none): ``deflated_sharpe_reasons`` says which. Raises ValueError as ``sharpe_threshold``.
    """
    daily = _daily(returns, risk_free_rate)
    variance = _trial_variance(daily, trials, trial_variance)
    if math.isnan(variance):
        return np.full_like(daily.sharpe, np.nan)
    return _probability(daily, sharpe_threshold(trials, variance))


def sharpe_threshold(trials: int, variance: float) -> float:
    """Return the largest Sharpe ratio to expect of ``trials`` independent trials whose true ratio is 0.

    √V · ((1 − γ) Φ⁻¹(1 − 1/N) + γ Φ⁻¹(1 − 1/(N e))), γ of Euler and Mascheroni, per day if the ``variance`` is that
    of daily ratios: eq. 1 of the paper of 2014. One trial has 0. Raises ValueError for less than one trial and for a
    variance that is negative or not finite.
    """
    _check_trials(trials)
    if not (math.isfinite(variance) and variance >= 0.0):
        raise ValueError(f"variance must be finite and at least 0, not {variance}")
    if trials == 1:
        return 0.0
    normal = NormalDist()
    largest = (1.0 - _EULER_GAMMA) * normal.inv_cdf(1.0 / trials) + _EULER_GAMMA * normal.inv_cdf(
        1.0 / (trials * math.e)
    )
    return math.sqrt(variance) * -largest


def lo_factor(returns: npt.ArrayLike, q: int = DAYS_PER_YEAR) -> FloatArray:
    """Return η(q), by which the Sharpe ratio of a day becomes that of ``q`` days, for returns that hang together.

    q / √(q + 2 Σ_{k<q} (q − k) ρ_k), eq. 20 of Lo, "The statistics of Sharpe ratios" (Financial Analysts Journal
    58(4), 2002), with the sample autocorrelations ρ_k = Σ d_t d_{t+k} / Σ d_t². Independent returns have √q; a slowly
    moving rate has far less.

    The root holds the sum of squares of all sums over q days (days outside the window counting 0) over Σ d²: the same
    number, and never negative. The sample mean hides part of the slowest movement, so the factor comes out high: of
    1460, 730 and 365 days with q = 365, independent returns show a median of 24, 29 and 38 instead of 19. Hence NaN
    with fewer than 2q days, below 60 days, and without variation: ``lo_factor_reasons`` says which. Raises ValueError
    for a ``q`` below 1.
    """
    rows = checked(returns, "returns", 2)
    reasons, factor = _lo(rows, q)
    return np.where([reason is None for reason in reasons], factor, np.nan)


def probabilistic_sharpe_reasons(returns: npt.ArrayLike, risk_free_rate: float = 0.0) -> list[str | None]:
    """Say for each strategy why ``probabilistic_sharpe`` is NaN; None where it is given. The sentences are stable."""
    return _daily(returns, risk_free_rate).reasons


def deflated_sharpe_reasons(
    returns: npt.ArrayLike, trials: int, trial_variance: float | None = None, risk_free_rate: float = 0.0
) -> list[str | None]:
    """Say for each strategy why ``deflated_sharpe`` is NaN; None where it is given. The sentences are stable."""
    daily = _daily(returns, risk_free_rate)
    without = _NO_TRIALS if math.isnan(_trial_variance(daily, trials, trial_variance)) else None
    return [reason or without for reason in daily.reasons]


def lo_factor_reasons(returns: npt.ArrayLike, q: int = DAYS_PER_YEAR) -> list[str | None]:
    """Say for each strategy why ``lo_factor`` is NaN; None where it is given. The sentences are stable."""
    return _lo(checked(returns, "returns", 2), q)[0]


def _daily(returns: npt.ArrayLike, risk_free_rate: float) -> _Daily:
    rows = checked(returns, "returns", 2)
    days = rows.shape[1]
    no_benchmark = np.zeros(days)
    metrics = compute_metrics(rows, no_benchmark, risk_free_rate)
    sharpe = metrics["sharpe"] / math.sqrt(DAYS_PER_YEAR)
    variance = 1.0 - metrics["skewness"] * sharpe + (metrics["kurtosis"] + 2.0) / 4.0 * sharpe**2
    reasons = [
        missing.get("sharpe") or _no_expansion(ratio, spread)
        for missing, ratio, spread in zip(
            missing_reasons(metrics, rows, no_benchmark), sharpe.tolist(), variance.tolist(), strict=True
        )
    ]
    return _Daily(sharpe, variance, days, reasons)


def _no_expansion(sharpe: float, variance: float) -> str | None:
    if abs(sharpe) > _LARGEST_SHARPE:
        return _TOO_LARGE
    return None if variance > 0.0 else _NO_VARIANCE


def _probability(daily: _Daily, threshold: float) -> FloatArray:
    """Return Φ of the studentised distance from the threshold; NaN where there is a reason."""
    return np.array(
        [
            math.nan if reason else _normal((sharpe - threshold) * math.sqrt((daily.days - 1) / variance))
            for reason, sharpe, variance in zip(
                daily.reasons, daily.sharpe.tolist(), daily.variance.tolist(), strict=True
            )
        ],
        dtype=np.float64,
    )


def _check_trials(trials: int) -> None:
    if trials < 1:
        raise ValueError(f"trials must be at least 1, not {trials}")


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _trial_variance(daily: _Daily, trials: int, given: float | None) -> float:
    """Return the variance given, or that of the rows' ratios; NaN where several trials have no variance."""
    _check_trials(trials)
    if given is not None:
        return given
    ratios = daily.sharpe[np.isfinite(daily.sharpe)]
    if ratios.size < 2:
        return 0.0 if trials == 1 else math.nan
    return float(np.var(ratios, ddof=1))


def _lo(rows: FloatArray, q: int) -> tuple[list[str | None], FloatArray]:
    """Return the reason against Lo's factor, or None, and the factor where there is none, for each row."""
    if q < 1:
        raise ValueError(f"q must be at least 1 day, not {q}")
    least = max(2 * q, DAYS_FOR_RATIOS)
    if rows.shape[1] < least:
        return [f"fewer than {least} days"] * rows.shape[0], np.full(rows.shape[0], np.nan)
    deviations = rows - (np.add.reduce(rows, axis=1) / rows.shape[1])[:, None]
    ends = np.cumsum(np.pad(deviations, ((0, 0), (q, q - 1))), axis=1)
    spans = ends[:, q:] - ends[:, :-q]
    with np.errstate(all="ignore"):
        factor = q * np.sqrt(dot(deviations, deviations) / dot(spans, spans))
    undefined = zip(is_flat(rows).tolist(), np.isfinite(factor).tolist(), strict=True)
    return ["the returns do not vary" if flat else None if given else _NO_SPANS for flat, given in undefined], factor
