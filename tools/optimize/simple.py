"""Weights by a rule: equal, inverse to the volatility, and the best scores filled to their caps."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tools.metrics.inputs import without_variance
from tools.optimize.certificate import binding, support
from tools.optimize.limits import Limits
from tools.optimize.linear import Program, run
from tools.optimize.moments import Undefined
from tools.optimize.nearest import nearest, settled
from tools.optimize.problem import Problem, Solution
from tools.optimize.twins import merge_assets
from tools.units import FloatArray

VOLATILITY_FLOOR = 0.05  # of the median volatility


def equal(problem: Problem) -> Solution:
    """Return equal weights, or the nearest weights that keep the limits (see ``tools.optimize.nearest``)."""
    assets = problem.returns.shape[1]
    preferred = np.full(assets, 1.0 / assets)
    return _rule("equal", nearest(preferred, problem.limits), preferred, "none: equal weights")


def inverse_volatility(problem: Problem) -> Solution:
    """Return w_i = (1/σ_i) / Σ(1/σ_j), or the nearest weights that keep the limits; σ is the daily std (ddof 1).

    A volatility below 5 % of the median one is raised to that floor: an APY series can be smooth without being safe.
    A series that does not vary at all measures no volatility (a rate set by vote, or a stuck feed) and gets the
    median one, since unknown must not count as safe. Where no series varies the weights are equal. Raises ``Undefined``
    for a single day without a ``covariance``.
    """
    volatility = _volatility(problem)
    flat = without_variance(volatility, problem.returns.mean(axis=0))
    median = 1.0 if flat.all() else float(np.median(volatility[~flat]))
    inverse = 1.0 / np.where(flat, median, np.maximum(volatility, VOLATILITY_FLOOR * median))
    preferred = inverse / inverse.sum()
    objective = "none: weights in inverse proportion to the volatility"
    return _rule("inverse_volatility", nearest(preferred, problem.limits), preferred, objective)


def risk_adjusted(problem: Problem) -> Solution:
    """Return the weights of the largest mean score: the best filled to its cap, then the next, until the money is out.

    The score of an asset is ``problem.mean``, its yield after an allowance for risk (APY × (1 − risk)), or the mean
    return where none is given. With caps on single assets that greedy order is the optimum (Dantzig 1957); with caps on
    groups, a floor or a turnover it need not be, so the weights are those of the linear program that it stands for.
    Assets with the same score and limits share alike.
    """
    alike = replace(problem, returns=problem.expected[None], mean=problem.expected, covariance=None, probabilities=None)
    merged, kinds = merge_assets(alike)
    weights = kinds.share(_highest(merged.expected, merged.limits))
    found = support(problem.limits, -problem.expected)
    value = math.fsum(problem.expected * weights)
    return Solution(
        "risk_adjusted",
        weights,
        "mean score, largest",
        maximised=True,
        value=value,
        bound=max(value, -found.value),
        binding=binding(problem.limits, weights, found, -problem.expected),
    )


def stable_share(volatility: float, target_volatility: float) -> float:
    """Return the volatility-adjusted stable share 1 − min(1, target / σ) of a portfolio, a fraction.

    What is left, min(1, target / σ), goes to the risky part of volatility σ, so that all of it together has the target
    volatility at most, the stable part having none worth counting. Both volatilities are of the same span of time. The
    share enters an allocation as a cap 1 − share on the group of the risky assets. Raises ValueError for a volatility
    that is negative or not finite; a σ of 0 asks for no stable part.
    """
    if not (0.0 <= volatility < math.inf and 0.0 <= target_volatility < math.inf):
        raise ValueError(f"volatilities must be finite and not negative, not {volatility!r} and {target_volatility!r}")
    return 0.0 if volatility <= target_volatility else 1.0 - target_volatility / volatility


def _rule(method: str, weights: FloatArray, preferred: FloatArray, objective: str) -> Solution:
    """Say whether the limits left the rule alone."""
    off = float(np.abs(weights - preferred).max())
    if off <= 1e-12:
        return Solution(method, weights, objective)
    note = f"the limits move a weight by up to {off:.2%} from the rule's"
    return Solution(method, weights, objective, exact=False, note=note)


def _highest(score: FloatArray, limits: Limits) -> FloatArray:
    """Return the weights (n_assets,) of the largest ``score`` @ w, by filling or with rows by HiGHS."""
    polytope = limits.polytope()
    if not polytope.values.size:
        return support(limits, -score).weights
    away = score - float(np.median(score))
    costs = np.zeros(polytope.lower.size)
    costs[: score.size] = -away / (float(np.abs(away).max()) or 1.0)
    budget = (np.arange(costs.size) < score.size).astype(float)
    found = run(Program(costs, polytope.rows, polytope.values, polytope.lower, polytope.upper, budget))
    return settled(found.solution[: score.size], limits)


def _volatility(problem: Problem) -> FloatArray:
    if problem.covariance is not None:
        return np.asarray(np.sqrt(np.diag(problem.covariance)))
    if problem.returns.shape[0] < 2:
        raise Undefined("a volatility needs at least two days of returns, or a covariance")
    return np.asarray(problem.returns.std(axis=0, ddof=1))
