"""Ways out: where no candidate passes, which of the user's limits stand against each other, and what would do."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from langgraph.runtime import Runtime

from agents.models import policy_seat
from agents.quant import quant
from agents.restore import restored
from agents.risk import risk
from agents.state import Context, State, Steps
from tools.counterfactual import ConflictSet, Relaxations, cheapest_relaxation, smallest_conflict
from tools.records import Infeasible, Mandate, Plan, StandingLimit, WayOut

TRIES = 24  # problems of smaller sets that are solved to prove that a conflict is the smallest


def ways_out(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Find the smallest conflict among the user's limits and the cheapest change that leads to a choice.

    Each question of the search is quant and risk again, under another mandate, on the market that was read.
    """
    restored(state, runtime)
    plan = state["plan"]
    assert plan is not None
    steps = Steps("decision", state, runtime)

    def feasible(mandate: Mandate) -> bool:
        # Weights by the simple rule are among the candidates whatever else is tried: where they pass, one does.
        simple = plan.model_copy(update={"methods": plan.methods[:1]})
        return any(_passes(mandate, one, state, runtime.context) for one in (simple, plan))

    mandate = state["mandate"]
    conflict = steps.call(
        "smallest_conflict",
        {"mandate": mandate.model_dump()},
        lambda: smallest_conflict(feasible, mandate, tries=TRIES),
        lambda found: found.model_dump(),
    )
    out = steps.call(
        "cheapest_relaxation",
        {"mandate": mandate.model_dump(), "conflict": [limit.id for limit in conflict.limits]},
        lambda: cheapest_relaxation(feasible, mandate, conflict),
        lambda found: found.model_dump(),
    )
    return {"infeasible": _infeasible(conflict, out), "trace": steps.taken}


def _passes(mandate: Mandate, plan: Plan, state: State, context: Context) -> bool:
    """Tell whether any candidate passes under another mandate; what is solved leaves no trace in the run."""
    other = dataclasses.replace(context, seat=policy_seat(), workspace=context.workspace.shared(), progress=None)
    runtime = Runtime(context=other)
    again = cast(State, {"mandate": mandate, "market": state["market"], "plan": plan, "round": 0, "trace": []})
    while True:
        again.update(cast(State, quant(again, runtime)))
        again.update(cast(State, risk(again, runtime)))
        if not again["vetoed"]:
            return any(candidate.passed for candidate in other.workspace.assessed)


def _infeasible(conflict: ConflictSet, out: Relaxations) -> Infeasible:
    return Infeasible(
        conflict=[StandingLimit(field=limit.field, value=limit.value) for limit in conflict.limits],
        blame=conflict.blame,
        smallest=conflict.smallest,
        ways_out=[
            WayOut(
                kind=one.kind,
                field=one.limit_id.partition(":")[0],
                before=one.before,
                after=one.after,
                relative_change=one.relative_change,
            )
            for one in out.found
        ],
        reason=out.reason,
        evaluations=conflict.evaluations + out.evaluations,
    )
