"""The allocation methods, one function each, and ``optimize``, which checks the input and dispatches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tools.metrics.inputs import RESIDUE, checked, without_variance
from tools.metrics.losses import tail_size
from tools.optimize.limits import GroupCap, Limits, check_bounds, check_groups, read_limits
from tools.optimize.linear import minimise
from tools.optimize.nearest import nearest, settled
from tools.units import FloatArray

IndexArray = npt.NDArray[np.intp]

VOLATILITY_FLOOR = 0.05  # of the median volatility
_NARROWEST = 1e-6  # of the range of all returns: figures above a million spreads are not numbers to a solver


@dataclass(frozen=True, slots=True)
class Problem:
    """What a method works on: daily returns (n_days, n_assets), limits, tail level, covariance or None (sample)."""

    returns: FloatArray
    limits: Limits
    confidence: float
    covariance: FloatArray | None


def optimize(
    returns: npt.ArrayLike,
    method: str,
    *,
    max_weight: float = 1.0,
    min_weight: float = 0.0,
    confidence: float = 0.95,
    covariance: npt.ArrayLike | None = None,
    group_caps: Sequence[GroupCap] | None = None,
    max_weights: npt.ArrayLike | None = None,
) -> FloatArray:
    """Return the weights (n_assets,) of a long-only portfolio by one of ``METHODS``.

    ``returns`` (n_days, n_assets) are simple daily returns. Every weight lies between ``min_weight`` and
    ``max_weight``, and below its own cap in ``max_weights`` (n_assets,) if given. Each of ``group_caps`` is a row of
    shares (n_assets,) in [0, 1] and a cap on the weighted sum of the shares: what stands behind one protocol or
    issuer. ``covariance`` (n_assets, n_assets) of daily returns replaces the sample's (ddof 1) where a method uses
    one; ``confidence`` is the tail level of ``min_cvar``. Limits and data may come in any order of assets: the result
    follows it.

    The weights add up to 1 and keep every bound within 1e-12, group caps within 1e-9; none is negative.

    Raises ValueError for an unknown method, NaN or infinity, wrong shapes; ``Infeasible`` (a ValueError) naming the
    limits in conflict, before anything is solved; ``SolverFailed`` if the solver gives up on a feasible problem.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")
    days = checked(returns, "returns", 2)
    limits = read_limits(days.shape[1], max_weight, min_weight, max_weights, group_caps)
    check_bounds(limits)
    return METHODS[method](Problem(days, limits, confidence, _matrix(covariance, days.shape[1])))


def equal(problem: Problem) -> FloatArray:
    """Return equal weights, or the nearest weights that keep the limits (see ``tools.optimize.nearest``)."""
    assets = problem.returns.shape[1]
    return nearest(np.full(assets, 1.0 / assets), problem.limits)


def inverse_volatility(problem: Problem) -> FloatArray:
    """Return w_i = (1/σ_i) / Σ(1/σ_j), or the nearest weights that keep the limits; σ is the daily std (ddof 1).

    A volatility below 5 % of the median one is raised to that floor: an APY series can be smooth without being safe.
    A series that does not vary at all measures no volatility (a rate set by vote, or a stuck feed) and gets the
    median one, since unknown must not count as safe. Where no series varies the weights are equal. Raises ValueError
    for a single day without a ``covariance``.
    """
    volatility = _volatility(problem)
    flat = without_variance(volatility, problem.returns.mean(axis=0))
    if flat.all():
        return equal(problem)
    median = np.median(volatility[~flat])
    inverse = 1.0 / np.where(flat, median, np.maximum(volatility, VOLATILITY_FLOOR * median))
    return nearest(inverse / inverse.sum(), problem.limits)


def min_cvar(problem: Problem) -> FloatArray:
    """Return the weights of the lowest conditional value at risk, by the linear program of Rockafellar & Uryasev.

    min ζ + Σ u_t / ((1 − α)T) subject to u_t ≥ −r_t·w − ζ, u ≥ 0 and all limits. It is exact for the sample: the
    result's ``conditional_value_at_risk`` is the minimum. (Minimising the sample CVaR by SLSQP stops at the start or
    some percent short.) Returns are shifted and scaled to about 1 first, which changes no solution and makes the
    solver's tolerances relative. Assets alike in returns and limits get the same weight, and the order of the assets
    does not matter. Where no return differs from another the weights are those of ``equal``. Raises ValueError unless
    0 < ``confidence`` < 1.
    """
    size = tail_size(problem.returns.shape[0], problem.confidence)
    check_groups(problem.limits)
    if np.ptp(problem.returns) <= RESIDUE:
        return equal(problem)
    limits, returns, kind, alike = _kinds(problem.limits, problem.returns)
    weights = _lowest_cvar((returns - np.median(returns)) / _spread(returns), limits, size)
    return np.asarray((settled(weights, limits) / alike)[kind])


def _spread(returns: FloatArray) -> float:
    """Return the daily deviation of a typical asset that varies, or of all returns where none does."""
    deviations = returns.std(axis=0)
    varies = ~without_variance(deviations, returns.mean(axis=0))
    typical = np.median(deviations[varies]) if varies.any() else returns.std()
    return float(max(typical, _NARROWEST * np.ptp(returns)))


def _kinds(limits: Limits, returns: FloatArray) -> tuple[Limits, FloatArray, IndexArray, IndexArray]:
    """Merge assets that are alike in returns and limits, and sort the kinds by their content.

    A corner of the feasible set depends on the order of the assets and may give twins different weights; the kinds'
    order does not depend on it, and a kind's weight is shared equally. Returns the limits and returns (n_days,
    n_kinds) of the kinds, the kind of each asset (n_assets,) and the number of assets of each kind.
    """
    content = np.vstack([limits.lower, limits.upper, limits.shares, returns])
    kinds, kind, alike = np.unique(content, axis=1, return_inverse=True, return_counts=True)
    lower, upper, shares, merged = np.split(kinds, [1, 2, 2 + limits.caps.size])
    return Limits(lower[0] * alike, upper[0] * alike, shares, limits.caps), merged, kind.reshape(-1), alike


def _lowest_cvar(returns: FloatArray, limits: Limits, size: float) -> FloatArray:
    """Solve the linear program over (w, ζ, u) for returns of about 1; ``size`` is (1 − α)T."""
    from scipy.sparse import csr_array, eye_array, hstack, vstack

    days, assets = returns.shape
    tail = hstack([-returns, -np.ones((days, 1)), -eye_array(days)])
    groups = hstack([limits.shares, csr_array((limits.caps.size, 1 + days))])
    lower = np.concatenate([limits.lower, [-np.inf], np.zeros(days)])
    upper = np.concatenate([limits.upper, np.full(1 + days, np.inf)])
    solution, _ = minimise(
        np.concatenate([np.zeros(assets), [1.0], np.full(days, 1.0 / size)]),
        vstack([tail, groups]),
        np.concatenate([np.zeros(days), limits.caps]),
        np.column_stack([lower, upper]),
        np.concatenate([np.ones(assets), np.zeros(days + 1)]),
    )
    return solution[:assets]


def _volatility(problem: Problem) -> FloatArray:
    if problem.covariance is not None:
        return np.asarray(np.sqrt(np.diag(problem.covariance)))
    if problem.returns.shape[0] < 2:
        raise ValueError("a volatility needs at least two days of returns, or a covariance")
    return np.asarray(problem.returns.std(axis=0, ddof=1))


def _matrix(covariance: npt.ArrayLike | None, assets: int) -> FloatArray | None:
    """Check a covariance of daily returns (n_assets, n_assets): finite, with no negative variance."""
    if covariance is None:
        return None
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.shape != (assets, assets) or not np.isfinite(matrix).all() or (np.diag(matrix) < 0.0).any():
        raise ValueError(f"covariance must be finite, of shape ({assets}, {assets}), with no negative variance")
    return matrix


METHODS: MappingProxyType[str, Callable[[Problem], FloatArray]] = MappingProxyType(
    {"equal": equal, "inverse_volatility": inverse_volatility, "min_cvar": min_cvar}
)
