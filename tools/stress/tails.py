"""Black swans: the worst of the simulated paths."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.metrics.inputs import checked


class BlackSwan(NamedTuple):
    """The mean and the largest loss (fractions, positive) of the worst ``paths`` paths, and their numbers."""

    paths: int
    mean_loss: float
    largest_loss: float
    worst: tuple[int, ...]


def worst_paths(returns: npt.ArrayLike, k: int) -> tuple[int, ...]:
    """Return the numbers of the k worst of the paths' returns (shape (n_paths,), simple), the worst first.

    Of equals the lower number comes first. Raises ValueError for NaN, infinity, no path, or k outside 1 … n_paths.
    """
    values = checked(returns, "returns", 1)
    if not 1 <= k <= values.size:
        raise ValueError(f"the {k} worst of {values.size} paths cannot be told")
    edge = np.partition(values, k - 1)[k - 1]
    candidates = np.flatnonzero(values <= edge)
    order = candidates[np.argsort(values[candidates], kind="stable")]
    return tuple(int(number) for number in order[:k])


def black_swan(returns: npt.ArrayLike, share: float = 0.001) -> BlackSwan:
    """Return the loss of the worst ``share`` of the paths (at least one path): its mean and its largest.

    Raises ValueError as ``worst_paths`` does, and unless 0 < share <= 1.
    """
    values = checked(returns, "returns", 1)
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share is {share}, not above 0 and at most 1")
    worst = worst_paths(values, max(1, math.floor(share * values.size + 1e-9)))
    losses = [-float(values[number]) for number in worst]
    return BlackSwan(len(worst), math.fsum(losses) / len(losses), losses[0], worst)
