"""Gates: the values that they test, the verdicts, and the limits that the user set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tools.verify.book import shares
from tools.verify.report import Findings, printable

JsonObject = dict[str, Any]

_SHARES = ("position_share", "protocol_share", "issuer_share", "reward_share", "max_weight")
# The limits on loss, and where the all-in view has the value of each.
LOSSES = {"var_95": "var_95", "cvar_95": "cvar_95", "max_drawdown": "drawdown_95"}
AT_MOST = frozenset((*_SHARES, *LOSSES, "protocol_risk", "apy_multiple", "max_pools"))
ALWAYS = frozenset((*_SHARES, *LOSSES, "profile_risk", "protocol_risk", "apy_multiple", "history_days"))
AT_LEAST = frozenset(("min_tvl", "min_apy", "min_pools", "history_days"))
KNOWN = AT_MOST | AT_LEAST | ALWAYS

# The gate's rule for each of the user's own limits; the gate may be stricter than the user, never laxer.
MANDATE_LIMITS = {
    "min_tvl_usd": "min_tvl",
    "min_apy": "min_apy",
    "max_weight": "max_weight",
    "min_pools": "min_pools",
    "max_pools": "max_pools",
    "max_drawdown": "max_drawdown",
    "max_var_95": "var_95",
}
_LOW = ("ultra_safe", "conservative_growth", "blue_chip")
_MEDIUM = (*_LOW, "balanced_score", "balanced_apy", "growth")
PROFILES_OF_RISK = {
    "low": _LOW,
    "medium": _MEDIUM,
    "high": (*_MEDIUM, "aggressive_growth", "maximum_yield", "high_risk"),
}
VIEW_OF_RISK = {"low": "all_in", "medium": "all_in", "high": "carry_only"}
EDGE = 1e-9  # a value this close to its limit may stand on either side


def check_gates(record: JsonObject, findings: Findings) -> None:
    """Recompute the value and the verdict of each gate of each candidate, and see that no gate was left out."""
    limits: dict[str, Any] = {}
    for index, candidate in enumerate(record["candidates"]):
        pointer = f"/candidates/{index}/gates"
        passed = all(gate["passed"] for gate in candidate["gates"])
        findings.same(f"/candidates/{index}/passed", candidate["passed"], passed, "what its gates give")
        _check_view(candidate, f"/candidates/{index}", record["mandate"], record["off"], findings)
        _check_complete(candidate, pointer, record["mandate"], findings)
        expected = _values(candidate) if candidate["pools"] else {}
        for place, gate in enumerate(candidate["gates"]):
            _check_gate(gate, f"{pointer}/{place}", candidate, record["mandate"], findings)
            findings.same(
                f"{pointer}/{place}/tested", gate["tested"], _tested(gate, candidate["risk"]), "whether it can fail"
            )
            limit = limits.setdefault(gate["rule"], gate["limit"])
            findings.same(f"{pointer}/{place}/limit", gate["limit"], limit, "the limit of the other candidates")
            if gate["rule"] in expected and gate["value"] is not None:
                value, meaning = expected[gate["rule"]], "what the candidate's own figures give"
                findings.number(f"{pointer}/{place}/value", _number(gate["value"]), value, meaning)


def _check_view(
    candidate: JsonObject, pointer: str, mandate: JsonObject, off: Sequence[str], findings: Findings
) -> None:
    """See that limits on loss use the view that the level of risk asks for, and the score the one with events."""
    view, meaning = VIEW_OF_RISK[mandate["risk"]], f"the view for {mandate['risk']} risk"
    findings.same(f"{pointer}/risk/gate_view", candidate["risk"]["gate_view"], view, meaning)
    of_score = "carry_only" if "hazards" in off else "all_in"
    findings.same(f"{pointer}/score/view", candidate["score"]["view"], of_score, "the view of every score")


def _tested(gate: JsonObject, risk: JsonObject) -> bool:
    """Say whether passing the gate proves anything: what carry cannot show, or half of the pools hide, it does not."""
    if gate["value"] is None:
        return False
    blind = gate["rule"] in LOSSES and risk["gate_view"] == "carry_only"
    partial = gate["rule"] == "reward_share" and risk["reward_share_known_weight"] < 1.0 - EDGE
    return not gate["passed"] if blind or partial else True


def _check_complete(candidate: JsonObject, pointer: str, mandate: JsonObject, findings: Findings) -> None:
    """See that each rule stands once, the user's own limits among them."""
    rules = [gate["rule"] for gate in candidate["gates"]]
    wanted = ALWAYS | {rule for name, rule in MANDATE_LIMITS.items() if mandate[name] is not None}
    findings.recomputed += 1
    for rule in sorted(wanted - set(rules)):
        findings.at(pointer, f"lack the gate {rule}", rule, ", ".join(rules))
    for rule in sorted(set(rules) - KNOWN):
        findings.at(pointer, f"hold a rule that the checker does not know: {printable(rule)}", "a known rule", rule)
    if len(set(rules)) != len(rules):
        findings.at(pointer, "hold a rule more than once", "each rule once", ", ".join(rules))


def _values(candidate: JsonObject) -> dict[str, float | None]:
    """Return the value of each gate that follows from other figures of the record."""
    pools, metrics, risk = candidate["pools"], candidate["metrics"], candidate["risk"]
    all_in = risk["gate_view"] == "all_in"
    losses = {rule: risk["all_in"][key] if all_in else metrics[rule] for rule, key in LOSSES.items()}
    positions = [pool["share_of_pool"] for pool in pools if pool["share_of_pool"] is not None]
    return {
        "protocol_risk": max(pool["protocol_risk"] for pool in pools),
        "position_share": max(positions, default=None),
        "protocol_share": max(shares(candidate, "family").values()),
        "issuer_share": risk["largest_issuer"]["share"],
        "reward_share": risk["reward_share"],
        "apy_multiple": max(pool["apy_multiple"] for pool in pools),
        "max_weight": max(pool["weight"] for pool in pools),
        "max_pools": len(pools),
        "min_pools": len(pools),
        **losses,
        "min_tvl": min(pool["tvl_usd"] for pool in pools),
        "min_apy": metrics["portfolio_apy"],
        "history_days": min(pool["history_days"] for pool in pools),
    }


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _check_gate(gate: JsonObject, pointer: str, candidate: JsonObject, mandate: JsonObject, findings: Findings) -> None:
    if gate["rule"] == "profile_risk":
        named, profile = mandate["profile"], candidate["profile"]
        allowed = profile in (PROFILES_OF_RISK[mandate["risk"]] if named is None else (named,))
        findings.same(f"{pointer}/passed", gate["passed"], allowed, f"the verdict on {profile} for this mandate")
    value, limit = _number(gate["value"]), _number(gate["limit"])
    if gate["rule"] in AT_MOST | AT_LEAST and value is not None and limit is not None:
        _check_verdict(gate, value, limit, pointer, findings)
    for name, rule in MANDATE_LIMITS.items():
        if gate["rule"] == rule and mandate[name] is not None:
            _check_limit(limit, mandate[name], name, rule, pointer, findings)


def _check_verdict(gate: JsonObject, value: float, limit: float, pointer: str, findings: Findings) -> None:
    findings.recomputed += 1
    if abs(value - limit) <= EDGE * max(1.0, abs(limit)):
        return
    holds = value <= limit if gate["rule"] in AT_MOST else value >= limit
    if gate["passed"] != holds:
        relation = "at most" if gate["rule"] in AT_MOST else "at least"
        verdict = printable(gate["passed"])
        findings.at(
            f"{pointer}/passed",
            f"is {verdict}, but {printable(gate['rule'])} must be {relation} {limit} and is {value}",
            holds,
            verdict,
        )


def _check_limit(limit: float | None, given: float, name: str, rule: str, pointer: str, findings: Findings) -> None:
    findings.recomputed += 1
    lax = limit is None or (limit > given + EDGE * abs(given) if rule in AT_MOST else limit < given - EDGE * abs(given))
    if lax:
        findings.at(f"{pointer}/limit", f"is {printable(limit)}, but the mandate's {name} is {given}", given, limit)
