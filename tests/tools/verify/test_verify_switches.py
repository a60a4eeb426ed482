"""What was switched off excuses what it must, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import build_run
import pytest

from tools.verify import choice, forecast, gates, limits, plan, reasons, requests, sizing
from tools.verify.book import Book
from tools.verify.evidence import read_evidence
from tools.verify.report import Findings

Record = dict[str, Any]
LAST = build_run.DAY.toordinal()


@pytest.fixture(scope="module")
def record() -> Record:
    return build_run.build_record()


def said(record: Record) -> str:
    """What the checks that know of switches say."""
    findings = Findings()
    evidence = read_evidence(build_run.build_inputs(), Findings())
    assert evidence is not None
    book = Book(record, evidence, LAST)
    for check in (
        choice.check_choice, gates.check_gates, limits.check_limits, plan.check_plan, reasons.check_reasons,
        requests.check_requests,
    ):  # fmt: skip
        check(record, findings)
    for of_book in (forecast.check_forecast, sizing.check_sizes):
        of_book(book, findings)
    return "\n".join(str(difference) for difference in findings.report().differences)


def chosen(record: Record) -> Record:
    found: Record = next(c for c in record["candidates"] if c["id"] == record["choice"]["candidate_id"])
    return found


def break_a_limit(record: Record) -> None:
    gate = next(gate for gate in chosen(record)["gates"] if gate["rule"] == "protocol_risk")
    gate["limit"], gate["passed"] = 0.01, False
    for candidate in record["candidates"]:
        for other in candidate["gates"]:
            if other["rule"] == "protocol_risk":
                other.update(limit=0.01, passed=False)
        candidate["passed"] = False
        if candidate is not chosen(record):  # which now is in the running, and must not lead
            candidate["score"]["total"] = 0.0
    record["limit_events"] = []


def undiluted(record: Record) -> None:
    for candidate in record["candidates"]:
        for pool in candidate["pools"]:
            pool["at_size"].update(model="none", apy=pool["apy"])


def on_carry(record: Record) -> None:
    for candidate in record["candidates"]:
        candidate["score"]["view"] = "carry_only"


EXCUSED: dict[str, Callable[[Record], object]] = {
    "risk": break_a_limit,
    "sizing": undiluted,
    "hazards": on_carry,
}


def test_the_hand_made_record_holds(record: Record) -> None:
    assert said(record) == ""


@pytest.mark.parametrize("switch", EXCUSED)
def test_what_is_off_is_excused_and_only_then(switch: str, record: Record) -> None:
    changed = copy.deepcopy(record)
    EXCUSED[switch](changed)
    assert said(changed) != ""
    for other in EXCUSED.keys() - {switch}:
        assert said(changed | {"off": [other]}) != ""
    assert said(changed | {"off": [switch]}) == ""


def test_without_a_score_the_first_by_profile_and_id_is_the_choice(record: Record) -> None:
    changed = copy.deepcopy(record) | {"off": ["decision"]}
    changed["choice"]["reasons"] = []
    for candidate in changed["candidates"]:
        candidate["passed"] = True
        for gate in candidate["gates"]:
            gate["passed"] = True
    order = sorted(changed["candidates"], key=lambda c: (choice.PROFILES.index(c["profile"]), c["id"]))
    for place, candidate in enumerate(order):
        changed["choice"]["candidate_id"] = candidate["id"]
        told = said(changed)
        assert ("comes first, as nothing was scored" in told) == (place > 0)
        assert "/choice/reasons" not in told


FORGERIES: dict[str, tuple[str, Callable[[Record], object], str]] = {
    "reasons where nothing was scored": ("decision", lambda record: None, "where nothing was scored"),
    "weights of an optimiser that was off": ("quant", lambda record: None, "without an optimiser"),
    "a veto of limits that were off": (
        "risk",
        lambda record: record["limit_events"].append(
            {"rule": "min_tvl", "subject": build_run.POOLS[0][0], "limit": None, "before": 0.2, "after": 0.0}
            | {"action": "sent_back"}
        ),
        "though the risk agent was off",
    ),
    "a rate at size where sizes were off": ("sizing", lambda record: None, "where sizes are off"),
    "a score with events that were off": ("hazards", lambda record: None, "the view of every score"),
    "a forecast that was off": ("forecast", lambda record: record.update(forecast={}), "where forecasts are off"),
    "a model's reasons where none was heard": (
        "decision_model",
        lambda record: (record["usage"].update(model="mine"), record["choice"].update(reasons_by="mine")),
        "who was in the seat",
    ),
    "a model's plan where none was asked": (
        "plan_model",
        lambda record: (record["usage"].update(model="mine"), record["plan"].update(author="mine")),
        "who was in the seat",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_was_off_cannot_have_happened(name: str, record: Record) -> None:
    switch, change, sentence = FORGERIES[name]
    forged = copy.deepcopy(record)
    change(forged)
    assert sentence in said(forged | {"off": [switch]})


def test_a_model_that_was_not_heard_cannot_have_chosen_another(record: Record) -> None:
    """From the shortlist a model may take the second; where it was not asked, the best score is the choice."""
    changed = copy.deepcopy(record)
    changed["usage"]["model"] = "mine"
    for candidate in changed["candidates"]:
        candidate["score"]["total"] = chosen(changed)["score"]["total"] + 0.01
        candidate["passed"] = True
        for gate in candidate["gates"]:
            gate["passed"] = True
    chosen(changed)["score"]["total"] -= 0.01
    assert "comes first" not in said(changed)
    assert "comes first" in said(changed | {"off": ["decision_model"]})
