"""Who is asked: simple rules, our allocation with and without knowledge of the curves, and our whole workflow.

An adviser is a function from a case to ``Advice``. The simple rules see the table of a case: rates, sizes, risks. They
know the limits on a pool and keep them: a list is filled from the top, each pool up to its cap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from agents.workflow import advise
from evals.regret.income import income_of, rate_at
from evals.regret.markets import Lender, Pool, RegretCase, Root
from evals.regret.served import question_of, see, settings_of, source_of
from tools.candidates.posing import least_weight
from tools.errors import MarketError
from tools.optimize import Infeasible, SolverFailed
from tools.sizing import RateCurve, allocate, curve_of
from tools.sizing.dilution import Leg, Term
from tools.units import DAYS_PER_YEAR

if TYPE_CHECKING:
    from agents.models import Seat

PATHS = 2_000  # of the simulation of losses, of which there are none
CHUNKS = 100


class Advice(NamedTuple):
    """Weights by pool id, empty with the ``reason`` where none were given; and what asking cost."""

    weights: Mapping[str, float]
    reason: str | None = None
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


Adviser = Callable[[RegretCase], Advice]


def equal_weight(case: RegretCase) -> Advice:
    """The same for every pool; what a cap keeps out of one is spread over the others alike."""
    caps = case.caps()
    weights, free, left = dict.fromkeys(caps, 0.0), set(caps), 1.0
    while left > 0.0 and free:
        part = left / len(free)
        full = {pool for pool in free if caps[pool] - weights[pool] <= part}
        for pool in sorted(full or free):
            step = min(part, caps[pool] - weights[pool])
            weights[pool] += step
            left -= step
        free -= full
        if not full:
            break
    return Advice({pool: weight for pool, weight in weights.items() if weight > 0.0})


def greedy_apy(case: RegretCase) -> Advice:
    """The highest rates of the day, each pool up to its cap."""
    return _filled(case, lambda pool: rate_at(pool, 0.0))


def greedy_risk_adjusted(case: RegretCase) -> Advice:
    """The highest rates of the day times one less the risk, each pool up to its cap."""
    return _filled(case, lambda pool: rate_at(pool, 0.0) * (1.0 - pool.risk))


def largest_tvl(case: RegretCase) -> Advice:
    """The largest pool, and the next where its cap leaves something over."""
    return _filled(case, lambda pool: pool.withdrawable_usd)


def _filled(case: RegretCase, rank: Callable[[Pool], float]) -> Advice:
    caps, left = case.caps(), 1.0
    weights: dict[str, float] = {}
    for pool in sorted(case.market.pools, key=lambda pool: (-rank(pool), pool.id)):
        weight = min(left, caps[pool.id])
        if weight > 0.0:
            weights[pool.id] = weight
            left -= weight
    return Advice(weights)


def greedy_steps(case: RegretCase) -> Advice:
    """A hundredth of the money at a time, each where it adds most, with all curves known (as Meteora's Hermes does)."""
    step, caps = case.amount_usd / CHUNKS, case.caps()
    incomes = {pool.id: income_of(pool) for pool in case.market.pools}
    entry = {pool.id: pool.entry_cost_usd for pool in case.market.pools}
    held = dict.fromkeys(incomes, 0.0)

    def gain(pool: str) -> float:
        room = min(step, caps[pool] * case.amount_usd - held[pool])
        if room <= 1e-9 * step:
            return -math.inf
        added = incomes[pool].value(held[pool] + room) - incomes[pool].value(held[pool])
        return (added - (entry[pool] if held[pool] == 0.0 else 0.0)) / room

    left = case.amount_usd
    while left > 1e-9 * step:
        best = max(sorted(held), key=gain)
        part = min(step, left, caps[best] * case.amount_usd - held[best])
        held[best] += part
        left -= part
    return Advice({pool: x / case.amount_usd for pool, x in held.items() if x > 0.0})


def our_allocation(case: RegretCase) -> Advice:
    """Our search for the most income at this size (``tools.sizing``), told the curves of the case."""
    return _allocated(
        case, case.market.pools, [curve_told(pool) for pool in case.market.pools], least_weight(case.amount_usd)
    )


def our_search(case: RegretCase) -> Advice:
    """The same without the least weight of a position, which is a rule of the workflow and not of the search."""
    return _allocated(case, case.market.pools, [curve_told(pool) for pool in case.market.pools], 0.0)


def our_allocation_by_feed(case: RegretCase) -> Advice:
    """The same search with the curves that our program infers from what a feed shows."""
    seen = see(case)
    known = {pool.id: pool for pool in seen.universe.pools}
    pools = [pool for pool in case.market.pools if pool.id in known]
    if not pools:
        return Advice({}, "no pool may be held")
    curves = [curve_of(known[pool.id], seen.market.as_of, seen.market.tables) for pool in pools]
    return _allocated(case, pools, curves, least_weight(case.amount_usd))


def _allocated(case: RegretCase, pools: Sequence[Pool], curves: Sequence[RateCurve], least: float) -> Advice:
    """Allocate as ``net_yield`` does in the workflow: costs counted, positions of at least ``least`` of the money."""
    caps = case.caps()
    upper = [caps[pool.id] for pool in pools]
    try:
        found = allocate(
            curves,
            case.amount_usd,
            DAYS_PER_YEAR,
            fixed_cost_usd=[pool.entry_cost_usd for pool in pools],
            expected_loss=[pool.expected_loss for pool in pools],
            upper=upper,
            min_weight=min(least, *upper),
            names=[pool.id for pool in pools],
        )
    except (Infeasible, SolverFailed) as error:
        return Advice({}, str(error))
    weights = zip(pools, found.weights, strict=True)
    return Advice({pool.id: float(weight) for pool, weight in weights if weight > 0.0})


def curve_told(pool: Pool) -> RateCurve:
    """Write a pool's curve in the terms of ``tools.sizing``.

    These know no root; √(N/(N + x)) becomes 2N/(2N + x), which has the same value and slope before the deposit.
    """
    income, curve = income_of(pool), pool.curve
    base, network = pool.deposits_usd, 2.0 * curve.network_usd if isinstance(curve, Root) else 1.0
    legs = tuple(
        Leg(
            stretch.high,
            (
                Term(stretch.flat + pool.expected_loss, base, 0),
                Term(stretch.root, network, 1),
                Term(stretch.shared, base, 1),
                Term(stretch.square, base, 2),
            ),
        )
        for stretch in income.stretches
    )
    used = curve.borrowed_usd / base if isinstance(curve, Lender) else None
    return RateCurve(legs, "kinked", base, used, "told by the case")


def our_workflow(case: RegretCase, seat: Seat | None = None) -> Advice:
    """Our whole workflow on the served case, asked in words; without a seat the embedded policy sits in it."""
    settings = settings_of(see(case), PATHS)
    try:
        answer, _ = advise(question_of(case), source_of(case), seat=seat, settings=settings)
    except MarketError as error:
        return Advice({}, str(error))
    usage = answer.usage
    cost = (usage.calls, usage.input_tokens, usage.output_tokens)
    if answer.choice is None:
        rules = ", ".join(sorted({emptied.rule for emptied in answer.emptied}))
        return Advice({}, f"{answer.outcome}: {rules}", *cost)
    return Advice({pool.pool_id: pool.weight for pool in answer.choice.pools}, None, *cost)


BASELINES: Mapping[str, Adviser] = {
    "equal_weight": equal_weight,
    "greedy_apy": greedy_apy,
    "greedy_risk_adjusted": greedy_risk_adjusted,
    "largest_tvl": largest_tvl,
}
OURS: Mapping[str, Adviser] = {
    "our_allocation": our_allocation,
    "our_allocation_by_feed": our_allocation_by_feed,
    "our_workflow": our_workflow,
}
INFORMED: Mapping[str, Adviser] = {"our_search": our_search, "greedy_steps": greedy_steps}
