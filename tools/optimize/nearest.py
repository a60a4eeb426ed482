"""The nearest weights that keep the limits, in the sense of the smallest Σ (w − p)² / p around the preferred weights p.

This distance scales every weight by the same factor where nothing binds. Between bounds alone it is proportional
water-filling; with group caps it spreads a cut over the members of a group in proportion, so equal weights stay equal
wherever the limits treat them alike. It is strictly convex: the answer is unique and does not depend on the order of
the assets, which the smallest Σ |w − p| does.
"""

from __future__ import annotations

import numpy as np

from tools.optimize.limits import TOLERANCE, Limits, check_groups
from tools.optimize.linear import SolverFailed
from tools.units import FloatArray

_LARGEST_REPAIR = 1e-9


def nearest(preferred: FloatArray, limits: Limits) -> FloatArray:
    """Return the weights nearest to ``preferred`` (n_assets,), positive and adding up to 1, that keep ``limits``.

    The bounds alone must leave room (``check_bounds``). Raises ``Infeasible`` where the group caps leave none,
    ``SolverFailed`` should the least-squares solver not reach the weights.
    """
    if limits.hold(preferred):
        return preferred
    filled = _water_filling(preferred, limits)
    if limits.hold(filled):
        return filled
    check_groups(limits)
    return settled(_project(preferred, limits), limits)


def settled(weights: FloatArray, limits: Limits) -> FloatArray:
    """Take the rounding residue out of a solver's weights: no dust, inside the bounds, adding up to 1 within 1e-12.

    Group caps hold within 1e-9. Raises ``SolverFailed`` when more than rounding is amiss.
    """
    clipped = np.clip(np.where(weights < TOLERANCE, 0.0, weights), limits.lower, limits.upper)
    missing = 1.0 - clipped.sum()
    room = limits.upper - clipped if missing > 0.0 else clipped - limits.lower
    result = clipped + missing * room / room.sum() if room.sum() > 0.0 else clipped
    amiss = max(np.abs(result - weights).max(), (limits.shares @ result - limits.caps).max(initial=0.0))
    if amiss > _LARGEST_REPAIR:
        raise SolverFailed(f"the solver's weights miss the limits by {amiss:.1e}")
    return np.asarray(np.clip(result, limits.lower, limits.upper))


def _water_filling(preferred: FloatArray, limits: Limits) -> FloatArray:
    """Return clip(λp, lower, upper) where it adds up to 1: the sum is linear in λ between the breakpoints."""
    breakpoints = np.unique(np.concatenate([limits.lower / preferred, limits.upper / preferred]))
    sums = np.clip(breakpoints[:, None] * preferred, limits.lower, limits.upper).sum(axis=1)
    return np.asarray(np.clip(np.interp(1.0, sums, breakpoints) * preferred, limits.lower, limits.upper))


def _project(preferred: FloatArray, limits: Limits) -> FloatArray:
    """Solve the least-distance problem over all limits as non-negative least squares.

    With x = (w − p)/√p it is: the shortest x with A x ≥ b. Its dual is min ‖Eu − f‖ over u ≥ 0, E = [Aᵀ; bᵀ], f = (0,
    …, 0, 1), and x = −r/r_last for the residual r (Lawson & Hanson, "Solving Least Squares Problems", 1974, ch.
    23.4).
    """
    from scipy.optimize import nnls

    root = np.sqrt(preferred)
    rows = np.vstack([np.diag(root), -np.diag(root), -limits.shares * root, root, -root])
    floors = np.concatenate(
        [limits.lower - preferred, preferred - limits.upper, limits.shares @ preferred - limits.caps, np.zeros(2)]
    )
    system = np.vstack([rows.T, floors])
    target = np.append(np.zeros(preferred.size), 1.0)
    try:
        prices, _ = nnls(system, target)
    except RuntimeError as error:
        raise SolverFailed(f"the nearest weights were not found: {error}") from error
    residual = system @ prices - target
    solution = -residual[:-1] / residual[-1]
    binding = (
        prices > 0.0
    )  # division by a small residual leaves an error of 1e-9, which one step onto what binds removes
    solution += np.linalg.lstsq(rows[binding], floors[binding] - rows[binding] @ solution, rcond=None)[0]
    return np.asarray(preferred + root * solution)
