"""The same sums as ``tools.metrics.sums``, compiled by numba (the extra ``fast``): about as fast as sorting the rows.

The kernels are plain Python functions, compiled when they are first needed and kept on disk by numba: in
``__pycache__`` beside this file, in the user's cache directory if that cannot be written, or where the environment
variable NUMBA_CACHE_DIR says. Without any such place they are compiled once per process, which takes seconds.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tools.metrics.losses import tail_days, tail_losses
from tools.metrics.sums import CONFIDENCE, Sums, block_height, blocks
from tools.units import FloatArray

_LANES = 8  # rows that advance together: each is a chain of dependent products, eight of them fill the processor
_MOMENTS = 8


class Kernels(NamedTuple):
    """The three loops over rows, as Python functions or compiled."""

    moments: Callable[..., None]
    wealth: Callable[..., None]
    lowest: Callable[..., int]


def is_available() -> bool:
    """Tell whether numba is installed, without importing it."""
    return importlib.util.find_spec("numba") is not None


def compiled_sums(returns: FloatArray, benchmark: FloatArray, threshold: float, kernels: Kernels | None = None) -> Sums:
    """Sum up rows (n_strategies, n_days) exactly as ``numpy_sums`` defines it, to 1e-10.

    Tail and drawdown are equal to the last bit; the other sums are taken in another order, which the width of the
    processor's vectors decides. A row's sums do not depend on the rows beside it. Raises ModuleNotFoundError without
    numba, unless other ``kernels`` are given.
    """
    moments, wealth, lowest = kernels or _compiled()
    strategies, days = returns.shape
    size, count = tail_days(days, CONFIDENCE)
    powers, tail = np.empty((strategies, _MOMENTS)), np.empty((3, strategies))
    candidates = np.empty((block_height(returns), days))
    for rows in blocks(returns):
        block = returns[rows]
        moments(block, benchmark, threshold, powers[rows])
        width = lowest(block, powers[rows], count, candidates)
        worst = np.sort(candidates[: block.shape[0], :width], axis=1)[:, :count]
        tail[0, rows], (tail[1, rows], tail[2, rows]) = worst[:, 0], tail_losses(worst, size)
    eight = np.concatenate((returns, np.zeros((_LANES - strategies, days)))) if strategies < _LANES else returns
    compounded = np.empty((eight.shape[0], 2))
    wealth(eight, compounded)
    growth, lowest_level = compounded[:strategies].T.copy()
    return Sums(*(*powers.T.copy(), *tail, growth, 1.0 - lowest_level))


@functools.cache
def _compiled() -> Kernels:
    import numba

    def compile_one(kernel: Callable[..., Any], fastmath: set[str] | bool) -> Any:
        options: dict[str, Any] = {"error_model": "numpy", "nogil": True, "fastmath": fastmath}
        try:
            return numba.njit(cache=True, **options)(kernel)
        except RuntimeError:  # no place to keep it can be written
            return numba.njit(**options)(kernel)

    # Sums may be taken in any order, or they could not use the processor's vectors; NaN and infinity keep their sense.
    sums = {"reassoc", "nsz", "contract"}
    return Kernels(compile_one(PLAIN.moments, sums), compile_one(PLAIN.wealth, False), compile_one(PLAIN.lowest, False))


def _moments(block: FloatArray, benchmark: FloatArray, threshold: float, powers: FloatArray) -> None:
    """Write mean, Σd², Σd³, Σd⁴, Σdb, Σe, Σ min(e, 0) and Σ min(e, 0)² of each row into (n_rows, 8).

    d is the deviation from the mean, b that of the benchmark from its own, e the return less the threshold.
    """
    days = block.shape[1]
    for row in range(block.shape[0]):
        total = 0.0
        for day in range(days):
            total += block[row, day]
        mean = total / days
        squares = cubes = fourths = with_benchmark = excess = shortfall = shortfall_squares = 0.0
        for day in range(days):
            deviation = block[row, day] - mean
            square = deviation * deviation
            squares += square
            cubes += square * deviation
            fourths += square * square
            with_benchmark += deviation * benchmark[day]
            above = block[row, day] - threshold
            excess += above
            below = above if above < 0.0 else 0.0
            shortfall += below
            shortfall_squares += below * below
        powers[row, 0], powers[row, 1], powers[row, 2], powers[row, 3] = mean, squares, cubes, fourths
        powers[row, 4], powers[row, 5], powers[row, 6] = with_benchmark, excess, shortfall
        powers[row, 7] = shortfall_squares


def _wealth(block: FloatArray, compounded: FloatArray) -> None:
    """Write growth and the lowest wealth over its running peak of each row into (n_rows, 2), for eight rows or more.

    See ``growth_and_drawdown`` for the recursion. Eight rows advance together; the last eight may go over rows again.
    """
    rows, days = block.shape
    state = np.empty((3, _LANES))  # growth, wealth over its peak, the lowest of that
    for start in range(0, rows, _LANES):
        first = min(start, rows - _LANES)
        lanes = block[first : first + _LANES]
        state[:] = 1.0
        for day in range(days):
            for lane in range(_LANES):
                factor = lanes[lane, day] + 1.0
                state[0, lane] *= factor
                level = state[1, lane] * factor
                level = level if level < 1.0 else 1.0
                state[1, lane] = level
                state[2, lane] = level if level < state[2, lane] else state[2, lane]
        compounded[first : first + _LANES] = state[::2].T


def _lowest(block: FloatArray, powers: FloatArray, count: int, candidates: FloatArray) -> int:
    """Copy returns that include the ``count`` lowest to the front of each row of ``candidates``; return the width used.

    Those below the mean less 1.3 standard deviations are about a tenth of a normal sample and hold its lowest
    twentieth; where they are too few the cut moves up, and in the end every return is taken. The rest of the width is
    filled with infinity. Whatever the cut, the ``count`` lowest are the same: only the work depends on it.
    """
    rows, days = block.shape
    used = np.empty(rows, dtype=np.int64)
    width = count
    for row in range(rows):
        deviation = (powers[row, 1] / days) ** 0.5
        taken = 0
        for cut in (1.3, 0.8, 0.3, -0.5):
            if taken < count:
                bound = powers[row, 0] - cut * deviation
                taken = 0
                for day in range(days):
                    candidates[row, taken] = block[row, day]
                    taken += 1 if block[row, day] <= bound else 0
        if taken < count:
            candidates[row] = block[row]
            taken = days
        used[row] = taken
        width = max(width, taken)
    for row in range(rows):
        candidates[row, used[row] : width] = np.inf
    return width


PLAIN = Kernels(_moments, _wealth, _lowest)
