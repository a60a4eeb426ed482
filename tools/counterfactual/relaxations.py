"""The smallest change of one limit that leads to a choice, every other limit kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from tools.counterfactual.limits import RISK_ID, stated_limits
from tools.counterfactual.records import ConflictSet, LimitField, Relaxation, Relaxations, StatedLimit
from tools.counterfactual.solving import Feasible
from tools.records import Mandate
from tools.strategies.selection import MAX_POOLS

AMOUNT_ID = "amount"
WEIGHT_STEPS, APY_STEPS, LOSS_STEPS = 100, 10_000, 1_000  # to 1: of 1 %, of a basis point, of 0.1 %
SMALLEST_PART = 1e-3  # of a size or an amount: what is smaller is no answer to the question that was put
_ROUNDING = 1e-9

SEVERAL = "no change of a single limit is enough: others stand in the way as well"
NOTHING = "neither a bolder level of risk nor a smaller amount is enough: the market has no choice for this"


def cheapest_relaxation(feasible: Feasible, mandate: Mandate, conflict: ConflictSet) -> Relaxations:
    """Find for each limit in conflict the smallest change of it alone that leads to a choice; the cheapest come first.

    Figures are loosened on a grid and halved on it: weights by 1 %, sizes to two significant digits, numbers of pools
    by one, the smallest APY by a basis point, losses by 0.1 %. All else (names, a profile, impermanent loss) is
    removed. Where none of these is enough, and where no stated limit is to blame, the next bolder level of risk and
    then a smaller amount (to two significant digits, down to a thousandth) are tried.

    Notes
    -----
    The order is: figures by their relative change, removals, one bolder level of risk, a smaller amount; ties by id.
    Every relaxation carries the mandate that was solved. The next tighter value on the grid was solved as well and did
    not lead to a choice; where a looser limit can shut out what a tighter one let in, there may be another one beyond.
    """
    search = _Search(feasible, mandate)
    for limit in conflict.limits:
        search.try_limit(limit)
    if not search.found:
        search.try_bolder()
    if not search.found or not conflict.limits:
        search.try_smaller_amount()
    reason = None if search.found else SEVERAL if conflict.limits else NOTHING
    return Relaxations(
        found=sorted(search.found, key=_order),
        unhelpful=search.unhelpful,
        evaluations=search.evaluations,
        reason=reason,
    )


def _order(one: Relaxation) -> tuple[int, float, str]:
    return ("loosened", "removed", "bolder", "smaller").index(one.kind), one.relative_change or 0.0, one.limit_id


class _Search:
    """The relaxations found so far, and the ids of what does not help."""

    def __init__(self, feasible: Feasible, mandate: Mandate) -> None:
        self._feasible, self.mandate = feasible, mandate
        self.found: list[Relaxation] = []
        self.unhelpful: list[str] = []
        self.evaluations = 0

    def feasible(self, mandate: Mandate) -> bool:
        self.evaluations += 1
        return self._feasible(mandate)

    def try_limit(self, limit: StatedLimit) -> None:
        value = limit.value
        if limit.field in _LOOSER and not isinstance(value, str | list):
            self._loosen(limit.id, limit.field, value, _LOOSER[limit.field](value))
        else:
            self._lift(limit)

    def try_bolder(self) -> None:
        for limit in stated_limits(self.mandate):
            if limit.id == RISK_ID:
                self._lift(limit)

    def try_smaller_amount(self) -> None:
        name = _amount_field(self.mandate)
        if name is not None:
            amount: float = getattr(self.mandate, name)
            self._loosen(AMOUNT_ID, name, amount, two_digits_below(amount, SMALLEST_PART * amount))

    def _lift(self, limit: StatedLimit) -> None:
        lifted = limit.without(self.mandate)
        if not self.feasible(lifted):
            self.unhelpful.append(limit.id)
            return
        bolder = limit.id == RISK_ID
        self.found.append(
            Relaxation(
                limit_id=limit.id,
                kind="bolder" if bolder else "removed",
                before=limit.value,
                after=lifted.risk if bolder else None,
                relative_change=None,
                mandate=lifted,
            )
        )

    def _loosen(self, limit_id: str, name: str, before: float, grid: Sequence[float]) -> None:
        """Halve the grid, tightest first, down to the first value that leads to a choice, if the last one does."""

        def loosened(place: int) -> Mandate:
            return Mandate.model_validate(self.mandate.model_dump() | {name: grid[place]})

        if not grid or not self.feasible(loosened(len(grid) - 1)):
            self.unhelpful.append(limit_id)
            return
        tight, loose = -1, len(grid) - 1  # the value as it is was found infeasible
        while loose - tight > 1:
            middle = (tight + loose) // 2
            tight, loose = (tight, middle) if self.feasible(loosened(middle)) else (middle, loose)
        self.found.append(
            Relaxation(
                limit_id=limit_id,
                kind="smaller" if limit_id == AMOUNT_ID else "loosened",
                before=before,
                after=grid[loose],
                relative_change=abs(grid[loose] - before) / before,
                mandate=loosened(loose),
            )
        )


def _amount_field(mandate: Mandate) -> str | None:
    """Name the field that the money is read from: dollars that were given first, save for dollars themselves."""
    fields = ("amount", "amount_usd") if mandate.asset == "USD" else ("amount_usd", "amount")
    return next((name for name in fields if getattr(mandate, name) is not None), None)


def two_digits_below(value: float, smallest: float) -> list[float]:
    """List the numbers of two significant digits below ``value`` and not below ``smallest``, the largest first."""
    found: list[float] = []
    power = math.floor(math.log10(value)) - 1
    while 99 * 10.0**power >= smallest * (1.0 - _ROUNDING):
        numbers = (float(f"{digits}e{power}") for digits in range(99, 9, -1))
        found += [number for number in numbers if smallest * (1.0 - _ROUNDING) <= number < value * (1.0 - _ROUNDING)]
        power -= 1
    return found


def _upward(steps: int) -> Callable[[float], list[float]]:
    return lambda value: [n / steps for n in range(math.floor(value * steps + _ROUNDING) + 1, steps + 1)]


def _apys_below(value: float) -> list[float]:
    return [n / APY_STEPS for n in range(math.ceil(value * APY_STEPS - _ROUNDING) - 1, -1, -1)]


_LOOSER: Mapping[LimitField, Callable[[float], Sequence[float]]] = {
    "max_weight": _upward(WEIGHT_STEPS),
    "min_tvl_usd": lambda value: [*two_digits_below(value, SMALLEST_PART * value), 0.0],
    "min_apy": _apys_below,
    "min_pools": lambda value: list(range(int(value) - 1, 0, -1)),
    "max_pools": lambda value: list(range(int(value) + 1, MAX_POOLS + 1)),
    "max_drawdown": _upward(LOSS_STEPS),
    "max_var_95": _upward(LOSS_STEPS),
}
"""Looser values of each limit that is a figure, the tightest first."""
