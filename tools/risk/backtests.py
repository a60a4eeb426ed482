"""Does a value at risk hold? One day ahead over a rolling window, tested for how many breaches and how clustered.

A breach is a day whose loss is above the value at risk that the days before it gave. If the figure is right, breaches
come with probability 1 − α (Kupiec, "Techniques for verifying the accuracy of risk measurement models", Journal of
Derivatives 3(2), 1995) and independently of the day before (Christoffersen, "Evaluating interval forecasts",
International Economic Review 39(4), 1998). A test that finds nothing proves little: each result says how likely it
would have been to notice a figure whose breaches are twice as frequent as they should be. Where breaches cluster, the
test of their number is too sharp: it takes a run of breaches for as many findings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.metrics.inputs import BoolArray, checked
from tools.risk.measures import VarMethod, value_at_risk
from tools.units import FloatArray

WINDOW_DAYS = 250
SIGNIFICANCE = 0.05
ALTERNATIVE = 2.0  # the true rate of breaches, in terms of the promised one, that the power is stated against


@dataclass(frozen=True)
class Backtest:
    """What the days say of one method on one series.

    ``days`` days were forecast, ``undefined`` more had no value at risk and are left out; ``breaches`` of them lost
    more than it, ``expected`` (1 − α)·days would be right; ``repeated`` breaches follow one of the day before.
    ``lr_*`` are
    likelihood ratios, ``p_*`` the chance of one at least as large if the value at risk is right: ``count`` Kupiec's, of
    one degree of freedom; ``independence`` Christoffersen's against a chain of first order, of one; ``coverage`` both
    together, of two. ``power`` is the chance that Kupiec's test at ``significance`` rejects when breaches truly come
    ``alternative`` times as often as promised; ``size`` that it rejects when they come as promised, which differs from
    ``significance`` because breaches are counted in whole days.
    """

    method: VarMethod
    confidence: float
    window_days: int
    days: int
    undefined: int
    breaches: int
    repeated: int
    expected: float
    lr_count: float
    lr_independence: float
    lr_coverage: float
    p_count: float
    p_independence: float
    p_coverage: float
    significance: float
    size: float
    alternative: float
    power: float

    @property
    def reading(self) -> str:
        """Say in one sentence what the tests found, and what they could have found."""
        counted = f"{self.breaches} breaches in {self.days} days where {self.expected:.1f} are expected"
        many = "too many" if self.breaches > self.expected else "too few"
        verdict = (
            f"{many} to be chance (p = {self.p_count:.2g})"
            if self.p_count < self.significance
            else f"which may be chance (p = {self.p_count:.2g}; a rate {self.alternative:g} times as high would be "
            f"noticed with a probability of {self.power:.0%})"
        )
        return f"{counted}, {verdict}; {self._dependence()} (p = {self.p_independence:.2g})."

    def _dependence(self) -> str:
        if self.p_independence >= self.significance:
            return "breaches show no dependence on the day before"
        attracted = self.repeated * self.days > self.breaches**2
        return f"breaches {'come in clusters' if attracted else 'avoid each other'}"


def backtest_var(
    returns: npt.ArrayLike,
    method: VarMethod = "historical",
    confidence: float = 0.95,
    *,
    window_days: int = WINDOW_DAYS,
    alternative: float = ALTERNATIVE,
    significance: float = SIGNIFICANCE,
) -> Backtest:
    """Backtest the one-day value at risk of a method on a series (n_days,) of simple daily returns.

    Every day after the first ``window_days`` is forecast from the ``window_days`` before it and from nothing later.
    Days without a value at risk (Cornish-Fisher outside its domain) are left out and counted. Raises ValueError for NaN
    or infinity, a series no longer than the window, a window below two days, levels that are not between 0 and 1, an
    alternative whose rate is not a probability, and where no day at all has a value at risk.
    """
    series = checked(returns, "returns", 1)
    if not 2 <= window_days < series.size:
        raise ValueError(f"window_days must lie between 2 and {series.size - 1}, not {window_days}")
    forecasts = rolling_var(series, method, confidence, window_days=window_days)
    known = np.isfinite(forecasts)
    if not known.any():
        raise ValueError(f"{method} gives no value at risk on any day")
    breaches = -series[window_days:] > np.where(known, forecasts, np.inf)
    return _judged(breaches, known, method, confidence, window_days, alternative, significance)


def rolling_var(
    returns: npt.ArrayLike, method: VarMethod, confidence: float = 0.95, *, window_days: int = WINDOW_DAYS
) -> FloatArray:
    """Return the value at risk of each day after the first window, from the w days before it: (n_days − w,)."""
    series = checked(returns, "returns", 1)
    windows = np.lib.stride_tricks.sliding_window_view(series, window_days)[:-1]
    return value_at_risk(windows, confidence, method)


def kupiec_ratio(breaches: int, days: int, rate: float) -> float:
    """Return Kupiec's likelihood ratio of ``breaches`` in ``days`` against the probability ``rate`` of each."""
    observed = breaches / days
    fitted = _log_likelihood(breaches, days - breaches, observed)
    return max(0.0, 2.0 * (fitted - _log_likelihood(breaches, days - breaches, rate)))


def christoffersen_ratio(breaches: npt.ArrayLike, known: npt.ArrayLike | None = None) -> float:
    """Return Christoffersen's likelihood ratio of a chain of first order against independence, for days (n_days,).

    Counts n_ij of days in state j after state i, both of them ``known`` (n_days,); 0·ln 0 is 0, so a series without two
    breaches in a row has a value. A chain that never leaves one state, or a single day, says nothing of it: 0.
    """
    stayed, began, ended, repeated = _transitions(breaches, known)
    first, second = began + stayed, repeated + ended
    chain = _log_likelihood(began, stayed, _share(began, first)) + _log_likelihood(
        repeated, ended, _share(repeated, second)
    )
    alone = _log_likelihood(began + repeated, stayed + ended, _share(began + repeated, first + second))
    return max(0.0, 2.0 * (chain - alone))


def kupiec_power(days: int, rate: float, true_rate: float, significance: float = SIGNIFICANCE) -> float:
    """Return how likely Kupiec's test rejects ``rate`` when breaches truly come at ``true_rate``.

    Exact: the binomial probabilities of all counts of breaches that the test rejects by the χ² approximation, which is
    what it does in practice. At ``true_rate`` = ``rate`` this is the size of the test. Raises ValueError unless both
    rates and the significance lie between 0 and 1 and there is at least one day.
    """
    from scipy.special import xlog1py, xlogy
    from scipy.stats import binom, chi2

    _check_levels(days, rate, true_rate, significance)
    counts = np.arange(days + 1)
    observed = counts / days
    fitted = xlogy(counts, observed) + xlog1py(days - counts, -observed)
    ratios = 2.0 * (fitted - xlogy(counts, rate) - xlog1py(days - counts, -rate))
    rejected = ratios > chi2.isf(significance, 1)
    return min(1.0, math.fsum(binom.pmf(counts[rejected], days, true_rate)))


# --- parts -----------------------------------------------------------------------------------------------------------


def _judged(
    breaches: BoolArray,
    known: BoolArray,
    method: VarMethod,
    confidence: float,
    window_days: int,
    alternative: float,
    significance: float,
) -> Backtest:
    from scipy.stats import chi2

    days, hits, rate = int(np.count_nonzero(known)), int(np.count_nonzero(breaches)), 1.0 - confidence
    size = kupiec_power(days, rate, rate, significance)
    power = kupiec_power(days, rate, alternative * rate, significance)
    count, independence = kupiec_ratio(hits, days, rate), christoffersen_ratio(breaches, known)
    p_count, p_independence = float(chi2.sf(count, 1)), float(chi2.sf(independence, 1))
    p_coverage = float(chi2.sf(count + independence, 2))
    return Backtest(
        method=method,
        confidence=confidence,
        window_days=window_days,
        days=days,
        undefined=breaches.size - days,
        breaches=hits,
        repeated=_transitions(breaches, known)[3],
        expected=rate * days,
        lr_count=count,
        lr_independence=independence,
        lr_coverage=count + independence,
        p_count=p_count,
        p_independence=p_independence,
        p_coverage=p_coverage,
        significance=significance,
        size=size,
        alternative=alternative,
        power=power,
    )


def _transitions(breaches: npt.ArrayLike, known: npt.ArrayLike | None) -> tuple[int, int, int, int]:
    """Count pairs of days in a row, both known: neither a breach, the second, the first, both."""
    hits = np.asarray(breaches, dtype=bool)
    seen = np.ones_like(hits) if known is None else np.asarray(known, dtype=bool)
    pairs = seen[:-1] & seen[1:]
    kinds = 2 * hits[:-1][pairs] + hits[1:][pairs]
    stayed, began, ended, repeated = np.bincount(kinds, minlength=4).tolist()
    return stayed, began, ended, repeated


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _log_likelihood(hits: int, misses: int, rate: float) -> float:
    """Return hits·ln(rate) + misses·ln(1 − rate) with 0·ln 0 = 0; minus infinity where what happened is impossible."""
    parts = (hits * math.log(rate) if rate > 0.0 else -math.inf) if hits else 0.0
    return parts + ((misses * math.log1p(-rate) if rate < 1.0 else -math.inf) if misses else 0.0)


def _check_levels(days: int, rate: float, true_rate: float, significance: float) -> None:
    if days < 1:
        raise ValueError(f"days must be at least 1, not {days}")
    for name, level in (("rate", rate), ("true_rate", true_rate), ("significance", significance)):
        if not 0.0 < level < 1.0:
            raise ValueError(f"{name} must lie between 0 and 1, not {level}")
