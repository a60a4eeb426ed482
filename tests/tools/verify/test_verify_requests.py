"""What the plan asked of the tools, against the candidates and the saved rows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, get_args

import build_run
import pytest

from tools import requests as writer
from tools.records import RequestTool
from tools.verify import requests, shape
from tools.verify.book import Book
from tools.verify.evidence import read_evidence
from tools.verify.report import Findings

Record = dict[str, Any]
LAST = build_run.DAY.toordinal()


def request(tool: str, results: Record, no_effect: str | None = None, **arguments: Any) -> Record:
    agent = requests.AGENT_OF[tool]
    named = {"agent": agent, "tool": tool, "author": "scripted", "results": results, "no_effect": no_effect}
    return {**named, "arguments": arguments}


@pytest.fixture(scope="module")
def record() -> Record:
    """The hand-made record, as if a model had asked for something of every agent."""
    made = build_run.build_record()
    made["usage"]["model"] = made["plan"]["author"] = "scripted"
    candidates = made["candidates"]
    betas = [c["metrics"]["beta"] for c in candidates]
    views = [c["risk"]["all_in"] for c in candidates]
    hit = {event: max(_losses(candidates, event)) for event in {e["event"] for e in candidates[0]["risk"]["stress"]}}
    high = {
        "expected_loss_high": max(view["expected_loss_high"] for view in views),
        "net_apy_low": min(view["net_apy_low"] for view in views),
    }
    plan = {"methods": made["plan"]["methods"], "confidence": made["plan"]["confidence"]}
    counts = {"candidates": 3.0, "unsolved": float(len(made["plan"]["unsolved"]))}
    made["requests"] = [
        request("screen", {"pools_before": 6.0, "pools_after": 6.0}, "all pass", min_tvl_usd=1e6),
        request("optimise", counts, **plan),
        request(
            "compare",
            {"candidates": 3.0, "beta_low": min(betas), "beta_high": max(betas)},
            measures=["beta"],
        ),
        request("stress", {**hit, **high}, events=sorted(hit), hazard="high"),
    ]
    return made


def _losses(candidates: list[Record], event: str) -> list[float]:
    return [one["loss"] for c in candidates for one in c["risk"]["stress"] if one["event"] == event]


def said(record: Record) -> str:
    findings = Findings()
    shape.RECOMMENDATION(record, "", findings)
    requests.check_requests(record, findings)
    evidence = read_evidence(build_run.build_inputs(), Findings())
    assert evidence is not None
    requests.check_screens(Book(record, evidence, LAST), findings)
    return "\n".join(str(difference) for difference in findings.report().differences)


def test_names_and_bounds_are_in_step_with_the_writer() -> None:
    assert set(requests.AGENT_OF) == set(get_args(RequestTool))
    assert set(requests.EXCLUSIONS) == set(writer.EXCLUSIONS)
    assert requests.MEASURES == writer.MEASURES
    assert requests.MOST_REQUESTS == writer.MOST_REQUESTS
    assert requests.LEAST_POOLS == writer.LEAST_POOLS
    sizes, days = (writer.LEAST_TVL_USD, writer.MOST_TVL_USD), (writer.LEAST_DAYS, writer.MOST_DAYS)
    assert {"min_tvl_usd": sizes, "min_history_days": days} == requests.BOUNDS
    for tool, kind in writer.KINDS.items():
        assert requests.ARGUMENTS[tool] == set(kind.model_fields) - {"tool"}


def test_honest_requests_hold(record: Record) -> None:
    assert said(record) == ""


def at(place: int, **changes: Any) -> Callable[[Record], object]:
    return lambda record: record["requests"][place].update(changes)


def argued(place: int, **arguments: Any) -> Callable[[Record], object]:
    return lambda record: record["requests"][place].update(arguments=arguments)


def resulted(place: int, **results: Any) -> Callable[[Record], object]:
    return lambda record: record["requests"][place]["results"].update(results)


FORGERIES: dict[str, tuple[Callable[[Record], object], str]] = {
    "by the policy": (lambda record: record["usage"].update(model="policy"), "although no model was in the seat"),
    "by another": (at(0, author="somebody"), "who was in the seat"),
    "another agent": (at(0, agent="risk"), "whose tool screen is"),
    "twice": (lambda record: record["requests"].append(record["requests"][0]), "each once"),
    "too many": (lambda record: record["requests"].extend([record["requests"][0]] * 4), "at most 6"),
    "another argument": (argued(0, max_weight=1.0), "none of screen"),
    "no argument": (argued(0), "none of screen"),
    "a size out of bounds": (argued(0, min_tvl_usd=10.0), "out of bounds"),
    "an age out of bounds": (argued(0, min_history_days=1.0), "out of bounds"),
    "a kind that is none": (argued(0, exclude=["aave"]), "out of bounds"),
    "a measure that is none": (argued(2, measures=["moon"]), "out of bounds"),
    "a hazard that is low": (argued(3, hazard="low"), "out of bounds"),
    "more left than there were": (resulted(0, pools_after=7.0), "of 6 eligible pools"),
    "more than are eligible": (resulted(0, pools_before=7.0, pools_after=7.0), "of 6 eligible pools"),
    "another count": (resulted(0, pools_before=5.0, pools_after=5.0), "what the saved rows give"),
    "an effect that was none": (at(0, no_effect=None), "whether pools fell out"),
    "a screen not applied": (
        lambda record: record["requests"][0].update(
            arguments={"min_tvl_usd": 9e8}, results={"pools_before": 6.0, "pools_after": 1.0}, no_effect=None
        ),
        "is one that the screen leaves out",
    ),
    "a screen that left too few": (
        lambda record: record["requests"][0].update(
            arguments={"min_tvl_usd": 9e8}, results={"pools_before": 6.0, "pools_after": 1.0}, no_effect=None
        ),
        "whether it left enough",
    ),
    "kinds that were not left out": (
        lambda record: record["requests"][0].update(
            arguments={"exclude": ["several_tokens", "rewards"]},
            results={"pools_before": 6.0, "pools_after": 5.0},
            no_effect=None,
        ),
        "is one that the screen leaves out",
    ),
    "other methods": (argued(1, methods=["equal"], confidence=0.95), "what quant planned"),
    "another tail": (lambda record: record["requests"][1]["arguments"].update(confidence=0.99), "what quant planned"),
    "other counts": (resulted(1, candidates=4.0), "the number of candidates"),
    "a range that is another": (resulted(2, beta_low=-9.0), "what the candidates give"),
    "a measure left out": (at(2, results={"candidates": 3.0}), "what was asked for"),
    "a loss that is another": (
        lambda record: record["requests"][3]["results"].update(
            dict.fromkeys(record["requests"][3]["arguments"]["events"], 0.5)
        ),
        "what the candidates give",
    ),
    "the high hazard made light of": (resulted(3, expected_loss_high=0.0), "what the candidates give"),
    "a stress without effect": (at(3, no_effect="nothing"), "whether anything was found"),
    "a number in words": (resulted(0, pools_after="six"), "instead of a number"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_request_is_found(name: str, record: Record) -> None:
    change, sentence = FORGERIES[name]
    forged = copy.deepcopy(record)
    change(forged)
    if name == "a number in words":
        findings = Findings()
        shape.RECOMMENDATION(forged, "", findings)
        assert sentence in "\n".join(map(str, findings.report().differences))
    else:
        assert sentence in said(forged)
