"""Loss measures of one return series or of many, at any confidence level.

Returns are simple and daily (0.001 is 0.1 %), of shape (n_days,) or (n_strategies, n_days); the result has shape () or
(n_strategies,). Losses are positive. NaN, infinity, no day at all or another number of dimensions raise ValueError: a
measure of a series with holes is for the caller to refuse or to fill, with a reason. Inputs are not changed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tools.metrics.inputs import checked
from tools.metrics.losses import growth_and_drawdown, tail_days, tail_losses, worst_returns
from tools.units import FloatArray


def historical_var(returns: npt.ArrayLike, confidence: float = 0.95) -> FloatArray:
    """Return the historical value at risk: the order statistic L_(⌈αT⌉) of the ascending daily losses L = −r.

    Nothing is interpolated, so the figure is a loss that happened; ⌈αT⌉ is taken after removing float rounding. A
    negative value says that even the tail earned. The recipe "element floor((1 − α)·n) of the sorted returns, counted
    from 1" is one rank too extreme and has no answer below 20 days; it is not used. Raises ValueError unless 0 <
    ``confidence`` < 1.
    """
    return _tail(returns, confidence)[0]


def conditional_value_at_risk(returns: npt.ArrayLike, confidence: float = 0.95) -> FloatArray:
    """Return the mean loss of the worst (1 − α)·T days, the last of them counted in part.

    A year at 95 % has 18.25 of them. This is the minimum over ζ of ζ + Σ max(L − ζ, 0) / ((1 − α)T), eq. 4 of
    Rockafellar & Uryasev, "Optimization of conditional value-at-risk" (Journal of Risk 2(3), 2000), coherent by
    Acerbi & Tasche (2002), and never below ``historical_var``. Raises ValueError unless 0 < ``confidence`` < 1.
    """
    return _tail(returns, confidence)[1]


def max_drawdown(returns: npt.ArrayLike) -> FloatArray:
    """Return the largest fall of compounded wealth from its running peak, a fraction ≥ 0.

    The starting value counts as a peak, so a loss on the first day is a drawdown. A return below −1 (a day loses more
    than everything) raises ValueError: no wealth is left to fall.
    """
    rows = _rows(returns)
    if (rows < -1.0).any():
        raise ValueError("a return is below -1: a day loses more than everything, so wealth cannot be compounded")
    return _shaped(growth_and_drawdown(rows)[1], returns)


def _rows(returns: npt.ArrayLike) -> FloatArray:
    """Check returns of one or two dimensions and return them as (n_strategies, n_days)."""
    return np.atleast_2d(checked(returns, "returns", 1 if np.ndim(returns) == 1 else 2))


def _shaped(values: FloatArray, returns: npt.ArrayLike) -> FloatArray:
    return np.asarray(values[0] if np.ndim(returns) == 1 else values)


def _tail(returns: npt.ArrayLike, confidence: float) -> tuple[FloatArray, FloatArray]:
    rows = _rows(returns)
    size, count = tail_days(rows.shape[1], confidence)
    var, cvar = tail_losses(worst_returns(rows.copy(), count), size)
    return _shaped(var, returns), _shaped(cvar, returns)
