"""The nearest weights that keep the limits, in the sense of the smallest Σ (w − p)² / p around the preferred weights p.

This distance scales every weight by the same factor where nothing binds. Between bounds alone it is proportional
water-filling; with group caps it spreads a cut over the members of a group in proportion, so equal weights stay equal
wherever the limits treat them alike. It is strictly convex: the answer is unique and does not depend on the order of
the assets, which the smallest Σ |w − p| does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tools.optimize.limits import TOLERANCE, Limits
from tools.optimize.linear import SolverFailed
from tools.units import FloatArray

_LARGEST_REPAIR = 1e-9
_CUTS = 200
_CLOSE = 1e-11


def nearest(preferred: FloatArray, limits: Limits) -> FloatArray:
    """Return the weights nearest to ``preferred`` (n_assets,), positive and adding up to 1, that keep ``limits``.

    There must be such weights (``tools.optimize.conflicts.check``). Raises ``SolverFailed`` should the least-squares
    solver not reach them.
    """
    if limits.hold(preferred):
        return preferred
    filled = _water_filling(preferred, limits)
    if limits.hold(filled, _CLOSE):
        return filled
    try:
        return settled(_project(preferred, limits, 0.0), limits)
    except SolverFailed:  # rounding can take the last point of a set
        return settled(_project(preferred, limits, _CLOSE), limits)


def settled(weights: FloatArray, limits: Limits) -> FloatArray:
    """Take the rounding residue out of a solver's weights: no dust, inside the bounds, adding up to 1 within 1e-12.

    Group caps, floor and turnover hold within 1e-9. Where the bounds leave a single point it is that, whatever the
    solver came to. Raises ``SolverFailed`` when more than rounding is amiss.
    """
    if (sole := limits.sole()) is not None:
        return sole
    clipped = np.clip(np.where(weights < TOLERANCE, 0.0, weights), limits.lower, limits.upper)
    missing = 1.0 - clipped.sum()
    room = limits.upper - clipped if missing > 0.0 else clipped - limits.lower
    result = clipped + missing * room / room.sum() if room.sum() > 0.0 else clipped
    result = np.clip(result, limits.lower, limits.upper)
    amiss = max(np.abs(result - weights).max(), abs(1.0 - result.sum()), limits.overshoot(result).max(initial=0.0))
    if amiss > _LARGEST_REPAIR:
        raise SolverFailed(f"the solver's weights miss the limits by {amiss:.1e}")
    return np.asarray(result)


def reached(weights: FloatArray, limits: Limits, farthest: float) -> FloatArray:
    """Return ``settled`` weights, or where more than rounding is amiss, by ``farthest`` at most, the nearest to them.

    In limits that leave next to no room a solver's answer can lie outside by more than they are wide. What is returned
    keeps them, and a bound proven at it holds. Raises ``SolverFailed`` where it is farther off.
    """
    try:
        return settled(weights, limits)
    except SolverFailed:
        wanted = np.maximum(weights, TOLERANCE)
        found = nearest(wanted / wanted.sum(), limits)
        if np.abs(found - weights).max() > farthest:
            raise
        return found


def _water_filling(preferred: FloatArray, limits: Limits) -> FloatArray:
    """Return clip(λp, lower, upper) where it adds up to 1: the sum is linear in λ between the breakpoints."""
    breakpoints = np.unique(np.concatenate([limits.lower / preferred, limits.upper / preferred]))
    sums = np.clip(breakpoints[:, None] * preferred, limits.lower, limits.upper).sum(axis=1)
    return np.asarray(np.clip(np.interp(1.0, sums, breakpoints) * preferred, limits.lower, limits.upper))


def _project(preferred: FloatArray, limits: Limits, slack: float) -> FloatArray:
    """Solve the least-distance problem over all limits, rows loosened by ``slack``.

    A turnover limit, Σ|w − w0| ≤ τ, is all rows s with signs s·(w − w0) ≤ τ: those that the answer breaks are added
    until it breaks none.
    """
    polytope = replace(limits, turnover=None).polytope()
    rows, values = polytope.rows, polytope.values + slack
    for _ in range(_CUTS):
        weights = _least_distance(preferred, limits, rows, values)
        if limits.turnover is None or limits.previous is None:
            return weights
        moved = weights - limits.previous
        if np.abs(moved).sum() <= limits.turnover + _CLOSE:
            return weights
        signs = np.sign(np.where(np.abs(moved) < TOLERANCE, 0.0, moved))
        rows = np.vstack([rows, signs])
        values = np.append(values, limits.turnover + (signs * limits.previous).sum())
    raise SolverFailed(f"the nearest weights were not found within {_CUTS} cuts of the turnover")


def _least_distance(preferred: FloatArray, limits: Limits, rows: FloatArray, values: FloatArray) -> FloatArray:
    """Return the weights nearest to ``preferred`` within bounds, budget and ``rows`` @ w ≤ ``values``.

    With x = (w − p)/√p it is: the shortest x with A x ≥ b. Its dual is min ‖Eu − f‖ over u ≥ 0, E = [Aᵀ; bᵀ], f = (0,
    …, 0, 1), and x = −r/r_last for the residual r (Lawson & Hanson, "Solving Least Squares Problems", 1974, ch.
    23.4).
    """
    from scipy.optimize import nnls

    root = np.sqrt(preferred)
    matrix = np.vstack([np.diag(root), -np.diag(root), -rows * root, root, -root])
    floors = np.concatenate(
        [limits.lower - preferred, preferred - limits.upper, (rows * preferred).sum(axis=1) - values, np.zeros(2)]
    )
    system = np.vstack([matrix.T, floors])
    target = np.append(np.zeros(preferred.size), 1.0)
    try:
        prices, _ = nnls(system, target)
    except RuntimeError as error:
        raise SolverFailed(f"the nearest weights were not found: {error}") from error
    residual = system @ prices - target
    if residual[-1] >= 0.0:
        raise SolverFailed("the nearest weights were not found: rounding leaves none")
    solution = -residual[:-1] / residual[-1]
    # Division by a small residual leaves an error of 1e-9, which one step onto what binds removes.
    binding = prices > 0.0
    solution += np.linalg.lstsq(matrix[binding], floors[binding] - matrix[binding] @ solution, rcond=None)[0]
    return np.asarray(preferred + root * solution)
