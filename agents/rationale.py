"""The written rationale.

Templates from ``prompts/``, every figure a slot of the ledger, a model's passages only where they check out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from agents.prompts import environment
from agents.prose import PASSAGES, Prose, composed
from agents.rationale_requests import request_values
from agents.rationale_why import reason_groups
from tools.figures import BoundText, Ledger
from tools.figures.ledger import Operator
from tools.market.names import display_project
from tools.pictures import SET_BY_USER
from tools.records import Derived, Unit

_ASSET_WORDS = {"USD": "dollar", "ETH": "ETH", "BTC": "BTC"}
RISK_FREE = {
    "USD": ("The Treasury bill", "the Treasury bill", "hold the bill"),
    "ETH": (
        "Plain staking, before its own risks,",
        "plain staking (before its own risks)",
        "stake and leave it at that",
    ),
    "BTC": ("Holding", "holding the coins", "hold the coins"),
}
_UNTESTED = {
    "var_95": "daily value at risk",
    "cvar_95": "daily tail loss (CVaR)",
    "max_drawdown": "drawdown",
    "position_share": "your share of each pool, for want of an amount",
    "reward_share": "the share of rewards, which some pools do not report",
}

_KINDS = {
    "protocol": ", a protocol",
    "token": ", a token",
    "issuer": ", an issuer",
    "curator": ", a curator",
    "bridge": ", a bridge",
    "chain": ", a chain",
    "oracle": ", an oracle",
    "unknown": ", which is not known",
}

_WIRES = {
    "cvar_95": "the simulated tail loss (CVaR) passes",
    "token_discount": "a token in it trades off its peg by",
}
_CROSSED = {
    "cvar_95": "the simulated tail loss",
    "single_point": "what hangs on a single name",
    "expected_loss_share": "the expected loss over the yield",
    "protocol_risk": "the protocol risk",
    "position_share": "your share of a pool",
    "token_discount": "the discount of a token",
}
_REFUGES = {"USD": "bills and plain dollars in your own wallet", "ETH": "plain ETH", "BTC": "plain BTC"}


# Methods whose objective is a return, and of what a basis point of it is: elsewhere nobody feels one.
_IN_RETURNS = {
    "min_loss": "of the mean loss in bad years",
    "yield_less_loss": "of yield, with losses in bad years counted against it,",
    "net_yield": "of the yield kept",
}
_LIMIT_WORDS = {
    "max_weight": "the cap on a single pool, for",
    "position_share": "the cap on your share of what can be withdrawn, for",
    "protocol_share": "the cap on a protocol, for",
    "issuer_share": "the cap on an issuer, for",
    "simple_rule": "the wish to keep the yield of equal weights",
    "risk_free": "the wish to keep the risk-free rate",
}
_FORECASTERS = {
    "ewma": "an exponentially weighted average",
    "ar1": "a first-order autoregression",
    "arima": "an ARIMA model",
    "lstm": "a neural network (LSTM)",
}


# What the checker takes for a figure rather than a name: nothing but a number with its unit, or no letter at all.
_NUMBER_ALONE = re.compile(r"[-−]?[$€£]?[\d.,]+\s?(?:%|k|m|bn|bps?|percent)?|[\W\d_]*", re.IGNORECASE)
_FAR_ABOVE = 1.25  # times its 30-day average: such a rate is news, not a promise


class Written(NamedTuple):
    """A finished text and the derived figures that it shows."""

    text: BoundText
    derived: dict[str, Derived]


class Figures:
    """What a template calls: one method per unit, each returning a mark of the ledger."""

    def __init__(self, ledger: Ledger, asset: str | None) -> None:
        self._ledger = ledger
        self._asset = asset

    def percent(self, pointer: str, digits: int) -> str:
        """Show a fraction as percent."""
        return self._ledger.figure(pointer, "percent", digits)

    def bps(self, pointer: str, digits: int = 0) -> str:
        """Show basis points."""
        return self._ledger.figure(pointer, "bps", digits)

    def ratio(self, pointer: str, digits: int) -> str:
        """Show a plain number."""
        return self._ledger.figure(pointer, "ratio", digits)

    def count(self, pointer: str) -> str:
        """Show a count."""
        return self._ledger.figure(pointer, "count")

    def days(self, pointer: str) -> str:
        """Show a number of days."""
        return self._ledger.figure(pointer, "days")

    def date(self, pointer: str) -> str:
        """Show a date."""
        return self._ledger.figure(pointer, "date")

    def name(self, pointer: str) -> str:
        """Show a name from the record, digits and all."""
        return self._ledger.figure(pointer, "name")

    def remark(self, pointer: str) -> str:
        """Show a remark of the user; a number alone is never shown as if it were words, so it is only spoken of."""
        return "a number alone" if _NUMBER_ALONE.fullmatch(self._ledger.value(pointer)) else self.name(pointer)

    def entry(self, field: str, pointer: str) -> str:
        """Show an entry of a list of the mandate as people write it; one with digits as the record has it."""
        value = str(self._ledger.value(pointer))
        shown = display_project(value) if field.startswith("protocols") else value
        return self.name(pointer) if any(character.isdigit() for character in value + shown) else shown

    def money(self, pointer: str) -> str:
        """Show dollars, millions in short."""
        return self._ledger.figure(pointer, "usd", short=True)

    def amount(self, pointer: str) -> str:
        """Show an amount in the mandate's asset."""
        value = abs(self._ledger.value(pointer))
        if self._asset == "USD":
            return self._ledger.figure(pointer, "usd", 0 if value >= 100 else 2 if value >= 0.01 else 6)
        unit, digits = ("eth", 4) if self._asset == "ETH" else ("btc", 6)
        digits = digits if value == 0.0 or value >= 10.0**-digits else 12
        return f"{self._ledger.figure(pointer, unit, digits)} {self._asset}"  # type: ignore[arg-type]

    def amount_usd(self, pointer: str) -> str:
        """Show a small sum of dollars, to the cent below a hundred."""
        return self._ledger.figure(pointer, "usd", 0 if abs(self._ledger.value(pointer)) >= 100 else 2)

    def by_unit(self, pointer: str, unit: Unit, digits: int) -> str:
        """Show a figure in a unit of data."""
        return self._ledger.figure(pointer, unit, digits)

    def claim(self, words: str, left: str, op: Operator, right: str) -> str:
        """Write a comparison, if it is true."""
        return self._ledger.claim(words, left, op, right)


def write_rationale(record: Mapping[str, Any], prose: Prose) -> Written:
    """Write the rationale of a record (plain data, without ``rationale``).

    ``prose`` names the sentences of a model's passages (``why``, ``caution``); empty for the deterministic text.
    """
    ledger = Ledger(record)
    asset = record["mandate"]["asset"]
    figures = Figures(ledger, asset)
    if record["outcome"] == "choice":
        template, values = "rationale_choice.md.j2", _choice_values(ledger, record, figures, prose)
    else:
        template, values = "rationale_none.md.j2", _none_values(ledger, record, figures)
    marked = environment().get_template(template).render(r=record, f=figures, **values)
    return Written(ledger.bind(re.sub(r"\n{3,}", "\n\n", marked).strip() + "\n"), ledger.derived)


def _choice_values(ledger: Ledger, record: Mapping[str, Any], figures: Figures, prose: Prose) -> dict[str, Any]:
    candidates = record["candidates"]
    index = next(i for i, c in enumerate(candidates) if c["id"] == record["choice"]["candidate_id"])
    chosen, c = candidates[index], f"/candidates/{index}"
    asset = record["mandate"]["asset"]
    rf_name, rf_phrase, rf_advice = RISK_FREE[asset]
    apy, rf_apy = f"{c}/metrics/portfolio_apy", "/alternatives/risk_free/apy"
    all_in = chosen["risk"]["gate_view"] == "all_in"
    kept = "/choice/expected/net_apy"
    edge_sign = ledger.value(kept) - record["alternatives"]["risk_free"]["apy"]
    amount = "/choice/amount" if record["choice"]["amount"] is not None else None
    w: dict[str, Any] = {
        "asset_word": _ASSET_WORDS[asset],
        "pools_word": "pool" if len(chosen["pools"]) == 1 else "pools",
        "days_word": "day" if record["choice"]["expected"]["horizon_days"] == 1 else "days",
        "short_history": chosen["window"]["days"] < record["choice"]["expected"]["horizon_days"],
        "rf_name": rf_name,
        "rf_phrase": rf_phrase,
        "rf_advice": rf_advice,
        "apy": apy,
        "rf_apy": rf_apy,
        "amount": amount,
        "income": "/choice/expected/income" if amount else None,
        "income_low": "/choice/expected/income_low" if amount else None,
        "income_high": "/choice/expected/income_high" if amount else None,
        "rf_income": "/alternatives/risk_free/income" if amount else None,
        "headline_warning": edge_sign < 0.0,
        "edge_positive": edge_sign > 0.0,
        "all_in": all_in,
        "kept": kept,
        "keep": "to keep" if ledger.value(kept) >= 0.0 else "a result of",
        "net_income": "/choice/expected/net_income" if record["choice"]["expected"]["net_income"] is not None else None,
        "edge": "/alternatives/risk_free/net_difference_bps",
        "zero": ledger.derive("scale_safe", "0"),
        "unit": ledger.derive("scale_unknown", "1"),
        "averaging_days": ledger.derive(
            "averaging_days", "30" if chosen["window"]["days"] >= 30 else str(chosen["window"]["days"])
        ),
        "candidates_count": ledger.derive("candidates_count", "len(a)", "/candidates"),
        "profiles_count": ledger.derive("profiles_count", "len(unique(pluck(a, 'profile')))", "/candidates"),
        "passed_count": ledger.derive("passed_count", "count(pluck(a, 'passed'), True)", "/candidates"),
        "untested": [_UNTESTED[gate["rule"]] for gate in chosen["gates"] if not gate["tested"]],
        **_risk_values(ledger, chosen, c, amount),
        **_loss_values(ledger, record, chosen, c),
        **_weight_values(ledger, record, chosen, c),
        **_forecast_values(record),
        **_serving_values(record, chosen),
        "spike": ledger.value(apy) > _FAR_ABOVE * chosen["apy_mean_30d"],
        **_runner_values(ledger, record, index),
        **request_values(ledger, record),
        "reasons": reason_groups(ledger, record),
        "own_reasons": record["choice"]["reasons_by"] == "policy",
        "vetoed": "risk" not in record["off"],
        "scored": "decision" not in record["off"],
        "broken": [gate["rule"] for gate in chosen["gates"] if not gate["passed"]],
    }
    rejected = _rejected(record, index)
    if rejected is not None:
        w["rejected"] = f"/candidates/{rejected}"
        w["rejected_gates"] = _failed_gates(candidates[rejected], f"/candidates/{rejected}")
    runner, comes_next = w.pop("runner_index"), w.pop("next_index")
    w["runner_up"] = runner is not None
    sentences = _sentences(figures, w, c)
    w |= {passage: composed(prose.get(passage, []), ledger, c, sentences) for passage in PASSAGES}
    return {
        "w": w,
        "c": c,
        "chosen": chosen,
        "runner": candidates[runner] if runner is not None else None,
        "next": candidates[comes_next] if comes_next is not None else None,
        "rejected": candidates[rejected] if rejected is not None else None,
    }


def _risk_values(ledger: Ledger, chosen: Mapping[str, Any], c: str, amount: str | None) -> dict[str, Any]:
    pools = chosen["pools"]
    gates = {gate["rule"]: f"{c}/gates/{position}" for position, gate in enumerate(chosen["gates"])}
    nodes = chosen["risk"]["exposure"]["nodes"]
    protocol = f"{c}/risk/exposure/nodes/{next(i for i, node in enumerate(nodes) if node['kind'] == 'protocol')}"
    weakest = max(range(len(pools)), key=lambda i: (pools[i]["protocol_risk"], pools[i]["weakest_party"]))
    shares = [pool["share_of_pool"] for pool in pools]
    tightest = None if None in shares else shares.index(max(shares))
    multi = sum(len(pool["tokens"]) > 1 for pool in pools)
    return {
        "protocol": protocol,
        "protocol_amount": ledger.derive("protocol_amount", "a * b", f"{protocol}/lost_if_fails", amount)
        if amount
        else None,
        "weakest": f"{c}/pools/{weakest}/weakest_party",
        "weakest_risk": f"{c}/pools/{weakest}/protocol_risk",
        "protocol_limit": f"{gates['protocol_risk']}/limit",
        "position_limit": f"{gates['position_share']}/limit",
        "tightest": None if tightest is None else f"{c}/pools/{tightest}",
        "multi_count": multi,
        "multi": ledger.derive("pools_of_several_tokens", str(multi)) if multi else None,
    }


def _loss_values(ledger: Ledger, record: Mapping[str, Any], chosen: Mapping[str, Any], c: str) -> dict[str, Any]:
    """Point at what the all-in view shows: points of failure, the worst replays, thresholds, costs."""
    risk = chosen["risk"]
    nodes, all_in = risk["exposure"]["nodes"], risk["all_in"]
    single = next(i for i, node in enumerate(nodes) if node["id"] == risk["exposure"]["single_point"])
    most = nodes[single]["lost_if_fails"]
    peers = [i for i, node in enumerate(nodes) if i != single and node["lost_if_fails"] <= most]
    unknowns = [i for i, node in enumerate(nodes) if node["kind"] == "unknown" and i != single]
    events = sorted(
        (i for i, event in enumerate(risk["stress"]) if event["loss"] > 0.0),
        key=lambda i: (-risk["stress"][i]["loss"], risk["stress"][i]["event"]),
    )
    gate = next(i for i, gate in enumerate(chosen["gates"]) if gate["rule"] == "cvar_95")
    return {
        "tail": ledger.derive("tail_probability", "0.05"),
        "cvar_limit": f"{c}/gates/{gate}/limit" if risk["gate_view"] == "all_in" else None,
        "single": f"{c}/risk/exposure/nodes/{single}",
        "tied": any(
            nodes[i]["lost_if_fails"] >= nodes[single]["lost_if_fails"] and nodes[i]["kind"] not in {"chain", "oracle"}
            for i in peers
        ),
        "hazard": all_in["hazard_level"],
        "own_rates": [
            f"{c}/risk/exposure/nodes/{i}"
            for i, node in enumerate(nodes)
            if node["hazard"] and node["hazard"]["basis"] == SET_BY_USER
        ],
        "single_kind": _KINDS[nodes[single]["kind"]],
        "next_point": f"{c}/risk/exposure/nodes/{peers[0]}" if peers else None,
        "unknowns": [f"{c}/risk/exposure/nodes/{i}" for i in unknowns[:2]],
        "worst_event": f"{c}/risk/stress/{events[0]}" if events else None,
        "other_event": f"{c}/risk/stress/{events[1]}" if len(events) > 1 else None,
        "gas": f"{c}/risk/all_in/gas_usd" if all_in["gas_usd"] else None,
        "exit_cost": f"{c}/risk/all_in/exit_cost" if all_in["exit_cost"] else None,
        "tripwires": [
            {"words": _WIRES[wire["measure"]], "pointer": f"/choice/tripwires/{i}"}
            for i, wire in enumerate(record["choice"]["tripwires"])
            if wire["measure"] in _WIRES
        ],
        "crossed": [
            {
                "words": _CROSSED[wire["measure"]],
                "pointer": f"/choice/tripwires/{i}",
                "ratio": wire["measure"] == "protocol_risk",
            }
            for i, wire in enumerate(record["choice"]["tripwires"])
            if wire["state"] != "normal"
        ],
        "other_horizon": record["choice"]["expected"]["horizon_days"] != all_in["horizon_days"],
        "refuge": _REFUGES[record["mandate"]["asset"]],
    }


def _weight_values(ledger: Ledger, record: Mapping[str, Any], chosen: Mapping[str, Any], c: str) -> dict[str, Any]:
    """Say what the weights were chosen for, how far they can be from the best, and what the own deposit costs."""
    found, all_in = chosen["optimisation"], chosen["risk"]["all_in"]
    in_returns = chosen["method"] in _IN_RETURNS and found["gap"] is not None
    near = in_returns and found["gap"] * 10_000 >= 0.05
    prices = [(i, one) for i, one in enumerate(found["binding"]) if in_returns and one["price_bps"] >= 0.05]
    priced = next((_binding(chosen, c, i, one) for i, one in prices if _binding(chosen, c, i, one)), None)
    wait = all_in["break_even_days"]
    return {
        "objective": record["plan"]["objective"] if _by_objective(record) else None,
        "methods_count": ledger.derive("methods_count", "len(a)", "/plan/methods"),
        "gap": ledger.derive("optimality_gap_bps", "a * 10000", f"{c}/optimisation/gap")
        if in_returns and found["gap"] * 10_000 >= 0.05
        else None,
        "priced": priced,
        "of_what": _IN_RETURNS.get(chosen["method"]),
        "proven": in_returns and not near,
        "moved": f"{c}/optimisation/window_shift" if (found["window_shift"] or 0.0) >= 0.05 else None,
        "dilution": ledger.derive("dilution_bps", "a * 10000", f"{c}/risk/all_in/dilution")
        if (all_in["dilution"] or 0.0) >= 0.00005
        else None,
        "wait": f"{c}/risk/all_in/break_even_days" if wait is not None and wait >= 1.0 else None,
    }


def _by_objective(record: Mapping[str, Any]) -> bool:
    """Tell whether the weights were planned by the objective, and the score decided between what they came to."""
    return record["plan"]["author"] == "policy" and not {"quant", "decision"}.intersection(record["off"])


def _serving_values(record: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Find the best candidate of the method that serves the objective, where the choice is by another."""
    method, candidates = record["plan"]["methods"][-1], record["candidates"]
    serving = [i for i, one in enumerate(candidates) if one["passed"] and one["method"] == method]
    if chosen["method"] == method or not serving or not _by_objective(record):
        return {"serving": None}
    best = min(serving, key=lambda i: (-candidates[i]["score"]["total"], candidates[i]["id"]))
    return {"serving": f"/candidates/{best}", "serving_by": candidates[best]}


def _binding(chosen: Mapping[str, Any], c: str, place: int, limit: Mapping[str, Any]) -> dict[str, Any] | None:
    """Name a limit by what the record calls its subject; None for limits without a name that can be shown."""
    rule, _, subject = limit["limit"].partition(":")
    if rule not in _LIMIT_WORDS:
        return None
    pools = {pool["pool_id"]: f"{c}/pools/{i}/name" for i, pool in enumerate(chosen["pools"])}
    nodes = {
        node["id"]: f"{c}/risk/exposure/nodes/{i}/name" for i, node in enumerate(chosen["risk"]["exposure"]["nodes"])
    }
    known = {**pools, **{key.partition(":")[2]: pointer for key, pointer in nodes.items()}}
    if subject and subject not in known:
        return None
    return {
        "words": _LIMIT_WORDS[rule],
        "subject": known[subject] if subject else None,
        "price": f"{c}/optimisation/binding/{place}/price_bps",
    }


def _forecast_values(record: Mapping[str, Any]) -> dict[str, Any]:
    """Point at the forecast where it has earned its place: on the recorded market, and on these pools too."""
    forecast = record["forecast"]
    if forecast is None or forecast["method"] == "last" or forecast["own"]["ratio"] >= 1.0:
        return {"forecast": None}
    return {"forecast": "/forecast", "forecast_method": _FORECASTERS[forecast["method"]]}


def _runner_values(ledger: Ledger, record: Mapping[str, Any], index: int) -> dict[str, Any]:
    """Find what comes next among those that passed, and the best of another profile with how its yield compares."""
    candidates = record["candidates"]
    chosen = candidates[index]
    if "decision" in record["off"]:
        return {"next_index": None, "next": None, "leader": None, "runner_index": None}
    passed = [i for i, other in enumerate(candidates) if i != index and (other["passed"] or "risk" in record["off"])]
    ranked = sorted(passed, key=lambda i: (-candidates[i]["score"]["total"], candidates[i]["id"]))
    # A model may have chosen from the shortlist: then the choice is not the best, and nothing says so.
    comes_next = ranked[0] if ranked and chosen["score"]["total"] >= candidates[ranked[0]]["score"]["total"] else None
    leader = ranked[0] if ranked and comes_next is None and _keeps_most(record, chosen, ranked[0]) else None
    found: dict[str, Any] = {
        "next_index": comes_next,
        "next": None if comes_next is None else f"/candidates/{comes_next}",
        "leader": None if leader is None else f"/candidates/{leader}",
        "leader_by": None if leader is None else candidates[leader],
        "runner_index": None,
    }
    holdings = [{pool["pool_id"]: pool["weight"] for pool in candidate["pools"]} for candidate in candidates]
    others = (i for i in ranked if candidates[i]["profile"] != chosen["profile"] and holdings[i] != holdings[index])
    runner = next(others, None)
    if runner is None:
        return found
    own, other = (f"/candidates/{i}/risk/all_in/net_apy" for i in (index, runner))
    gap = ledger.derive("runner_up_gap_bps", "abs(a - b) * 10000", own, other)
    shown = abs(ledger.value(gap)) >= 0.5
    return found | {
        "runner_index": runner,
        "runner": f"/candidates/{runner}",
        "runner_gap": gap,
        "runner_rate": other,
        "own_rate": own,
        "runner_less": shown and ledger.holds(other, "<", own),
        "runner_more": shown and ledger.holds(other, ">", own),
    }


def _keeps_most(record: Mapping[str, Any], chosen: Mapping[str, Any], leader: int) -> bool:
    """Tell whether the choice came before a candidate with a better score for what it is expected to keep."""
    if record["plan"].get("prefers") != "net_apy" or record["choice"]["reasons_by"] != "policy":
        return False
    own, best = (one["risk"]["all_in"]["net_apy"] for one in (chosen, record["candidates"][leader]))
    return bool(own > best)


def _rejected(record: Mapping[str, Any], index: int) -> int | None:
    """Find the best-paying candidate that a gate turned down although it pays more than the choice."""
    candidates = record["candidates"]
    apy = candidates[index]["metrics"]["portfolio_apy"]
    if "risk" in record["off"]:  # nothing was turned down
        return None
    failed = [i for i, c in enumerate(candidates) if not c["passed"] and c["metrics"]["portfolio_apy"] > apy]
    return min(failed, key=lambda i: (-candidates[i]["metrics"]["portfolio_apy"], candidates[i]["id"]), default=None)


def _failed_gates(candidate: Mapping[str, Any], pointer: str) -> list[dict[str, Any]]:
    """Return the first limits that a candidate broke; its level of risk only when nothing else is in the way."""
    failed = [
        {"gate": gate, "pointer": f"{pointer}/gates/{position}"}
        for position, gate in enumerate(candidate["gates"])
        if not gate["passed"]
    ]
    return [entry for entry in failed if entry["gate"]["rule"] != "profile_risk"][:2] or failed


def _none_values(ledger: Ledger, record: Mapping[str, Any], figures: Figures) -> dict[str, Any]:
    amount = "/mandate/amount" if record["mandate"]["amount"] is not None else None
    w: dict[str, Any] = {"amount": amount, "broken": []}
    market = record["market"]
    if record["outcome"] == "not_enough_data":
        reasons = [reason for reason in ("no_history", "history_failed") if reason in market["excluded"]]
        formula = " + ".join("ab"[: len(reasons)])
        w["lacking"] = (
            ledger.derive("lacking_histories", formula, *(f"/market/excluded/{reason}" for reason in reasons))
            if reasons
            else None
        )
    if record["outcome"] == "no_feasible_strategy":
        w |= request_values(ledger, record)
        w["rf_phrase"] = RISK_FREE[record["mandate"]["asset"]][1]
        w["rf_positive"] = record["alternatives"]["risk_free"]["apy"] > 0.0
        w["candidates_count"] = ledger.derive("candidates_count", "len(a)", "/candidates")
        w["conflict_figures"] = [
            _conflict_figures(figures, i, conflict) for i, conflict in enumerate(record["conflicts"])
        ]
        w["advice"] = _advice(record)
        w["hazard"] = next((c["risk"]["all_in"]["hazard_level"] for c in record["candidates"]), "central")
    return {"w": w}


def _conflict_figures(figures: Figures, index: int, conflict: Mapping[str, Any]) -> dict[str, str]:
    """Show the limit of a conflict and the value that came nearest; empty for rules without numbers."""
    if not isinstance(conflict["limit"], float):
        return {}
    pointers = {key: f"/conflicts/{index}/{key}" for key in ("limit", "nearest")}
    return {key: _in_unit_of(conflict["rule"], figures, pointer) for key, pointer in pointers.items()}


def _in_unit_of(rule: str, figures: Figures, pointer: str) -> str:
    if rule in {"protocol_risk", "apy_multiple"}:
        return figures.ratio(pointer, 2)
    if rule == "history_days":
        return f"{figures.days(pointer)} days"
    if rule in {"min_pools", "max_pools"}:
        return figures.count(pointer)
    return figures.money(pointer) if rule == "min_tvl" else figures.percent(pointer, 2)


_BOLDER = "a bolder level of risk"
_ADVICE = {
    "chains_include": "naming further chains",
    "chains_exclude": "letting excluded chains in again",
    "protocols_include": "naming further protocols",
    "protocols_exclude": "letting excluded protocols in again",
    "tokens_include": "naming further tokens",
    "tokens_exclude": "letting excluded tokens in again",
    "profile_risk": "a bolder level of risk, which admits further profiles",
    "max_weight": "a looser cap on each pool",
    "position_share": "a reduced amount, or several answers over time",
    "protocol_share": "naming the protocols you trust, which accepts their concentration",
    "issuer_share": "naming the tokens you trust, which accepts their concentration",
    "protocol_risk": "a bolder level of risk, if the protocols are ones you know",
    "min_apy": "a reduced minimum yield",
    "min_tvl": "a bolder level of risk, whose profiles take pools of a modest size",
    "min_tvl_usd": "a reduced minimum size",
    "allow_il": "accepting pools of several tokens of the same asset",
    "max_protocol_risk": "a bolder level of risk, if the protocols are ones you know",
    "impermanent_loss": "a bolder level of risk, which admits pools of several tokens of the same asset",
    "min_pools": "another number of pools",
    "max_pools": "another number of pools",
    "reward_share": "a bolder level of risk, which accepts rewards in the yield",
    "apy_multiple": "a bolder level of risk, which accepts unusual yields",
    "history_days": "a bolder level of risk, which accepts younger pools",
    "not_trending_down": "a profile that accepts falling yields",
}


def _advice(record: Mapping[str, Any]) -> str:
    """Suggest what to change, from the rules that stand in the way, most frequent first."""
    rules = [conflict["rule"] for conflict in record["conflicts"] if conflict["rule"] != "profile_risk"]
    rules += [entry["rule"] for entry in record["emptied"]]
    ideas = dict.fromkeys(_ADVICE[rule] for rule in rules if rule in _ADVICE)
    bolder = [idea for idea in ideas if idea.startswith(_BOLDER)]
    found = [idea for idea in ideas if idea not in bolder[1:]][:3]
    return (", or ".join(found) or "wider limits") + ": ask again with that changed."


def _sentences(figures: Figures, w: Mapping[str, Any], c: str) -> dict[str, str]:
    """Write the sentences with a figure that a model may name, each figure with what it belongs to."""
    runner = w["runner"] + "/metrics/portfolio_apy" if w["runner_up"] else None
    protocol = str(w["protocol"])
    return {
        "choice_apy": f"At the rates of the day the choice pays {figures.percent(w['apy'], 2)} a year, "
        "before events and costs.",
        "income": _income_sentence(figures, w["net_income"]),
        "doing_nothing": f"{w['rf_name']} pays {figures.percent(w['rf_apy'], 2)} a year.",
        "pool_count": f"The choice holds {figures.count(f'{c}/metrics/pool_count')} pools.",
        "largest_protocol": f"{figures.percent(protocol + '/lost_if_fails', 1)} of the money hangs on "
        f"{figures.name(protocol + '/name')}.",
        "weakest_protocol": f"The protocol risk of the choice is set by {figures.name(w['weakest'])}, "
        f"at {figures.ratio(f'{c}/risk/protocol_risk_max', 2)}.",
        "apy_range": f"The {figures.days(w['averaging_days'])}-day averages of these weights, and the rate of the day, "
        f"lay between {figures.percent(f'{c}/apy_low', 2)} and {figures.percent(f'{c}/apy_high', 2)} a year.",
        "score": f"The choice has a score of {figures.ratio(f'{c}/score/total', 2)}.",
        "runner_up": f"At the rates of the day the runner-up pays {figures.percent(runner, 2)} a year."
        if runner
        else "No other profile passed your limits.",
    }


def _income_sentence(figures: Figures, income: str | None) -> str:
    if income is None:
        return "What the choice leaves depends on the amount."
    days = figures.days("/choice/expected/horizon_days")
    return f"After events and costs the choice is expected to leave {figures.amount(income)} over {days} days."
