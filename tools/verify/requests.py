"""What the plan asked of the tools: within its bounds, stricter or informing only, and with the results that it had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tools.verify.book import Book, JsonObject
from tools.verify.report import Findings, printable
from tools.verify.shape import METHODS

POLICY = "policy"
MOST_REQUESTS = 6
AGENT_OF = {"screen": "data", "optimise": "quant", "compare": "quant", "stress": "risk"}
BOUNDS = {"min_tvl_usd": (1e6, 1e9), "min_history_days": (60.0, 365.0)}
LEAST_POOLS, LEAST_PER_CAP = 6, 2
MEASURES = (
    "annual_return", "annual_volatility", "sharpe", "sortino", "max_drawdown", "var_95", "cvar_95", "calmar",
    "alpha", "beta", "skewness", "kurtosis", "omega",
)  # fmt: skip
# What falls out of a screen, as far as a candidate's pool tells.
EXCLUSIONS: Mapping[str, Callable[[JsonObject], bool]] = {
    "several_tokens": lambda pool: len(pool["tokens"]) > 1,
    "rewards": lambda pool: bool(pool["apy_reward"]),
    "falling_yield": lambda pool: pool["trend"] == "down",
}
ARGUMENTS = {
    "screen": {"min_tvl_usd", "min_history_days", "exclude"},
    "optimise": {"methods", "confidence"},
    "compare": {"measures"},
    "stress": {"events", "hazard"},
}


def check_requests(record: JsonObject, findings: Findings) -> None:
    """Check each request against its bounds and against the candidates that came of it."""
    requests = record["requests"]
    findings.same("/requests", len(requests) <= MOST_REQUESTS, True, f"whether there are at most {MOST_REQUESTS}")
    if (record["usage"]["model"] == POLICY or "plan_model" in record["off"]) and requests:
        findings.at("/requests", "are made although no model was in the seat", "none", len(requests))
    keys = [(request["tool"], str(request["arguments"])) for request in requests]
    findings.same("/requests", len(set(keys)), len(keys), "the number of requests, each once,")
    for place, request in enumerate(requests):
        pointer, tool = f"/requests/{place}", request["tool"]
        findings.same(f"{pointer}/agent", request["agent"], AGENT_OF[tool], f"whose tool {tool} is")
        findings.same(f"{pointer}/author", request["author"], record["usage"]["model"], "who was in the seat")
        odd = sorted(set(request["arguments"]) - ARGUMENTS[tool])
        if odd or not request["arguments"]:
            findings.at(f"{pointer}/arguments", f"are none of {tool}: {printable(', '.join(odd))}", tool, odd)
        elif _typed(request["arguments"], pointer, findings):
            _CHECKS[tool](request, pointer, record, findings)


def _typed(arguments: JsonObject, pointer: str, findings: Findings) -> bool:
    """See that every argument is an enum or a number within its bounds."""
    good = True
    for name, value in arguments.items():
        if name in BOUNDS:
            low, high = BOUNDS[name]
            fits = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
        elif name == "confidence":
            fits = isinstance(value, float)
        elif name == "hazard":
            fits = value == "high"
        else:
            known = {"exclude": EXCLUSIONS, "methods": METHODS, "measures": MEASURES}.get(name)
            fits = isinstance(value, list) and 0 < len(value) <= 9 and (known is None or set(value) <= set(known))
        if not fits:
            findings.at(f"{pointer}/arguments/{name}", f"is {printable(value)}, out of bounds", "within bounds", value)
        good &= fits
    return good


def _check_screen(request: JsonObject, pointer: str, record: JsonObject, findings: Findings) -> None:
    results, arguments = request["results"], request["arguments"]
    before, after = results.get("pools_before"), results.get("pools_after")
    eligible = record["market"]["pools_eligible"] if record["market"] is not None else 0
    if before is None or after is None or not 0 <= after <= before <= eligible:
        findings.at(f"{pointer}/results", f"are {before} and {after} of {eligible} eligible pools", "fewer and fewer")
        return
    applied = request["no_effect"] is None
    findings.same(f"{pointer}/no_effect", applied, after < before, "whether pools fell out")
    if not applied:
        return
    caps = [gate["limit"] for c in record["candidates"] for gate in c["gates"] if gate["rule"] == "max_weight"]
    least = max(LEAST_POOLS, LEAST_PER_CAP / caps[0] - 1e-6) if caps and caps[0] else LEAST_POOLS
    findings.same(f"{pointer}/results/pools_after", after >= least, True, "whether it left enough to choose from")
    for index, candidate in enumerate(record["candidates"]):
        for place, pool in enumerate(candidate["pools"]):
            if _falls_out(pool, arguments):
                what = "is one that the screen leaves out"
                findings.at(f"/candidates/{index}/pools/{place}", what, "a pool that passes", pool["pool_id"])


def _falls_out(pool: JsonObject, arguments: JsonObject) -> bool:
    return (
        pool["tvl_usd"] < arguments.get("min_tvl_usd", 0.0)
        or pool["history_days"] < arguments.get("min_history_days", 0.0)
        or any(EXCLUSIONS[kind](pool) for kind in arguments.get("exclude", []))
    )


def _check_optimise(request: JsonObject, pointer: str, record: JsonObject, findings: Findings) -> None:
    plan = record["plan"]
    if plan is None:
        return
    for name in ("methods", "confidence"):
        findings.same(f"{pointer}/arguments/{name}", request["arguments"].get(name), plan[name], "what quant planned")
    counts = {"candidates": len(record["candidates"]), "unsolved": len(plan["unsolved"])}
    findings.same(f"{pointer}/results", request["results"], counts, "the number of candidates and of those without")


def _check_compare(request: JsonObject, pointer: str, record: JsonObject, findings: Findings) -> None:
    candidates = record["candidates"]
    expected: dict[str, float] = {"candidates": float(len(candidates))}
    for name in request["arguments"]["measures"]:
        values = [c["metrics"][name] for c in candidates if c["metrics"][name] is not None]
        if values:
            expected |= {f"{name}_low": min(values), f"{name}_high": max(values)}
    _same_results(request, expected, pointer, findings)


def _check_stress(request: JsonObject, pointer: str, record: JsonObject, findings: Findings) -> None:
    candidates, arguments = record["candidates"], request["arguments"]
    expected: dict[str, float] = {}
    for event in arguments.get("events", []):
        losses = [one["loss"] for c in candidates for one in c["risk"]["stress"] if one["event"] == event]
        expected |= {event: max(losses)} if losses else {}
    views = [c["risk"]["all_in"] for c in candidates]
    if views and arguments.get("hazard") == "high" and views[0]["hazard_level"] != "high":
        expected["expected_loss_high"] = max(view["expected_loss_high"] for view in views)
        expected["net_apy_low"] = min(view["net_apy_low"] for view in views)
    _same_results(request, expected, pointer, findings)
    findings.same(f"{pointer}/no_effect", request["no_effect"] is None, bool(expected), "whether anything was found")


def _same_results(request: JsonObject, expected: Mapping[str, float], pointer: str, findings: Findings) -> None:
    results = request["results"]
    findings.same(f"{pointer}/results", sorted(results), sorted(expected), "what was asked for and can be had")
    for name in sorted(results.keys() & expected.keys()):
        findings.number(f"{pointer}/results/{name}", results[name], expected[name], "what the candidates give")


_CHECKS: Mapping[str, Callable[[JsonObject, str, JsonObject, Findings], None]] = {
    "screen": _check_screen,
    "optimise": _check_optimise,
    "compare": _check_compare,
    "stress": _check_stress,
}


def check_screens(book: Book, findings: Findings) -> None:
    """Count again what a screen of sizes and ages alone leaves, from the saved rows."""
    kept = list(book.eligible)
    for place, request in enumerate(book.record["requests"]):
        if request["tool"] != "screen" or "exclude" in request["arguments"]:
            if request["tool"] == "screen":
                return  # what tokens a pool holds, no saved row says
            continue
        before, left = len(kept), [pool for pool in kept if _passes(pool, request["arguments"], book)]
        if request["no_effect"] is None:
            kept = left
        expected = {"pools_before": before, "pools_after": len(kept)}
        findings.same(f"/requests/{place}/results", request["results"], expected, "what the saved rows give")


def _passes(pool_id: str, arguments: Mapping[str, Any], book: Book) -> bool:
    rows, series = book.evidence.rows.get(pool_id, []), book.series(pool_id)
    if not rows or series is None:
        return False
    return bool(
        rows[0].get("tvlUsd", 0.0) >= arguments.get("min_tvl_usd", 0.0)
        and book.last - series.first + 1 >= arguments.get("min_history_days", 0.0)
    )
