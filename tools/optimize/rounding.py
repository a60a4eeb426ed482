"""Weights as people write them: whole basis points that add up to exactly 100 %."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tools.optimize.limits import GroupCap, Limits, read_limits
from tools.units import BASIS_POINTS, FloatArray

_KEPT = 1e-9


def round_weights(
    weights: npt.ArrayLike,
    upper: npt.ArrayLike,
    group_caps: Sequence[GroupCap] | None = None,
    *,
    mean: npt.ArrayLike | None = None,
    return_floor: float | None = None,
    previous: npt.ArrayLike | None = None,
    turnover: float | None = None,
) -> FloatArray:
    """Round weights (n_assets,) to basis points by largest remainders, so that they add up to exactly 10,000 of them.

    No weight is raised above its bound in ``upper`` (n_assets,), no group above its cap (see ``optimize``), and none
    up from zero; ties go to the asset that comes first. Where that would break a return floor or a turnover limit, the
    points go to the assets with the highest mean, or nearest below what is held now. Where no way keeps the limits, or
    points are left to give away (three thirds capped at a third), the weights are returned as they are. Raises
    ValueError for NaN, infinity or negative weights, and for sums off 1 by more than 1e-9.
    """
    exact = np.asarray(weights, dtype=np.float64)
    if exact.ndim != 1 or not np.isfinite(exact).all() or (exact < 0.0).any() or abs(exact.sum() - 1.0) > 1e-9:
        raise ValueError(f"weights must be finite, not negative and add up to 1, not {weights!r}")
    limits = read_limits(
        exact.size,
        max_weights=upper,
        group_caps=group_caps,
        mean=mean,
        return_floor=return_floor,
        previous=previous,
        turnover=turnover,
    )
    points = np.round(exact * BASIS_POINTS, 6)  # 0.29 is 2,900 points, not 2,899.9999999999995
    for urgency in _urgencies(points, limits):
        rounded = _raised(points, np.argsort(-urgency, kind="stable"), limits) / BASIS_POINTS
        if round(float(rounded.sum() * BASIS_POINTS)) == BASIS_POINTS and limits.hold(rounded, _KEPT):
            return rounded
    return exact


def _urgencies(points: FloatArray, limits: Limits) -> list[FloatArray]:
    """Return how much each asset (n_assets,) claims a point, one array for each way of giving them away."""
    ways = [points - np.floor(points)]
    if limits.mean is not None:
        ways.append(limits.mean)
    if limits.previous is not None:
        ways.append(limits.previous * BASIS_POINTS - np.floor(points))
    return ways


def _raised(points: FloatArray, order: npt.NDArray[np.intp], limits: Limits) -> FloatArray:
    """Round all down, and give a point each to the assets in ``order`` that have room, until all are given."""
    whole = np.floor(points)
    for asset in order:
        raised = whole.copy()
        raised[asset] += 1.0
        fits = raised[asset] / BASIS_POINTS <= limits.upper[asset] + 1e-12
        grouped = ((limits.shares * raised / BASIS_POINTS).sum(axis=1) <= limits.caps + 1e-12).all()
        if whole.sum() < BASIS_POINTS and points[asset] > 0.0 and fits and grouped:
            whole = raised
    return whole
