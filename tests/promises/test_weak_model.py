"""A weak model, which answers in the wrong form half of the time: what is used of it, and what the record says."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from scripted_model import Asked, Handler, Mode
from stand import CAREFUL, SHORT_PLAN, Server, allowed, open_server, reasons_for, says_json, small_stand
from tallies import FULL, Ledger, some
from test_lying_model import reason_faults
from test_obedient_model import LENGTH, MARGIN, trusting

import agents.decision

CASES = 300
Flaw = Callable[[dict[str, Any], random.Random], str]


def _without_a_field(answer: dict[str, Any], chance: random.Random) -> str:
    left = dict(answer)
    if left:
        del left[chance.choice(sorted(left))]
    return json.dumps(left)


def _in_capitals(answer: dict[str, Any], chance: random.Random) -> str:
    """Write the names of an enum in capitals, as a model that was not held to a schema may."""
    changed = dict(answer)
    if "candidate" in changed:
        changed["candidate"] = changed["candidate"].upper()
    if "methods" in changed:
        changed["methods"] = [method.title() for method in changed["methods"]]
    if not changed:
        changed = {"RISK": "LOW"}
    return json.dumps(changed)


def _numbers_as_text(answer: dict[str, Any], chance: random.Random) -> str:
    return json.dumps({key: str(value) if isinstance(value, float) else value for key, value in answer.items()})


def _with_more_fields(answer: dict[str, Any], chance: random.Random) -> str:
    return json.dumps({"thought": "Let me think.", **answer, "confidence_level": "high"})


FLAWS: dict[str, Flaw] = {
    "prose instead of an object": lambda answer, _: "I would take the first one, as it looks calm to me.",
    "an object in prose": lambda answer, _: f"Sure! Here is what I think: {json.dumps(answer)} Hope this helps.",
    "an object in a fence": lambda answer, _: f"```json\n{json.dumps(answer, indent=2)}\n```",
    "thoughts before it": lambda answer, _: f"<think>{{maybe}} the first</think>\n{json.dumps(answer)}",
    "a field forgotten": _without_a_field,
    "the wrong case": _in_capitals,
    "numbers as text": _numbers_as_text,
    "more fields": _with_more_fields,
    "single quotes": lambda answer, _: repr(answer),
    "a trailing comma": lambda answer, _: json.dumps(answer)[:-1] + ",}",
    "cut short": lambda answer, _: json.dumps(answer)[: -max(2, len(json.dumps(answer)) // 3)],
    "in a list": lambda answer, _: json.dumps([answer]),
    "two objects": lambda answer, _: json.dumps(answer) + "\n" + json.dumps({"candidate": "or another"}),
    "nothing": lambda answer, _: "",
    "figures in its prose": lambda answer, _: json.dumps({**answer, "why": ["It yields 5.6% a year."]}),
    "the schema itself": lambda answer, _: json.dumps({"type": "object", "properties": answer}),
}


class Weak:
    """A scripted mode that answers honestly, and half of the time in a wrong form; ``flaws`` is what it did by task."""

    def __init__(self, seed: int, flaws: Sequence[str] = tuple(FLAWS)) -> None:
        self._chance = random.Random(seed)
        self._among = sorted(flaws)
        self.flaws: list[tuple[str, str | None]] = []

    def __call__(self, handler: Handler, asked: Asked) -> None:
        honest = self._honest(asked)
        flaw = self._chance.choice(self._among) if self._chance.random() < 0.5 else None
        self.flaws.append((asked.task, flaw))
        says_json(handler, json.dumps(honest) if flaw is None else FLAWS[flaw](honest, self._chance))

    def _honest(self, asked: Asked) -> dict[str, Any]:
        if asked.task == "plan":
            return {**SHORT_PLAN, "requests": []}
        if asked.task != "decide":
            return {}
        at = self._chance.randrange(len(asked.payload["shortlist"]))
        words = {"why": ["choice_apy"], "caution": ["rates_move"]}
        return {"candidate": asked.payload["shortlist"][at]["id"], "reasons": reasons_for(asked.payload, at), **words}


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents.decision, "SHORTLIST_MARGIN", MARGIN)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with open_server() as opened:
        yield opened


def fate(task: str, flaws: list[str | None], fallback: list[str]) -> str:
    """Say what became of a task: used at once, mended, or left to the policy."""
    said = [entry for entry in fallback if entry.startswith(f"{task}: ")]
    if any(entry.endswith("the embedded policy took over") for entry in said):
        return "left to the policy"
    return "mended" if len(flaws) > 1 else "used at once"


def test_what_is_used_of_a_weak_model(server: Server, ledger: Ledger) -> None:
    stand = small_stand()
    promise = ledger.open("weak model", "choices outside the allowed set, or reasons that do not hold")
    unsaid = ledger.open("weak model", "answers that were refused and of which the record says nothing")
    fates: Counter[str] = Counter()
    forms: dict[str, Counter[str]] = {}
    for seed in some(range(CASES), 4):
        weak: Mode = Weak(seed)
        record = stand.run(CAREFUL, server.seat(weak))
        taken = record.choice.candidate_id if record.choice else None
        faults = [] if taken in allowed(record, MARGIN, LENGTH) else [f"{taken} was chosen"]
        promise.add("run", faults + reason_faults(record))
        for task in ("read", "plan", "decide"):
            of_task = [flaw for name, flaw in weak.flaws if name == task]  # type: ignore[attr-defined]
            became = fate(task, of_task, record.usage.fallback)
            fates[became] += 1
            forms.setdefault(str(of_task[0]), Counter())[became] += 1
            refused = len(of_task) > 1 or became == "left to the policy"
            noted = any(entry.startswith(f"{task}: ") for entry in record.usage.fallback)
            unsaid.add(task, ["not in the record"] if refused and not noted and "nothing" not in of_task else [])
    promise.facts |= {
        "tasks": dict(fates),
        "by the first answer's form": {k: dict(v) for k, v in sorted(forms.items())},
    }
    assert promise.violations == 0, promise.examples
    assert unsaid.violations == 0, unsaid.examples
    assert fates["used at once"] > fates["left to the policy"]
    if FULL:
        assert fates["mended"] > 0


def test_with_any_answer_believed_the_same_cases_fail(
    server: Server, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the check of an answer's form, what a weak model says breaks the run or is chosen."""
    monkeypatch.setattr(agents.decision, "ask_for_choice", trusting)
    tally = ledger.open("weak model", "ablation: answers are not checked", promise=False)
    stand = small_stand()
    for seed in range(40 if FULL else 2):
        try:
            record = stand.run(CAREFUL, server.seat(Weak(seed, ["the wrong case", "a field forgotten"])))
            taken = record.choice.candidate_id if record.choice else None
            faults = [] if taken in allowed(record, MARGIN, LENGTH) else [f"{taken} was chosen"]
        except (RuntimeError, StopIteration, KeyError, TypeError, AttributeError) as error:
            faults = [f"the run breaks: {type(error).__name__}"]
        tally.add("run", faults)
    assert tally.violations > 0
