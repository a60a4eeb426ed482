"""Risk: what every candidate depends on and may lose, held against every limit; what breaks one goes back to quant."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any

from langgraph.runtime import Runtime

from agents.quant import DEFAULT_HORIZON_DAYS, amount_usd, limits_for
from agents.state import Context, State, Steps, Workspace
from tools.candidates import World, all_in_views, assess_candidates, pool_mark, sent_back, vetoes
from tools.exposure import Exposures, exposures
from tools.market.load import COST_TABLES
from tools.market.snapshot import Market
from tools.records import NodeHazard, ProfileId
from tools.risk.costs import Cost, gas_usd
from tools.risk.hazards import Hazards
from tools.risk.impermanent_loss import impermanent_loss_of, read_prices
from tools.strategies.profiles import load_profiles
from tools.strategies.universe import Pool
from tools.stress import events_known
from tools.units import DAYS_PER_YEAR

MAX_ROUNDS = 2


def risk(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Assess the candidates; in the first round, name the pools that keep a permitted profile from passing."""
    workspace = runtime.context.workspace
    mandate, market = state["mandate"], state["market"]
    assert market is not None
    assert workspace.universe is not None
    limits = limits_for(mandate)
    steps = Steps("risk", state)
    ids = [candidate.draft.id for candidate in workspace.measured]
    world = _world(state, runtime.context, steps)
    losses = steps.call(
        "all_in_views",
        {"candidates": ids, "hazard": world.hazard_level, "seed": world.seed, "paths": world.paths},
        lambda: all_in_views(workspace.measured, world),
        lambda found: [loss.all_in.model_dump() for loss in found],
    )
    money = amount_usd(mandate, market)
    workspace.assessed = steps.call(
        "assess_candidates",
        {"candidates": ids, "limits": limits.model_dump()},
        lambda: assess_candidates(
            workspace.measured, losses, mandate, load_profiles(), limits, money, market.risk_free.rate
        ),
        lambda a: [[gate.model_dump() for gate in candidate.gates] for candidate in a],
    )
    vetoed: dict[ProfileId, dict[str, str]] = {}
    if state["round"] < MAX_ROUNDS:
        pools = workspace.universe.pools
        vetoed = vetoes(workspace.assessed, pools, mandate, load_profiles(), limits)
    fired = sent_back(workspace.assessed, vetoed, limits)
    update: dict[str, Any] = {"vetoed": vetoed, "limit_events": fired, "trace": steps.taken}
    if state["round"] == 1 and (idle := _idle_rates(runtime.context)):
        update["market"] = market.model_copy(update={"warnings": [*market.warnings, *idle]})
    return update


def _idle_rates(context: Context) -> list[str]:
    """Say which rates of the user's own strike nothing that an eligible pool depends on."""
    hits = context.workspace.hits
    known = set(hits.nodes) if hits is not None else set()
    idle = sorted(set(context.settings.hazard_rates) - known)
    return [f"The rate that you set for {node} changes nothing: no eligible pool depends on it" for node in idle]


def _world(state: State, context: Context, steps: Steps) -> World:
    """Gather what can happen to the candidates: what hangs on what, how often it fails, what moving costs."""
    workspace, settings = context.workspace, context.settings
    mandate, market = state["mandate"], workspace.market
    summary = state["market"]
    assert market is not None
    assert summary is not None
    assert workspace.universe is not None
    moving = _Moving(market)
    hits, hazards = _dependence(workspace, market, context, steps)
    return World(
        hits=hits,
        marks={pool.id: pool_mark(pool) for pool in workspace.universe.pools},
        hazard=hazards.of,
        gas=moving.gas,
        impermanent_loss=moving.drift,
        events=events_known(market.as_of),
        amount_usd=amount_usd(mandate, summary),
        horizon_days=mandate.horizon_days or DEFAULT_HORIZON_DAYS,
        risk_free=summary.risk_free.rate,
        hazard_level=settings.hazard,
        seed=settings.seed,
        paths=settings.paths,
    )


def _dependence(workspace: Workspace, market: Market, context: Context, steps: Steps) -> tuple[Exposures, Hazards]:
    """Look up, once a run, what every eligible pool depends on and how often that fails."""
    if workspace.hits is not None and workspace.hazards is not None:
        return workspace.hits, workspace.hazards
    universe, rates = workspace.universe, dict(context.settings.hazard_rates)
    assert universe is not None
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


class _Moving:
    """What moving money costs on a market's day, each price looked up once."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._gas = functools.cache(self._gas_of)
        self._drift = functools.cache(self._drift_of)

    def gas(self, pool: Pool) -> Cost:
        """Price one move into or out of a pool, in dollars."""
        return self._gas(pool.row.chain, not pool.single)

    def drift(self, pool: Pool) -> Cost:
        """Measure what a pool of several tokens lost against holding them, from their prices over the last year."""
        return Cost(0.0) if pool.single else self._drift(pool.tokens)

    def _gas_of(self, chain: str, amm: bool) -> Cost:
        gas, ether = (self._market.tables.get(name) for name in COST_TABLES)
        return gas_usd(chain, 1, gas, ether, self._market.as_of, amm=amm)

    def _drift_of(self, tokens: tuple[str, ...]) -> Cost:
        last = self._market.as_of
        first = last - dt.timedelta(days=DAYS_PER_YEAR)
        drift = impermanent_loss_of(tokens, read_prices(tokens, self._market.tables.get, first=first), first, last)
        return Cost(drift.loss, drift.reason)
