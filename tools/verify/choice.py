"""The choice, what it will earn, what doing nothing would, and the limits in the way where there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from tools.verify.book import amounts
from tools.verify.gates import AT_LEAST
from tools.verify.report import Findings, printable
from tools.verify.series import DAYS_PER_YEAR
from tools.verify.shape import PROFILES

JsonObject = dict[str, Any]

TIE = 1e-12
DEFAULT_HORIZON_DAYS = 365
# The embedded policy takes the best score; another model may take one of the best five within this of it.
POLICY = "policy"
SHORTLIST_MARGIN, SHORTLIST_LENGTH = 0.05, 5
# Names that DefiLlama has given to one chain, by letters and digits.
SAME_CHAIN = {
    "optimism": "opmainnet",
    "mainnet": "ethereum",
    "zksync": "zksyncera",
    "hyperevm": "hyperliquidl1",
    "hyperliquid": "hyperliquidl1",
    "movement": "move",
    "klaytn": "kaia",
    "sapphire": "oasis",
}


def check_choice(record: JsonObject, findings: Findings) -> None:
    """Check the outcome: the right candidate, its pools and amounts, incomes and alternatives, or why there is none."""
    choice = record["choice"]
    vetoed = "risk" not in record["off"]  # with the risk agent off, a limit that is broken turns nothing down
    open_to_choice = [
        candidate
        for candidate in record["candidates"]
        if not vetoed or all(gate["passed"] for gate in candidate["gates"])
    ]
    findings.same("/outcome", record["outcome"] == "choice", choice is not None, "whether there is a choice")
    if choice is None:
        findings.same(
            "/choice", None, open_to_choice[0]["id"] if open_to_choice else None, "the candidate that passes every gate"
        )
    else:
        candidate = next((c for c in record["candidates"] if c["id"] == choice["candidate_id"]), None)
        if candidate is None:
            findings.at("/choice/candidate_id", "names no candidate", "the id of a candidate", choice["candidate_id"])
        else:
            _check_chosen(choice, candidate, open_to_choice, record, findings)
    _check_alternatives(record, findings)
    _check_conflicts(record, findings)
    _check_infeasible(record, findings)


def _check_chosen(
    choice: JsonObject, candidate: JsonObject, rivals: Sequence[JsonObject], record: JsonObject, findings: Findings
) -> None:
    failed = [gate["rule"] for gate in candidate["gates"] if not gate["passed"]]
    if failed and "risk" not in record["off"]:
        findings.at(
            "/choice/candidate_id",
            f"names a candidate that fails {printable(', '.join(failed))}",
            "every gate passed",
            choice["candidate_id"],
        )
    else:
        _check_best(candidate, rivals, record, findings)
    findings.number("/choice/amount", choice["amount"], amounts(record)[0], "the mandate's amount in its asset")
    findings.same("/choice/method", choice["method"], candidate["method"], "the candidate's method")
    if record["approval"] is not None:
        taken = record["approval"]["chosen"]
        findings.same("/choice/candidate_id", choice["candidate_id"], taken, "what the person took")
    named = record["mandate"]["profile"]
    if named is not None:
        findings.same("/choice/candidate_id", candidate["profile"], named, "the profile that the user named")
    _check_exclusions(candidate, record["mandate"], findings)
    _check_pools(choice["pools"], candidate["pools"], record, findings)
    _check_expected(choice["expected"], candidate, record, findings)


def _check_best(candidate: JsonObject, rivals: Sequence[JsonObject], record: JsonObject, findings: Findings) -> None:
    """See that the chosen candidate leads: by score, then by the method planned last, the smaller volatility, the id.

    Where the plan prefers the yield that is kept, the one that keeps the most leads of those with scores near the best.
    Figures that differ in the last bits only may have been taken for equal, or not: both are right. A model other than
    the embedded policy, and a person who was asked, may choose from the shortlist.
    """
    findings.recomputed += 1
    if "decision" in record["off"]:
        _check_first(candidate, rivals, record, findings)
        return
    total = candidate["score"]["total"]
    serving = record["plan"]["methods"][-1] if record["plan"] else ""
    best = max(rival["score"]["total"] for rival in rivals)
    first = min((rival for rival in rivals if rival["score"]["total"] >= best - TIE), key=partial(_tie_break, serving))
    if record["plan"] and record["plan"].get("prefers") == "net_apy":
        near = [rival for rival in rivals if rival["score"]["total"] >= best - SHORTLIST_MARGIN - TIE]
        first = _keeps_most(near, serving)
        leads = candidate["id"] == first["id"] or total > first["score"]["total"]
        if leads and candidate in near and _kept(candidate) >= max(map(_kept, near)) - TIE:
            return
    elif candidate["id"] == first["id"] or (total == best and first["score"]["total"] < best):
        return
    better = sum(rival["score"]["total"] > total + TIE for rival in rivals)
    shortlisted = total >= best - SHORTLIST_MARGIN - TIE and better < SHORTLIST_LENGTH
    unheard = record["usage"]["model"] == POLICY or "decision_model" in record["off"]
    by_policy = unheard and record["approval"] is None
    if by_policy or not shortlisted:
        mine, other = printable(candidate["id"]), printable(first["id"])
        what = f"is {mine} with a score of {total}, but {other} with {first['score']['total']} comes first"
        if first["score"]["total"] < best - TIE:
            what += f", as it is near the best and keeps {_kept(first)}"
        findings.at("/choice/candidate_id", what, first["id"], candidate["id"])


def _kept(candidate: JsonObject) -> float:
    return float(candidate["risk"]["all_in"]["net_apy"])


def _keeps_most(near: Sequence[JsonObject], serving: str) -> JsonObject:
    """Return the candidate that is expected to keep the most; of equal ones the first by score and what breaks ties."""
    most = max(map(_kept, near))
    equal = [rival for rival in near if _kept(rival) >= most - TIE]
    best = max(rival["score"]["total"] for rival in equal)
    return min((one for one in equal if one["score"]["total"] >= best - TIE), key=partial(_tie_break, serving))


def _check_first(candidate: JsonObject, rivals: Sequence[JsonObject], record: JsonObject, findings: Findings) -> None:
    """See that without a score the choice is the first by profile and id; a person may take one of the first five."""
    order = sorted(rivals, key=lambda rival: (PROFILES.index(rival["profile"]), rival["id"]))
    allowed = [rival["id"] for rival in order[: 1 if record["approval"] is None else SHORTLIST_LENGTH]]
    if candidate["id"] not in allowed:
        what = f"is {printable(candidate['id'])}, but {printable(allowed[0])} comes first, as nothing was scored"
        findings.at("/choice/candidate_id", what, allowed[0], candidate["id"])


def _tie_break(serving: str, candidate: JsonObject) -> tuple[bool, float, str]:
    volatility = candidate["metrics"]["annual_volatility"]
    return candidate["method"] != serving, math.inf if volatility is None else volatility, candidate["id"]


def _check_exclusions(candidate: JsonObject, mandate: JsonObject, findings: Findings) -> None:
    """See that no chosen pool is of a chain, protocol or token that the user ruled out."""
    for place, pool in enumerate(candidate["pools"]):
        facts = {"chains": [_chain(pool["chain"])], "protocols": [pool["family"]], "tokens": pool["tokens"]}
        for kind, own in facts.items():
            fold = _chain if kind == "chains" else str.casefold
            names = {fold(name) for name in own}
            excluded = names & {fold(name) for name in mandate[f"{kind}_exclude"]}
            included = {fold(name) for name in mandate[f"{kind}_include"]}
            if excluded:
                findings.at(
                    f"/choice/pools/{place}",
                    f"is of {printable(', '.join(sorted(excluded)))}, which the user excluded",
                    "",
                    pool["pool_id"],
                )
            if included and kind != "tokens" and not names <= included:
                findings.at(
                    f"/choice/pools/{place}",
                    f"is of {printable(', '.join(sorted(names)))}, not of the {kind} that the user named",
                )


def _chain(name: str) -> str:
    plain = "".join(c for c in name.casefold() if c.isalnum())
    return SAME_CHAIN.get(plain, plain)


def _check_pools(
    chosen: Sequence[JsonObject], pools: Sequence[JsonObject], record: JsonObject, findings: Findings
) -> None:
    in_asset, _ = amounts(record)
    ids = [pool["pool_id"] for pool in chosen]
    if ids != [pool["pool_id"] for pool in pools]:
        findings.at(
            "/choice/pools", "are not the candidate's pools in their order", "the candidate's pools", ", ".join(ids)
        )
        return
    for place, (mine, pool) in enumerate(zip(chosen, pools, strict=True)):
        findings.same(f"/choice/pools/{place}/weight", mine["weight"], pool["weight"], "the candidate's weight")
        expected = None if in_asset is None else pool["weight"] * in_asset
        findings.number(f"/choice/pools/{place}/amount", mine["amount"], expected, "its weight of the amount")


def income(amount: float | None, apy: float, days: float) -> float | None:
    """Return amount · ((1 + apy)^(days/365) − 1); None without an amount, or where that is no number."""
    if amount is None or apy < -1.0:
        return None
    try:
        return amount * (math.pow(1.0 + apy, days / DAYS_PER_YEAR) - 1.0)
    except (OverflowError, ValueError):
        return None


def _check_expected(expected: JsonObject, candidate: JsonObject, record: JsonObject, findings: Findings) -> None:
    in_asset, _ = amounts(record)
    horizon = record["mandate"]["horizon_days"] or DEFAULT_HORIZON_DAYS
    findings.same("/choice/expected/horizon_days", expected["horizon_days"], horizon, "the mandate's horizon")
    rates = {
        "apy": candidate["metrics"]["portfolio_apy"],
        "apy_low": candidate["apy_low"],
        "apy_high": candidate["apy_high"],
    }
    all_in = candidate["risk"]["all_in"]
    findings.number("/choice/expected/net_apy", expected["net_apy"], all_in["net_apy"], "the candidate's")
    net = _net_income(in_asset, all_in, horizon)
    findings.number("/choice/expected/net_income", expected["net_income"], net, "what is left of the amount's income")
    for name, rate in rates.items():
        findings.number(f"/choice/expected/{name}", expected[name], rate, "the candidate's")
        key = name.replace("apy", "income")
        earned = income(in_asset, expected[name], expected["horizon_days"])
        findings.number(
            f"/choice/expected/{key}", expected[key], earned, f"what the amount earns at {name} over the horizon"
        )


def _net_income(amount: float | None, all_in: JsonObject, days: float) -> float | None:
    """Return what the amount earns before costs that are paid once, less these."""
    per_year = all_in["cost_per_year"]
    before = income(amount, all_in["net_apy"] + per_year, days)
    return None if before is None or amount is None else before - amount * per_year * days / DAYS_PER_YEAR


def _check_alternatives(record: JsonObject, findings: Findings) -> None:
    alternatives, choice = record["alternatives"], record["choice"]
    if alternatives is None:
        findings.same("/alternatives", None, None if choice is None else "given", "what stands beside a choice")
        return
    findings.number("/alternatives/hold/apy", alternatives["hold"]["apy"], 0.0, "what holding earns")
    if record["market"] is not None:
        rate = record["market"]["risk_free"]["rate"]
        findings.number(
            "/alternatives/risk_free/apy", alternatives["risk_free"]["apy"], rate, "the market's risk-free rate"
        )
    for name, alternative in alternatives.items():
        pointer = f"/alternatives/{name}"
        if choice is None:
            for key in ("difference_bps", "net_difference_bps"):
                findings.number(f"{pointer}/{key}", alternative[key], None, "the difference without a choice")
            continue
        expected = choice["expected"]
        for key, rate in (("difference_bps", "apy"), ("net_difference_bps", "net_apy")):
            difference = (expected[rate] - alternative["apy"]) * 10_000.0
            findings.number(f"{pointer}/{key}", alternative[key], difference, "the difference", 1e-9, 1e-9)
        earned = income(amounts(record)[0], alternative["apy"], expected["horizon_days"])
        findings.number(
            f"{pointer}/income", alternative["income"], earned, "what the amount earns at that rate over the horizon"
        )


# --- no choice


def _check_conflicts(record: JsonObject, findings: Findings) -> None:
    for place, conflict in enumerate(record["conflicts"]):
        _check_conflict(conflict, f"/conflicts/{place}", record["candidates"], findings)
    if record["conflicts"] and record["choice"] is not None:
        findings.at("/conflicts", "are named although there is a choice", "none", record["conflicts"])


def _check_infeasible(record: JsonObject, findings: Findings) -> None:
    """See that the limits said to be in conflict, and those that ways out change, are those of the mandate.

    That nothing passes with them, and something without, takes solving: ``replay`` does that.
    """
    found, mandate = record["infeasible"], record["mandate"]
    if found is None:
        return
    findings.same("/outcome", record["outcome"], "no_feasible_strategy", "the outcome of what is infeasible")
    stated = [("conflict", entry["field"], entry["value"]) for entry in found["conflict"]]
    stated += [("ways_out", entry["field"], entry["before"]) for entry in found["ways_out"]]
    for part, field, value in stated:
        own = mandate.get(field)
        if not (own == value or (isinstance(own, list) and value in own)):
            findings.at(
                f"/infeasible/{part}", f"has {printable(value)} for {printable(field)}, which is not so", own, value
            )
    for entry in found["ways_out"]:
        change = entry["relative_change"]
        if change is not None:
            exact = abs(entry["after"] - entry["before"]) / entry["before"]
            findings.number("/infeasible/ways_out", change, exact, "the change in proportion")


def _check_conflict(conflict: JsonObject, pointer: str, candidates: Sequence[JsonObject], findings: Findings) -> None:
    gates = [
        gate
        for candidate in candidates
        for gate in candidate["gates"]
        if gate["rule"] == conflict["rule"] and not gate["passed"]
    ]
    vetoed = sum(
        any(gate["rule"] == conflict["rule"] and not gate["passed"] for gate in candidate["gates"])
        for candidate in candidates
    )
    findings.same(f"{pointer}/vetoed", conflict["vetoed"], vetoed, "the number of candidates that fail the rule")
    if gates and conflict["limit"] not in [gate["limit"] for gate in gates]:
        findings.at(
            f"{pointer}/limit",
            f"is {printable(conflict['limit'])}, which no failed gate has",
            gates[0]["limit"],
            conflict["limit"],
        )
    nearest = _nearest(conflict, gates)
    if nearest is not None:
        findings.number(f"{pointer}/nearest", _number(conflict["nearest"]), nearest, "the value closest to the limit")


def _nearest(conflict: Mapping[str, Any], gates: Sequence[JsonObject]) -> float | None:
    """Return the failed value closest to its limit, None where the limits differ or are no numbers."""
    values = [value for value in (_number(gate["value"]) for gate in gates) if value is not None]
    if not values or any(gate["limit"] != conflict["limit"] for gate in gates) or _number(conflict["limit"]) is None:
        return None
    return max(values) if conflict["rule"] in AT_LEAST else min(values)


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
