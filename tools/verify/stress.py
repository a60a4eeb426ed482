"""Dated events replayed: the loss is computed again from the recorded shocks and from what the candidate hangs on.

A shock takes share lost · loss of a pool. Within a channel (price or custody) the largest counts, the two channels
compound: 1 − (1 − price)(1 − custody). The candidate loses Σ weight · loss of the pool; what is left later is the same
with the losses of that day, and unknown where one of them is. A shock of an event is the same for all candidates.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence

from tools.verify.book import JsonObject
from tools.verify.exposure import Hits
from tools.verify.report import Findings, printable
from tools.verify.series import ordinal
from tools.verify.strict_json import escape

ROUNDING = 1e-9

Lost = Mapping[str, Mapping[str, float]]


def check_stress(record: JsonObject, hits: Sequence[Mapping[str, Hits]], findings: Findings) -> None:
    """Check every replay of every candidate; ``hits`` is what ``check_exposures`` returned."""
    candidates, last = record["candidates"], ordinal(record["as_of"])
    struck = _struck(candidates, findings)
    for index, (candidate, own) in enumerate(zip(candidates, hits, strict=True)):
        pointer = f"/candidates/{index}/risk/stress"
        _check_same_events(candidate["risk"]["stress"], candidates[0]["risk"]["stress"], pointer, findings)
        shares = {node["id"]: node["lost_if_fails"] for node in candidate["risk"]["exposure"]["nodes"]}
        weights = {pool["pool_id"]: pool["weight"] for pool in candidate["pools"] if pool["pool_id"] in own}
        lost = {pool_id: own[pool_id].lost for pool_id in weights}
        for place, result in enumerate(candidate["risk"]["stress"]):
            _check_dates(result, last, f"{pointer}/{place}", findings)
            held = sorted(node for node in struck[result["event"]] if shares.get(node, 0.0) > 0.0)
            meaning = "what it hits of other candidates and this one holds"
            findings.same(f"{pointer}/{place}/hit", result["hit"], held, meaning)
            _check_losses(result, weights, lost, f"{pointer}/{place}", findings)


def _struck(candidates: Sequence[JsonObject], findings: Findings) -> dict[str, dict[str, JsonObject]]:
    """Return the shocks of each event by node, and see that every candidate tells the same of them."""
    known: dict[str, dict[str, JsonObject]] = {}
    for index, candidate in enumerate(candidates):
        for place, result in enumerate(candidate["risk"]["stress"]):
            pointer = f"/candidates/{index}/risk/stress/{place}"
            hit = sorted(result["hit"])
            findings.same(f"{pointer}/shocks", sorted(result["shocks"]), hit, "the list of what is hit")
            shocks = known.setdefault(result["event"], {})
            for node, shock in result["shocks"].items():
                first = shocks.setdefault(node, shock)
                findings.same(f"{pointer}/shocks/{escape(node)}", shock, first, "the shock that another candidate has")
    return known


def _check_same_events(
    own: Sequence[JsonObject], first: Sequence[JsonObject], pointer: str, findings: Findings
) -> None:
    facts = ("event", "title", "date", "days_after")
    mine, others = ([[event[fact] for fact in facts] for event in events] for events in (own, first))
    findings.same(pointer, mine, others, "the events of the first candidate")
    names = [event["event"] for event in own]
    findings.same(pointer, len(set(names)), len(names), "the number of events, each once,")


def _check_dates(result: JsonObject, last: int | None, pointer: str, findings: Findings) -> None:
    """See that nothing is told that the day of the decision could not know."""
    day = ordinal(result["date"])
    findings.recomputed += 1
    if day is None or last is None:
        findings.at(f"{pointer}/date", f"is no day: {printable(result['date'])}", "a day", result["date"])
    elif day > last:
        findings.at(f"{pointer}/date", f"is {result['date']}, later than {dt.date.fromordinal(last)}", "", day)
    elif day + result["days_after"] > last and result["hit"] and result["loss_after"] is not None:
        what = f"is told for a day later than {dt.date.fromordinal(last)}"
        findings.at(f"{pointer}/loss_after", what, None, result["loss_after"])


def _check_losses(
    result: JsonObject, weights: Mapping[str, float], lost: Lost, pointer: str, findings: Findings
) -> None:
    """Recompute what is lost at the worst and later; see that each shock takes something, and the most at its worst."""
    shocks = result["shocks"]
    for node, shock in shocks.items():
        after = shock["loss_after"]
        if shock["loss"] <= 0.0 or (after is not None and after > shock["loss"]):
            what = f"takes {shock['loss']} at the worst and {printable(after)} later; the worst comes first"
            findings.at(f"{pointer}/shocks/{escape(node)}", what, f"at most {shock['loss']}", after)
    meaning = "what its shocks take"
    worst = _loss(weights, lost, shocks, "loss")
    findings.number(f"{pointer}/loss", result["loss"], worst, meaning, ROUNDING, ROUNDING)
    later = None if any(shock["loss_after"] is None for shock in shocks.values()) else "loss_after"
    after = None if later is None else _loss(weights, lost, shocks, later)
    findings.number(f"{pointer}/loss_after", result["loss_after"], after, meaning, ROUNDING, ROUNDING)


def _loss(weights: Mapping[str, float], lost: Lost, shocks: Mapping[str, JsonObject], when: str) -> float:
    """Return Σ weight · loss of the pool for the shocks' losses at one time."""
    total = []
    for pool_id, weight in weights.items():
        worst = {"price": 0.0, "custody": 0.0}
        for node, shock in shocks.items():
            taken = lost[pool_id].get(node, 0.0) * shock[when]
            worst[shock["channel"]] = max(worst[shock["channel"]], taken)
        total.append(weight * (1.0 - (1.0 - worst["price"]) * (1.0 - worst["custody"])))
    return min(1.0, math.fsum(total))
