"""The answer of one turn of a conversation: a text over whole runs, every figure of which resolves into one of them."""

from __future__ import annotations

from typing import Any

from tools.dialogue.records import Turn
from tools.records import Count, Derived, Rationale, Record, Usage


class AnswerRun(Record):
    """A run that the text speaks of, in ``runs/`` beside the answer.

    ``what`` says in words what was solved; ``sha256`` is that of its ``recommendation.json``. In the text's pointers
    ``/runs/NAME/…`` points into that record.
    """

    what: str
    run_id: str
    sha256: str


class AnswerSubject(Record):
    """A pool that the text speaks of, as the market of the answer's run lists it.

    ``name`` is what it is called here, ``apy`` (fraction a year) and ``tvl_usd`` are those of its row, None where the
    row says nothing usable.
    """

    pool_id: str
    name: str
    apy: float | None
    tvl_usd: float | None


class Answer(Record):
    """Everything about one answer but the runs, which lie beside it whole.

    ``asked`` is what the line was read as, ``findings`` what the searches found (records of ``tools.counterfactual``,
    by name), ``derived`` the figures of the text that follow from others. ``rationale`` is the text, ``reason`` a
    sentence where nothing could be done.
    """

    schema_version: str
    thread: str
    turn: Count
    created_at: str
    question: str
    asked: Turn
    reason: str | None
    runs: dict[str, AnswerRun]
    subjects: list[AnswerSubject]
    findings: dict[str, Any]
    derived: dict[str, Derived]
    rationale: Rationale
    usage: Usage
