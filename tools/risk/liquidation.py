"""How far a leveraged position is from being liquidated: by a fall of its collateral, and by the drift of its debt.

The conventions are those of Aave (https://aave.com/help/borrowing/liquidations): the health factor is the sum over the
collateral of amount · price · liquidation threshold, over the debt; below 1 the position may be liquidated. Prices are
in the unit of the debt: for a staking token borrowed against in ether that is its price in ether, not in dollars.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from pydantic import Field

from tools.records import LimitState, Record
from tools.risk.thresholds import load_thresholds
from tools.units import DAYS_PER_YEAR


class Collateral(Record):
    """Some tokens posted: how many, at what price in the unit of the debt, and the share of it that counts."""

    amount: Annotated[float, Field(gt=0.0)]
    price: Annotated[float, Field(gt=0.0)]
    threshold: Annotated[float, Field(gt=0.0, le=1.0)]

    @property
    def value(self) -> float:
        """Return amount · price."""
        return self.amount * self.price


class Liquidation(NamedTuple):
    """The distance of a position to liquidation.

    ``distance`` is the common fall of all collateral prices (a fraction) that brings the health factor to 1; 0 where it
    is 1 or less already. ``prices`` are the collateral's prices then, in the order given. ``leverage`` is collateral
    over equity, None where the debt eats all of it. Without debt nothing can be liquidated: ``health``, ``distance``
    and ``prices`` are None and ``reason`` says so.
    """

    health: float | None
    distance: float | None
    prices: tuple[float, ...] | None
    leverage: float | None
    state: LimitState
    reason: str | None


class Drift(NamedTuple):
    """Days until the interest alone brings the health factor to 1; None, with the reason, where it never does."""

    days: float | None
    reason: str | None


class Loop(NamedTuple):
    """A position looped n times: collateral and debt per unit of own money, and the leverage (collateral / own)."""

    collateral: float
    debt: float
    leverage: float


def liquidation(collateral: Sequence[Collateral], debt: float, same_asset: bool = False) -> Liquidation:
    """Return health factor, distance and state of a position: collateral against ``debt`` (in its own unit).

    Distance d solves health · (1 − d) = 1, so d = 1 − 1 / health: with one kind of collateral its price may fall by d.
    The state follows from the distances of ``data/thresholds.toml``; ``same_asset`` says that collateral and debt
    follow one price (staked ether against ether). Raises ValueError for no collateral, or a debt that is negative or
    not finite.
    """
    if not collateral:
        raise ValueError("a position needs collateral")
    if not 0.0 <= debt < math.inf:
        raise ValueError(f"the debt is {debt}, not a number of 0 or more")
    if debt == 0.0:
        return Liquidation(None, None, None, 1.0, "normal", "no debt: nothing can be liquidated")
    total = math.fsum(part.value for part in collateral)
    if not 0.0 < total / debt < math.inf:
        raise ValueError("collateral and debt are so far apart that a number cannot hold their ratio")
    health = math.fsum(part.value * part.threshold for part in collateral) / debt
    distance = max(0.0, 1.0 - 1.0 / health)
    prices = tuple(part.price / health for part in collateral)
    leverage = total / (total - debt) if total > debt else None
    state = load_thresholds().liquidation["same_asset" if same_asset else "other_asset"].state(distance)
    return Liquidation(health, distance, prices, leverage, state, None)


def looped(loan_to_value: float, loops: int) -> Loop:
    """Return what n loops make of one unit of own money: borrow ``loan_to_value`` of each deposit and deposit it again.

    Collateral 1 + l + … + l^n = (1 − l^(n+1)) / (1 − l), debt one less. Zero loops are the deposit alone. Raises
    ValueError unless 0 <= loan_to_value < 1 and loops >= 0.
    """
    if not 0.0 <= loan_to_value < 1.0:
        raise ValueError(f"the loan to value is {loan_to_value}, not a fraction below 1")
    if loops < 0:
        raise ValueError(f"{loops} loops")
    collateral = math.fsum(loan_to_value**turn for turn in range(loops + 1))
    return Loop(collateral, collateral - 1.0, collateral)


def days_to_liquidation(health: float, borrow_apy: float, growth_apy: float) -> Drift:
    """Return after how many days a health factor reaches 1 at constant prices, by interest alone.

    The debt grows at ``borrow_apy``, the collateral at ``growth_apy`` (its own yield; fractions per year, compounded):
    health · ((1 + growth) / (1 + borrow))^(days / 365) = 1. None where the debt does not outgrow the collateral. Raises
    ValueError for a health factor that is not positive and finite, or a rate not above −1 or not finite.
    """
    if not 0.0 < health < math.inf:
        raise ValueError(f"the health factor is {health}, not a positive number")
    for name, rate in (("borrow_apy", borrow_apy), ("growth_apy", growth_apy)):
        if not -1.0 < rate < math.inf:
            raise ValueError(f"{name} is {rate}, not a finite rate above -1")
    if health <= 1.0:
        return Drift(0.0, None)
    drift = math.log1p(borrow_apy) - math.log1p(growth_apy)
    if drift <= 0.0:
        return Drift(None, "the collateral grows at least as fast as the debt")
    return Drift(DAYS_PER_YEAR * math.log(health) / drift, None)
