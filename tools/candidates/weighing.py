"""The weights of one profile's pools by one method, with how far they can be from the best there is.

What each method solves stands in ``posing``. The optimising methods choose among the best-ranked pools of the profile,
and leave out what they would hold less of than a position is worth.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tools.candidates.caps import Caps, caps_of
from tools.candidates.outlook import daily_returns
from tools.candidates.posing import (
    CHOOSING,
    METHODS,
    NEGLIGIBLE,
    PERCENTAGE_POINT,
    SMALLEST_WEIGHT,
    Solved,
    Task,
    Weighing,
)
from tools.optimize import Infeasible, SolverFailed, round_weights
from tools.optimize.moments import Undefined
from tools.optimize.sensitivity import weight_shift
from tools.records import BindingLimit, Driver, Optimisation, WeightMethod
from tools.strategies.profiles import Limits
from tools.strategies.selection import Selection
from tools.strategies.universe import Pool
from tools.units import BASIS_POINTS, STORED_DIGITS, FloatArray, significant

TINIEST_WEIGHT = 0.005  # unless nothing else fits the caps
STORED_DECIMALS = 12
NO_WEIGHTS = (Infeasible, SolverFailed, Undefined)
"""What a method raises when it has no weights to give."""
WIDEST = 12  # pools, best-ranked first, that the optimising methods choose among
MOST_DRIVERS = 12  # of years: the things that fail most often in the worst of them; of days all are kept, as they prove
_SHORTEST = 30  # days: half a window shorter than this says nothing of how weights move


class Weighted(NamedTuple):
    """Pools with their weights (n_pools,), which add up to 1, and how they came about."""

    pools: tuple[Pool, ...]
    weights: FloatArray
    optimisation: Optimisation


def weigh(
    method: WeightMethod, pools: Sequence[Pool], selection: Selection, limits: Limits, weighing: Weighing, days: int
) -> Weighted:
    """Weigh the profile's ``pools``, or for an optimising method the best of its ranking, over the last ``days`` days.

    The weights are in basis points where the caps allow it. Raises what ``NO_WEIGHTS`` lists.
    """
    ids = [tuple(pool.id for pool in some) for some in (pools, selection.ranked)]
    key = method, *ids, selection.minimum, selection.maximum, days, limits.model_dump_json()
    if key not in weighing.known:
        weighing.known[key] = _weighed(_Search(method, tuple(pools), selection, limits, weighing, days))
    found: Weighted = weighing.known[key]
    return found


def _weighed(search: _Search) -> Weighted:
    chosen, solved = search.placed()
    exact, caps = solved.solution.weights, search.caps(chosen)
    rounded = round_weights(exact, caps.upper, caps.groups)
    # Weights that the caps keep off whole basis points: their last bits depend on where the arrays lie in memory.
    weights = np.round(rounded if rounded.min() > 0.0 else exact, STORED_DECIMALS)
    return Weighted(tuple(chosen), weights, _recorded(solved, weights, caps))


def window_shift(
    method: WeightMethod, pools: Sequence[Pool], limits: Limits, weighing: Weighing, days: int
) -> float | None:
    """Return the share of the money that would lie elsewhere had only the younger half of the window been seen.

    ½ Σ|Δw| over the same pools; None where half the window is less than a month, or the method has no answer for it.
    """
    if days < 2 * _SHORTEST:
        return None
    search = _Search(method, tuple(pools), None, limits, weighing, days)

    def weights(returns: FloatArray) -> FloatArray:
        return dataclasses.replace(search, days=returns.shape[0]).solved(pools).solution.weights

    try:
        return significant(weight_shift(weights, daily_returns(pools, days)), 6)
    except NO_WEIGHTS:
        return None


def free_weights(
    method: WeightMethod, pools: Sequence[Pool], limits: Limits, weighing: Weighing, days: int
) -> FloatArray:
    """Return the weights (n_pools,) that the method would give these pools if no cap stood in its way.

    A position still cannot be larger than what can be withdrawn. Raises what ``NO_WEIGHTS`` lists.
    """
    loose = dict.fromkeys(("max_weight", "position_share", "protocol_share", "issuer_share"), 1.0)
    search = _Search(method, tuple(pools), None, limits.model_copy(update=loose), weighing, days)
    return search.solved(pools, (0.0,)).solution.weights


@dataclass(frozen=True)
class _Search:
    """The weights of one profile, whose own pools are ``own``, by one method over the last ``days`` days.

    ``parts`` of the money, shape (n_pools,), is what each pool's rate is reckoned at; None for equal ones. The weights
    are solved for twice: the second time at the rates that the first ones leave.
    """

    method: WeightMethod
    own: tuple[Pool, ...]
    selection: Selection | None
    limits: Limits
    weighing: Weighing
    days: int
    parts: FloatArray | None = None

    def caps(self, pools: Sequence[Pool]) -> Caps:
        return caps_of(pools, self.limits, self.weighing.amount_usd)

    def placed(self) -> tuple[list[Pool], Solved]:
        """Return the pools to hold, and their weights."""
        if self.method not in CHOOSING:
            return list(self.own), self.solved(self.own)
        wide = self._wide()
        most = min(self._selected.maximum, len(wide))
        try:
            first = self.solved(wide, (0.0,), most)
        except NO_WEIGHTS:
            return list(self.own), self.solved(self.own)
        weights = first.solution.weights
        held = np.flatnonzero(weights > 0.0)
        # It leaves out what is too small itself. But what is left over does not make up the least number of pools.
        counted = weights >= np.minimum(TINIEST_WEIGHT, self.caps(wide).upper) - NEGLIGIBLE
        if self.method == "net_yield" and int(counted.sum()) >= self._selected.minimum:
            return [wide[n] for n in held], _with_weights(first, weights[held])
        chosen = self._worth_holding(wide, weights, most)
        return chosen, dataclasses.replace(self, parts=self.solved(chosen).solution.weights).solved(chosen)

    @property
    def _selected(self) -> Selection:
        assert self.selection is not None  # given wherever pools are to be chosen
        return self.selection

    def _wide(self) -> list[Pool]:
        """Return the best-ranked pools and the own ones, without those too small to hold a position if they can be."""
        ranked = [pool for pool in self._selected.ranked if pool.history.apy.size >= self.days]
        wide = sorted({pool.id: pool for pool in [*ranked[:WIDEST], *self.own]}.values(), key=lambda pool: pool.id)
        room = self.caps(wide).upper >= self.weighing.least(self.method) - NEGLIGIBLE
        large = [pool for pool, fits in zip(wide, room, strict=True) if fits]
        return large if len(large) >= self._selected.minimum and self.caps(large).hold(0.0) else wide

    def _worth_holding(self, wide: Sequence[Pool], weights: FloatArray, most: int) -> list[Pool]:
        """Return what the method would hold enough of; the own pools where these cannot hold the money.

        Fewer than the mandate's least number are made up in order of weight, then of id.
        """
        order = sorted(range(len(wide)), key=lambda n: (-round(float(weights[n]), 9), n))
        worth = sum(float(weights[n]) >= SMALLEST_WEIGHT - NEGLIGIBLE for n in order)
        for count in range(max(worth, self._selected.minimum), most + 1):
            found = sorted((wide[n] for n in order[:count]), key=lambda pool: pool.id)
            if self.caps(found).hold(min(SMALLEST_WEIGHT, 0.5 / count)):
                return found
        return list(self.own)

    def solved(
        self, pools: Sequence[Pool], sizes: Sequence[float] = (SMALLEST_WEIGHT, TINIEST_WEIGHT), most: int | None = None
    ) -> Solved:
        """Solve; where positions worth their transactions do not fit the caps, small ones do.

        Profiles often choose among the same pools: what was solved for one is known for the other.
        """
        parts = None if self.parts is None else self.parts.tobytes()
        simple = self._simple if self.method == "min_loss" else -math.inf
        ids = tuple(pool.id for pool in pools)
        key = "solved", self.method, ids, tuple(sizes), most, self.days, parts, simple, self.limits.model_dump_json()
        if key not in self.weighing.known:
            self.weighing.known[key] = self._solved(pools, sizes, most or len(pools), simple)
        found: Solved = self.weighing.known[key]
        return found

    def _solved(self, pools: Sequence[Pool], sizes: Sequence[float], most: int, simple: float) -> Solved:
        caps = self.caps(pools)
        for size in sizes:
            limits = caps.limits(min(size, 0.5 / len(pools), float(caps.upper.min())))
            try:
                return METHODS[self.method](
                    Task(pools, caps, limits, self.days, self.weighing, most, simple, self.parts)
                )
            except Infeasible as error:
                conflict = error
        raise conflict

    @functools.cached_property
    def _simple(self) -> float:
        """Return the net yield of the simple rule: equal weights of the profile's own pools."""
        assert self.weighing.outlook is not None
        weights = dataclasses.replace(self, method="equal", parts=None).solved(self.own).solution.weights
        net = self.weighing.outlook.net_apy(self.own, self.days) - self.weighing.dilution(self.own, weights)
        return math.fsum(net * weights) - NEGLIGIBLE


def _with_weights(solved: Solved, weights: FloatArray) -> Solved:
    return solved._replace(solution=dataclasses.replace(solved.solution, weights=weights))


def _recorded(solved: Solved, weights: FloatArray, caps: Caps) -> Optimisation:
    solution = solved.solution
    rounded = None if solved.objective is None or solution.value is None else significant(solved.objective(weights))
    value = None if solution.value is None else significant(solution.value)
    bound = None if solution.bound is None or value is None else _outward(solution.bound, value, solution.maximised)
    return Optimisation(
        objective=solved.words,
        over=solved.over,
        value=value,
        bound=bound,
        gap=None if bound is None or value is None else significant(abs(bound - value)),
        rounded=rounded,
        binding=[
            BindingLimit(limit=caps.name(limit), price_bps=significant(price * PERCENTAGE_POINT * BASIS_POINTS, 6))
            for limit, price in solution.binding
        ],
        drivers=_drivers(solved),
        window_shift=None,
        note=solution.note,
    )


def _outward(bound: float, value: float, maximised: bool) -> float:
    """Round a bound to the digits of ``value``, away from it, so that it stays one and holds no bit of noise."""
    unit = 10.0 ** (math.floor(math.log10(abs(value))) + 1 - STORED_DIGITS) if value else 1e-15
    steps = (bound - value) / unit
    whole = max(math.ceil(steps), 0) if maximised else min(math.floor(steps), 0)
    return significant(value + whole * unit)


def _drivers(solved: Solved) -> list[Driver]:
    """Add up the worst-case distribution by what stands behind each scenario, the most probable first."""
    if solved.solution.worst_case is None or solved.scenario is None:
        return []
    chances: dict[str, float] = {}
    for row in np.flatnonzero(solved.solution.worst_case > NEGLIGIBLE):
        for name in solved.scenario(int(row)):
            chances[name] = chances.get(name, 0.0) + float(solved.solution.worst_case[row])
    ranked = sorted(chances, key=lambda name: (-round(chances[name], 9), name))
    kept = ranked if solved.over == "days" else ranked[:MOST_DRIVERS]
    return [Driver(name=name, probability=min(1.0, significant(chances[name]))) for name in kept]
