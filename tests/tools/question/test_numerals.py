"""Numbers as people write them."""

from __future__ import annotations

import pytest

from tools.question.numerals import numeral_at, parse_digits
from tools.question.quantities import quantity_at
from tools.question.text import clean, tokenize


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250", 250),
        ("1,250,000", 1_250_000),
        ("1.500.000", 1_500_000),
        ("1.250.000,50", 1_250_000.5),
        ("1,250,000.50", 1_250_000.5),
        ("12,50,000", 1_250_000),
        ("2,5 million", 2_500_000),
        ("0,125", 0.125),
        ("1'250'000", 1_250_000),
        ("1 250 000", 1_250_000),
        ("250 000", 250_000),
        ("750k", 750_000),
        ("1.5m", 1_500_000),
        ("1.5mm", 1_500_000),
        ("2.5 mio", 2_500_000),
        ("1.5 mln", 1_500_000),
        ("3 bn", 3e9),
        ("1e6", 1_000_000),
        (".75", 0.75),
        ("twenty", 20),
        ("twenty-five", 25),
        ("fifteen hundred", 1500),
        ("two hundred and fifty", 250),
        ("seven hundred fifty thousand", 750_000),
        ("a hundred", 100),
        ("a million and a half", 1_500_000),
        ("two and a half million", 2_500_000),
        ("half a million", 500_000),
        ("a quarter million", 250_000),
        ("three quarters of a million", 750_000),
        ("one million two hundred thousand", 1_200_000),
        ("one point five million", 1_500_000),
        ("3 hundred thousand", 300_000),
        ("a couple of hundred", 200),
        ("half a dozen", 6),
        ("1.250 million", 1_250_000),
        ("-5", -5),
        ("minus 5", -5),
    ],
)
def test_values(text: str, value: float) -> None:
    tokens = tokenize(clean(text), ())
    found = numeral_at(tokens, 0)
    assert found is not None
    assert (found.value, found.end, found.unclear) == (value, len(tokens), False)


@pytest.mark.parametrize("text", ["1.500", "250.000", "1,2,3", "9" * 400])
def test_unclear_digits_are_said_to_be_unclear(text: str) -> None:
    found = numeral_at(tokenize(text, ()), 0)
    assert found is not None
    assert found.unclear
    assert parse_digits("2,5") == (2.5, False)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("$1.5m", "usd", 1_500_000),
        ("US$ 2m", "usd", 2_000_000),
        ("usd 2m", "usd", 2_000_000),
        ("1.5m$", "usd", 1_500_000),
        ("900 bucks", "usd", 900),
        ("-$5", "usd", -5),
        ("5%", "pct", 0.05),
        ("5 per cent", "pct", 0.05),
        ("450 bps", "pct", 0.045),
        ("75 million sats", "num", 0.75),
        ("1/4", "share", 0.25),
        ("two thirds", "share", 2 / 3),
        ("6 months", "days", 180),
        ("12 months", "days", 365),
        ("18 months", "days", 540),
        ("half a year", "days", 180),
        ("90d", "days", 90),
        ("two years", "days", 730),
        ("four quarters", "days", 365),
        ("six (6) months", "days", 180),
        ("€5k", "unclear", 5_000),
        ("24 hours", "unclear", 24),
    ],
)
def test_units(text: str, kind: str, value: float) -> None:
    found = quantity_at(tokenize(clean(text), ()), 0)
    assert found is not None
    assert found.readings[kind] == pytest.approx(value, rel=1e-12)
