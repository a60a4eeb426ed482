"""The path of a strategy by recorded prices and yields."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.stress import Holding, replay_prices, replay_through

FIRST = dt.date(2024, 1, 1)


def day(number):
    return FIRST + dt.timedelta(days=number)


def rows(*prices):
    """Rows of a price file: numbers are closes, pairs are (low, close), None is a day that is not there."""
    pairs = [(n, p if isinstance(p, tuple) else (p, p)) for n, p in enumerate(prices) if p is not None]
    return [{"date": day(n).isoformat(), "low": str(low), "close": str(close)} for n, (low, close) in pairs]


def test_worst_and_recovery_of_one_token():
    path = replay_prices({"USDC": 1.0}, {"USDC": rows(1.0, (0.88, 0.97), 0.99, 1.0, 1.0)}, FIRST, day(4))
    assert path.worst == pytest.approx(0.12)
    assert path.worst_day == day(1)
    assert path.worst_close == pytest.approx(0.03)
    assert path.recovered == day(3)
    assert path.final == 1.0


def test_the_low_of_the_day_of_purchase_is_past():
    path = replay_prices({"USDC": 1.0}, {"USDC": rows((0.5, 1.0), 1.0)}, FIRST, day(1))
    assert (path.worst, path.worst_day, path.recovered) == (0.0, None, None)
    assert path.days[0].low == 1.0


def test_recovery_comes_after_the_worst():
    path = replay_prices({"USDC": 1.0}, {"USDC": rows(1.0, 1.0, (0.8, 0.9), 1.0)}, FIRST, day(3))
    assert (path.worst_day, path.recovered) == (day(2), day(3))


def test_what_never_came_back_has_no_day_of_recovery():
    path = replay_prices({"UST": 1.0}, {"UST": rows(1.0, 0.4, 0.1)}, FIRST, day(2))
    assert (path.worst, path.recovered) == (pytest.approx(0.9), None)


def test_a_pool_is_worth_its_worst_token():
    prices = {"USDC": rows(1.0, 0.9), "USDT": rows(1.0, 1.02)}
    pool = replay_through([Holding(1.0, ("USDC", "USDT"))], prices, FIRST, day(1))
    apart = replay_prices({"USDC": 0.5, "USDT": 0.5}, prices, FIRST, day(1))
    assert (pool.worst, apart.worst) == (pytest.approx(0.1), pytest.approx(0.04))


def test_carry_is_compounded_by_day():
    yearly = {day(n): 0.10 for n in range(366)}
    path = replay_through([Holding(1.0, ("USDC",), yearly)], {"USDC": rows(*[1.0] * 366)}, FIRST, day(365))
    assert path.final == pytest.approx(1.10, rel=1e-12)
    assert not path.missing


def test_money_that_is_not_invested_keeps_its_dollar():
    assert replay_prices({"USDC": 0.25}, {"USDC": rows(1.0, 0.6)}, FIRST, day(1)).worst == pytest.approx(0.1)


@pytest.mark.parametrize("text", ["", "nan", "inf", "0", "-1", "none"])
def test_a_day_without_a_price_is_left_out_with_a_reason(text):
    prices = rows(1.0, 0.9, 1.0)
    prices[1]["close"] = text
    path = replay_prices({"USDC": 1.0}, {"USDC": prices}, FIRST, day(2))
    assert path.missing == {"2024-01-02": "no price of USDC"}
    assert [entry.day for entry in path.days] == [FIRST, day(2)]
    assert path.worst == 0.0


def test_without_a_price_at_the_start_there_is_no_path():
    path = replay_prices({"USDC": 1.0, "DAI": 0.0}, {"USDC": rows(1.0, 1.0)}, FIRST, day(1))
    assert (path.days, path.worst, path.final) == ((), None, None)
    assert path.missing["2024-01-01"] == "no price of DAI"


def test_days_without_a_yield_are_counted():
    path = replay_through([Holding(1.0, ("USDC",), {day(1): 0.05})], {"USDC": rows(1.0, 1.0, 1.0)}, FIRST, day(2))
    assert path.missing == {"yield of holding 1, USDC": "1 of 2 days without an APY"}


@given(st.lists(st.floats(0.01, 2.0), min_size=2, max_size=20))
def test_the_close_is_never_below_the_low_and_the_worst_is_the_least(closes):
    path = replay_prices({"A": 1.0}, {"A": rows(*[(0.9 * c, c) for c in closes])}, FIRST, day(len(closes) - 1))
    assert all(entry.low <= entry.close for entry in path.days)
    assert path.worst == max(0.0, 1.0 - min(entry.low for entry in path.days[1:]))
    assert path.worst >= path.worst_close


@pytest.mark.parametrize(
    ("holding", "names"),
    [
        (Holding(1.5, ("USDC",)), "weight of USDC"),
        (Holding(float("nan"), ("USDC",)), "weight of USDC"),
        (Holding(1.0, ()), "no token"),
        (Holding(1.0, ("USDC",), {FIRST: float("nan")}), "APY of USDC on 2024-01-01"),
        (Holding(1.0, ("USDC",), {FIRST: -1.0}), "APY of USDC"),
    ],
)
def test_bad_holdings_are_refused_by_name(holding, names):
    with pytest.raises(ValueError, match=names):
        replay_through([holding], {"USDC": rows(1.0, 1.0)}, FIRST, day(1))


def test_a_last_day_before_the_first_is_refused():
    with pytest.raises(ValueError, match="lies before the first"):
        replay_prices({"A": 1.0}, {}, FIRST, day(-1))


def test_rows_of_no_day_are_passed_over():
    odd = [{"date": "2024-01-0x", "close": "0.1"}, {"close": "0.1"}]
    assert replay_prices({"A": 1.0}, {"A": [*odd, *rows(1.0, 1.0)]}, FIRST, day(1)).worst == 0.0


def test_weights_above_one_in_sum_are_refused():
    with pytest.raises(ValueError, match="more than 1"):
        replay_prices({"A": 0.7, "B": 0.7}, {}, FIRST, day(1))
