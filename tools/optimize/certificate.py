"""A proven bound on what any weights within the limits can reach, and what each limit costs.

Weak duality: for any prices y ≥ 0 of the rows, min c·w over the limits is at least min (c + Aᵀy)·w − y·b over the
bounds and the budget alone, and that minimum is exact: the cheapest assets are filled first (the fractional knapsack of
Dantzig, "Discrete-variable extremum problems", Operations Research 5, 1957). So the bound holds whatever the accuracy
of the solver that found the prices; better prices only make it tighter.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tools.optimize.limits import Limits, Polytope
from tools.optimize.linear import Program, run
from tools.optimize.problem import Binding
from tools.units import FloatArray

_ROUNDING = 8.0 * float(np.finfo(np.float64).eps)  # of the sum of all terms: what float arithmetic can be off
_AT_LIMIT = 1e-9
_NO_PRICE = 1e-9  # of the spread of the costs: residue of the solver


class Support(NamedTuple):
    """The least costs·w within the limits, from below, and the prices that prove it.

    ``value`` is the bound; ``weights`` (n_assets,) are within bounds and budget, not always within the rows; ``prices``
    (n_rows,), ``lower`` and ``upper`` (n_assets,) are ≥ 0: what ``value`` would fall by per unit of a loosened row of
    ``Limits.polytope``, floor or cap.
    """

    value: float
    weights: FloatArray
    prices: FloatArray
    lower: FloatArray
    upper: FloatArray


def support(limits: Limits, costs: FloatArray, prices: FloatArray | None = None) -> Support:
    """Bound ``costs`` @ w from below over all weights within ``limits``; ``costs`` has shape (n_assets,).

    ``prices`` (n_rows of ``limits.polytope()``,) are those of a solver that has dealt with the problem already, of any
    accuracy and sign; without them HiGHS finds the best. For a convex f, f(w) ≥ f(w*) + support(limits, ∇f(w*)).value −
    ∇f(w*)·w*. Raises ``SolverFailed`` where the solver fails, which it only can with rows.
    """
    polytope = limits.polytope()
    lifted = np.concatenate([costs, np.zeros(polytope.lower.size - polytope.assets)])
    if prices is None:
        prices = _best_prices(polytope, lifted)
    prices = np.maximum(prices, 0.0)
    terms = prices[:, None] * polytope.rows
    reduced = lifted + terms.sum(axis=0)
    weights, marginal = _cheapest(reduced, polytope)
    parts = np.concatenate([reduced * weights, -prices * polytope.values])
    size = np.abs(lifted * weights).sum() + np.abs(terms * weights).sum() + np.abs(prices * polytope.values).sum()
    own = reduced[: polytope.assets] - marginal
    return Support(
        value=math.fsum(parts) - _ROUNDING * float(size),
        weights=weights[: polytope.assets],
        prices=prices,
        lower=np.maximum(own, 0.0),
        upper=np.maximum(-own, 0.0),
    )


def binding(limits: Limits, weights: FloatArray, found: Support, costs: FloatArray) -> tuple[Binding, ...]:
    """Name the limits that ``weights`` (n_assets,) touch and that have a price, dearest first.

    Weights of 0 and 1 are no limits: long-only and the budget are what a portfolio is. At a corner where several limits
    meet the prices are one of several that are right.
    """
    least = _NO_PRICE * float(np.ptp(costs))
    polytope, over = limits.polytope(), limits.overshoot(weights)
    named = [row for row, name in enumerate(polytope.names) if name is not None]
    candidates = [
        (str(polytope.names[row]), float(found.prices[row] * polytope.scales[row]), found.prices[row] > least, slack)
        for row, slack in zip(named, -over, strict=True)
    ]
    for asset in range(weights.size):
        if limits.upper[asset] < 1.0:
            price, slack = float(found.upper[asset]), limits.upper[asset] - weights[asset]
            candidates.append((f"max_weight[{asset}]", price, price > least, slack))
        if limits.lower[asset] > 0.0:
            price, slack = float(found.lower[asset]), weights[asset] - limits.lower[asset]
            candidates.append((f"min_weight[{asset}]", price, price > least, slack))
    kept = [Binding(name, price) for name, price, dear, slack in candidates if dear and slack <= _AT_LIMIT]
    return tuple(sorted(kept, key=lambda limit: -limit.price))


def _best_prices(polytope: Polytope, costs: FloatArray) -> FloatArray:
    if not polytope.values.size:
        return np.zeros(0)
    size = float(np.ptp(costs[: polytope.assets])) or 1.0
    shifted = costs.copy()
    shifted[: polytope.assets] -= costs[: polytope.assets].min()
    budget = (np.arange(costs.size) < polytope.assets).astype(float)
    program = Program(shifted / size, polytope.rows, polytope.values, polytope.lower, polytope.upper, budget)
    return run(program).prices * size


def _cheapest(costs: FloatArray, polytope: Polytope) -> tuple[FloatArray, float]:
    """Return the x of the least ``costs`` @ x within bounds and budget, and the cost of the last unit of money."""
    chosen = np.where(costs >= 0.0, polytope.lower, polytope.upper)
    own, lower, upper = costs[: polytope.assets], polytope.lower[: polytope.assets], polytope.upper[: polytope.assets]
    order = np.argsort(own, kind="stable")
    room = np.cumsum((upper - lower)[order])
    left = 1.0 - math.fsum(lower)
    last = min(int(np.searchsorted(room, left - 1e-12)), order.size - 1)
    weights = lower.copy()
    weights[order[:last]] = upper[order[:last]]
    weights[order[last]] += left - (room[last - 1] if last else 0.0)
    chosen[: polytope.assets] = weights
    return chosen, float(own[order[last]])
