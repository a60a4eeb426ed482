"""Independent answers to the optimisers' problems: another formulation of each, by scipy and clarabel, with bounds.

Linear objectives are solved in the dual, whose unknown is the distribution over days that the worst case puts weight
on; the weights come out as prices. The smooth ones are solved as cones in the centred returns (no covariance is
formed) or by SLSQP, and bounded from below by Frank and Wolfe's linearisation, which needs no solver of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import optimizer_objectives as objectives
from scipy import sparse
from scipy.optimize import linprog, minimize

FloatArray = objectives.FloatArray

TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
REFINEMENTS = {  # how near to a limit counts as on it: interior points come to rest at very different distances
    "min_variance": (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8),
    "max_sharpe": (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8),
    "min_evar": (1e-3, 1e-6),
}
LINEAR = ("min_cvar", "min_cdar", "min_max_drawdown")


class NoAnswer(Exception):
    """The problem has no best weights: no Sharpe ratio above 0, or one without an upper limit."""


class Bracket(NamedTuple):
    """The best objective is at least ``lower``; ``weights`` (n_assets,) are within the limits and have ``upper``."""

    lower: float
    upper: float
    weights: FloatArray


@dataclass(frozen=True)
class Region:
    """All x ≥ lower with ``rows`` @ x ≤ ``values``, x ≤ upper, whose first ``assets`` are weights that add up to 1."""

    assets: int
    rows: FloatArray
    values: FloatArray
    lower: FloatArray
    upper: FloatArray

    previous: FloatArray | None = None

    def budget(self) -> FloatArray:
        return np.asarray((np.arange(self.lower.size) < self.assets).astype(float))

    def whole(self, weights: FloatArray) -> FloatArray:
        """Return all unknowns where the first are ``weights`` (n_assets,): the least purchases and sales follow."""
        if self.previous is None:
            return weights
        moved = weights - self.previous
        return np.concatenate([weights, np.maximum(moved, 0.0), np.maximum(-moved, 0.0)])


def region(returns: FloatArray, limits: Mapping[str, Any]) -> Region:
    """Write limits, in the words of ``tools.optimize.solve``, as rows; a turnover by way of sales and purchases."""
    assets = returns.shape[1]
    means = returns.mean(axis=0)
    rows = [np.broadcast_to(group[0], assets) for group in limits.get("group_caps", ())]
    values = [float(group[1]) for group in limits.get("group_caps", ())]
    if "return_floor" in limits:
        size = float(np.ptp(means)) or 1.0
        rows.append(-(means - means.min()) / size)
        values.append(-(limits["return_floor"] - means.min()) / size)
    matrix = np.array(rows).reshape(-1, assets)
    lower = np.full(assets, limits.get("min_weight", 0.0))
    upper = np.minimum(limits.get("max_weights", 1.0), np.full(assets, limits.get("max_weight", 1.0)))
    if "turnover" not in limits:
        return Region(assets, matrix, np.array(values), lower, upper)
    one, nil = np.eye(assets), np.zeros((len(values), 2 * assets))
    moved = np.concatenate([np.zeros(assets), np.ones(2 * assets)])
    tie = np.hstack([one, -one, one])  # w - bought + sold = previous, as two inequalities
    return Region(
        assets,
        np.vstack([np.hstack([matrix, nil]), moved, tie, -tie]),
        np.concatenate([values, [limits["turnover"]], limits["previous"], -np.asarray(limits["previous"])]),
        np.concatenate([lower, np.zeros(2 * assets)]),
        np.concatenate([upper, np.ones(2 * assets)]),
        np.asarray(limits["previous"]),
    )


def cheapest(where: Region, cost: FloatArray) -> tuple[float, FloatArray]:
    """Return the least of ``cost`` (n_assets,) @ w within the limits, and its w."""
    middle, size = float(np.median(cost)), float(np.ptp(cost)) or 1.0
    padded = np.concatenate([(cost - middle) / size, np.zeros(where.lower.size - where.assets)])
    found = linprog(
        padded, where.rows, where.values, where.budget()[None], [1.0],
        np.column_stack([where.lower, where.upper]), method="highs-ds", options=TIGHT,
    )  # fmt: skip
    if found.status != 0:
        raise AssertionError(f"the reference found no vertex: {found.message}")
    return middle + size * float(found.fun), np.asarray(found.x[: where.assets])


def _feasible(where: Region, weights: FloatArray) -> FloatArray:
    """Return the nearest weights within the limits in the sum of differences: a solver's are off by its tolerance."""
    if (weights >= where.lower[: where.assets]).all() and (weights <= where.upper[: where.assets]).all():
        inside = where.rows.shape[0] == 0 and abs(float(weights.sum()) - 1.0) < 1e-15
        if inside:
            return weights
    n, size = where.assets, where.lower.size
    one, nil = np.eye(n), np.zeros((n, size - n))
    rows = np.vstack([
        np.hstack([where.rows, np.zeros((where.rows.shape[0], n))]),
        np.hstack([one, nil, -one]),
        np.hstack([-one, nil, -one]),
    ])  # fmt: skip
    found = linprog(
        np.concatenate([np.zeros(size), np.ones(n)]), rows, np.concatenate([where.values, weights, -weights]),
        np.concatenate([where.budget(), np.zeros(n)])[None], [1.0],
        np.column_stack([np.append(where.lower, np.zeros(n)), np.append(where.upper, np.ones(n))]),
        method="highs-ds", options=TIGHT,
    )  # fmt: skip
    if found.status != 0:
        raise AssertionError(f"the reference found no feasible weights: {found.message}")
    return np.asarray(found.x[:n])


def linear_bracket(method: str, returns: FloatArray, limits: Mapping[str, Any], confidence: float = 0.95) -> Bracket:
    """Solve the dual of a tail or drawdown problem: the most that a distribution over days makes of the losses.

    Unknowns: q (n_days,) on the days, p on the losses they come from (p = q for CVaR; p_t − p_{t+1} ≤ q_t for
    drawdowns, of which a day's loss deepens all that follow until the next peak), and the prices of the limits.
    """
    where = region(returns, limits)
    days, assets = returns.shape
    drawdown = method in ("min_cdar", "min_max_drawdown")
    level = 0.0 if drawdown else float(returns.mean())  # a constant added to all returns moves a loss by itself
    size = float(np.abs(returns - level).max()) or 1.0
    scaled = (returns - level) / size
    most = 1.0 if method == "min_max_drawdown" else 1.0 / max((1.0 - confidence) * days, 1.0)
    unknown, extra = where.lower.size, where.lower.size - assets
    blocks = {"q": days, "p": days, "budget": 1, "rows": where.values.size, "upper": unknown, "lower": unknown}
    starts = dict(zip(blocks, np.cumsum([0, *blocks.values()]), strict=False))
    total = sum(blocks.values())
    gain = np.zeros(total)
    gain[starts["budget"]] = 1.0
    gain[starts["rows"] : starts["upper"]] = -where.values
    gain[starts["upper"] : starts["lower"]] = -where.upper
    gain[starts["lower"] :] = where.lower
    losses = np.hstack([-scaled, np.zeros((days, extra))])
    stationary = sparse.hstack([
        sparse.csr_matrix((unknown, days)), sparse.csr_matrix(losses.T), sparse.csr_matrix(-where.budget()[:, None]),
        sparse.csr_matrix(where.rows.T), sparse.eye(unknown), -sparse.eye(unknown),
    ])  # fmt: skip
    whole = sparse.csr_matrix((np.ones(days), (np.zeros(days, int), np.arange(days))), shape=(1, total))
    one, rest = sparse.eye(days), sparse.csr_matrix((days, total - 2 * days))
    tie = sparse.hstack([-one, one - (sparse.eye(days, k=1) if drawdown else 0.0 * one), rest])
    found = linprog(
        -gain,
        tie if drawdown else None, np.zeros(days) if drawdown else None,
        sparse.vstack([stationary, whole] if drawdown else [stationary, whole, tie]),
        np.concatenate([np.zeros(unknown), [1.0], np.zeros(0 if drawdown else days)]),
        [(0, most)] * days + [(0, None)] * days + [(None, None)] + [(0, None)] * (total - 2 * days - 1),
        method="highs", options=TIGHT,
    )  # fmt: skip
    if found.status != 0:
        raise AssertionError(f"the reference has no dual: {found.message}")
    weights = _feasible(where, np.abs(found.eqlin.marginals[:assets]))
    return Bracket(-float(found.fun) * size - level, objectives.OBJECTIVES[method](returns, weights), weights)


def linearised(method: str, returns: FloatArray, where: Region, weights: FloatArray, confidence: float = 0.95) -> float:
    """Return a bound on the best objective from the slope at ``weights``: below for risks, above for Sharpe ratios."""
    means = returns.mean(axis=0)
    if method == "min_evar":
        losses = -(returns @ weights)
        temperature = objectives.entropic_temperature(losses, confidence)
        # any distribution over days within the entropy gives a bound; this one is the worst at these weights
        tilt = np.exp((losses - losses.max()) / temperature) if temperature else np.ones(losses.size)
        return cheapest(where, -(tilt / tilt.sum()) @ returns)[0]
    risk = objectives.volatility(returns, weights)
    if risk == 0.0:
        return 0.0 if method == "min_variance" else np.inf
    slope = (returns - means).T @ ((returns - means) @ weights) / (risk * (returns.shape[0] - 1))
    if method == "min_variance":
        return max(0.0, cheapest(where, slope)[0])
    # Dinkelbach: no weights make mean - ratio * volatility more than the surplus
    ratio = objectives.sharpe(returns, weights)
    surplus = -cheapest(where, ratio * slope - means)[0]
    least = smooth_bracket("min_variance", returns, where).lower
    return ratio + max(surplus, 0.0) / least if least > 0.0 else np.inf


def smooth_bracket(method: str, returns: FloatArray, where: Region, confidence: float = 0.95) -> Bracket:
    """Solve least volatility or best Sharpe ratio as a second-order cone, least EVaR by SLSQP, and bound them.

    Each is then refined on the face of the limits that it ends on, which a bound of first order needs.
    """
    worth = objectives.OBJECTIVES[method]
    solve = {"min_variance": _least_norm, "max_sharpe": _best_ratio, "min_evar": _least_entropic}[method]
    weights = _feasible(where, solve(returns, where, confidence))
    for tolerance in REFINEMENTS[method]:
        refined = weights
        for _ in range(8):
            aim = _refined(method, returns, where, refined, tolerance, confidence)
            length = _room(where, refined, aim)
            refined = refined + length * (aim - refined)
            if length == 1.0 or length == 0.0:
                break
        before, after = (
            -worth(returns, at) if method == "max_sharpe" else worth(returns, at) for at in (weights, refined)
        )
        # an interior point is off the face by its tolerance, on the better side of it as often as not
        weights = refined if after <= before + 1e-10 * objectives.scale(method, returns, weights) else weights
    return Bracket(linearised(method, returns, where, weights, confidence), worth(returns, weights), weights)


def _room(where: Region, weights: FloatArray, aim: FloatArray) -> float:
    """Return how far the way from ``weights`` to ``aim`` stays within the limits, at most 1."""
    start, end = where.whole(weights), where.whole(aim)
    before = np.concatenate([where.values - where.rows @ start, where.upper - start, start - where.lower])
    after = np.concatenate([where.values - where.rows @ end, where.upper - end, end - where.lower])
    out = after < -1e-13
    return float(np.min(np.maximum(before[out], 0.0) / (before[out] - after[out]), initial=1.0))


def _refined(
    method: str, returns: FloatArray, where: Region, weights: FloatArray, tolerance: float, confidence: float
) -> FloatArray:
    """Return the optimum of the face whose limits ``weights`` keep by less than ``tolerance``."""
    x = where.whole(weights)
    rows = [where.budget()]
    rows += [row for row, slack in zip(where.rows, where.values - where.rows @ x, strict=True) if slack < tolerance]
    levels = [1.0, *(value for value in where.values[where.values - where.rows @ x < tolerance])]
    for side in (where.lower, where.upper):
        fixed = np.abs(x - side) < tolerance
        rows += list(np.eye(x.size)[fixed])
        levels += list(side[fixed])
    face, at = np.array(rows), np.array(levels)
    if method == "min_evar":
        return _entropic_steps(returns, where, face, x, confidence)
    factor = np.hstack([_factor(returns), np.zeros((min(returns.shape), x.size - where.assets))])
    if method == "min_variance":
        return _least_squares(factor, face, at)[: where.assets]
    means = np.concatenate([returns.mean(axis=0), np.zeros(x.size - where.assets)])
    means = means / float(np.abs(means).max())
    homogeneous = np.vstack([means, face[1:] - at[1:, None] * where.budget()])  # of y = κw, κ = Σy
    scaled = _least_squares(factor, homogeneous, np.eye(len(homogeneous))[0])
    total = float(where.budget() @ scaled)
    return scaled[: where.assets] / total if total > 0.0 else weights


def _least_squares(factor: FloatArray, equal: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the x of least ‖factor @ x‖ with ``equal`` @ x = ``levels``, by the null space of the equalities."""
    _, singular, basis = np.linalg.svd(equal)
    free = basis[(singular > 1e-12).sum() :].T
    start = np.linalg.lstsq(equal, levels, rcond=1e-13)[0]
    return np.asarray(start - free @ np.linalg.lstsq(factor @ free, factor @ start, rcond=1e-13)[0])


def _entropic_steps(
    returns: FloatArray, where: Region, face: FloatArray, x: FloatArray, confidence: float
) -> FloatArray:
    """Take Newton's steps towards the least EVaR within a face; the temperature is solved for at each."""
    _, singular, basis = np.linalg.svd(face)
    free = basis[(singular > 1e-12).sum() :].T[: where.assets]
    weights = x[: where.assets]
    for _ in range(8):
        losses = -(returns @ weights)
        temperature = objectives.entropic_temperature(losses, confidence)
        if temperature == 0.0 or not free.size:
            break
        tilt = np.exp((losses - losses.max()) / temperature)
        chances = tilt / tilt.sum()
        moved = -(returns - chances @ returns) @ free
        centred = losses - chances @ losses
        joint, spread = moved.T @ (chances * centred), float(chances @ centred**2)
        curvature = moved.T @ (chances[:, None] * moved) - np.outer(joint, joint) / spread
        step = free @ np.linalg.lstsq(curvature, -(free.T @ -(chances @ returns)) * temperature, rcond=1e-12)[0]
        here = objectives.evar(returns, weights, confidence)
        lengths = (0.5**halving for halving in range(12))
        better = (weights + length * step for length in lengths)
        taken = next((at for at in better if objectives.evar(returns, at, confidence) < here), None)
        if taken is None:
            break
        weights = taken
    return weights


def _cone(cost: FloatArray, quadratic: list[FloatArray], equal: FloatArray, level: FloatArray, rows: FloatArray,
          values: FloatArray) -> FloatArray:  # fmt: skip
    """Minimise ``cost`` @ x subject to ‖quadratic[1:] @ x‖ ≤ quadratic[0] @ x, equalities and rows, by clarabel."""
    import clarabel

    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-12
    settings.max_threads = 1
    cone = np.array(quadratic)
    found = clarabel.DefaultSolver(
        sparse.csc_matrix((cost.size, cost.size)), cost,
        sparse.csc_matrix(np.vstack([equal, rows, -cone])), np.concatenate([level, values, np.zeros(len(cone))]),
        [clarabel.ZeroConeT(len(level)), clarabel.NonnegativeConeT(len(values)), clarabel.SecondOrderConeT(len(cone))],
        settings,
    ).solve()  # fmt: skip
    return np.asarray(found.x)


def _factor(returns: FloatArray) -> FloatArray:
    """Return a factor F with ‖F w‖ = the volatility over the median one, of as few rows as do."""
    centred = returns - returns.mean(axis=0)
    upper = np.linalg.qr(centred, mode="r") / np.sqrt(returns.shape[0] - 1)
    return np.asarray(upper / (float(np.median(np.linalg.norm(upper, axis=0))) or 1.0))


def _least_norm(returns: FloatArray, where: Region, _: float) -> FloatArray:
    factor, unknown = _factor(returns), where.lower.size
    wide = np.hstack([factor, np.zeros((factor.shape[0], unknown - where.assets + 1))])
    identity = np.hstack([np.eye(unknown), np.zeros((unknown, 1))])
    rows = np.vstack([np.hstack([where.rows, np.zeros((where.values.size, 1))]), identity, -identity])
    top = np.append(np.zeros(unknown), 1.0)
    return _cone(
        top, [top, *wide], np.append(where.budget(), 0.0)[None], np.ones(1), rows,
        np.concatenate([where.values, where.upper, -where.lower]),
    )[: where.assets]  # fmt: skip


def _best_ratio(returns: FloatArray, where: Region, _: float) -> FloatArray:
    """Maximise the mean of y = κw where ‖F y‖ ≤ 1 (Cornuejols & Tütüncü): the ratio is that of y."""
    factor, unknown = _factor(returns), where.lower.size
    means = returns.mean(axis=0)
    cost = -np.append(means / float(np.abs(means).max()), np.zeros(unknown - where.assets + 1))
    wide = np.hstack([factor, np.zeros((factor.shape[0], unknown - where.assets + 1))])
    identity = np.eye(unknown)
    rows = np.vstack([
        np.hstack([where.rows, -where.values[:, None]]),
        np.hstack([identity, -where.upper[:, None]]),
        np.hstack([-identity, where.lower[:, None]]),
    ])  # fmt: skip
    # the cone's first row is the constant 1, which clarabel takes as a variable fixed by an equality
    equal = np.vstack([np.append(np.append(where.budget(), -1.0), 0.0), np.append(np.zeros(unknown + 1), 1.0)])
    one = np.append(np.zeros(unknown + 1), 1.0)
    pad = lambda matrix: np.hstack([matrix, np.zeros((len(matrix), 1))])  # noqa: E731
    found = _cone(np.append(cost, 0.0), [one, *pad(wide)], equal, np.array([0.0, 1.0]), pad(rows), np.zeros(len(rows)))
    return np.asarray(found[: where.assets] / found[unknown])


def _least_entropic(returns: FloatArray, where: Region, confidence: float) -> FloatArray:
    """Minimise t·(ln Σ exp(L/t) − ln((1 − confidence)·T)) over w and t by SLSQP, from equal-ish weights."""
    start = cheapest(where, np.zeros(where.assets))[1]
    padded = np.zeros(where.lower.size)
    padded[: where.assets] = start
    losses = -(returns - returns.mean())
    size = float(losses.std()) or 1.0
    losses = losses / size
    allowed = np.log((1.0 - confidence) * returns.shape[0])

    def value(x: FloatArray) -> tuple[float, FloatArray]:
        loss = losses @ x[: where.assets]
        temperature = float(np.exp(x[-1]))
        most = float(loss.max())
        tilt = np.exp((loss - most) / temperature)
        total = float(np.log(tilt.sum()))
        chances = tilt / tilt.sum()
        by_weight = np.concatenate([losses.T @ chances, np.zeros(where.lower.size - where.assets)])
        by_log = most + temperature * (total - allowed) - float(chances @ loss)
        return most + temperature * (total - allowed), np.append(by_weight, by_log)

    limits = [{"type": "eq", "fun": lambda x: x[: where.assets].sum() - 1.0,
               "jac": lambda x: np.append(where.budget(), 0.0)}]  # fmt: skip
    if where.values.size:
        rows = np.hstack([where.rows, np.zeros((where.values.size, 1))])
        limits.append({"type": "ineq", "fun": lambda x: where.values - rows @ x, "jac": lambda x: -rows})
    found = minimize(
        value, np.append(padded, 0.0), jac=True, method="SLSQP",
        bounds=[*zip(where.lower, where.upper, strict=True), (-25.0, 25.0)], constraints=limits,
        options={"ftol": 1e-15, "maxiter": 400},
    )  # fmt: skip
    return np.asarray(found.x[: where.assets])


def bracket(method: str, returns: FloatArray, limits: Mapping[str, Any], confidence: float = 0.95) -> Bracket:
    """Return bounds on the best objective of ``method``, and weights that reach the nearer to it."""
    where = region(returns, limits)
    if method in LINEAR:
        return linear_bracket(method, returns, limits, confidence)
    if method == "max_sharpe" and -cheapest(where, -returns.mean(axis=0))[0] <= 0.0:
        raise NoAnswer("no weights within the limits have a mean above 0")
    found = smooth_bracket(method, returns, where, confidence)
    if found.upper > 1e6 and method == "max_sharpe":
        raise NoAnswer("weights without volatility have a mean above 0")
    if method != "min_evar":
        return found
    tail = linear_bracket("min_cvar", returns, limits, confidence)  # CVaR ≤ EVaR, and both the worst loss of few days
    return max(
        (Bracket(max(found.lower, tail.lower), objectives.evar(returns, at, confidence), at)
         for at in (found.weights, tail.weights)), key=lambda each: -each.upper,
    )  # fmt: skip
