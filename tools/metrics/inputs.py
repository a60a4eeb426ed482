"""What every measure asks of its input, and the bounds below which a figure means nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tools.units import FloatArray

DAYS_FOR_RETURN = 30
DAYS_FOR_RATIOS = 60
DISTINCT_RETURNS = 10
# A daily figure this small is the residue of float arithmetic ((1 + apy)^(1/365) is only good to 1e-16), not a
# property of the strategy.
RESIDUE = 1e-12
_RELATIVE_RESIDUE = 1e-8
_HEAD = 16

BoolArray = npt.NDArray[np.bool_]


def checked(values: npt.ArrayLike, name: str, dimensions: int) -> FloatArray:
    """Return ``values`` as a float64 array in C order with ``dimensions`` axes and at least one day (the last axis).

    The input itself is never written to. NaN and infinity raise ValueError naming the first place; so does another
    shape.
    """
    array = shaped(values, name, dimensions)
    check_finite(array, name)
    return array


def shaped(values: npt.ArrayLike, name: str, dimensions: int) -> FloatArray:
    """Return ``values`` as ``checked`` does, of any content."""
    array = np.asarray(values, dtype=np.float64, order="C")
    if array.ndim != dimensions or array.shape[-1] == 0:
        raise ValueError(f"{name} must have {dimensions} dimension(s) and at least one day, not shape {array.shape}")
    return array


def check_finite(array: FloatArray, name: str) -> None:
    """Raise ValueError naming the first place that is NaN or infinite."""
    finite = np.isfinite(array)
    if not finite.all():
        place = tuple(int(index[0]) for index in np.nonzero(~finite))
        raise ValueError(
            f"{name}[{', '.join(map(str, place))}] is {array[place]}: every return must be a finite number"
        )


def without_variance(std: FloatArray, mean: FloatArray) -> BoolArray:
    """Tell where a daily standard deviation is no more than rounding residue: std ≤ max(1e-12, 1e-8 · |mean|)."""
    return np.asarray(std <= np.maximum(RESIDUE, _RELATIVE_RESIDUE * np.abs(mean)))


def with_few_distinct(returns: FloatArray) -> BoolArray:
    """Tell which rows (n_strategies, n_days) hold fewer than ten distinct returns.

    Almost every real series shows ten within its first sixteen days, so only the others are sorted in full.
    """
    few = _distinct(returns[:, :_HEAD]) < DISTINCT_RETURNS
    if few.any():
        few[few] = _distinct(returns[few]) < DISTINCT_RETURNS
    return few


def _distinct(returns: FloatArray) -> npt.NDArray[np.intp]:
    ordered = np.sort(returns, axis=1)
    return np.asarray(np.count_nonzero(ordered[:, 1:] != ordered[:, :-1], axis=1) + 1)
