"""Data: the market of the day, and which of its pools may be held."""

from __future__ import annotations

import functools
from typing import Any

from langgraph.runtime import Runtime

from agents.mandates import limits_for
from agents.planning import make_plan, parsed, requests_of
from agents.state import Context, State, Steps, Switch
from agents.world import Moving
from tools.market.features import pool_features
from tools.market.load import read_market
from tools.market.quality import ParsedRows
from tools.market.snapshot import Market
from tools.records import Asset, Assumption, Mandate, MarketSummary, ToolRequest
from tools.requests import Screen, screened
from tools.risk.lookup import ProtocolRisks
from tools.sizing.lending import dilution_tables
from tools.strategies.profiles import Limits, load_limits
from tools.strategies.rates import risk_free_rate
from tools.strategies.universe import Universe, build_universe, counted, price_on, protocol_tvl, ruled_out, screen
from tools.units import safe_label

# A choice among the few pools that happen to have a history is no choice: at least this share of the screened ones must
# have one.
MIN_HISTORY_COVERAGE = 0.5
_NO_HISTORY = {"no_history", "history_failed"}


def data(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Read the snapshot, screen it, fetch the histories it needs, check them, and summarise what was seen.

    Raises
    ------
    MarketError
        When the market cannot be read at all. Too few usable pools is an outcome, ``not_enough_data``, not an error.
    """
    context = runtime.context
    mandate = state["mandate"]
    assert mandate.asset is not None
    asset = mandate.asset
    # Nothing of the market has been read: what the plan asks for, no row of it can have asked for.
    state = {**state, "plan": state.get("plan") or make_plan(mandate, context)}
    steps = Steps("data", state, runtime)
    as_of = context.settings.as_of
    workspace = context.workspace  # an earlier run on this market may have filled it
    market = steps.call(
        "read_market",
        {"asset": asset, "as_of": as_of.isoformat() if as_of else None},
        lambda: (
            workspace.market
            or read_market(
                context.source,
                asset,
                as_of,
                functools.partial(_screen, asset=asset),
                protocol_tvl,
                context.progress,
                dilution_tables() if asset == "USD" else (),
                lenient=Switch.DATA in context.settings.off,
            )
        ),
        lambda m: m.sha256,
    )
    risks = workspace.risks or ProtocolRisks(market, context.settings.facts)
    universe = steps.call(
        "build_universe",
        {"asset": asset, "snapshot_sha256": market.sha256},
        lambda: workspace.universe or build_universe(market, asset, risks),
        lambda u: [pool.id for pool in u.pools],
    )
    workspace.market, workspace.risks, workspace.universe = market, risks, universe
    workspace.moving = workspace.moving or Moving(market, diluted=Switch.SIZING not in context.settings.off)
    workspace.features = steps.call(
        "pool_features",
        {"pools": [pool.id for pool in universe.pools]},
        lambda: (
            workspace.features
            or {
                pool.id: pool_features(
                    pool.history, pool.row, universe.benchmark_apy, exit_cost=None, days_to_exit=None
                )
                for pool in universe.pools
            }
        ),
        lambda found: {pool_id: features.model_dump() for pool_id, features in found.items()},
    )
    if context.journal is not None:
        context.journal.keep(context.source)
    summary = _summary(market, universe, mandate)
    workspace.screened, requests = _screened(state, universe, steps)
    update: dict[str, Any] = {
        "plan": state["plan"],
        "requests": {"data": requests},
        "market": summary,
        "assumptions": _assumptions(context),
        "trace": steps.taken,
    }
    lacking = sum(count for reason, count in summary.excluded.items() if reason in _NO_HISTORY)
    if not universe.pools or lacking > (1.0 - MIN_HISTORY_COVERAGE) * summary.pools_screened:
        update |= {"outcome": "not_enough_data", "reason": _shortage(summary, lacking)}
    return update


def _screened(state: State, universe: Universe, steps: Steps) -> tuple[Universe, list[ToolRequest]]:
    """Apply the plan's screens, where there are any, as a tool."""
    asked = requests_of(state, "data", "screen")
    if not asked:
        return universe, []
    return steps.call(
        "screen",
        {"requests": [one.arguments for one in asked]},
        lambda: screened_universe(state, universe),
        lambda found: [one.results for one in found[1]],
    )


def screened_universe(state: State, universe: Universe) -> tuple[Universe, list[ToolRequest]]:
    """Return the eligible pools that the plan's screens leave, and each of these with what came of it."""
    limits, done = limits_for(state["mandate"]), []
    for one in requests_of(state, "data", "screen"):
        asked = parsed(one)
        assert isinstance(asked, Screen)
        universe, found = screened(universe, asked, limits.max_weight)
        done.append(one.model_copy(update=found._asdict()))
    return universe, done


def _assumptions(context: Context) -> list[Assumption]:
    """Name the pools whose rates the run was told to assume."""
    market, universe = context.workspace.market, context.workspace.universe
    assert market is not None
    assert universe is not None
    names = {pool.id: pool.name for pool in universe.pools}
    return [
        Assumption(pool_id=pool_id, name=names.get(pool_id) or safe_label(market.labels[pool_id].symbol), apy=apy)
        for pool_id, apy in sorted(context.settings.assumed.items())
    ]


def _screen(parsed: ParsedRows, asset: Asset) -> dict[str, str]:
    return screen(parsed, asset)


def _summary(market: Market, universe: Universe, mandate: Mandate) -> MarketSummary:
    asset = universe.asset
    histories = [pool.history for pool in universe.pools]
    price = price_on(market, market.as_of) if asset != "USD" else None
    warnings = list(market.warnings)
    stuck = sum(history.constant for history in histories)
    if stuck:
        warnings.append(f"{stuck} eligible pools show the same yield for 30 days: a set rate, or a feed that is stuck")
    looser = _looser_limits(mandate)
    if looser:
        warnings.append(
            f"For {asset} the limits of {mandate.risk} risk are looser than for others: {', '.join(looser)}"
        )
    if market.synthetic:
        warnings.insert(0, "synthetic market: every figure is invented by the program")
    return MarketSummary(
        source=market.source,
        synthetic=market.synthetic,
        snapshot_date=market.as_of.isoformat(),
        snapshot_sha256=market.sha256,
        pools_total=market.pools_total,
        pools_screened=len(market.screened),
        pools_eligible=len(universe.pools),
        excluded=counted(market.excluded),
        ruled_out=counted(ruled_out(universe.pools, mandate)),
        gaps_filled=sum(history.gaps_filled for history in histories),
        spikes_dropped=sum(history.spikes_dropped for history in histories),
        without_reward_split=sum(pool.row.apy_base is None and pool.row.apy_reward is None for pool in universe.pools),
        risk_free=risk_free_rate(asset, market),
        price_usd=price,
        price_source=f"daily close of {asset} in the market's price table" if price else None,
        benchmark="median daily return of the eligible pools",
        benchmark_pools=[pool.id for pool in universe.pools],
        warnings=warnings,
    )


def _looser_limits(mandate: Mandate) -> list[str]:
    """Name the limits that the asset has above those of the level for every other asset."""
    assert mandate.asset is not None
    level = load_limits()[mandate.risk]
    own, others = level[mandate.asset], [limits for asset, limits in level.items() if asset != mandate.asset]
    return [
        name.replace("_", " ")
        for name in Limits.model_fields
        if name != "history_days" and all(getattr(own, name) > getattr(other, name) for other in others)
    ]


def _shortage(summary: MarketSummary, lacking: int) -> str:
    if lacking:
        return f"{summary.pools_screened} pools passed the screen and {lacking} of them lack histories"
    return f"{summary.pools_screened} pools passed the screen and none has a usable history"
