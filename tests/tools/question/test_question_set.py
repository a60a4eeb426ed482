"""Batches of questions that were written one after the other, each in new wordings, after the reader existed.

The first set, with the paraphrase groups, is ``evals/cases/questions.jsonl``. How each batch fared when it was first
read stands in ``docs/questions.md``; since then they keep the reader from forgetting.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from evals.intake import Case, load_cases, run

QUESTIONS = Path(__file__).parents[2] / "data" / "questions.jsonl"
REQUIRED = 0.95


def load() -> list[Case]:
    rows = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    return [
        Case(row["id"], row["question"], row.get("expected"), row.get("error"), False, tuple(row["tags"]))
        for row in rows
    ]


def test_no_question_stands_in_the_sets_twice() -> None:
    cases = [*load(), *load_cases()]
    for part in ("id", "question"):
        assert [name for name, count in Counter(getattr(case, part) for case in cases).items() if count > 1] == []
    assert all((case.expected is None) != (case.error is None) for case in cases)


def test_later_batches_are_read_as_expected(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = run(load())
    wrong = {outcome.case.question: outcome.wrong for outcome in outcomes if outcome.wrong}
    right = len(outcomes) - len(wrong)
    with capsys.disabled():
        sys.stdout.write(f"\nlater questions read as expected: {right} of {len(outcomes)}\n")
    assert right >= REQUIRED * len(outcomes), wrong
