"""Risk: what every candidate depends on and may lose, held against every limit; what breaks one goes back to quant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langgraph.runtime import Runtime

from agents.mandates import DEFAULT_HORIZON_DAYS, amount_usd, limits_for
from agents.planning import parsed, requests_of
from agents.quant import quant
from agents.state import Context, State, Steps, Switch
from agents.world import dependence, moving_of
from tools.candidates import Assessed, World, all_in_views, assess_candidates, pool_mark, sent_back, vetoes
from tools.records import ProfileId, ToolRequest
from tools.requests import Stress, stressed
from tools.strategies.profiles import load_profiles
from tools.stress import events_known

MAX_ROUNDS = 2


def risk(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Assess the candidates; in the first round, name the pools that keep a permitted profile from passing."""
    workspace = runtime.context.workspace
    mandate, market = state["mandate"], state["market"]
    assert market is not None
    if not workspace.measured:  # the run goes on in another process: its arrays are computed again
        quant({**state, "round": state["round"] - 1}, runtime)
    assert workspace.universe is not None
    limits = limits_for(mandate)
    steps = Steps("risk", state, runtime)
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
    if state["round"] < MAX_ROUNDS and Switch.RISK not in runtime.context.settings.off:
        pools = workspace.universe.pools
        vetoed = vetoes(workspace.assessed, pools, mandate, load_profiles(), limits)
    fired = sent_back(workspace.assessed, vetoed, limits)
    update: dict[str, Any] = {
        "vetoed": vetoed,
        "limit_events": fired,
        "requests": {**state.get("requests", {}), "risk": _requests(state, workspace.assessed, steps)},
        "trace": steps.taken,
    }
    if state["round"] == 1 and (idle := _idle_rates(runtime.context)):
        update["market"] = market.model_copy(update={"warnings": [*market.warnings, *idle]})
    return update


def _requests(state: State, assessed: Sequence[Assessed], steps: Steps) -> list[ToolRequest]:
    """Carry out what the plan asks of risk."""
    found = []
    for one in requests_of(state, "risk", "stress"):
        asked = parsed(one)
        assert isinstance(asked, Stress)
        done = steps.call(
            "stress",
            one.arguments,
            lambda asked=asked: stressed(assessed, asked),  # type: ignore[misc]
            lambda done: done._asdict(),
        )
        found.append(one.model_copy(update=done._asdict()))
    return found


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
    moving = moving_of(workspace)
    hits, hazards = dependence(context, steps)
    return World(
        hits=hits,
        marks={pool.id: pool_mark(pool) for pool in workspace.universe.pools},
        hazard=hazards.of,
        gas=moving.gas,
        impermanent_loss=moving.drift,
        curve=moving.curve,
        events=events_known(market.as_of),
        amount_usd=amount_usd(mandate, summary),
        horizon_days=mandate.horizon_days or DEFAULT_HORIZON_DAYS,
        risk_free=summary.risk_free.rate,
        hazard_level=settings.hazard,
        seed=settings.seed,
        paths=settings.paths,
    )
