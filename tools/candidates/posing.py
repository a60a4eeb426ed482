"""What each weight method is given to solve, and what it brings back.

Three families. The simple rules and ``min_cvar`` take histories. ``risk_parity`` and ``max_sharpe`` take mean and
covariance of yield and events together, ``min_loss`` and ``yield_less_loss`` the drawn years
(``tools.candidates.outlook``). ``net_yield`` knows what the own deposit does to the rates (``tools.sizing``).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from tools.candidates.caps import Caps, NamedCap
from tools.candidates.outlook import Outlook, Years, daily_returns
from tools.optimize.conflicts import keepable
from tools.optimize.limits import Limits as WeightLimits
from tools.optimize.methods import solve_problem
from tools.optimize.problem import Binding, Problem, Solution
from tools.records import BindingLimit, WeightMethod
from tools.risk.costs import Cost
from tools.sizing.allocate import allocate
from tools.sizing.dilution import RateCurve, flat
from tools.sizing.envelope import Leaving
from tools.strategies.objectives import Objective
from tools.strategies.universe import Pool
from tools.units import BASIS_POINTS, DAYS_PER_YEAR, FloatArray

SMALLEST_WEIGHT = 0.05  # below this a position says nothing: where weights follow estimates, and for small sums
LEAST_POSITION_USD = 500.0  # below this nobody should have to keep track of a position
LEAST_SHARE = 1e-4  # a basis point of the money: the step in which weights are told
NEGLIGIBLE = 1e-9
PERCENTAGE_POINT = 0.01


@dataclass(frozen=True)
class Weighing:
    """What the weight methods may know beside the pools.

    ``outlook`` None leaves only the methods that need histories alone.
    ``risk_free_rate`` is per year, ``amount_usd`` None where no amount is known. ``curve`` says what a pool pays by the
    size of the deposit, ``gas`` what one visit to it costs in dollars. ``least_weight`` is that of a position by
    ``net_yield``; None for the 5 % that the others have. ``known`` keeps what was weighed already: when risk sends
    pools back, most profiles stay as they were.
    """

    objective: Objective
    methods: tuple[WeightMethod, ...]
    outlook: Outlook | None = None
    risk_free_rate: float = 0.0
    amount_usd: float | None = None
    curve: Callable[[Pool], RateCurve] | None = None
    gas: Callable[[Pool], Cost] | None = None
    horizon_days: int = DAYS_PER_YEAR
    least_weight: float | None = None
    known: dict[Any, Any] = field(init=False, default_factory=dict, repr=False)  # a changed copy starts anew

    def least(self, method: WeightMethod) -> float:
        """Return the least weight of a position by a method; less only where no pool can hold so much."""
        return SMALLEST_WEIGHT if self.least_weight is None or method != "net_yield" else self.least_weight

    def dilution(self, pools: Sequence[Pool], weights: FloatArray | None = None) -> FloatArray:
        """Return what the own deposit takes off each pool's rate (n_pools,), at ``weights`` or equal parts of it."""
        if self.curve is None or self.amount_usd is None:
            return np.zeros(len(pools))
        parts = np.full(len(pools), 1.0 / len(pools)) if weights is None else weights
        held = zip(pools, parts, strict=True)
        return np.array([pool.row.apy - self.curve(pool).rate(float(part) * self.amount_usd) for pool, part in held])


class Solved(NamedTuple):
    """A solution with the words for its objective, and the scenarios it looked at: named and given a chance."""

    words: str
    over: Literal["days", "years", "nothing"]
    solution: Solution
    objective: Callable[[FloatArray], float] | None = None
    scenario: Callable[[int], Sequence[str]] | None = None


class Task(NamedTuple):
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
        """Return the daily returns of the pools, shape (n_days, n_pools)."""
        return daily_returns(self.pools, self.days)

    @property
    def outlook(self) -> Outlook:
        """Return what a year may bring."""
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
        """Solve for the weights by a method of ``tools.optimize``; ``given`` are fields of its ``Problem``."""
        return solve_problem(Problem(returns, self.limits, self.weighing.objective.confidence, **given), method)


def _rule(method: str, words: str) -> Callable[[Task], Solved]:
    return lambda task: Solved(words, "nothing", task.solve(method, task.returns))


def _min_cvar(task: Task) -> Solved:
    returns, confidence = task.returns, task.weighing.objective.confidence
    return Solved(
        "minimise the CVaR of a day's yield",
        "days",
        task.solve("min_cvar", returns),
        lambda weights: expected_shortfall(-(returns * weights).sum(axis=1), None, confidence),
        lambda day: [task.date(day)],
    )


def _risk_adjusted(task: Task) -> Solved:
    scores = np.array([pool.row.apy * (1.0 - pool.protocol_risk) for pool in task.pools])
    return Solved(
        "maximise the APY times one less the protocol risk",
        "nothing",
        task.solve("risk_adjusted", task.returns, mean=scores),
        lambda weights: math.fsum(scores * weights),
    )


def _risk_parity(task: Task) -> Solved:
    covariance = task.outlook.covariance(task.pools, task.days)
    return Solved(
        "equal shares in the risk of a year", "nothing", task.solve("risk_parity", task.returns, covariance=covariance)
    )


def _max_sharpe(task: Task) -> Solved:
    mean, covariance = task.net_apy, task.outlook.covariance(task.pools, task.days)
    free = task.weighing.risk_free_rate
    return Solved(
        "maximise the Sharpe ratio of a year with events",
        "nothing",
        task.solve("max_sharpe", task.returns, mean=mean, covariance=covariance, risk_free=free),
        lambda weights: (
            math.fsum((mean - free) * weights) / math.sqrt(math.fsum((covariance * np.outer(weights, weights)).ravel()))
        ),
    )


def _min_loss(task: Task) -> Solved:
    """Minimise the tail of the drawn years; keep what the simple rule keeps, or else the risk-free rate.

    So it beats the simple rule by construction: no less yield expected to be kept, but for what rounding and the last
    change of weights take, and a smaller loss in bad years.
    """
    years = task.years
    confidence = task.weighing.objective.confidence
    return Solved(
        "minimise the CVaR of a year with events",
        "years",
        _floored(task, years),
        lambda weights: expected_shortfall(-(years.returns * weights).sum(axis=1), years.probabilities, confidence),
        lambda row: task.outlook.failing(int(years.numbers[row]), task.pools),
    )


def _floored(task: Task, years: Years) -> Solution:
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


def _yield_less_loss(task: Task) -> Solved:
    years, mean = task.years, task.net_apy
    objective = task.weighing.objective

    def value(weights: FloatArray) -> float:
        losses = -(years.returns * weights).sum(axis=1)
        tail = expected_shortfall(losses, years.probabilities, objective.confidence)
        return math.fsum(mean * weights) - objective.loss_aversion * tail

    return Solved(
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


def _net_yield(task: Task) -> Solved:
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
        exit_cost=[_leaving(pool) if sized else None for pool in pools],
        expected_loss=task.outlook.expected_loss(pools),
        upper=task.caps.upper,
        upper_names=task.caps.names,
        group_caps=[*task.caps.groups, *_least_weights(pools, float(task.limits.lower.min()))],
        min_weight=min(weighing.least("net_yield"), float(task.caps.upper.min())),
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
    return Solved("maximise the yield expected to be kept at the size of the money", "nothing", solution)


def least_weight(amount_usd: float | None) -> float:
    """Return the least weight of a position where income at its size is what counts: $500, in large sums a basis point.

    Never more than 5 % of the money, which is what holds where no amount is known. Gas is no part of it: the search
    counts that as a cost of its own.
    """
    if amount_usd is None:
        return SMALLEST_WEIGHT
    return min(SMALLEST_WEIGHT, max(LEAST_POSITION_USD / amount_usd, LEAST_SHARE))


def _prices(binding: Sequence[BindingLimit]) -> tuple[Binding, ...]:
    """Return the prices per unit; a least weight, which is a limit of its own and a cap on the others, once."""
    prices: dict[str, float] = {}
    for one in binding:
        name = one.limit.replace("least weight of ", "min_weight:")
        prices[name] = max(prices.get(name, 0.0), one.price_bps / (PERCENTAGE_POINT * BASIS_POINTS))
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


METHODS: Mapping[WeightMethod, Callable[[Task], Solved]] = {
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
