"""Linear programs by HiGHS, at the tightest tolerances that it accepts."""

from __future__ import annotations

from typing import Any

import numpy as np

from tools.units import FloatArray

# The default of 1e-7 is of the size of a stable pool's daily swings. Callers scale their figures to about 1 as well.
SOLVER_TOLERANCE = 1e-10


class SolverFailed(RuntimeError):
    """The solver gave up on a problem that has a solution, or its answer breaks the limits."""


def minimise(
    objective: FloatArray, rows: Any, values: FloatArray, bounds: FloatArray, equal: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Minimise ``objective`` @ x subject to ``rows`` @ x ≤ ``values``, and ``equal`` @ x = 1 if given.

    ``bounds`` (n, 2) hold the least and the largest value of each unknown; ``rows`` may be sparse. Returns x (n,) and
    the price of each row (its dual value, ≤ 0). The dual simplex method ends in a corner of the feasible set and takes
    the same steps on every run. Raises ``SolverFailed`` when there is no optimum to return.
    """
    from scipy.optimize import linprog

    result = linprog(
        objective,
        A_ub=rows,
        b_ub=values,
        A_eq=None if equal is None else equal[None],
        b_eq=None if equal is None else np.ones(1),
        bounds=bounds,
        method="highs-ds",
        options={"primal_feasibility_tolerance": SOLVER_TOLERANCE, "dual_feasibility_tolerance": SOLVER_TOLERANCE},
    )
    if result.status != 0:
        raise SolverFailed(f"the linear program has no solution: {result.message}")
    return np.asarray(result.x), np.asarray(result.ineqlin.marginals)
