"""At which APY of the day a pool leaves the chosen set, or enters it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tools.counterfactual.records import Decided, Flip, Probe
from tools.counterfactual.solving import Decide
from tools.records import Mandate
from tools.units import BASIS_POINTS

MOST_EVALUATIONS = 16
HIGHEST_APY = 1.0
HIGHEST_MULTIPLE, HIGHEST_RISE = 3.0, 0.10
_DOWN = (0.75, 0.5, 0.25, 0.0)
_UP = (0.125, 0.25, 0.5, 1.0)  # of the way to the bound: what enters, enters near
_ROUNDING = 1e-9  # of a basis point

STAYS = "it is held at every rate that was tried, down to zero"
STAYS_OUT = "it is held at no rate that was tried"


def flip_point(
    decide: Decide,
    mandate: Mandate,
    base: Decided,
    pool_id: str,
    apy: float,
    *,
    most: int = MOST_EVALUATIONS,
    highest: float | None = None,
) -> Flip:
    """Search the APY of the day at which a pool changes sides: a held one downward to 0, another one upward.

    Parameters
    ----------
    base
        What was decided at the rates of the day.
    apy
        The pool's APY of the day, a fraction.
    most
        Problems that may be solved, at least 1; where they run out, the two rates lie farther apart.
    highest
        The largest APY to try for a pool that is not held; by default three times its own or ten percentage points
        more, whichever is larger, and at most 1 (100 % a year).

    Notes
    -----
    All else is held equal: the pool's own history (so its volatility, trend and 30-day mean), its size, every other
    pool's rate, the hazards, the mandate. Base and reward go with the rate in proportion. Of the draws of the
    simulation those that are named by the pool's figures change with its rate, as they would on another day.

    Four rates far apart are solved first, then whole basis points between the nearest two on different sides are
    halved. Nothing makes the answer monotone: a rate far above a pool's own average is refused as a spike, a high one
    may break the limit on multiples of the market's. ``again_at`` tells when the first four rates show that.
    """
    search = _Search(decide, mandate, pool_id, pool_id in base.weights, apy * BASIS_POINTS, most)
    rates = _rates_down(search.own_bps) if search.held else _rates_up(search.own_bps, highest)
    found = search.halved(search.nearest(rates))
    return search.flip(apy, found)


@dataclass
class _Search:
    """Rates in basis points: ``own_bps`` is the pool's own, on side ``held``; ``sides`` holds what was solved."""

    decide: Decide
    mandate: Mandate
    pool_id: str
    held: bool
    own_bps: float
    most: int
    sides: dict[int, bool] = field(default_factory=dict)

    def holds(self, rate_bps: int) -> bool:
        if rate_bps not in self.sides:
            outcome = self.decide(self.mandate, {self.pool_id: rate_bps / BASIS_POINTS})
            self.sides[rate_bps] = self.pool_id in outcome.weights
        return self.sides[rate_bps]

    def nearest(self, rates: Sequence[int]) -> tuple[float, int] | None:
        """Solve the rates, nearest first, and return (last on the pool's own side, first on the other)."""
        tried = rates[: self.most]
        for rate in tried:
            self.holds(rate)
        first = next((n for n, rate in enumerate(tried) if self.sides[rate] != self.held), None)
        return None if first is None else (tried[first - 1] if first else self.own_bps, tried[first])

    def halved(self, ends: tuple[float, int] | None) -> tuple[float, int] | None:
        """Halve the distance until it is one basis point or the evaluations run out."""
        while ends is not None and (middle := _between(*ends)) is not None and len(self.sides) < self.most:
            near, far = ends
            ends = (middle, far) if self.holds(middle) == self.held else (near, middle)
        return ends

    def flip(self, apy: float, ends: tuple[float, int] | None) -> Flip:
        near, far = (None, None) if ends is None else (_rate(ends[0], apy), ends[1] / BASIS_POINTS)
        return Flip(
            pool_id=self.pool_id,
            apy=apy,
            held=self.held,
            kept_at=near if self.held else far,
            gone_at=far if self.held else near,
            again_at=None if ends is None else self._again(ends[1]),
            evaluations=len(self.sides),
            probes=[Probe(apy=rate / BASIS_POINTS, held=side) for rate, side in sorted(self.sides.items())],
            reason=None if ends is not None else STAYS if self.held else STAYS_OUT,
        )

    def _again(self, far: int) -> float | None:
        """Return the nearest rate beyond the flip at which the pool was seen on its own side again."""
        beyond = [rate for rate, side in self.sides.items() if side == self.held and (rate < far) == self.held]
        return min(beyond, key=lambda rate: abs(rate - far)) / BASIS_POINTS if beyond else None


def _rate(bps: float, apy: float) -> float:
    """Return a rate as a fraction; the pool's own as it was given, not by way of basis points."""
    return bps / BASIS_POINTS if isinstance(bps, int) else apy


def _rates_down(own_bps: float) -> list[int]:
    whole = [math.floor(own_bps * part + _ROUNDING) for part in _DOWN]
    return [rate for rate in dict.fromkeys(whole) if rate < own_bps - _ROUNDING]


def _rates_up(own_bps: float, highest: float | None) -> list[int]:
    if highest is None:
        own = own_bps / BASIS_POINTS
        highest = min(HIGHEST_APY, max(HIGHEST_MULTIPLE * own, own + HIGHEST_RISE))
    way = highest * BASIS_POINTS - own_bps
    whole = [math.ceil(own_bps + way * part - _ROUNDING) for part in _UP]
    return [rate for rate in dict.fromkeys(whole) if rate > own_bps + _ROUNDING]


def _between(near: float, far: int) -> int | None:
    """Return a whole number of basis points halfway between two rates; None when none lies between."""
    distance = abs(near - far)
    if distance <= 1.0 + _ROUNDING:
        return None
    steps = max(1, math.floor(distance / 2.0))
    return far + steps if near > far else far - steps
