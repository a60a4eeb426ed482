"""Dated events replayed: what the candidates say of the same event must fit what they hang on.

The shocks themselves are not in the record. An event takes the largest of (share lost · fall) over the nodes that it
hits, so no more than their sum, and for one node alone share · fall: the fall is then the same for every candidate.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence

from tools.verify.book import JsonObject
from tools.verify.exposure import Hits
from tools.verify.report import Findings, printable
from tools.verify.series import ordinal

ROUNDING = 1e-9

Lost = Mapping[str, Mapping[str, float]]


def check_stress(record: JsonObject, hits: Sequence[Mapping[str, Hits]], findings: Findings) -> None:
    """Check every replay of every candidate; ``hits`` is what ``check_exposures`` returned."""
    candidates, last = record["candidates"], ordinal(record["as_of"])
    struck: dict[str, set[str]] = {}
    falls: dict[tuple[str, str], float] = {}
    for candidate in candidates:
        for result in candidate["risk"]["stress"]:
            struck.setdefault(result["event"], set()).update(result["hit"])
    for index, (candidate, own) in enumerate(zip(candidates, hits, strict=True)):
        pointer = f"/candidates/{index}/risk/stress"
        _check_same_events(candidate["risk"]["stress"], candidates[0]["risk"]["stress"], pointer, findings)
        for place, result in enumerate(candidate["risk"]["stress"]):
            _check_dates(result, last, f"{pointer}/{place}", findings)
            lost = {pool["pool_id"]: own[pool["pool_id"]].lost for pool in candidate["pools"] if pool["pool_id"] in own}
            shares = {n["id"]: n["lost_if_fails"] for n in candidate["risk"]["exposure"]["nodes"]}
            held = sorted(node for node in struck[result["event"]] if shares.get(node, 0.0) > 0.0)
            meaning = "what it hits of other candidates and this one holds"
            findings.same(f"{pointer}/{place}/hit", result["hit"], held, meaning)
            _check_loss(result, candidate, lost, f"{pointer}/{place}", findings)
            _check_fall(result, shares, falls, f"{pointer}/{place}", findings)


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


def _check_loss(result: JsonObject, candidate: JsonObject, lost: Lost, pointer: str, findings: Findings) -> None:
    findings.same(f"{pointer}/loss", result["loss"] > 0.0, bool(result["hit"]), "whether anything is hit")
    most = math.fsum(
        pool["weight"] * min(1.0, math.fsum(lost[pool["pool_id"]].get(node, 0.0) for node in result["hit"]))
        for pool in candidate["pools"]
        if pool["pool_id"] in lost
    )
    if result["loss"] > most + ROUNDING:
        what = f"is {result['loss']}, more than the {most} that hangs on what it hits"
        findings.at(f"{pointer}/loss", what, f"at most {most}", result["loss"])
    after = result["loss_after"]
    if after is not None and after > result["loss"] + ROUNDING:
        what = f"is {after}, more than at the worst of it, {result['loss']}"
        findings.at(f"{pointer}/loss_after", what, f"at most {result['loss']}", after)


def _check_fall(
    result: JsonObject,
    shares: Mapping[str, float],
    falls: dict[tuple[str, str], float],
    pointer: str,
    findings: Findings,
) -> None:
    """See that a node that is hit alone fell by as much as in the first candidate where it is."""
    if len(result["hit"]) != 1 or not shares.get(result["hit"][0]):
        return
    for name in ("loss", "loss_after"):
        if result[name] is not None:
            share = shares[result["hit"][0]]
            first = falls.setdefault((result["event"] + name, result["hit"][0]), result[name] / share)
            place, meaning = f"{pointer}/{name}", "the fall in the first candidate, on this one's share,"
            findings.number(place, result[name], first * share, meaning, ROUNDING, ROUNDING)
