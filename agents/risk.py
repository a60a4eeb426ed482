"""Risk: every candidate against every limit; what breaks one goes back to quant once."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from agents.quant import amount_usd, limits_for
from agents.state import Context, State, Steps
from tools.candidates import assess_candidates, vetoes
from tools.records import ProfileId
from tools.strategies.profiles import load_profiles

MAX_ROUNDS = 2


def risk(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Assess the candidates; in the first round, name the pools that keep a permitted profile from passing."""
    workspace = runtime.context.workspace
    mandate, market = state["mandate"], state["market"]
    assert market is not None
    assert workspace.universe is not None
    limits = limits_for(mandate)
    steps = Steps("risk", state)
    workspace.assessed = steps.call(
        "assess_candidates",
        {"candidates": [candidate.draft.id for candidate in workspace.measured], "limits": limits.model_dump()},
        lambda: assess_candidates(workspace.measured, mandate, load_profiles(), limits, amount_usd(mandate, market)),
        lambda a: [[gate.model_dump() for gate in candidate.gates] for candidate in a],
    )
    vetoed: dict[ProfileId, dict[str, str]] = {}
    if state["round"] < MAX_ROUNDS:
        pools = workspace.universe.pools
        vetoed = vetoes(workspace.assessed, pools, mandate, load_profiles(), limits)
    return {"vetoed": vetoed, "trace": steps.taken}
