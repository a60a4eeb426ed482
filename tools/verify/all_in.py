"""The all-in view: what is expected to be lost and kept, from the candidate's own nodes, costs, size and carry.

With rate r events a year, share lost s and severity uniform between a and b at each node, the loss of a year is
compound Poisson: mean Σ r·s·(a + b)/2, variance Σ r·s²·(a² + ab + b²)/3, no event with probability exp(−Σ r).
"""

from __future__ import annotations

import math

from tools.verify.book import JsonObject, amounts
from tools.verify.report import Findings
from tools.verify.series import DAYS_PER_YEAR
from tools.verify.sizing import dilution

HORIZON_DAYS, PATHS, BLOCK_DAYS = 365, 100_000, 30
RATE_OF_LEVEL = {"low": "rate_low", "central": "rate", "high": "rate_high"}
NULLABLE = ("gas_cost", "exit_cost", "impermanent_loss", "dilution", "break_even_days", "sharpe", "alpha")
NO_VARIATION = 1e-12
# Figures are kept to twelve digits: what is left of a difference of two is only as good as the larger one.
ROUNDING = 1e-11
BREAK_EVEN = 1e-7  # of a quotient of small differences


def check_all_in(record: JsonObject, findings: Findings) -> None:
    """Recompute every expected figure of every candidate's all-in view."""
    candidates = record["candidates"]
    gas: dict[str, float | None] = {}
    for index, candidate in enumerate(candidates):
        pointer, all_in = f"/candidates/{index}/risk/all_in", candidate["risk"]["all_in"]
        first = candidates[0]["risk"]["all_in"]
        for name, fixed in (("horizon_days", HORIZON_DAYS), ("paths", PATHS), ("block_days", BLOCK_DAYS)):
            findings.same(f"{pointer}/{name}", all_in[name], fixed, "what every recommendation has")
        for name in ("seed", "hazard_level"):
            findings.same(f"{pointer}/{name}", all_in[name], first[name], "that of the first candidate")
        _check_events(candidate, pointer, findings)
        _check_costs(candidate, pointer, record, findings)
        moves = str(sorted((pool["chain"], pool["project"], len(pool["tokens"])) for pool in candidate["pools"]))
        known = gas.setdefault(moves, all_in["gas_usd"])
        findings.number(f"{pointer}/gas_usd", all_in["gas_usd"], known, "the gas of a candidate of pools like these")
        _check_net(candidate, pointer, record, findings)
        # Gas in dollars has no reason of its own: that of its cost tells it.
        findings.reasons(pointer, all_in, NULLABLE, allowed="gas_usd")


def check_set_rates(record: JsonObject, rates: JsonObject, findings: Findings) -> None:
    """See that a node whose rate the user set has it at every level; a node by another name is not looked for."""
    wanted = {node.casefold(): rate for node, rate in rates.items()}
    for index, candidate in enumerate(record["candidates"]):
        for place, node in enumerate(candidate["risk"]["exposure"]["nodes"]):
            rate = wanted.get(node["id"].casefold())
            if isinstance(rate, (int, float)) and node["hazard"] is not None:
                for name in RATE_OF_LEVEL.values():
                    pointer = f"/candidates/{index}/risk/exposure/nodes/{place}/hazard/{name}"
                    findings.number(pointer, node["hazard"][name], rate, "the rate that the user set", 1e-5)


def rate_of(node: JsonObject, level: str) -> float:
    """Return how many events a year strike a node at a level of hazard; 0 for a node without a hazard of its own."""
    return float(node["hazard"][RATE_OF_LEVEL[level]]) if node["hazard"] is not None else 0.0


def striking(candidate: JsonObject) -> list[JsonObject]:
    """Return the nodes of which the failure costs the candidate something."""
    nodes = candidate["risk"]["exposure"]["nodes"]
    return [node for node in nodes if node["hazard"] is not None and node["lost_if_fails"] > 0.0]


def paid_once(all_in: JsonObject) -> float:
    """Return the costs that are known and paid once, as a fraction of the money."""
    return math.fsum(all_in[name] for name in ("gas_cost", "exit_cost") if all_in[name] is not None)


def expected_loss(candidate: JsonObject, level: str) -> float:
    """Return what events take a year on average."""
    return math.fsum(
        node["lost_if_fails"] * rate_of(node, level) * _mean(node["hazard"]) for node in striking(candidate)
    )


def _mean(hazard: JsonObject) -> float:
    return float(hazard["severity_low"] + hazard["severity_high"]) / 2.0


def _square(hazard: JsonObject) -> float:
    low, high = hazard["severity_low"], hazard["severity_high"]
    return float(low * low + low * high + high * high) / 3.0


def _check_events(candidate: JsonObject, pointer: str, findings: Findings) -> None:
    all_in, nodes = candidate["risk"]["all_in"], striking(candidate)
    level = all_in["hazard_level"]
    names = {"expected_loss": level, "expected_loss_low": "low", "expected_loss_high": "high"}
    for name, at in names.items():
        loss = expected_loss(candidate, at)
        findings.number(f"{pointer}/{name}", all_in[name], loss, f"what its nodes lose a year at the {at} hazard")
    events = math.fsum(rate_of(node, level) for node in nodes) * all_in["horizon_days"] / DAYS_PER_YEAR
    chance = -math.expm1(-events)
    findings.number(f"{pointer}/event_probability", all_in["event_probability"], chance, "what its nodes give")
    variance = math.fsum(rate_of(node, level) * node["lost_if_fails"] ** 2 * _square(node["hazard"]) for node in nodes)
    carry = candidate["metrics"]["annual_volatility"] or 0.0
    volatility = math.sqrt(carry * carry + variance)
    findings.number(f"{pointer}/volatility", all_in["volatility"], volatility, "what carry and events give")


def _check_costs(candidate: JsonObject, pointer: str, record: JsonObject, findings: Findings) -> None:
    all_in, pools = candidate["risk"]["all_in"], candidate["pools"]
    _, dollars = amounts(record)
    gas = None if dollars is None or dollars <= 0.0 or all_in["gas_usd"] is None else all_in["gas_usd"] / dollars
    findings.number(f"{pointer}/gas_cost", all_in["gas_cost"], gas, "the gas over the amount")
    costs = [(pool["weight"], pool["features"]["exit_cost"]) for pool in pools]
    known = dollars is not None and all(cost is not None for _, cost in costs)
    leaving = math.fsum(weight * cost for weight, cost in costs) if known else None
    findings.number(f"{pointer}/exit_cost", all_in["exit_cost"], leaving, "what leaving its pools costs")
    if all(len(pool["tokens"]) <= 1 for pool in pools):
        drift = all_in["impermanent_loss"]
        findings.number(f"{pointer}/impermanent_loss", drift, 0.0, "that of pools of one token")
    thinner = dilution(candidate)
    meaning = "what its own size takes off its rates"
    findings.number(f"{pointer}/dilution", all_in["dilution"], thinner, meaning, 1e-9, ROUNDING)
    horizon = record["mandate"]["horizon_days"] or DAYS_PER_YEAR
    per_year = paid_once(all_in) * DAYS_PER_YEAR / horizon
    findings.number(f"{pointer}/cost_per_year", all_in["cost_per_year"], per_year, "what is paid once, a year")


def _check_net(candidate: JsonObject, pointer: str, record: JsonObject, findings: Findings) -> None:
    """Recompute what is kept: the yield of the day less events, costs, drift and dilution, and the ratios of it."""
    all_in, metrics = candidate["risk"]["all_in"], candidate["metrics"]
    apy, alpha = metrics["portfolio_apy"], metrics["alpha"]
    other = all_in["cost_per_year"] + (all_in["impermanent_loss"] or 0.0) + (all_in["dilution"] or 0.0)
    slack = ROUNDING * max(1.0, other)
    if apy is not None:
        net = {level: apy - expected_loss(candidate, level) - other for level in RATE_OF_LEVEL}
        own = net[all_in["hazard_level"]]
        kept = {
            "net_apy": own,
            "net_apy_low": min(net["high"], own),
            "net_apy_high": max(net["low"], own),
        }
        for name, value in kept.items():
            findings.number(f"{pointer}/{name}", all_in[name], value, "the yield less losses and costs", 1e-9, slack)
    if alpha is not None:
        alpha -= expected_loss(candidate, all_in["hazard_level"]) + other
    findings.number(f"{pointer}/alpha", all_in["alpha"], alpha, "the metric less losses and costs", 1e-9, slack)
    sharpe, volatility = None, all_in["volatility"]
    if record["market"] is not None and volatility > NO_VARIATION:
        sharpe = (all_in["net_apy"] - record["market"]["risk_free"]["rate"]) / volatility
        slack /= volatility
    findings.number(f"{pointer}/sharpe", all_in["sharpe"], sharpe, "what is kept over volatility", 1e-9, slack)
    unknown = all_in["gas_cost"] is None or all_in["exit_cost"] is None
    if record["market"] is not None and not (unknown and all_in["break_even_days"] is None):
        days = _break_even(all_in, record["market"]["risk_free"]["rate"])
        meaning = "the days until its costs are earned"
        findings.number(f"{pointer}/break_even_days", all_in["break_even_days"], days, meaning, BREAK_EVEN)


def _break_even(all_in: JsonObject, rate: float) -> float | None:
    """Return after how many days what is kept before costs has earned the costs on top of a rate; None for never."""
    per_day = (all_in["net_apy"] + all_in["cost_per_year"] - rate) / DAYS_PER_YEAR
    return paid_once(all_in) / per_day if per_day > 0.0 else None
