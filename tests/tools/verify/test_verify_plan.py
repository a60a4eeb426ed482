"""Sizes, proofs, plans and forecasts: the checker against the writers, and what it makes of a forged proof."""

from __future__ import annotations

import copy
import datetime as dt
import types
from typing import Any, get_args

import build_plan
import build_risk
import build_run
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.forecast import interval
from tools.forecast.baselines import BASELINES
from tools.records import DilutionModel, ForecastMethod, WeightMethod
from tools.sizing import lending
from tools.strategies.objectives import CONFIDENCES
from tools.verify import forecast, optimisation, plan, shape, sizing
from tools.verify.book import Book
from tools.verify.evidence import Evidence, read_evidence
from tools.verify.report import Findings

LAST = build_run.DAY.toordinal()


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return build_run.build_record()


def said(findings: Findings) -> str:
    return "\n".join(str(difference) for difference in findings.report().differences)


def book_of(record: dict[str, Any], inputs: dict[str, Any] | None = None) -> Book:
    evidence = read_evidence(inputs or build_run.build_inputs(), Findings())
    assert evidence is not None
    return Book(record, evidence, LAST)


# --- in step with the data -------------------------------------------------------------------------------------------


def test_names_and_methods_are_in_step_with_the_records() -> None:
    assert set(shape.METHODS) == set(get_args(WeightMethod))
    assert set(shape.DILUTION_MODELS) == set(get_args(DilutionModel))
    assert set(shape.FORECAST_METHODS) == set(get_args(ForecastMethod))
    assert {*optimisation.RULES, *optimisation.MINIMISING, *optimisation.MAXIMISING, "risk_parity"} == set(
        shape.METHODS
    )


def test_the_tail_levels_are_in_step_with_the_objectives() -> None:
    assert tuple(plan.CONFIDENCES) == tuple(CONFIDENCES)


def test_the_lenders_are_in_step_with_the_data() -> None:
    written = {
        (entry.project, entry.chain, entry.symbol): (
            entry.table,
            entry.date,
            entry.supplied_usd,
            entry.utilisation,
            entry.supply_rate,
            entry.borrow_rate,
            1.0 if entry.utilisation_unit == "fraction" else 100.0,
            entry.form == "direct",
        )
        for entry in lending._entries(None).values()
    }
    assert {key: tuple(columns) for key, columns in sizing.LENDERS.items()} == written


def test_a_least_weight_is_that_of_the_money_and_kept_by_net_yield(record: dict[str, Any]) -> None:
    from tools.candidates.posing import least_weight

    for dollars in (1e3, 1e4, 1e5, 1e6, 5e7):
        changed = copy.deepcopy(record)
        changed["mandate"] |= {"asset": "USD", "amount": dollars, "amount_usd": dollars}
        changed["candidates"] = [{"method": "net_yield", "pools": [{"weight": 0.9999}, {"weight": 1e-4}]}]
        changed["plan"]["least_weight"] = least_weight(dollars)
        findings = Findings()
        plan._check_least_weight(changed, changed["plan"], findings)
        assert ("too little for a position" in said(findings)) == (dollars <= 1e6), dollars
        assert "/plan/least_weight" not in said(findings), dollars
        changed["plan"]["least_weight"] *= 1.01
        plan._check_least_weight(changed, changed["plan"], findings)
        assert "/plan/least_weight" in said(findings), dollars


# --- size ------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**9), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_lender_is_fitted_as_the_writer_fits_it(seed: int, own: bool) -> None:
    """Noise up to the tolerance, lenders below and above their kink, and tables that no line explains."""
    random_ = np.random.default_rng(seed)
    columns = next(c for c in sizing.LENDERS.values() if c.own == own)
    entry = next(e for e in lending._entries(None).values() if e.table == columns.table)
    slope, kink, steep = random_.uniform(0.02, 0.1), random_.uniform(0.8, 0.95), random_.uniform(0.2, 3.0)
    noise, rows = random_.choice([0.0, 1e-4, 0.02]), []
    for back in range(45, -1, -1):
        used = float(np.clip(random_.normal(kink, 0.03), 0.3, 0.999))
        rate = (slope * min(used, kink) + steep * max(0.0, used - kink)) * (1 + noise * random_.uniform(-1, 1))
        supply = rate if own else 0.9 * used * rate
        values = (str(1e9 + 1e6 * back), str(used * columns.full), str(100 * supply), str(100 * rate))
        names = (columns.supplied, columns.utilisation, columns.supply, columns.borrow)
        rows.append(
            {columns.day: str(build_run.DAY - dt.timedelta(days=back)), **dict(zip(names, values, strict=True))}
        )
    written = lending.lender_of(*entry[:3], build_run.DAY, {entry.table: rows})
    evidence = types.SimpleNamespace(tables={f"rates/{columns.table}": rows})
    found = sizing._lender(columns, types.SimpleNamespace(evidence=evidence, last=LAST))  # type: ignore[arg-type]
    assert found is not None
    assert written is not None
    assert (found.supplied, found.used) == pytest.approx((written.today.supplied_usd, written.today.utilisation))
    assert (found.line is None) == (written.line is None)
    if found.line is not None and written.line is not None:
        for used in (0.2, 0.7, found.used):
            wanted = lending.supply_shape(written.line, entry.form, used)
            assert found.shape(used) == pytest.approx(wanted, rel=1e-9)


# --- proofs ----------------------------------------------------------------------------------------------------------


def test_the_proof_of_the_hand_made_record_is_no_accident(record: dict[str, Any]) -> None:
    findings = Findings()
    optimisation.check_bounds(book_of(record), findings)
    assert findings.recomputed > 6
    assert said(findings) == ""
    assert record["candidates"][1]["optimisation"]["binding"]


def test_other_weights_cannot_be_passed_off_as_the_best(record: dict[str, Any]) -> None:
    """Every figure is that of the other weights, and the bound as high: only the proof does not follow."""
    forged = copy.deepcopy(record)
    chosen = forged["candidates"][1]
    for pool, weight in zip(chosen["pools"], (0.40, 0.20, 0.40), strict=True):
        pool["weight"] = weight
    book = book_of(forged)
    returns = optimisation._returns(chosen, book)
    assert returns is not None
    daily = (np.array(returns).T * [0.40, 0.20, 0.40]).sum(axis=1)
    tail = -float(np.sort(daily)[:4].mean())
    chosen["optimisation"].update(value=tail, bound=tail, rounded=tail, gap=0.0)
    findings = Findings()
    optimisation.check_bounds(book, findings)
    assert "drivers and prices prove no more than" in said(findings)


def test_no_proof_is_stronger_than_the_truth(record: dict[str, Any]) -> None:
    """Whatever drivers and prices a forger writes, what they prove lies below the least CVaR there is."""
    least = record["candidates"][1]["optimisation"]["value"]
    chosen = copy.deepcopy(record["candidates"][1])
    book = book_of(record)
    returns, limits = optimisation._returns(chosen, book), optimisation._limits(chosen, record)
    assert returns is not None
    assert limits is not None
    random_ = np.random.default_rng(5)
    for _ in range(200):
        days = random_.choice(build_run.DAYS, 8, replace=False)
        chances = np.minimum(random_.dirichlet(np.ones(8)), 0.25)
        costs = [-float(np.array(series)[days] @ chances) / chances.sum() for series in returns]
        names = random_.choice(sorted(limits.groups), 2, replace=False)
        binding = [{"limit": str(name), "price_bps": float(random_.exponential(0.05))} for name in names]
        if (chances / chances.sum()).max() <= 0.25:
            assert optimisation._least(costs, limits, binding, chosen["pools"]) <= least + 1e-15


def test_the_greedy_method_is_proved_by_a_knapsack(record: dict[str, Any]) -> None:
    forged = copy.deepcopy(record)
    candidate = forged["candidates"][1]
    pools = candidate["pools"]
    worth = [pool["apy"] * (1 - pool["protocol_risk"]) for pool in pools]
    limits = optimisation._limits(candidate, forged)
    assert limits is not None
    best = -optimisation._least([-each for each in worth], limits, [], pools)
    order = sorted(range(3), key=lambda n: -worth[n])
    for place, weight in zip(order, (0.40, 0.40, 0.20), strict=True):
        pools[place]["weight"] = weight
    candidate.update(method="risk_adjusted")
    candidate["optimisation"].update(value=best, bound=best, rounded=best, gap=0.0, binding=[], drivers=[])
    assert best == pytest.approx(sum(pool["weight"] * each for pool, each in zip(pools, worth, strict=True)))
    findings = Findings()
    optimisation.check_bounds(book_of(forged), findings)
    assert said(findings) == ""
    candidate["optimisation"]["bound"] -= 1e-4
    candidate["optimisation"]["value"] -= 1e-4
    findings = Findings()
    optimisation.check_bounds(book_of(forged), findings)
    assert "prove no more than" in said(findings)


# --- forecasts -------------------------------------------------------------------------------------------------------


def walk(seed: int, days: int = 365) -> np.ndarray:
    random_ = np.random.default_rng(seed)
    values = [0.05]
    for _ in range(days - 1):
        values.append(0.05 + 0.9 * (values[-1] - 0.05) + 0.004 * random_.normal())
    return np.abs(np.array(values))


@pytest.mark.parametrize("method", ["last", "ewma", "ar1"])
@pytest.mark.parametrize("horizon", [1, 30, 90])
def test_errors_and_tests_are_those_of_the_writer(method: Any, horizon: int) -> None:
    series = walk(horizon)
    errors = interval.past_errors(series, BASELINES[method], horizon)
    found = forecast.past_errors(series.tolist(), method, horizon)
    assert found == pytest.approx(errors.method.tolist(), abs=1e-12)
    losses = errors.last**2 - errors.method**2
    if method != "last":
        written = interval.own_score(method, horizon, errors).p_value
        found_p = forecast.diebold_mariano(losses.tolist(), -(-horizon // 7))
        assert found_p == pytest.approx(written, rel=1e-7)
        assert found_p == pytest.approx(build_plan.diebold_mariano(losses, -(-horizon // 7)), rel=1e-7)


def forecast_book(told: dict[str, Any] | None, series: np.ndarray) -> Book:
    rows = [
        {"timestamp": f"{dt.date.fromordinal(LAST - back)}T23:00:00.000Z", "apy": 100 * float(value)}
        for back, value in enumerate(reversed(series))
    ]
    pool = {"pool_id": "p", "weight": 1.0, "history_days": series.size}
    made = {
        "off": [],
        "forecast": told,
        "forecast_missing": None if told else "too little",
        "choice": {"candidate_id": "c"},
        "mandate": {"horizon_days": 30},
        "candidates": [{"id": "c", "pools": [pool]}],
    }
    evidence = Evidence("2025-02-28", False, 1, 1, {}, {"p": rows}, [], {}, "")
    return Book(made, evidence, LAST)


FORECAST_FORGERIES: dict[str, tuple[str, Any, str]] = {
    "a higher forecast": ("apy", lambda x: 1.01 * x, "what the saved rows give"),
    "a narrower interval": ("apy_low", lambda x: x + 0.001, "what the saved rows give"),
    "an interval cut above": ("apy_high", lambda x: x - 0.001, "what the saved rows give"),
    "another horizon": ("horizon_days", 90, "the mandate's horizon"),
    "another level": ("level", 0.99, "the level of every interval"),
    "a method that did not win": ("method", "ar1", "the best baseline that won"),
    "a better score": ("own/ratio", lambda x: 0.9 * x, "its errors over those of the last value"),
    "a surer score": ("own/p_value", lambda x: x / 2, "the test of the saved rows"),
    "more forecasts": ("own/forecasts", lambda x: x + 1, "what the forecast was made with"),
    "a loss turned into a win": ("own/wins", lambda x: 1.0 - x, "whether its errors are the smaller"),
    "an own score of another": ("own/method", "last", "what the forecast was made with"),
    "a method used that lost": ("recorded/1/used", True, "is true at a ratio of"),
    "a method twice": ("recorded/1/method", "ewma", "each once"),
    "scores of another horizon": ("recorded/1/horizon_days", 7, "that of the others"),
}


@pytest.mark.parametrize("name", FORECAST_FORGERIES)
def test_a_forged_forecast_is_named(name: str) -> None:
    series = np.round(walk(3), 7)
    honest = build_plan.forecast(series, 30)
    findings = Findings()
    forecast.check_forecast(forecast_book(honest, series), findings)
    assert said(findings) == ""
    assert findings.recomputed > 15
    path, change, expected = FORECAST_FORGERIES[name]
    holder: Any = honest
    *steps, last = path.split("/")
    for step in steps:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    holder[last] = change(holder[last]) if callable(change) else change
    findings = Findings()
    forecast.check_forecast(forecast_book(honest, series), findings)
    assert expected in said(findings)


def test_a_forecast_that_could_be_made_is_missed() -> None:
    findings = Findings()
    forecast.check_forecast(forecast_book(None, walk(3)), findings)
    assert "whether 365 days are enough for 30" in said(findings)


def test_a_rate_that_never_moves_is_its_own_forecast() -> None:
    flat = np.full(365, 0.05)
    told = build_plan.forecast(walk(1), 30)
    told |= {"method": "last", "apy": 0.05, "apy_low": 0.05, "apy_high": 0.05}
    told["own"] |= {"method": "last", "ratio": 1.0, "p_value": None, "wins": 0.0}
    findings = Findings()
    forecast.check_forecast(forecast_book(told, flat), findings)
    assert said(findings) == ""


def test_the_size_of_the_builder_is_that_of_the_kink(record: dict[str, Any]) -> None:
    """The position is small beside the lender, and the lender stands above its kink: the rate falls several times."""
    own = record["candidates"][0]["pools"][0]
    position = own["weight"] * build_run.AMOUNT
    fall = 1 - own["at_size"]["apy"] / own["apy"]
    assert own["at_size"]["model"] == "kinked"
    assert 3 < fall / (position / build_risk.SUPPLIED) < 12
