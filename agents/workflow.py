"""The workflow: intake → data → quant → risk → decision → report. Assembly and routing only.

    intake ─┬─ out of scope ──────────────────────────────┐
            └─ data ─┬─ not enough data ──────────────────┤
                     └─ quant ⇄ risk ── decision ─────────┴─ report

Risk sends quant back once, with the pools that keep a permitted profile from passing and the rule each breaks.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langsmith.run_helpers import tracing_context

from agents.data import data
from agents.decision import decision
from agents.intake import intake
from agents.models import Seat, policy_seat
from agents.quant import quant
from agents.report import report
from agents.risk import risk
from agents.state import Context, Question, Settings, State
from tools.market.evidence import Evidence
from tools.market.snapshot import Progress, Source
from tools.records import Recommendation

Workflow = CompiledStateGraph[State, Context, Question, State]


def after_intake(state: State) -> Literal["data", "report"]:
    """Only a mandate within scope needs a market."""
    return "report" if state.get("outcome") else "data"


def after_data(state: State) -> Literal["quant", "report"]:
    """Without enough data there is nothing to compute."""
    return "report" if state.get("outcome") else "quant"


def after_risk(state: State) -> Literal["quant", "decision"]:
    """What risk vetoed goes back to quant."""
    return "quant" if state.get("vetoed") else "decision"


def build_workflow(checkpointer: Any = None) -> Workflow:
    """Return the compiled graph; ``Context`` brings the market and the model's seat at run time."""
    graph = StateGraph(State, context_schema=Context, input_schema=Question)
    for name, node in (
        ("intake", intake),
        ("data", data),
        ("quant", quant),
        ("risk", risk),
        ("decision", decision),
        ("report", report),
    ):
        graph.add_node(name, node)
    graph.add_edge(START, "intake")
    graph.add_conditional_edges("intake", after_intake)
    graph.add_conditional_edges("data", after_data)
    graph.add_edge("quant", "risk")
    graph.add_conditional_edges("risk", after_risk)
    graph.add_edge("decision", "report")
    graph.add_edge("report", END)
    return graph.compile(checkpointer=checkpointer)


def advise(
    question: str,
    source: Source,
    *,
    seat: Seat | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    now: dt.datetime | None = None,
) -> tuple[Recommendation, Context]:
    """Answer one question on one market: the whole workflow, once.

    Returns the recommendation, and the context with the evidence that was read and the conversation with the model.

    Raises
    ------
    PlimsollError
        As its nodes do: a question or a market that cannot be used, a required model that failed.
    """
    evidence = source if isinstance(source, Evidence) else Evidence(source)
    context = Context(source=evidence, seat=seat or policy_seat(), settings=settings or Settings(), progress=progress)
    if now is not None:
        context.now = lambda: now
    with tracing_context(enabled=False):
        final = build_workflow().invoke({"question": question}, context=context)
    return final["recommendation"], context
