"""The table of lines: what is said after what, and what it must be read as."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tools.dialogue import Memory, Turn, read_turn
from tools.errors import MandateError
from tools.records import Mandate

HERE = Path(__file__).parent
NAMED = ("pool_ids", "candidate", "profile", "families", "tokens", "chains", "method")
SAID = ("recommend", "what_if")  # the kinds whose notes are compared


class Case(NamedTuple):
    """A line after a memory; ``expected`` holds what differs from nothing, ``error`` a part of the error's message."""

    id: str
    memory: str
    text: str
    expected: dict[str, Any] | None
    error: str | None
    held_out: bool


def load_cases() -> list[Case]:
    rows = [json.loads(line) for line in (HERE / "lines.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        Case(row["id"], row["memory"], row["text"], row.get("expected"), row.get("error"), row["held_out"])
        for row in rows
    ]


@cache
def load_memories() -> dict[str, Memory]:
    table = json.loads((HERE / "memories.json").read_text(encoding="utf-8"))
    return {name: Memory.model_validate_json(json.dumps(entry)) for name, entry in table.items()}


def wrong(case: Case) -> dict[str, Any]:
    """What was read otherwise than expected; nothing where all is right."""
    try:
        turn = read_turn(case.text, load_memories()[case.memory])
    except MandateError as error:
        right = case.error is not None and case.error in str(error)
        return {} if right else {"error": (str(error), case.error)}
    if case.expected is None:
        return {"error": (turn.kind, case.error)}
    found, expected = _told(turn), _wanted(case.expected)
    differing = {name: (found[name], expected[name]) for name in found if found[name] != expected[name]}
    reason = case.expected.get("reason", "")
    if reason.lower() not in (turn.reason or "").lower():
        differing["reason"] = (turn.reason, reason)
    return differing


def _told(turn: Turn) -> dict[str, Any]:
    recommended = turn.kind == "recommend" and turn.mandate is not None
    return {
        "kind": turn.kind,
        "changes": {change.field: change.after for change in turn.changes},
        "mandate": _stated(turn.mandate) if recommended else {},
        "subject": _subject(turn) if turn.kind not in {"out_of_scope", "unclear"} else None,
        "concept": turn.concept,
        "since": turn.since,
        "limits": turn.limits,
        "forget": turn.forget,
        "notes": bool(turn.notes) and turn.kind in SAID,
    }


def _stated(mandate: Mandate | None) -> dict[str, Any]:
    plain = Mandate().model_dump()
    told = mandate.model_dump() if mandate else plain
    return {name: value for name, value in told.items() if value != plain[name] and name not in {"notes", "intent"}}


def _subject(turn: Turn) -> dict[str, Any] | None:
    if turn.subject is None:
        return None
    told = turn.subject.model_dump()
    return {name: told[name] for name in NAMED if told[name]}


def _wanted(expected: dict[str, Any]) -> dict[str, Any]:
    plain = {"changes": {}, "subject": None, "concept": None, "since": None, "limits": [], "forget": False}
    wanted = {**plain, "mandate": {}, "notes": False, **expected}
    wanted["mandate"] = {n: v for n, v in wanted["mandate"].items() if v != getattr(Mandate(), n)}
    return wanted


def share_right(cases: Iterable[Case]) -> tuple[int, int, dict[str, Any]]:
    """How many are read right, of how many, and what is wrong with the others."""
    cases = list(cases)
    found = {case.text: differing for case in cases if (differing := wrong(case))}
    return len(cases) - len(found), len(cases), found
