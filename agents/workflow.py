"""The workflow: intake → data → quant → risk → decision → report. Assembly and routing only.

    intake ─┬─ out of scope ──────────────────────────────────────────────────────┐
            └─ data ─┬─ not enough data ──────────────────────────────────────────┤
                     └─ quant ⇄ risk ── decision ─┬─ (ways_out: nothing passes) ──┤
                                                  └─ (approval) ── settle ────────┴─ report

Risk sends quant back once, with the pools that keep a permitted profile from passing and the rule each breaks. At
``approval`` the graph stops until a person has answered.
"""

from __future__ import annotations

import contextvars
import datetime as dt
from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, Interrupt

from agents.data import data
from agents.decision import approval, decision, settle
from agents.events import Listener, told
from agents.intake import intake
from agents.journal import Journal
from agents.memory import within_a_process
from agents.models import Seat, policy_seat, traced
from agents.quant import quant
from agents.report import report
from agents.risk import risk
from agents.state import Context, Question, Settings, State, Workspace
from agents.ways_out import ways_out
from tools.errors import UsageError
from tools.market.evidence import Evidence
from tools.market.snapshot import Progress, Source
from tools.market.sources.altered import AlteredSource
from tools.records import Mandate, Recommendation

T = TypeVar("T")
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


def after_decision(state: State, runtime: Runtime[Context]) -> Literal["approval", "settle", "ways_out"]:
    """Where candidates passed, one becomes the choice: at once, or after a person was asked."""
    if state.get("outcome"):
        return "ways_out"
    return "approval" if runtime.context.settings.approve else "settle"


def build_workflow(checkpointer: Any = None, *, whole: bool = True) -> Workflow:
    """Return the compiled graph; ``Context`` brings the market and the model's seat at run time.

    Not ``whole``, it ends once it is known which candidate would be chosen: no amounts, no text, no picture.

    With a checkpointer it stops at ``approval`` and goes on with ``Command(resume=…)``, in another process too: what
    stands in its state is enough, and the arrays are computed again.
    """
    graph = StateGraph(State, context_schema=Context, input_schema=Question)
    nodes: dict[str, Any] = {"intake": intake, "data": data, "quant": quant, "risk": risk, "decision": decision}
    if whole:
        nodes |= {"approval": approval, "settle": settle, "ways_out": ways_out, "report": report}
    for name, node in nodes.items():
        graph.add_node(name, node)
    ends: dict[Hashable, str] = {
        name: name if name in nodes else END for name in ("approval", "settle", "ways_out", "report")
    }
    graph.add_edge(START, "intake")
    graph.add_conditional_edges("intake", after_intake, {"data": "data", **ends})
    graph.add_conditional_edges("data", after_data, {"quant": "quant", **ends})
    graph.add_edge("quant", "risk")
    graph.add_conditional_edges("risk", after_risk)
    graph.add_conditional_edges("decision", after_decision, ends)
    if whole:
        graph.add_edge("approval", "settle")
        graph.add_edge("settle", "report")
        graph.add_edge("ways_out", "report")
        graph.add_edge("report", END)
    return graph.compile(checkpointer=checkpointer)


def gather(source: Source, settings: Settings) -> Evidence:
    """Return the source as a run reads it: what it answers is kept, with the rates in it that the run is to assume."""
    return Evidence(AlteredSource(source, settings.assumed) if settings.assumed else source)


class Asker(Protocol):
    """Asks a person to approve a choice: is given the proposal, returns a candidate's id, or None to decline."""

    def __call__(self, proposal: Mapping[str, Any]) -> str | None:
        """Return the id of a candidate of the proposal's shortlist; None declines."""


def advise(
    question: str,
    source: Source,
    *,
    given: Mandate | None = None,
    seat: Seat | None = None,
    journal: Journal | None = None,
    settings: Settings | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
    listen: Listener | None = None,
    ask: Asker | None = None,
    now: dt.datetime | None = None,
) -> tuple[Recommendation, Context]:
    """Answer one question on one market: the whole workflow, once.

    Parameters
    ----------
    given
        The mandate, where a conversation has read it already; the question is then only kept, not read.
    source
        A market; an ``Evidence`` is taken as it is, assumed rates included.
    workspace
        What an earlier run on the same market and asset left (``Workspace.shared``).
    journal
        Where what the world says is kept: a run that was killed is run again with it, and the market is not read again.
        The seat's own answers are kept by the seat (``agents.models.Seat.journal``).
    listen
        Is told what each agent does as it happens (``agents.events``).
    ask
        Asks the person when ``settings.approve`` is set.

    Returns the recommendation, and the context with the evidence that was read and the conversation with the model.

    Raises
    ------
    Declined
        When the person who was asked wants none of the shortlist.
    PlimsollError
        As its nodes do: a question or a market that cannot be used, a required model that failed.
    """
    settings = settings or Settings()
    read_before = workspace is not None and workspace.market is not None
    if journal is not None and not read_before:  # else nothing would be read from it, and nothing be there to save
        source = journal.evidence() or source
    evidence = source if isinstance(source, Evidence) else gather(source, settings)
    context = Context(
        source=evidence,
        seat=seat or policy_seat(),
        settings=settings,
        given=given,
        workspace=workspace or Workspace(),
        journal=journal,
        progress=progress,
    )
    if now is not None or journal is not None:
        began = now or context.now()
        began = journal.started_at(began) if journal else began
        context.now = lambda: began
    start: Any = {"question": question}
    graph = build_workflow(within_a_process() if settings.approve else None)
    while True:
        final, waiting = apart(partial(_streamed, graph, start, context, listen))
        if waiting is None:
            return final["recommendation"], context
        if ask is None:
            raise UsageError("a person is to approve the choice, and nobody can be asked")
        start = Command(resume={"candidate": ask(waiting.value)})


def apart(call: Callable[[], T]) -> T:
    """Call in a context of its own: a graph that runs inside a node of another would be checkpointed with that one."""
    return contextvars.Context().run(call)


def _streamed(graph: Workflow, start: Any, context: Context, listen: Listener | None) -> tuple[State, Interrupt | None]:
    """Run the graph to its end or to where it waits, telling what happens; returns its state, and what it waits for."""
    final: State = {}
    waiting: Interrupt | None = None
    config: RunnableConfig = {"configurable": {"thread_id": "run"}}
    with traced(context.seat.allow_tracing):
        stream: Iterator[Any] = graph.stream(
            start, config, context=context, stream_mode=["custom", "updates", "values"]
        )
        for mode, part in stream:
            if mode == "values":
                final = part
            elif mode == "updates" and "__interrupt__" in part:
                waiting = part["__interrupt__"][0]
            elif listen is not None:
                for event in told(mode, part):
                    listen(event)
    return final, waiting
