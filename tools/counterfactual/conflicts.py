"""Which stated limits stand against each other, found by solving with some of them only."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from tools.counterfactual.limits import RISK_ID, stated_limits, with_only
from tools.counterfactual.records import Blame, ConflictSet, StatedLimit
from tools.counterfactual.solving import Feasible
from tools.records import Mandate
from tools.strategies.profiles import RISK_ORDER

TRIES = 64


def smallest_conflict(
    feasible: Feasible, mandate: Mandate, limits: Sequence[StatedLimit] | None = None, *, tries: int = TRIES
) -> ConflictSet:
    """Find the smallest set of stated limits that together leave no passing candidate.

    Parameters
    ----------
    limits
        Those to look among, by default all that the mandate states. The level of risk is not one of them: what it
        allows belongs, with the asset, the amount and the market, to the background.
    tries
        How many problems of smaller sets may be solved after the deletion filter.

    Returns
    -------
    ConflictSet
        The deletion filter (Chinneck & Dravnieks, ORSA J. on Computing 3, 1991) leaves a set that cannot be kept; then
        every smaller one is solved, small ones first. ``smallest`` is True where the tries were enough for all of them,
        so that it is proven. Where limits can loosen others (a cap on the number of pools loosens the default cap on
        one pool), only that proof, not the filter, makes the set irreducible.
        Where even the mandate without any of the limits cannot be kept, ``blame`` says which change of the background
        would do: a bolder level, a smaller amount, either alone, only both together, or none (``market``).

    Raises
    ------
    ValueError
        When the mandate is feasible: there is no conflict in it.
    """
    stated = [limit for limit in (stated_limits(mandate) if limits is None else limits) if limit.id != RISK_ID]
    others = [limit for limit in stated_limits(mandate) if limit.id not in {limit.id for limit in stated}]
    subsets = _Subsets(feasible, mandate, others)
    if subsets.keepable(stated):
        raise ValueError("the mandate is feasible, so none of its limits are in conflict")
    if not subsets.keepable([]):
        blame = _background(feasible, with_only(mandate, others))
        return ConflictSet(limits=[], blame=blame[0], smallest=True, evaluations=len(subsets.known) + blame[1])
    conflict = subsets.filtered(stated)
    smaller, proven = subsets.smaller(stated, len(conflict), tries)
    return ConflictSet(
        limits=list(smaller or conflict), blame="limits", smallest=proven, evaluations=len(subsets.known)
    )


@dataclass
class _Subsets:
    """Subsets of the limits of a mandate, each solved once; ``always`` are kept with every one of them."""

    feasible: Feasible
    mandate: Mandate
    always: Sequence[StatedLimit]
    known: dict[frozenset[str], bool] = field(default_factory=dict)

    def keepable(self, kept: Collection[StatedLimit]) -> bool:
        key = frozenset(limit.id for limit in kept)
        if key not in self.known:
            self.known[key] = self.feasible(with_only(self.mandate, [*self.always, *kept]))
        return self.known[key]

    def filtered(self, stated: Sequence[StatedLimit]) -> list[StatedLimit]:
        """Drop every limit without which the rest still cannot be kept."""
        conflict = list(stated)
        for limit in stated:
            fewer = [other for other in conflict if other is not limit]
            if not self.keepable(fewer):
                conflict = fewer
        return conflict

    def smaller(
        self, stated: Sequence[StatedLimit], size: int, tries: int
    ) -> tuple[tuple[StatedLimit, ...] | None, bool]:
        """Return a conflict of fewer than ``size`` limits if there is one, and whether all smaller ones were solved."""
        before = len(self.known)
        for count in range(1, size):
            for some in itertools.combinations(stated, count):
                if frozenset(limit.id for limit in some) not in self.known and len(self.known) - before >= tries:
                    return None, False
                if not self.keepable(some):
                    return some, True
        return None, True


def _background(feasible: Feasible, bare: Mandate) -> tuple[Blame, int]:
    """Say which change of the level of risk or of the amount leads to a choice, and how many problems that took.

    Of the amount any smaller one: without an amount no position is too large.
    """
    bolder = [bare.model_copy(update={"risk": level}) for level in RISK_ORDER[RISK_ORDER.index(bare.risk) + 1 :]]
    sized = bare.amount is not None or bare.amount_usd is not None
    solved = 0

    def any_of(mandates: Sequence[Mandate]) -> bool:
        nonlocal solved
        for mandate in mandates:
            solved += 1
            if feasible(mandate):
                return True
        return False

    by_risk, by_amount = any_of(bolder), any_of([_unsized(bare)] if sized else [])
    if by_risk or by_amount:
        return "risk_or_amount" if by_risk and by_amount else "risk" if by_risk else "amount", solved
    together = any_of([_unsized(one) for one in bolder] if sized else [])
    return "risk_and_amount" if together else "market", solved


def _unsized(mandate: Mandate) -> Mandate:
    return mandate.model_copy(update={"amount": None, "amount_usd": None})
