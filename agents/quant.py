"""Quant: candidates from every profile and weight method, with their figures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

from langgraph.runtime import Runtime

from agents.data import data, screened_universe
from agents.mandates import DEFAULT_HORIZON_DAYS, amount_in_asset, amount_usd, limits_for
from agents.planning import parsed, requests_of
from agents.state import Context, State, Steps, Switch, Workspace
from agents.world import dependence, moving_of
from tools.candidates import Weighing, build_candidates, build_outlook, least_weight, measure, pool_mark
from tools.records import Mandate, MarketSummary, Plan, ProfileId, ToolRequest
from tools.requests import Compare, compared
from tools.strategies.objectives import load_objectives
from tools.strategies.profiles import Profile, load_profiles
from tools.strategies.universe import Universe

__all__ = ["DEFAULT_HORIZON_DAYS", "amount_in_asset", "amount_usd", "limits_for", "quant"]


def quant(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Build the candidates, the second time without the pools that risk sent back.

    And compute all their figures in one call.
    """
    workspace = runtime.context.workspace
    mandate, market = state["mandate"], state["market"]
    assert market is not None
    if workspace.universe is None:  # the run goes on in another process: its arrays are computed again
        data(state, runtime)
    plan = state["plan"]
    assert plan is not None
    universe = _universe(state, runtime.context)
    vetoed, off = state.get("vetoed", {}), runtime.context.settings.off
    steps = Steps("quant", state, runtime)
    if state["round"] == 0 or workspace.weighing is None:  # later rounds keep what was weighed already
        workspace.weighing = _weighing(plan, mandate, market, runtime.context, steps)
    weighing = workspace.weighing
    drafts = steps.call(
        "build_candidates",
        {
            "mandate": mandate.model_dump(),
            "snapshot_sha256": market.snapshot_sha256,
            "vetoed": vetoed,
            "plan": plan.model_dump(),
        },
        lambda: build_candidates(
            universe, mandate, profiles_for(off), limits_for(mandate), amount_usd(mandate, market), vetoed, weighing
        ),
        lambda d: [
            (draft.id, [pool.id for pool in draft.pools], [float(w) for w in draft.weights]) for draft in d.drafts
        ],
    )
    plan = plan.model_copy(update={"unsolved": list(drafts.unsolved), "least_weight": weighing.least_weight})
    workspace.drafts = drafts
    workspace.measured = steps.call(
        "compute_metrics",
        {"drafts": [draft.id for draft in drafts.drafts], "days": drafts.days, "risk_free": market.risk_free.rate},
        lambda: measure(drafts, universe, dt.date.fromisoformat(market.snapshot_date), market.risk_free.rate),
        lambda m: [dict(candidate.metrics) for candidate in m],
    )
    return {
        "plan": plan,
        "requests": {**state.get("requests", {}), "quant": _requests(state, plan, workspace, steps)},
        "emptied": list(drafts.emptied),
        "round": state["round"] + 1,
        "trace": steps.taken,
    }


def profiles_for(off: Collection[str]) -> Mapping[ProfileId, Profile]:
    """Return the profiles; without the data agent none of them asks about the trend of a yield."""
    if Switch.DATA not in off:
        return load_profiles()
    return {name: one.model_copy(update={"not_trending_down": False}) for name, one in load_profiles().items()}


def _universe(state: State, context: Context) -> Universe:
    """Return the pools to choose from: the eligible ones, less what the plan's screens leave out."""
    workspace = context.workspace
    assert workspace.universe is not None
    if workspace.screened is None:  # the market was read by another run
        workspace.screened, _ = screened_universe(state, workspace.universe)
    return workspace.screened


def _requests(state: State, plan: Plan, workspace: Workspace, steps: Steps) -> list[ToolRequest]:
    """Carry out what the plan asks of quant: say what the named methods came to, and compare."""
    assert workspace.drafts is not None
    counts = {"candidates": float(len(workspace.drafts.drafts)), "unsolved": float(len(plan.unsolved))}
    found = [one.model_copy(update={"results": counts}) for one in requests_of(state, "quant", "optimise")]
    for one in requests_of(state, "quant", "compare"):
        asked = parsed(one)
        assert isinstance(asked, Compare)
        done = steps.call(
            "compare",
            one.arguments,
            lambda asked=asked: compared(workspace.measured, asked),  # type: ignore[misc]
            lambda done: done._asdict(),
        )
        found.append(one.model_copy(update=done._asdict()))
    return found


def _weighing(plan: Plan, mandate: Mandate, market: MarketSummary, context: Context, steps: Steps) -> Weighing:
    """Gather what the weight methods may know; what may happen in a year is drawn once a run."""
    workspace = context.workspace
    assert workspace.universe is not None
    assert workspace.market is not None
    pools = workspace.universe.pools
    if workspace.outlook is None:
        hits, hazards = dependence(context, steps)
        settings = context.settings
        workspace.outlook = steps.call(
            "build_outlook",
            {"pools": [pool.id for pool in pools], "hazard": settings.hazard, "seed": settings.seed},
            lambda: build_outlook(
                pools, hits, {pool.id: pool_mark(pool) for pool in pools}, hazards.of, settings.hazard, settings.seed
            ),
            lambda outlook: [list(outlook.nodes), outlook.rates.tolist()],
        )
    money = amount_usd(mandate, market)
    return Weighing(
        load_objectives()[mandate.risk].model_copy(
            update={"confidence": plan.confidence, "loss_aversion": plan.loss_aversion}
        ),
        tuple(plan.methods),
        workspace.outlook,
        market.risk_free.rate,
        money,
        moving_of(workspace).curve,
        moving_of(workspace).gas,
        mandate.horizon_days or DEFAULT_HORIZON_DAYS,
        least_weight(money) if context.settings.edition > 1 else None,
    )
