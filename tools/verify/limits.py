"""Limits that fired, thresholds to watch, and where the money goes in an emergency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tools.verify.book import WEIGHTS, Book, JsonObject
from tools.verify.gates import KNOWN
from tools.verify.report import Findings, printable
from tools.verify.series import ordinal

MEASURES = (
    "cvar_95", "single_point", "expected_loss_share", "protocol_risk", "position_share",
    "token_discount", "utilisation", "tvl_fall",
)  # fmt: skip
UNMEASURED = ("utilisation", "tvl_fall")  # of one pool, from feeds that a recommendation does not have
PRICE_AGES = range(3)  # a close of the day, or of one of the two before
TABLE_OF_TOKEN = {"USTC": "ust"}
CAPS = ("max_weight", "protocol_share", "issuer_share", "position_share")


def check_limits(record: JsonObject, findings: Findings) -> None:
    """Check the events against gates and choice, and the thresholds of the choice against its figures."""
    _check_rejected(record, findings)
    for place, event in enumerate(record["limit_events"]):
        _check_event(event, f"/limit_events/{place}", record, findings)
    if record["choice"] is not None:
        _check_tripwires(record, findings)
        moves = record["choice"]["emergency"]
        total = sum(move["share"] for move in moves)
        findings.number("/choice/emergency", total, 1.0, "the sum of all shares", 0.0, WEIGHTS)
        targets = [move["target"] for move in moves]
        findings.same("/choice/emergency", len(set(targets)), len(targets), "the number of targets, each once,")


def check_discount(book: Book, findings: Findings) -> None:
    """Recompute how far the tokens of the choice closed below a dollar, from the saved prices."""
    choice = book.record["choice"]
    if choice is None:
        return
    chosen = next((c for c in book.record["candidates"] if c["id"] == choice["candidate_id"]), None)
    for place, wire in enumerate(choice["tripwires"]):
        if wire["measure"] == "token_discount" and chosen is not None:
            expected = _discount(chosen, book) if book.record["mandate"]["asset"] == "USD" else None
            meaning = "the worst close of its tokens below a dollar"
            findings.number(f"/choice/tripwires/{place}/value", wire["value"], expected, meaning)


# --- events ----------------------------------------------------------------------------------------------------------


def _check_rejected(record: JsonObject, findings: Findings) -> None:
    """See that each failed gate has its event, and nothing else has one."""
    failed = {
        (candidate["id"], gate["rule"]): gate["limit"]
        for candidate in record["candidates"]
        for gate in candidate["gates"]
        if not gate["passed"] and "risk" not in record["off"]
    }
    told = {(e["subject"], e["rule"]): e["limit"] for e in record["limit_events"] if e["action"] == "rejected"}
    findings.recomputed += len(failed)
    for subject, rule in sorted(failed.keys() - told.keys()):
        what = f"lack the rejection of {printable(subject)} by {printable(rule)}"
        findings.at("/limit_events", what, rule, subject)
    for subject, rule in sorted(told.keys() - failed.keys()):
        what = f"reject {printable(subject)} by {printable(rule)}, which it passes or lacks"
        findings.at("/limit_events", what, "a failed gate", rule)
    for key in sorted(told.keys() & failed.keys()):
        findings.same("/limit_events", told[key], failed[key], f"the limit of {printable(key[1])}")
    keys = [(event["action"], event["rule"], event["subject"]) for event in record["limit_events"]]
    findings.same("/limit_events", len(set(keys)), len(keys), "the number of events, each once,")


def _check_event(event: JsonObject, pointer: str, record: JsonObject, findings: Findings) -> None:
    """Check one event: all or nothing for a rejection, nothing left of what was sent back, less of what was capped."""
    action, before, after = event["action"], event["before"], event["after"]
    if event["rule"] not in KNOWN:
        findings.at(f"{pointer}/rule", f"is {printable(event['rule'])}, which is no limit", "a limit", event["rule"])
    findings.recomputed += 1
    if not 0.0 <= after < before <= 1.0 + WEIGHTS:
        what = f"is {after} after {before}; a limit leaves less than there was, and no less than nothing"
        findings.at(f"{pointer}/after", what, f"less than {before}", after)
    if action in ("rejected", "sent_back"):
        findings.number(f"{pointer}/after", after, 0.0, "what a limit leaves of what it turns away")
    if action == "rejected":
        findings.number(f"{pointer}/before", before, 1.0, "all of the money")
    elif action == "sent_back":
        if "risk" in record["off"]:
            findings.at(f"{pointer}/action", "is sent_back, though the risk agent was off", "another action", action)
        eligible = record["market"]["benchmark_pools"] if record["market"] is not None else []
        if event["subject"] not in eligible:
            findings.at(f"{pointer}/subject", "is no eligible pool", "a pool", event["subject"])
        limits = {gate["rule"]: gate["limit"] for c in record["candidates"] for gate in c["gates"]}
        if event["limit"] is not None:  # the user's own limits are not told here
            limit = limits.get(event["rule"], event["limit"])
            findings.same(f"{pointer}/limit", event["limit"], limit, "the limit of the candidates' gates")
    elif action == "capped":
        _check_capped(event, pointer, record, findings)
    else:
        findings.at(f"{pointer}/action", f"is {action}, which follows a recommendation", "another action", action)


def _check_capped(event: JsonObject, pointer: str, record: JsonObject, findings: Findings) -> None:
    """See that a cap left what the choice holds, by a limit of the chosen candidate."""
    choice = record["choice"]
    chosen = None
    if choice is not None:
        chosen = next((c for c in record["candidates"] if c["id"] == choice["candidate_id"]), None)
    if chosen is None:
        findings.at(pointer, "caps a pool although nothing was chosen", "a choice")
        return
    weights = {pool["pool_id"]: pool["weight"] for pool in choice["pools"]}
    weight = weights.get(event["subject"])
    findings.number(f"{pointer}/after", event["after"], weight, "the weight of that pool in the choice", WEIGHTS)
    limits = {gate["rule"]: gate["limit"] for gate in chosen["gates"] if gate["rule"] in CAPS}
    limit = limits.get(event["rule"], "no cap")
    findings.same(f"{pointer}/limit", event["limit"], limit, "the limit of the candidate's gate")
    if choice["method"] == "equal":
        findings.number(f"{pointer}/before", event["before"], 1.0 / len(weights), "equal weight", WEIGHTS)


# --- thresholds ------------------------------------------------------------------------------------------------------


def _check_tripwires(record: JsonObject, findings: Findings) -> None:
    wires, choice = record["choice"]["tripwires"], record["choice"]
    measures = [wire["measure"] for wire in wires]
    findings.same("/choice/tripwires", measures, list(MEASURES), "the list of measures")
    chosen = next((c for c in record["candidates"] if c["id"] == choice["candidate_id"]), None)
    expected = {} if chosen is None else _watched(chosen)
    for place, wire in enumerate(wires):
        pointer, value = f"/choice/tripwires/{place}", wire["value"]
        if wire["measure"] in expected:
            meaning = "what the chosen candidate has"
            findings.number(f"{pointer}/value", value, expected[wire["measure"]], meaning)
        findings.same(f"{pointer}/state", wire["state"], _state(wire), "what its value and thresholds give")
        if not 0.0 < wire["reduce"] <= wire["emergency"]:
            what = f"is {wire['reduce']}, which does not lie between 0 and the emergency's {wire['emergency']}"
            findings.at(f"{pointer}/reduce", what, f"at most {wire['emergency']}", wire["reduce"])


def _watched(chosen: JsonObject) -> dict[str, float | None]:
    risk, apy = chosen["risk"], chosen["metrics"]["portfolio_apy"]
    shares = {node["id"]: node["lost_if_fails"] for node in risk["exposure"]["nodes"]}
    return {
        "cvar_95": risk["all_in"]["cvar_95"],
        "single_point": shares.get(risk["exposure"]["single_point"]),
        "expected_loss_share": risk["all_in"]["expected_loss"] / apy if apy else None,
        "protocol_risk": risk["protocol_risk_max"],
        "position_share": risk["largest_position_share"],
        **dict.fromkeys(UNMEASURED),
    }


def _state(wire: JsonObject) -> str:
    if wire["value"] is None or wire["value"] <= wire["reduce"]:
        return "normal"
    return "reduce" if wire["value"] <= wire["emergency"] else "emergency"


def _discount(chosen: JsonObject, book: Book) -> float | None:
    closes = [_close(token, book) for token in {t for pool in chosen["pools"] for t in pool["tokens"]}]
    if not closes or any(close is None for close in closes):
        return None
    return max(max(0.0, 1.0 - close) for close in closes if close is not None)


def _close(token: str, book: Book) -> float | None:
    """Return the close of a token on the day, or on one of the two days before; None without a table or a price."""
    table = book.evidence.tables.get(f"prices/{TABLE_OF_TOKEN.get(token, token.lower())}_usd_daily.csv")
    rows: Sequence[Any] = table if isinstance(table, list) else ()
    closes: dict[int, float] = {}
    for row in rows:
        day = ordinal(row.get("date")) if isinstance(row, dict) else None
        price = _price(row.get("close")) if day is not None else None
        if day is not None and price is not None:
            closes[day] = price
    return next((closes[book.last - age] for age in PRICE_AGES if book.last - age in closes), None)


def _price(text: object) -> float | None:
    try:
        value = float(text) if isinstance(text, (str, int, float)) else 0.0
    except (ValueError, OverflowError):
        return None
    return value if 0.0 < value < 1e30 else None
