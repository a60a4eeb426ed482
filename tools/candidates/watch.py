"""What is watched once the money is placed: each pool's features at the user's size, the values of the tripwires."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from tools.candidates.all_in import leaving
from tools.records import Asset, Candidate, PoolFeatures
from tools.risk.costs import Cost, days_to_exit, queue_days_of
from tools.risk.impermanent_loss import read_prices
from tools.strategies.universe import Pool
from tools.units import significant

PriceTables = Mapping[str, Sequence[Mapping[str, str]] | None]


def sized_features(features: PoolFeatures, pool: Pool, position_usd: float | None) -> PoolFeatures:
    """Add to a pool's features what leaving it costs at this size (dollars; None where no amount is known)."""
    missing = dict(features.missing)
    queue = queue_days_of(pool.row.project, pool.history.last)
    waiting = days_to_exit(position_usd, pool.row.tvl_usd, queue_days=queue)
    found = {"exit_cost": leaving(pool, position_usd), "days_to_exit": waiting}
    return features.model_copy(
        update={name: _known(name, cost, missing) for name, cost in found.items()} | {"missing": missing}
    )


def _known(name: str, cost: Cost, missing: dict[str, str]) -> float | None:
    missing.pop(name, None)
    if cost.value is None:
        missing[name] = cost.reason
        return None
    return significant(cost.value)


def watched(candidate: Candidate, asset: Asset, as_of: dt.date, prices: PriceTables) -> dict[str, float | None]:
    """Return the value of each measure of ``tools.risk.thresholds`` that a recommendation can tell.

    ``prices`` holds price tables by file name. What cannot be told (how much of a lender is lent out, which no feed
    gives) is left out.
    """
    risk = candidate.risk
    nodes = {node.id: node for node in risk.exposure.nodes}
    apy = candidate.metrics["portfolio_apy"]
    tokens = {token for pool in candidate.pools for token in pool.tokens}
    return {
        "cvar_95": risk.all_in.cvar_95,
        "single_point": nodes[risk.exposure.single_point].lost_if_fails,
        "expected_loss_share": significant(risk.all_in.expected_loss / apy) if apy else None,
        "protocol_risk": risk.protocol_risk_max,
        "position_share": risk.largest_position_share,
        "token_discount": _discount(tokens, as_of, prices) if asset == "USD" else None,
    }


def _discount(tokens: set[str], as_of: dt.date, prices: PriceTables) -> float | None:
    """Return how far the worst of some dollar tokens closed below a dollar; None where one has no price of these days.

    There is no market price of staked ether or wrapped bitcoin in the tables.
    """
    days = [as_of - dt.timedelta(days=age) for age in range(3)]
    series = read_prices(sorted(tokens), prices.get, first=days[-1])
    closes = [next((series[token][day] for day in days if day in series.get(token, {})), None) for token in tokens]
    if not closes or None in closes:
        return None
    return significant(max(max(0.0, 1.0 - close) for close in closes if close is not None))
