"""The weights of one profile's pools by one method, with how far they can be from the best there is.

Three families. The simple rules and ``min_cvar`` take the profile's own pools and their histories. ``risk_parity`` and
``max_sharpe`` take mean and covariance of yield and events together, ``min_loss`` and ``yield_less_loss`` the drawn
years (``tools.candidates.outlook``). ``net_yield`` knows what the own deposit does to the rates (``tools.sizing``). The
optimising methods choose among the best-ranked pools of the profile, and leave out what they would hold less of than
a position is worth.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from tools.candidates.caps import Caps, NamedCap, caps_of
from tools.candidates.outlook import Outlook, Years, daily_returns
from tools.optimize import Infeasible, SolverFailed, round_weights
from tools.optimize.conflicts import keepable
from tools.optimize.limits import Limits as WeightLimits
from tools.optimize.methods import solve_problem
from tools.optimize.moments import Undefined
from tools.optimize.problem import Binding, Problem, Solution
from tools.optimize.sensitivity import weight_shift
from tools.records import BindingLimit, Driver, Optimisation, WeightMethod
from tools.risk.costs import Cost
from tools.sizing.allocate import allocate
from tools.sizing.dilution import RateCurve, flat
from tools.sizing.envelope import Leaving
from tools.strategies.objectives import Objective
from tools.strategies.profiles import Limits
from tools.strategies.selection import Selection
from tools.strategies.universe import Pool
from tools.units import BASIS_POINTS, DAYS_PER_YEAR, STORED_DIGITS, FloatArray, significant

SMALLEST_WEIGHT = 0.05  # a position below this is not worth its transactions
TINIEST_WEIGHT = 0.005  # unless nothing else fits the caps
STORED_DECIMALS = 12
NO_WEIGHTS = (Infeasible, SolverFailed, Undefined)
"""What a method raises when it has no weights to give."""
WIDEST = 12  # pools, best-ranked first, that the optimising methods choose among
MOST_DRIVERS = 12  # of years: the things that fail most often in the worst of them; of days all are kept, as they prove
_SHORTEST = 30  # days: half a window shorter than this says nothing of how weights move
_NEGLIGIBLE = 1e-9
_PERCENTAGE_POINT = 0.01


@dataclass(frozen=True)
class Weighing:
    """What the weight methods may know beside the pools.

    ``outlook`` None leaves only the methods that need histories alone.
    ``risk_free_rate`` is per year, ``amount_usd`` None where no amount is known. ``curve`` says what a pool pays by the
    size of the deposit, ``gas`` what one visit to it costs in dollars. ``known`` keeps what was weighed already: when
    risk sends pools back, most profiles stay as they were.
    """

    objective: Objective
    methods: tuple[WeightMethod, ...]
    outlook: Outlook | None = None
    risk_free_rate: float = 0.0
    amount_usd: float | None = None
    curve: Callable[[Pool], RateCurve] | None = None
    gas: Callable[[Pool], Cost] | None = None
    horizon_days: int = DAYS_PER_YEAR
    known: dict[Any, Weighted] = field(default_factory=dict, repr=False)

    def dilution(self, pools: Sequence[Pool], weights: FloatArray | None = None) -> FloatArray:
        """Return what the own deposit takes off each pool's rate (n_pools,), at ``weights`` or equal parts of it."""
        if self.curve is None or self.amount_usd is None:
            return np.zeros(len(pools))
        parts = np.full(len(pools), 1.0 / len(pools)) if weights is None else weights
        held = zip(pools, parts, strict=True)
        return np.array([pool.row.apy - self.curve(pool).rate(float(part) * self.amount_usd) for pool, part in held])


class Weighted(NamedTuple):
    """Pools with their weights (n_pools,), which add up to 1, and how they came about."""

    pools: tuple[Pool, ...]
    weights: FloatArray
    optimisation: Optimisation


class _Solved(NamedTuple):
    """A solution with the words for its objective, and the scenarios it looked at: named and given a chance."""

    words: str
    over: Literal["days", "years", "nothing"]
    solution: Solution
    objective: Callable[[FloatArray], float] | None = None
    scenario: Callable[[int], Sequence[str]] | None = None


class _Task(NamedTuple):
    """Pools to weigh, the caps and limits to keep, and the last ``days`` days to look at; hold at most ``most``.

    ``simple`` is the net yield of the simple rule: equal weights of the profile's own pools. ``parts`` of the money,
    shape (n_pools,), is what each rate is reckoned at; None for equal ones.
    """

    pools: Sequence[Pool]
    caps: Caps
    limits: WeightLimits
    days: int
    weighing: Weighing
    most: int
    simple: float = -math.inf
    parts: FloatArray | None = None

    @property
    def returns(self) -> FloatArray:
        return daily_returns(self.pools, self.days)

    @property
    def outlook(self) -> Outlook:
        assert self.weighing.outlook is not None  # the methods that need one are not planned without
        return self.weighing.outlook

    @property
    def net_apy(self) -> FloatArray:
        """Return the yield to expect of each pool (n_pools,) less events, at its part of the money."""
        return np.asarray(self.outlook.net_apy(self.pools, self.days) - self.weighing.dilution(self.pools, self.parts))

    @property
    def years(self) -> Years:
        """Return the drawn years, with the yields at each pool's part of the money."""
        years = self.outlook.years(self.pools, self.days)
        return years._replace(returns=years.returns - self.weighing.dilution(self.pools, self.parts))

    def date(self, day: int) -> str:
        """Return the date of a row of ``returns``."""
        return (self.pools[0].history.last - dt.timedelta(days=self.days - 1 - day)).isoformat()

    def solve(self, method: str, returns: FloatArray, **given: Any) -> Solution:
        return solve_problem(Problem(returns, self.limits, self.weighing.objective.confidence, **given), method)


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
    return weighing.known[key]


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

    def placed(self) -> tuple[list[Pool], _Solved]:
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
        if self.method == "net_yield" and held.size >= self._selected.minimum:  # it leaves out what is too small itself
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
        room = self.caps(wide).upper >= SMALLEST_WEIGHT - _NEGLIGIBLE
        large = [pool for pool, fits in zip(wide, room, strict=True) if fits]
        return large if len(large) >= self._selected.minimum and self.caps(large).hold(0.0) else wide

    def _worth_holding(self, wide: Sequence[Pool], weights: FloatArray, most: int) -> list[Pool]:
        """Return what the method would hold enough of; the own pools where these cannot hold the money.

        Fewer than the mandate's least number are made up in order of weight, then of id.
        """
        order = sorted(range(len(wide)), key=lambda n: (-round(float(weights[n]), 9), n))
        worth = sum(float(weights[n]) >= SMALLEST_WEIGHT - _NEGLIGIBLE for n in order)
        for count in range(max(worth, self._selected.minimum), most + 1):
            found = sorted((wide[n] for n in order[:count]), key=lambda pool: pool.id)
            if self.caps(found).hold(min(SMALLEST_WEIGHT, 0.5 / count)):
                return found
        return list(self.own)

    def solved(
        self, pools: Sequence[Pool], sizes: Sequence[float] = (SMALLEST_WEIGHT, TINIEST_WEIGHT), most: int | None = None
    ) -> _Solved:
        """Solve; where positions worth their transactions do not fit the caps, small ones do."""
        for size in sizes:
            try:
                return _METHODS[self.method](self._task(pools, size, most or len(pools)))
            except Infeasible as error:
                conflict = error
        raise conflict

    def _task(self, pools: Sequence[Pool], size: float, most: int) -> _Task:
        caps = self.caps(pools)
        limits = caps.limits(min(size, 0.5 / len(pools), float(caps.upper.min())))
        simple = self._simple if self.method == "min_loss" else -math.inf
        return _Task(pools, caps, limits, self.days, self.weighing, most, simple, self.parts)

    @functools.cached_property
    def _simple(self) -> float:
        """Return the net yield of the simple rule: equal weights of the profile's own pools."""
        assert self.weighing.outlook is not None
        weights = dataclasses.replace(self, method="equal", parts=None).solved(self.own).solution.weights
        net = self.weighing.outlook.net_apy(self.own, self.days) - self.weighing.dilution(self.own, weights)
        return math.fsum(net * weights) - _NEGLIGIBLE


def _with_weights(solved: _Solved, weights: FloatArray) -> _Solved:
    return solved._replace(solution=dataclasses.replace(solved.solution, weights=weights))


def _rule(method: str, words: str) -> Callable[[_Task], _Solved]:
    return lambda task: _Solved(words, "nothing", task.solve(method, task.returns))


def _min_cvar(task: _Task) -> _Solved:
    returns, confidence = task.returns, task.weighing.objective.confidence
    return _Solved(
        "minimise the CVaR of a day's yield",
        "days",
        task.solve("min_cvar", returns),
        lambda weights: expected_shortfall(-(returns * weights).sum(axis=1), None, confidence),
        lambda day: [task.date(day)],
    )


def _risk_adjusted(task: _Task) -> _Solved:
    scores = np.array([pool.row.apy * (1.0 - pool.protocol_risk) for pool in task.pools])
    return _Solved(
        "maximise the APY times one less the protocol risk",
        "nothing",
        task.solve("risk_adjusted", task.returns, mean=scores),
        lambda weights: math.fsum(scores * weights),
    )


def _risk_parity(task: _Task) -> _Solved:
    covariance = task.outlook.covariance(task.pools, task.days)
    return _Solved(
        "equal shares in the risk of a year", "nothing", task.solve("risk_parity", task.returns, covariance=covariance)
    )


def _max_sharpe(task: _Task) -> _Solved:
    mean, covariance = task.net_apy, task.outlook.covariance(task.pools, task.days)
    free = task.weighing.risk_free_rate
    return _Solved(
        "maximise the Sharpe ratio of a year with events",
        "nothing",
        task.solve("max_sharpe", task.returns, mean=mean, covariance=covariance, risk_free=free),
        lambda weights: (
            math.fsum((mean - free) * weights) / math.sqrt(math.fsum((covariance * np.outer(weights, weights)).ravel()))
        ),
    )


def _min_loss(task: _Task) -> _Solved:
    """Minimise the tail of the drawn years; keep what the simple rule keeps, or else the risk-free rate.

    So it beats the simple rule by construction: no less yield expected to be kept, but for what rounding and the last
    change of weights take, and a smaller loss in bad years.
    """
    years = task.years
    confidence = task.weighing.objective.confidence
    return _Solved(
        "minimise the CVaR of a year with events",
        "years",
        _floored(task, years),
        lambda weights: expected_shortfall(-(years.returns * weights).sum(axis=1), years.probabilities, confidence),
        lambda row: task.outlook.failing(int(years.numbers[row]), task.pools),
    )


def _floored(task: _Task, years: Years) -> Solution:
    """Minimise the tail above the most wanted floor on the yield kept that these pools can hold."""
    mean, free = task.net_apy, task.weighing.risk_free_rate
    given = {"mean": mean, "probabilities": years.probabilities}
    floors = (
        (max(task.simple, free), "simple_rule" if task.simple > free else "risk_free", None),
        (free, "risk_free", "these pools cannot keep what the simple rule does"),
    )
    for floor, name, note in floors:
        limits = dataclasses.replace(task.limits, mean=mean, floor=floor)
        if keepable(limits):
            solution = task._replace(limits=limits).solve("min_cvar", years.returns, **given)
            return dataclasses.replace(
                solution,
                note=note or solution.note,
                binding=tuple(
                    one._replace(limit=name) if one.limit == "return_floor" else one for one in solution.binding
                ),
            )
    solution = task.solve("min_cvar", years.returns, **given)
    return dataclasses.replace(solution, note="these pools cannot be expected to keep the risk-free rate")


def _yield_less_loss(task: _Task) -> _Solved:
    years, mean = task.years, task.net_apy
    objective = task.weighing.objective

    def value(weights: FloatArray) -> float:
        losses = -(years.returns * weights).sum(axis=1)
        tail = expected_shortfall(losses, years.probabilities, objective.confidence)
        return math.fsum(mean * weights) - objective.loss_aversion * tail

    return _Solved(
        "maximise the yield expected to be kept less the CVaR of a year with events, times the aversion to loss",
        "years",
        task.solve(
            "mean_cvar",
            years.returns,
            mean=mean,
            probabilities=years.probabilities,
            risk_aversion=objective.loss_aversion,
        ),
        value,
        lambda row: task.outlook.failing(int(years.numbers[row]), task.pools),
    )


def _net_yield(task: _Task) -> _Solved:
    """Maximise what is kept of the rates at the size of the positions; without an amount nothing dilutes or costs."""
    weighing, pools = task.weighing, task.pools
    assert weighing.curve is not None
    assert weighing.gas is not None
    sized, amount = weighing.amount_usd is not None, weighing.amount_usd or 1.0
    found = allocate(
        [weighing.curve(pool) if sized else flat(pool.row.apy) for pool in pools],
        amount,
        weighing.horizon_days,
        fixed_cost_usd=[2.0 * (weighing.gas(pool).value or 0.0) if sized else 0.0 for pool in pools],
        exit_cost=[
            None if pool.single or not sized else Leaving(pool.row.tvl_usd, len(pool.tokens), pegged=True)
            for pool in pools
        ],
        expected_loss=task.outlook.expected_loss(pools),
        upper=task.caps.upper,
        upper_names=task.caps.names,
        group_caps=[*task.caps.groups, *_least_weights(pools, float(task.limits.lower.min()))],
        min_weight=min(SMALLEST_WEIGHT, float(task.caps.upper.min())),
        max_pools=task.most if task.most < len(pools) else None,
        names=[pool.id for pool in pools],
    )
    solution = Solution(
        "net_yield",
        found.weights,
        "maximise",
        maximised=True,
        value=found.value / amount,
        bound=found.bound / amount,
        binding=_prices(found.binding),
        note="; ".join(found.notes) or None,
    )
    return _Solved("maximise the yield expected to be kept at the size of the money", "nothing", solution)


def _prices(binding: Sequence[BindingLimit]) -> tuple[Binding, ...]:
    """Return the prices per unit; a least weight, which is a limit of its own and a cap on the others, once."""
    prices: dict[str, float] = {}
    for one in binding:
        name = one.limit.replace("least weight of ", "min_weight:")
        prices[name] = max(prices.get(name, 0.0), one.price_bps / (_PERCENTAGE_POINT * BASIS_POINTS))
    return tuple(Binding(name, price) for name, price in prices.items())


def _least_weights(pools: Sequence[Pool], least: float) -> list[NamedCap]:
    """Return caps that keep a least weight of every pool: on what all others may hold together."""
    if least <= 0.0:
        return []
    others = 1.0 - np.eye(len(pools))
    return [(row, 1.0 - least, f"min_weight:{pool.id}") for row, pool in zip(others, pools, strict=True)]


def _leaving(pool: Pool) -> Leaving | None:
    return None if pool.single else Leaving(pool.row.tvl_usd, len(pool.tokens), pegged=True)


def expected_shortfall(losses: FloatArray, probabilities: FloatArray | None, confidence: float) -> float:
    """Return the mean of the worst 1 − ``confidence`` of the losses (n_scenarios,), the last one counted in part.

    Rockafellar & Uryasev (2002), proposition 8, for scenarios of any probabilities (alike where None).
    """
    chances = np.full(losses.size, 1.0 / losses.size) if probabilities is None else probabilities
    worst = np.argsort(-losses, kind="stable")
    tail = 1.0 - confidence
    taken = np.clip(tail - (np.cumsum(chances[worst]) - chances[worst]), 0.0, chances[worst])
    return math.fsum(taken * losses[worst]) / math.fsum(taken)


def _recorded(solved: _Solved, weights: FloatArray, caps: Caps) -> Optimisation:
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
            BindingLimit(limit=caps.name(limit), price_bps=significant(price * _PERCENTAGE_POINT * BASIS_POINTS, 6))
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


def _drivers(solved: _Solved) -> list[Driver]:
    """Add up the worst-case distribution by what stands behind each scenario, the most probable first."""
    if solved.solution.worst_case is None or solved.scenario is None:
        return []
    chances: dict[str, float] = {}
    for row in np.flatnonzero(solved.solution.worst_case > _NEGLIGIBLE):
        for name in solved.scenario(int(row)):
            chances[name] = chances.get(name, 0.0) + float(solved.solution.worst_case[row])
    ranked = sorted(chances, key=lambda name: (-round(chances[name], 9), name))
    kept = ranked if solved.over == "days" else ranked[:MOST_DRIVERS]
    return [Driver(name=name, probability=min(1.0, significant(chances[name]))) for name in kept]


_METHODS: Mapping[WeightMethod, Callable[[_Task], _Solved]] = {
    "equal": _rule("equal", "none: the same for every pool"),
    "inverse_volatility": _rule("inverse_volatility", "none: the less the yield varies, the more"),
    "risk_adjusted": _risk_adjusted,
    "min_cvar": _min_cvar,
    "risk_parity": _risk_parity,
    "max_sharpe": _max_sharpe,
    "min_loss": _min_loss,
    "yield_less_loss": _yield_less_loss,
    "net_yield": _net_yield,
}
CHOOSING: frozenset[WeightMethod] = frozenset(
    {"risk_adjusted", "max_sharpe", "min_loss", "yield_less_loss", "net_yield"}
)
