"""Intake: questions and the mandates that a careful person would write down, field by field.

With a model in the seat the whole intake node would have to be asked; this suite asks the deterministic reader, whose
words no model may change.
"""

from __future__ import annotations

from evals.intake import Case, Outcome, load_cases, run
from evals.records import Score, Subject
from evals.suite import Identity, Suite


def solve(case: Case, subject: Subject) -> Outcome:
    """Read the question."""
    return run([case])[0]


def fields_right(case: Case, outcome: Outcome) -> Score:
    """Demand every field, or the error that was expected."""
    wrong = {name: f"read {found!r}, expected {expected!r}" for name, (found, expected) in outcome.wrong.items()}
    words = "; ".join(f"{name}: {why}" for name, why in wrong.items())
    return Score(value=float(not wrong), passed=not wrong, explanation=words or "every field is right")


def identify(case: Case) -> Identity:
    """Name a case as its file does."""
    tags = (*case.tags, *(["held out"] if case.held_out else []))
    return Identity(case.id, tags, [case.question, case.expected, case.error])


SUITE = Suite(
    name="intake",
    words="is a question read into the mandate that a careful person would write down?",
    load=load_cases,
    identify=identify,
    solve=solve,
    scorers={"fields_right": fields_right},
    fast=lambda case: case.id.endswith("7"),
)
