"""Impermanent loss: the published values, the laws, and the recorded depegs."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.market.sources.folder import FolderSource
from tools.risk.impermanent_loss import (
    PRICE_TABLES,
    capital_efficiency,
    concentrated_loss,
    constant_product_loss,
    impermanent_loss_of,
    read_prices,
    weighted_loss,
)

RATIOS = st.floats(0.01, 100.0)


@pytest.mark.parametrize(("ratio", "loss"), [(1.0, 0.0), (2.0, 0.0572), (4.0, 0.2), (0.5, 0.0572), (0.25, 0.2)])
def test_constant_product(ratio: float, loss: float) -> None:
    assert constant_product_loss(ratio) == pytest.approx(loss, abs=5e-5)


@given(ratio=RATIOS)
def test_constant_product_is_the_closed_form(ratio: float) -> None:
    assert constant_product_loss(ratio) == pytest.approx(1.0 - 2.0 * math.sqrt(ratio) / (1.0 + ratio), abs=1e-12)


@pytest.mark.parametrize(("weight", "ratio", "loss"), [(0.8, 2.0, 0.0327), (0.8, 0.5, 0.0428), (0.95, 2.0, 0.0093)])
def test_weighted_pools(weight: float, ratio: float, loss: float) -> None:
    assert weighted_loss((weight, 1.0 - weight), (ratio, 1.0)) == pytest.approx(loss, abs=5e-5)


@given(ratios=st.lists(RATIOS, min_size=1, max_size=6), scale=RATIOS)
def test_a_common_change_of_all_prices_costs_nothing(ratios: list[float], scale: float) -> None:
    weights = [1.0 / len(ratios)] * len(ratios)
    loss = weighted_loss(weights, ratios)
    assert 0.0 <= loss < 1.0
    assert weighted_loss(weights, [scale * ratio for ratio in ratios]) == pytest.approx(loss, abs=1e-12)
    assert weighted_loss(weights, ratios[::-1]) == pytest.approx(loss, abs=1e-12)


@pytest.mark.parametrize(
    ("width", "ratio", "loss"),
    [(1.5, 1.25, 0.034), (1.5, 1.5, 0.110), (1.5, 2.0, 0.258), (4.0, 2.0, 0.114), (4.0, 4.0, 0.40), (1.5, 4.0, 0.555)],
)
def test_concentrated_positions_in_and_out_of_range(width: float, ratio: float, loss: float) -> None:
    price = 1800.0
    found = concentrated_loss(price, ratio * price, price / width, price * width)
    assert found == pytest.approx(loss, abs=5e-4)


@given(ratio=st.floats(0.51, 1.99), lower=st.floats(0.05, 0.5), upper=st.floats(2.0, 20.0))
def test_in_range_the_closed_form_holds(ratio: float, lower: float, upper: float) -> None:
    part = (math.sqrt(lower) + ratio * math.sqrt(1.0 / upper)) / (1.0 + ratio)
    expected = constant_product_loss(ratio) / (1.0 - part)
    assert concentrated_loss(1.0, ratio, lower, upper) == pytest.approx(expected, abs=1e-9)


@given(ratio=RATIOS)
def test_a_range_over_all_prices_is_a_constant_product(ratio: float) -> None:
    assert concentrated_loss(1.0, ratio, 1e-12, 1e12) == pytest.approx(constant_product_loss(ratio), abs=1e-5)


def test_a_position_of_one_token_that_stays_out_of_range_loses_nothing() -> None:
    assert concentrated_loss(1.0, 1.5, 2.0, 3.0) == 0.0
    assert concentrated_loss(5.0, 4.0, 2.0, 3.0) == 0.0


@pytest.mark.parametrize(("width", "times"), [(1.1, 21.5), (1.01, 201.5)])
def test_capital_efficiency(width: float, times: float) -> None:
    assert capital_efficiency(width) == pytest.approx(times, rel=2e-3)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_prices_that_are_none_are_refused_by_name(bad: float) -> None:
    with pytest.raises(ValueError, match="price_ratios"):
        constant_product_loss(bad)
    with pytest.raises(ValueError, match="lower"):
        concentrated_loss(1.0, 1.0, bad, 2.0)
    with pytest.raises(ValueError, match="width"):
        capital_efficiency(bad)
    with pytest.raises(ValueError, match="the price of A on 2025-01-01"):
        impermanent_loss_of(("A", "B"), {"A": {DAYS[0]: bad}, "B": {DAYS[0]: 1.0}}, DAYS[0], DAYS[0])


def test_weights_and_ranges_that_are_none_are_refused() -> None:
    for weights, ratios in (((0.5, 0.4), (1.0, 1.0)), ((1.5, -0.5), (1.0, 1.0)), ((1.0,), (1.0, 1.0)), ((), ())):
        with pytest.raises(ValueError, match="weight"):
            weighted_loss(weights, ratios)
    with pytest.raises(ValueError, match="range"):
        concentrated_loss(1.0, 1.0, 2.0, 2.0)


# --- over a window

DAYS = [dt.date(2025, 1, 1) + dt.timedelta(days=n) for n in range(10)]
FLAT = dict.fromkeys(DAYS, 1.0)


def test_the_loss_is_that_of_the_last_day_and_the_worst_that_of_any() -> None:
    moving = {**FLAT, DAYS[4]: 4.0, DAYS[9]: 2.0}
    found = impermanent_loss_of(("A", "B"), {"A": moving, "B": FLAT}, DAYS[0], DAYS[9])
    assert found.loss == pytest.approx(constant_product_loss(2.0), abs=1e-12)
    assert found.worst == pytest.approx(0.2, abs=1e-12)


def test_the_window_begins_on_its_first_day() -> None:
    moving = {**FLAT, DAYS[0]: 4.0}
    assert impermanent_loss_of(("A", "B"), {"A": moving, "B": FLAT}, DAYS[1], DAYS[9]).worst == 0.0


def test_one_token_loses_nothing() -> None:
    assert impermanent_loss_of(("A",), {}, DAYS[0], DAYS[9]).loss == 0.0


def test_three_tokens_in_equal_parts() -> None:
    found = impermanent_loss_of(("A", "B", "C"), {"A": {**FLAT, DAYS[9]: 2.0}, "B": FLAT, "C": FLAT}, DAYS[0], DAYS[9])
    assert found.loss == pytest.approx(1.0 - 2.0 ** (1.0 / 3.0) / (4.0 / 3.0), abs=1e-12)


def test_a_token_without_prices_is_named() -> None:
    found = impermanent_loss_of(("A", "STETH"), {"A": FLAT}, DAYS[0], DAYS[9])
    assert (found.loss, found.worst) == (None, None)
    assert "STETH" in found.reason


@pytest.mark.parametrize(("missing", "known"), [(range(3, 6), True), (range(3, 7), False), (range(8, 10), True)])
def test_a_hole_of_three_days_is_bridged_and_a_longer_one_is_not(missing: range, known: bool) -> None:
    holed = {day: price for n, (day, price) in enumerate(FLAT.items()) if n not in missing}
    found = impermanent_loss_of(("A", "B"), {"A": FLAT, "B": holed}, DAYS[0], DAYS[9])
    assert (found.loss is not None) is known
    assert known or DAYS[6].isoformat() in found.reason


def test_a_price_after_the_day_is_not_used() -> None:
    later = {DAYS[1]: 1.0, **dict.fromkeys(DAYS[2:], 1.0)}
    assert impermanent_loss_of(("A", "B"), {"A": FLAT, "B": later}, DAYS[0], DAYS[9]).loss is None


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="window"):
        impermanent_loss_of(("A", "B"), {"A": FLAT, "B": FLAT}, DAYS[1], DAYS[0])
    with pytest.raises(ValueError, match="pool"):
        impermanent_loss_of((), {}, DAYS[0], DAYS[1])


def test_rows_that_are_no_prices_are_left_out() -> None:
    rows = [
        {"date": "2025-01-01", "close": "1.0"}, {"date": "2025-01-02", "close": ""}, {"date": "x", "close": "1"},
        {"date": "2025-01-03", "close": "0"}, {"date": "2025-01-04", "close": "nan"}, {"close": "1"},
    ]  # fmt: skip
    assert read_prices(("USDC", "STETH"), lambda _: rows) == {"USDC": {dt.date(2025, 1, 1): 1.0}}
    assert read_prices(("USDC",), lambda _: None) == {}


def test_prices_are_read_from_the_days_that_may_stand_in_for_the_first() -> None:
    rows = [{"date": day.isoformat(), "close": "1.0"} for day in DAYS]
    read = read_prices(("USDC", "USDT"), lambda _: rows, first=DAYS[6])
    assert list(read["USDC"]) == DAYS[3:]
    whole = read_prices(("USDC", "USDT"), lambda _: rows)
    assert impermanent_loss_of(("USDC", "USDT"), read, DAYS[6], DAYS[9]) == impermanent_loss_of(
        ("USDC", "USDT"), whole, DAYS[6], DAYS[9]
    )


def test_the_recorded_depeg_of_march_2023_cost_a_usdc_usdt_pool(market_folder: Path) -> None:
    source = FolderSource(market_folder)
    last = dt.date(2023, 3, 31)
    tokens = ("ETH", "STETH", "USDC", "USDT", "WETH")
    prices = read_prices(tokens, lambda name: source.table("prices", name, last))
    assert prices.keys() == {"ETH", "USDC", "USDT", "WETH"}  # no market price of staked ether is recorded
    found = impermanent_loss_of(("USDC", "USDT"), prices, dt.date(2023, 3, 1), last)
    ratio = prices["USDC"][dt.date(2023, 3, 11)] / prices["USDT"][dt.date(2023, 3, 11)]
    assert found.worst == pytest.approx(constant_product_loss(ratio), rel=0.02)
    assert found.worst is not None
    assert found.loss is not None
    assert found.worst > 1e-5 > found.loss
    assert impermanent_loss_of(("ETH", "WETH"), prices, dt.date(2023, 3, 1), last).worst == 0.0
    assert impermanent_loss_of(("STETH", "WETH"), prices, dt.date(2023, 3, 1), last).loss is None


def test_every_table_is_recorded(market_folder: Path) -> None:
    prices = read_prices(
        list(PRICE_TABLES), lambda name: FolderSource(market_folder).table("prices", name, dt.date(2025, 2, 28))
    )
    assert prices.keys() == PRICE_TABLES.keys()
    assert all(prices.values())
