"""The allocation methods by name, and ``optimize`` and ``solve``, which check the input and dispatch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tools.metrics.inputs import check_finite
from tools.optimize.conflicts import check
from tools.optimize.entropic import min_evar
from tools.optimize.limits import GroupCap, finite, numbers, read_limits, scalar
from tools.optimize.parity import risk_parity
from tools.optimize.problem import Problem, Solution, expectation
from tools.optimize.simple import equal, inverse_volatility, risk_adjusted
from tools.optimize.tails import mean_cvar, min_cdar, min_cvar, min_max_drawdown
from tools.optimize.variance import max_sharpe, mean_variance, min_variance
from tools.units import FloatArray, daily_return

Method = Callable[[Problem], Solution]

METHODS: MappingProxyType[str, Method] = MappingProxyType(
    {
        "equal": equal,
        "inverse_volatility": inverse_volatility,
        "risk_adjusted": risk_adjusted,
        "risk_parity": risk_parity,
        "min_variance": min_variance,
        "mean_variance": mean_variance,
        "max_sharpe": max_sharpe,
        "min_evar": min_evar,
        "min_cvar": min_cvar,
        "mean_cvar": mean_cvar,
        "min_cdar": min_cdar,
        "min_max_drawdown": min_max_drawdown,
    }
)


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
    mean: npt.ArrayLike | None = None,
    shrinkage: str | None = None,
    risk_free_rate: float = 0.0,
    return_floor: float | None = None,
    turnover: float | None = None,
    previous: npt.ArrayLike | None = None,
    probabilities: npt.ArrayLike | None = None,
    risk_aversion: float = 1.0,
) -> FloatArray:
    """Return the weights (n_assets,) of a long-only portfolio by one of ``METHODS``.

    Parameters
    ----------
    returns
        Simple daily returns, shape (n_days, n_assets), or those of any other equal spans of time.
    max_weight, min_weight, max_weights
        Bounds of every weight, and each asset's own cap, shape (n_assets,).
    group_caps
        Each a row of shares (n_assets,) in [0, 1], a cap on the weighted sum of the shares (what stands behind one
        protocol or issuer) and, if wanted, a name.
    confidence
        Tail level of the methods that look at losses.
    covariance, mean
        Replace the sample's (ddof 1) covariance (n_assets, n_assets) and mean (n_assets,) of daily returns.
    shrinkage
        ``"correlation"`` shrinks the sample covariance in correlation space (``tools.optimize.moments``).
    risk_free_rate
        Per year; turned into one per day geometrically.
    return_floor
        The least mean return of one day.
    turnover, previous
        Σ|w − ``previous``| ≤ ``turnover``; the weights held now, shape (n_assets,).
    probabilities
        Of the rows of ``returns``, shape (n_days,), adding up to 1; alike unless given. ``min_cvar``, ``mean_cvar`` and
        ``min_evar`` look at losses with them, and the sample's mean and covariance are theirs; ``inverse_volatility``
        and ``shrinkage`` take every row alike. ``min_cdar`` and ``min_max_drawdown``, which look at days in their
        order, refuse them.
    risk_aversion
        λ of ``mean_variance`` (above 0) and ``mean_cvar``.

    Everything given is checked, whether the method looks at it or not. Limits and data may come in any order of assets:
    the result follows it. The weights add up to 1 and keep every bound within 1e-12, group caps, floor and turnover
    within 1e-9; none is negative.

    Raises ValueError naming what is wrong for an unknown method, NaN or infinity, wrong shapes, no days or no assets;
    ``Infeasible`` (a ValueError) naming the limits in conflict, before anything is solved; ``SolverFailed`` if the
    solver gives up on a feasible problem.
    """
    return solve(
        returns,
        method,
        max_weight=max_weight,
        min_weight=min_weight,
        confidence=confidence,
        covariance=covariance,
        group_caps=group_caps,
        max_weights=max_weights,
        mean=mean,
        shrinkage=shrinkage,
        risk_free_rate=risk_free_rate,
        return_floor=return_floor,
        turnover=turnover,
        previous=previous,
        probabilities=probabilities,
        risk_aversion=risk_aversion,
    ).weights


def solve(
    returns: npt.ArrayLike,
    method: str,
    *,
    max_weight: float = 1.0,
    min_weight: float = 0.0,
    confidence: float = 0.95,
    covariance: npt.ArrayLike | None = None,
    group_caps: Sequence[GroupCap] | None = None,
    max_weights: npt.ArrayLike | None = None,
    mean: npt.ArrayLike | None = None,
    shrinkage: str | None = None,
    risk_free_rate: float = 0.0,
    return_floor: float | None = None,
    turnover: float | None = None,
    previous: npt.ArrayLike | None = None,
    probabilities: npt.ArrayLike | None = None,
    risk_aversion: float = 1.0,
) -> Solution:
    """Return what ``optimize`` does, with the proof of how good it is; the same arguments, the same errors."""
    _known(method)
    days = _days(returns)
    assets = days.shape[1]
    expected = _vector(mean, assets, "mean")
    chances = _probabilities(probabilities, days.shape[0])
    problem = Problem(
        days,
        read_limits(
            assets,
            max_weight,
            min_weight,
            max_weights,
            group_caps,
            mean=expectation(days, expected, chances),
            return_floor=return_floor,
            previous=previous,
            turnover=turnover,
        ),
        confidence=_confidence(confidence),
        covariance=_covariance(covariance, shrinkage, days),
        mean=expected,
        risk_free=_risk_free(risk_free_rate),
        probabilities=chances,
        risk_aversion=_aversion(risk_aversion),
    )
    return solve_problem(problem, method)


def solve_problem(problem: Problem, method: str) -> Solution:
    """Return the solution of ``problem`` by one of ``METHODS``; the errors are those of ``optimize``."""
    _known(method)
    check(problem.limits)
    return METHODS[method](problem)


def _known(method: str) -> None:
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")


def _days(returns: npt.ArrayLike) -> FloatArray:
    days = numbers(returns, "returns")
    if days.ndim != 2 or not days.size:
        raise ValueError(f"returns must have 2 dimensions, at least one day and one asset, not shape {days.shape}")
    check_finite(days, "returns")
    return days


def _confidence(value: float) -> float:
    confidence = scalar(value, "confidence")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {value!r}")
    return confidence


def _aversion(value: float) -> float:
    aversion = scalar(value, "risk_aversion")
    if aversion < 0.0:
        raise ValueError(f"risk_aversion must not be negative, not {value!r}")
    return aversion


def _risk_free(value: float) -> float:
    """Return the rate of one day."""
    rate = scalar(value, "risk_free_rate")
    if rate < -1.0:
        raise ValueError(f"risk_free_rate must not be below -1, a loss of everything, not {value!r}")
    return float(daily_return(rate))


def _vector(values: npt.ArrayLike | None, size: int, name: str) -> FloatArray | None:
    if values is None:
        return None
    vector = finite(values, name)
    if vector.shape != (size,):
        raise ValueError(f"{name} must have shape ({size},), not {vector.shape}")
    return vector


def _probabilities(values: npt.ArrayLike | None, days: int) -> FloatArray | None:
    chances = _vector(values, days, "probabilities")
    if chances is not None and ((chances < 0.0).any() or abs(chances.sum() - 1.0) > 1e-9):
        raise ValueError("probabilities must not be negative and must add up to 1")
    return chances


def _covariance(covariance: npt.ArrayLike | None, shrinkage: str | None, returns: FloatArray) -> FloatArray | None:
    """Check a covariance of daily returns (n_assets, n_assets): finite, with no negative variance; or shrink one."""
    if shrinkage is not None:
        if shrinkage != "correlation" or covariance is not None:
            raise ValueError(f"shrinkage must be 'correlation', without a covariance, not {shrinkage!r}")
        from tools.optimize.moments import shrunk_covariance

        return shrunk_covariance(returns).covariance
    if covariance is None:
        return None
    assets = returns.shape[1]
    matrix = numbers(covariance, "covariance")
    if matrix.shape != (assets, assets) or not np.isfinite(matrix).all() or (np.diag(matrix) < 0.0).any():
        raise ValueError(f"covariance must be finite, of shape ({assets}, {assets}), with no negative variance")
    return matrix
