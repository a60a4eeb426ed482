"""The reasons of the choice: each points at a figure of it, and each comparison holds."""

from __future__ import annotations

from typing import Any

from tools.verify.report import Findings, printable
from tools.verify.strict_json import PointerError, value_at

JsonObject = dict[str, Any]

POLICY = "policy"
MOST_REASONS = 4
# Where a candidate has each figure that may be a reason, and whether more of it is better, or less.
FIGURES = {
    "score": ("/score/total", ">"),
    "net_apy": ("/risk/all_in/net_apy", ">"),
    "apy": ("/metrics/portfolio_apy", ">"),
    "apy_mean_30d": ("/apy_mean_30d", ">"),
    "apy_low": ("/apy_low", ">"),
    "sharpe": ("/risk/all_in/sharpe", ">"),
    "alpha": ("/risk/all_in/alpha", ">"),
    "volatility": ("/risk/all_in/volatility", "<"),
    "expected_loss": ("/risk/all_in/expected_loss", "<"),
    "cvar_95": ("/risk/all_in/cvar_95", "<"),
    "loss_probability": ("/risk/all_in/loss_probability", "<"),
    "protocol_risk": ("/risk/protocol_risk_max", "<"),
    "largest_protocol": ("/risk/largest_protocol/share", "<"),
    "reward_share": ("/risk/reward_share", "<"),
    "position_share": ("/risk/largest_position_share", "<"),
    "independent_risks": ("/risk/exposure/effective_risks", ">"),
}


def check_reasons(record: JsonObject, findings: Findings) -> None:
    """See that the choice has reasons, that they are figures of its own, and that it is ahead where they say so."""
    choice = record["choice"]
    if choice is None:
        return
    reasons = choice["reasons"]
    if "decision" in record["off"]:
        findings.same("/choice/reasons", len(reasons), 0, "the number of reasons where nothing was scored")
        return
    findings.same("/choice/reasons", 0 < len(reasons) <= MOST_REASONS, True, "whether there are one to four")
    names = [(reason["figure"], reason["over"]) for reason in reasons]
    findings.same("/choice/reasons", len(set(names)), len(names), "the number of reasons, each once,")
    if record["usage"]["model"] == POLICY or "decision_model" in record["off"]:
        findings.same("/choice/reasons_by", choice["reasons_by"], POLICY, "who was in the seat")
    elif choice["reasons_by"] not in (POLICY, record["usage"]["model"]):
        findings.at("/choice/reasons_by", "is neither the policy nor the model", record["usage"]["model"])
    place = {candidate["id"]: f"/candidates/{index}" for index, candidate in enumerate(record["candidates"])}
    for number, reason in enumerate(reasons):
        _check_reason(reason, f"/choice/reasons/{number}", place, record, findings)


def _check_reason(
    reason: JsonObject, pointer: str, place: dict[str, str], record: JsonObject, findings: Findings
) -> None:
    path, better = FIGURES[reason["figure"]]
    chosen, over = record["choice"]["candidate_id"], reason["over"]
    findings.same(f"{pointer}/pointer", reason["pointer"], place.get(chosen, "") + path, "that figure of the choice")
    if over is None:
        findings.same(f"{pointer}/against", [reason["op"], reason["against"]], [None, None], "a reason without another")
        return
    vetoed = "risk" not in record["off"]
    passed = {candidate["id"] for candidate in record["candidates"] if candidate["passed"] or not vetoed}
    if over not in passed or over == chosen:
        findings.at(f"{pointer}/over", f"is {printable(over)}, no other candidate that passed", "another one", over)
        return
    findings.same(f"{pointer}/against", reason["against"], place[over] + path, "that figure of the other one")
    findings.same(f"{pointer}/op", reason["op"], better, "in which direction that figure is better")
    mine, theirs = (_number(record, one) for one in (reason["pointer"], reason["against"]))
    findings.recomputed += 1
    if mine is None or theirs is None or not (mine > theirs if better == ">" else mine < theirs):
        findings.at(pointer, f"does not hold: {mine} is not {better} {theirs}", better, mine)


def _number(record: JsonObject, pointer: str) -> float | None:
    try:
        value = value_at(record, pointer)
    except PointerError:
        return None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
