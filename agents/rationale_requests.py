"""What the plan asked of the tools, in words: each request with what came of it, figures bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tools.figures import Ledger
from tools.records import Unit
from tools.requests import EXCLUSIONS

_MEASURES: Mapping[str, tuple[str, Unit, int]] = {
    "annual_return": ("return a year", "percent", 2),
    "annual_volatility": ("volatility of the yield", "percent", 2),
    "sharpe": ("Sharpe ratio of the yield", "ratio", 1),
    "sortino": ("Sortino ratio", "ratio", 1),
    "max_drawdown": ("drawdown", "percent", 2),
    "var_95": ("daily VaR", "percent", 3),
    "cvar_95": ("daily CVaR", "percent", 3),
    "calmar": ("Calmar ratio", "ratio", 1),
    "alpha": ("alpha of the yield", "percent", 2),
    "beta": ("beta", "ratio", 2),
    "skewness": ("skewness", "ratio", 2),
    "kurtosis": ("kurtosis", "ratio", 2),
    "omega": ("omega", "ratio", 1),
}
_ROWS = 3  # of a table of comparison: the choice, and the best of the others


def request_values(ledger: Ledger, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template says of the requests: a sentence for each, and the tables of comparison."""
    requests = record["requests"]
    sentences = [_sentence(ledger, record, place, one) for place, one in enumerate(requests)]
    tables = [_table(ledger, record, one) for one in requests if one["tool"] == "compare" and record["choice"]]
    return {"asked_for": [one for one in sentences if one], "comparisons": [one for one in tables if one["rows"]]}


def _sentence(ledger: Ledger, record: Mapping[str, Any], place: int, request: Mapping[str, Any]) -> str | None:
    pointer = f"/requests/{place}"
    if request["no_effect"] is not None:
        return f"{_NAMES[request['tool']]}, without effect: {request['no_effect']}"
    if request["tool"] == "screen":
        return _screen(ledger, pointer, request["arguments"])
    if request["tool"] == "optimise":
        tail = ledger.figure(f"{pointer}/arguments/confidence", "percent", 0)
        return f"other weight methods, with a tail level of {tail}"
    if request["tool"] == "stress":
        return _stress(ledger, record, pointer, request)
    return None if record["choice"] else "a comparison"


_NAMES = {"screen": "a screen", "optimise": "other weight methods", "compare": "a comparison", "stress": "a stress"}


def _screen(ledger: Ledger, pointer: str, arguments: Mapping[str, Any]) -> str:
    parts = []
    if "min_tvl_usd" in arguments:
        size = ledger.figure(f"{pointer}/arguments/min_tvl_usd", "usd", short=True)
        parts.append(f"pools without a size of {size}")
    if "min_history_days" in arguments:
        parts.append(f"pools without {ledger.figure(f'{pointer}/arguments/min_history_days', 'days')} days of history")
    parts += [EXCLUSIONS[kind] for kind in arguments.get("exclude", [])]
    before, after = (ledger.figure(f"{pointer}/results/{name}", "count") for name in ("pools_before", "pools_after"))
    return f"a screen that leaves out {', '.join(parts)}: of {before} pools it left {after} to every candidate"


def _stress(ledger: Ledger, record: Mapping[str, Any], pointer: str, request: Mapping[str, Any]) -> str | None:
    """Say what the events and the high hazard do to the choice; without one, to the candidate that they hit hardest."""
    results = request["results"]
    chosen = record["choice"]["candidate_id"] if record["choice"] else None
    index = next((i for i, one in enumerate(record["candidates"]) if one["id"] == chosen), None)
    if index is None:
        return None
    c, risk = f"/candidates/{index}", record["candidates"][index]["risk"]
    parts = [
        f"“{ledger.figure(f'{c}/risk/stress/{i}/title', 'name')}” would take "
        f"{ledger.figure(f'{c}/risk/stress/{i}/loss', 'percent', 1)} of the choice"
        for i, event in enumerate(risk["stress"])
        if event["event"] in results
    ]
    if "net_apy_low" in results:
        lost, kept = (ledger.figure(f"{c}/risk/all_in/{name}", "percent", 2) for name in _AT_HIGH)
        parts.append(f"were failures as frequent as the high end says, it would lose {lost} a year and keep {kept}")
    return "a stress: " + "; ".join(parts)


_AT_HIGH = ("expected_loss_high", "net_apy_low")


def _table(ledger: Ledger, record: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the head and the rows of a comparison: the choice first, then the best of the others that passed."""
    measures = list(dict.fromkeys(request["arguments"]["measures"]))
    candidates = record["candidates"]
    chosen = record["choice"]["candidate_id"]
    others = [i for i, one in enumerate(candidates) if one["passed"] and one["id"] != chosen]
    others.sort(key=lambda i: (-candidates[i]["score"]["total"], candidates[i]["id"]))
    own = next(i for i, one in enumerate(candidates) if one["id"] == chosen)
    rows = [
        {"candidate": candidates[i], "cells": _cells(ledger, candidates[i], f"/candidates/{i}/metrics", measures)}
        for i in [own, *others[: _ROWS - 1]]
    ]
    return {"head": [_MEASURES[name][0] for name in measures], "rows": rows}


def _cells(ledger: Ledger, candidate: Mapping[str, Any], pointer: str, measures: Sequence[str]) -> list[str]:
    return [
        "undefined"
        if candidate["metrics"][name] is None
        else ledger.figure(f"{pointer}/{name}", _MEASURES[name][1], _MEASURES[name][2])
        for name in measures
    ]
