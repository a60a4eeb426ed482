"""What a deposit earns a year, and where that is concave: checked, not assumed.

On each stretch of deposits the rate is flat + root · √(N/(N + x)) + shared · k + square · k², k = D/(D + x), so that
the income f(x) = x · rate(x) has, with the root left out,

    f'(x)  = flat + shared · k² + square · k² (2k − 1)
    f''(x) = 2 D² (D + x)⁻⁴ · ((square − shared) · x − D · (shared + 2 · square))

whose sign is that of a line in x: at most one inflection a stretch, known in closed form. The root's part is concave
everywhere: x √(N/(N + x)) has the second derivative −√N (N + x)^(−5/2) (N + x/4).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

from evals.regret.markets import Flat, Lender, Pool, Root, Shared, Square


class Stretch(NamedTuple):
    """The rate for deposits from ``low`` to ``high`` dollars, by its four coefficients (see the module)."""

    low: float
    high: float
    flat: float
    root: float
    shared: float
    square: float

    def concave_until(self, deposits_usd: float) -> tuple[float, bool]:
        """Return where the curvature changes, and whether the income is concave before; infinity where it never does.

        Raises ValueError for a root beside a part that is not concave: the formats of ``markets`` have none.
        """
        if self.root != 0.0:
            if self.shared < 0.0 or self.square != 0.0 or self.root < 0.0:
                raise ValueError("a root beside a part that is not concave: its curvature is not known")
            return math.inf, True
        rise, start = self.square - self.shared, -deposits_usd * (self.shared + 2.0 * self.square)
        turn = -start / rise if rise != 0.0 else math.inf
        if not 0.0 < turn < math.inf:
            return math.inf, start + rise * deposits_usd <= 0.0  # one sign for all x ≥ 0, as at x = D
        return turn, start <= 0.0


class Piece(NamedTuple):
    """Deposits from ``low`` to ``high`` dollars on which the income is concave, or convex, and one formula holds."""

    low: float
    high: float
    concave: bool
    stretch: Stretch


@dataclass(frozen=True, slots=True)
class Income:
    """The income of a position in a pool, dollars a year, before the cost of entering."""

    deposits_usd: float
    network_usd: float
    stretches: tuple[Stretch, ...]

    def value(self, x_usd: float) -> float:
        """Return the income of a deposit of ``x_usd`` ≥ 0."""
        return self.value_on(self._at(x_usd), x_usd)

    def value_on(self, stretch: Stretch, x_usd: float) -> float:
        """Return the income by the formula of one stretch."""
        kept = self.deposits_usd / (self.deposits_usd + x_usd)
        root = stretch.root * math.sqrt(self.network_usd / (self.network_usd + x_usd))
        return x_usd * (stretch.flat + root + stretch.shared * kept + stretch.square * kept * kept)

    def marginal_on(self, stretch: Stretch, x_usd: float) -> float:
        """Return the derivative of ``value_on``."""
        kept = self.deposits_usd / (self.deposits_usd + x_usd)
        of_network = self.network_usd / (self.network_usd + x_usd)
        root = stretch.root * math.sqrt(of_network) * (1.0 + of_network) / 2.0
        return stretch.flat + root + kept * kept * (stretch.shared + stretch.square * (2.0 * kept - 1.0))

    def pieces(self, low: float, high: float) -> tuple[Piece, ...]:
        """Return the pieces, in ascending order, that make up the deposits from ``low`` to ``high``."""
        found: list[Piece] = []
        for stretch in self.stretches:
            turn, concave = stretch.concave_until(self.deposits_usd)
            for start, end, shape in ((stretch.low, turn, concave), (turn, stretch.high, not concave)):
                first, last = max(start, stretch.low, low), min(end, stretch.high, high)
                if first < last or (first == last == low == high and not found):
                    found.append(Piece(first, last, shape, stretch))
        return tuple(found)

    def concave(self, high: float) -> bool:
        """Tell whether the income is concave from 0 to ``high``: on every piece, and across every kink."""
        pieces = self.pieces(0.0, high)
        if not all(piece.concave for piece in pieces):
            return False
        joints = itertools.pairwise(pieces)
        return all(
            self.marginal_on(after.stretch, after.low) <= self.marginal_on(before.stretch, before.high) + 1e-15
            for before, after in joints
        )

    def _at(self, x_usd: float) -> Stretch:
        return next(stretch for stretch in self.stretches if x_usd <= stretch.high)


def income_of(pool: Pool) -> Income:
    """Return the income of a position in a pool: its curve, its rewards, less what is lost in a mean year."""
    deposits, network = pool.deposits_usd, 1.0
    reward = pool.reward_usd_per_year / deposits
    curve = pool.curve
    if isinstance(curve, Lender):
        return Income(deposits, network, tuple(_lender(curve, deposits, reward, pool.expected_loss)))
    flat, root, shared, square = -pool.expected_loss, 0.0, reward, 0.0
    if isinstance(curve, Flat):
        flat += curve.rate
    elif isinstance(curve, Root):
        root, network = curve.rate, curve.network_usd
    elif isinstance(curve, Shared):
        shared += curve.usd_per_year / deposits
    elif isinstance(curve, Square):
        square = curve.rate
    return Income(deposits, network, (Stretch(0.0, math.inf, flat, root, shared, square),))


def _lender(curve: Lender, deposits: float, reward: float, loss: float) -> list[Stretch]:
    """Write u · r(u) · (1 − reserve factor), u = u₀ k, as powers of k: above the kink, then below it."""
    used, kept = curve.borrowed_usd / deposits, 1.0 - curve.reserve_factor

    def stretch(low: float, high: float, intercept: float, slope: float) -> Stretch:
        return Stretch(low, high, -loss, 0.0, reward + kept * intercept * used, kept * slope * used * used)

    until = max(0.0, curve.borrowed_usd / curve.kink - deposits)  # the deposit that takes utilisation to the kink
    steep = curve.slope_high / (1.0 - curve.kink)
    below = stretch(until, math.inf, curve.base_rate, curve.slope_low / curve.kink)
    above = stretch(0.0, until, curve.base_rate + curve.slope_low - steep * curve.kink, steep)
    return [above, below] if until > 0.0 else [below]


def rate_at(pool: Pool, x_usd: float) -> float:
    """Return the annual rate on a deposit, before losses and the cost of entering."""
    return apy_parts(pool, x_usd)[0] + apy_parts(pool, x_usd)[1]


def apy_parts(pool: Pool, x_usd: float = 0.0) -> tuple[float, float]:
    """Return the rate without and of rewards with ``x_usd`` in the pool, straight from the curve's own definition."""
    deposits, curve = pool.deposits_usd + x_usd, pool.curve
    if isinstance(curve, Flat):
        base = curve.rate
    elif isinstance(curve, Root):
        base = curve.rate * math.sqrt(curve.network_usd / (curve.network_usd + x_usd))
    elif isinstance(curve, Shared):
        base = curve.usd_per_year / deposits
    elif isinstance(curve, Square):
        base = curve.rate * (pool.deposits_usd / deposits) ** 2
    else:
        base = supply_rate(curve, curve.borrowed_usd / deposits)
    return base, pool.reward_usd_per_year / deposits


def borrow_rate(curve: Lender, utilisation: float) -> float:
    """Return the annual borrow rate at a utilisation."""
    if utilisation <= curve.kink:
        return curve.base_rate + curve.slope_low * utilisation / curve.kink
    above = (utilisation - curve.kink) / (1.0 - curve.kink)
    return curve.base_rate + curve.slope_low + curve.slope_high * above


def supply_rate(curve: Lender, utilisation: float) -> float:
    """Return what depositors get a year at a utilisation."""
    return utilisation * borrow_rate(curve, utilisation) * (1.0 - curve.reserve_factor)
