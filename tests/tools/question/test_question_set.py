"""The reader on the question set: every field of every mandate, and paraphrases that must not change the mandate."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tools.errors import MandateError
from tools.market.names import canonical_chain
from tools.question import read
from tools.records import Mandate

QUESTIONS = Path(__file__).parents[2] / "data" / "questions.jsonl"
DEFAULTS = Mandate().model_dump()
REQUIRED = 0.95


def load() -> list[dict[str, Any]]:
    return [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]


def expected_mandate(row: dict[str, Any]) -> dict[str, Any]:
    wanted = DEFAULTS | row["expected"]
    for name in ("chains_include", "chains_exclude"):
        wanted[name] = sorted(canonical_chain(chain) for chain in wanted[name])
    return wanted


def differences(row: dict[str, Any]) -> dict[str, Any]:
    """Return each field that is not as expected, with both values; notes count as present or not."""
    try:
        mandate = read(row["question"]).mandate.model_dump()
    except MandateError as error:
        wanted = row.get("error")
        return {} if wanted and wanted.lower() in str(error).lower() else {"error": (wanted, str(error))}
    if "error" in row:
        return {"error": (row["error"], None)}
    wanted = expected_mandate(row)
    return {name: (wanted[name], mandate[name]) for name in wanted if not same(name, wanted[name], mandate[name])}


def same(name: str, wanted: Any, got: Any) -> bool:
    if name == "notes":
        return bool(wanted) == bool(got)
    if isinstance(wanted, float) or isinstance(got, float):
        return wanted is not None and got is not None and got == pytest.approx(wanted, rel=1e-9)
    return bool(wanted == got)


def test_the_set_is_large_and_its_questions_are_different() -> None:
    rows = load()
    assert len(rows) >= 200
    assert len({row["id"] for row in rows}) == len({row["question"] for row in rows}) == len(rows)
    assert all(("expected" in row) != ("error" in row) for row in rows)


def test_questions_are_read_as_expected(capsys: pytest.CaptureFixture[str]) -> None:
    rows = load()
    wrong = {row["id"]: found for row in rows if (found := differences(row))}
    share = 1 - len(wrong) / len(rows)
    with capsys.disabled():
        sys.stdout.write(f"\nquestions read as expected: {len(rows) - len(wrong)} of {len(rows)} ({share:.1%})\n")
    assert share >= REQUIRED, wrong


def test_paraphrases_give_the_same_mandate() -> None:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in load():
        for tag in row["tags"]:
            if tag.startswith("group:"):
                groups[tag].append(row)
    assert len(groups) >= 10
    assert all(len(rows) >= 20 for rows in groups.values())
    for tag, rows in groups.items():
        readings = {}
        for row in rows:
            mandate = read(row["question"]).mandate.model_copy(update={"notes": []})
            readings.setdefault(mandate.model_dump_json(), row["question"])
        assert len(readings) == 1, (tag, readings)
