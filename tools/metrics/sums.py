"""What the rows add up to: the sums from which every metric follows, by numpy, in blocks of rows that fit the cache.

Sums are numpy's own (``add.reduce``, ``einsum``) and never BLAS: they come out the same whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tools.metrics.losses import growth_and_drawdown, tail_days, tail_losses, worst_returns
from tools.units import FloatArray

CONFIDENCE = 0.95
_BLOCK = 32_768  # returns to a block: two work arrays of 256 KB beside the block itself


class Sums(NamedTuple):
    """One figure per row, each (n_strategies,).

    Powers of the deviations from the mean, days around the threshold, the tail, and compounded wealth.
    """

    mean: FloatArray
    squares: FloatArray
    cubes: FloatArray
    fourths: FloatArray
    with_benchmark: FloatArray
    excess: FloatArray
    shortfall: FloatArray
    shortfall_squares: FloatArray
    worst: FloatArray
    var: FloatArray
    cvar: FloatArray
    growth: FloatArray
    drawdown: FloatArray


def numpy_sums(returns: FloatArray, benchmark: FloatArray, threshold: float) -> Sums:
    """Sum up rows (n_strategies, n_days) of simple daily returns; a row's sums do not depend on the rows beside it.

    ``benchmark`` (n_days,) holds deviations from its own mean, ``threshold`` is a daily return. The input is finite
    and is not changed.
    """
    scratch = np.empty((2, block_height(returns), returns.shape[1]))
    parts = [
        _block_sums(returns[rows], benchmark, threshold, *scratch[:, : returns[rows].shape[0]])
        for rows in blocks(returns)
    ]
    return Sums(*(*map(np.concatenate, zip(*parts, strict=True)), *growth_and_drawdown(returns)))


def block_height(returns: FloatArray) -> int:
    """Return how many rows make a block: as many as fit the second-level cache with the work arrays, at least one."""
    height: int = min(_BLOCK // returns.shape[1], returns.shape[0])
    return max(1, height)


def blocks(returns: FloatArray) -> Iterator[slice]:
    """Yield the rows of each block in order; a single empty block if there are no rows."""
    height = block_height(returns)
    yield from (slice(first, first + height) for first in range(0, max(returns.shape[0], 1), height))


def dot(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the scalar product along the last axis, without BLAS."""
    return np.asarray(np.einsum("...j,...j->...", left, right))


def _block_sums(
    block: FloatArray, benchmark: FloatArray, threshold: float, deviations: FloatArray, work: FloatArray
) -> tuple[FloatArray, ...]:
    """Return the sums of one block (n_rows, n_days) but for wealth; the last two arguments are scratch of its shape."""
    mean = np.add.reduce(block, axis=1) / block.shape[1]
    np.subtract(block, mean[:, None], out=deviations)
    np.multiply(deviations, deviations, out=work)
    powers = np.add.reduce(work, axis=1), dot(work, deviations), dot(work, work), dot(deviations, benchmark)
    np.subtract(block, threshold, out=work)
    excess = np.add.reduce(work, axis=1)
    np.minimum(work, 0.0, out=work)
    shortfall = np.add.reduce(work, axis=1), dot(work, work)
    np.copyto(work, block)
    size, count = tail_days(block.shape[1], CONFIDENCE)
    lowest = worst_returns(work, count)
    return mean, *powers, excess, *shortfall, lowest[:, 0], *tail_losses(lowest, size)
