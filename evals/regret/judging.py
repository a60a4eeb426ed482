"""What advice earns in a case, and which limits it breaks: pure functions of the case and the weights.

What breaks a limit is not carried out: of a pool only what its cap allows is placed, weights below 0 and pools that do
not exist are left out, weights that add up to more than 1 are scaled down. What is not placed earns nothing. So no
advice can earn more than the optimum, and breaking limits is never rewarded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from evals.regret.income import income_of
from evals.regret.markets import RegretCase
from tools.units import BASIS_POINTS

TOLERANCE = 1e-6  # of a weight: what rounding to basis points and printing may cost


class Judged(NamedTuple):
    """Income in dollars a year of what can be carried out, the share of the money placed, and the limits broken."""

    income_usd: float
    placed: float
    violations: tuple[str, ...]


def judge(case: RegretCase, weights: Mapping[str, float]) -> Judged:
    """Hold weights (by pool id) against a case; no weights at all leave the money idle and break nothing."""
    caps = case.caps()
    carried, broken = _carried_out(weights, caps)
    total = math.fsum(weights.values())
    if weights and math.isfinite(total) and abs(total - 1.0) > TOLERANCE:
        broken.append(f"the weights add up to {total:.6g}")
    placed = math.fsum(carried.values())
    if placed > 1.0:
        carried = {pool: weight / placed for pool, weight in carried.items()}
    pools = {pool.id: pool for pool in case.market.pools}
    earned = (
        income_of(pools[pool]).value(weight * case.amount_usd) - pools[pool].entry_cost_usd
        for pool, weight in carried.items()
    )
    return Judged(math.fsum(earned), min(placed, 1.0), tuple(broken))


def _carried_out(weights: Mapping[str, float], caps: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
    carried: dict[str, float] = {}
    broken: list[str] = []
    for pool, weight in weights.items():
        if pool not in caps:
            broken.append("a pool that does not exist")
        elif not math.isfinite(weight) or weight < 0.0:
            broken.append(f"{pool}: a weight of {weight}")
        elif weight > 0.0:
            carried[pool] = min(weight, caps[pool])
            if weight > caps[pool] + TOLERANCE:
                broken.append(f"{pool}: {weight:.4%} where {caps[pool]:.4%} are allowed")
    return carried, broken


def regret_bps(case: RegretCase, optimum_usd: float, income_usd: float) -> float:
    """Return (optimum − income)/amount in basis points a year."""
    return (optimum_usd - income_usd) / case.amount_usd * BASIS_POINTS
