"""What quant set out to do, and something to show for each method that it planned.

Which methods a level of risk may be given stands in a data file that a user can edit, so it is not checked here.
"""

from __future__ import annotations

from collections import Counter

from tools.verify.book import JsonObject, amounts
from tools.verify.report import Findings, printable
from tools.verify.shape import PROFILES

CONFIDENCES = (0.9, 0.95, 0.99)
SMALLEST_WEIGHT, LEAST_POSITION_USD = 0.05, 500.0
POINT = 1e-4  # weights are rounded to basis points
ANY_POOL_HOLDS_IT_USD = 1e8  # of more money a pool may hold less than the least weight, and is then held so far
POLICY = "policy"


def check_plan(record: JsonObject, findings: Findings) -> None:
    """Check the plan against the mandate, and that every profile and method ended as one thing."""
    plan = record["plan"]
    if plan is None:
        if record["candidates"]:
            findings.at("/plan", "is null, but there are candidates", "a plan", None)
        return
    methods = plan["methods"]
    findings.same("/plan/methods", len(set(methods)), max(1, len(methods)), "the number of methods, each once,")
    findings.same("/plan/confidence", plan["confidence"] in CONFIDENCES, True, f"whether it is one of {CONFIDENCES}")
    if "quant" in record["off"]:
        findings.same("/plan/methods", methods, ["equal"], "what there is without an optimiser")
    if record["usage"]["model"] == POLICY or {"plan_model", "quant"}.intersection(record["off"]):
        findings.same("/plan/author", plan["author"], POLICY, "who was in the seat")
    _check_least_weight(record, plan, findings)
    _check_ends(record, plan, findings)


def _check_least_weight(record: JsonObject, plan: JsonObject, findings: Findings) -> None:
    """See that the least weight is that of the money, and that no position by ``net_yield`` is below it."""
    if "least_weight" not in plan:  # written before there was one
        return
    _, dollars = amounts(record)
    least = SMALLEST_WEIGHT if dollars is None else min(SMALLEST_WEIGHT, max(LEAST_POSITION_USD / dollars, POINT))
    findings.number("/plan/least_weight", plan["least_weight"], least, "that of the money")
    if dollars is not None and dollars > ANY_POOL_HOLDS_IT_USD:
        return
    for index, candidate in enumerate(record["candidates"]):
        for place, pool in enumerate(candidate["pools"] if candidate["method"] == "net_yield" else []):
            findings.recomputed += 1
            if pool["weight"] < least - POINT:
                what = f"is {pool['weight']}, too little for a position"
                findings.at(f"/candidates/{index}/pools/{place}/weight", what, f"{least} at least", pool["weight"])


def _check_ends(record: JsonObject, plan: JsonObject, findings: Findings) -> None:
    """See that each profile was emptied, or has a candidate or a reason for none with each planned method."""
    for index, candidate in enumerate(record["candidates"]):
        name = f"{candidate['profile']}.{candidate['method']}"
        findings.same(f"/candidates/{index}/id", candidate["id"], name, "its profile and method")
    ends = Counter((entry["profile"], entry["method"]) for entry in (*record["candidates"], *plan["unsolved"]))
    empty = Counter(entry["profile"] for entry in record["emptied"])
    wanted = Counter((p, method) for p in PROFILES if p not in empty for method in plan["methods"])
    findings.recomputed += len(wanted)
    for (profile, method), times in sorted((wanted - ends).items()):
        what = f"lack {printable(profile)} by {printable(method)}, and no reason is given"
        findings.at("/candidates", what, f"{times} more", f"{profile}.{method}")
    for profile, method in sorted(ends - wanted):
        what = f"hold {printable(profile)} by {printable(method)}, which was not planned, or twice"
        findings.at("/candidates", what, "one end of each profile and method", f"{profile}.{method}")
    findings.same("/emptied", max(empty.values(), default=1), 1, "how often a profile ends")
