"""The reasons of a choice against the figures that they point at."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, get_args

import build_run
import pytest

from tools.reasons import MOST_REASONS, REASONS
from tools.records import ReasonFigure
from tools.verify import reasons, shape
from tools.verify.report import Findings

Record = dict[str, Any]


@pytest.fixture(scope="module")
def record() -> Record:
    return build_run.build_record()


def said(record: Record) -> str:
    findings = Findings()
    reasons.check_reasons(record, findings)
    return "\n".join(str(difference) for difference in findings.report().differences)


def other(record: Record) -> tuple[int, Record]:
    """Another candidate of the hand-made record, as if it had passed."""
    chosen = record["choice"]["candidate_id"]
    place = next(i for i, candidate in enumerate(record["candidates"]) if candidate["id"] != chosen)
    record["candidates"][place]["passed"] = True
    return place, record["candidates"][place]


def compared(record: Record, name: str) -> Record:
    """Give the choice one reason that compares: a figure of which it has the better."""
    place, rival = other(record)
    mine = f"/candidates/{[c['id'] for c in record['candidates']].index(record['choice']['candidate_id'])}"
    kind = REASONS[name]  # type: ignore[index]
    reason = {
        "figure": name,
        "pointer": mine + kind.path,
        "over": rival["id"],
        "op": kind.better,
        "against": f"/candidates/{place}{kind.path}",
    }
    record["choice"]["reasons"] = [reason]
    put(record, mine + kind.path, 0.5)
    put(record, reason["against"], 0.4 if kind.better == ">" else 0.6)
    return reason


def put(record: Record, pointer: str, value: object) -> None:
    *path, last = pointer.strip("/").split("/")
    node: Any = record
    for key in path:
        node = node[int(key)] if isinstance(node, list) else node[key]
    node[last] = value


def test_figures_are_in_step_with_the_writer() -> None:
    assert {name: tuple(kind)[:2] for name, kind in REASONS.items()} == reasons.FIGURES
    assert set(reasons.FIGURES) == set(get_args(ReasonFigure)) == set(shape.REASON_FIGURES)
    assert reasons.MOST_REASONS == MOST_REASONS


def test_the_reasons_of_the_hand_made_record_hold(record: Record) -> None:
    assert said(record) == ""
    assert record["choice"]["reasons"]


@pytest.mark.parametrize("name", sorted(REASONS))
def test_a_comparison_holds_in_one_direction_only(name: str, record: Record) -> None:
    forged = copy.deepcopy(record)
    reason = compared(forged, name)
    assert said(forged) == ""
    for value in (0.5, 0.6 if reason["op"] == ">" else 0.4, None):
        put(forged, reason["against"], value)
        assert "does not hold" in said(forged)


FORGERIES: dict[str, tuple[Callable[[Record, Record], object], str]] = {
    "a figure of another candidate": (lambda r, one: one.update(pointer=one["against"]), "that figure of the choice"),
    "another figure": (lambda r, one: one.update(pointer=one["pointer"].replace("net_apy", "cvar_95")), "that figure"),
    "the other's figure elsewhere": (lambda r, one: one.update(against=one["pointer"]), "of the other one"),
    "the sign turned round": (lambda r, one: one.update(op="<"), "in which direction"),
    "no sign": (lambda r, one: one.update(op=None), "in which direction"),
    "itself": (lambda r, one: one.update(over=r["choice"]["candidate_id"]), "no other candidate that passed"),
    "nobody": (lambda r, one: one.update(over="moon.equal"), "no other candidate that passed"),
    "one that did not pass": (lambda r, one: other(r)[1].update(passed=False), "no other candidate that passed"),
    "a comparison with nobody": (lambda r, one: one.update(over=None), "a reason without another"),
    "no reason": (lambda r, one: r["choice"].update(reasons=[]), "one to four"),
    "the same twice": (lambda r, one: r["choice"].update(reasons=[one, one]), "each once"),
    "too many": (
        lambda r, one: r["choice"].update(
            reasons=[
                {"figure": n, "pointer": p, "over": None, "op": None, "against": None}
                for n, (p, _) in list(reasons.FIGURES.items())[:5]
            ]
        ),
        "one to four",
    ),
    "a model that was not there": (lambda r, one: r["choice"].update(reasons_by="gpt"), "who was in the seat"),
    "another model": (
        lambda r, one: (r["usage"].update(model="mine"), r["choice"].update(reasons_by="yours")),
        "neither the policy nor the model",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_reason_is_found(name: str, record: Record) -> None:
    change, sentence = FORGERIES[name]
    forged = copy.deepcopy(record)
    reason = compared(forged, "net_apy")
    assert said(forged) == ""
    change(forged, reason)
    assert sentence in said(forged)
