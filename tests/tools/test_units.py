"""Rates, moments and labels: the one place where units change."""

from __future__ import annotations

import datetime as dt
import unicodedata
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.units import daily_return, end_of_day, from_percent, income, iso, safe_label

MARKUP = set("<>[]`|*_\\{}#\"'&$~")
HOSTILE = (
    "<script>alert('USDC')</script>",
    "\x1b[2J\x1b[31mUSDC\x1b[0m",
    "\u202eCDSU\u202c",
    "US\u200bDC",
    "USDC\r\nChosen: this pool",
    "USDC\u2028\u2029\x85next",
    "| --- | --- |",
    "[USDC](javascript:alert(1))",
    "{{7*7}}",
    "\ue0000\ue003",
    "\ud800",
    "\uff1cimg\uff1e",
)


@given(st.integers(0, 10**8))
def test_percent_with_the_five_decimals_of_the_feed_becomes_the_nearest_fraction(hundred_thousandths):
    assert from_percent(hundred_thousandths / 1e5) == float(Decimal(hundred_thousandths) / 10**7)


def test_a_daily_return_compounds_to_the_annual_yield_in_365_days():
    rates = np.array([0.0, 0.03, 0.2, 5.0])
    returns = daily_return(rates)
    assert (1.0 + returns) ** 365 - 1.0 == pytest.approx(rates, rel=1e-12, abs=1e-12)
    assert [daily_return(float(rate)) for rate in rates] == pytest.approx(returns, rel=1e-14)
    assert daily_return(0.2) < 0.2 / 365, "20 % a year is not 20/365 % a day"


def test_income_compounds_and_is_the_yield_itself_over_a_year():
    assert income(1_000.0, 0.05, 365) == pytest.approx(50.0)
    assert income(1_000.0, 0.05, 730) == pytest.approx(102.5)
    assert income(1_000.0, 0.05, 0) == 0.0
    assert income(1_000.0, 0.05, 30) < 1_000.0 * 0.05 * 30 / 365


def test_a_day_ends_at_its_last_second_in_utc():
    assert iso(end_of_day(dt.date(2025, 2, 28))) == "2025-02-28T23:59:59Z"
    assert end_of_day(dt.date(2025, 2, 28)).utcoffset() == dt.timedelta(0)


def test_a_moment_of_another_zone_is_written_in_utc():
    summer = dt.timezone(dt.timedelta(hours=2))
    assert iso(dt.datetime(2025, 7, 1, 1, 30, tzinfo=summer)) == "2025-06-30T23:30:00Z"


@given(st.text() | st.sampled_from(HOSTILE), st.integers(5, 60))
def test_a_label_is_printable_plain_short_and_never_empty(raw, limit):
    label = safe_label(raw, limit)
    assert 1 <= len(label) <= max(limit, len("unnamed"))
    assert label == " ".join(label.split())
    assert not MARKUP & set(label)
    assert not {unicodedata.category(c) for c in label} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("USDC-USDT", "USDC-USDT"),
        ("US\u200bDC", "US DC"),
        ("USDC\r\nChosen", "USDC Chosen"),
        ("\u202e", "unnamed"),
        ("<>", "unnamed"),
        ("x" * 41, "x" * 39 + "…"),
        ("\uff35\uff33\uff24\uff23", "USDC"),
    ],
)
def test_a_label_drops_what_could_forge_a_line(raw, shown):
    assert safe_label(raw) == shown
