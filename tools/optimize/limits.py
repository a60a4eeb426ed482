"""The limits that weights must keep, whether they can be kept at all, and how failure to do so is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.optimize.linear import SOLVER_TOLERANCE, minimise
from tools.units import FloatArray

GroupCap = tuple[npt.ArrayLike, float]

TOLERANCE = 1e-12


class Infeasible(ValueError):
    """No weights keep all limits. ``limits`` names those in conflict, a group cap as ``group_caps[i]``."""

    def __init__(self, message: str, limits: Sequence[str]) -> None:
        super().__init__(message)
        self.limits = tuple(limits)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of each weight, ``lower`` and ``upper`` (n_assets,), and of weighted sums: ``shares`` @ w ≤ ``caps``.

    ``shares`` has shape (n_groups, n_assets), ``caps`` (n_groups,). Weights are long-only and add up to 1.
    """

    lower: FloatArray
    upper: FloatArray
    shares: FloatArray
    caps: FloatArray

    def hold(self, weights: FloatArray) -> bool:
        """Tell whether ``weights`` (n_assets,) keep all bounds and group caps within 1e-12."""
        within = (weights >= self.lower - TOLERANCE) & (weights <= self.upper + TOLERANCE)
        return bool(within.all() and (self.shares @ weights <= self.caps + TOLERANCE).all())


def read_limits(
    assets: int,
    max_weight: float = 1.0,
    min_weight: float = 0.0,
    max_weights: npt.ArrayLike | None = None,
    group_caps: Sequence[GroupCap] | None = None,
) -> Limits:
    """Put the limits into one record; per-asset caps combine with ``max_weight`` by minimum.

    Raises ValueError for a limit that is not finite, negative, or of the wrong shape, and for shares outside [0, 1].
    """
    caps = np.broadcast_to(_bounded(1.0 if max_weights is None else max_weights, "max_weights"), (assets,))
    groups = list(group_caps or ())
    shares = np.array([np.broadcast_to(_bounded(row, "shares"), (assets,)) for row, _ in groups]).reshape(-1, assets)
    if (shares > 1.0).any():
        raise ValueError("the shares of a group cap must lie between 0 and 1")
    return Limits(
        lower=np.full(assets, float(_bounded(min_weight, "min_weight"))),
        upper=np.minimum(np.minimum(caps, _bounded(max_weight, "max_weight")), 1.0),
        shares=shares,
        caps=_bounded([cap for _, cap in groups], "group_caps"),
    )


def _bounded(value: npt.ArrayLike, name: str) -> FloatArray:
    array = np.asarray(value, dtype=np.float64)
    if not (np.isfinite(array).all() and (array >= 0.0).all()):
        raise ValueError(f"{name} must be finite and not negative, not {value!r}")
    return array


def check_bounds(limits: Limits) -> None:
    """Raise ``Infeasible`` when the bounds of the single assets alone leave no weights that add up to 1."""
    if (limits.lower > limits.upper + TOLERANCE).any():
        asset = int(np.argmax(limits.lower - limits.upper))
        message = f"min_weight {limits.lower[asset]:g} is above the cap {limits.upper[asset]:g} of asset {asset}"
        raise Infeasible(message, ["min_weight", "max_weight"])
    assets = limits.lower.size
    if (least := float(limits.lower.sum())) > 1.0 + TOLERANCE:
        raise Infeasible(f"min_weight times {assets} assets is {least:g}, above 1", ["min_weight"])
    if (most := float(limits.upper.sum())) < 1.0 - TOLERANCE:
        raise Infeasible(f"the caps of {assets} assets add up to {most:g}, below 1", ["max_weight"])


def check_groups(limits: Limits) -> None:
    """Raise ``Infeasible`` when the group caps leave no room for all the money, naming the caps that bind.

    The most that can be placed is a linear program; the caps in conflict are those with a price (a dual value) in it.
    """
    floors = limits.shares @ limits.lower
    if (broken := np.flatnonzero(floors > limits.caps + TOLERANCE)).size:
        names = [f"group_caps[{group}]" for group in broken]
        raise Infeasible(f"min_weight alone breaks {', '.join(names)}", ["min_weight", *names])
    if not limits.caps.size:
        return
    bounds = np.column_stack([limits.lower, limits.upper])
    placed, prices = minimise(np.full(limits.lower.size, -1.0), limits.shares, limits.caps, bounds)
    if (most := float(placed.sum())) < 1.0 - TOLERANCE * limits.lower.size:
        names = [f"group_caps[{group}]" for group in np.flatnonzero(prices < -SOLVER_TOLERANCE)]
        message = f"{', '.join(names)} and the caps of the assets leave room for {most:g} of the money, below 1"
        raise Infeasible(message, [*names, "max_weight"])
