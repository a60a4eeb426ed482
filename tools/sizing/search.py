"""Branch and bound over which pools are opened, and over ranges of positions where income is not concave.

Maximise Σ f_i(w_i) − F_i·[w_i > 0] over weights that add up to 1, with w_i = 0 or in [low_i, up_i], group caps
``shares`` @ w ≤ ``caps`` and at most ``most`` counted pools open. Every f_i is replaced by a line above it through
vertices (``envelope``), which makes a linear program of each branch. Its prices give the bound: for any λ and any μ ≥ 0

    Σ_i max_v [value_v − F_i − (λ + μ·shares_i) w_v − ν·counted_i] (or 0 where i may stay closed) + λ + μ·caps + ν·most

is at least the best there is (weak duality; Bertsekas, "Nonlinear Programming", 1999, ch. 5), whatever the solver did.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.optimize.linear import VARIANTS, Program, SolverFailed, run
from tools.sizing.envelope import BoolArray, NetIncome
from tools.units import FloatArray

Indices = npt.NDArray[np.int_]

GOOD_ENOUGH = 1e-6  # of the money a year: a hundredth of a basis point
MOST_BRANCHES = 100
LAST_DIGITS = 1e-10  # what the weights found are polished to
PIECES = 4
_ROUNDS = 8  # of putting points where the line was too high
_DUST = 1e-9


@dataclass(frozen=True, slots=True)
class Book:
    """The problem in weights: arrays over the assets (n,), ``shares`` (n_groups, n), ``caps`` (n_groups,).

    ``fixed`` is a year's cost of opening as a share of the money, ``counted`` which assets ``most`` counts.
    """

    incomes: Sequence[NetIncome]
    amount_usd: float
    fixed: FloatArray
    low: FloatArray
    up: FloatArray
    shares: FloatArray
    caps: FloatArray
    counted: BoolArray
    most: int

    def reordered(self, order: Sequence[int]) -> Book:
        """Return the same problem with its assets in another order."""
        return replace(
            self,
            incomes=[self.incomes[i] for i in order],
            fixed=self.fixed[order],
            low=self.low[order],
            up=self.up[order],
            shares=self.shares[:, order],
            counted=self.counted[order],
        )

    def value(self, weights: FloatArray) -> float:
        """Return the income a year of weights (n,), as a share of the money."""
        return math.fsum(self.each(weights)) - math.fsum(self.fixed[weights > 0.0])

    def each(self, weights: FloatArray) -> FloatArray:
        """Return the income a year of each weight (n,) before what opening costs, as shares of the money."""
        income = np.zeros(weights.size)
        for asset in map(int, np.flatnonzero(weights)):
            income[asset] = self.incomes[asset].value(weights[asset : asset + 1] * self.amount_usd)[0]
        return income / self.amount_usd


class Branch(NamedTuple):
    """A part of the choices: which assets must be open, which may, and their ranges; arrays (n,)."""

    opened: BoolArray
    closed: BoolArray
    low: FloatArray
    up: FloatArray


class Prices(NamedTuple):
    """What limits cost: of the money itself, of each group cap (n_groups,), of one more pool."""

    money: float
    groups: FloatArray
    pool: float


class Relaxed(NamedTuple):
    """A branch's bound, the weights (n,) of its relaxation, how far each asset is open there (0 to 1), its prices.

    ``above`` (n,) is by how much the relaxation thinks too well of each asset.
    """

    bound: float
    weights: FloatArray
    open_share: FloatArray
    above: FloatArray
    prices: Prices


class Found(NamedTuple):
    """The best weights (n,), their value and a bound of every value, as shares of the money a year."""

    weights: FloatArray
    value: float
    bound: float
    prices: Prices
    exhausted: bool


@dataclass
class Search:
    """One search: the points at which the lines above touch, and the best weights so far."""

    book: Book
    points: list[FloatArray] = field(init=False)
    lines: list[tuple[FloatArray, FloatArray] | None] = field(init=False)
    best: tuple[float, FloatArray] | None = None

    def __post_init__(self) -> None:
        """Lay the first points: the ends, where curvature changes, and between them more closely near 0."""
        self.points = [self._first_points(asset) for asset in range(len(self.book.incomes))]
        self.lines = [None] * len(self.points)

    def run(self) -> Found | None:
        """Return the best weights found and a bound; None where no weights keep the limits.

        Raises ``SolverFailed`` where none were found before the search was cut short.
        """
        root = self._root()
        relaxed = self._relax(root)
        if relaxed is None:
            return None
        if self._open(relaxed.bound):
            self._round(root, relaxed)
        order = itertools.count()
        heap = [(-relaxed.bound, next(order), root, relaxed)]
        done, branches = -math.inf, 0
        while heap and branches < MOST_BRANCHES:
            negative, _, branch, relaxed = heapq.heappop(heap)
            if not self._open(-negative):
                done = max(done, -negative)
                continue  # the others are no better, but their bounds count
            for child in self._children(branch, relaxed):
                branches += 1
                if (inner := self._relax(child)) is not None:
                    heapq.heappush(heap, (-min(inner.bound, -negative), next(order), child, inner))
        return self._found(max([done, *(-entry[0] for entry in heap)]), exhausted=not heap)

    def _found(self, bound: float, exhausted: bool) -> Found | None:
        if self.best is None:
            if exhausted:
                return None
            raise SolverFailed(f"no weights within the limits were found in {MOST_BRANCHES} branches")
        last = self._relax(self._only(self.best[1] > 0.0), LAST_DIGITS)
        again = self._solve(self._root())  # the lines have come closer since
        value, weights = self.best
        bound = min(bound, again.bound) if again is not None else bound
        prices = last.prices if last is not None else Prices(0.0, np.zeros(self.book.caps.size), 0.0)
        return Found(weights, value, max(bound, value), prices, exhausted)

    def _open(self, bound: float) -> bool:
        """Tell whether a branch may hold something noticeably better than the best so far."""
        return self.best is None or bound > self.best[0] + GOOD_ENOUGH

    def _root(self) -> Branch:
        shut = self.book.up < np.maximum(self.book.low, _DUST)
        return Branch(np.zeros(shut.size, dtype=bool), shut, self.book.low, self.book.up)

    def _only(self, opened: BoolArray) -> Branch:
        return Branch(opened, ~opened, self.book.low, self.book.up)

    def _round(self, root: Branch, relaxed: Relaxed) -> None:
        """Try whole sets of pools: what the relaxation opens, what it opens mostly, and what has most room."""
        book, share = self.book, np.where(root.closed, 0.0, relaxed.open_share)
        room = np.where(root.closed, 0.0, book.up)
        by_share, by_room = (self._first(ranked) & ~root.closed for ranked in (share, room))
        sets = [by_share & (share >= _DUST), by_share & (share >= 0.5)]
        for opened in sets if (sets[0] != sets[1]).any() else sets[:1]:
            self._relax(self._only(opened))
        for opened in (by_share, by_room):
            if self.best is None:
                self._relax(self._only(opened))

    def _first(self, ranked: FloatArray) -> BoolArray:
        """Return the assets that rank highest, (n,): all that are not counted, and as many counted ones as may be."""
        order = np.argsort(-ranked, kind="stable")
        counted = self.book.counted[order]
        first = np.zeros(ranked.size, dtype=bool)
        first[order[~counted | (np.cumsum(counted) <= self.book.most)]] = True
        return first

    def _relax(self, branch: Branch, enough: float = GOOD_ENOUGH) -> Relaxed | None:
        """Return the relaxation of a branch with points put where it was too high; None where nothing is within.

        It stops where it is ``enough`` above the income at most, as a share of the money.

        Its weights are tried as they are, so ``best`` may improve.
        """
        relaxed = self._solve(branch)
        for _ in range(_ROUNDS):
            if relaxed is None:
                return None
            self._try(relaxed.weights)
            wrong = np.flatnonzero(relaxed.above > enough / relaxed.above.size)
            placed = [self._add(int(asset), float(relaxed.weights[asset])) for asset in wrong]
            if not any(placed):
                break
            relaxed = self._solve(branch)
        return relaxed

    def _solve(self, branch: Branch) -> Relaxed | None:
        """Solve the linear program over the vertices of a branch; unknowns are the shares of its vertices."""
        book, assets = self.book, len(self.book.incomes)
        owner, x, value = self._vertices(branch)
        if not x.size:
            return None
        if x.size == 1:  # the solver wants more than one unknown
            owner, x, value = np.repeat(owner, 2), np.repeat(x, 2), np.repeat(value, 2)
        held = np.equal.outer(np.arange(assets), owner).astype(float)
        counted = book.counted[owner].astype(float)
        rows = np.vstack([x, -x, book.shares[:, owner] * x, counted[None], held, -held[branch.opened]])
        values = [1.0, -1.0, *book.caps, book.most, *np.ones(assets), *-np.ones(int(branch.opened.sum()))]
        program = Program(-value, rows, np.array(values), np.zeros(x.size), np.ones(x.size))
        try:
            share, dual = run(program)
        except SolverFailed:
            if conflict(book, branch) is not None:
                return None
            share, dual = run(program, VARIANTS[-1])
        groups = book.caps.size
        prices = Prices(float(dual[0] - dual[1]), dual[2 : 2 + groups], float(dual[2 + groups]))
        weights = np.einsum("ij,j->i", held, share * x)
        credited = np.einsum("ij,j->i", held, share * value)
        open_share = np.einsum("ij,j->i", held, share)
        bound = self._bound(branch, owner, x, value, prices)
        return Relaxed(bound, weights, open_share, self._above(weights, open_share, credited), prices)

    def _above(self, weights: FloatArray, open_share: FloatArray, credited: FloatArray) -> FloatArray:
        """Return by how much the line is above the income at the weights, what is paid for opening left out."""
        book = self.book
        true = book.each(weights)
        return credited + book.fixed * open_share - true

    def _bound(self, branch: Branch, owner: Indices, x: FloatArray, value: FloatArray, prices: Prices) -> float:
        book = self.book
        per_weight = prices.money + (prices.groups[:, None] * book.shares).sum(axis=0)
        gain = value - per_weight[owner] * x - prices.pool * book.counted[owner]
        best = np.full(len(book.incomes), -math.inf)
        np.maximum.at(best, owner, gain)
        best = np.where(branch.closed, 0.0, np.where(branch.opened, best, np.maximum(best, 0.0)))
        return math.fsum([*best, prices.money, *(prices.groups * book.caps), prices.pool * book.most])

    def _vertices(self, branch: Branch) -> tuple[Indices, FloatArray, FloatArray]:
        """Return owner, weight and value less the cost of opening of every vertex of a branch, each (n_vertices,)."""
        owners, xs, values = [], [], []
        for asset in np.flatnonzero(~branch.closed):
            x, value = self._line(int(asset))
            low, high = np.searchsorted(self.points[asset], [branch.low[asset], branch.up[asset]])
            inside = slice(2 * int(low), 2 * int(high) + 1)
            owners.append(np.full(x[inside].size, asset))
            xs.append(x[inside])
            values.append(value[inside] - self.book.fixed[asset])
        if not owners:
            return np.empty(0, dtype=int), np.empty(0), np.empty(0)
        return np.concatenate(owners), np.concatenate(xs), np.concatenate(values)

    def _line(self, asset: int) -> tuple[FloatArray, FloatArray]:
        """Return the vertices of the line above an asset's income, in weights and shares of the money."""
        line = self.lines[asset]
        if line is None:
            x, value = self.book.incomes[asset].above(self.points[asset] * self.book.amount_usd)
            line = self.lines[asset] = x / self.book.amount_usd, value / self.book.amount_usd
        return line

    def _first_points(self, asset: int) -> FloatArray:
        low, up = float(self.book.low[asset]), max(float(self.book.low[asset]), float(self.book.up[asset]))
        bends = [bend / self.book.amount_usd for bend in self.book.incomes[asset].breaks()]
        even = low + (up - low) * (np.arange(PIECES + 1) / PIECES) ** 2
        return np.unique([*even[1:-1], low, up, *(bend for bend in bends if low < bend < up)])

    def _add(self, asset: int, weight: float) -> bool:
        """Let the line above an asset touch at a weight; return False where it (nearly) does already."""
        points = self.points[asset]
        if not points[0] < weight < points[-1] or float(np.abs(points - weight).min()) < _DUST:
            return False
        self.points[asset] = np.insert(points, int(np.searchsorted(points, weight)), weight)
        self.lines[asset] = None
        return True

    def _try(self, weights: FloatArray) -> None:
        """Take weights as the best so far where they keep the limits and beat it."""
        book = self.book
        settled = _settled(weights, book)
        if settled is None:
            return
        value = book.value(settled)
        if self.best is None or value > self.best[0]:
            self.best = value, settled

    def _children(self, branch: Branch, relaxed: Relaxed) -> list[Branch]:
        """Split a branch where its relaxation is most wrong; nothing where it is right."""
        book, share, weights = self.book, relaxed.open_share, relaxed.weights
        undecided = ~branch.opened & ~branch.closed & (share > _DUST)
        crowded = bool((share > _DUST)[book.counted].sum() > book.most)
        jump = (
            book.fixed * (1.0 - share)
            + np.maximum(branch.low - weights, 0.0)
            + crowded * np.minimum(share, 1.0 - share)
        )
        jump = np.where(undecided, jump, 0.0)
        wrong = jump + np.maximum(relaxed.above, 0.0)
        asset = int(np.argmax(wrong))
        if wrong[asset] <= GOOD_ENOUGH / wrong.size:
            return []
        mark = np.arange(wrong.size) == asset
        if jump[asset] > 0.0:
            return [branch._replace(opened=branch.opened | mark), branch._replace(closed=branch.closed | mark)]
        self._add(asset, float(weights[asset]))
        middle = self.points[asset][int(np.argmin(np.abs(self.points[asset] - weights[asset])))]
        if not branch.low[asset] < middle < branch.up[asset]:
            return []
        below = branch._replace(up=np.where(mark, middle, branch.up))
        beyond = branch._replace(low=np.where(mark, middle, branch.low), opened=branch.opened | mark)
        return [below, beyond]


def conflict(book: Book, branch: Branch) -> list[str] | None:
    """Return which limits leave a branch no weights: "groups[i]", "most", "up", "low"; None where there are some.

    The least total by which limits must give way is a linear program; those with a price in it are in conflict.
    """
    assets = len(book.incomes)
    if int((branch.opened & book.counted).sum()) > book.most:
        return ["most"]
    one, zero = np.ones(assets), np.zeros(assets)
    rows = np.vstack(
        [
            np.concatenate([one, zero, [-1.0]]),
            np.concatenate([-one, zero, [-1.0]]),
            np.hstack([book.shares, np.zeros_like(book.shares), -np.ones((book.caps.size, 1))]),
            np.concatenate([zero, book.counted.astype(float), [0.0]]),
            np.hstack([np.eye(assets), -np.diag(branch.up), np.zeros((assets, 1))]),
            np.hstack([-np.eye(assets), np.diag(branch.low), np.zeros((assets, 1))]),
        ]
    )
    values = np.concatenate([[1.0, -1.0], book.caps, [book.most], zero, zero])
    least, largest = np.zeros(2 * assets + 1), np.ones(2 * assets + 1)
    least[assets:-1], largest[assets:-1], largest[-1] = branch.opened, ~branch.closed, assets + 1.0
    unknowns, prices = run(Program(np.concatenate([zero, zero, [1.0]]), rows, values, least, largest))
    if unknowns[-1] <= _DUST:
        return None
    priced = prices > _DUST
    names = [f"groups[{group}]" for group in np.flatnonzero(priced[2 : 2 + book.caps.size])]
    rest = priced[2 + book.caps.size :]
    return [
        *names,
        *(["most"] if rest[0] else []),
        *(["up"] if rest[1 : 1 + assets].any() else []),
        *(["low"] if rest[1 + assets :].any() else []),
    ]


def _settled(weights: FloatArray, book: Book) -> FloatArray | None:
    """Take the rounding residue out of a solver's weights; None where they break a limit by more than that."""
    opened = weights > _DUST
    if int((opened & book.counted).sum()) > book.most or (opened & (weights < book.low - _DUST)).any():
        return None
    clipped = np.where(opened, np.clip(weights, book.low, book.up), 0.0)
    missing = 1.0 - math.fsum(clipped)
    room = np.where(opened, book.up - clipped if missing > 0.0 else clipped - book.low, 0.0)
    if room.sum() > 0.0:
        clipped = np.clip(clipped + missing * room / room.sum(), 0.0, book.up)
    over = (book.shares * clipped).sum(axis=1) - book.caps
    amiss = max(abs(1.0 - math.fsum(clipped)), float(over.max(initial=0.0)))
    return clipped if amiss <= _DUST else None
