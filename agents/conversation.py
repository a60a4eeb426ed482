"""A conversation: a graph that understands a line, solves what it asks, and tells the answer; it remembers.

    understand ── solve ── tell

The state is small and is checkpointed after every node: what was said, what is known of it, and where the runs lie. The
runs themselves lie in the thread's folder, each whole or not at all, so that a conversation that was killed anywhere
goes on where it stood: a finished run is read back, an unfinished one is run again from its journal.
"""

from __future__ import annotations

import datetime as dt
import operator
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from agents.answers import Told, tell
from agents.desk import Desk, Save
from agents.events import Listener
from agents.inquiry import Inquiry, chosen_of, inquire
from agents.journal import Journal
from agents.models import Seat, traced
from agents.solving import Solver
from agents.understanding import understood
from agents.workflow import Asker
from tools.dialogue import Memory, NamedPool, Turn
from tools.dialogue.answer import Answer, AnswerRun, AnswerSubject
from tools.errors import PlimsollError
from tools.records import SCHEMA_VERSION, Mandate, Rationale, Recommendation, Usage
from tools.units import iso

MOST_EARLIER = 20  # changes that can be taken back
Keep = Callable[[Path, Answer], None]
"""Writes the answer beside its runs, whole or not at all."""


class Said(TypedDict):
    """One turn that was answered, in short."""

    number: int
    at: str
    line: str
    kind: str
    outcome: str | None


class Line(TypedDict):
    """The input: a line, and when it was said."""

    line: str
    at: str


class Talk(TypedDict, total=False):
    """The channels. Plain data and small records: this is all that a checkpoint holds."""

    line: str
    """the line that is being answered"""
    at: str
    """when it was said (UTC)"""
    turn: Turn
    """what it asks for"""
    reading: Usage
    """what reading it cost"""
    memory: Memory
    """what was said before"""
    current: str | None
    """the run that the conversation speaks of, relative to the thread's folder"""
    said: Annotated[list[Said], operator.add]
    """every turn that was answered"""
    runs: dict[str, AnswerRun]
    """the runs of this turn"""
    usages: list[Usage]
    """what they cost"""
    inquiry: dict[str, Any]
    """what was found for this turn"""


@dataclass
class Room:
    """The world of a conversation: its folder, its market, who sits in the seat and who listens.

    ``open_seat`` opens the model's seat with a journal; ``solver`` is kept between turns, so that the market is read
    once.
    """

    thread: str
    folder: Path
    solver: Solver
    open_seat: Callable[[Journal], Seat]
    save: Save
    keep: Keep
    approve: bool = False
    allow_tracing: bool = False
    listen: Listener | None = None
    ask: Asker | None = None

    def turn_folder(self, number: int) -> Path:
        """Return the folder of a turn; turns count from 1."""
        return self.folder / f"turn-{number:04d}"

    def desk(self, state: Talk) -> Desk:
        """Return the desk of the turn that is being answered."""
        current = state.get("current")
        return Desk(
            folder=self.turn_folder(number_of(state)),
            previous=self.folder / current if current else None,
            solver=self.solver,
            open_seat=self.open_seat,
            save=self.save,
            question=state["line"],
            now=dt.datetime.fromisoformat(state["at"]),
            approve=self.approve,
            listen=self.listen,
            ask=self.ask,
        )


Conversation = CompiledStateGraph[Talk, Room, Line, Talk]


def number_of(state: Talk) -> int:
    """Return the number of the turn that is being answered."""
    return len(state.get("said", [])) + 1


def understand(state: Talk, runtime: Runtime[Room]) -> dict[str, Any]:
    """Read the line after what was said before."""
    room, memory = runtime.context, state.get("memory", Memory())
    journal = Journal(room.turn_folder(number_of(state)) / "journal" / "line")
    turn, reading = understood(state["line"], memory, lambda: room.open_seat(journal))
    if room.listen:
        room.listen({"event": "understood", "kind": turn.kind})
    update: dict[str, Any] = {"turn": turn, "reading": reading, "runs": {}, "usages": [], "inquiry": {}}
    return update | ({"memory": Memory(), "current": None} if turn.forget else {})


def solve(state: Talk, runtime: Runtime[Room]) -> dict[str, Any]:
    """Solve what the turn asks, and keep the runs."""
    desk = runtime.context.desk(state)
    inquiry = inquire(state["turn"], desk)
    found = {
        "findings": inquiry.findings,
        "subjects": [subject.model_dump(mode="json") for subject in inquiry.subjects],
        "reason": inquiry.reason,
    }
    return {"runs": desk.runs, "usages": desk.usages, "inquiry": found}


def tell_answer(state: Talk, runtime: Runtime[Room]) -> dict[str, Any]:
    """Write the answer, keep it beside its runs, and remember."""
    room, number, turn = runtime.context, number_of(state), state["turn"]
    folder = room.turn_folder(number)
    records = {name: _read(folder, name) for name in state["runs"]}
    kept = state["inquiry"]
    subjects = [AnswerSubject.model_validate(entry) for entry in kept["subjects"]]
    inquiry = Inquiry(kept["findings"], subjects, kept["reason"])
    told = tell(turn, inquiry, records)
    room.keep(folder, _answer(state, room, number, inquiry, told))
    main = next((name for name in ("choice", "after") if name in records), None)
    said = Said(
        number=number,
        at=state["at"],
        line=state["line"],
        kind=turn.kind,
        outcome=records[main].outcome if main else None,
    )
    update: dict[str, Any] = {"said": [said], "memory": _remembered(state, records.get(main or ""))}
    return update | ({"current": f"{folder.name}/runs/{main}"} if main else {})


def _answer(state: Talk, room: Room, number: int, inquiry: Inquiry, told: Told) -> Answer:
    turn = state["turn"]
    return Answer(
        schema_version=SCHEMA_VERSION,
        thread=room.thread,
        turn=number,
        created_at=iso(dt.datetime.fromisoformat(state["at"])),
        question=state["line"],
        asked=turn,
        reason=turn.reason or inquiry.reason,
        runs=state["runs"],
        subjects=inquiry.subjects,
        findings=inquiry.findings,
        derived=told.derived,
        rationale=Rationale(author="policy", refused=None, **told.text._asdict()),
        usage=_together([state["reading"], *state["usages"]]),
    )


def _together(usages: list[Usage]) -> Usage:
    """Add up what a turn cost."""
    asked = [usage for usage in usages if usage.model != "policy"]
    first = asked[0] if asked else usages[0]
    return first.model_copy(
        update={
            name: sum(getattr(usage, name) for usage in usages)
            for name in ("calls", "requests_refused", "cached", "input_tokens", "output_tokens", "seconds")
        }
        | {
            "tasks": [task for usage in usages for task in usage.tasks],
            "fallback": [sentence for usage in usages for sentence in usage.fallback],
        }
    )


def _remembered(state: Talk, record: Recommendation | None) -> Memory:
    """Return what is known after a turn: of the run that it ended with, and what it was about."""
    memory, turn = state.get("memory", Memory()), state["turn"]
    if record is None:
        mandate = turn.mandate if memory.mandate is None or memory.mandate.asset is None else memory.mandate
        return memory.model_copy(update={"mandate": mandate, "subject": turn.subject or memory.subject})
    chosen = chosen_of(record)
    ranked = sorted(
        (one for one in record.candidates if one.passed and one is not chosen),
        key=lambda one: (-one.score.total, one.id),
    )
    return Memory(
        mandate=record.mandate,
        earlier=_earlier(memory, record.mandate),
        as_of=dt.date.fromisoformat(record.market.snapshot_date) if record.market else None,
        outcome=record.outcome,
        pools=tuple(
            NamedPool(
                pool_id=pool.pool_id, name=pool.name, family=pool.family, tokens=tuple(pool.tokens), chain=pool.chain
            )
            for pool in (chosen.pools if chosen else [])
        ),
        ranked=tuple(one.id for one in ([chosen] if chosen else []) + ranked),
        subject=None,
    )


def _earlier(memory: Memory, mandate: Mandate) -> tuple[Mandate, ...]:
    """Return the mandates before this one; going back to the last of them takes it off."""
    if memory.earlier[-1:] == (mandate,):
        return memory.earlier[:-1]
    if memory.mandate in (None, mandate) or memory.mandate.asset is None:
        return memory.earlier
    return (*memory.earlier, memory.mandate)[-MOST_EARLIER:]


def _read(folder: Path, name: str) -> Recommendation:
    return Recommendation.model_validate_json((folder / "runs" / name / "recommendation.json").read_bytes())


def build_conversation(checkpointer: Any = None) -> Conversation:
    """Return the compiled graph; ``Room`` brings the market, the seat and the folder at run time."""
    graph = StateGraph(Talk, context_schema=Room, input_schema=Line)
    graph.add_node("understand", understand)
    graph.add_node("solve", solve)
    graph.add_node("tell", tell_answer)
    graph.add_edge(START, "understand")
    graph.add_edge("understand", "solve")
    graph.add_edge("solve", "tell")
    graph.add_edge("tell", END)
    return graph.compile(checkpointer=checkpointer)


def answer(conversation: Conversation, room: Room, line: str | None, at: dt.datetime) -> Mapping[str, Any]:
    """Answer a line, or with None go on with the one that was being answered; returns the state after it.

    A line that cannot be carried out leaves the conversation as it was.

    Raises
    ------
    PlimsollError
        As the run does: a line that contradicts itself, a market that cannot be read, a required model that failed.
    """
    config: Any = {"configurable": {"thread_id": room.thread}}
    start: Any = None if line is None else {"line": line, "at": at.isoformat()}
    before = conversation.get_state(config)
    if line is not None:  # what a line that was given up left behind is no part of the answer to this one
        shutil.rmtree(room.turn_folder(len(before.values.get("said", [])) + 1), ignore_errors=True)
    try:
        with traced(room.allow_tracing):
            final: Mapping[str, Any] = conversation.invoke(start, config, context=room, durability="sync")
    except PlimsollError:
        _forget_pending(conversation, config, before)
        raise
    return final


def pending(conversation: Conversation, thread: str) -> str | None:
    """Return the line that was being answered when the conversation was stopped; None where none was."""
    config: Any = {"configurable": {"thread_id": thread}}
    state = conversation.get_state(config)
    return str(state.values["line"]) if state.next else None


def _forget_pending(conversation: Conversation, config: Any, before: Any) -> None:
    """Take a line back that could not be carried out: the next one starts from what was there before it."""
    conversation.update_state(config, {}, as_node="tell")
