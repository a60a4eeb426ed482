"""Is one forecaster better than another? Loss differentials, their mean, and how sure one can be of its sign.

**The test** (Diebold & Mariano, "Comparing predictive accuracy", Journal of Business & Economic Statistics 13, 1995).
For d_1 … d_n, the loss of the rival less the loss of the method at consecutive origins, and k the number of origins
that one forecast overlaps with, itself included:

    S  = mean(d) / √(V/n),   V = γ_0 + 2 Σ_{j=1}^{k−1} (1 − j/k) γ_j,   γ_j = (1/n) Σ_t (d_t − d̄)(d_{t−j} − d̄)

V is the long-run variance with k − 1 lags and Bartlett's weights (Newey & West, Econometrica 55(3), 1987), which keep
it positive. S is multiplied by √((n + 1 − 2k + k(k − 1)/n)/n) and held against Student's t with n − 1 degrees of
freedom (Harvey, Leybourne & Newbold, International Journal of Forecasting 13(2), 1997). The p-value is one-sided: the
chance of so large an S when the method is *not* better.

**Several series.** Pools move together, so forecasts of one day are no independent trials. The squared errors of each
series are divided by the mean square error of the rival on that series, so that none counts for more because it is
wilder; then the differentials of one origin are averaged over its series, and the test sees one number per origin.

**The ratio** of a series is the root mean square error of the method over that of the rival, on the same forecasts. Of
several series, ``ratio`` is the median and ``ratio_mean`` the exponential of the mean logarithm. The interval is of the
median: origins are drawn with replacement in blocks of consecutive ones (Künsch, Annals of Statistics 17(3), 1989),
all series of an origin together, and the ratios are computed again. Where both never err on the series drawn, it has no
ratio in that draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.units import FloatArray

LEAST_ORIGINS = 8  # of the test, and of each series that has a ratio
RESAMPLES = 1000
BLOCK_DAYS = 56
LEAST_BLOCKS = 3
LEVEL = 0.95
STILL = 1e-9  # a root mean square error of an APY below this is the residue of arithmetic


@dataclass(frozen=True)
class TestResult:
    """What the test says of n differentials: statistic and one-sided p-value, or None with the reason."""

    __test__ = False  # no test case

    origins: int
    statistic: float | None
    p_value: float | None
    reason: str | None


@dataclass(frozen=True)
class Comparison:
    """How a method does against a rival on several series; see the top of this module.

    ``wins`` is the share of the series on which the method's ratio is below 1. What cannot be said is None, with the
    ``reason``.
    """

    series: int
    forecasts: int
    ratio: float | None
    ratio_mean: float | None
    ratio_low: float | None
    ratio_high: float | None
    wins: float | None
    test: TestResult
    reason: str | None


def diebold_mariano(differentials: npt.ArrayLike, overlap: int = 1) -> TestResult:
    """Test whether loss differentials (n_origins,), rival less method, are above zero on average.

    ``overlap`` is k above: 1 where no two forecasts share a day. Fewer than ``LEAST_ORIGINS`` (or than 2k) origins,
    differentials that are all zero or do not vary have no p-value, with a reason. Raises ValueError for NaN, infinity,
    another shape and an overlap below 1.
    """
    d = np.asarray(differentials, dtype=np.float64)
    if d.ndim != 1 or not np.isfinite(d).all():
        raise ValueError(f"differentials must be finite and of shape (n_origins,), not {d.shape}")
    if overlap < 1:
        raise ValueError(f"overlap must be at least 1, not {overlap}")
    if d.size < max(LEAST_ORIGINS, 2 * overlap):
        return TestResult(d.size, None, None, f"fewer than {max(LEAST_ORIGINS, 2 * overlap)} origins")
    if not d.any():
        return TestResult(d.size, None, None, "both make the same errors")
    mean = math.fsum(d) / d.size
    variance = _long_run_variance(d - mean, overlap)
    if variance <= 1e-24 * mean**2 or variance == 0.0:
        return TestResult(d.size, None, None, "the difference of the losses never changed")
    shrink = (d.size + 1 - 2 * overlap + overlap * (overlap - 1) / d.size) / d.size
    statistic = mean / math.sqrt(variance / d.size) * math.sqrt(shrink)
    return TestResult(d.size, statistic, student_tail(statistic, d.size - 1), None)


def compare(errors: FloatArray, rival: FloatArray, horizon_days: int, step_days: int, seed: int = 0) -> Comparison:
    """Compare the errors (n_origins, n_series) of a method with a rival's, over the forecasts that both made (not NaN).

    Errors are forecast less outcome, fractions of APY; origins lie ``step_days`` apart. Series with fewer than
    ``LEAST_ORIGINS`` forecasts, or on which the rival makes no error at all, are left out.
    """
    both = np.isfinite(errors) & np.isfinite(rival)
    seen = both.any(axis=1)
    errors, rival, both = errors[seen], rival[seen], both[seen]
    counts = np.add.reduce(both, axis=0)
    own, other = (np.where(both, part, 0.0) ** 2 for part in (errors, rival))
    scale = np.add.reduce(other, axis=0) / np.maximum(counts, 1)
    kept = (counts >= LEAST_ORIGINS) & (scale > STILL**2)
    own, other, both, scale = own[:, kept], other[:, kept], both[:, kept], scale[kept]
    overlap = -(-horizon_days // step_days)
    if not kept.any():
        reason = f"no series has {LEAST_ORIGINS} forecasts"
        return Comparison(0, 0, None, None, None, None, None, TestResult(0, None, None, reason), reason)
    ratios = np.sqrt(np.add.reduce(own, axis=0) / np.add.reduce(other, axis=0))
    low, high = _interval(own, other, max(1, BLOCK_DAYS // step_days), seed)
    left = both.any(axis=1)
    differences = np.add.reduce((other - own) / scale, axis=1)[left] / np.add.reduce(both, axis=1)[left]
    return Comparison(
        series=int(kept.sum()),
        forecasts=int(both.sum()),
        ratio=float(np.median(ratios)),
        ratio_mean=_geometric_mean(ratios),
        ratio_low=low,
        ratio_high=high,
        wins=float(np.mean(ratios < 1.0)),
        test=diebold_mariano(differences, overlap),
        reason=None,
    )


def student_tail(statistic: float, degrees: int) -> float:
    """Return P(T > statistic) of Student's t with whole ``degrees`` of freedom, by the finite sums of its distribution.

    Abramowitz & Stegun 1964, 26.7.3 and 26.7.4; without scipy, so that a decision does not wait for it and a program of
    the standard library can check it.
    """
    angle = math.atan2(statistic, math.sqrt(degrees))
    cosine = degrees / (degrees + statistic**2)  # its square
    odd = degrees % 2 == 1
    term, terms = (math.cos(angle) if odd else 1.0), []
    for j in range(1 if odd else 0, degrees - 1, 2):
        terms.append(term)
        term *= cosine * (j + 1) / (j + 2)
    inside = math.sin(angle) * math.fsum(terms)
    both = 2.0 / math.pi * (angle + inside) if odd else inside
    return min(1.0, max(0.0, 0.5 * (1.0 - both)))


def _long_run_variance(deviations: FloatArray, overlap: int) -> float:
    n = deviations.size
    covariances = [math.fsum(deviations[j:] * deviations[: n - j]) / n for j in range(overlap)]
    return covariances[0] + 2.0 * math.fsum((1.0 - j / overlap) * covariances[j] for j in range(1, overlap))


def _geometric_mean(ratios: FloatArray) -> float | None:
    return math.exp(math.fsum(np.log(ratios)) / ratios.size) if (ratios > 0.0).all() else None


def _interval(own: FloatArray, other: FloatArray, block: int, seed: int) -> tuple[float, float] | tuple[None, None]:
    """Return the quantiles of the median ratio over resampled origins; rows are origins, columns series.

    None where the origins make too few blocks: what is drawn from them would hardly differ.
    """
    if own.shape[0] < LEAST_BLOCKS * block:
        return None, None
    drawn = _block_counts(own.shape[0], block, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = np.einsum("bo,os->bs", drawn, own) / np.einsum("bo,os->bs", drawn, other)
    medians = [np.median(np.sqrt(row[np.isfinite(row)])) for row in ratios if np.isfinite(row).any()]
    low, high = np.quantile(medians, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return float(low), float(high)


def _block_counts(n_origins: int, block: int, seed: int) -> FloatArray:
    """Return how often each origin is drawn, (RESAMPLES, n_origins), in circular blocks of consecutive origins."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(n_origins, size=(RESAMPLES, -(-n_origins // block)))
    places = (starts[:, :, None] + np.arange(block)).reshape(RESAMPLES, -1)[:, :n_origins] % n_origins
    counts = np.zeros((RESAMPLES, n_origins))
    np.add.at(counts, (np.arange(RESAMPLES)[:, None], places), 1.0)
    return counts
