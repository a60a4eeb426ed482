"""Conversation: a line is understood, answered in kind, its limits hold from then on, and every figure resolves.

A case is a question and the lines after it, put to ``agents.conversation`` on the demo market. Each answer lies in a
folder with its runs, as ``plimsoll chat`` leaves it, and is checked there by ``tools.verify``.
"""

from __future__ import annotations

import datetime as dt
import functools
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agents.conversation import Room, answer, build_conversation
from agents.memory import memory
from agents.models import policy_seat
from agents.solving import Solver
from agents.state import Settings
from evals.records import Score, Spent, Subject
from evals.run_folders import write_answer, write_run
from evals.suite import Identity, Suite
from evals.suites.advice import lines, total
from tools.dialogue.answer import Answer
from tools.errors import PlimsollError
from tools.market.demo import DemoSource
from tools.records import Recommendation
from tools.verify import verify_answer

NOW = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)
RUNS = {"recommend": {"choice"}, "what_if": {"before", "after"}}  # what an answer of a kind rests on, at least
FAST = {"c02", "c08", "c09"}


class Expected(NamedTuple):
    """A line, the ``kind`` of turn that it is, the fields of the mandate that hold after it, and words of its answer.

    ``words`` are looked for without regard to capitals. ``turned_down``: the line contradicts what holds, and the
    conversation stays as it was.
    """

    say: str
    kind: str
    mandate: Mapping[str, Any] = {}
    words: Sequence[str] = ()
    turned_down: bool = False


class Case(NamedTuple):
    """A question and what is said after it."""

    id: str
    question: str
    turns: Sequence[Expected]


class Said(NamedTuple):
    """What became of a line: the answer and its last run, or why it was turned down; and what the checker noted."""

    answer: Answer | None
    record: Recommendation | None
    refused: str | None
    differences: tuple[str, ...]

    @property
    def words(self) -> str:
        """Return what the user reads."""
        return self.refused or "" if self.answer is None else self.answer.rationale.markdown


class Talked(NamedTuple):
    """What became of the lines, in their order; the question is not among them."""

    said: tuple[Said, ...]
    spent: Spent


def solve(case: Case, subject: Subject) -> Talked:
    """Hold the conversation in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="plimsoll-conversation-") as scratch:
        folder = Path(scratch)
        room = _room(folder, subject)
        with memory(folder / "memory.sqlite") as opened:
            conversation = build_conversation(opened)
            if subject.seat is None:
                shutil.copytree(_opening(case.question), room.turn_folder(1) / "runs" / "choice")
            answer(conversation, room, case.question, NOW)
            said = tuple(_say(conversation, room, turn.say) for turn in case.turns)
    usages = [one.answer.usage for one in said if one.answer is not None]
    spent = [Spent(calls=u.calls, input_tokens=u.input_tokens, output_tokens=u.output_tokens) for u in usages]
    return Talked(said, total(spent))


def _say(conversation: Any, room: Room, line: str) -> Said:
    try:
        state = answer(conversation, room, line, NOW)
    except PlimsollError as error:
        return Said(None, None, str(error), ())
    folder = room.turn_folder(len(state["said"]))
    told = Answer.model_validate_json((folder / "answer.json").read_bytes())
    current = (room.folder / state["current"] / "recommendation.json").read_bytes()
    differences = tuple(str(one) for one in verify_answer(folder).differences)
    return Said(told, Recommendation.model_validate_json(current), None, differences)


def _room(folder: Path, subject: Subject) -> Room:
    seat = subject.seat
    return Room(
        thread="t",
        folder=folder,
        solver=_solver() if seat is None else _new_solver(),
        open_seat=lambda _: policy_seat() if seat is None else seat(),
        save=write_run,
        keep=write_answer,
    )


@functools.cache
def _solver() -> Solver:
    """Return what solves the embedded policy's conversations of this process: the demo market is read once."""
    return _new_solver()


def _new_solver() -> Solver:
    return Solver(lambda *_: DemoSource(), Settings())


@functools.cache
def _opening(question: str) -> Path:
    """Return the folder of a question's run, solved once a process; a turn finds it and does not solve it again."""
    folder = _kept() / str(len(list(_kept().iterdir())))
    record, context = _solver().recommend(question, None, now=NOW)
    return write_run(folder, record, context)


@functools.cache
def _kept() -> Path:
    _HOLD.append(tempfile.TemporaryDirectory(prefix="plimsoll-conversation-"))
    return Path(_HOLD[0].name)


_HOLD: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


def understood(case: Case, talked: Talked) -> Score:
    """Demand that every line is read as what it is, and that its limits stand in the mandate from then on."""
    wrong = []
    for expected, said in zip(case.turns, talked.said, strict=True):
        if said.answer is None:
            wrong += [] if expected.turned_down else [f"{expected.say!r} was turned down: {said.refused}"]
            continue
        if expected.turned_down:
            wrong.append(f"{expected.say!r} was not turned down")
        if said.answer.asked.kind != expected.kind:
            wrong.append(f"{expected.say!r} is read as {said.answer.asked.kind}, not {expected.kind}")
        mandate = {} if said.record is None else said.record.mandate.model_dump(mode="json")
        wrong += [
            f"after {expected.say!r} {name} is {mandate.get(name)}, not {value}"
            for name, value in expected.mandate.items()
            if mandate.get(name) != value
        ]
    return _score(wrong, len(case.turns), "understood")


def answered_in_kind(case: Case, talked: Talked) -> Score:
    """Demand the runs and words that an answer of its kind rests on, and a choice that keeps what holds by then."""
    wrong = []
    for expected, said in zip(case.turns, talked.said, strict=True):
        missing = [word for word in expected.words if word.casefold() not in said.words.casefold()]
        wrong += [f"the answer to {expected.say!r} does not say {word!r}" for word in missing]
        if said.answer is not None and not RUNS.get(expected.kind, set()) <= set(said.answer.runs):
            wrong.append(f"the answer to {expected.say!r} rests on {', '.join(said.answer.runs) or 'no run'}")
        if said.record is not None:
            wrong += [f"after {expected.say!r}: {one}" for one in broken(said.record)]
    return _score(wrong, len(case.turns), "answered")


def broken(record: Recommendation) -> list[str]:
    """Return what of the mandate a choice does not keep, by its own pools."""
    if record.choice is None:
        return []
    mandate = record.mandate
    chosen = next(one for one in record.candidates if one.id == record.choice.candidate_id)
    found = []
    for pool in chosen.pools:
        if pool.family in mandate.protocols_exclude:
            found.append(f"{pool.name} is of {pool.family}, which was excluded")
        if pool.chain in mandate.chains_exclude:
            found.append(f"{pool.name} is on {pool.chain}, which was excluded")
        if set(pool.tokens) & set(mandate.tokens_exclude):
            found.append(f"{pool.name} holds {', '.join(pool.tokens)}, of which one was excluded")
        if mandate.max_weight is not None and pool.weight > mandate.max_weight + 1e-9:
            found.append(f"{pool.name} has {pool.weight:.2%}, more than {mandate.max_weight:.0%}")
    if mandate.max_pools is not None and len(chosen.pools) > mandate.max_pools:
        found.append(f"{len(chosen.pools)} pools, more than {mandate.max_pools}")
    if mandate.min_pools is not None and len(chosen.pools) < mandate.min_pools:
        found.append(f"{len(chosen.pools)} pools, fewer than {mandate.min_pools}")
    return found


def figures_hold(case: Case, talked: Talked) -> Score:
    """Demand that the checker finds nothing in any answer or in the runs beside it."""
    noted = [
        f"the answer to {expected.say!r}: {difference}"
        for expected, said in zip(case.turns, talked.said, strict=True)
        for difference in said.differences
    ]
    return _score(noted, sum(said.answer is not None for said in talked.said), "verified")


def _score(wrong: Sequence[str], count: int, done: str) -> Score:
    words = "; ".join(wrong[:3]) or f"{count} of {count} lines {done}"
    return Score(value=float(len(wrong)), passed=not wrong, explanation=words[:600])


def details(case: Case, talked: Talked) -> Mapping[str, Any]:
    """Return what was said and how it was read."""
    kinds = ["turned down" if said.answer is None else said.answer.asked.kind for said in talked.said]
    return {"question": case.question, "lines": [turn.say for turn in case.turns], "kinds": kinds}


def load() -> Sequence[Case]:
    """Read the cases."""
    return [
        Case(row["id"], row["question"], [Expected(**turn) for turn in row["turns"]])
        for row in lines("conversation.jsonl")
    ]


def identify(case: Case) -> Identity:
    """Name a case by the kinds of its lines."""
    kinds = tuple(dict.fromkeys(turn.kind for turn in case.turns))
    return Identity(case.id, kinds, [case.question, [turn._asdict() for turn in case.turns]])


SUITE = Suite(
    name="conversation",
    words="is a line understood, answered in kind, kept from then on, and every figure true?",
    load=load,
    identify=identify,
    solve=solve,
    scorers={"understood": understood, "answered_in_kind": answered_in_kind, "figures_hold": figures_hold},
    spent=lambda talked: talked.spent,
    details=details,
    fast=lambda case: case.id in FAST,
)
