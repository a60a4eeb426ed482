"""When to move money between pools: the daily world, the moves, what they cost, and the rules a learner must beat.

**World.** A ``RateBook`` holds the APYs of a few pools day by day. A policy sees the book up to the end of a day and
chooses one of ``MOVES``; the move is paid for and the new weights earn the rates of the *next* day. Weights grow with
what they earn. A pool is *open* on a day when the screen let it in then: only open pools can be moved to. A pool
without a record earns nothing while it has none.

**Costs** of a move: ``leg_usd`` for every pool whose weight changes (a deposit or a withdrawal is one transaction), and
``slippage`` of all dollars that change places, both over the position's own value. Weights that would change by less
than ``MATERIAL`` are left alone.

**Reward** of a day, in basis points of the position: log growth after costs, less ``risk_aversion`` · (x − m)²/365 with
x the APY of what is held and m its exponentially weighted mean over about a month: mean-variance in the rate that is
paid (Markowitz, Journal of Finance 7, 1952), as a carry book's daily returns have next to no variance of their own.

**Rules** (each starts from the same weights, the best three of the first day in equal parts):
``never``      keeps them.
``drift``      goes back to equal parts as soon as a weight is ``DRIFT`` away from its part.
``payback``    goes to the best three as soon as they pay the cost back within ``PAYBACK_DAYS``.
``monthly``    goes to the best three every 30 days, whatever it costs.
``payback best`` and ``monthly best`` go to the best one instead: a learner that may put all into one pool has to be
held against rules that do.

"Best" is by the exponentially weighted mean of the APY with α = 0.2, as ``tools.forecast.baselines`` has it, so that a
spike of a day is not chased.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tools.units import BASIS_POINTS, DAYS_PER_YEAR, FloatArray, daily_return

Rule = Literal["never", "drift", "payback", "monthly", "payback best", "monthly best"]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

MOVES = ("keep", "best", "best three", "equal", "shift 25 %", "shift 50 %")
KEEP = 0
TOP = 3
FAST, SLOW = 0.2, 0.06  # weights of the newest day: about a week, and about a month
DRIFT = 0.05
PAYBACK_DAYS = 30
MONTH_DAYS = 30
RISK_AVERSION = 2.0
UNCHANGED = 1e-9  # of a weight
MATERIAL = 0.01  # of the position: less than that is no reason for a transaction


@dataclass(frozen=True)
class Costs:
    """What a move costs: dollars per transaction, a fraction of the dollars that change places, and the position."""

    amount_usd: float
    leg_usd: float = 15.0
    slippage: float = 2e-4

    def __post_init__(self) -> None:
        if not (self.amount_usd > 0 and self.leg_usd >= 0 and 0 <= self.slippage < 1):
            raise ValueError(f"costs need a positive amount and no negative price: {self}")

    def of(self, before: FloatArray, after: FloatArray) -> float:
        """Return the cost of going from weights to weights (n_pools,) as a fraction of the position."""
        moved = np.abs(after - before)
        moved = moved[moved > UNCHANGED]
        return self.leg_usd * moved.size / self.amount_usd + self.slippage * math.fsum(moved)


@dataclass(frozen=True)
class RateBook:
    """APYs (n_days, n_pools), fractions, oldest first, NaN where there is no record; ``open`` of the same shape."""

    apy: FloatArray
    open: BoolArray

    def __post_init__(self) -> None:
        if self.apy.ndim != 2 or self.apy.shape != self.open.shape or 0 in self.apy.shape:
            raise ValueError(f"apy and open must have one shape (n_days, n_pools), not {self.apy.shape}")
        if np.isinf(self.apy).any() or (self.apy <= -1.0).any():
            raise ValueError("apy holds infinity, or a rate of -100 % or less")
        if (self.open & np.isnan(self.apy)).any():
            raise ValueError("a pool cannot be open on a day without a record")

    @property
    def days(self) -> int:
        """Return the number of days."""
        return int(self.apy.shape[0])

    @functools.cached_property
    def paid(self) -> FloatArray:
        """Return the APYs with 0 where there is no record: what cannot be shown to have been earned was not."""
        return np.nan_to_num(self.apy, nan=0.0)

    @functools.cached_property
    def growth(self) -> FloatArray:
        """Return 1 + the return of each day and pool."""
        return 1.0 + daily_return(self.paid)

    @functools.cached_property
    def fast(self) -> FloatArray:
        """Return the weekly mean of each pool up to each day, (n_days, n_pools); NaN before its first record."""
        return smoothed(self.apy, FAST)

    @functools.cached_property
    def slow(self) -> FloatArray:
        """Return the monthly mean likewise."""
        return smoothed(self.apy, SLOW)

    def ranking(self, day: int) -> npt.NDArray[np.intp]:
        """Return the open pools of a day, the best first, ties by place."""
        places = np.flatnonzero(self.open[day])
        return places[np.argsort(-self.fast[day, places], kind="stable")]

    def part(self, pools: Sequence[int], first: int, last: int) -> RateBook:
        """Return some of the pools on the days first … last − 1; the means go on from the days before."""
        cut = RateBook(self.apy[first:last][:, pools], self.open[first:last][:, pools])
        cut.__dict__.update(fast=self.fast[first:last][:, pools], slow=self.slow[first:last][:, pools])
        return cut


def smoothed(apy: FloatArray, alpha: float) -> FloatArray:
    """Return the exponentially weighted mean up to each day (n_days, n_pools); a day without a record changes nothing.

    It starts at the first record; NaN before.
    """
    means = np.empty_like(apy)
    level = np.full(apy.shape[1], np.nan)
    for day, rates in enumerate(apy):
        step = np.where(np.isnan(level), rates, level + alpha * (rates - level))
        level = np.where(np.isnan(rates), level, step)
        means[day] = level
    return means


class Seen(NamedTuple):
    """What a policy knows at the end of a day: the book up to it, the weights (n_pools,), days since the last move."""

    book: RateBook
    day: int
    weights: FloatArray
    idle_days: int
    costs: Costs


Policy: TypeAlias = Callable[[Seen], FloatArray]


def target(seen: Seen, move: int) -> FloatArray:
    """Return the weights that a move of ``MOVES`` leads to; the same weights where no pool is open."""
    order = seen.book.ranking(seen.day)
    if move == KEEP or order.size == 0:
        return seen.weights
    name = MOVES[move]
    if name in ("best", "best three", "equal"):
        count = {"best": 1, "best three": TOP, "equal": order.size}[name]
        return _settled(seen.weights, _equal(order[:count], seen.weights.size))
    return _shifted(seen, int(order[0]), {"shift 25 %": 0.25, "shift 50 %": 0.5}[name])


def _equal(places: npt.NDArray[np.intp], n_pools: int) -> FloatArray:
    weights = np.zeros(n_pools)
    weights[places] = 1.0 / places.size
    return weights


def _settled(before: FloatArray, after: FloatArray) -> FloatArray:
    """Leave alone what would change by less than ``MATERIAL``; the pools that do change take up the difference.

    A pool that the new weights leave out is left whatever was in it.
    """
    small = (np.abs(after - before) < MATERIAL) & ((after > 0.0) | (before == 0.0))
    changed = ~small & (after > 0.0)
    if not changed.any():
        return before if small.all() else after
    kept = math.fsum(before[small])
    scaled = np.where(changed, after * (1.0 - kept) / math.fsum(after[changed]), 0.0)
    return np.where(small, before, scaled)


def _shifted(seen: Seen, best: int, share: float) -> FloatArray:
    """Move ``share`` of the position, or all there is, from the worst pool held to the best open one."""
    held = np.flatnonzero(seen.weights > UNCHANGED)
    rates = np.nan_to_num(seen.book.fast[seen.day, held], nan=0.0)
    rates = np.where(np.isnan(seen.book.apy[seen.day, held]), -1.0, rates)  # no record: the first to leave
    worst = int(held[np.argmin(rates)])
    after = seen.weights.copy()
    moved = min(share, after[worst])
    after[worst] -= moved
    after[best] += moved
    return after


def start_weights(book: RateBook) -> FloatArray:
    """Return the weights that every policy starts from: the best ``TOP`` of the first day, in equal parts.

    Raises ValueError where no pool is open on the first day.
    """
    order = book.ranking(0)
    if order.size == 0:
        raise ValueError("no pool is open on the first day")
    return _equal(order[:TOP], book.apy.shape[1])


@dataclass
class Walk:
    """A position on its way through a book."""

    book: RateBook
    costs: Costs
    weights: FloatArray
    day: int = 0
    idle_days: int = 0
    held: float = math.nan  # the monthly mean of the APY held

    @property
    def done(self) -> bool:
        """Tell whether the book has no next day."""
        return self.day + 1 >= self.book.days

    def seen(self) -> Seen:
        """Return what a policy may know now."""
        return Seen(self.book, self.day, self.weights, self.idle_days, self.costs)

    def step(self, weights: FloatArray) -> Step:
        """Go to the weights (n_pools,), pay for it, and earn the next day."""
        cost = self.costs.of(self.weights, weights)
        moved = cost > 0.0 or bool(np.abs(weights - self.weights).max() > UNCHANGED)
        self.idle_days = 0 if moved else self.idle_days + 1
        self.day += 1
        rate = math.fsum(weights * self.book.paid[self.day])
        self.held = rate if math.isnan(self.held) else self.held + SLOW * (rate - self.held)
        grown = weights * self.book.growth[self.day]
        total = math.fsum(grown)
        self.weights = grown / total
        growth = math.log(total) + math.log(max(1.0 - cost, UNCHANGED))
        risk = RISK_AVERSION * (rate - self.held) ** 2 / DAYS_PER_YEAR
        return Step(growth, cost, BASIS_POINTS * (growth - risk))


class Step(NamedTuple):
    """What a day brought: log growth after costs, the cost as a fraction, and the reward in basis points."""

    growth: float
    cost: float
    reward: float


class Outcome(NamedTuple):
    """What a policy made of a book: per day log growth after costs, cost and reward, each (n_days − 1,)."""

    growth: FloatArray
    cost: FloatArray
    reward: FloatArray

    @property
    def annual(self) -> float:
        """Return the annual return after costs, as a log return per 365 days."""
        return math.fsum(self.growth) * DAYS_PER_YEAR / self.growth.size

    @property
    def annual_reward(self) -> float:
        """Return the annual reward as a fraction: the annual return less the price of a rate that varies."""
        return math.fsum(self.reward) * DAYS_PER_YEAR / self.reward.size / BASIS_POINTS

    @property
    def moves(self) -> int:
        """Return the number of days on which something was paid for."""
        return int(np.count_nonzero(self.cost))


def follow(policy: Policy, book: RateBook, costs: Costs) -> Outcome:
    """Let a policy manage a position through a book. Raises ValueError for weights that are none."""
    walk = Walk(book, costs, start_weights(book))
    steps = []
    while not walk.done:
        weights = policy(walk.seen())
        if not (np.isfinite(weights).all() and (weights >= -UNCHANGED).all() and abs(math.fsum(weights) - 1.0) < 1e-6):
            raise ValueError(f"a policy must return weights that sum to 1, not {weights}")
        steps.append(walk.step(weights))
    return Outcome(*(np.array(column) for column in zip(*steps, strict=True)))


def never(seen: Seen) -> FloatArray:
    """Keep what is held."""
    return seen.weights


def drift(seen: Seen) -> FloatArray:
    """Go back to equal parts of what is held once a weight is ``DRIFT`` away from its part."""
    held = np.flatnonzero(seen.weights > UNCHANGED)
    parts = _equal(held, seen.weights.size)
    return parts if float(np.abs(seen.weights - parts).max()) > DRIFT else seen.weights


def payback(seen: Seen, move: str = "best three") -> FloatArray:
    """Make a move once what it adds to the rate pays its cost back within ``PAYBACK_DAYS``."""
    after = target(seen, MOVES.index(move))
    rates = np.where(np.isnan(seen.book.apy[seen.day]), 0.0, np.nan_to_num(seen.book.fast[seen.day], nan=0.0))
    gain = math.fsum((after - seen.weights) * daily_return(rates)) * PAYBACK_DAYS
    return after if gain > seen.costs.of(seen.weights, after) else seen.weights


def monthly(seen: Seen, move: str = "best three") -> FloatArray:
    """Make a move every ``MONTH_DAYS`` days, counted from the start."""
    due = seen.day > 0 and seen.day % MONTH_DAYS == 0
    return target(seen, MOVES.index(move)) if due else seen.weights


RULES: dict[Rule, Policy] = {
    "never": never,
    "drift": drift,
    "payback": payback,
    "monthly": monthly,
    "payback best": functools.partial(payback, move="best"),
    "monthly best": functools.partial(monthly, move="best"),
}


class Interval(NamedTuple):
    """A mean with the bounds that hold ``level`` of its resampled values."""

    mean: float
    low: float
    high: float
    level: float


def annual_difference(
    one: Outcome, other: Outcome, block_days: int = 30, draws: int = 2000, level: float = 0.9, seed: int = 0
) -> Interval:
    """Return the difference of two annual returns after costs on the same days, with an interval.

    Circular block bootstrap of the daily differences (Politis & Romano 1992): blocks of ``block_days``, for what is
    earned on one day is much like what is earned on the next. Raises ValueError for outcomes of different lengths.
    """
    if one.growth.size != other.growth.size:
        raise ValueError("only outcomes over the same days can be compared")
    gap = (one.growth - other.growth) * DAYS_PER_YEAR
    days = gap.size
    size = min(block_days, days)
    blocks = -(-days // size)
    starts = np.random.default_rng(seed).integers(0, days, size=(draws, blocks))
    places = (starts[:, :, None] + np.arange(size)).reshape(draws, -1)[:, :days] % days
    means = np.add.reduce(gap[places], axis=1) / days
    low, high = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(math.fsum(gap) / days, float(low), float(high), level)
