"""Linear programs by HiGHS, at the tightest tolerances that it accepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from tools.units import FloatArray

# The default of 1e-7 is of the size of a stable pool's daily swings. Callers scale their figures to about 1 as well.
SOLVER_TOLERANCE = 1e-10

Answer = TypeVar("Answer")


class SolverFailed(RuntimeError):
    """The solver gave up on a problem that has a solution, or its answer breaks the limits."""


class Variant(NamedTuple):
    """A way to run HiGHS, and what to call it."""

    name: str
    method: Literal["highs-ds", "highs-ipm"]
    presolve: bool


# In the order in which they are tried. The dual simplex method ends in a corner of the feasible set and takes the same
# steps on every run; on these dense programs presolving takes a quarter of the time and removes nothing.
VARIANTS = (
    Variant("dual simplex", "highs-ds", False),
    Variant("dual simplex after presolving", "highs-ds", True),
    Variant("interior points", "highs-ipm", True),
)


class Program(NamedTuple):
    """Minimise ``objective`` @ x subject to ``rows`` @ x ≤ ``values``, ``equal`` @ x = 1 and ``lower`` ≤ x ≤ ``upper``.

    ``rows`` may be sparse; None for ``equal`` leaves that condition out.
    """

    objective: FloatArray
    rows: Any
    values: FloatArray
    lower: FloatArray
    upper: FloatArray
    equal: FloatArray | None = None


class Optimum(NamedTuple):
    """The solution x of a program and the prices of its rows (≥ 0): the gain per unit by which a row is loosened."""

    solution: FloatArray
    prices: FloatArray


def run(program: Program, variant: Variant = VARIANTS[0]) -> Optimum:
    """Solve a program. Raises ``SolverFailed`` when there is no optimum to return."""
    from scipy.optimize import linprog

    result = linprog(
        program.objective,
        A_ub=program.rows,
        b_ub=program.values,
        A_eq=None if program.equal is None else program.equal[None],
        b_eq=None if program.equal is None else np.ones(1),
        bounds=np.column_stack([program.lower, program.upper]),
        method=variant.method,
        options={
            "presolve": variant.presolve,
            "primal_feasibility_tolerance": SOLVER_TOLERANCE,
            "dual_feasibility_tolerance": SOLVER_TOLERANCE,
        },
    )
    if result.status != 0:
        raise SolverFailed(f"the linear program has no solution: {result.message}")
    return Optimum(np.asarray(result.x), np.maximum(0.0, -np.asarray(result.ineqlin.marginals)))


def minimise(
    objective: FloatArray, rows: Any, values: FloatArray, bounds: FloatArray, equal: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Minimise ``objective`` @ x subject to ``rows`` @ x ≤ ``values``, and ``equal`` @ x = 1 if given.

    ``bounds`` (n, 2) hold the least and the largest value of each unknown; ``rows`` may be sparse. Returns x (n,) and
    the price of each row (its dual value, ≤ 0). Raises ``SolverFailed`` when there is no optimum to return.
    """
    program = Program(objective, rows, values, bounds[:, 0], bounds[:, 1], equal)
    solution, prices = run(program, VARIANTS[1])
    return solution, -prices


def first_good(attempt: Callable[[Variant], Answer], good: Callable[[Answer], bool]) -> tuple[Answer, str | None]:
    """Try the variants in their order until an answer is ``good``; the last that was none stands if no other is.

    Returns the answer and, where it is not the first variant's, a note of what failed before it. Raises
    ``SolverFailed`` with every reason where no variant came to an answer.
    """
    failures: list[str] = []
    last: tuple[Answer, str] | None = None
    for variant in VARIANTS:
        try:
            answer = attempt(variant)
        except SolverFailed as error:
            failures.append(f"{variant.name}: {error}")
            continue
        if good(answer):
            return answer, f"solved by {variant.name} after {'; '.join(failures)}" if failures else None
        failures.append(f"{variant.name}: stopped short of the optimum")
        last = answer, variant.name
    if last is None:
        raise SolverFailed("; ".join(failures))
    return last[0], f"solved by {last[1]}, not to the last digit: {'; '.join(failures)}"
