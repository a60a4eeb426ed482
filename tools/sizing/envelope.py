"""What a position earns a year after its costs, and straight lines that are proven to lie above it.

Income and costs are sums of terms that are concave or convex between known points. Between two of these points a
concave term lies below its tangents at both ends, a convex term below its chord; so their sum lies below the line
through three vertices, and is met by it at both ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.risk.costs import PEGGED_SHARE
from tools.sizing.dilution import Leg, RateCurve, Term
from tools.units import FloatArray

BoolArray = npt.NDArray[np.bool_]


class Leaving(NamedTuple):
    """What leaving a pool of ``tokens`` tokens into one of them costs (``tools.risk.costs.exit_cost``).

    A share s = x/T of the pool loses (x/n) Σ_{k<n} (1 − (1 − s)^k) = x − (T/n)(1 − (1 − s)^n) dollars. It is convex in
    x, as its second derivative is (n − 1)(1 − s)^(n − 2)/T; 0 for a single token.
    """

    tvl_usd: float
    tokens: int
    pegged: bool = False

    def cost(self, x_usd: FloatArray) -> FloatArray:
        """Return the dollars lost on leaving with positions of ``x_usd`` (any shape) of at most the TVL."""
        lost = self._lost(x_usd)
        return np.asarray(self._factor * x_usd / self.tokens * sum(lost, np.zeros_like(x_usd)))

    def marginal(self, x_usd: FloatArray) -> FloatArray:
        """Return the derivative of ``cost``."""
        return np.asarray(self._factor * self._lost(x_usd)[-1])

    def _lost(self, x_usd: FloatArray) -> list[FloatArray]:
        """Return 1 − (1 − s)^k for k = 0 … n − 1, without the cancellation of that form at small s."""
        share, lost = x_usd / self.tvl_usd, [np.zeros_like(x_usd)]
        for _ in range(self.tokens - 1):
            lost.append(lost[-1] + share * (1.0 - lost[-1]))
        return lost

    @property
    def _factor(self) -> float:
        return PEGGED_SHARE if self.pegged else 1.0


@dataclass(frozen=True, slots=True)
class NetIncome:
    """Dollars a year of a position, before the fixed cost of opening it.

    x · rate(x) − ``loss`` · x − ``per_year`` · leaving(x); ``per_year`` is how often a year what is paid once counts.
    """

    curve: RateCurve
    loss: float
    leaving: Leaving | None
    per_year: float

    def value(self, x_usd: FloatArray) -> FloatArray:
        """Return the income of positions of ``x_usd`` (any shape)."""
        income = -self.loss * x_usd
        for low, leg in self._legs():
            inside = ((x_usd > low) | (low == 0.0)) & (x_usd <= leg.until_usd)
            income = income + np.where(inside, sum(_income(term, x_usd) for term in leg.terms), 0.0)
        return np.asarray(income if self.leaving is None else income - self.per_year * self.leaving.cost(x_usd))

    def marginal(self, x_usd: float) -> float:
        """Return what one more dollar adds a year; at a kink, what the last one did."""
        leaving = 0.0 if self.leaving is None else float(self.leaving.marginal(np.array(x_usd)))
        return self.curve.marginal(x_usd) - self.loss - self.per_year * leaving

    def breaks(self) -> list[float]:
        """Return the positions at which a term changes from concave to convex, and the kinks."""
        ends = [leg.until_usd for leg in self.curve.legs if math.isfinite(leg.until_usd)]
        bends = [2.0 * t.base_usd for leg in self.curve.legs for t in leg.terms if t.power == 2]
        return sorted({*ends, *bends})

    def above(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return vertices (x, value), each (2·n_points − 1,), of a line above the income; equal to it at ``points``.

        ``points`` (n_points,) ascend and hold every one of ``breaks`` that lies between the first and the last.
        """
        left, right = points[:-1], points[1:]
        tangents, chords = self._parts(left, right)
        turn = _meeting(left, right, tangents)
        over = np.maximum(
            tangents.at_left + tangents.slope_left * (turn - left),
            tangents.at_right + tangents.slope_right * (turn - right),
        )
        share = np.divide(turn - left, right - left)
        x, value = np.empty(2 * points.size - 1), np.empty(2 * points.size - 1)
        x[::2], value[::2] = points, self.value(points)
        x[1::2], value[1::2] = turn, over + chords.at_left + (chords.at_right - chords.at_left) * share
        return x, value

    def _legs(self) -> list[tuple[float, Leg]]:
        ends = [0.0, *(leg.until_usd for leg in self.curve.legs)]
        return list(zip(ends, self.curve.legs, strict=False))

    def _parts(self, left: FloatArray, right: FloatArray) -> tuple[_Ends, _Ends]:
        """Return the sums of the concave and of the convex terms at both ends of each piece."""
        tangents, chords = _Ends.none(left.size), _Ends.none(left.size)
        middle = (left + right) / 2.0
        for low, leg in self._legs():
            inside = (middle > low) & (middle <= leg.until_usd)
            for term in leg.terms:
                ends, concave = _Ends.of(term, left, right), _concave(term, middle)
                tangents, chords = tangents.plus(ends, inside & concave), chords.plus(ends, inside & ~concave)
        line = _Ends(-self.loss * left, -self.loss * right, *[np.full(left.size, -self.loss)] * 2)
        tangents = tangents.plus(line, np.ones(left.size, dtype=bool))
        if self.leaving is not None:
            values = (self.leaving.cost(left), self.leaving.cost(right))
            slopes = (self.leaving.marginal(left), self.leaving.marginal(right))
            cost = _Ends(*(-self.per_year * part for part in (*values, *slopes)))
            tangents = tangents.plus(cost, np.ones(left.size, dtype=bool))
        return tangents, chords


class _Ends(NamedTuple):
    """Values and slopes at the left and the right end of each piece, each (n_pieces,)."""

    at_left: FloatArray
    at_right: FloatArray
    slope_left: FloatArray
    slope_right: FloatArray

    @classmethod
    def none(cls, pieces: int) -> _Ends:
        return cls(*[np.zeros(pieces)] * 4)

    @classmethod
    def of(cls, term: Term, left: FloatArray, right: FloatArray) -> _Ends:
        return cls(_income(term, left), _income(term, right), _slope(term, left), _slope(term, right))

    def plus(self, other: _Ends, where: BoolArray) -> _Ends:
        return _Ends(*(mine + np.where(where, its, 0.0) for mine, its in zip(self, other, strict=True)))


def _income(term: Term, x_usd: FloatArray) -> FloatArray:
    kept = term.base_usd / (term.base_usd + x_usd)
    return np.asarray(term.coefficient * x_usd * kept**term.power)


def _slope(term: Term, x_usd: FloatArray) -> FloatArray:
    kept = term.base_usd / (term.base_usd + x_usd)
    return np.asarray(term.coefficient * kept**term.power * (1.0 - term.power * (1.0 - kept)))


def _concave(term: Term, x_usd: FloatArray) -> BoolArray:
    """Tell where x · c · (b/(b + x))^p is concave: p = 1 for c ≥ 0, p = 2 for c ≥ 0 up to x = 2b, beyond for c < 0."""
    if term.power == 2:
        return np.asarray((x_usd <= 2.0 * term.base_usd) == (term.coefficient >= 0.0))
    return np.full(x_usd.shape, term.power == 0 or term.coefficient >= 0.0)


def _meeting(left: FloatArray, right: FloatArray, ends: _Ends) -> FloatArray:
    """Return where the tangents at both ends meet; the middle where they are (nearly) the same line."""
    bend = ends.slope_left - ends.slope_right
    gap = ends.at_right - ends.at_left + ends.slope_left * left - ends.slope_right * right
    middle = (left + right) / 2.0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        turn = np.where(bend > 0.0, gap / bend, middle)
    return np.asarray(np.where((turn > left) & (turn < right), turn, middle))
