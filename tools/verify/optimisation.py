"""How the weights came about: what the methods say of themselves, and what their own proof still proves.

The bound of ``min_cvar`` is computed again. For every distribution q over the days with 0 ≤ q ≤ 1/((1 − α)·T) no
weights have a CVaR below −qᵀRw (Rockafellar & Uryasev 2002; Rockafellar, Uryasev & Zabarankin 2006), and for every
price λ ≥ 0 of a group cap aᵀw ≤ c none within the limits is below the minimum of −qᵀRw + Σ λ·(aᵀw − c) over boxes and
budget. That is a fractional knapsack: q are the record's drivers, λ its prices. ``risk_adjusted`` is proved the same
way, with its linear objective in the place of −qᵀR.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tools.verify import metrics
from tools.verify.book import WEIGHTS, Book, JsonObject, amounts
from tools.verify.report import Findings
from tools.verify.series import DAYS_PER_YEAR, ordinal

RULES = ("equal", "inverse_volatility")  # these optimise nothing; ``risk_parity`` has a value, of its own potential
MINIMISING = ("min_cvar", "min_loss")
MAXIMISING = ("risk_adjusted", "max_sharpe", "yield_less_loss", "net_yield")
OVER = {"min_cvar": "days", "min_loss": "years", "yield_less_loss": "years"}
CAPS = ("max_weight", "position_share", "protocol_share", "issuer_share")
SIZES = (0.05, 0.005)  # least weights, the second where the first does not fit
POINT = 1e-4  # weights are rounded to basis points
PRICE = 100.0  # basis points per percentage point, of a price per unit
EXACT = 1e-9
# Rounding may give up a little of a limit: by so much an objective moves per unit of weight, at most.
LARGEST_OVER = {"days": 1e-3, "years": 1.0, "nothing": 1.0}
DRIVERS = 1e-6  # within which the drivers add up
GAS_USD = 500.0  # more than going in and out of some pools takes
VOLATILITY_FLOOR = 0.05
AS_THEY_STAND = "that of the weights as they stand"
Returns = Sequence[Sequence[float]]


class Limits(NamedTuple):
    """What the weights of a candidate must keep: bounds by pool, and caps of groups by the name that prices have."""

    least: list[float]
    most: list[float]
    groups: Mapping[str, tuple[list[float], float]]


# --- what needs the record alone --------------------------------------------------------------------------------------


def check_optimisations(record: JsonObject, findings: Findings) -> None:
    """See that value, bound and gap fit each other and the direction, and that prices and probabilities are some."""
    for index, candidate in enumerate(record["candidates"]):
        own, pointer, method = candidate["optimisation"], f"/candidates/{index}/optimisation", candidate["method"]
        findings.same(f"{pointer}/over", own["over"], OVER.get(method, "nothing"), f"what {method} looks at")
        _check_direction(own, method, pointer, findings)
        _check_gap(own, method, candidate["pools"], pointer, findings)
        _check_lists(own, pointer, findings)
        if method == "net_yield" and own["value"] is not None:
            _check_net_yield(candidate, record, pointer, findings)


def _check_direction(own: JsonObject, method: str, pointer: str, findings: Findings) -> None:
    wanted = "minimise" if method in MINIMISING else "maximise" if method in MAXIMISING else ""
    told = next((word for word in ("minimise", "maximise") if own["objective"].startswith(word)), "")
    findings.same(f"{pointer}/objective", told, wanted, f"what {method} does")
    if method in RULES:
        for name in ("value", "bound", "gap", "rounded"):
            findings.number(f"{pointer}/{name}", own[name], None, "that of a rule without an objective")
        for name in ("binding", "drivers"):
            findings.same(f"{pointer}/{name}", own[name], [], "what a rule has")


def _check_gap(own: JsonObject, method: str, pools: Sequence[JsonObject], pointer: str, findings: Findings) -> None:
    value, bound, rounded = own["value"], own["bound"], own["rounded"]
    sign = -1.0 if method in MAXIMISING else 1.0
    gap = None if value is None or bound is None else max(0.0, sign * (value - bound))
    findings.number(f"{pointer}/gap", own["gap"], gap, "the distance of value and bound", EXACT, EXACT)
    moved = POINT * len(pools) * LARGEST_OVER[own["over"]]
    for name, found, slack in (("value", value, 0.0), ("rounded", rounded, moved)):
        findings.recomputed += 1
        if found is None or bound is None:
            continue
        if sign * (found - bound) < -slack - EXACT * max(1.0, abs(bound)):
            what = f"is {found}, better than the bound {bound} that nothing within the limits can beat"
            findings.at(f"{pointer}/{name}", what, bound, found)


def _check_net_yield(candidate: JsonObject, record: JsonObject, pointer: str, findings: Findings) -> None:
    """See that the objective is the yield that is kept, before the drift of tokens, as far as gas is known."""
    all_in, pools, (_, dollars) = candidate["risk"]["all_in"], candidate["pools"], amounts(record)
    kept = all_in["net_apy"] + (all_in["impermanent_loss"] or 0.0)
    moved = POINT * len(pools) * max(1e-2, *(abs(pool["apy"]) for pool in pools))
    if all_in["gas_cost"] is None and dollars:  # that of some pools may be known and counted
        moved += GAS_USD / dollars * DAYS_PER_YEAR / (record["mandate"]["horizon_days"] or DAYS_PER_YEAR)
    meaning = "what is kept with the weights as they stand"
    findings.number(f"{pointer}/value", candidate["optimisation"]["value"], kept, meaning, 0.0, moved)


def _check_lists(own: JsonObject, pointer: str, findings: Findings) -> None:
    for place, binding in enumerate(own["binding"]):
        findings.recomputed += 1
        if binding["price_bps"] < 0.0:
            what = f"is {binding['price_bps']}: a limit that is loosened makes nothing worse"
            findings.at(f"{pointer}/binding/{place}/price_bps", what, "0 or more", binding["price_bps"])
    for name, key in (("binding", "limit"), ("drivers", "name")):
        names = [entry[key] for entry in own[name]]
        findings.same(f"{pointer}/{name}", len(set(names)), len(names), "the number of entries, each once,")
    chances = [driver["probability"] for driver in own["drivers"]]
    findings.same(f"{pointer}/drivers", chances, sorted(chances, reverse=True), "the most probable first")
    total = math.fsum(chances)
    # Things that fail in the same year each have the whole year: only days are alternatives of each other.
    if own["over"] == "days" and total > 1.0 + EXACT:
        findings.at(f"{pointer}/drivers", f"have {total} of probability in all", "at most 1", total)
    if own["over"] == "nothing" and own["drivers"]:
        findings.at(f"{pointer}/drivers", "drive what has no scenarios", "none", len(own["drivers"]))


# --- what the saved rows prove ----------------------------------------------------------------------------------------


def check_bounds(book: Book, findings: Findings) -> None:
    """Compute objectives and bounds again where the record holds what they need, and the weights of the rules."""
    plan = book.record["plan"]
    for index, candidate in enumerate(book.record["candidates"]):
        pointer = f"/candidates/{index}"
        if candidate["method"] in RULES or candidate["method"] == "min_cvar":
            returns = _returns(candidate, book)
            limits = _limits(candidate, book.record)
            if returns is None or limits is None or plan is None:
                continue
            if candidate["method"] == "min_cvar":
                _check_cvar(candidate, returns, limits, plan["confidence"], pointer, findings)
            else:
                _check_rule(candidate, returns, limits, pointer, findings)
        elif candidate["method"] == "risk_adjusted":
            limits = _limits(candidate, book.record)
            if limits is not None:
                _check_greedy(candidate, limits, pointer, findings)


def _returns(candidate: JsonObject, book: Book) -> Returns | None:
    """Return the daily returns of each pool over the window; None where a chart is too short."""
    first, last = ordinal(candidate["window"]["first"]), ordinal(candidate["window"]["last"])
    if first is None or last is None or not 1 < last - first + 1 <= 366:
        return None
    found = [book.returns(pool["pool_id"], first, last) for pool in candidate["pools"]]
    return [own for own in found if own is not None] if None not in found else None


def _limits(candidate: JsonObject, record: JsonObject) -> Limits | None:
    """Return the limits as its gates have them; an issuer of one of a pool's tokens counts with all of the pool."""
    limits = {gate["rule"]: gate["limit"] for gate in candidate["gates"]}
    caps = {rule: float(limits[rule]) for rule in CAPS if isinstance(limits.get(rule), (int, float))}
    if len(caps) < len(CAPS):
        return None
    pools, (weight, position, protocol, issuer) = candidate["pools"], (caps[rule] for rule in CAPS)
    _, dollars = amounts(record)
    most = [min(weight, position * pool["tvl_usd"] / dollars) if dollars else weight for pool in pools]
    groups: dict[str, tuple[list[float], float]] = {}
    for family in {pool["family"] for pool in pools}:
        groups[f"protocol_share:{family}"] = [float(pool["family"] == family) for pool in pools], protocol
    for name in {name for pool in pools for name in pool["issuers"]}:
        groups[f"issuer_share:{name}"] = [float(name in pool["issuers"]) for pool in pools], issuer
    lightest = min(pool["weight"] for pool in pools)
    size = next((size for size in SIZES if lightest >= min(size, 0.5 / len(pools), *most) - POINT), 0.0)
    return Limits([min(size, 0.5 / len(pools), *most)] * len(pools), most, groups)


def _check_cvar(
    candidate: JsonObject, returns: Returns, limits: Limits, confidence: float, pointer: str, findings: Findings
) -> None:
    own, weights = candidate["optimisation"], [pool["weight"] for pool in candidate["pools"]]
    if not 0.0 < confidence < 1.0 or own["value"] is None or own["rounded"] is None or own["bound"] is None:
        findings.at(f"{pointer}/optimisation", "has no value, bound or level to be checked", "numbers", None)
        return
    daily = [math.fsum(w * r for w, r in zip(weights, day, strict=True)) for day in zip(*returns, strict=True)]
    tail = metrics.conditional_value_at_risk(daily, confidence)
    meaning = "the mean loss of the worst days at these weights"
    findings.number(f"{pointer}/optimisation/rounded", own["rounded"], tail, meaning, EXACT, 1e-14)
    largest = max(abs(value) for series in returns for value in series)
    moved = POINT * len(weights) * largest + EXACT * abs(tail)
    findings.number(f"{pointer}/optimisation/value", own["value"], tail, AS_THEY_STAND, 0.0, moved)
    chances = _distribution(own["drivers"], candidate["window"], len(daily), confidence)
    if chances is None:
        what = "are no distribution over the days of the window within the tail"
        findings.at(f"{pointer}/optimisation/drivers", what, "a distribution", len(own["drivers"]))
        return
    costs = [-math.fsum(q * series[day] for day, q in chances.items()) for series in returns]
    proved = _least(costs, limits, own["binding"], candidate["pools"])
    _check_proof(own, proved, 1.0, largest, f"{pointer}/optimisation", findings)


def _check_greedy(candidate: JsonObject, limits: Limits, pointer: str, findings: Findings) -> None:
    own, pools = candidate["optimisation"], candidate["pools"]
    worth = [pool["apy"] * (1.0 - pool["protocol_risk"]) for pool in pools]
    total = math.fsum(pool["weight"] * each for pool, each in zip(pools, worth, strict=True))
    if own["rounded"] is not None:
        findings.number(f"{pointer}/optimisation/rounded", own["rounded"], total, "its objective at these weights")
    if own["value"] is not None:
        moved = POINT * len(pools) * max(abs(each) for each in worth)
        findings.number(f"{pointer}/optimisation/value", own["value"], total, AS_THEY_STAND, 0.0, moved)
    if own["bound"] is not None:
        proved = _least([-each for each in worth], limits, own["binding"], pools)
        _check_proof(own, -proved, -1.0, max(abs(each) for each in worth), f"{pointer}/optimisation", findings)


def _check_proof(own: JsonObject, proved: float, sign: float, scale: float, pointer: str, findings: Findings) -> None:
    """See that drivers and prices prove the bound: it may be weaker than what they prove, and no stronger."""
    findings.recomputed += 1
    slack = 1e-6 * scale + EXACT * abs(own["bound"])
    if sign * (own["bound"] - proved) > slack:
        what = f"is {own['bound']}, but drivers and prices prove no more than {proved}"
        findings.at(f"{pointer}/bound", what, proved, own["bound"])


def _distribution(
    drivers: Sequence[JsonObject], window: JsonObject, days: int, confidence: float
) -> dict[int, float] | None:
    """Return the probability of each day of the window, by its place; None where the drivers are no tail of it."""
    most = 1.0 / ((1.0 - confidence) * days)
    first = ordinal(window["first"]) or 0
    chances: dict[int, float] = {}
    for driver in drivers:
        day = ordinal(driver["name"])
        if day is None or not first <= day < first + days or driver["probability"] > most + DRIVERS:
            return None
        chances[day - first] = driver["probability"]
    total = math.fsum(chances.values())
    return {day: q / total for day, q in chances.items()} if abs(total - 1.0) <= DRIVERS else None


def _least(costs: Sequence[float], limits: Limits, binding: Sequence[JsonObject], pools: Sequence[JsonObject]) -> float:
    """Return a bound below which cᵀw cannot fall within the limits, by the prices of the groups among ``binding``.

    Every price of 0 or more gives a bound; that of another limit is left to the knapsack, which knows the boxes itself.
    """
    costs, constant = list(costs), []
    for entry in binding:
        if entry["limit"] in limits.groups:
            shares, cap = limits.groups[entry["limit"]]
            price = max(0.0, entry["price_bps"]) / PRICE
            costs = [cost + price * share for cost, share in zip(costs, shares, strict=True)]
            constant.append(-price * cap)
    left = 1.0 - math.fsum(limits.least)
    parts = [cost * least for cost, least in zip(costs, limits.least, strict=True)]
    for place in sorted(range(len(pools)), key=costs.__getitem__):
        taken = max(0.0, min(left, limits.most[place] - limits.least[place]))
        parts.append(costs[place] * taken)
        left -= taken
    return math.fsum(parts + constant)


# --- rules ------------------------------------------------------------------------------------------------------------


def _check_rule(candidate: JsonObject, returns: Returns, limits: Limits, pointer: str, findings: Findings) -> None:
    """See that the weights are those of the rule where the limits let them; elsewhere they are the nearest allowed."""
    pools = candidate["pools"]
    weights = [1.0 / len(pools)] * len(pools) if candidate["method"] == "equal" else _inverse(returns)
    inside = all(low <= w <= high for low, w, high in zip(limits.least, weights, limits.most, strict=True))
    for shares, cap in limits.groups.values():
        inside = inside and math.fsum(s * w for s, w in zip(shares, weights, strict=True)) <= cap
    if inside:
        for place, (pool, weight) in enumerate(zip(pools, weights, strict=True)):
            at, meaning = f"{pointer}/pools/{place}/weight", f"that of {candidate['method']}"
            findings.number(at, pool["weight"], weight, meaning, 0.0, POINT + WEIGHTS)


def _inverse(returns: Returns) -> list[float]:
    """Return weights in inverse proportion to each series' deviation; one that never moves counts as the median."""
    means = [math.fsum(series) / len(series) for series in returns]
    squares = [math.fsum((r - mean) ** 2 for r in series) for series, mean in zip(returns, means, strict=True)]
    spreads = [math.sqrt(square / (len(series) - 1)) for square, series in zip(squares, returns, strict=True)]
    residue = [max(metrics.TINY, metrics.TINY_OF_MEAN * abs(mean)) for mean in means]
    moves = [spread > least for spread, least in zip(spreads, residue, strict=True)]
    median = statistics.median(itertools.compress(spreads, moves)) if any(moves) else 1.0
    inverse = [
        1.0 / (max(spread, VOLATILITY_FLOOR * median) if own else median)
        for spread, own in zip(spreads, moves, strict=True)
    ]
    return [value / math.fsum(inverse) for value in inverse]
