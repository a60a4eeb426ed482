"""How values are shown: half to even at the last digit, in their unit, or not at all."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.figures import show
from tools.verify.shown import fault

FINITE = st.floats(allow_nan=False, allow_infinity=False)
EVERYDAY = st.one_of(
    st.floats(-1e12, 1e12),
    st.integers(-(10**7), 10**7).map(lambda n: n / 1e4),
    st.integers(-2_000, 2_000).map(lambda n: n / 2_000),
)
WIDE = Context(prec=500, rounding=ROUND_HALF_EVEN)
POWERS = {"percent": 2, "percentage_points": 2}
NUMBERS = ("percent", "bps", "percentage_points", "usd", "eth", "btc", "ratio")


def read(text):
    """The number that a shown text says."""
    plain = text.replace(",", "").replace("$", "").rstrip("%")
    for suffix, power in (("bn", 9), ("m", 6)):
        if plain.endswith(suffix):
            return Decimal(plain.removesuffix(suffix)).scaleb(power)
    return Decimal(plain)


@given(st.one_of(EVERYDAY, FINITE), st.sampled_from(NUMBERS), st.integers(0, 6))
def test_a_value_is_rounded_half_to_even_at_its_last_digit(value, unit, digits):
    exact = Decimal(repr(value)).scaleb(POWERS.get(unit, 0), WIDE)
    expected = exact.quantize(Decimal(1).scaleb(-digits), context=WIDE)
    assert read(show(value, unit, digits)) == expected


@given(st.one_of(EVERYDAY, FINITE), st.sampled_from(NUMBERS), st.integers(0, 6), st.booleans())
def test_the_independent_checker_reads_back_every_figure(value, unit, digits, short):
    if abs(value) < 1e60:  # beyond that the checker refuses the length of the text
        text = show(value, unit, digits, short=short)
        assert fault(text, unit, Decimal(repr(value))) is None, text


@pytest.mark.parametrize(
    ("value", "unit", "digits", "text"),
    [
        (0.12345, "percent", 2, "12.34%"),
        (0.12355, "percent", 2, "12.36%"),
        (0.125, "percent", 0, "12%"),
        (0.135, "percent", 0, "14%"),
        (0.145, "percent", 0, "14%"),
        (0.285, "percent", 0, "28%"),
        (1.005, "percent", 1, "100.5%"),
        (0.5, "ratio", 0, "0"),
        (1.5, "ratio", 0, "2"),
        (2.5, "ratio", 0, "2"),
        (2.675, "ratio", 2, "2.68"),
        (1.005, "ratio", 2, "1.00"),
        (-0.5, "ratio", 0, "0"),
        (-2.5, "bps", 0, "-2"),
        (1234.5, "usd", 0, "$1,234"),
        (1235.5, "usd", 0, "$1,236"),
        (0.005, "usd", 2, "$0.00"),
        (0.015, "usd", 2, "$0.02"),
        (0.0123, "percentage_points", 1, "1.2"),
        (1e-7, "percent", 2, "0.00%"),
        (1e22, "ratio", 1, "10,000,000,000,000,000,000,000.0"),
    ],
)
def test_halves_go_to_the_even_digit(value, unit, digits, text):
    assert show(value, unit, digits) == text


@pytest.mark.parametrize("unit", NUMBERS)
@pytest.mark.parametrize("value", [-0.0, -1e-9, 0.0, 1e-9])
def test_nothing_has_no_sign(unit, value):
    assert not show(value, unit, 2).startswith("-")
    assert "-" not in show(value, unit, 0, short=True)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (999_999.4, 0, "$999,999"),
        (1_000_000.0, 0, "$1.0m"),
        (1_250_000.0, 0, "$1.2m"),
        (1_350_000.0, 0, "$1.4m"),
        (12_345_678.0, 2, "$12.35m"),
        (1e9, 0, "$1.0bn"),
        (2.25e9, 0, "$2.2bn"),
        (-3.3e6, 0, "-$3.3m"),
        (-3.3e9, 0, "-$3.3bn"),
        (-12.5, 0, "-$12"),
        (-0.4, 0, "$0"),
        (5e13, 0, "$50,000.0bn"),
    ],
)
def test_money_is_short_from_a_million_on(value, digits, text):
    assert show(value, "usd", digits, short=True) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (100.0, "100"),
        (0.5, "0.5"),
        (1234.5, "1,234.5"),
        (0.00004, "0"),
        (0.00006, "0.0001"),
        (1000.0, "1,000"),
        (-2.5, "-2.5"),
    ],
)
def test_coins_lose_their_trailing_zeros_and_no_others(value, text):
    assert show(value, "eth", 4) == text
    assert show(value, "btc", 4) == text


@pytest.mark.parametrize("unit", ["count", "days"])
def test_counts_are_whole(unit):
    assert show(12_345, unit) == show(12_345.0, unit) == "12,345"
    assert show(-3, unit) == "-3"
    for wrong in (1.5, 0.1, -2.0000001):
        with pytest.raises(ValueError, match="whole"):
            show(wrong, unit)


@pytest.mark.parametrize("unit", [*NUMBERS, "count", "days"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "5", "NaN"])
def test_what_is_no_number_is_not_shown_as_one(unit, value):
    with pytest.raises(ValueError, match="no number"):
        show(value, unit)


def test_numbers_of_the_numeric_core_are_numbers():
    assert show(np.float64(0.25), "percent", 1) == "25.0%"
    assert show(np.float64(3.0), "count") == "3"


@pytest.mark.parametrize(("value", "text"), [("2025-02-28", "2025-02-28"), ("2025-02-28T23:59:59Z", "2025-02-28")])
def test_a_date_is_its_day(value, text):
    assert show(value, "date") == text


@pytest.mark.parametrize("value", ["", "soon", "2025-02", "2025-02-30", 20250228, 5.0, None])
def test_what_is_no_date_is_not_shown_as_one(value):
    with pytest.raises(ValueError):
        show(value, "date")


def test_a_name_is_shown_as_it_is():
    assert show("Uniswap v3 3pool 🦄", "name") == "Uniswap v3 3pool 🦄"
    with pytest.raises(ValueError, match="name"):
        show(5, "name")
