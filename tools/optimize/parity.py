"""Risk parity: weights whose contributions to the volatility are equal, by Newton's method on the correlations.

The weights that minimise ln σ(w) − Σ bᵢ ln wᵢ, bᵢ = 1/n, have the contributions wᵢ(Σw)ᵢ/σ² = bᵢ; with x = w/σ it is the
convex program min ½ x'Σx − Σ bᵢ ln xᵢ (Spinu, "An algorithm for computing risk parity weights", SSRN 2297383, 2013;
Griveau-Billion, Richard & Roncalli, "A fast algorithm for computing high-dimensional risk parity portfolios", arXiv
1311.4057, 2013). Its solution is unique, for negative correlations and singular covariances too.

Within limits that break equality the same objective is minimised over what they leave (the idea of Richard & Roncalli,
"Constrained risk budgeting portfolios", arXiv 1902.05710, 2019). Scaled limits are limits on x, so that is convex too.

The bound. For any y and z > 0 with (Σy − z)·x ≥ 0 on all x that the limits allow: ½ x'Σx ≥ y'Σx − ½ y'Σy and −b ln x ≥
b + b ln(z/b) − zx, so the objective is at least −½ y'Σy + Σ bᵢ(1 + ln(zᵢ/bᵢ)). With y = x and z = Σx its distance from
the objective is Σ bᵢ ln(bᵢ/cᵢ), the divergence of the contributions cᵢ from equal ones: 0 where they are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tools.metrics.inputs import BoolArray
from tools.optimize.certificate import Support, binding, support
from tools.optimize.cones import SETTINGS, Cone, ConeProgram, Corner, multiples, polished, run
from tools.optimize.limits import Limits, Polytope
from tools.optimize.linear import Program, SolverFailed
from tools.optimize.linear import run as run_linear
from tools.optimize.moments import covariance_factor, covariance_matrix
from tools.optimize.nearest import reached
from tools.optimize.problem import Problem, Solution
from tools.optimize.twins import merge_assets
from tools.units import FloatArray

_EQUAL = 1e-10  # of the volatility: contributions that differ by less are equal
_STEPS = 100
_QUADRATIC = 0.25  # Newton decrement below which full steps converge
_DONE = 1e-8  # Newton decrement: the next would be about its square
_LENGTHS = 4
_LEAST_SUM = 0.2
_SETTLED = 1e-15
_NEWTON = 8
_RIDGE = 1e-8
_SMALL = 1e-6  # of the money: room to tell a weight that can be above 0 from one that cannot
_ROUNDING = 1e-12
_AMISS = 1e-2  # of the money: by how much an answer may be moved into the limits, where its bound tells what that costs


class Proof(NamedTuple):
    """The value of ln σ(w) − Σ bᵢ ln wᵢ, its lower bound, and the costs and support that price the limits."""

    value: float
    bound: float
    costs: FloatArray
    found: Support


def risk_parity(problem: Problem) -> Solution:
    """Return the weights of equal contributions to the volatility, or those nearest to them that keep the limits.

    ``value`` is ln σ(w) − Σ ln wᵢ / n (a pure number but for the unit of σ), ``extra["contribution_error"]`` the
    largest distance of a contribution wᵢ(Σw)ᵢ/σ² from 1/n. Where a limit stands in the way ``exact`` is False, and the
    weights are those of the least value within the limits: the assets that no limit holds stay as near to equal as the
    held ones let them. An asset whose limits leave it no weight is left out.

    An asset that does not vary measures no volatility: it cannot contribute, and without this rule would take all. It
    counts with the median volatility and no correlation, as in ``inverse_volatility``; ``exact`` is then False, too.
    Where no asset varies all volatilities count as 1. Where a mix of the assets has no volatility (perfect hedges)
    there is nothing to contribute to, and the objective has no end: every asset then counts with 1e-8 more variance,
    its own, which leads to the most even of such mixes; again not ``exact``.

    Raises ``Undefined`` for a single scenario without a covariance, ``SolverFailed`` where clarabel has no answer.
    """
    matrix, unknown = _visible(covariance_matrix(problem, covariance_factor(problem)))
    notes = []
    if unknown:
        notes.append(f"{unknown} of {matrix.shape[0]} series do not vary: each counts with the median volatility")
    prices: FloatArray | None = None
    weights = _equal_contributions(matrix)
    if weights is None:
        matrix = matrix + np.diag(np.diag(matrix)) * _RIDGE
        notes.append(f"some mix has next to no volatility: each asset counts with {_RIDGE:g} more variance of its own")
        weights = _equal_contributions(matrix)
    if weights is None or not problem.limits.hold(weights):
        weights, prices, why = _within(problem, matrix)
        notes += why
    part = weights > 0.0
    error = contribution_error(matrix, weights, part)
    proof = _proof(problem.limits, matrix, weights, part, prices)
    if error > _EQUAL and prices is not None:
        notes.append(f"the limits allow no equal contributions: the farthest is {error:.2%} of the risk off its share")
    return Solution(
        "risk_parity",
        weights,
        "logarithm of volatility over the geometric mean of the weights, least",
        value=proof.value,
        bound=proof.bound,
        binding=binding(problem.limits, weights, proof.found, proof.costs) if prices is not None else (),
        exact=not notes,
        note="; ".join(notes) or None,
        extra={"contribution_error": error},
    )


def contributions(matrix: FloatArray, weights: FloatArray) -> FloatArray:
    """Return each asset's share wᵢ(Σw)ᵢ/σ² of the variance (n_assets,), adding up to 1; Σ is (n_assets, n_assets)."""
    parts = weights * (matrix * weights).sum(axis=1)
    return np.asarray(parts / parts.sum())


def contribution_error(matrix: FloatArray, weights: FloatArray, part: BoolArray | None = None) -> float:
    """Return the largest distance of a contribution from an equal share, among the assets that take ``part``."""
    taken = np.ones(weights.size, dtype=bool) if part is None else part
    return float(np.abs(contributions(matrix, weights)[taken] - 1.0 / np.count_nonzero(taken)).max())


def _visible(matrix: FloatArray) -> tuple[FloatArray, int]:
    """Give series that do not vary the median variance and no correlation; return how many there are."""
    variance = np.diag(matrix)
    still = variance <= 0.0
    if not still.any():
        return matrix, 0
    typical = 1.0 if still.all() else float(np.median(variance[~still]))
    seen = np.where(still[:, None] | still, 0.0, matrix)
    seen[still, still] = typical
    return np.asarray(seen), int(still.sum())


# --- without limits --------------------------------------------------------------------------------------------------


def _equal_contributions(matrix: FloatArray) -> FloatArray | None:
    """Return the weights (n_assets,) of equal contributions; None where there are none.

    Newton's method on the correlations. It does not settle where some long-only mix has no volatility.
    """
    from scipy.linalg.lapack import dposv

    volatility = np.sqrt(np.diag(matrix))
    correlation = matrix / volatility[:, None] / volatility
    x = _near(correlation)
    diagonal = np.arange(x.size)
    for _ in range(_STEPS):
        # Multiplied by n, so that the logarithms have coefficients of 1, for which the theory of damped steps holds.
        gradient = correlation @ x - 1.0 / x
        hessian = correlation.copy()
        hessian[diagonal, diagonal] += 1.0 / x**2
        _, step, singular = dposv(hessian.T, gradient, overwrite_a=True)
        if singular:  # x has grown out of all bounds
            return None
        decrement = float(np.sqrt(max((gradient * step).sum(), 0.0)))
        x = x - step * (1.0 if decrement < _QUADRATIC else _length(correlation, x, step, decrement))
        if decrement <= _DONE:  # it is squared by a full step
            break
    weights = x / volatility
    weights = np.asarray(weights / weights.sum())
    if not np.isfinite(weights).all() or _variance(matrix, weights) <= 0.0:
        return None
    return weights if contribution_error(matrix, weights) <= _SMALL else None


def _near(correlation: FloatArray) -> FloatArray:
    """Return x (n_assets,) in inverse proportion to the root of the summed correlations, as long as is optimal.

    That is the solution for n assets of one correlation. A sum near 0 or below counts as ``_LEAST_SUM``.
    """
    x = 1.0 / np.sqrt(np.maximum(correlation.sum(axis=1), _LEAST_SUM))
    variance = float((x * (correlation * x).sum(axis=1)).sum())
    return np.asarray(x * np.sqrt(x.size / variance) if variance > _ROUNDING else np.ones(x.size))


def _length(correlation: FloatArray, x: FloatArray, step: FloatArray, decrement: float) -> float:
    """Return how much of a Newton ``step`` to take: the least along it, by Newton's method in one dimension.

    It starts from 1/(1 + λ), λ the decrement, and is damped likewise: by self-concordance each such step lowers the
    objective and stays where x > 0 (Nesterov & Nemirovskii, "Interior-point polynomial algorithms", 1994, § 2.2).
    """
    along = correlation @ step
    bend, slope, ratio = max(float((along * step).sum()), 0.0), float((along * x).sum()), step / x
    length = 1.0 / (1.0 + decrement)
    for _ in range(_LENGTHS):
        pull = ratio / (1.0 - length * ratio)
        curvature = bend + float((pull * pull).sum())
        rise = bend * length - slope + float(pull.sum())
        length -= rise / (curvature + abs(rise) * float(np.sqrt(curvature)))
    return length


def _variance(matrix: FloatArray, weights: FloatArray) -> float:
    return float((weights * (matrix * weights).sum(axis=1)).sum())


# --- within limits ---------------------------------------------------------------------------------------------------


def _within(problem: Problem, matrix: FloatArray) -> tuple[FloatArray, FloatArray | None, list[str]]:
    """Return the weights within the limits, the prices of the rows, and notes on what was left out."""
    merged, kinds = merge_assets(problem)
    limits = merged.limits
    part = np.zeros((kinds.first.size, kinds.kind.size))  # each kind is the equal mix of its assets
    part[kinds.kind, np.arange(kinds.kind.size)] = 1.0 / kinds.size[kinds.kind]
    own = part @ matrix @ part.T
    able = _able(limits)
    budgets = np.where(able, kinds.size, 0.0) / float(kinds.size[able].sum())
    weights, prices = _constrained(limits, own, budgets, able)
    left_out = int(kinds.size[~able].sum())
    notes = [f"the limits leave no weight to {left_out} of {kinds.kind.size} assets"] if left_out else []
    if limits.turnover is not None:
        ties = prices.size - kinds.first.size
        prices = np.concatenate([prices[:ties], kinds.each(prices[ties:])])
    return kinds.share(weights), prices, notes


def _able(limits: Limits) -> BoolArray:
    """Tell which assets can have a weight above 0 (n_assets,): those that a mix of all such weights gives a little."""
    assets = limits.lower.size
    if not limits.caps.size and limits.turnover is None and limits.floor is None:
        return np.asarray(limits.upper > 0.0)
    polytope = limits.polytope()
    count, little = polytope.lower.size, _SMALL / assets
    rows = np.zeros((polytope.values.size + assets, count + assets))
    rows[: polytope.values.size, :count] = polytope.rows
    rows[polytope.values.size :, :assets], rows[polytope.values.size :, count:] = -np.eye(assets), np.eye(assets)
    found = run_linear(
        Program(
            np.concatenate([np.zeros(count), np.full(assets, -1.0)]),
            rows,
            np.concatenate([polytope.values, np.zeros(assets)]),
            np.concatenate([polytope.lower, np.zeros(assets)]),
            np.concatenate([polytope.upper, np.full(assets, little)]),
            (np.arange(count + assets) < assets).astype(float),
        )
    )
    return np.asarray(found.solution[count:] > little / 1e3)


def _constrained(
    limits: Limits, matrix: FloatArray, budgets: FloatArray, able: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Minimise ½ x'Σx − Σ bᵢ ln xᵢ over the x whose x/Σx keep the limits, and return w = x/Σx and the rows' prices."""
    polytope = limits.polytope()
    if (sole := limits.sole()) is not None:
        return sole, np.zeros(polytope.values.size)
    scaled = matrix / float(np.median(np.diag(matrix)))
    cone = multiples(polytope)
    start = _by_cones(cone, scaled, budgets, able)
    x, prices = start.solution, start.prices
    pull = np.zeros(polytope.assets)
    for _ in range(_NEWTON):  # the same limits hold, so each step is exact but for the logarithm
        inside = able & (x[: pull.size] > 0.0)
        pull = np.divide(budgets, x[: pull.size], out=np.zeros(pull.size), where=inside)
        bend = scaled + np.diag(np.divide(pull, x[: pull.size], out=np.zeros(pull.size), where=inside))
        after = polished(bend, -2.0 * pull, cone, x, prices, budget=False)
        moved = float(np.abs(after.solution - x).max())
        if (after.solution[: pull.size][able] <= 0.0).any():
            break
        x, prices = after.solution, after.prices
        if moved <= _SETTLED:
            break
    total = float(x[: pull.size].sum())
    prices = prices[: polytope.values.size] * total
    return reached(x[: pull.size] / total, limits, _AMISS), prices


def _by_cones(cone: Polytope, matrix: FloatArray, budgets: FloatArray, able: BoolArray) -> Corner:
    """Solve over x and s, (sᵢ, 1, xᵢ) in the exponential cone for sᵢ ≤ ln xᵢ. Raises ``SolverFailed``."""
    count, assets = cone.lower.size, cone.assets
    logs = np.flatnonzero(able)
    linear = np.vstack([cone.rows, -np.eye(count)])
    rows = np.zeros((linear.shape[0] + 3 * logs.size, count + logs.size))
    rows[: linear.shape[0], :count] = linear
    curved, place = rows[linear.shape[0] :], np.arange(logs.size)
    curved[3 * place, count + place] = -1.0
    curved[3 * place + 2, logs] = -1.0
    values = np.zeros(rows.shape[0])
    values[linear.shape[0] + 1 :: 3] = 1.0
    whole = np.zeros((rows.shape[1], rows.shape[1]))
    whole[:assets, :assets] = matrix
    objective = np.concatenate([np.zeros(count), -budgets[logs]])
    cones = (Cone("nonnegative", linear.shape[0]), Cone("exponential", 3 * logs.size))
    program = ConeProgram(whole, objective, rows, values, cones)
    failures: list[str] = []
    for setting in SETTINGS:
        try:
            answer = run(program, setting)
        except SolverFailed as error:
            failures.append(str(error))
            continue
        return Corner(answer.solution[:count], answer.prices[: cone.values.size])
    raise SolverFailed("; ".join(failures))


def _proof(
    limits: Limits, matrix: FloatArray, weights: FloatArray, part: BoolArray, prices: FloatArray | None
) -> Proof:
    """Bound the objective: z is b/x, drawn back until no x within the limits makes (Σy − z)·x negative."""
    budgets = np.where(part, 1.0 / np.count_nonzero(part), 0.0)
    slope = (matrix * weights).sum(axis=1)
    variance = _variance(matrix, weights)
    value = 0.5 * float(np.log(variance)) - float((budgets[part] * np.log(weights[part])).sum())
    # In units of w: y = w/σ, Σy·σ = Σw/σ; z·σ = b σ/w... all times σ, so that the costs are those of the logarithm.
    costs = slope / variance - np.divide(budgets, weights, out=np.zeros(weights.size), where=part)
    found = support(limits, costs)
    pull = np.divide(budgets, weights, out=np.zeros(weights.size), where=part)
    back, keep = -min(found.value, 0.0), 1.0
    if back > 0.0:
        least = support(limits, pull).value
        keep = max(0.0, 1.0 - back / least * (1.0 + _ROUNDING)) if least > 0.0 else 0.0
    bound = value + float(np.log(keep)) if keep > 0.0 else -np.inf
    if part.all() and (slope > 0.0).all():  # z = Σy needs no help of the limits
        bound = max(bound, value - float((budgets * np.log(budgets * variance / (weights * slope))).sum()))
    return Proof(value, min(value, bound), costs, found)
