"""Report: the record of the run, with its rationale, checked, and its flowchart."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from langgraph.runtime import Runtime

from agents.models import POLICY
from agents.prompts import manifest_digest
from agents.prose import Prose
from agents.rationale import Written, write_rationale
from agents.state import Context, State, Steps
from tools.errors import VerificationError
from tools.flowchart import build_graph, node_link, to_mermaid
from tools.records import SCHEMA_VERSION, Flowchart, Rationale, Recommendation, digest
from tools.units import end_of_day, iso
from tools.verify import check_text

FLOWCHART_FILES = ["flowchart.svg", "flowchart.png", "flowchart.mmd"]


def report(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Assemble the recommendation from the state: nothing is computed here but the text and the picture."""
    context = runtime.context
    record = _record(state, context)
    steps = Steps("report", state, runtime)
    written, author, refused = steps.call(
        "write_rationale",
        {"outcome": record["outcome"], "prose": state.get("prose", {})},
        lambda: _rationale(record, state.get("prose", {}), context.seat.name),
        lambda found: found[0].text.markdown,
    )
    record["derived"] = {name: entry.model_dump() for name, entry in written.derived.items()}
    graph = steps.call(
        "build_flowchart", {"outcome": record["outcome"]}, lambda: build_graph(record), lambda g: node_link(g)
    )
    rationale = Rationale(author=author, refused=refused, **written.text._asdict())
    flowchart = Flowchart(graph=node_link(graph), mermaid=to_mermaid(graph), files=FLOWCHART_FILES)
    recommendation = Recommendation.model_validate(
        record
        | {
            "rationale": rationale.model_dump(),
            "flowchart": flowchart.model_dump(),
            "trace": [step.model_dump() for step in [*state.get("trace", []), *steps.taken]],
        }
    )
    return {"recommendation": recommendation, "trace": steps.taken}


def _record(state: State, context: Context) -> dict[str, Any]:
    """Return the recommendation as plain data, without what is written about it."""
    market = state.get("market")
    choice, alternatives = state.get("choice"), state.get("alternatives")
    plan, forecast = state.get("plan"), state.get("forecast", "nothing was chosen")
    approval, infeasible = state.get("approval"), state.get("infeasible")
    now = context.now()
    settings = context.settings
    # Out of scope no market was read: the record is as of the date that was asked for, or of the run's own day.
    day = market.snapshot_date if market else (settings.as_of or now.date()).isoformat()
    run = [
        state["question"],
        settings.preset,
        settings.seed,
        settings.paths,
        settings.hazard,
        dict(settings.hazard_rates),
        settings.facts.read_text(encoding="utf-8") if settings.facts else None,
        day,
        market.snapshot_sha256 if market else None,
        context.seat.name,
        state["mandate"].model_dump(),
        list(settings.off),
        approval.model_dump() if approval else None,
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": f"{day}-{digest(run)[:12]}",
        "created_at": iso(now),
        "as_of": iso(end_of_day(dt.date.fromisoformat(day))),
        "question": state["question"],
        "outcome": state["outcome"],
        "reason": state["reason"],
        "mandate": state["mandate"].model_dump(),
        "off": list(settings.off),
        "assumptions": [assumption.model_dump() for assumption in state.get("assumptions", [])],
        "approval": approval.model_dump() if approval else None,
        "market": market.model_dump() if market else None,
        "plan": plan.model_dump(exclude={"requests"}) if plan and state.get("round") else None,
        "requests": [one.model_dump() for found in state.get("requests", {}).values() for one in found],
        "candidates": [candidate.model_dump() for candidate in state.get("candidates", [])],
        "emptied": [entry.model_dump() for entry in state.get("emptied", [])],
        "conflicts": [conflict.model_dump() for conflict in state.get("conflicts", [])],
        "infeasible": infeasible.model_dump() if infeasible else None,
        "limit_events": [event.model_dump() for event in state.get("limit_events", [])],
        "protocols": [evidence.model_dump() for evidence in state.get("protocols", [])],
        "choice": choice.model_dump() if choice else None,
        "forecast": None if isinstance(forecast, str) else forecast.model_dump(),
        "forecast_missing": forecast if isinstance(forecast, str) else None,
        "alternatives": alternatives.model_dump() if alternatives else None,
        "derived": {},
        "prompts_sha256": None if context.seat.name == POLICY else manifest_digest(),
        "usage": context.seat.usage().model_dump(),
    }


def _rationale(record: Mapping[str, Any], prose: Prose, author: str) -> tuple[Written, str, str | None]:
    """Write the text with the model's passages if the independent checker resolves it, else without them.

    Returns the text, its author, and why a model's passages were refused. Raises ``VerificationError`` when even the
    deterministic text does not resolve: a figure that cannot be checked is never shown.
    """
    refused = None
    if prose:
        written = write_rationale(record, prose)
        faults = check_text(_with_text(record, written))
        if not faults:
            return written, author, None
        # Only how much: what does not resolve would show the model's own words after all.
        refused = f"the text of {author} did not resolve; differences: {len(faults)}"
    written = write_rationale(record, {})
    faults = check_text(_with_text(record, written))
    if faults:
        raise VerificationError(f"the rationale does not resolve, so it is not shown: {faults[0]}")
    return written, "policy", refused


def _with_text(record: Mapping[str, Any], written: Written) -> dict[str, Any]:
    text = written.text
    return {
        **record,
        "derived": {name: entry.model_dump() for name, entry in written.derived.items()},
        "rationale": {
            "markdown": text.markdown,
            "figures": [figure.model_dump() for figure in text.figures],
            "claims": [claim.model_dump() for claim in text.claims],
        },
    }
