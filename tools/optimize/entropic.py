"""The lowest entropic value at risk: Newton's method over the limits, with the worst case that proves it.

EVaR(w) = inf over t > 0 of t ln E[e^(L/t)] − t ln(1 − α), L = −Rw, is also the largest −q·Rw over the distributions q
with KL(q‖p) ≤ −ln(1 − α) (Ahmadi-Javid, "Entropic value-at-risk", J. Optim. Theory Appl. 155, 2012). The best q tilts p
exponentially, q ∝ p e^(L/t), and any such q bounds the EVaR of all weights from below by the least −Rᵀq within the
limits. In w, with t at its best, the function is smooth, and each Newton step is a quadratic program; where that does
not settle, the exponential-cone program of Ahmadi-Javid & Fallah-Tafti (European J. Operational Research 279, 2019),
and the linear program of the largest loss, give another q and other weights.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tools.metrics.inputs import RESIDUE, without_variance
from tools.optimize.certificate import binding, support
from tools.optimize.cones import SETTINGS, Cone, ConeProgram, Corner, by_active_set, quadratic, run
from tools.optimize.limits import Limits, Polytope
from tools.optimize.linear import SolverFailed
from tools.optimize.moments import gram
from tools.optimize.nearest import nearest, settled
from tools.optimize.problem import Problem, Solution
from tools.optimize.tails import min_cvar, tied
from tools.optimize.twins import IndexArray, Kinds, merge_assets, merge_scenarios, placed, possible
from tools.units import FloatArray

_CLOSE = 1e-11  # of the spread of the returns: the gap at which the search ends
_GOOD = 1e-9  # of the spread: a gap above it is worth another method
_STEPS = 40
_SHARPEST = 1e5  # 1/t in units of the spread: beyond it the function has a kink, where steps are no use
_THIN = 0.25
_HALVINGS = 30
_TILTS = 100
_LONGEST_STEP = 2.0
_SURELY = 4.0 * float(np.finfo(np.float64).eps)


class Tilt(NamedTuple):
    """The worst case of losses: their EVaR, the distribution (n_scenarios,) attaining it, and 1/t (inf for t = 0)."""

    value: float
    worst_case: FloatArray
    inverse: float


class Scaled(NamedTuple):
    """Returns (n_scenarios, n_assets) of about 1, the chance of each scenario, and the most that KL(q‖p) may be."""

    returns: FloatArray
    chance: FloatArray
    limit: float


class Found(NamedTuple):
    """Weights (n_assets,), the tilt at them, and the rows' prices that the solver gave."""

    weights: FloatArray
    tilt: Tilt
    prices: FloatArray | None


def min_evar(problem: Problem) -> Solution:
    """Return the weights of the lowest entropic value at risk at ``confidence``.

    Scenarios weigh as ``problem.probabilities`` say; those of probability 0 are left out. Where the tail is no more
    than one scenario, EVaR is the largest loss, and the weights those of the linear program. Assets alike in returns
    and limits get the same weight; where no return differs from another by more than residue all weights tie, and are
    as near to equal as the limits allow, ``exact`` only if that residue is nothing beside the returns. Raises
    ValueError unless 0 < ``confidence`` < 1, ``SolverFailed`` where no solver comes to an answer.
    """
    if not 0.0 < problem.confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {problem.confidence!r}")
    problem, stay = possible(problem)
    found = _min_evar(problem)
    return found if stay is None else replace(found, worst_case=placed(found.worst_case, stay))


def _min_evar(problem: Problem) -> Solution:
    """Do so where every scenario is possible."""
    chances = _chances(problem)
    objective = f"EVaR at {problem.confidence:.6g}"
    limit = -math.log1p(-problem.confidence)
    if -math.log(float(chances.min())) <= limit:
        return replace(_largest_loss(problem, chances), method="min_evar", objective=objective)
    merged, kinds = merge_assets(problem)
    returns, chance, alike = merge_scenarios(merged.returns, chances)
    middle, spread = float(np.median(returns)), _spread(returns)
    scaled = Scaled((returns - middle) / spread, chance, limit)
    note, exact = None, True
    if np.ptp(returns) <= RESIDUE:
        exact, note = tied(returns)
        found = _judged(scaled, _even(kinds, problem.limits), None)
    else:
        found, note = _best(scaled, merged, alike)
    worst = _proven(found.tilt.worst_case, scaled)
    solution = _solution(
        problem, objective, kinds.share(found.weights), chances, worst, alike.kind, chance, found, note
    )
    return replace(solution, exact=exact)


def tilt(losses: FloatArray, chance: FloatArray, limit: float, start: float | None = None) -> Tilt:
    """Return the worst case of ``losses`` (n_scenarios,) under KL(q‖p) ≤ ``limit``: that of the z = 1/t with equality.

    KL rises with z, by z Var_q(L): Newton's method in ln z, from ``start`` if given, kept between what was too little
    and too much. Where the scenarios of the largest loss make up e^−limit of all, they are the worst case.
    """
    top = float(losses.max())
    below = losses - top
    at_top = np.where(below >= 0.0, chance, 0.0)
    if -math.log(float(at_top.sum())) <= limit:
        return Tilt(top, at_top / at_top.sum(), math.inf)
    mean = float((chance * below).sum())
    deviation = math.sqrt(float((chance * (below - mean) ** 2).sum()))
    if deviation <= 0.0:
        return Tilt(top, chance, math.inf)
    log_z = math.log(start if start else math.sqrt(2.0 * limit) / deviation)
    low, high = -math.inf, math.inf
    for _ in range(_TILTS):
        z = math.exp(log_z)
        terms = chance * np.exp(z * below)
        total = float(terms.sum())
        worst = terms / total
        mean = float((worst * below).sum())
        over = z * mean - math.log(total) - limit
        low, high = (low, log_z) if over > 0.0 else (log_z, high)
        slope = z * z * float((worst * (below - mean) ** 2).sum())
        step = -over / slope if slope > 0.0 else math.copysign(_LONGEST_STEP, -over)
        after = log_z + min(max(step, -_LONGEST_STEP), _LONGEST_STEP)
        if not low < after < high:
            after = (low + high) / 2.0 if math.isfinite(low + high) else after
        if abs(after - log_z) <= _SURELY:
            break
        log_z = after
    return Tilt(top + (math.log(total) + limit) / z, worst, z)


# --- the search ------------------------------------------------------------------------------------------------------


def _best(scaled: Scaled, merged: Problem, alike: Kinds) -> tuple[Found, str | None]:
    """Return the weights of the least EVaR of the ways below and the highest bound, as soon as the two meet.

    Where the tail is a small part of what the assets can balance against each other the optimum is that of the largest
    loss, to which Newton's method only creeps: there the linear program goes first.
    """
    limits = merged.limits

    def newton(best: Found | None) -> Found:
        return _newton(scaled, limits, _middle(limits) if best is None else best.weights)

    def largest_loss(best: Found | None) -> Found:
        return _by_largest_loss(scaled, merged, alike)

    def cones(best: Found | None) -> Found:
        return _by_cones(scaled, limits)

    tail = math.exp(-scaled.limit) * scaled.chance.size
    thin = tail < _THIN * (limits.lower.size + 1)
    ways = (largest_loss, newton, cones, newton) if thin else (newton, largest_loss, cones, newton)
    best: Found | None = None
    failures: list[str] = []
    for way in ways:
        name = way.__name__.replace("_", " ")
        try:
            found = way(best)
        except SolverFailed as error:
            failures.append(f"{name}: {error}")
            continue
        best = found if best is None else _better(scaled, limits, best, found)
        if (gap := _gap(scaled, limits, best)) <= _GOOD:
            return best, None
        failures.append(f"{name}: within {gap:.1e} of the spread of the returns")
    if best is None:
        raise SolverFailed("; ".join(failures))
    return best, "; ".join(failures)


def _better(scaled: Scaled, limits: Limits, one: Found, other: Found) -> Found:
    """Join the lower EVaR of the two and the higher bound."""
    lower = min(one, other, key=lambda found: found.tilt.value)
    proof = max(one, other, key=lambda found: found.tilt.value - _gap(scaled, limits, found))
    return Found(lower.weights, lower.tilt._replace(worst_case=proof.tilt.worst_case), proof.prices)


def _middle(limits: Limits) -> FloatArray:
    """Return the weights nearest to equal ones: where the search starts."""
    assets = limits.lower.size
    corner = _least(np.eye(assets), np.full(assets, -1.0 / assets), limits.polytope())
    return settled(corner.solution[:assets], limits)


def _by_largest_loss(scaled: Scaled, merged: Problem, alike: Kinds) -> Found:
    """Take the weights of the lowest largest loss, and the worst case that proves them."""
    solution = _largest_loss(merged, _chances(merged))
    found = _judged(scaled, solution.weights, None)
    if solution.worst_case is None:
        return found
    worst = np.bincount(alike.kind, weights=solution.worst_case)
    return found._replace(tilt=found.tilt._replace(worst_case=worst / worst.sum()))


def _newton(scaled: Scaled, limits: Limits, start: FloatArray) -> Found:
    """Minimise by Newton's method with the limits in each quadratic program, and steps that are halved until they help.

    The curvature, with t at its best, is z (C − Cw wᵀC / wᵀCw), z = 1/t and C the covariance of the returns under the
    worst case: the scale of the losses is linear, so w itself is a direction without curvature.
    """
    polytope = limits.polytope()
    found = _judged(scaled, start, None)
    for _ in range(_STEPS):
        if not math.isfinite(found.tilt.inverse):
            break
        try:
            found, settled_down = _step(scaled, limits, polytope, found)
        except SolverFailed:
            break
        if settled_down or found.tilt.inverse > _SHARPEST or _gap(scaled, limits, found, fast=True) <= _CLOSE:
            break
    return found


def _step(scaled: Scaled, limits: Limits, polytope: Polytope, found: Found) -> tuple[Found, bool]:
    worst, z = found.tilt.worst_case, found.tilt.inverse
    gradient = -_mean(scaled.returns, worst)
    matrix = z * _curvature(scaled.returns, worst, found.weights)
    unit = max(1.0, float(np.abs(matrix).max()))
    prices = np.zeros(polytope.values.size) if found.prices is None else found.prices
    corner = _least(matrix / unit, gradient / unit, polytope, Corner(found.weights, prices))
    corner = corner._replace(prices=corner.prices * unit)
    target = settled(corner.solution[: gradient.size], limits)
    step, length = target - found.weights, 1.0
    hoped = float((gradient * step).sum())
    for _ in range(_HALVINGS):
        after = _judged(scaled, target if length == 1.0 else found.weights + length * step, corner.prices, z)
        if after.tilt.value <= found.tilt.value + 1e-4 * length * hoped:
            return after, False
        length /= 2.0
    return found._replace(prices=corner.prices), True


def _least(matrix: FloatArray, linear: FloatArray, polytope: Polytope, start: Corner | None = None) -> Corner:
    """Minimise ½ w'Σw + q·w, by interior points only where what is held at the ``start`` does not lead there."""
    quick = by_active_set(matrix, linear, polytope, start=start)
    return quadratic(matrix, linear, polytope, SETTINGS[0]) if quick is None else quick


def _curvature(returns: FloatArray, worst: FloatArray, weights: FloatArray) -> FloatArray:
    covariance = gram(np.sqrt(worst)[:, None] * (returns - _mean(returns, worst)))
    along = (covariance * weights).sum(axis=1)
    variance = float((along * weights).sum())
    return np.asarray(covariance - np.outer(along, along) / variance if variance > 0.0 else covariance)


def _by_cones(scaled: Scaled, limits: Limits) -> Found:
    """Solve min ρ + t·limit, Σ p_j u_j ≤ t, (−r_j·w − ρ, t, u_j) in the exponential cone, over (w, ρ, t, u)."""
    from scipy.sparse import csc_array

    polytope, days = limits.polytope(), scaled.chance.size
    count, assets = polytope.lower.size, polytope.assets
    whole, capped = count + 2 + days, np.flatnonzero(polytope.upper < 1.0)
    identity = np.eye(count)
    weights = np.vstack([np.zeros((2, count)), polytope.rows, identity[capped], -identity])
    weights[0, :assets] = 1.0
    rows = np.zeros((weights.shape[0] + 3 * days, whole))
    rows[: weights.shape[0], :count] = weights
    rows[1, count + 1], rows[1, count + 2 :] = -1.0, scaled.chance
    cone = rows[weights.shape[0] :]
    cone[0::3, :assets], cone[0::3, count], cone[1::3, count + 1] = scaled.returns, 1.0, -1.0
    cone[2::3, count + 2 :] = -np.eye(days)
    values = np.concatenate([[1.0, 0.0], polytope.values, polytope.upper[capped], -polytope.lower, np.zeros(3 * days)])
    objective = np.zeros(whole)
    objective[count : count + 2] = 1.0, scaled.limit
    cones = (Cone("zero", 1), Cone("nonnegative", weights.shape[0] - 1), Cone("exponential", 3 * days))
    answer = run(ConeProgram(None, objective, csc_array(rows), values, cones), SETTINGS[0])
    found = _judged(scaled, settled(answer.solution[:assets], limits), answer.prices[2 : 2 + polytope.values.size])
    worst = np.maximum(-answer.prices[weights.shape[0] :: 3], 0.0)
    if worst.sum() > 0.0:
        found = found._replace(tilt=found.tilt._replace(worst_case=worst / worst.sum()))
    return found


# --- proofs ----------------------------------------------------------------------------------------------------------


def _judged(scaled: Scaled, weights: FloatArray, prices: FloatArray | None, start: float | None = None) -> Found:
    losses = -(scaled.returns * weights).sum(axis=1)
    return Found(weights, tilt(losses, scaled.chance, scaled.limit, start), prices)


def _gap(scaled: Scaled, limits: Limits, found: Found, fast: bool = False) -> float:
    """Return the distance from the bound; ``fast`` takes the solver's prices, right at the end of a search."""
    costs = -_mean(scaled.returns, _proven(found.tilt.worst_case, scaled))
    return found.tilt.value - support(limits, costs, found.prices if fast else None).value


def _proven(worst: FloatArray, scaled: Scaled) -> FloatArray:
    """Mix a distribution with the chances until KL(q‖p) is surely within its limit: KL is convex, and 0 at p."""
    inside = worst > 0.0
    distance = float((worst[inside] * np.log(worst[inside] / scaled.chance[inside])).sum())
    keep = min(1.0, scaled.limit * (1.0 - _SURELY) / distance) if distance > 0.0 else 1.0
    return np.asarray(keep * worst + (1.0 - keep) * scaled.chance)


def _solution(
    problem: Problem,
    objective: str,
    weights: FloatArray,
    chances: FloatArray,
    worst: FloatArray,
    kind: IndexArray,
    chance: FloatArray,
    found: Found,
    note: str | None,
) -> Solution:
    """Prove the bound on the assets and scenarios as they came."""
    own = np.asarray(worst[kind] * np.divide(chances, chance[kind], out=np.zeros(chances.size), where=chance[kind] > 0))
    costs = -_mean(problem.returns, own)
    value = tilt(-(problem.returns * weights).sum(axis=1), chances, -math.log1p(-problem.confidence)).value
    proof = support(problem.limits, costs)
    return Solution(
        "min_evar",
        weights,
        objective,
        value=value,
        bound=min(value, proof.value),
        binding=binding(problem.limits, weights, proof, costs),
        worst_case=own,
        note=note,
    )


def _even(kinds: Kinds, limits: Limits) -> FloatArray:
    """Return the weights nearest to equal ones by kind (n_kinds,)."""
    assets = kinds.kind.size
    weights = nearest(np.full(assets, 1.0 / assets), limits)
    return np.asarray(np.bincount(kinds.kind, weights=weights), dtype=np.float64)


def _largest_loss(problem: Problem, chances: FloatArray) -> Solution:
    """Minimise the largest loss: the CVaR of less than the rarest scenario."""
    rarest = float(chances.min())
    return min_cvar(replace(problem, confidence=1.0 - rarest / 2.0))


def _chances(problem: Problem) -> FloatArray:
    days = problem.returns.shape[0]
    return np.full(days, 1.0 / days) if problem.probabilities is None else problem.probabilities


def _mean(returns: FloatArray, chance: FloatArray) -> FloatArray:
    return np.asarray((chance[:, None] * returns).sum(axis=0))


def _spread(returns: FloatArray) -> float:
    """Return the deviation of a typical asset that varies, or of all returns where none does."""
    deviations = returns.std(axis=0)
    varies = ~without_variance(deviations, returns.mean(axis=0))
    return float(np.median(deviations[varies]) if varies.any() else returns.std()) or 1.0
