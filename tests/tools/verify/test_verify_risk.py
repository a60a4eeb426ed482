"""The checks of the risk part: honest records pass, each forgery is named, a wrong simulation is found out."""

from __future__ import annotations

import copy
import math
import random
import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import build_plan
import build_risk
import build_run
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.exposure.links import Link
from tools.exposure.look_through import Exposures
from tools.metrics.sharpe import deflated_sharpe, probabilistic_sharpe
from tools.records import LimitEvent
from tools.risk.thresholds import MEASURES
from tools.verify import Report, exposure, limits, protocols, sharpe, simulation, tail, verify
from tools.verify.report import Findings

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return build_run.build_record()


@pytest.fixture(scope="module")
def carry_only() -> dict[str, Any]:
    return build_run.build_record(risk="high")


@pytest.fixture
def few_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the checker simulate little, where its simulation is not what finds the forgery."""
    monkeypatch.setattr(simulation, "STRUCK", 200)
    monkeypatch.setattr(simulation, "CALM", 100)


def whats(report: Report) -> str:
    return "\n".join(str(difference) for difference in report.differences)


def at(record: Any, path: str) -> Any:
    for step in filter(None, path.split("/")):
        record = record[int(step)] if isinstance(record, list) else record[step]
    return record


def put(path: str, value: Any) -> Change:
    """Replace a value, by a function of it or by another value."""
    holder, _, last = path.rpartition("/")

    def change(record: dict[str, Any]) -> None:
        inner = at(record, holder)
        key: Any = int(last) if isinstance(inner, list) else last
        inner[key] = value(inner[key]) if callable(value) else value

    return change


def drop(path: str) -> Change:
    holder, _, last = path.rpartition("/")
    return lambda record: at(record, holder).pop(int(last) if last.isdecimal() else last)


def test_a_recommendation_for_high_risk_passes(carry_only: dict[str, Any], tmp_path: Path) -> None:
    report = verify(build_run.save(tmp_path, carry_only))
    assert report.ok, whats(report)


# --- one forgery each ------------------------------------------------------------------------------------------------

R = "candidates/0/risk"
A = f"{R}/all_in"
P = "candidates/0/pools/0"
O = "candidates/1/optimisation"  # noqa: E741 (one letter as the others)
FORGERIES: dict[str, tuple[Change, str]] = {
    # shape
    "an old schema": (put("schema_version", "1.0"), "is 1.0 instead of"),
    "a field too many": (put(f"{A}/mood", 1), "no recommendation has"),
    "a negative rate": (put(f"{R}/exposure/nodes/0/hazard", {"rate": -1}), "instead of"),
    "a share above one": (put(f"{R}/exposure/nodes/0/lost_if_fails", 1.2), "a fraction from 0 to 1"),
    "a count below nothing": (put(f"{A}/histogram/counts/0", -1), "a whole number from 0 on"),
    "an unknown hazard level": (put(f"{A}/hazard_level", "mean"), "one of low, central, high"),
    "an unknown state": (put("choice/tripwires/0/state", "fine"), "one of normal, reduce, emergency"),
    # views and gates
    "carry instead of all-in": (put(f"{R}/gate_view", "carry_only"), "the view for low risk is all_in"),
    "a score of carry": (put("candidates/0/score/view", "carry_only"), "the view of every score is all_in"),
    "a gate on carry": (
        lambda r: r["candidates"][0]["gates"][9].update(value=r["candidates"][0]["metrics"]["cvar_95"]),
        "what the candidate's own figures give",
    ),
    "an untested limit on loss": (put("candidates/0/gates/8/tested", False), "whether it can fail"),
    "no limit on drawdown": (drop("candidates/0/gates/10"), "lack the gate max_drawdown"),
    "a score of the plain yield": (
        lambda r: r["candidates"][0]["score"]["raw"].update(apy=r["candidates"][0]["metrics"]["portfolio_apy"]),
        "the all-in net_apy",
    ),
    # expected figures
    "a shorter horizon": (put(f"{A}/horizon_days", 30), "what every recommendation has"),
    "fewer paths": (put(f"{A}/paths", 1000), "what every recommendation has"),
    "another seed": (put(f"{A}/seed", 7), "what request.json says"),
    "another level of hazard": (put(f"{A}/hazard_level", "low"), "what request.json says"),
    "another seed for one": (put("candidates/1/risk/all_in/seed", 7), "that of the first candidate"),
    "less expected loss": (put(f"{A}/expected_loss", lambda x: 0.9 * x), "at the central hazard"),
    "less at the low hazard": (put(f"{A}/expected_loss_low", lambda x: 0.9 * x), "at the low hazard"),
    "less at the high hazard": (put(f"{A}/expected_loss_high", lambda x: 0.9 * x), "at the high hazard"),
    "fewer events": (put(f"{A}/event_probability", lambda x: x / 2), "event_probability"),
    "cheaper gas": (put(f"{A}/gas_usd", 1.0), "the gas over the amount"),
    "a free exit": (put("candidates/2/risk/all_in/exit_cost", 0.0), "what leaving its pools costs"),
    "drift of one token": (put(f"{A}/impermanent_loss", 0.01), "that of pools of one token"),
    "cheaper by the year": (put(f"{A}/cost_per_year", 0.0), "what is paid once, a year"),
    "more kept": (put(f"{A}/net_apy", lambda x: x + 0.001), "/net_apy: "),
    "a better worst": (put(f"{A}/net_apy_low", lambda x: x + 0.001), "/net_apy_low: "),
    "a better best": (put(f"{A}/net_apy_high", lambda x: x + 0.001), "/net_apy_high: "),
    "less volatility": (put(f"{A}/volatility", lambda x: 0.9 * x), "what carry and events give"),
    "the Sharpe ratio of carry": (
        lambda r: r["candidates"][0]["risk"]["all_in"].update(sharpe=r["candidates"][0]["metrics"]["sharpe"]),
        "what is kept over volatility",
    ),
    "the alpha of carry": (
        lambda r: r["candidates"][0]["risk"]["all_in"].update(alpha=r["candidates"][0]["metrics"]["alpha"]),
        "the metric less losses and costs",
    ),
    "a null without a reason": (put("candidates/2/risk/all_in/missing", {}), "is null without a reason"),
    "a reason without a null": (put(f"{A}/missing", {"alpha": "x"}), "which is not null"),
    "an empty reason": (put("candidates/2/risk/all_in/missing/impermanent_loss", " "), "an empty reason"),
    # the tail
    "a VaR above CVaR": (put(f"{A}/var_95", 0.9), "more than cvar_95"),
    "a CVaR above EVaR": (put(f"{A}/cvar_95", lambda x: x + 0.5), "more than evar_95"),
    "more than everything": (put(f"{A}/evar_95", 1.5), "more than all of the money"),
    "a VaR of another rank": (put(f"{A}/var_99", lambda x: x - 0.05), "the path of rank 1001"),
    "a smaller CVaR": (put(f"{A}/cvar_99", lambda x: x - 0.05), "the tail of its histogram"),
    "a smaller EVaR": (put(f"{A}/evar_95", lambda x: x - 0.05), "its histogram gives"),
    "a better mean": (put(f"{A}/mean_return", lambda x: x + 0.02), "its histogram gives"),
    "a mean a little better": (put(f"{A}/mean_return", lambda x: x + 0.003), "but carry, events and costs give"),
    "a larger error": (put(f"{A}/standard_error", lambda x: 3 * x), "its histogram gives"),
    "fewer losers": (put(f"{A}/loss_probability", lambda x: x - 0.001), "its histogram gives"),
    "half a loser": (put(f"{A}/loss_probability", lambda x: x + 0.000005), "a whole number of paths"),
    "a path lost": (put(f"{A}/histogram/counts/0", lambda x: x - 1), "the number of paths"),
    "uneven bins": (put(f"{A}/histogram/edges/1", lambda x: x + 0.001), "bins that are not even"),
    "an edge too few": (drop(f"{A}/histogram/edges/0"), "one edge more than counts|edges for"),
    "a smaller drawdown": (put(f"{A}/drawdown_95", lambda x: x / 2), "its curve at 0.05"),
    "a curve that falls": (put(f"{A}/drawdown_curve/7/loss", 0.0), "rises as the probability falls"),
    "another curve": (drop(f"{A}/drawdown_curve/0"), "the list of probabilities"),
    "a loss without an event": (put(f"{A}/drawdown_curve/0/loss", 1e-9), "the probability of an event"),
    # exposure
    "a node hidden": (drop(f"{R}/exposure/nodes/0"), "are not what the links lead to"),
    "less lost": (put(f"{R}/exposure/nodes/2/lost_if_fails", lambda x: x - 0.01), "what the links give"),
    "less of a claim": (put(f"{R}/exposure/nodes/2/look_through", lambda x: x - 0.01), "what the links give"),
    "fewer pools": (put(f"{R}/exposure/nodes/0/pools", 1), "the number of pools that hang on it"),
    "another kind": (put(f"{R}/exposure/nodes/0/kind", "bridge"), "the kind that its id names"),
    "another name of a node": (put(f"{R}/exposure/nodes/0/name", "Bitcoin"), "Bitcoin"),
    "a node out of order": (lambda r: at(r, f"{R}/exposure/nodes").reverse(), "the order of what is lost"),
    "a milder hazard here": (put(f"{R}/exposure/nodes/2/hazard/rate", lambda x: x * 1.01), "that of another candidate"),
    "a hazard upside down": (
        lambda r: [
            n["hazard"].update(rate_low=1.0)
            for c in r["candidates"]
            for n in at(c, "risk/exposure/nodes")
            if n["hazard"]
        ],
        "low before high",
    ),
    "a loss of its own": (put(f"{R}/exposure/nodes/2/expected_loss", lambda x: x / 2), "what its hazard gives"),
    "a link cut": (drop(f"{R}/exposure/links/0"), "of another candidate"),
    "a link to nowhere": (put(f"{R}/exposure/links/0/target", "chain:Mars"), "does not hold"),
    "a thinner link": (put(f"{R}/exposure/links/0/share", 0.5), "of another candidate"),
    "an issuer that nothing leads to": (
        lambda r: [
            at(c, "risk/exposure").update(
                links=[e for e in at(c, "risk/exposure/links") if e["target"] != "issuer:Circle"],
                nodes=[n for n in at(c, "risk/exposure/nodes") if n["id"] != "issuer:Circle"],
            )
            for c in r["candidates"]
        ],
        "do not lead from",
    ),
    "a token that nothing leads to": (
        lambda r: [
            at(c, "risk/exposure").update(
                links=[e for e in at(c, "risk/exposure/links") if e["target"] != "token:USDT"]
            )
            for c in r["candidates"]
        ],
        "to USDT",
    ),
    "a milder single point": (put(f"{R}/exposure/single_point", "chain:Ethereum"), "no chain or oracle"),
    "more risks": (put(f"{R}/exposure/effective_risks", lambda x: x + 0.1), "what weights and links give"),
    "more protocols": (put(f"{R}/exposure/effective_by_kind/protocol", 4.0), "what weights and links give"),
    "a kind too many": (put(f"{R}/exposure/effective_by_kind/curator", 2.0), "effective_by_kind/curator"),
    # stress
    "an event of tomorrow": (put(f"{R}/stress/2/date", "2025-03-01"), "later than 2025-02-28"),
    "a fall told too early": (
        lambda r: [c["risk"]["stress"][2].update(date="2025-02-20") for c in r["candidates"]],
        "is told for a day later",
    ),
    "a hit hidden": (put(f"{R}/stress/0/hit", []), "what it hits of other candidates"),
    "an event left out": (drop(f"{R}/stress/0"), "the events of the first candidate"),
    "a smaller loss": (put("candidates/1/risk/stress/0/loss", lambda x: x / 2), "what its shocks take"),
    "a loss of more than hangs on it": (put(f"{R}/stress/0/loss", 0.9), "what its shocks take"),
    "a loss of nothing": (put(f"{R}/stress/3/loss", 0.1), "what its shocks take is 0.0"),
    "worse after than at the worst": (put(f"{R}/stress/2/loss_after", 0.5), "what its shocks take"),
    "a milder shock here": (put(f"{R}/stress/0/shocks/token:USDT/loss", 0.04), "the shock that another candidate has"),
    "a milder shock everywhere": (
        lambda r: [c["risk"]["stress"][2]["shocks"]["token:USDT"].update(loss=0.002) for c in r["candidates"][:2]],
        "what its shocks take",
    ),
    "a shock of another channel": (
        lambda r: [c["risk"]["stress"][2]["shocks"]["token:USDT"].update(channel="custody") for c in r["candidates"]],
        "what its shocks take",
    ),
    "a shock worse later": (put(f"{R}/stress/2/shocks/protocol:aave/loss_after", 0.2), "the worst comes first"),
    "a shock hidden": (drop(f"{R}/stress/0/shocks/token:USDT"), "the list of what is hit"),
    "an unknown channel": (put(f"{R}/stress/0/shocks/token:USDT/channel", "mood"), "one of price, custody"),
    "a loss not known yet": (put("candidates/2/risk/stress/1/loss_after", 0.001), "what its shocks take is null"),
    # size
    "a rate that nothing dilutes": (
        lambda r: r["candidates"][0]["pools"][1]["at_size"].update(apy=r["candidates"][0]["pools"][1]["apy"]),
        "what is left of its APY at this size",
    ),
    "a rate at size without a kink": (put(f"{P}/at_size/model", "square"), "what the saved days of the lender give"),
    "a deposit that changes nothing": (put(f"{P}/at_size/model", "none"), "how the rates of its project fall"),
    "a larger base": (put(f"{P}/at_size/base_usd", lambda x: 2 * x), "what the yield is shared among"),
    "a lender with more to lend": (put(f"{P}/at_size/utilisation", 0.5), "what the saved days of the lender give"),
    "a rate and a reason for none": (put(f"{P}/at_size/reason", "unknown"), "whether there is a rate"),
    "another basis": (put(f"{P}/at_size/basis", "guessed"), "what another candidate says of it"),
    "less dilution": (put(f"{A}/dilution", lambda x: x / 2), "what its own size takes off its rates"),
    "costs earned sooner": (put(f"{A}/break_even_days", lambda x: x / 2), "the days until its costs are earned"),
    "costs never earned": (put(f"{A}/break_even_days", None), "is null without a reason"),
    # optimisation
    "a smaller gap": (put(f"{O}/gap", 0.1), "the distance of value and bound"),
    "a bound above the value": (put(f"{O}/bound", lambda x: x + 1e-6), "better than the bound"),
    "a value below the bound": (put(f"{O}/value", lambda x: x - 1e-6), "better than the bound"),
    "another value as it stands": (put(f"{O}/rounded", lambda x: x + 1e-6), "the mean loss of the worst days"),
    "a value of other weights": (put(f"{O}/value", lambda x: x + 1e-5), "that of the weights as they stand"),
    "a limit that costs less than nothing": (put(f"{O}/binding/0/price_bps", -1.0), "makes nothing worse"),
    "another objective": (put(f"{O}/objective", "maximise the yield"), "what min_cvar does is minimise"),
    "years for days": (put(f"{O}/over", "years"), "what min_cvar looks at is days"),
    "a driver of no day": (put(f"{O}/drivers/0/name", "2024-02-28"), "no distribution over the days"),
    "a driver too many": (
        lambda r: at(r, f"{O}/drivers").append({"name": "2025-02-27", "probability": 0.2}),
        "the most probable first",
    ),
    "half of the drivers": (
        lambda r: at(r, O).update(drivers=at(r, O)["drivers"][:2]),
        "no distribution over the days",
    ),
    "other drivers": (put(f"{O}/drivers/0/name", "2025-02-27"), "drivers and prices prove no more than"),
    "a rule with an objective": (put("candidates/0/optimisation/value", 0.01), "that of a rule"),
    "a limit that binds a rule": (
        lambda r: r["candidates"][0]["optimisation"]["binding"].append({"limit": "max_weight", "price_bps": 1.0}),
        "what a rule has",
    ),
    "weights of no rule": (
        lambda r: [r["candidates"][0]["pools"][n].update(weight=w) for n, w in ((0, 0.2505), (1, 0.2495))],
        "that of equal",
    ),
    "a shift of more than everything": (put(f"{O}/window_shift", 1.1), "a fraction from 0 to 1"),
    # plan
    "no plan": (put("plan", None), "but there are candidates"),
    "another method planned": (put("plan/methods/1", "net_yield"), "lack balanced_apy by net_yield"),
    "a method that was not planned": (put("plan/methods", ["equal", "min_cvar"]), "which was not planned"),
    "a candidate left out": (drop("candidates/2"), "lack balanced_apy by inverse_volatility"),
    "a failure kept quiet": (drop("plan/unsolved/0"), "and no reason is given"),
    "a profile forgotten": (drop("emptied/1"), "lack balanced_score by equal"),
    "a profile that ends twice": (lambda r: r["emptied"].append(r["emptied"][0]), "how often a profile ends"),
    "another level of the tail": (put("plan/confidence", 0.6), "whether it is one of"),
    "a plan by a stranger": (put("plan/author", "somebody"), "who was in the seat"),
    "an id of another method": (put("candidates/2/id", "balanced_apy.equal"), "its profile and method"),
    # forecast
    "no reason for no forecast": (put("forecast_missing", None), "whether there is no forecast"),
    "a forecast of too little": (
        lambda r: r.update(forecast=build_plan.forecast(np.linspace(0.04, 0.05, 365), 30), forecast_missing=None),
        "whether 80 days are enough for 30",
    ),
    # protocols
    "a safer protocol": (put("protocols/0/risk", 0.01), "what its components and caps give"),
    "a better component": (put("protocols/0/components/audits/score", 1.0), "what its components and caps give"),
    "another weight": (put("protocols/0/components/tvl/weight", 0.4), "the weight of that component"),
    "a component left out": (drop("protocols/0/components/tvl"), "the list of components"),
    "a cap lifted": (put("protocols/4/caps", []), "what its components and caps give"),
    "a fact of tomorrow": (put("protocols/0/components/tvl/known_since", "2025-03-01"), "later than 2025-02-28"),
    "unknown and safe": (put("protocols/0/known", False), "what its components and caps give"),
    "a protocol left out": (drop("protocols/0"), "whose risk score is not in the record"),
    "a protocol twice": (lambda r: r["protocols"].append(r["protocols"][0]), "each once"),
    "another family": (put("protocols/0/family", "compound"), "the family of its protocol"),
    # Sharpe
    "fewer trials": (put(f"{R}/trials", 1), "the number of candidates"),
    "a sure Sharpe ratio": (put(f"{R}/sharpe_probability", 0.99), "what the saved rows give is null"),
    "a ratio above luck": (put(f"{R}/deflated_sharpe", 0.99), "what the saved rows give is null"),
    "no reason for no ratio": (put(f"{R}/missing", {}), "is null without a reason"),
    # limits
    "a rejection kept quiet": (drop("limit_events/0"), "lack the rejection"),
    "a rejection of what passes": (put("limit_events/0/rule", "apy_multiple"), "which it passes or lacks"),
    "a rejection by half": (put("limit_events/0/after", 0.5), "of what it turns away"),
    "a rejection by another limit": (put("limit_events/0/limit", "medium"), "the limit of profile_risk"),
    "a cap that adds": (put("limit_events/-1/before", 0.01), "leaves less than there was"),
    "a cap of another pool": (put("limit_events/-1/subject", build_run.POOLS[5][0]), "the weight of that pool"),
    "a cap of another limit": (put("limit_events/-1/limit", 0.9), "the limit of the candidate's gate"),
    "a stranger sent back": (put("limit_events/-2/subject", "nobody"), "is no eligible pool"),
    "a rule of no limit": (put("limit_events/-2/rule", "mood"), "which is no limit"),
    "a reduction beforehand": (put("limit_events/-1/action", "reduced"), "which follows a recommendation"),
    "an event twice": (lambda r: r["limit_events"].append(r["limit_events"][0]), "each once"),
    "another value to watch": (put("choice/tripwires/0/value", 0.0), "what the chosen candidate has"),
    "a value that nobody can know": (put("choice/tripwires/6/value", 0.5), "what the chosen candidate has"),
    "a discount without prices": (put("choice/tripwires/5/value", 0.001), "the worst close"),
    "a state glossed over": (put("choice/tripwires/1/state", "normal"), "what its value and thresholds give"),
    "thresholds crossed": (put("choice/tripwires/0/reduce", 0.9), "does not lie between"),
    "a measure left out": (drop("choice/tripwires/7"), "the list of measures"),
    "money lost on the way": (put("choice/emergency/0/share", 0.5), "the sum of all shares"),
    # what is kept
    "more kept of the choice": (put("choice/expected/net_apy", lambda x: x + 0.01), "/choice/expected/net_apy"),
    "more income kept": (put("choice/expected/net_income", lambda x: x + 1.0), "/choice/expected/net_income"),
    "a larger edge": (put("alternatives/hold/net_difference_bps", lambda x: x + 1.0), "the difference"),
}


@pytest.mark.usefixtures("few_paths")
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_of_risk_is_named(record: dict[str, Any], tmp_path: Path, name: str) -> None:
    change, expected = FORGERIES[name]
    forged = copy.deepcopy(record)
    change(forged)
    said = whats(verify(build_run.save(tmp_path, forged)))
    assert any(part in said for part in expected.split("|")), said


def test_the_hand_made_record_holds_what_the_forgeries_need(record: dict[str, Any]) -> None:
    chosen = next(c for c in record["candidates"] if c["id"] == record["choice"]["candidate_id"])
    assert chosen is record["candidates"][1]
    assert [event["action"] for event in record["limit_events"]][-2:] == ["sent_back", "capped"]
    assert record["protocols"][4]["caps"]
    assert {LimitEvent.model_validate(event).action for event in record["limit_events"]} >= {"rejected"}


def test_a_rate_that_the_user_set_is_looked_for(record: dict[str, Any], tmp_path: Path) -> None:
    folder = build_run.save(tmp_path, record)
    request = build_run.json.loads((folder / "request.json").read_text())
    for rates, said in (({"Protocol:Aave": 0.5}, "the rate that the user set is 0.5"), ({"chain:Mars": 1}, "")):
        (folder / "request.json").write_bytes(build_run.as_json(request | {"hazard_rates": rates}))
        build_run.rehash(folder)
        found = whats(verify(folder))
        assert said in found if said else not found


def test_like_pools_need_like_gas(record: dict[str, Any], tmp_path: Path) -> None:
    forged = copy.deepcopy(record)
    twin = copy.deepcopy(forged["candidates"][0])
    twin["id"] = "growth.equal"
    twin["risk"]["all_in"].update(gas_usd=1.0)
    forged["candidates"].append(twin)
    assert "the gas of a candidate of pools like these" in whats(verify(build_run.save(tmp_path, forged)))


def test_a_discount_is_read_from_the_saved_prices(record: dict[str, Any], tmp_path: Path) -> None:
    """Two of three tokens have a price of these days; with one for each the worst of them counts."""
    inputs, forged = build_run.build_inputs(), copy.deepcopy(record)
    closes = {"USDC": ("2025-02-28", 0.9991), "SUSDS": ("2025-02-26", 1.02), "USDT": ("2025-02-27", 0.9982)}
    for token, (day, close) in closes.items():
        inputs["tables"][f"prices/{token.lower()}_usd_daily.csv"] = [{"date": day, "close": str(close)}]
    canonical = build_run.json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    forged["market"]["snapshot_sha256"] = build_run.hashlib.sha256(canonical.encode()).hexdigest()
    said = whats(verify(build_run.save(tmp_path / "null", forged, inputs)))
    assert "the worst close of its tokens below a dollar is 0.0018" in said
    forged["choice"]["tripwires"][5]["value"] = 0.0018
    report = verify(build_run.save(tmp_path / "told", forged, inputs))
    assert report.ok, whats(report)


# --- a wrong simulation ----------------------------------------------------------------------------------------------


def found_by_simulation(candidate: dict[str, Any], returns: np.ndarray, chosen: str = "") -> list[str]:
    findings = Findings()
    made = {"candidates": [candidate], "choice": {"candidate_id": chosen or candidate["id"]}}
    simulation.check_simulations(made, {0: returns.tolist()}, findings)
    tail.check_tails(made, findings)
    assert findings.recomputed > 20
    return [str(difference) for difference in findings.report().differences]


def apy_of(returns: np.ndarray) -> float:
    """A rate of the day that is not the history's: the paths must stand around it."""
    return float(2.0 * ((1.0 + returns).prod() ** (365 / returns.size) - 1.0))


def simulated(shares: dict[str, float], returns: np.ndarray, cost: float) -> dict[str, Any]:
    """Return a candidate with a tail simulated by numpy, as far as the tail is checked."""
    nodes = [build_risk._node(name, np.ones(1), [{name: 1.0}], np.array([share])) for name, share in shares.items()]
    chance = 1 - math.exp(-sum(build_risk.HAZARDS[name][1] for name in shares))
    all_in = {
        "hazard_level": "central",
        "paths": build_risk.PATHS,
        "event_probability": chance,
        "gas_cost": cost,
        "dilution": None,
        "exit_cost": None,
        **build_risk._tail(returns, apy_of(returns), shares, cost),
    }
    risk, metrics = {"all_in": all_in, "exposure": {"nodes": nodes}}, {"portfolio_apy": apy_of(returns)}
    return {"id": "c", "apy_low": 0.01, "metrics": metrics, "risk": risk}


@pytest.mark.parametrize("seed", range(6))
def test_honest_simulations_agree(seed: int) -> None:
    """Other random numbers, the same model: nothing differs, from one node to all, from no cost to a heavy one."""
    random_ = np.random.default_rng(seed)
    names = random_.permutation(sorted(build_risk.HAZARDS))[: 1 + 12 * seed // 5]
    shares = {str(name): float(random_.uniform(0.05, 1.0)) for name in names}
    returns = 1e-4 * np.abs(1 + random_.normal(0, 1, 200).cumsum() / 5)
    cost = float(random_.choice([0.0, 0.001, 0.08]))
    honest = simulated(shares, returns, cost)
    assert found_by_simulation(honest, returns) == []
    assert found_by_simulation(honest, returns, chosen="another") == []


@pytest.mark.parametrize("part", [0.5, 0.8])
def test_a_candidate_that_was_not_chosen_is_simulated_too(part: float) -> None:
    """Its events alone are milder; the whole tail fits itself."""
    shares, returns = dict.fromkeys(build_risk.HAZARDS, 0.6), np.full(100, 1e-4)
    forged = simulated(shares, returns, 0.001)
    milder = build_risk._tail(returns, apy_of(returns), {node: part * share for node, share in shares.items()}, 0.001)
    forged["risk"]["all_in"] |= {name: milder[name] for name in ("drawdown_95", "drawdown_curve")}
    assert any("/drawdown_curve/" in what for what in found_by_simulation(forged, returns, chosen="another"))


def test_a_histogram_with_its_tail_moved_is_found() -> None:
    """Thirty of the worst paths are put one bin nearer: no rank or mean is off by more than its own tolerance."""
    shares, returns = dict.fromkeys(build_risk.HAZARDS, 0.4), np.full(100, 1e-4)
    forged = simulated(shares, returns, 0.001)
    counts = forged["risk"]["all_in"]["histogram"]["counts"]
    place = len(counts) // 3
    counts[place - 1], counts[place] = counts[place - 1] + counts[place], 0
    said = found_by_simulation(forged, returns)
    assert any("/histogram/counts/" in what for what in said), said


def test_a_simulation_of_half_the_events_is_found() -> None:
    """The whole tail fits itself, and no node: every figure comes from paths with half of what is lost."""
    shares, returns = dict.fromkeys(build_risk.HAZARDS, 0.4), np.full(100, 1e-4)
    honest = simulated(shares, returns, 0.001)
    honest["risk"]["all_in"] |= build_risk._tail(returns, apy_of(returns), dict.fromkeys(shares, 0.2), 0.001)
    said = "\n".join(found_by_simulation(honest, returns))
    for figure in ("mean_return", "cvar_95", "cvar_99", "evar_95", "standard_error", "drawdown_curve/7"):
        assert f"/{figure}" in said


def test_a_tail_cut_off_at_the_same_mean_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Severities at their mean leave the expected loss as it is; only paths of one's own show that the tail is gone."""
    shares, returns = dict.fromkeys(build_risk.HAZARDS, 0.5), np.full(100, 1e-4)
    honest = simulated(shares, returns, 0.001)
    flat = {name: (*h[:3], (h[3] + h[4]) / 2, (h[3] + h[4]) / 2) for name, h in build_risk.HAZARDS.items()}
    monkeypatch.setattr(build_risk, "HAZARDS", flat)
    build_risk._draws.cache_clear()
    honest["risk"]["all_in"] |= build_risk._tail(returns, apy_of(returns), shares, 0.001)
    build_risk._draws.cache_clear()
    said = found_by_simulation(honest, returns)
    assert not any("/mean_return" in what for what in said)
    assert any("/cvar_99" in what and "a simulation of our own" in what for what in said)


def test_a_forged_hazard_that_could_not_be_simulated_is_refused_at_once() -> None:
    shares, returns = {"protocol:aave": 0.4}, np.full(100, 1e-4)
    forged = simulated(shares, returns, 0.0)
    forged["risk"]["exposure"]["nodes"][0]["hazard"]["rate"] = 1e30
    assert any("more events a year than can be simulated" in what for what in found_by_simulation(forged, returns))


# --- against the writer ----------------------------------------------------------------------------------------------


class LinksOf:
    """Links of made nodes, in the place of the links of a day."""

    def __init__(self, below: dict[str, list[tuple[str, float]]]) -> None:
        self._below = below

    def of(self, node: str) -> tuple[Link, ...]:
        return tuple(Link(node, target, share, "", "", None) for target, share in self._below.get(node, ()))

    def of_pool(self, pool: Any) -> tuple[Link, ...]:
        return self.of(f"pool:{pool.id}")


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_links_are_followed_as_the_writer_follows_them(seed: int) -> None:
    """Graphs with whole links, slices, several ways and ways round."""
    chance = random.Random(seed)
    nodes = [f"token:T{n}" for n in range(8)]
    below: dict[str, list[tuple[str, float]]] = {}
    for source in [*nodes, "pool:a", "pool:b"]:
        targets = sorted(chance.sample(nodes, chance.randrange(4)))
        below[source] = [(t, chance.choice([1.0, 1.0, 0.5, 0.3])) for t in targets if t != source]
    written = Exposures([SimpleNamespace(id="a"), SimpleNamespace(id="b")], LinksOf(below))  # type: ignore[list-item, arg-type]
    for pool_id, hits in exposure._hits(["a", "b"], below).items():
        assert dict(hits.lost) == pytest.approx({n: hit.lost_if_fails for n, hit in written[pool_id].items()})
        assert dict(hits.look_through) == pytest.approx({n: hit.look_through for n, hit in written[pool_id].items()})


def test_tangled_links_are_refused_in_bounded_time(record: dict[str, Any], tmp_path: Path) -> None:
    forged = copy.deepcopy(record)
    names = [f"token:N{n:02}" for n in range(40)]
    links = at(forged, f"{R}/exposure/links")
    links += [{"source": a, "target": b, "share": 0.5} for a in names for b in names if a != b]
    links.append({"source": links[0]["source"], "target": names[0], "share": 1.0})
    assert "too tangled" in whats(verify(build_run.save(tmp_path, forged)))


def test_the_judgements_are_in_step_with_the_data() -> None:
    raw = tomllib.loads((resources.files("tools.exposure") / "data" / "together.toml").read_text(encoding="utf-8"))
    assert {kind: entry["value"] for kind, entry in raw["kinds"].items()} == exposure.TOGETHER
    assert {chain: entry["value"] for chain, entry in raw["chains"].items()} == exposure.TOGETHER_CHAINS


def test_the_measures_are_in_step_with_the_thresholds() -> None:
    assert limits.MEASURES == MEASURES


def test_the_weights_are_in_step_with_the_protocol_score() -> None:
    from tools.risk import protocol

    assert protocols.WEIGHTS == protocol.WEIGHTS
    assert (protocols.UNKNOWN_RISK, protocols.UNAUDITED_RISK) == (protocol.UNKNOWN_RISK, protocol.UNAUDITED_RISK)


@given(st.integers(0, 10**9), st.integers(2, 9))
@settings(max_examples=40, deadline=None)
def test_sharpe_probabilities_are_those_of_the_writer(seed: int, trials: int) -> None:
    """Noisy series, on which the probabilities exist; a relative 1e-6, as the checker allows."""
    random_ = np.random.default_rng(seed)
    returns = 1e-3 * (random_.standard_t(5, (trials, 120)) + random_.uniform(-0.3, 0.6, (trials, 1)))
    plain, deflated = (
        probabilistic_sharpe(returns, risk_free_rate=0.03),
        deflated_sharpe(returns, trials, risk_free_rate=0.03),
    )
    made: dict[str, Any] = {
        "market": {"risk_free": {"rate": 0.03}},
        "candidates": [
            {"risk": {"sharpe_probability": float(p), "deflated_sharpe": float(d), "trials": trials, "missing": {}}}
            for p, d in zip(plain, deflated, strict=True)
        ],
    }
    series = {n: own.tolist() for n, own in enumerate(returns)}
    findings = Findings()
    sharpe.check_sharpes(made, series, findings)
    assert not findings.total, findings.report().differences
    for name in ("sharpe_probability", "deflated_sharpe"):
        forged = copy.deepcopy(made)
        forged["candidates"][0]["risk"][name] = 0.5 * forged["candidates"][0]["risk"][name] + 0.25
        findings = Findings()
        sharpe.check_sharpes(forged, series, findings)
        assert findings.total == 1


def test_the_entropic_measure_is_that_of_the_textbook() -> None:
    """Of a normal distribution it is μ + σ√(−2 ln(1 − α)); of a coin, by a fine grid."""
    points = [-6 + n / 100 for n in range(1201)]
    weights = [math.exp(-(x**2) / 2) for x in points]
    assert tail.entropic_value_at_risk(points, weights, 0.95) == pytest.approx(math.sqrt(-2 * math.log(0.05)), abs=2e-3)
    grid = min(t * (math.log(0.9 + 0.1 * math.exp(1 / t)) - math.log(0.05)) for t in np.linspace(0.05, 5, 20_000))
    assert tail.entropic_value_at_risk([0.0, 1.0], [9.0, 1.0], 0.95) == pytest.approx(min(1.0, grid), abs=1e-6)
