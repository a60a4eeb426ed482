"""Weights as people write them: whole basis points that add up to exactly 100 %."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tools.optimize.limits import GroupCap, read_limits
from tools.units import BASIS_POINTS, FloatArray


def round_weights(
    weights: npt.ArrayLike, upper: npt.ArrayLike, group_caps: Sequence[GroupCap] | None = None
) -> FloatArray:
    """Round weights (n_assets,) to basis points by largest remainders, so that they add up to exactly 10,000 of them.

    No weight is raised above its bound in ``upper`` (n_assets,), no group above its cap (see ``optimize``), and none
    up from zero; ties go to the asset that comes first. Where that leaves points to give away (three thirds capped at
    a third) the weights are returned as they are. Raises ValueError for NaN, infinity or negative weights, and for
    sums off 1 by more than 1e-9.
    """
    exact = np.asarray(weights, dtype=np.float64)
    if exact.ndim != 1 or not np.isfinite(exact).all() or (exact < 0.0).any() or abs(exact.sum() - 1.0) > 1e-9:
        raise ValueError(f"weights must be finite, not negative and add up to 1, not {weights!r}")
    limits = read_limits(exact.size, max_weights=upper, group_caps=group_caps)
    points = np.round(exact * BASIS_POINTS, 6)  # 0.29 is 2,900 points, not 2,899.9999999999995
    whole = np.floor(points)
    for asset in np.argsort(whole - points, kind="stable"):
        raised = whole.copy()
        raised[asset] += 1.0
        if whole.sum() < BASIS_POINTS and exact[asset] > 0.0 and limits.hold(raised / BASIS_POINTS):
            whole = raised
    return whole / BASIS_POINTS if whole.sum() == BASIS_POINTS else exact
