"""Loss measures of one return series or of many, at any confidence level and horizon.

Returns are simple and daily (0.001 is 0.1 %), of shape (n_days,) or (n_strategies, n_days); the result has shape () or
(n_strategies,). Losses are positive, and a negative figure says that even the tail earns. NaN, infinity, no day at all
or another number of dimensions raise ValueError: a measure of a series with holes is for the caller to refuse or to
fill, with a reason. Inputs are not changed.

A horizon of h days takes the T − h + 1 overlapping compounded h-day returns of the series. They share days, so they
tell hardly more than T / h separate ones; but they keep what the series remembers, which the square root of time does
not: only the figures that say so scale by √h.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from tools.metrics.inputs import checked, without_variance
from tools.metrics.losses import growth_and_drawdown, tail_days, tail_losses, worst_returns
from tools.units import FloatArray

VarMethod = Literal["historical", "normal", "cornish_fisher", "monte_carlo"]
VAR_METHODS: tuple[VarMethod, ...] = ("historical", "normal", "cornish_fisher", "monte_carlo")
PATHS = 100_000

_BLOCK = 131_072  # returns to a block of rows: work arrays of 1 MB
_STEPS = 100
# At the minimum the error of EVaR is the square of the error in ln z, so this leaves 1e-12 of the range of the losses.
_CLOSE = 1e-6
_LONGEST_STEP = 2.0
_TINY = 1e-300


def value_at_risk(
    returns: npt.ArrayLike,
    confidence: float = 0.95,
    method: VarMethod = "historical",
    *,
    horizon_days: int = 1,
    seed: int = 0,
) -> FloatArray:
    """Return the value at risk by a method of ``VAR_METHODS``; ``seed`` is for ``monte_carlo`` alone.

    Cornish-Fisher is NaN outside its domain, see ``cornish_fisher_reasons``. Raises ValueError for another method
    and as the method itself does.
    """
    if method == "monte_carlo":
        return monte_carlo_var(returns, confidence, horizon_days=horizon_days, seed=seed)
    measures: dict[str, Callable[..., FloatArray]] = {
        "historical": historical_var,
        "normal": normal_var,
        "cornish_fisher": cornish_fisher_var,
    }
    if method not in measures:
        raise ValueError(f"method must be one of {', '.join(VAR_METHODS)}, not {method!r}")
    return measures[method](returns, confidence, horizon_days=horizon_days)


# --- from the days as they were --------------------------------------------------------------------------------------


def overlapping_returns(returns: npt.ArrayLike, horizon_days: int) -> FloatArray:
    """Return the compounded returns of every run of ``horizon_days`` days, (n_days − h + 1,) or one row per strategy.

    Raises ValueError unless 1 ≤ ``horizon_days`` ≤ n_days, and where a day loses more than everything (h > 1 only).
    """
    rows = _rows(returns)
    days = rows.shape[1]
    if not 1 <= horizon_days <= days:
        raise ValueError(f"horizon_days must lie between 1 and the {days} days of the series, not {horizon_days}")
    if horizon_days > 1:
        _refuse_below_nothing(rows)
        growth = np.ones((rows.shape[0], days - horizon_days + 1))
        for day in range(horizon_days):
            growth *= rows[:, day : day + growth.shape[1]] + 1.0
        rows = growth - 1.0
    return rows[0] if np.ndim(returns) == 1 else rows


def historical_var(returns: npt.ArrayLike, confidence: float = 0.95, *, horizon_days: int = 1) -> FloatArray:
    """Return the historical value at risk: the order statistic L_(⌈αT⌉) of the ascending losses L = −r.

    Nothing is interpolated, so the figure is a loss that happened; ⌈αT⌉ is taken after removing float rounding. A
    negative value says that even the tail earned. The recipe "element floor((1 − α)·n) of the sorted returns, counted
    from 1" is one rank too extreme and has no answer below 20 days; it is not used. Raises ValueError unless 0 <
    ``confidence`` < 1, and for the horizon as ``overlapping_returns`` does.
    """
    return _tail(overlapping_returns(returns, horizon_days), confidence)[0]


def conditional_value_at_risk(returns: npt.ArrayLike, confidence: float = 0.95, *, horizon_days: int = 1) -> FloatArray:
    """Return the mean loss of the worst (1 − α)·T days, the last of them counted in part.

    A year at 95 % has 18.25 of them. This is the minimum over ζ of ζ + Σ max(L − ζ, 0) / ((1 − α)T), eq. 4 of
    Rockafellar & Uryasev, "Optimization of conditional value-at-risk" (Journal of Risk 2(3), 2000), coherent by
    Acerbi & Tasche (2002), and never below ``historical_var``. Raises ValueError as ``historical_var`` does.
    """
    return _tail(overlapping_returns(returns, horizon_days), confidence)[1]


def entropic_value_at_risk(returns: npt.ArrayLike, confidence: float = 0.95, *, horizon_days: int = 1) -> FloatArray:
    """Return the entropic value at risk, inf over t > 0 of t·(ln E[e^(L/t)] − ln(1 − α)), from CVaR to the worst loss.

    The tightest bound on VaR and CVaR that the Chernoff inequality gives, and the worst mean loss among distributions Q
    with KL(Q‖P) ≤ −ln(1 − α): Ahmadi-Javid, "Entropic value-at-risk" (J. Optim. Theory Appl. 155, 2012). Where the days
    with the worst loss make up 1 − α of all (one day does, if (1 − α)T ≤ 1) it is that loss. Raises ValueError as
    ``historical_var`` does.
    """
    horizon = overlapping_returns(returns, horizon_days)
    rows = np.atleast_2d(horizon)
    size, _ = tail_days(rows.shape[1], confidence)
    limit = -math.log1p(-confidence)
    height = max(1, _BLOCK // rows.shape[1])
    blocks = (rows[first : first + height] for first in range(0, max(rows.shape[0], 1), height))
    return _shaped(np.concatenate([_entropic(0.0 - block, size, limit) for block in blocks]), horizon)


def max_drawdown(returns: npt.ArrayLike) -> FloatArray:
    """Return the largest fall of compounded wealth from its running peak, a fraction ≥ 0.

    The starting value counts as a peak, so a loss on the first day is a drawdown. A return below −1 (a day loses more
    than everything) raises ValueError: no wealth is left to fall.
    """
    rows = _rows(returns)
    _refuse_below_nothing(rows)
    return _shaped(growth_and_drawdown(rows)[1], returns)


def conditional_drawdown_at_risk(returns: npt.ArrayLike, confidence: float = 0.95) -> FloatArray:
    """Return the mean of the deepest (1 − α)·T daily drawdowns, of returns added up, **not** compounded.

    Chekhlov, Uryasev & Zabarankin, "Drawdown measure in portfolio optimization" (Int. J. Theor. Appl. Finance 8(1),
    2005). Sums instead of products make it what a linear program can minimise; for small returns the two hardly differ.
    The start counts as a peak, the last drawdown of the tail counts in part. Tends to the largest drawdown of the sums
    as α → 1 and to the average one as α → 0. Raises ValueError unless 0 < ``confidence`` < 1.
    """
    sums = np.cumsum(_rows(returns), axis=1)
    falls = sums - np.maximum(np.maximum.accumulate(sums, axis=1), 0.0)
    return _shaped(_tail(falls, confidence)[1], returns)


# --- from a fitted distribution --------------------------------------------------------------------------------------


def normal_var(returns: npt.ArrayLike, confidence: float = 0.95, *, horizon_days: int = 1) -> FloatArray:
    """Return the value at risk of a normal distribution with the mean and deviation of the days: −μh + σ√h·Φ⁻¹(α).

    Scales by √h, which holds for independent days only. σ has ddof 1. Says nothing of a tail that is not normal. Raises
    ValueError below two days and as ``historical_var`` does.
    """
    fit = _fitted(returns, confidence, horizon_days)
    return _shaped(fit.deviation * _quantile(confidence) - fit.mean, returns)


def normal_expected_shortfall(returns: npt.ArrayLike, confidence: float = 0.95, *, horizon_days: int = 1) -> FloatArray:
    """Return the expected loss beyond ``normal_var``: −μh + σ√h·φ(Φ⁻¹(α)) / (1 − α). Scales and raises as it does."""
    fit = _fitted(returns, confidence, horizon_days)
    tail = NormalDist().pdf(_quantile(confidence)) / (1.0 - confidence)
    return _shaped(fit.deviation * tail - fit.mean, returns)


def cornish_fisher_var(returns: npt.ArrayLike, confidence: float = 0.95, *, horizon_days: int = 1) -> FloatArray:
    """Return the value at risk −(μh + σ√h·w(q)) of the Cornish-Fisher expansion at q = Φ⁻¹(1 − α).

        w(q) = q + (q² − 1)S/6 + (q³ − 3q)K/24 − (2q³ − 5q)S²/36

    S and K are the skewness and excess kurtosis of the population of days, scaled by 1/√h and 1/h (independent days).
    Cornish & Fisher (1938); Zangari, "A VaR methodology for portfolios that include options" (1996). NaN where w does
    not rise everywhere and so is no quantile, see ``cornish_fisher_reasons``; within the domain the moments of the
    expansion still differ from S and K (Amédée-Manesme, Barthélémy & Maillard, Annals of Operations Research 281,
    2019), which is not corrected here. Raises ValueError as ``normal_var`` does.
    """
    fit = _fitted(returns, confidence, horizon_days)
    q = -_quantile(confidence)
    s, k = fit.skewness, fit.kurtosis
    w = q + (q * q - 1.0) * s / 6.0 + (q**3 - 3.0 * q) * k / 24.0 - (2.0 * q**3 - 5.0 * q) * s * s / 36.0
    return _shaped(_within(fit, -(fit.mean + fit.deviation * w)), returns)


def cornish_fisher_expected_shortfall(
    returns: npt.ArrayLike, confidence: float = 0.95, *, horizon_days: int = 1
) -> FloatArray:
    """Return the expected loss beyond ``cornish_fisher_var``, in closed form; NaN and ValueError where that has them.

    σ√h·φ(q)/(1 − α)·(1 + qS/6 + (q² − 1)K/24 − (2q² − 1)S²/36) − μh: the integral of the expansion over the tail
    (Maillard, "A user's guide to the Cornish Fisher expansion", SSRN 1997178, 2012).
    """
    fit = _fitted(returns, confidence, horizon_days)
    q = -_quantile(confidence)
    s, k = fit.skewness, fit.kurtosis
    w = 1.0 + q * s / 6.0 + (q * q - 1.0) * k / 24.0 - (2.0 * q * q - 1.0) * s * s / 36.0
    tail = NormalDist().pdf(q) / (1.0 - confidence)
    return _shaped(_within(fit, fit.deviation * tail * w - fit.mean), returns)


def cornish_fisher_reasons(returns: npt.ArrayLike, *, horizon_days: int = 1) -> list[str | None]:
    """Say for each strategy why Cornish-Fisher figures are undefined, None where they are given.

    The expansion is a quantile only if it rises with the normal quantile z everywhere, that is if w′(z) =
    (K/8 − S²/6)z² + (S/3)z + 1 − K/8 + 5S²/36 is nowhere negative: S²/9 ≤ 4(K/8 − S²/6)(1 − K/8 + 5S²/36) with both
    factors at least 0 (Maillard 2012). Without skewness that is 0 ≤ K ≤ 8; at any kurtosis |S| ≤ 6(√2 − 1).
    """
    return _outside(_fitted(returns, 0.5, horizon_days))


def monte_carlo_var(
    returns: npt.ArrayLike, confidence: float = 0.95, *, horizon_days: int = 1, paths: int = PATHS, seed: int = 0
) -> FloatArray:
    """Return the value at risk of ``paths`` simulated compounded returns of independent, log-normal days.

    ln(1 + r) over the horizon is normal with mean h·m and deviation √h·s, m and s (ddof 1) being those of the days'
    logarithms: it scales by √h, for independent days. Each strategy gets the same draws, and its return rises with
    them, so the order statistic of the draws is that of its losses. Seeded: uniform numbers of Philox through the
    inverse normal.
    Raises ValueError as ``normal_var`` does, below one path, and where a day loses everything.
    """
    means, deviations = _log_moments(returns, horizon_days)
    count = _paths_in_tail(paths, confidence)[1]
    return _shaped(0.0 - np.expm1(means + deviations * _lowest_normals(paths, count, seed)[-1]), returns)


def monte_carlo_expected_shortfall(
    returns: npt.ArrayLike, confidence: float = 0.95, *, horizon_days: int = 1, paths: int = PATHS, seed: int = 0
) -> FloatArray:
    """Return the mean loss beyond ``monte_carlo_var`` on the same paths, the last of the tail counted in part."""
    means, deviations = _log_moments(returns, horizon_days)
    size, count = _paths_in_tail(paths, confidence)
    draws = _lowest_normals(paths, count, seed)
    tails = [tail_losses(np.expm1(m + s * draws)[None], size)[1] for m, s in zip(means, deviations, strict=True)]
    return _shaped(np.concatenate([np.empty(0), *tails]), returns)


# --- parts -----------------------------------------------------------------------------------------------------------


class _Fit(NamedTuple):
    """Moments of the returns over the horizon, each (n_strategies,)."""

    mean: FloatArray
    deviation: FloatArray
    skewness: FloatArray
    kurtosis: FloatArray


def _rows(returns: npt.ArrayLike) -> FloatArray:
    """Check returns of one or two dimensions and return them as (n_strategies, n_days)."""
    return np.atleast_2d(checked(returns, "returns", 1 if np.ndim(returns) == 1 else 2))


def _refuse_below_nothing(rows: FloatArray) -> None:
    if (rows < -1.0).any():
        raise ValueError("a return is below -1: a day loses more than everything, so wealth cannot be compounded")


def _shaped(values: FloatArray, returns: npt.ArrayLike) -> FloatArray:
    return np.asarray(values[0] if np.ndim(returns) == 1 else values)


def _tail(returns: npt.ArrayLike, confidence: float) -> tuple[FloatArray, FloatArray]:
    rows = _rows(returns)
    size, count = tail_days(rows.shape[1], confidence)
    var, cvar = tail_losses(worst_returns(rows.copy(), count), size)
    return _shaped(var, returns), _shaped(cvar, returns)


def _quantile(confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    return NormalDist().inv_cdf(confidence)


def _several_days(returns: npt.ArrayLike, horizon_days: int) -> FloatArray:
    rows = _rows(returns)
    if rows.shape[1] < 2:
        raise ValueError("a distribution cannot be fitted to a single day")
    if horizon_days < 1:
        raise ValueError(f"horizon_days must be at least 1, not {horizon_days}")
    return rows


def _fitted(returns: npt.ArrayLike, confidence: float, horizon_days: int) -> _Fit:
    """Return the moments over the horizon; skewness and kurtosis are NaN where the days do not vary."""
    _quantile(confidence)
    rows = _several_days(returns, horizon_days)
    days = rows.shape[1]
    mean = np.add.reduce(rows, axis=1) / days
    deviations = rows - mean[:, None]
    squares = deviations * deviations
    second, third, fourth = (
        np.einsum("ij,ij->i", squares, part) / days for part in (np.ones_like(squares), deviations, squares)
    )
    deviation = np.sqrt(second * (days / (days - 1)))
    varying = np.where(without_variance(deviation, mean), np.nan, second)
    skewness, kurtosis = third / varying**1.5, fourth / varying**2 - 3.0
    h = float(horizon_days)
    return _Fit(mean * h, deviation * math.sqrt(h), skewness / math.sqrt(h), kurtosis / h)


def _outside(fit: _Fit) -> list[str | None]:
    """Say of each fit why it lies outside the domain of Cornish-Fisher, None where it lies within."""
    s, k = fit.skewness, fit.kurtosis
    curvature, centre = k / 8.0 - s * s / 6.0, 1.0 - k / 8.0 + 5.0 * s * s / 36.0
    inside = (curvature >= 0.0) & (centre >= 0.0) & (s * s / 9.0 <= 4.0 * curvature * centre)
    return [_why_outside(*moments) for moments in zip(s.tolist(), k.tolist(), inside.tolist(), strict=True)]


def _why_outside(skewness: float, kurtosis: float, inside: bool) -> str | None:
    if math.isnan(skewness):
        return "the returns do not vary"
    outside = f"skewness {skewness:.2f} and excess kurtosis {kurtosis:.2f} lie outside the domain of the expansion"
    return None if inside else outside


def _within(fit: _Fit, values: FloatArray) -> FloatArray:
    return np.where([reason is None for reason in _outside(fit)], values, np.nan)


def _log_moments(returns: npt.ArrayLike, horizon_days: int) -> tuple[FloatArray, FloatArray]:
    rows = _several_days(returns, horizon_days)
    if (rows <= -1.0).any():
        raise ValueError("a return is -1 or below: a day loses everything, so its logarithm does not exist")
    logs = np.log1p(rows)
    means = np.add.reduce(logs, axis=1) / rows.shape[1]
    logs -= means[:, None]
    variances = np.einsum("ij,ij->i", logs, logs) / (rows.shape[1] - 1)
    return means * horizon_days, np.sqrt(variances * horizon_days)


def _paths_in_tail(paths: int, confidence: float) -> tuple[float, int]:
    if paths < 1:
        raise ValueError(f"paths must be at least 1, not {paths}")
    return tail_days(paths, confidence)


def _lowest_normals(paths: int, count: int, seed: int) -> FloatArray:
    """Return the ``count`` lowest of ``paths`` standard normal numbers, ascending."""
    from scipy.special import ndtri

    uniform = np.random.Generator(np.random.Philox(seed)).random(paths)
    lowest = worst_returns(uniform[None], count)[0]
    return np.asarray(ndtri(np.maximum(lowest, 2.0**-54)), dtype=np.float64)  # 0 would be minus infinity


def _entropic(losses: FloatArray, size: float, limit: float) -> FloatArray:
    """Return the entropic value at risk of each row of losses (n_rows, n_days).

    Losses are measured from the worst one in units of their range, x ∈ [−1, 0], so that no exponential overflows.
    """
    worst = losses.max(axis=1)
    spread = worst - losses.min(axis=1)
    evar = worst.copy()
    below = np.flatnonzero(np.count_nonzero(losses == worst[:, None], axis=1) < size)
    if below.size:
        scaled = (losses[below] - worst[below, None]) / spread[below, None]
        evar[below] += spread[below] * np.minimum(_least_bound(scaled, limit), 0.0)
    return np.asarray(evar)


def _least_bound(losses: FloatArray, limit: float) -> FloatArray:
    """Minimise (K(z) + limit) / z over z > 0, K(z) = ln E[e^(zx)], for each row x ∈ [−1, 0] of (n_rows, n_days).

    The minimum is where the divergence z·K′(z) − K(z) equals the limit. It grows with z; for a normal distribution its
    logarithm is a line of slope 2 over ln z, so Newton steps on that scale are few, and a bracket guards them. A row
    stops when it has converged, whatever the rows beside it do.
    """
    rows = np.arange(losses.shape[0])
    best = np.full(rows.size, np.inf)
    mean = np.add.reduce(losses, axis=1) / losses.shape[1]
    centred = losses - mean[:, None]
    variance = np.einsum("ij,ij->i", centred, centred) / losses.shape[1]
    place = np.log(2.0 * limit / np.maximum(variance, _TINY)) / 2.0
    low, high = np.full_like(place, -np.inf), np.full_like(place, np.inf)
    for _ in range(_STEPS):
        bound, divergence, slope = _bound(losses, np.exp(place), limit)
        best[rows] = np.minimum(best[rows], bound)
        low = np.where(divergence <= limit, place, low)
        high = np.where(divergence >= limit, place, high)
        step = _guarded_step(place, np.log(limit / divergence) * divergence / slope, low, high)
        moving = np.abs(step) > _CLOSE
        if not moving.any():
            break
        place += step
        if not moving.all():
            rows, losses = rows[moving], losses[moving]
            place, low, high = place[moving], low[moving], high[moving]
    return best


def _bound(losses: FloatArray, z: FloatArray, limit: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (K + limit) / z, the divergence z·K′ − K and its slope z²·K″ over ln z, each (n_rows,)."""
    days = losses.shape[1]
    weights = np.exp(losses * z[:, None])
    total = np.add.reduce(weights, axis=1)
    weights *= losses
    mean = np.add.reduce(weights, axis=1) / total
    square = np.einsum("ij,ij->i", weights, losses) / total
    cumulant = np.log(total / days)
    divergence = np.maximum(z * mean - cumulant, _TINY)
    return (cumulant + limit) / z, divergence, np.maximum(z * z * (square - mean * mean), _TINY)


def _guarded_step(place: FloatArray, step: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return the Newton step, shortened, or half-way between the ends of the bracket where it would leave it."""
    step = np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
    outside = (place + step <= low) | (place + step >= high)
    outside &= np.isfinite(low) & np.isfinite(high) & (np.abs(step) > _CLOSE)
    return np.asarray(np.where(outside, np.where(np.isfinite(low + high), (low + high) / 2.0, 0.0) - place, step))
