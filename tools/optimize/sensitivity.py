"""How much the weights move when the window does: an optimum that turns over with its data is worth little."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tools.optimize.moments import Undefined
from tools.units import FloatArray

Allocator = Callable[[FloatArray], FloatArray]


class WindowShift(NamedTuple):
    """The shares of the money that lie elsewhere by window: all of them, their mean and the largest."""

    shifts: tuple[float, ...]
    mean: float
    largest: float


def moved(before: FloatArray, after: FloatArray) -> float:
    """Return ½Σ|Δw|, the share of the money that lies elsewhere, of two sets of weights (n_assets,)."""
    return math.fsum(abs(float(step)) for step in after - before) / 2.0


def weight_shift(solve: Allocator, returns: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the share of the money that would lie elsewhere had only the younger half of the window been seen.

    ``solve`` turns returns (n_days, n_assets), oldest first, into weights (n_assets,); ``weights`` are those of the
    whole window, where they are known already. Of an odd number of days the middle one counts as young. Raises
    ``Undefined`` below four days (a half needs two), and whatever ``solve`` raises.
    """
    return window_shift(solve, returns, [returns.shape[0] - returns.shape[0] // 2], weights).largest


def window_shift(
    solve: Allocator, returns: FloatArray, windows: Sequence[int], weights: FloatArray | None = None
) -> WindowShift:
    """Compare the weights of the whole window with those of its last ``windows`` days, for each number of days.

    Takes what ``weight_shift`` takes. Raises ``Undefined`` where a window has fewer than two days, more than there are,
    or none is given; and whatever ``solve`` raises.
    """
    days = returns.shape[0]
    if not windows or not all(2 <= window <= days for window in windows):
        raise Undefined(f"windows must have between two and {days} days, not {list(windows)}")
    whole = solve(returns) if weights is None else weights
    shifts = tuple(moved(whole, solve(returns[days - window :])) for window in windows)
    return WindowShift(shifts, math.fsum(shifts) / len(shifts), max(shifts))
