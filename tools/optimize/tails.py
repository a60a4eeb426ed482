"""The lowest tail loss, or drawdown, by linear programs that are exact for the sample, each with its certificate.

The measures are maxima over reweightings q of the scenarios: CVaR is the largest −q·Rw over 0 ≤ q ≤ p/(1 − α), Σq = 1
(Rockafellar & Uryasev, "Optimization of conditional value-at-risk", Journal of Risk 2, 2000; Acerbi & Tasche 2002). Any
such q makes costs −Rᵀq of the assets, and no weights within the limits have a lower risk than the least of these costs:
that is the bound (``tools.optimize.certificate``). The best q, the dual solution, is the worst case that the weights
guard against: the days that drive the risk.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tools.metrics.inputs import RESIDUE, without_variance
from tools.metrics.losses import tail_size
from tools.optimize.certificate import Support, binding, support
from tools.optimize.limits import Limits, Polytope
from tools.optimize.linear import Program, SolverFailed, Variant, first_good, run
from tools.optimize.nearest import nearest, settled
from tools.optimize.problem import Problem, Solution
from tools.optimize.twins import Kinds, alike, merge_assets, merge_scenarios, placed, possible
from tools.units import FloatArray

_NARROWEST = 1e-6  # of the range of all returns: figures above a million spreads are not numbers to a solver
_GAP = 5e-9  # of the objective: a larger one is worth another try,
_RESIDUAL_GAP = 1e-11  # but not one as small in spreads as the solver's last digits
_POLISHED_GAP = 1e-11  # of the objective: below it there is nothing to gain
_INSIDE = 1e-9
_NO_DRAWDOWN = 1e-12  # of the spread


class Tail(NamedTuple):
    """min fixed·w + weight · CVaR(w), in returns shifted and scaled to about 1 (the true ones are shift + scale · r).

    ``returns`` (n_scenarios, n_assets) differ from one another, ``most`` (n_scenarios,) is the largest weight of each
    in a worst case, ``fixed`` (n_assets,) what an asset costs whatever happens.
    """

    returns: FloatArray
    most: FloatArray
    fixed: FloatArray
    weight: float
    scale: float


class Found(NamedTuple):
    """Weights of the kinds, the objective there and its bound, the worst case, and the prices that prove it."""

    weights: FloatArray
    value: float
    worst_case: FloatArray
    support: Support
    costs: FloatArray

    @property
    def gap(self) -> float:
        """Return how far the value is from its bound."""
        return self.value - self.support.value


def min_cvar(problem: Problem) -> Solution:
    """Return the weights of the lowest conditional value at risk.

    It is exact for the sample, with fractional tail: the result's ``conditional_value_at_risk`` is the minimum.
    (Minimising the sample CVaR by SLSQP stops at the start or some percent short.) Assets alike in returns and limits
    get the same weight, and the order of the assets does not matter. Scenarios of probability 0 are left
    out. Where no return differs from another by more than residue all weights tie, and are as near to equal as the
    limits allow, ``exact`` only if that residue is nothing beside the returns. Raises ValueError unless 0 <
    ``confidence`` < 1.
    """
    return _lowest(problem, "min_cvar", f"CVaR at {problem.confidence:.6g}", 0.0, 1.0)


def mean_cvar(problem: Problem) -> Solution:
    """Return the weights of the largest mean − λ CVaR, with λ the ``risk_aversion``; in all else as ``min_cvar``.

    Raises ValueError for a negative risk aversion.
    """
    if not 0.0 <= problem.risk_aversion < math.inf:
        raise ValueError(f"risk_aversion must be finite and not negative, not {problem.risk_aversion}")
    objective = f"mean - {problem.risk_aversion:.6g} CVaR at {problem.confidence:.6g}"
    found = _lowest(problem, "mean_cvar", objective, 1.0, problem.risk_aversion)
    return replace(
        found,
        maximised=True,
        value=None if found.value is None else -found.value,
        bound=None if found.bound is None else -found.bound,
    )


def _lowest(problem: Problem, method: str, objective: str, reward: float, aversion: float) -> Solution:
    """Minimise −reward · mean + aversion · CVaR over the scenarios that are possible."""
    problem, stay = possible(problem)
    found = _lowest_of_possible(problem, method, objective, reward, aversion)
    return found if stay is None else replace(found, worst_case=placed(found.worst_case, stay))


def _lowest_of_possible(problem: Problem, method: str, objective: str, reward: float, aversion: float) -> Solution:
    merged, assets = merge_assets(problem)
    days = problem.returns.shape[0]
    size = tail_size(days, problem.confidence)
    chances = np.full(days, 1.0 / days) if problem.probabilities is None else problem.probabilities
    returns, chance, same = merge_scenarios(merged.returns, chances)
    mean = merged.expected
    middle, mean_middle = float(np.median(returns)), float(np.median(mean))
    scale = max(aversion * _spread(returns), reward * float(mean.std()), _NARROWEST * aversion * float(np.ptp(returns)))
    shift = -reward * mean_middle - aversion * middle
    tail = Tail(
        (returns - middle) / (scale or 1.0),
        np.minimum(chance * days / size, 1.0),
        -reward * (mean - mean_middle) / (scale or 1.0),
        aversion,
        scale or 1.0,
    )
    exact = True
    if aversion * np.ptp(returns) <= RESIDUE and reward * np.ptp(mean) <= RESIDUE:
        weights = nearest(np.full(assets.kind.size, 1.0 / assets.kind.size), problem.limits)
        found = _prove(tail, merged.limits, _together(weights, assets), chance, None)
        exact, note = tied(returns, reward * mean)
    else:
        polytope = merged.limits.polytope()
        found, note = first_good(lambda variant: _attempt(tail, merged.limits, polytope, variant), _good)
        weights = assets.share(found.weights)
    share = np.divide(chances, chance[same.kind], out=np.zeros(days), where=chance[same.kind] > 0.0)
    worst = share * found.worst_case[same.kind]
    solution = _solution(problem, method, objective, weights, found, assets, tail.scale, shift, worst, note)
    return replace(solution, exact=exact)


def tied(*figures: FloatArray) -> tuple[bool, str | None]:
    """Tell whether figures that differ by no more than ``RESIDUE`` are alike in proportion to their size, and say so.

    Daily returns that small are what float arithmetic leaves (``tools.metrics.inputs``): there is nothing to choose by.
    But in another unit they could be data, so that the weights are then not the optimum of what was given.
    """
    if all(alike(part.reshape(-1, 1)) for part in figures):
        return True, "every scenario of every asset is alike: all weights tie"
    return False, f"no return differs from another by more than {RESIDUE:g}, taken for rounding: all weights tie"


def _solution(
    problem: Problem,
    method: str,
    objective: str,
    weights: FloatArray,
    found: Found,
    assets: Kinds,
    scale: float,
    shift: float,
    worst_case: FloatArray,
    note: str | None,
) -> Solution:
    """Turn what was found for kinds of assets, in scaled returns, into an answer for the assets in returns."""
    proof = Support(
        found.support.value * scale,
        weights,
        found.support.prices * scale,
        assets.each(found.support.lower) * scale,
        assets.each(found.support.upper) * scale,
    )
    return Solution(
        method=method,
        weights=weights,
        objective=objective,
        value=shift + scale * found.value,
        bound=shift + scale * min(found.support.value, found.value),
        binding=binding(problem.limits, weights, proof, assets.each(found.costs) * scale),
        worst_case=worst_case,
        note=note,
    )


def _attempt(tail: Tail, limits: Limits, polytope: Polytope, variant: Variant) -> Found:
    weights, worst_case, prices = _dual(tail, polytope, variant)
    found = _prove(tail, limits, settled(weights, limits), worst_case, prices)
    if found.gap <= _POLISHED_GAP * abs(found.value):
        return found
    try:
        weights, worst_case, prices = _polished(tail, polytope, weights, worst_case, prices)
        better = _prove(tail, limits, settled(weights, limits), worst_case, prices)
    except (SolverFailed, np.linalg.LinAlgError):
        return found
    return min(found, better, key=lambda either: abs(either.gap))


def _polished(
    tail: Tail, polytope: Polytope, weights: FloatArray, worst_case: FloatArray, prices: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Solve the equations of the corner that the solver ended in to the last digit, for weights, q and y at once.

    Between their bounds are some weights, scenarios and rows. The costs of those weights are alike, the losses of those
    scenarios too, and those rows have no slack: two systems, one the transpose of the other.
    """
    if polytope.lower.size > polytope.assets:
        raise SolverFailed("the corner of a turnover limit is not polished")
    free = (weights > polytope.lower + _INSIDE) & (weights < polytope.upper - _INSIDE)
    partly = (worst_case > _INSIDE * tail.most) & (worst_case < (1.0 - _INSIDE) * tail.most)
    priced = prices > _INSIDE
    if not (free.any() and partly.any()):
        raise SolverFailed("nothing lies between its bounds")
    scenarios, rows = tail.weight * tail.returns[partly], polytope.rows[priced]
    matrix = np.zeros((int(free.sum()) + 1, int(partly.sum() + priced.sum()) + 1))
    matrix[:-1, :-1] = np.vstack([scenarios, -rows])[:, free].T
    matrix[:-1, -1] = 1.0
    matrix[-1, : scenarios.shape[0]] = 1.0
    costs = tail.fixed - tail.weight * (worst_case[:, None] * tail.returns).sum(axis=0) + (prices[priced] @ rows)
    level, loss = float(costs[free].mean()), float((scenarios * weights).sum(axis=1).mean())
    slack = polytope.values[priced] - (rows * weights).sum(axis=1)
    unequal = np.concatenate([loss - (scenarios * weights).sum(axis=1), -slack, [1.0 - weights.sum()]])
    step = _solved(matrix, np.append(costs[free] - level, 1.0 - worst_case.sum()))
    move = _solved(matrix.T, unequal)
    weights, worst_case, prices = weights.copy(), worst_case.copy(), prices.copy()
    weights[free] += move[:-1]
    worst_case[partly] += step[: scenarios.shape[0]]
    prices[priced] += step[scenarios.shape[0] : -1]
    return weights, worst_case, prices


def _solved(matrix: FloatArray, values: FloatArray) -> FloatArray:
    """Solve ``matrix`` @ x = ``values``, or where the corner is degenerate, the x closest to that."""
    if matrix.shape[0] == matrix.shape[1]:
        return np.asarray(np.linalg.solve(matrix, values))
    return np.asarray(np.linalg.lstsq(matrix, values, rcond=None)[0])


def _good(found: Found) -> bool:
    return found.gap <= _GAP * abs(found.value) + _RESIDUAL_GAP


def _prove(tail: Tail, limits: Limits, weights: FloatArray, worst_case: FloatArray, prices: FloatArray | None) -> Found:
    """Value the weights, and bound the objective by a worst case that is brought within its bounds exactly."""
    worst_case = within(worst_case, tail.most)
    losses = -(tail.returns * weights).sum(axis=1)
    value = float((tail.fixed * weights).sum()) + tail.weight * tail_mean(losses, tail.most)
    costs = tail.fixed - tail.weight * (worst_case[:, None] * tail.returns).sum(axis=0)
    return Found(weights, value, worst_case, support(limits, costs, prices), costs)


def tail_mean(losses: FloatArray, most: FloatArray) -> float:
    """Return the largest q·``losses`` over 0 ≤ q ≤ ``most``, Σq = 1: the mean of the worst losses, the last in part.

    It is taken as VaR + Σ most · max(L − VaR, 0), the minimum over ζ of Rockafellar & Uryasev (2000), eq. 4.
    """
    order = np.argsort(-losses, kind="stable")
    last = int(np.searchsorted(np.cumsum(most[order]), 1.0 - 1e-12))
    threshold = losses[order[min(last, order.size - 1)]]
    return float(threshold + (most * np.maximum(losses - threshold, 0.0)).sum())


def within(worst_case: FloatArray, most: FloatArray) -> FloatArray:
    """Bring a distribution into 0 ≤ q ≤ ``most``, Σq = 1, by the least that a solver's last digits need."""
    clipped = np.clip(worst_case, 0.0, most)
    missing = 1.0 - math.fsum(clipped)
    if missing <= 0.0:
        return np.asarray(clipped / math.fsum(clipped))
    room = most - clipped
    return np.asarray(np.minimum(clipped + missing * room / math.fsum(room), most))


def _dual(tail: Tail, polytope: Polytope, variant: Variant) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Solve max over q of the least cost of any weights, which has a row per asset and not one per scenario.

    With x = lower + x′ the inner minimum is the largest c·lower + ν(1 − Σ lower) − y·(b − A lower) − s·(upper − lower)
    over prices ν of the budget, y ≥ 0 of the rows and s ≥ 0 of the caps with ν − Aᵀy − s ≤ c for each asset, c = fixed
    − weight · Rᵀq; x′ are the prices of these conditions. Returns weights (n_assets,), q (n_scenarios,), y (n_rows,).
    """
    from scipy.sparse import csc_array, hstack

    scenarios, assets = tail.returns.shape
    size = polytope.lower.size
    left = max(1.0 - math.fsum(polytope.lower[:assets]), 0.0)
    room = polytope.upper - polytope.lower
    room[:assets] *= max(1.0, left / (math.fsum(room[:assets]) or 1.0))
    capped = np.flatnonzero(room[:assets] < left)
    costs = np.zeros((size, scenarios + 1))
    costs[:assets, :scenarios] = tail.weight * tail.returns.T
    costs[:assets, scenarios] = 1.0
    rows = hstack([csc_array(costs), csc_array(-polytope.rows.T), csc_array(-np.eye(size)[:, capped])], format="csc")
    spare = polytope.values - (polytope.rows * polytope.lower).sum(axis=1)
    prices = spare.size + capped.size
    program = Program(
        np.concatenate(
            [tail.weight * (tail.returns * polytope.lower[:assets]).sum(axis=1), [-left], spare, room[capped]]
        ),
        rows,
        np.append(tail.fixed, np.zeros(size - assets)),
        np.concatenate([np.zeros(scenarios), [-np.inf], np.zeros(prices)]),
        np.concatenate([tail.most, np.full(1 + prices, np.inf)]),
        (np.arange(scenarios + 1 + prices) < scenarios).astype(float),
    )
    optimum = run(program, variant)
    y = optimum.solution[scenarios + 1 : scenarios + 1 + spare.size]
    return polytope.lower[:assets] + optimum.prices[:assets], optimum.solution[:scenarios], y


def min_cdar(problem: Problem) -> Solution:
    """Return the weights of the lowest conditional drawdown at risk: the mean of the worst (1 − α)T drawdowns.

    Drawdowns are those of the sum of the returns (not compounded), from a start that counts as a peak (Chekhlov,
    Uryasev & Zabarankin, "Drawdown measure in portfolio optimization", 2005). The program is min ζ + Σu_t / ((1 − α)T)
    subject to u_t ≥ d_t − ζ, d_t ≥ d_{t−1} − r_t·w, u ≥ 0, d ≥ 0. Where weights without drawdown exist, the answer is
    those of them with the lowest CVaR. Raises ValueError for probabilities: drawdowns are of days in their order.
    """
    size = tail_size(problem.returns.shape[0], problem.confidence)
    objective = f"CDaR at {problem.confidence:.6g}, not compounded"
    return _lowest_drawdown(problem, "min_cdar", objective, min(1.0 / size, 1.0))


def min_max_drawdown(problem: Problem) -> Solution:
    """Return the weights of the lowest maximum drawdown of the sum of the returns; in all else as ``min_cdar``."""
    return _lowest_drawdown(problem, "min_max_drawdown", "maximum drawdown, not compounded", 1.0)


def _lowest_drawdown(problem: Problem, method: str, objective: str, most: float) -> Solution:
    """Minimise the largest q·d over 0 ≤ q ≤ ``most``, Σq = 1, of the drawdowns d."""
    if problem.probabilities is not None:
        raise ValueError(f"{method} looks at days in their order: it takes no probabilities")
    merged, assets = merge_assets(problem)
    returns = merged.returns
    scale = max(_spread(returns), _NARROWEST * float(np.abs(returns).max())) or 1.0
    tail = Tail(returns / scale, np.full(returns.shape[0], most), np.zeros(returns.shape[1]), 1.0, scale)
    if not (returns < 0.0).any():
        return _without_drawdown(problem, method, objective, tail, None)
    polytope = merged.limits.polytope()
    found, note = first_good(lambda variant: _attempt_drawdown(tail, merged.limits, polytope, variant), _good)
    if found.value <= _NO_DRAWDOWN:
        return _without_drawdown(problem, method, objective, tail, found)
    weights = assets.share(found.weights)
    return _solution(problem, method, objective, weights, found, assets, scale, 0.0, found.worst_case, note)


def _attempt_drawdown(tail: Tail, limits: Limits, polytope: Polytope, variant: Variant) -> Found:
    days = tail.most.size
    optimum = run(_drawdown_program(tail, polytope), variant)
    weights = settled(optimum.solution[: polytope.assets], limits)
    held, worst_case, prices = np.split(optimum.prices, [days, 2 * days])
    return prove_drawdown(tail, limits, weights, worst_case, held, prices)


def prove_drawdown(
    tail: Tail,
    limits: Limits,
    weights: FloatArray,
    worst_case: FloatArray,
    held: FloatArray,
    prices: FloatArray | None,
) -> Found:
    """Value the weights, and bound the drawdown by prices of its recursion that are brought within their bounds.

    ``held`` (n_days,) are the prices λ of d_t ≥ d_{t−1} − r_t·w. For any 0 ≤ λ_t ≤ λ_{t+1} + q_t the largest q·d is at
    least −λ·Rw: with those bounds kept, backward from the last day, the bound holds whatever the solver's accuracy.
    """
    worst_case = within(worst_case, tail.most)
    kept = np.empty_like(held)
    after = 0.0
    for day in range(held.size - 1, -1, -1):
        after = min(max(float(held[day]), 0.0), after + float(worst_case[day]))
        kept[day] = after
    value = tail_mean(drawdowns((tail.returns * weights).sum(axis=1)), tail.most)
    costs = -(kept[:, None] * tail.returns).sum(axis=0)
    return Found(weights, value, worst_case, support(limits, costs, prices), costs)


def drawdowns(returns: FloatArray) -> FloatArray:
    """Return how far the sum of ``returns`` (n_days,) lies below its highest so far, the start 0 included."""
    wealth = np.cumsum(returns)
    return np.asarray(np.maximum(np.maximum.accumulate(wealth), 0.0) - wealth)


def _drawdown_program(tail: Tail, polytope: Polytope) -> Program:
    """Build the program over (x, d, ζ, u): recursion, tail, limits; without u where one day may be the whole tail."""
    from scipy.sparse import block_array, csc_array, diags_array, eye_array

    days, assets = tail.returns.shape
    size = polytope.lower.size
    single = bool(tail.most[0] >= 1.0)
    beyond = 0 if single else days
    returns = csc_array(np.hstack([-tail.returns, np.zeros((days, size - assets))]))
    step = diags_array([np.ones(days), np.full(days - 1, -1.0)], offsets=[0, -1], shape=(days, days))
    level, excess = csc_array(np.full((days, 1), -1.0)), -eye_array(days).tocsc()[:, :beyond]
    limits = csc_array(polytope.rows) if polytope.values.size else None
    blocks = [[returns, -step, None, None], [None, eye_array(days), level, excess], [limits, None, None, None]]
    rest = days + 1 + beyond
    return Program(
        np.concatenate([np.zeros(size + days), [1.0], tail.most[:beyond]]),
        block_array(blocks if limits is not None else blocks[:2], format="csc"),
        np.concatenate([np.zeros(2 * days), polytope.values]),
        np.concatenate([polytope.lower, np.zeros(rest)]),
        np.concatenate([polytope.upper, np.full(rest, np.inf)]),
        (np.arange(size + rest) < assets).astype(float),
    )


def _without_drawdown(problem: Problem, method: str, objective: str, tail: Tail, found: Found | None) -> Solution:
    """Choose, of all weights that never lose, those with the lowest CVaR. No drawdown is below 0: the bound."""
    note = "no drawdown at all: of all such weights those with the lowest CVaR"
    try:
        weights = min_cvar(problem).weights if found is None else _never_losing(problem, tail)
    except SolverFailed as error:
        if found is None:
            raise
        weights = merge_assets(problem)[1].share(found.weights)
        note = f"no drawdown at all: one of several such weights ({error})"
    value = float(drawdowns((problem.returns * weights).sum(axis=1)).max())
    return Solution(method=method, weights=weights, objective=objective, value=value, bound=0.0, note=note)


def _never_losing(problem: Problem, tail: Tail) -> FloatArray:
    """Return the weights (n_assets,) of the lowest CVaR of those that lose on no day."""
    merged, assets = merge_assets(problem)
    days = tail.most.size
    polytope = merged.limits.polytope()
    losing = -tail.returns[(tail.returns < 0.0).any(axis=1)]
    padded = np.hstack([losing, np.zeros((losing.shape[0], polytope.lower.size - polytope.assets))])
    stricter = polytope._replace(
        rows=np.vstack([polytope.rows, padded]), values=np.append(polytope.values, np.zeros(losing.shape[0]))
    )
    most = np.full(days, min(1.0 / tail_size(days, problem.confidence), 1.0))
    shifted = tail._replace(returns=tail.returns - np.median(tail.returns), most=most)

    def attempt(variant: Variant) -> FloatArray:
        return settled(_dual(shifted, stricter, variant)[0], merged.limits)

    def good(weights: FloatArray) -> bool:
        return float(drawdowns((tail.returns * weights).sum(axis=1)).max()) <= _NO_DRAWDOWN * days

    weights, note = first_good(attempt, good)
    if not good(weights):
        raise SolverFailed(note)
    return assets.share(weights)


def _together(weights: FloatArray, assets: Kinds) -> FloatArray:
    """Add up the weights of each kind: (n_assets,) becomes (n_kinds,)."""
    return np.asarray(np.bincount(assets.kind, weights=weights, minlength=assets.first.size))


def _spread(returns: FloatArray) -> float:
    """Return the deviation of a typical asset that varies, or of all returns where none does."""
    deviations = returns.std(axis=0)
    varies = ~without_variance(deviations, returns.mean(axis=0))
    typical = np.median(deviations[varies]) if varies.any() else returns.std()
    return float(typical)
