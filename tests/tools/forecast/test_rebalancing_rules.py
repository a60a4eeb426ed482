from __future__ import annotations

import math

import numpy as np
import pytest

from tools.forecast.rebalancing import (
    MOVES,
    RISK_AVERSION,
    RULES,
    SLOW,
    Costs,
    Outcome,
    RateBook,
    Rule,
    Seen,
    Walk,
    annual_difference,
    follow,
    smoothed,
    start_weights,
    target,
)
from tools.units import FloatArray

FREE = Costs(1e6, leg_usd=0.0, slippage=0.0)


def book_of(rates: FloatArray) -> RateBook:
    return RateBook(rates, ~np.isnan(rates))


def random_book(seed: int, days: int = 120, pools: int = 5) -> RateBook:
    draw = np.random.default_rng(seed)
    level = np.log(0.06) + np.cumsum(draw.normal(0, 0.08, (days, pools)), axis=0)
    return book_of(np.exp(level))


def seen_of(book: RateBook, day: int, weights: list[float], costs: Costs = FREE) -> Seen:
    return Seen(book, day, np.array(weights), 0, costs)


def test_a_move_costs_its_transactions_and_a_part_of_what_moves() -> None:
    costs = Costs(10_000.0, leg_usd=15.0, slippage=2e-4)
    before, after = np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.0, 0.5])
    assert costs.of(before, after) == pytest.approx(2 * 15 / 10_000 + 2e-4 * 1.0, abs=1e-15)
    assert costs.of(before, before) == 0.0
    assert costs.of(before, before + np.array([1e-12, -1e-12, 0.0])) == 0.0


@pytest.mark.parametrize("wrong", [{"amount_usd": 0.0}, {"amount_usd": math.nan}, {"amount_usd": 1.0, "leg_usd": -1.0}])
def test_costs_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="positive amount"):
        Costs(**wrong)


def test_the_smoothed_rate_passes_over_days_without_a_record() -> None:
    nan = math.nan
    found = smoothed(np.array([[nan, 1.0], [2.0, nan], [4.0, 3.0]]), 0.25)
    np.testing.assert_allclose(found, [[nan, 1.0], [2.0, 1.0], [2.5, 1.5]])


def test_the_ranking_is_of_open_pools_with_ties_by_place() -> None:
    rates = np.array([[0.1, 0.2, 0.2, 0.3]])
    book = RateBook(rates, np.array([[True, True, True, False]]))
    assert book.ranking(0).tolist() == [1, 2, 0]


def test_money_earns_the_rate_of_the_next_day() -> None:
    book = book_of(np.array([[0.10, 0.01], [0.20, 0.02], [0.30, 0.03]]))
    walk = Walk(book, FREE, np.array([1.0, 0.0]))
    assert walk.step(np.array([1.0, 0.0])).growth == pytest.approx(math.log(1.20) / 365, abs=1e-16)
    assert walk.step(np.array([0.0, 1.0])).growth == pytest.approx(math.log(1.03) / 365, abs=1e-16)
    assert walk.done


def test_never_earns_what_its_pools_earn_each_compounding_for_itself() -> None:
    book = random_book(3)
    start = start_weights(book)
    final = sum(w * math.prod(1.0 + r for r in (1 + book.apy[1:, i]) ** (1 / 365) - 1) for i, w in enumerate(start))
    outcome = follow(RULES["never"], book, Costs(1e4))
    assert math.fsum(outcome.growth) == pytest.approx(math.log(final), abs=1e-12)
    assert outcome.annual == pytest.approx(math.log(final) * 365 / 119, abs=1e-12)
    assert outcome.moves == 0


def test_a_cost_is_taken_from_the_position_before_it_earns() -> None:
    book = book_of(np.full((2, 2), 0.1))
    step = Walk(book, Costs(1_000.0, leg_usd=15.0, slippage=0.0), np.array([1.0, 0.0])).step(np.array([0.0, 1.0]))
    assert step.cost == pytest.approx(0.03)
    assert step.growth == pytest.approx(math.log(1.1) / 365 + math.log(0.97), abs=1e-15)


def test_the_reward_is_the_growth_less_the_price_of_a_rate_that_varies() -> None:
    book = random_book(5, days=30, pools=1)
    outcome = follow(RULES["never"], book, FREE)
    mean = book.apy[1, 0]
    for day in range(1, 30):
        rate = book.apy[day, 0]
        mean = mean + SLOW * (rate - mean) if day > 1 else rate
        expected = 1e4 * (math.log1p(rate) / 365 - RISK_AVERSION * (rate - mean) ** 2 / 365)
        assert outcome.reward[day - 1] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("rule", list(RULES))
def test_no_rule_knows_what_comes(rule: Rule) -> None:
    book = random_book(11)
    later = book.apy.copy()
    later[61:] = later[61:][:, ::-1] * 3.0
    one, other = (follow(RULES[rule], each, Costs(1e6)) for each in (book, book_of(later)))
    np.testing.assert_array_equal(one.cost[:61], other.cost[:61])
    np.testing.assert_array_equal(one.growth[:60], other.growth[:60])


def test_payback_moves_when_thirty_days_pay_for_it_and_not_before() -> None:
    rates = np.tile([0.10, 0.10, 0.10, 0.05], (40, 1))
    rates[5:, 3] = 0.40
    book = book_of(rates)
    seen = seen_of(book, 39, [0.25, 0.25, 0.25, 0.25])
    after = target(seen, MOVES.index("best three"))
    fast = book.fast[39]
    gain = float(np.sum((after - seen.weights) * ((1 + fast) ** (1 / 365) - 1))) * 30
    legs = np.count_nonzero(np.abs(after - seen.weights) > 1e-9)
    for amount, moves in ((15.0 * legs / gain * 1.001, True), (15.0 * legs / gain * 0.999, False)):
        chosen = RULES["payback"](seen._replace(costs=Costs(amount, 15.0, 0.0)))
        assert bool(np.abs(chosen - seen.weights).max() > 0) is moves


def test_monthly_moves_every_thirtieth_day_only() -> None:
    book = random_book(2, days=100)
    assert np.flatnonzero(follow(RULES["monthly"], book, Costs(1e6)).cost).tolist() == [30, 60, 90]
    # On the first day it is due for nothing, though the best one is not what it starts with.
    assert np.flatnonzero(follow(RULES["monthly best"], book, Costs(1e6)).cost)[0] == 30


def test_drift_goes_back_to_equal_parts_once_a_weight_is_five_points_away() -> None:
    book = random_book(1, pools=2)
    drift = RULES["drift"]
    assert drift(seen_of(book, 3, [0.549, 0.451])).tolist() == [0.549, 0.451]
    assert drift(seen_of(book, 3, [0.551, 0.449])).tolist() == [0.5, 0.5]


def test_moves_lead_where_their_names_say() -> None:
    book = book_of(np.array([[0.05, 0.10, 0.08, 0.02]]))
    seen = seen_of(book, 0, [0.4, 0.0, 0.0, 0.6])
    wanted = {
        "keep": [0.4, 0.0, 0.0, 0.6],
        "best": [0.0, 1.0, 0.0, 0.0],
        "best three": [1 / 3, 1 / 3, 1 / 3, 0.0],
        "equal": [0.25, 0.25, 0.25, 0.25],
        "shift 25 %": [0.4, 0.25, 0.0, 0.35],
        "shift 50 %": [0.4, 0.5, 0.0, 0.1],
    }
    assert list(wanted) == list(MOVES)
    for move, name in enumerate(MOVES):
        np.testing.assert_allclose(target(seen, move), wanted[name], atol=1e-15)


def test_small_changes_are_not_traded_and_the_weights_still_sum_to_one() -> None:
    book = book_of(np.array([[0.10, 0.09, 0.08, 0.02]]))
    after = target(seen_of(book, 0, [0.336, 0.330, 0.0, 0.334]), MOVES.index("best three"))
    assert after[:2].tolist() == [0.336, 0.330]
    assert after[3] == 0.0
    assert math.fsum(after) == pytest.approx(1.0, abs=1e-15)
    nearly = seen_of(book, 0, [0.333, 0.333, 0.334, 0.0])
    assert target(nearly, MOVES.index("best three")) is nearly.weights


def test_a_pool_without_a_record_earns_nothing_and_is_the_first_to_leave() -> None:
    rates = np.tile([0.02, 0.10, 0.50], (3, 1))
    rates[1:, 2] = math.nan
    book = book_of(rates)
    after = target(seen_of(book, 1, [0.4, 0.2, 0.4]), MOVES.index("shift 25 %"))
    np.testing.assert_allclose(after, [0.4, 0.45, 0.15], atol=1e-15)
    assert Walk(book, FREE, np.array([0.0, 0.0, 1.0])).step(np.array([0.0, 0.0, 1.0])).growth == 0.0


def test_no_move_leads_to_a_pool_that_is_closed() -> None:
    draw = np.random.default_rng(4)
    rates = draw.uniform(0.01, 0.3, (50, 6))
    book = RateBook(rates, draw.random((50, 6)) < 0.6)
    for day in range(50):
        before = draw.dirichlet(np.ones(6))
        for move in range(len(MOVES)):
            after = target(seen_of(book, day, before.tolist()), move)
            assert math.fsum(after) == pytest.approx(1.0, abs=1e-12)
            assert (after[~book.open[day]] <= before[~book.open[day]] + 1e-15).all()


@pytest.mark.parametrize("weights", [[0.5, 0.4], [1.5, -0.5], [math.nan, 1.0]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights that sum to 1"):
        follow(lambda seen: np.array(weights), book_of(np.full((3, 2), 0.1)), FREE)


def test_books_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        RateBook(np.ones((2, 2)), np.ones((2, 3), dtype=bool))
    with pytest.raises(ValueError, match="infinity"):
        RateBook(np.array([[math.inf]]), np.array([[True]]))
    with pytest.raises(ValueError, match="without a record"):
        RateBook(np.array([[math.nan]]), np.array([[True]]))
    with pytest.raises(ValueError, match="no pool is open"):
        start_weights(RateBook(np.array([[0.1]]), np.array([[False]])))


def test_a_part_of_a_book_remembers_the_rates_before_it() -> None:
    book = random_book(8)
    part = book.part([4, 1], 50, 70)
    np.testing.assert_array_equal(part.fast, book.fast[50:70][:, [4, 1]])
    np.testing.assert_array_equal(part.apy, book.apy[50:70][:, [4, 1]])


def outcome_of(growth: FloatArray) -> Outcome:
    return Outcome(growth, np.zeros_like(growth), np.zeros_like(growth))


def test_the_interval_holds_the_true_difference_about_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(200):
        noise = np.random.default_rng(seed).normal(0, 1e-3, (2, 360))
        found = annual_difference(outcome_of(noise[0] + 1e-4), outcome_of(noise[1]), block_days=5, draws=400)
        hits += found.low <= 0.0365 <= found.high
    assert 165 <= hits <= 195  # 180 wanted, standard deviation 4.2; a bootstrap of 72 blocks is a little narrow


def test_the_difference_of_a_thing_to_itself_is_nothing() -> None:
    one = outcome_of(np.random.default_rng(0).normal(0, 1, 50))
    assert annual_difference(one, one)[:3] == (0.0, 0.0, 0.0)
    whole = annual_difference(one, outcome_of(np.zeros(50)), block_days=50)  # every draw is the year, turned round
    assert whole.low == pytest.approx(whole.mean, abs=1e-9)
    assert whole.high == pytest.approx(whole.mean, abs=1e-9)
    with pytest.raises(ValueError, match="same days"):
        annual_difference(one, outcome_of(np.zeros(49)))
