"""What quant and risk both need of the day: what hangs on what, how often it fails, what moving money costs."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any

from agents.state import Context, Steps, Workspace
from tools.exposure import Exposures, exposures
from tools.market.load import COST_TABLES
from tools.market.snapshot import Market
from tools.records import NodeHazard
from tools.risk.costs import Cost, gas_usd
from tools.risk.hazards import Hazards
from tools.risk.impermanent_loss import impermanent_loss_of, read_prices
from tools.sizing.dilution import RateCurve, curve_of, flat
from tools.strategies.universe import Pool
from tools.units import DAYS_PER_YEAR

NOT_DILUTED = "taken as it is: the own deposit was left out of account"


def dependence(context: Context, steps: Steps) -> tuple[Exposures, Hazards]:
    """Look up, once a run, what every eligible pool depends on and how often that fails."""
    workspace = context.workspace
    if workspace.hits is not None and workspace.hazards is not None:
        return workspace.hits, workspace.hazards
    universe, market, rates = workspace.universe, workspace.market, dict(context.settings.hazard_rates)
    assert universe is not None
    assert market is not None
    hits = steps.call(
        "exposures",
        {"pools": [pool.id for pool in universe.pools]},
        lambda: exposures(universe.pools, market.as_of),
        lambda found: {pool_id: {node: list(hit) for node, hit in own.items()} for pool_id, own in found.items()},
    )
    nodes = list(hits.nodes)
    hazards = Hazards(market.as_of, market.hacks, rates, market.protocol_tvl_usd, context.settings.facts)
    steps.call("hazards", {"nodes": nodes, "set_by_user": rates}, lambda: [hazards.of(node) for node in nodes], _plain)
    workspace.hits, workspace.hazards = hits, hazards
    return hits, hazards


def _plain(hazards: list[NodeHazard | None]) -> list[dict[str, Any] | None]:
    return [None if hazard is None else hazard.model_dump() for hazard in hazards]


def moving_of(workspace: Workspace) -> Moving:
    """Return what moving money costs on the run's day; the same object for every agent."""
    assert workspace.moving is not None  # made when the market was read
    return workspace.moving


class Moving:
    """What moving money costs on a market's day, each price looked up once.

    Where nothing is ``diluted``, a rate stays what it is whatever is deposited.
    """

    def __init__(self, market: Market, *, diluted: bool = True) -> None:
        self._market = market
        self._diluted = diluted
        self._gas = functools.cache(self._gas_of)
        self._drift = functools.cache(self._drift_of)
        self._curves: dict[str, RateCurve] = {}

    def gas(self, pool: Pool) -> Cost:
        """Price one move into or out of a pool, in dollars."""
        return self._gas(pool.row.chain, not pool.single)

    def drift(self, pool: Pool) -> Cost:
        """Measure what a pool of several tokens lost against holding them, from their prices over the last year."""
        return Cost(0.0) if pool.single else self._drift(pool.tokens)

    def curve(self, pool: Pool) -> RateCurve:
        """Return what a pool pays by the size of the own deposit."""
        if pool.id not in self._curves:
            market = self._market
            curve = curve_of(pool, market.as_of, market.tables) if self._diluted else flat(pool.row.apy, NOT_DILUTED)
            self._curves[pool.id] = curve
        return self._curves[pool.id]

    def _gas_of(self, chain: str, amm: bool) -> Cost:
        gas, ether = (self._market.tables.get(name) for name in COST_TABLES)
        return gas_usd(chain, 1, gas, ether, self._market.as_of, amm=amm)

    def _drift_of(self, tokens: tuple[str, ...]) -> Cost:
        last = self._market.as_of
        first = last - dt.timedelta(days=DAYS_PER_YEAR)
        drift = impermanent_loss_of(tokens, read_prices(tokens, self._market.tables.get, first=first), first, last)
        return Cost(drift.loss, drift.reason)
