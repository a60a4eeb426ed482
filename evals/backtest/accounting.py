"""The book of one strategy from its first decision to the end: what is moved, paid, earned and lost, day by day.

A pure pass in the order of time. Interest stays where it arose until the next decision. Each decision that differs from
the last is carried out in full, every leg: it pays the gas of a visit, the slippage of its pool at the size that is
moved, and, where money changes chain, one crossing to or from Ethereum with the gas of a transaction on that chain. The
money comes from Ethereum and goes back there at the end. Nothing is declined for costing too much, save by
``paid_back``.

A cost that nobody knows is not charged and is named. Money in a pool that stops reporting earns nothing after three
days and cannot move before the next decision; it is then taken out in full, which nobody can be sure of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from evals.backtest.realised import Realised
from evals.backtest.records import Basis, Decision, Earned, Event, Holding, Rebalancing
from tools.errors import UsageError
from tools.forecast.rebalancing import PAYBACK_DAYS
from tools.market.names import canonical_chain
from tools.market.quality import MAX_GAP_DAYS
from tools.risk.costs import RECORDED_CHAIN, Cost
from tools.sizing import break_even_days
from tools.units import FloatArray, daily_return, significant


class Book(NamedTuple):
    """What a strategy came to: its value at the end of each day (n_days + 1,), in parts of the money put in.

    The value of a day is before what that evening's decision costs, and the last one after everything is sold. Idle and
    unpaid days count days without any position and pool-days without a report.
    """

    value: FloatArray
    rebalancings: list[Rebalancing]
    events: list[Event]
    earned: list[Earned]
    idle_days: int
    unpaid_days: int

    @property
    def returns(self) -> FloatArray:
        """Return the simple daily returns (n_days,)."""
        return np.asarray(self.value[1:] / self.value[:-1] - 1.0)


class _Position(NamedTuple):
    """Dollars in a pool."""

    holding: Holding
    usd: float


_Positions = Mapping[str, _Position]


def follow(decisions: Mapping[str, Decision], realised: Realised, amount_usd: float, basis: Basis) -> Book:
    """Keep the book of a strategy; ``decisions`` are by day, the first on the first day of ``realised``.

    ``basis`` gross leaves costs, dilution and exploits out; net has them; priced moves with the prices of the tokens
    too. Raises UsageError where costs take everything.
    """
    ledger = _Ledger(realised, amount_usd, basis)
    days = sorted(decisions)
    for day, end in zip(days, _ends(days, realised), strict=True):
        ledger.carry_out(decisions[day])
        ledger.advance(end)
    return ledger.close()


def paid_back(decisions: Mapping[str, Decision], realised: Realised, amount_usd: float) -> dict[str, Decision]:
    """Leave out every decision that would not pay back what moving to it costs within ``PAYBACK_DAYS``.

    By the rates of its day, at size, of what is held and of what would be. The first decision is carried out, a "no"
    is, and one that leaves a pool that has stopped reporting is: none of these is about a better rate.
    """
    ledger, kept = _Ledger(realised, amount_usd, "net"), {}
    days = sorted(decisions)
    for day, end in zip(days, _ends(days, realised), strict=True):
        if ledger.is_due(decisions[day]):
            kept[day] = decisions[day]
            ledger.carry_out(decisions[day])
        ledger.advance(end)
    return kept


def _ends(days: Sequence[str], realised: Realised) -> list[int]:
    """Return for each decision the number of the day on which the next one is made, or the last day."""
    return [*(realised.number(day) for day in days[1:]), realised.days]


class _Ledger:
    """The state of a book at the end of a day, and everything written into it so far."""

    def __init__(self, realised: Realised, amount_usd: float, basis: Basis) -> None:
        self._realised, self._amount_usd, self._basis = realised, amount_usd, basis
        self._day = 0
        self._value = np.empty(realised.days + 1)
        self._value[0] = self._idle = amount_usd
        self._held: dict[str, _Position] = {}
        self._decision: Decision | None = None
        self._rebalancings: list[Rebalancing] = []
        self._events: list[Event] = []
        self._stretches: dict[str, list[_Stretch]] = {}
        self._unpaid_days = self._idle_days = 0

    def is_due(self, decision: Decision) -> bool:
        """Tell whether moving to a decision is for more than a rate, or pays its cost back soon enough."""
        if not self._held or not decision.holdings or self._day == 0:
            return True
        if any(self._realised.paid(pool_id).silent[self._day - 1] > MAX_GAP_DAYS for pool_id in self._held):
            return True
        worth = self._worth()
        target = {one.pool_id: one for one in decision.holdings}
        moved, _ = _move(self._held, target, worth, self._realised, self._day, self._basis)
        now = math.fsum(
            one.usd / worth * one.holding.kept * float(self._realised.paid(pool_id).apy[self._day - 1])
            for pool_id, one in self._held.items()
        )
        then = math.fsum(one.weight * one.kept * one.apy for one in decision.holdings)
        wait = break_even_days((moved.gas_usd + moved.slippage_usd + moved.bridge_usd) / worth, then, now).value
        return wait is not None and wait <= PAYBACK_DAYS

    def carry_out(self, decision: Decision) -> None:
        """Move to a decision, unless it repeats the last one."""
        target = {one.pool_id: one for one in decision.holdings}
        if self._decision is None or _weights(decision) != _weights(self._decision):
            moved, left = _move(self._held, target, self._worth(), self._realised, self._day, self._basis)
            self._rebalancings.append(moved)
            self._held = {pool_id: _Position(one, one.weight * left) for pool_id, one in target.items()}
            self._idle = 0.0 if target else left
        else:  # the same pools: only what is known of them is new
            self._held = {pool_id: _Position(target[pool_id], one.usd) for pool_id, one in self._held.items()}
        self._decision = decision

    def advance(self, end: int) -> None:
        """Let the positions earn up to the end of a day."""
        start, held = self._day, self._held
        assert self._decision is not None
        worths = _grown(held, self._realised, start, end, self._basis)
        value = self._idle + np.sum([*worths.values(), np.zeros(end - start)], axis=0)
        self._value[start + 1 : end + 1] = value
        self._events += _events(self._decision.strategy, held, worths, self._realised, start, end)
        self._idle_days += 0 if held else end - start
        for pool_id, one in held.items():
            self._unpaid_days += int((_silent(self._realised, pool_id, start, end) > MAX_GAP_DAYS).sum())
            gained = float(worths[pool_id][-1]) - one.usd
            stretch = _Stretch(one.holding.name, end - start, float(np.sum(worths[pool_id] / value)), gained)
            self._stretches.setdefault(pool_id, []).append(stretch)
        self._held = {pool_id: _Position(one.holding, float(worths[pool_id][-1])) for pool_id, one in held.items()}
        self._day = end

    def close(self) -> Book:
        """Sell everything and return the book."""
        sold, left = _move(self._held, {}, self._worth(), self._realised, self._day, self._basis)
        self._value[-1] = left
        earned = [_brought(pool_id, own) for pool_id, own in sorted(self._stretches.items())]
        moves = [*self._rebalancings, sold]
        value = self._value / self._amount_usd
        return Book(value, moves, self._events, earned, self._idle_days, self._unpaid_days)

    def _worth(self) -> float:
        return math.fsum([self._idle, *(one.usd for one in self._held.values())])


class _Stretch(NamedTuple):
    """A pool between two decisions: its days, the sum of its shares of the book over them, and what it gained."""

    name: str
    days: int
    shares: float
    gained_usd: float


def _brought(pool_id: str, stretches: Sequence[_Stretch]) -> Earned:
    days = sum(one.days for one in stretches)
    return Earned(
        pool_id=pool_id,
        name=stretches[-1].name,
        days=days,
        mean_weight=significant(math.fsum(one.shares for one in stretches) / days, 9),
        earned_usd=significant(math.fsum(one.gained_usd for one in stretches), 9),
    )


def _weights(decision: Decision) -> dict[str, float]:
    return {one.pool_id: one.weight for one in decision.holdings}


def _move(
    held: _Positions, target: Mapping[str, Holding], worth: float, realised: Realised, day: int, basis: Basis
) -> tuple[Rebalancing, float]:
    """Return what moving from positions to target weights costs, and the dollars that are left."""
    weights_after = {pool_id: one.weight for pool_id, one in target.items()}
    weights_before = {pool_id: one.usd / worth for pool_id, one in held.items()}
    legs = [
        (one, (weights_after.get(pool_id, 0.0) - weights_before.get(pool_id, 0.0)) * worth)
        for pool_id, one in sorted({**{key: position.holding for key, position in held.items()}, **target}.items())
    ]
    legs = [(one, usd) for one, usd in legs if abs(usd) > 1e-9 * worth]
    unpriced: list[str] = []
    gas = _summed(
        [realised.gas(one.chain, day, amm=len(one.tokens) > 1) for one, _ in legs], [1.0] * len(legs), unpriced
    )
    sizes = [abs(usd) for _, usd in legs]
    slippage = _summed([realised.slippage(one, abs(usd), day) for one, usd in legs], sizes, unpriced)
    bridging_gas, bridge = _bridged(legs, realised, day, unpriced)
    idle_before, idle_after = 1.0 - math.fsum(weights_before.values()), 1.0 - math.fsum(weights_after.values())
    moved = math.fsum([abs(usd) / worth for _, usd in legs] + [abs(idle_after - idle_before)]) / 2.0
    left = worth - (0.0 if basis == "gross" else gas + slippage + bridge + bridging_gas)
    if left <= 0.0:
        raise UsageError(
            f"moving {worth:,.2f} dollars on {realised.date(day)} costs more than that; ask about more money"
        )
    rebalancing = Rebalancing(
        day=realised.date(day).isoformat(),
        turnover=significant(moved, 9),
        legs=len(legs),
        gas_usd=significant(gas + bridging_gas, 9),
        slippage_usd=significant(slippage, 9),
        bridge_usd=significant(bridge, 9),
        unpriced=sorted(set(unpriced)),
    )
    return rebalancing, left


def _bridged(
    legs: Sequence[tuple[Holding, float]], realised: Realised, day: int, unpriced: list[str]
) -> tuple[float, float]:
    """Return gas and fees in dollars of carrying what each chain gains or loses from or to Ethereum."""
    flows: dict[str, float] = {}
    tokens: dict[str, set[str]] = {}
    for one, usd in legs:
        chain = canonical_chain(one.chain)
        flows[chain] = flows.get(chain, 0.0) + usd
        tokens.setdefault(chain, set()).update(one.tokens)
    across = sorted(chain for chain, usd in flows.items() if chain != RECORDED_CHAIN and abs(usd) > 1.0)
    gas = _summed([realised.gas(chain, day, amm=False) for chain in across], [1.0] * len(across), unpriced)
    fees = [realised.bridge(chain, sorted(tokens[chain]), day) for chain in across]
    return gas, _summed(fees, [abs(flows[chain]) for chain in across], unpriced)


def _summed(costs: Sequence[Cost], sizes: Sequence[float], unpriced: list[str]) -> float:
    """Add what is known; what is not is named."""
    unpriced += [cost.reason for cost in costs if cost.value is None]
    return math.fsum(cost.value * size for cost, size in zip(costs, sizes, strict=True) if cost.value is not None)


def _grown(held: _Positions, realised: Realised, start: int, end: int, basis: Basis) -> dict[str, FloatArray]:
    """Return the dollars in each pool at the end of each day after ``start``, up to ``end``."""
    grown: dict[str, FloatArray] = {}
    for pool_id, (holding, usd) in held.items():
        apy = realised.paid(pool_id).apy[start:end]
        factors = 1.0 + daily_return(apy if basis == "gross" else apy * holding.kept)
        if basis != "gross":
            for exploit in realised.exploits(holding.family):
                if start < exploit.day <= end and exploit.share is not None:
                    factors[exploit.day - start - 1] *= 1.0 - exploit.share
        if basis == "priced":
            factors = factors * realised.price_growth(holding.tokens)[start:end]
        grown[pool_id] = np.asarray(usd * np.cumprod(factors))
    return grown


def _silent(realised: Realised, pool_id: str, start: int, end: int) -> FloatArray:
    """Return for how many days a pool had been silent on each day after ``start``, up to ``end``."""
    return np.asarray(realised.paid(pool_id).silent[start:end], dtype=np.float64)


def _events(
    strategy: str, held: _Positions, worths: Mapping[str, FloatArray], realised: Realised, start: int, end: int
) -> list[Event]:
    """Return what befell the pools held from ``start`` to ``end``."""
    found = []
    for pool_id, (holding, usd) in sorted(held.items()):
        silent = np.flatnonzero(_silent(realised, pool_id, start, end) > MAX_GAP_DAYS)
        happened = [("exploit", one.day, one.share, one.note) for one in realised.exploits(holding.family)]
        if silent.size:
            happened.append(("silent", start + 1 + int(silent[0]), None, f"no report on {silent.size} days"))
        for kind, day, loss, note in happened:
            if start < day <= end:
                before = worths[pool_id][day - start - 2] if day - start > 1 else usd
                found.append(
                    Event.model_validate(
                        {
                            "kind": kind,
                            "strategy": strategy,
                            "day": realised.date(day).isoformat(),
                            "pool_id": pool_id,
                            "name": holding.name,
                            "held_usd": significant(float(before), 9),
                            "loss": loss,
                            "note": note,
                        }
                    )
                )
    return found
