"""Intake: whether a question is read into the mandate that a careful person would write down.

Cases are lines of ``cases/questions.jsonl``: a question with the fields of its mandate that differ from the defaults,
or with a part of the error that it must end in. ``held_out`` marks those written before the reader saw any of them;
what they showed at first reading was repaired since, so that only ``docs/questions.md`` has their first figure. Tags
``group:…`` mark wordings of the same wish.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from typing import Any, NamedTuple

from tools.errors import MandateError
from tools.question import read
from tools.records import Mandate

DEFAULTS = Mandate().model_dump()


class Case(NamedTuple):
    """A question and what is expected of it: fields that differ from the defaults, or a part of an error's message."""

    id: str
    question: str
    expected: Mapping[str, Any] | None
    error: str | None
    held_out: bool
    tags: tuple[str, ...]


class Outcome(NamedTuple):
    """How one question was read; ``wrong`` names each field with what was read and what was expected."""

    case: Case
    wrong: Mapping[str, tuple[Any, Any]]


def load_cases() -> tuple[Case, ...]:
    """Read the cases."""
    text = (resources.files(__package__) / "cases" / "questions.jsonl").read_text(encoding="utf-8")
    return tuple(
        Case(
            case["id"],
            case["question"],
            case.get("expected"),
            case.get("error"),
            bool(case.get("held_out")),
            tuple(case.get("tags", ())),
        )
        for case in map(json.loads, text.splitlines())
    )


def score(case: Case, mandate: Mandate | None, error: str | None) -> Outcome:
    """Compare what was read with what was expected; of ``notes`` only whether there are any."""
    if case.error is not None or mandate is None:
        agree = case.error is not None and error is not None and case.error.lower() in error.lower()
        return Outcome(case, {} if agree else {"error": (error, case.error)})
    found, expected = mandate.model_dump(), DEFAULTS | dict(case.expected or {})
    pairs = {name: (found[name], expected[name]) for name in DEFAULTS}
    pairs["notes"] = (bool(found["notes"]), bool(expected["notes"]))
    return Outcome(case, {name: pair for name, pair in pairs.items() if pair[0] != pair[1]})


def run(cases: Iterable[Case], reader: Callable[[str], Mandate] | None = None) -> list[Outcome]:
    """Read every case; ``reader`` replaces the deterministic one and raises ``MandateError`` as it does."""
    reader = reader or (lambda question: read(question).mandate)
    outcomes = []
    for case in cases:
        try:
            outcomes.append(score(case, reader(case.question), None))
        except MandateError as error:
            outcomes.append(score(case, None, str(error)))
    return outcomes
