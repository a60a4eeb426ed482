"""The limits that weights must keep, each with a name, and the linear form in which solvers take them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.units import FloatArray

GroupCap = tuple[npt.ArrayLike, float] | tuple[npt.ArrayLike, float, str]

TOLERANCE = 1e-12
_FLATTEST = 1e-4  # of the largest mean: in a finer unit the rounding of a mean would look like a broken floor


class Infeasible(ValueError):
    """No weights keep all limits. ``limits`` names those in conflict, a group cap as ``group_caps[i]`` or its name."""

    def __init__(self, message: str, limits: Sequence[str]) -> None:
        super().__init__(message)
        self.limits = tuple(limits)


class Polytope(NamedTuple):
    """All x with ``rows`` @ x ≤ ``values``, ``lower`` ≤ x ≤ ``upper``, and the first ``assets`` of them adding up to 1.

    The first ``assets`` unknowns are the weights; with a turnover limit the purchases follow. ``names`` (n_rows) say
    which limit a row stands for: None for a row that only ties a purchase to its weight. A row is its limit times
    ``scales`` (n_rows,): a price per unit of the row times its scale is a price per unit of the limit.
    """

    assets: int
    rows: FloatArray
    values: FloatArray
    lower: FloatArray
    upper: FloatArray
    names: tuple[str | None, ...]
    scales: FloatArray


@dataclass(frozen=True, slots=True)
class Limits:
    """What long-only weights that add up to 1 must keep.

    Parameters
    ----------
    lower, upper
        Bounds of each weight, shape (n_assets,).
    shares, caps
        Weighted sums: ``shares`` @ w ≤ ``caps``, of shapes (n_groups, n_assets) and (n_groups,).
    names
        Of the groups, for messages and prices.
    most, own
        The one cap that all assets share, and each asset's own, shape (n_assets,): ``upper`` is the lower of the two.
        Only messages need them apart; None for ``own`` is ``upper`` wherever that is below ``most``.
    mean, floor
        ``mean`` @ w ≥ ``floor``, in the unit of one scenario's return; None without a floor.
    previous, turnover
        Σ|w − ``previous``| ≤ ``turnover``: 2 sells everything and buys something else. None without such a limit.
    """

    lower: FloatArray
    upper: FloatArray
    shares: FloatArray
    caps: FloatArray
    names: tuple[str, ...] = ()
    most: float = 1.0
    own: FloatArray | None = None
    mean: FloatArray | None = None
    floor: float | None = None
    previous: FloatArray | None = None
    turnover: float | None = None

    def hold(self, weights: FloatArray, tolerance: float = TOLERANCE) -> bool:
        """Tell whether ``weights`` (n_assets,) keep all limits within ``tolerance`` (see ``excess``)."""
        return self.excess(weights) <= tolerance

    def excess(self, weights: FloatArray) -> float:
        """Return by how much ``weights`` (n_assets,) break the limit they break most, ≤ 0 where they keep all.

        A return floor counts in units of the spread of the means. The budget is not looked at.
        """
        bounds = max(float((self.lower - weights).max()), float((weights - self.upper).max()))
        return max(bounds, float(self.overshoot(weights).max(initial=-np.inf)))

    def overshoot(self, weights: FloatArray) -> FloatArray:
        """Return by how much ``weights`` (n_assets,) are above each group cap, below the floor, above the turnover."""
        rows, values, _, _ = self._weighted()
        over = (rows * weights).sum(axis=1) - values
        if self.turnover is None or self.previous is None:
            return np.asarray(over)
        return np.append(over, np.abs(weights - self.previous).sum() - self.turnover)

    def sole(self) -> FloatArray | None:
        """Return the only weights (n_assets,) that the bounds leave, where they leave one: floors or caps add up to 1.

        Their sum may be off by rounding (n times 1/n), which the weights are not.
        """
        for edge in (self.lower, self.upper):
            total = math.fsum(edge)
            if abs(total - 1.0) <= TOLERANCE:
                return np.clip(edge / total, self.lower, self.upper)
        return None

    def polytope(self) -> Polytope:
        """Put the limits into rows: group caps, the floor, and the turnover by way of purchases.

        With purchases b ≥ w − w0, b ≥ 0, Σ|w − w0| = 2Σb − (1 − Σw0) where b is as small as can be.
        """
        rows, values, names, scales = self._weighted()
        assets = self.lower.size
        if self.turnover is None or self.previous is None:
            return Polytope(assets, rows, values, self.lower, self.upper, names, scales)
        identity, none = np.eye(assets), np.zeros((1, assets))
        bought = (self.turnover + 1.0 - self.previous.sum()) / 2.0
        return Polytope(
            assets,
            np.block([[rows, np.zeros_like(rows)], [none, np.ones((1, assets))], [identity, -identity]]),
            np.concatenate([values, [bought], self.previous]),
            np.concatenate([self.lower, np.zeros(assets)]),
            np.concatenate([self.upper, np.maximum(self.upper - self.previous, 0.0)]),
            (*names, "turnover", *[None] * assets),
            np.concatenate([scales, [0.5], np.ones(assets)]),
        )

    def _weighted(self) -> tuple[FloatArray, FloatArray, tuple[str, ...], FloatArray]:
        """Return rows, values, names and scales of what is linear in the weights: group caps and the floor.

        The floor's row is shifted (weights add up to 1) and scaled to about 1, or a solver would not see it.
        """
        names = self.names or tuple(f"group_caps[{group}]" for group in range(self.caps.size))
        if self.mean is None or self.floor is None:
            return self.shares, self.caps, names, np.ones(self.caps.size)
        middle = float(np.median(self.mean))
        away = self.mean - middle
        size = max(float(np.abs(away).max()), _FLATTEST * float(np.abs(self.mean).max())) or 1.0
        rows = np.vstack([self.shares, -away / size])
        return (
            rows,
            np.append(self.caps, (middle - self.floor) / size),
            (*names, "return_floor"),
            np.append(np.ones(self.caps.size), 1.0 / size),
        )


def read_limits(
    assets: int,
    max_weight: float = 1.0,
    min_weight: float = 0.0,
    max_weights: npt.ArrayLike | None = None,
    group_caps: Sequence[GroupCap] | None = None,
    *,
    mean: npt.ArrayLike | None = None,
    return_floor: float | None = None,
    previous: npt.ArrayLike | None = None,
    turnover: float | None = None,
) -> Limits:
    """Put the limits into one record; per-asset caps combine with ``max_weight`` by minimum.

    Each of ``group_caps`` is (shares, cap) or (shares, cap, name). Raises ValueError for a limit that is not finite,
    negative (a return floor may be), or of the wrong shape, for shares outside [0, 1], for a floor without ``mean``,
    and for a turnover without ``previous`` weights (which add up to 1 at most).
    """
    caps = _each(1.0 if max_weights is None else max_weights, "max_weights", assets)
    shares, most_of, names = _read_groups(assets, group_caps)
    most = min(_size(max_weight, "max_weight"), 1.0)
    before, moved = _read_turnover(assets, previous, turnover)
    expected, least = _read_floor(assets, mean, return_floor)
    return Limits(
        lower=np.full(assets, _size(min_weight, "min_weight")),
        upper=np.minimum(caps, most),
        shares=shares,
        caps=most_of,
        names=names,
        most=most,
        own=caps,
        mean=expected,
        floor=least,
        previous=before,
        turnover=moved,
    )


def _read_groups(assets: int, group_caps: Sequence[GroupCap] | None) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Return shares (n_groups, n_assets), caps (n_groups,) and names."""
    if group_caps is not None and not isinstance(group_caps, Sequence):
        raise ValueError(f"group_caps must be a sequence of (shares, cap) or (shares, cap, name), not {group_caps!r}")
    groups = list(group_caps or ())
    shares, caps, names = np.zeros((len(groups), assets)), np.zeros(len(groups)), []
    for number, group in enumerate(groups):
        place = f"group_caps[{number}]"
        named = isinstance(group, tuple | list) and len(group) == 3 and isinstance(group[-1], str)
        if not named and not (isinstance(group, tuple | list) and len(group) == 2):
            raise ValueError(f"{place} must be (shares, cap) or (shares, cap, name), not {group!r}")
        shares[number] = _each(group[0], f"the shares of {place}", assets)
        if (shares[number] > 1.0).any():
            raise ValueError(f"the shares of {place} must lie between 0 and 1")
        caps[number] = _size(group[1], f"the cap of {place}")
        names.append(str(group[-1]) if named else place)
    return shares, caps, tuple(names)


def _read_floor(
    assets: int, mean: npt.ArrayLike | None, return_floor: float | None
) -> tuple[FloatArray | None, float | None]:
    if return_floor is None:
        return None, None
    if mean is None:
        raise ValueError("a return floor needs the mean of each asset")
    expected = finite(mean, "mean")
    if expected.shape != (assets,):
        raise ValueError(f"mean must have shape ({assets},), not {expected.shape}")
    return expected, scalar(return_floor, "return_floor")


def _read_turnover(
    assets: int, previous: npt.ArrayLike | None, turnover: float | None
) -> tuple[FloatArray | None, float | None]:
    """Return the weights held now and the turnover: both are checked, both None without a turnover."""
    before = None if previous is None else _bounded(previous, "previous")
    if before is not None and (before.shape != (assets,) or before.sum() > 1.0 + 1e-9):
        raise ValueError(f"previous must have shape ({assets},) and add up to 1 at most")
    if turnover is None:
        return None, None
    if before is None:
        raise ValueError("a turnover needs the previous weights")
    return before, _size(turnover, "turnover")


def numbers(value: npt.ArrayLike, name: str) -> FloatArray:
    """Return ``value`` as a float64 array in C order. Raises ValueError naming what is not made of numbers."""
    try:
        return np.asarray(value, dtype=np.float64, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be made of numbers: {error}") from error


def finite(value: npt.ArrayLike, name: str) -> FloatArray:
    """Return ``numbers`` that are neither NaN nor infinite. Raises ValueError naming them."""
    array = numbers(value, name)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, not {value!r}")
    return array


def scalar(value: npt.ArrayLike, name: str) -> float:
    """Return one finite number. Raises ValueError naming it."""
    array = finite(value, name)
    if array.ndim:
        raise ValueError(f"{name} must be a single number, not of shape {array.shape}")
    return float(array)


def _size(value: npt.ArrayLike, name: str) -> float:
    return scalar(_bounded(value, name), name)


def _each(value: npt.ArrayLike, name: str, assets: int) -> FloatArray:
    """Return one number ≥ 0 for each asset (n_assets,); a single one is that of all."""
    array = _bounded(value, name)
    if array.shape not in ((), (1,), (assets,)):
        raise ValueError(f"{name} must have shape ({assets},), not {array.shape}")
    return np.broadcast_to(array, (assets,))


def _bounded(value: npt.ArrayLike, name: str) -> FloatArray:
    array = finite(value, name)
    if not (array >= 0.0).all():
        raise ValueError(f"{name} must be finite and not negative, not {value!r}")
    return array
