"""The optimum is one: against closed forms, a grid, the program's own search, and the conditions of first order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.regret.advisers import curve_told
from evals.regret.markets import Market, RegretCase, Root, cases_of, load_markets
from evals.regret.oracle import Asset, Optimum, Span, assets_of, best_at, kkt_residual, optimum
from tools.sizing import allocate
from tools.units import DAYS_PER_YEAR

CASES = cases_of(load_markets())
CACHE: dict[str, Optimum] = {}


def best(case: RegretCase) -> Optimum:
    if case.id not in CACHE:
        CACHE[case.id] = optimum(case)
    return CACHE[case.id]


def market(pools: list[dict[str, Any]], amount: float, **changes: Any) -> RegretCase:
    named = [
        {"id": f"p{n}", "project": "a", "chain": "b", "symbol": "c", "deposits_usd": 1e6} | one
        for n, one in enumerate(pools)
    ]
    fields = {
        "id": "m", "asset": "USD", "words": "", "tags": [], "max_weight": 1.0, "max_position_share": None,
        "servable": False, "amounts_usd": [amount], "pools": named,
    }  # fmt: skip
    return RegretCase(Market.model_validate(fields | changes), amount)


def shared(deposits: float, usd: float) -> dict[str, Any]:
    return {"deposits_usd": deposits, "curve": {"kind": "shared", "usd_per_year": usd}}


def test_fixed_incomes_are_shared_as_the_closed_form_says() -> None:
    """Where F·D/(D + x)² is alike, D + x is in proportion to √(F·D)."""
    case = market([shared(2e6, 3e5), shared(5e6, 4e5), shared(1e6, 9e4)], 3e6)
    found = optimum(case)
    roots = np.sqrt([2e6 * 3e5, 5e6 * 4e5, 1e6 * 9e4])
    expected = (3e6 + 8e6) * roots / roots.sum() - np.array([2e6, 5e6, 1e6])
    assert (expected > 0.0).all()
    assert [found.weights[f"p{n}"] for n in range(3)] == pytest.approx(expected / 3e6, rel=1e-6)
    assert found.method == "kkt"
    assert found.gap_bps < 1e-6


def test_a_cost_of_entering_keeps_small_money_in_one_pool() -> None:
    pools = [shared(1e7, 5e5) | {"entry_cost_usd": 40.0}, shared(1e7, 4.99e5) | {"entry_cost_usd": 40.0}]
    assert set(optimum(market(pools, 1e4)).weights) == {"p0"}
    assert set(optimum(market(pools, 5e6)).weights) == {"p0", "p1"}


def test_of_two_lenders_above_their_kinks_one_is_taken_past_it() -> None:
    """What is not concave: all in one beats halves in both, though both are alike."""
    curve = {
        "kind": "lender", "borrowed_usd": 9.6e5, "base_rate": 0.0, "slope_low": 0.05, "slope_high": 1.0, "kink": 0.9,
        "reserve_factor": 0.0,
    }  # fmt: skip
    case = market([{"curve": curve}, {"curve": curve}], 6e5)
    found = optimum(case)
    halves = sum(asset.income.value(3e5) for asset in assets_of(case))
    assert found.method == "branch_and_bound"
    assert found.gap_bps < 1e-3
    assert found.income_usd > halves * 1.05
    assert min(found.weights.get("p0", 0.0), found.weights.get("p1", 0.0)) < 0.1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_optimum_keeps_the_limits_and_is_proven(case: RegretCase) -> None:
    found = best(case)
    caps = case.caps()
    assert math.fsum(found.weights.values()) == pytest.approx(1.0, abs=1e-9)
    assert all(0.0 < weight <= caps[pool] + 1e-12 for pool, weight in found.weights.items())
    assert -1e-6 <= found.gap_bps <= 1e-3
    if found.method == "kkt":
        assert found.kkt_bps is not None
        assert found.kkt_bps < 1e-4


def test_weights_that_are_not_optimal_miss_the_conditions() -> None:
    case = next(case for case in CASES if best(case).method == "kkt" and len(best(case).weights) > 2)
    weights, assets = best(case).weights, assets_of(case)
    positions = [weights.get(pool.id, 0.0) * case.amount_usd for pool in case.market.pools]
    assert kkt_residual(assets, positions) < 1e-8
    caps = case.caps()
    free = [n for n, pool in enumerate(case.market.pools) if 0.01 < weights.get(pool.id, 0.0) < caps[pool.id] - 0.01]
    positions[free[0]] -= 0.01 * case.amount_usd
    assert kkt_residual(assets, positions) > 1e-7


@settings(max_examples=60)
@given(
    st.sampled_from(range(len(CASES))), st.integers(0, 20), st.floats(0.05, 1.0), st.floats(0.0, 0.9),
    st.floats(-0.05, 0.2), st.booleans(),
)  # fmt: skip
def test_the_best_position_at_a_price_is_no_worse_than_any_other(
    number: int, place: int, width: float, start: float, price: float, rests: bool
) -> None:
    """The inner maximum of the dual, which the bound stands on, against a grid over the span."""
    assets = assets_of(CASES[number])
    income = assets[place % len(assets)].income
    high = 8.0 * width * income.deposits_usd  # far beyond twice the pool, where a square is convex
    asset, span = Asset(income, 25.0, high), Span(start * high, high, rests)
    found = best_at(asset, span, price)
    places = [span.low + (span.high - span.low) * n / 500.0 for n in range(501)]
    grid = [income.value(x) - (25.0 if x > 0.0 or not rests else 0.0) - price * x for x in places]
    best_of_grid = max([*grid, 0.0] if rests else grid)
    assert found.bound >= best_of_grid - 1e-9 * high
    assert found.bound == pytest.approx(found.value - price * found.x_usd, abs=1e-6 * high)


def on_a_grid(case: RegretCase, steps: int) -> float:
    """The best income of positions that are whole steps, by dynamic programming over the pools: slow and plain."""
    step = case.amount_usd / steps
    table = np.full(steps + 1, -math.inf)
    table[0] = 0.0
    for asset in assets_of(case):
        most = int(min(steps, math.floor(asset.cap_usd / step + 1e-9)))
        gains = [asset.income.value(k * step) - asset.entry_usd * (k > 0) for k in range(most + 1)]
        fresh = np.full(steps + 1, -math.inf)
        for k, gain in enumerate(gains):
            fresh[k:] = np.maximum(fresh[k:], table[: steps + 1 - k] + gain)
        table = fresh
    return float(table[steps])


@pytest.mark.parametrize("case", CASES[::5], ids=lambda case: case.id)
def test_no_point_of_a_grid_is_better(case: RegretCase) -> None:
    grid, found = on_a_grid(case, 250), best(case)
    assert grid <= found.bound_usd + 1e-9 * case.amount_usd
    assert grid <= found.income_usd + 1e-9 * case.amount_usd


def test_the_grid_comes_near_the_optimum() -> None:
    """So that the test above compares with something: in most cases a fine grid loses little."""
    gaps = [(best(case).income_usd - on_a_grid(case, 250)) / case.amount_usd * 1e4 for case in CASES[::5]]
    finite = [gap for gap in gaps if math.isfinite(gap)]
    assert len(finite) > 30
    assert np.median(finite) < 0.5


@pytest.mark.parametrize("case", [c for c in CASES if not any(isinstance(p.curve, Root) for p in c.market.pools)][::7])
def test_the_programs_own_search_and_this_one_find_neither_other_wrong(case: RegretCase) -> None:
    """Two algorithms that share no code: each one's value is below the other's bound."""
    caps = case.caps()
    theirs = allocate(
        [curve_told(pool) for pool in case.market.pools],
        case.amount_usd,
        DAYS_PER_YEAR,
        fixed_cost_usd=[pool.entry_cost_usd for pool in case.market.pools],
        expected_loss=[pool.expected_loss for pool in case.market.pools],
        upper=[caps[pool.id] for pool in case.market.pools],
    )
    ours, digits = best(case), 1e-9 * case.amount_usd
    assert theirs.value <= ours.bound_usd + digits
    assert ours.income_usd <= theirs.bound + digits


def test_ties_and_forced_choices_are_solved_too() -> None:
    flat = {"curve": {"kind": "flat", "rate": 0.04}}
    alike = market([flat] * 4, 1e6, max_weight=0.25)
    assert optimum(alike).weights == pytest.approx({f"p{n}": 0.25 for n in range(4)})
    assert optimum(market([flat] * 3, 1e6)).income_usd == pytest.approx(4e4)
    assert optimum(market([flat], 1e6)).weights == {"p0": pytest.approx(1.0)}


def test_an_optimum_does_not_depend_on_the_order_of_the_pools() -> None:
    case = next(case for case in CASES if case.id == "usd-mixed-1@50000000")
    first = best(case)
    turned = case.market.model_copy(update={"pools": list(reversed(case.market.pools))})
    second = optimum(RegretCase(turned, case.amount_usd))
    assert second.income_usd == pytest.approx(first.income_usd, rel=1e-9)


def test_the_gaps_are_published(published: list[str]) -> None:
    gaps = [best(case).gap_bps for case in CASES]
    certified = sum(best(case).method == "kkt" for case in CASES)
    published.append(
        f"optima of {len(CASES)} regret cases: {certified} by KKT conditions, the others by branch and bound; "
        f"largest gap {max(gaps):.1g} bp"
    )
    assert len(CASES) >= 100
    assert 0 < certified < len(CASES)
