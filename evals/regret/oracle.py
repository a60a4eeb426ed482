"""The most that any advice could have earned, with a proof: Lagrangian duality; where it has a gap, branch and bound.

Maximise Σ f_i(x_i) − F_i·[x_i > 0] over Σ x_i = A, x_i = 0 or in [low_i, up_i]. For any price λ of a dollar

    D(λ) = λ·A + Σ_i max_x (f_i(x) − F_i·[x > 0] − λ·x)

is at least that maximum (weak duality; Bertsekas, "Nonlinear Programming", 1999, ch. 5), and D is convex, so the best
price is found by bisection. Each inner maximum is of one variable and taken piece by piece (``income``): where f_i is
concave, at the root of f_i' = λ; where convex, at an end. If all f_i are concave and nothing is paid for entering, the
weights at the best price are optimal and the Karush–Kuhn–Tucker conditions are their certificate. Else a pool can have
two best positions at the best price; its range is split there, and both halves are bounded again.

Nothing here is shared with ``tools.sizing``, which lays straight lines above the incomes and solves linear programs.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from scipy.optimize import brentq

from evals.regret.income import Income, Piece, income_of
from evals.regret.markets import RegretCase
from tools.units import BASIS_POINTS

GOOD_ENOUGH = 1e-9  # of the money a year: a hundred-thousandth of a basis point
MOST_BRANCHES = 2_000
_BISECTIONS = 100
_DUST = 1e-12  # of the money


class Asset(NamedTuple):
    """A pool in the search: its income, what entering costs, and the largest position in dollars."""

    income: Income
    entry_usd: float
    cap_usd: float


class Span(NamedTuple):
    """What a branch lets a pool hold: from ``low`` to ``high`` dollars, or (where ``may_rest``) nothing.

    Where it may not rest, entering is paid even at 0: else a branch that enters would still be free to stay out.
    """

    low: float
    high: float
    may_rest: bool


Branch = tuple[Span, ...]


class Best(NamedTuple):
    """A position that is best at a price: dollars, its income less entering, and a bound of income less λ·x."""

    x_usd: float
    value: float
    bound: float


class Relaxed(NamedTuple):
    """A branch at its best price: the bound, and the best positions just above (``few``) and below it (``many``)."""

    bound: float
    price: float
    few: tuple[float, ...]
    many: tuple[float, ...]


class Optimum(NamedTuple):
    """The best allocation found, by pool id, and what proves it.

    ``income_usd`` is what it earns a year, ``bound_usd`` what nothing can exceed; ``gap_bps`` is their distance over
    the amount. ``kkt_bps`` is by how much the first-order conditions are missed (None where incomes are not concave, so
    that they prove nothing). ``price`` is what another dollar would earn, in the branch that was best.
    """

    weights: dict[str, float]
    income_usd: float
    bound_usd: float
    gap_bps: float
    method: Literal["kkt", "branch_and_bound"]
    kkt_bps: float | None
    price: float
    branches: int


def optimum(case: RegretCase) -> Optimum:
    """Return the best allocation of a case with its certificate."""
    assets = assets_of(case)
    concave = all(asset.entry_usd == 0.0 and asset.income.concave(asset.cap_usd) for asset in assets)
    search = _Search(assets, case.amount_usd)
    search.run()
    assert search.best is not None  # a case whose caps cannot hold the amount is refused when it is read
    value, positions = search.best
    bound = search.bound  # not lifted to the value: a bound below it would be a proof that something is wrong
    return Optimum(
        weights={pool.id: x / case.amount_usd for pool, x in zip(case.market.pools, positions, strict=True) if x > 0.0},
        income_usd=value,
        bound_usd=bound,
        gap_bps=(bound - value) / case.amount_usd * BASIS_POINTS,
        method="kkt" if concave else "branch_and_bound",
        kkt_bps=kkt_residual(assets, positions) * BASIS_POINTS if concave else None,
        price=search.price,
        branches=search.branches,
    )


def assets_of(case: RegretCase) -> tuple[Asset, ...]:
    """Return the pools of a case as the search sees them."""
    caps = case.caps()
    return tuple(
        Asset(income_of(pool), pool.entry_cost_usd, caps[pool.id] * case.amount_usd) for pool in case.market.pools
    )


def kkt_residual(assets: Sequence[Asset], positions: Sequence[float]) -> float:
    """Return by how much a year's rate the first-order conditions are missed: 0 at the optimum of concave incomes.

    There is a price such that every pool's marginal income equals it between 0 and the cap, is at most it at 0, and at
    least it at the cap (Boyd & Vandenberghe, "Convex Optimization", 2004, section 5.5.3). The residual is how far the
    least price that the upper conditions allow lies below the largest that the lower ones ask for.
    """
    least, most = -math.inf, math.inf
    for asset, x in zip(assets, positions, strict=True):
        pieces = asset.income.pieces(0.0, asset.cap_usd)
        right = next((piece for piece in pieces if piece.low <= x < piece.high), pieces[-1])
        left = next((piece for piece in pieces if piece.low < x <= piece.high), pieces[0])
        room = asset.cap_usd * _DUST
        if x < asset.cap_usd - room:
            least = max(least, asset.income.marginal_on(right.stretch, x))
        if x > room:
            most = min(most, asset.income.marginal_on(left.stretch, x))
    return max(0.0, least - most)


@dataclass
class _Search:
    """Best bound first; ``best`` is the value in dollars and the positions of the best allocation so far."""

    assets: Sequence[Asset]
    amount: float
    best: tuple[float, tuple[float, ...]] | None = None
    bound: float = math.inf
    price: float = 0.0
    branches: int = 0

    def run(self) -> None:
        """Search until nothing better than ``GOOD_ENOUGH`` can be left, or the branches are spent."""
        root = tuple(Span(0.0, asset.cap_usd, asset.entry_usd > 0.0) for asset in self.assets)
        order = itertools.count()
        heap: list[tuple[float, int, Branch, Relaxed]] = []
        closed = -math.inf  # the largest bound among the branches that were not followed

        def add(branch: Branch) -> None:
            self.branches += 1
            relaxed = self._relax(branch)
            if relaxed is not None:
                self._round(branch, relaxed)
                heapq.heappush(heap, (-relaxed.bound, next(order), branch, relaxed))

        add(root)
        while heap and self.branches < MOST_BRANCHES:
            negative, _, branch, relaxed = heapq.heappop(heap)
            children = self._split(branch, relaxed) if self._open(-negative) else []
            if not children:
                closed = max(closed, -negative)
            for child in children:
                add(child)
        self.bound = max([closed, *(-entry[0] for entry in heap)])

    def _open(self, bound: float) -> bool:
        return self.best is None or bound > self.best[0] + GOOD_ENOUGH * self.amount

    def _relax(self, branch: Branch) -> Relaxed | None:
        """Return the branch at its best price; None where its spans cannot hold the amount."""
        least = math.fsum(0.0 if span.may_rest else span.low for span in branch)
        most = math.fsum(span.high for span in branch)
        slack = self.amount * _DUST
        if least > self.amount + slack or most < self.amount - slack:
            return None
        low, high = self._price_range(branch)
        bound, many, few = math.inf, self._at(branch, low), self._at(branch, high)
        for _ in range(_BISECTIONS):
            price = (low + high) / 2.0
            if not low < price < high:
                break
            found = self._at(branch, price)
            bound = min(bound, price * self.amount + math.fsum(best.bound for best in found))
            if math.fsum(best.x_usd for best in found) >= self.amount:
                low, many = price, found
            else:
                high, few = price, found
        return Relaxed(bound, low, tuple(best.x_usd for best in few), tuple(best.x_usd for best in many))

    def _price_range(self, branch: Branch) -> tuple[float, float]:
        """Return a price at which all pools are full, and one at which none holds more than it must."""
        slopes, entries = [0.0], [0.0]
        for asset, span in zip(self.assets, branch, strict=True):
            for piece in asset.income.pieces(span.low, span.high):
                slopes += [asset.income.marginal_on(piece.stretch, end) for end in (piece.low, piece.high)]
            entries.append(asset.entry_usd / span.high if span.may_rest and span.high > 0.0 else 0.0)
        # Between the ends of a piece the slope is monotone. Entering, spread over a full position, lowers what it pays.
        return min(slopes) - max(entries) - 1e-6, max(slopes) + 1e-6

    def _at(self, branch: Branch, price: float) -> list[Best]:
        return [best_at(asset, span, price) for asset, span in zip(self.assets, branch, strict=True)]

    def _round(self, branch: Branch, relaxed: Relaxed) -> None:
        """Try allocations near the relaxation: between its two sides, and on the pieces that either side is on."""
        blend = _between(relaxed, self.amount)
        self._try(blend, relaxed.price)
        if not self._open(relaxed.bound):
            return
        for side in (relaxed.few, relaxed.many, blend):
            narrow = tuple(
                self._around(asset, span, x) for asset, span, x in zip(self.assets, branch, side, strict=True)
            )
            inner = self._relax(narrow)
            if inner is not None:
                self._try(_between(inner, self.amount), inner.price)

    def _around(self, asset: Asset, span: Span, x_usd: float) -> Span:
        """Return the part of a span on the concave piece that ``x_usd`` lies on; the point alone on a convex one."""
        if span.may_rest and x_usd == 0.0:
            return Span(0.0, 0.0, may_rest=True)
        pieces = [piece for piece in asset.income.pieces(span.low, span.high) if piece.low <= x_usd <= piece.high]
        concave = next((piece for piece in pieces if piece.concave), None)
        return Span(x_usd, x_usd, False) if concave is None else Span(concave.low, concave.high, may_rest=False)

    def _try(self, positions: Sequence[float], price: float) -> None:
        """Take positions that add up to the amount as the best so far where they earn more."""
        if abs(math.fsum(positions) - self.amount) > self.amount * _DUST:
            return
        value = math.fsum(
            asset.income.value(x) - asset.entry_usd for asset, x in zip(self.assets, positions, strict=True) if x > 0.0
        )
        if self.best is None or value > self.best[0]:
            self.best, self.price = (value, tuple(positions)), price

    def _split(self, branch: Branch, relaxed: Relaxed) -> list[Branch]:
        """Split the span of the pool whose income lies furthest below the line between its two best positions."""
        blend = _between(relaxed, self.amount)
        gaps = [
            _gap(asset, span, few, many, x)
            for asset, span, few, many, x in zip(self.assets, branch, relaxed.few, relaxed.many, blend, strict=True)
        ]
        place = max(range(len(gaps)), key=lambda number: gaps[number])
        if gaps[place] <= 0.0:
            return []
        asset, span = self.assets[place], branch[place]
        low, high = sorted((relaxed.few[place], relaxed.many[place]))
        if span.may_rest and low == 0.0:
            parts = [Span(0.0, 0.0, may_rest=True), Span(span.low, span.high, may_rest=False)]
        else:
            turn = _turn(asset, low, high, blend[place])
            parts = [Span(span.low, turn, span.may_rest), Span(turn, span.high, may_rest=False)]
        return [(*branch[:place], part, *branch[place + 1 :]) for part in parts]


def best_at(asset: Asset, span: Span, price: float) -> Best:
    """Return the position of a span with the largest income less entering and less ``price`` for each dollar."""
    income, best = asset.income, Best(0.0, 0.0, 0.0 if span.may_rest else -math.inf)
    if span.high <= 0.0:
        return Best(0.0, 0.0, 0.0)
    for piece in income.pieces(span.low, span.high):
        for x in _candidates(income, piece, price):
            value = income.value_on(piece.stretch, x) - (asset.entry_usd if x > 0.0 or not span.may_rest else 0.0)
            # A tangent bounds a concave piece however near its maximum the root was found.
            slack = abs(income.marginal_on(piece.stretch, x) - price) * (piece.high - piece.low)
            inside = piece.concave and piece.low < x < piece.high
            bound = value - price * x + (slack if inside else 0.0)
            if bound > best.bound:
                best = Best(x, value, bound)
    return best


def _candidates(income: Income, piece: Piece, price: float) -> tuple[float, ...]:
    """Return the position that is best on a concave piece, or both ends of a convex one."""
    if not piece.concave:
        return piece.low, piece.high

    def excess(x_usd: float) -> float:
        return income.marginal_on(piece.stretch, x_usd) - price

    if excess(piece.low) <= 0.0:
        return (piece.low,)
    if excess(piece.high) >= 0.0:
        return (piece.high,)
    return (float(brentq(excess, piece.low, piece.high, xtol=1e-9 * piece.high, rtol=1e-15)),)


def _gap(asset: Asset, span: Span, few: float, many: float, x_usd: float) -> float:
    """Return how far the income at a position lies below the line between the two best ones of its span."""
    if not min(few, many) < x_usd < max(few, many):
        return 0.0

    def net(x: float) -> float:
        return asset.income.value(x) - (asset.entry_usd if x > 0.0 or not span.may_rest else 0.0)

    share = (x_usd - few) / (many - few)
    return (1.0 - share) * net(few) + share * net(many) - net(x_usd)


def _between(relaxed: Relaxed, amount: float) -> tuple[float, ...]:
    """Return the positions between the two sides of the best price that add up to the amount."""
    few, many = math.fsum(relaxed.few), math.fsum(relaxed.many)
    share = min(1.0, max(0.0, (amount - few) / (many - few))) if many != few else 1.0
    return tuple((1.0 - share) * a + share * b for a, b in zip(relaxed.few, relaxed.many, strict=True))


def _turn(asset: Asset, low: float, high: float, x_usd: float) -> float:
    """Return where to split between two best positions: where the curvature changes, else where the blend lies."""
    turns = [piece.high for piece in asset.income.pieces(low, high)[:-1]]
    return min(turns, key=lambda turn: abs(turn - x_usd)) if turns else x_usd
