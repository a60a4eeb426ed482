"""The trend of a yield, by the Mann–Kendall test."""

from __future__ import annotations

import math

import numpy as np

from tools.records import Trend
from tools.units import FloatArray

MIN_VALUES = 20
SIGNIFICANCE_Z = 1.6448536269514722  # the 95 % quantile of the standard normal distribution


def mann_kendall_z(values: FloatArray) -> float:
    """Return the standardised Mann–Kendall statistic of a series: positive when it rises, 0.0 when it is constant.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite values in time order.

    Notes
    -----
    S = Σ sign(x_j − x_i) over i < j; Var S = (n(n−1)(2n+5) − Σ t(t−1)(2t+5)) / 18 with t the sizes of the groups of
    ties; z = (S ∓ 1)/√Var S (Mann 1945; Kendall 1975; Gilbert 1987, *Statistical Methods for Environmental Pollution
    Monitoring*, ch. 16). Daily APYs are autocorrelated, which makes the test call a trend too often: it is used to be
    careful, not to predict.
    """
    n = values.size
    signs = np.sign(values[None, :] - values[:, None])
    s = float(np.triu(signs, 1).sum())
    ties = np.unique(values, return_counts=True)[1].astype(float)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18.0
    if s == 0.0 or variance <= 0.0:
        return 0.0
    return (s - math.copysign(1.0, s)) / math.sqrt(variance)


def falling_trend(values: FloatArray) -> Trend:
    """Say whether a series falls: one-sided Mann–Kendall test at 5 %; unknown with fewer than 20 values.

    ``values`` has shape (n,): a pool's APY less the median APY of the eligible pools of its asset, one value a day.
    """
    if values.size < MIN_VALUES:
        return "unknown"
    return "down" if mann_kendall_z(values) < -SIGNIFICANCE_Z else "not_down"
