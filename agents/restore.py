"""The arrays of a run that goes on in another process: computed again, as they never enter a checkpoint."""

from __future__ import annotations

from typing import cast

from langgraph.runtime import Runtime

from agents.data import data
from agents.quant import quant
from agents.risk import risk
from agents.state import Context, State, Workspace


def restored(state: State, runtime: Runtime[Context]) -> Workspace:
    """Return the run's workspace, filled as ``data``, ``quant`` and ``risk`` left it.

    Where this process did not run them, they run again on what the state holds: the tools are deterministic, and no
    model is asked, as the plan is in the state.
    """
    workspace = runtime.context.workspace
    if workspace.assessed or not state.get("round"):
        return workspace
    again = cast(State, {"mandate": state["mandate"], "plan": state["plan"], "round": 0})
    again.update(cast(State, data(again, runtime)))
    while again["round"] < state["round"]:
        again.update(cast(State, quant(again, runtime)))
        again.update(cast(State, risk(again, runtime)))
    return workspace
