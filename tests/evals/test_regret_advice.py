"""Advice is judged by what can be carried out of it: limits are counted, breaking them earns nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.regret.advisers import (
    BASELINES,
    curve_told,
    equal_weight,
    greedy_apy,
    greedy_risk_adjusted,
    greedy_steps,
    largest_tvl,
    our_allocation,
)
from evals.regret.income import income_of, rate_at
from evals.regret.judging import judge, regret_bps
from evals.regret.markets import RegretCase, Root, cases_of, load_markets
from evals.regret.oracle import optimum

CASES = cases_of(load_markets())
BAIT = next(case for case in CASES if case.id == "usd-headline-bait@1000000")
BEST = optimum(BAIT)


@pytest.mark.parametrize("case", CASES[::3], ids=lambda case: case.id)
def test_simple_rules_place_all_of_the_money_within_the_limits(case: RegretCase) -> None:
    for name, adviser in [*BASELINES.items(), ("greedy_steps", greedy_steps)]:
        judged = judge(case, adviser(case).weights)
        assert judged.violations == (), name
        assert judged.placed == pytest.approx(1.0, abs=1e-9), name


def test_each_rule_does_what_it_is_called() -> None:
    pools = {pool.id: pool for pool in BAIT.market.pools}
    caps = BAIT.caps()
    first = {
        greedy_apy: max(pools.values(), key=lambda pool: rate_at(pool, 0.0)),
        greedy_risk_adjusted: max(pools.values(), key=lambda pool: rate_at(pool, 0.0) * (1.0 - pool.risk)),
        largest_tvl: max(pools.values(), key=lambda pool: pool.withdrawable_usd),
    }
    for rule, pool in first.items():
        assert rule(BAIT).weights[pool.id] == caps[pool.id]
    assert first[greedy_apy].id != first[largest_tvl].id
    assert equal_weight(BAIT).weights == pytest.approx(dict.fromkeys(pools, 1.0 / len(pools)))


def test_risk_changes_the_order_of_the_greedy() -> None:
    case = next(case for case in CASES if case.id == "usd-losses@1000000")
    assert next(iter(greedy_apy(case).weights)) == "usd-losses-01"
    assert next(iter(greedy_risk_adjusted(case).weights)) == "usd-losses-03"


def test_equal_weight_spreads_what_a_cap_keeps_out() -> None:
    case = next(case for case in CASES if case.id == "usd-mixed-1@50000000")
    weights, caps = equal_weight(case).weights, case.caps()
    open_ones = {round(weights[pool], 12) for pool in caps if weights[pool] < caps[pool] - 1e-12}
    assert len(open_ones) == 1
    assert all(weights[pool] <= max(open_ones) + 1e-12 for pool in caps)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from([*BAIT.caps(), "no-such-pool"]), st.floats(-2.0, 5.0), max_size=6))
def test_no_advice_beats_the_optimum(weights: dict[str, float]) -> None:
    judged = judge(BAIT, weights)
    assert regret_bps(BAIT, BEST.bound_usd, judged.income_usd) >= -1e-9
    assert 0.0 <= judged.placed <= 1.0


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"usd-headline-bait-01": 0.9, "usd-headline-bait-02": 0.1}, "are allowed"),
        ({"usd-headline-bait-02": 0.5}, "add up to 0.5"),
        ({"usd-headline-bait-02": 0.5, "usd-headline-bait-03": 0.5, "usd-headline-bait-04": 0.2}, "add up to 1.2"),
        ({"usd-headline-bait-02": 0.5, "nothing": 0.5}, "does not exist"),
        ({"usd-headline-bait-02": 0.5, "usd-headline-bait-03": 0.6, "usd-headline-bait-04": -0.1}, "a weight of -0.1"),
        ({"usd-headline-bait-02": float("nan")}, "a weight of nan"),
    ],
)
def test_every_broken_limit_is_named(weights: dict[str, float], words: str) -> None:
    assert any(words in broken for broken in judge(BAIT, weights).violations)


def test_what_breaks_a_cap_is_not_placed_and_no_weights_earn_nothing() -> None:
    over = judge(BAIT, {"usd-headline-bait-02": 0.9, "usd-headline-bait-05": 0.1})
    within = judge(BAIT, {"usd-headline-bait-02": 0.5, "usd-headline-bait-05": 0.1})
    assert over.income_usd == within.income_usd
    assert over.placed == pytest.approx(0.6)
    assert judge(BAIT, {}) == (0.0, 0.0, ())


def test_entering_is_paid_once_for_each_pool() -> None:
    case = next(case for case in CASES if case.id == "usd-gas@1000000")
    first, second = case.market.pools[:2]
    parts = sum(income_of(pool).value(5e5) for pool in (first, second))
    assert judge(case, {first.id: 0.5, second.id: 0.5}).income_usd == pytest.approx(parts - 160.0)


@pytest.mark.parametrize("market", load_markets()[::3], ids=lambda market: market.id)
def test_our_search_is_told_the_curves_of_the_case(market) -> None:
    """A root is not among its terms: what stands for it is never above it, and near it up to a tenth of the pool."""
    for pool in market.pools:
        told = curve_told(pool)
        for share in (0.0, 0.003, 0.1, 1.0):
            rate, expected = told.rate(share * pool.deposits_usd), rate_at(pool, share * pool.deposits_usd)
            near = 1e-9 if not isinstance(pool.curve, Root) else 0.002 if share <= 0.1 else 0.07
            assert rate == pytest.approx(expected, rel=near)
            assert rate <= expected * (1.0 + 1e-9)


def test_our_allocation_keeps_the_limits_and_loses_little() -> None:
    for case in CASES[1::48]:
        judged = judge(case, our_allocation(case).weights)
        assert judged.violations == ()
        greedy = judge(case, greedy_apy(case).weights)
        assert judged.income_usd >= greedy.income_usd - 1e-5 * case.amount_usd, case.id
