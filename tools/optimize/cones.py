"""Quadratic and exponential-cone programs by clarabel, and the last digits by solving for what is active.

Interior points stop some digits short of the optimum, and know which limits hold it. Solving the linear equations of
those limits alone (the Karush-Kuhn-Tucker conditions of the active set) gives the optimum to rounding. Where that
settles from anywhere interior points are not needed (``by_active_set``).
Stellato et al., "OSQP: an operator splitting solver for quadratic programs" (Math. Prog. Computation 12, 2020), § 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from tools.metrics.inputs import BoolArray
from tools.optimize.limits import Polytope
from tools.optimize.linear import SolverFailed
from tools.units import FloatArray

Answer = TypeVar("Answer")

_ROUNDS = 12  # changes of the active set before the polish gives up
_RESIDUE = 1e-11  # of equations and multipliers of about 1
_WILD = 1e6  # a larger step comes of a singular system


class Setting(NamedTuple):
    """A way to run clarabel, and what to call it; ``rescale``: the caller is to measure in units of its last answer."""

    name: str
    equilibrate: bool
    regularisation: float
    tolerance: float
    rescale: bool = False


# In the order in which they are tried.
SETTINGS = (
    Setting("interior points", True, 1e-8, 1e-10),
    Setting("interior points, rescaled", True, 1e-10, 1e-10, True),
    Setting("interior points, not equilibrated", False, 1e-8, 1e-9, True),
    Setting("interior points, loose", True, 1e-7, 1e-7),
)


class Cone(NamedTuple):
    """A cone of slacks: ``values`` − ``rows`` @ x lies in it; of ``size`` rows (three to each exponential cone)."""

    kind: Literal["zero", "nonnegative", "exponential"]
    size: int


class ConeProgram(NamedTuple):
    """Minimise ½ x'Px + q·x subject to ``values`` − ``rows`` @ x in the ``cones``, one after the other.

    ``quadratic`` P (n, n) is symmetric, dense or sparse, as ``rows`` (n_rows, n) are; P may be None.
    """

    quadratic: Any
    linear: FloatArray
    rows: Any
    values: FloatArray
    cones: tuple[Cone, ...]


class ConeAnswer(NamedTuple):
    """The solution x (n,) and the dual value of each row (n_rows,), ≥ 0 for those in the nonnegative cone."""

    solution: FloatArray
    prices: FloatArray


class Corner(NamedTuple):
    """Unknowns of a polytope, and the prices of its rows (n_rows,) there."""

    solution: FloatArray
    prices: FloatArray


def run(program: ConeProgram, setting: Setting = SETTINGS[0]) -> ConeAnswer:
    """Solve a program. Raises ``SolverFailed`` when clarabel comes to no answer."""
    import clarabel
    from scipy.sparse import csc_array, triu

    kinds = {
        "zero": clarabel.ZeroConeT,
        "nonnegative": clarabel.NonnegativeConeT,
    }
    cones: list[Any] = []
    for cone in program.cones:
        if cone.kind == "exponential":
            cones += [clarabel.ExponentialConeT()] * (cone.size // 3)
        elif cone.size:
            cones.append(kinds[cone.kind](cone.size))
    size = program.linear.size
    upper = csc_array((size, size)) if program.quadratic is None else _upper(program.quadratic, triu)
    solver = clarabel.DefaultSolver(
        csc_array(upper), program.linear, csc_array(program.rows), program.values, cones, _settings(setting)
    )
    answer = solver.solve()
    if str(answer.status) not in ("Solved", "AlmostSolved", "InsufficientProgress", "MaxIterations"):
        raise SolverFailed(f"{setting.name}: {answer.status}")
    found = ConeAnswer(np.asarray(answer.x), np.asarray(answer.z))
    if not (np.isfinite(found.solution).all() and np.isfinite(found.prices).all()):
        raise SolverFailed(f"{setting.name}: {answer.status}, not finite")
    return found


def _upper(matrix: Any, triu: Callable[[Any], Any]) -> Any:
    return np.triu(matrix) if isinstance(matrix, np.ndarray) else triu(matrix)


def _settings(setting: Setting) -> Any:
    import clarabel

    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.max_iter = 100
    settings.equilibrate_enable = setting.equilibrate
    settings.static_regularization_constant = setting.regularisation
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = setting.tolerance
    return settings


def first_good(
    attempt: Callable[[Setting], Answer], good: Callable[[Answer], bool], shortfall: Callable[[Answer], float]
) -> tuple[Answer, str | None]:
    """Try the settings in their order until an answer is ``good``; if none is, that of the least ``shortfall`` stands.

    Returns the answer and, where it is not the first setting's, a note of what failed before it. Raises
    ``SolverFailed`` with every reason where no setting came to an answer.
    """
    failures: list[str] = []
    answers: list[tuple[float, Answer, str]] = []
    for setting in SETTINGS:
        try:
            answer = attempt(setting)
        except SolverFailed as error:
            failures.append(str(error))
            continue
        if good(answer):
            return answer, f"solved by {setting.name} after {'; '.join(failures)}" if failures else None
        answers.append((shortfall(answer), answer, setting.name))
        failures.append(f"{setting.name}: short of the optimum by {answers[-1][0]:.1e}")
    if not answers:
        raise SolverFailed("; ".join(failures))
    _, answer, name = min(answers, key=lambda found: found[0])
    return answer, f"solved by {name}, not to the last digit: {'; '.join(failures)}"


# --- quadratic programs over a polytope ------------------------------------------------------------------------------


def quadratic(
    matrix: FloatArray, linear: FloatArray, polytope: Polytope, setting: Setting, rows: FloatArray | None = None
) -> Corner:
    """Minimise ½ w'Σw + q·w over the weights of ``polytope``; Σ (n_assets, n_assets) of about 1, q (n_assets,).

    ``rows`` F (n_rows, n_assets), where given, stand for Σ = F'F: then Fw are unknowns of their own, and a singular Σ
    loses nothing. The answer is polished. Raises ``SolverFailed``.
    """
    answer = run(_over_weights(matrix, linear, polytope, rows), setting)
    count = polytope.lower.size
    skipped = 1 + (0 if rows is None else rows.shape[0])
    solution = answer.solution[:count]
    return polished(matrix, linear, polytope, solution, answer.prices[skipped : skipped + polytope.values.size])


def _over_weights(matrix: FloatArray, linear: FloatArray, polytope: Polytope, factor: FloatArray | None) -> ConeProgram:
    count, assets = polytope.lower.size, polytope.assets
    extra = 0 if factor is None else factor.shape[0]
    capped = np.flatnonzero(polytope.upper < 1.0)  # a weight is at most 1 by the budget, and a purchase by its rows
    identity = np.eye(count)
    budget = np.zeros((1, count))
    budget[0, :assets] = 1.0
    blocks = [budget, polytope.rows, identity[capped], -identity]
    values = [np.ones(1), polytope.values, polytope.upper[capped], -polytope.lower]
    whole = np.zeros((count + extra, count + extra))
    if factor is None:
        whole[:assets, :assets] = matrix
    else:
        tied = np.zeros((extra, count))
        tied[:, :assets] = factor
        blocks.insert(1, tied)
        values.insert(1, np.zeros(extra))
        whole[count:, count:] = np.eye(extra)
    rows = np.zeros((sum(block.shape[0] for block in blocks), count + extra))
    rows[:, :count] = np.vstack(blocks)
    rows[1 : 1 + extra, count:] = -np.eye(extra)
    cones = (Cone("zero", 1 + extra), Cone("nonnegative", rows.shape[0] - 1 - extra))
    return ConeProgram(whole, np.append(linear, np.zeros(count + extra - assets)), rows, np.concatenate(values), cones)


def polished(
    matrix: FloatArray,
    linear: FloatArray,
    polytope: Polytope,
    start: FloatArray,
    prices: FloatArray,
    budget: bool = True,
) -> Corner:
    """Return the optimum of ½ w'Σw + q·w to rounding, from a ``start`` (n_unknowns,) close to it and the rows' prices.

    The primal-dual active set method (Hintermüller, Ito & Kunisch, SIAM J. Optimization 13, 2003): solve for what is
    free with the limits that hold taken as equations, then fix what went beyond its bounds and free what is held by a
    negative price. Where that does not settle, the ``prices`` stand, and the weights that the given limits hold.
    Without ``budget`` the weights may add up to anything.
    """
    program = _lifted(matrix, linear, polytope, budget)
    tight = prices > polytope.values - polytope.rows @ start
    pull = _pull(program, prices, start)
    free = (start - polytope.lower > pull) & (polytope.upper - start > -pull)
    low = ~free & (start - polytope.lower <= polytope.upper - start)
    settled, within = _settled(program, start, _Held(low, ~free & ~low, tight))
    return settled or Corner(start if within is None else within, prices)


def by_active_set(
    matrix: FloatArray, linear: FloatArray, polytope: Polytope, budget: bool = True, start: Corner | None = None
) -> Corner | None:
    """Do what ``polished`` does without being close, from what is held at a ``start`` or nothing; None if that fails.

    Where it settles it is several times as fast as interior points. It does not, and is not tried, where purchases are
    unknowns, or where Σ is singular.
    """
    count = polytope.lower.size
    if count > polytope.assets:
        return None
    none, loose = np.zeros(count, dtype=bool), np.zeros(polytope.values.size, dtype=bool)
    held, solution = _Held(none, none, loose), polytope.lower
    if start is not None:
        solution = start.solution
        held = _Held(solution <= polytope.lower, solution >= polytope.upper, start.prices > 0.0)
    return _settled(_lifted(matrix, linear, polytope, budget), solution, held, singular=False)[0]


def multiples(polytope: Polytope) -> Polytope:
    """Return all multiples of the polytope's points: x with rows @ x ≤ values · Σx, and the bounds as further rows."""
    count, assets = polytope.lower.size, polytope.assets
    capped = np.flatnonzero((polytope.upper < 1.0) | (np.arange(count) >= assets))
    floored = np.flatnonzero(polytope.lower > 0.0)
    identity = np.eye(count)
    rows = np.vstack([polytope.rows, identity[capped], -identity[floored]])
    rows[:, :assets] -= np.concatenate([polytope.values, polytope.upper[capped], -polytope.lower[floored]])[:, None]
    names = (None,) * rows.shape[0]
    return Polytope(
        assets, rows, np.zeros(len(names)), np.zeros(count), np.full(count, np.inf), names, np.ones(len(names))
    )


class _Held(NamedTuple):
    """Which unknowns (n_unknowns,) lie at their lower and their upper bounds, and which rows (n_rows,) are tight."""

    low: BoolArray
    high: BoolArray
    tight: BoolArray


def _settled(
    program: _Lifted, start: FloatArray, held: _Held, singular: bool = True
) -> tuple[Corner | None, FloatArray | None]:
    """Return the optimum, None where the held do not settle, and the first solution if it was right but for prices.

    Where more limits meet than need be the prices are not unique. With ``singular`` equations are solved by least
    squares where they must.
    """
    polytope = program.polytope
    low, high, tight = held
    within: FloatArray | None = None
    seen: set[bytes] = set()
    for trial in range(_ROUNDS):
        now = np.concatenate([low, high, tight]).tobytes()
        if now in seen:
            break
        seen.add(now)
        fixed = np.where(low, polytope.lower, np.where(high, polytope.upper, start))
        found = _solved(program, fixed, ~(low | high), tight, singular)
        if found is None:
            break
        solution, reduced, paid = found
        below, above = solution < polytope.lower - _RESIDUE, solution > polytope.upper + _RESIDUE
        broken = polytope.rows @ solution > polytope.values + _RESIDUE
        cheap = (low & (reduced < -_RESIDUE)) | (high & (reduced > _RESIDUE))
        loose = tight & (paid < -_RESIDUE)
        inside = not (below.any() or above.any() or broken.any())
        if inside and not (cheap.any() or loose.any()):
            return Corner(np.clip(solution, polytope.lower, polytope.upper), np.maximum(paid, 0.0)), within
        if trial == 0 and inside:
            within = solution
        low, high, tight = (low & ~cheap) | below, (high & ~cheap) | above, (tight & ~loose) | broken
    return None, within


class _Lifted(NamedTuple):
    """½ x'Px + q·x over all unknowns of a polytope, its weights first; ``budget`` has one row, or none."""

    matrix: FloatArray
    costs: FloatArray
    polytope: Polytope
    budget: FloatArray


def _lifted(matrix: FloatArray, linear: FloatArray, polytope: Polytope, budget: bool) -> _Lifted:
    count, assets = polytope.lower.size, polytope.assets
    whole, costs = np.zeros((count, count)), np.zeros(count)
    whole[:assets, :assets] = matrix
    costs[:assets] = linear
    return _Lifted(whole, costs, polytope, (np.arange(count) < assets)[None].astype(float)[: int(budget)])


def _pull(program: _Lifted, prices: FloatArray, start: FloatArray) -> FloatArray:
    """Return by how much each unknown (n,) would like to fall: its reduced cost at a marginal price of the money.

    The marginal price is the reduced cost of the weight that lies deepest inside its bounds.
    """
    polytope = program.polytope
    gradient = program.matrix @ start + program.costs + polytope.rows.T @ prices
    if not program.budget.size:
        return np.asarray(gradient)
    inside = np.minimum(start - polytope.lower, polytope.upper - start)[: polytope.assets]
    return np.asarray(gradient - gradient[int(np.argmax(inside))] * program.budget[0])


def _solved(
    program: _Lifted, fixed: FloatArray, free: BoolArray, tight: BoolArray, singular: bool
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Solve for the free unknowns; return all, their reduced costs and the rows' prices, None without a solution."""
    matrix, polytope = program.matrix, program.polytope
    equations = np.vstack([program.budget, polytope.rows[tight]])
    wanted = np.concatenate([np.ones(program.budget.shape[0]), polytope.values[tight]])
    inner, size = equations[:, free], int(np.count_nonzero(free))
    system = np.block([[matrix[np.ix_(free, free)], inner.T], [inner, np.zeros((wanted.size, wanted.size))]])
    missing = np.concatenate([-(matrix @ fixed + program.costs)[free], wanted - equations @ fixed])
    step = _step(system, missing, singular)
    if step is None:
        return None
    solution = fixed.copy()
    solution[free] += step[:size]
    paid = np.zeros(polytope.values.size)
    paid[tight] = step[size + program.budget.shape[0] :]
    return solution, matrix @ solution + program.costs + equations.T @ step[size:], paid


def _step(system: FloatArray, missing: FloatArray, singular: bool) -> FloatArray | None:
    """Solve linear equations, where they are ``singular`` by least squares; None where they contradict each other."""
    size = 1.0 + float(np.abs(missing).max(initial=0.0))
    try:
        step = np.linalg.solve(system, missing)
        step += np.linalg.solve(system, missing - system @ step)
        good = np.isfinite(step).all() and np.abs(step).max(initial=0.0) < _WILD * size
    except np.linalg.LinAlgError:
        good = False
    if not good and not singular:
        return None
    if not good:
        step = np.linalg.lstsq(system, missing, rcond=1e-13)[0]
    return np.asarray(step) if np.abs(system @ step - missing).max(initial=0.0) <= _RESIDUE * size else None
