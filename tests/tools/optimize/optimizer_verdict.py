"""Judge an answer: how far it is from the best that anybody found, and whether what it claims to prove is true."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import optimizer_objectives as objectives
from optimizer_problems import Book

FloatArray = objectives.FloatArray

METHODS = ("min_variance", "max_sharpe", "min_cvar", "min_evar", "min_cdar", "min_max_drawdown")
PARITY = 1e-7  # of the scale (optimizer_objectives.scale): the objective against the best known
CERTIFIED = 1e-6  # of the scale: the proven gap, which may be wider than the true one
FEASIBLE = 1e-9  # limits broken by less are kept
STRICT = 1e-12  # and by less than this where a bound is at stake: breaking a limit buys objective
CLAIM = 1e-9  # of the scale: what two evaluations of the same figure may differ by


class Verdict(NamedTuple):
    """All in units of the scale but ``violation``, which is in weight.

    ``short``: by how much the objective misses the best known. ``certified``: the proven gap. ``overclaimed``: by how
    much the bound goes beyond weights that somebody found, ≤ 0 where it holds. ``misreported``: the difference of the
    reported objective from the evaluator's.
    """

    short: float
    certified: float
    overclaimed: float
    misreported: float
    violation: float

    def faults(self) -> list[str]:
        """Return what is wrong, each with its figure."""
        limits = {"short": PARITY, "certified": CERTIFIED, "overclaimed": CLAIM, "misreported": CLAIM,
                  "violation": FEASIBLE}  # fmt: skip
        broken = {name: getattr(self, name) for name, most in limits.items() if not getattr(self, name) <= most}
        return [f"{name} {figure:.1e}" for name, figure in broken.items()]


def judge(
    book: Book, method: str, weights: FloatArray, value: float, bound: float, others: Iterable[FloatArray]
) -> Verdict:
    """Judge ``weights`` (n_assets,), their reported ``value`` and ``bound`` against ``others`` within the limits."""
    sign = -1.0 if method == "max_sharpe" else 1.0
    worth = objectives.OBJECTIVES[method]
    ours = sign * worth(book.returns, weights)
    known = [(sign * worth(book.returns, at), objectives.violation(at, book.limits, book.returns), at)
             for at in (weights, *others)]  # fmt: skip
    best, _, at = min((each for each in known if each[1] <= FEASIBLE), key=lambda each: each[0], default=known[0])
    proven = min((each[0] for each in known if each[1] <= STRICT), default=float("inf"))
    scale = objectives.scale(method, book.returns, at)
    return Verdict(
        (ours - best) / scale,
        (sign * value - sign * bound) / scale,
        (sign * bound - proven) / scale,
        abs(sign * value - ours) / scale,
        objectives.violation(weights, book.limits, book.returns),
    )
