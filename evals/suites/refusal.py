"""Refusal: what is out of scope is refused, what cannot be used is asked back, and nothing else is turned away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from evals.records import Score, Spent, Subject
from evals.suite import Identity, Suite
from evals.suites.advice import Chosen, ask, lines, market
from tools.errors import MandateError

Answer = Literal["refused", "asked back", "answered"]
FAST = {"r01", "r02", "r14", "r16"}


class Case(NamedTuple):
    """A question, how it may be met, and why so.

    Asking back what the user holds does for a question that names no asset: nothing is advised.
    """

    id: str
    question: str
    expected: list[Answer]
    why: str


class Met(NamedTuple):
    """How a question was met, with the words for it, and what that cost."""

    answer: Answer
    words: str
    spent: Spent


def solve(case: Case, subject: Subject) -> Met:
    """Ask the workflow."""
    try:
        chosen = ask(case.question, market(), subject)
    except MandateError as error:
        return Met("asked back", str(error), Spent())
    return met(chosen)


def met(chosen: Chosen) -> Met:
    """Return how a run met its question: an honest "nothing fits" is an answer."""
    reason = "" if chosen.record is None else chosen.record.reason
    return Met("refused" if chosen.outcome == "out_of_scope" else "answered", reason, chosen.spent)


def rightly_met(case: Case, found: Met) -> Score:
    """Demand one of the answers that were expected."""
    right = found.answer in case.expected
    words = f"{found.answer}{'' if right else ', must be ' + ' or '.join(case.expected)}: {case.why}"
    return Score(value=float(right), passed=right, explanation=words)


def load() -> Sequence[Case]:
    """Read the cases."""
    return [Case(**line) for line in lines("refusal.jsonl")]


SUITE = Suite(
    name="refusal",
    words="is what is out of scope refused, and nothing else?",
    load=load,
    identify=lambda case: Identity(case.id, tuple(case.expected), case._asdict()),
    solve=solve,
    scorers={"rightly_met": rightly_met},
    spent=lambda found: found.spent,
    details=lambda case, found: {"question": case.question, "words": found.words},
    fast=lambda case: case.id in FAST,
)
