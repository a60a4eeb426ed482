"""Laws of the reader: it never fails but with a MandateError, and what changes no meaning changes no mandate."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.errors import MandateError
from tools.question import check_mandate, read
from tools.records import Mandate

WORDS = """
250 1.5m $ € % , . ; ? ! ( ) - / 1/4 half a quarter two million 0 -5 1e6 1.500 25% per pool max min at least no only
without and or on in 3-5 between 6 months 95% VaR tvl apy ETH BTC USDC stETH Base Aave Curve Ethereum SOL not risk low
high safe growth blue chip what if compare explain guaranteed il impermanent loss drawdown lose more than each to of my
""".split()  # noqa: SIM905
AMOUNTS: list[tuple[str, dict[str, Any]]] = [
    ("250 ETH", {"asset": "ETH", "amount": 250.0}),
    ("750k USDC", {"asset": "USD", "amount": 750_000.0}),
    ("twenty bitcoin", {"asset": "BTC", "amount": 20.0}),
    ("$250k worth of ETH", {"asset": "ETH", "amount_usd": 250_000.0}),
    ("two and a half million dollars", {"asset": "USD", "amount": 2_500_000.0}),
]
WISHES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "risk": [("low risk", {"risk": "low"}), ("not too risky", {"risk": "low"}), ("aggressive", {"risk": "high"})],
    "horizon": [
        ("for 6 months", {"horizon_days": 180}),
        ("for a quarter", {"horizon_days": 90}),
        ("over a year", {"horizon_days": 365}),
    ],
    "chain": [("no Polygon", {"chains_exclude": ["Polygon"]}), ("only on Base", {"chains_include": ["Base"]})],
    "protocol": [
        ("without Curve", {"protocols_exclude": ["curve"]}),
        ("stick to Aave", {"protocols_include": ["aave"]}),
    ],
    "token": [("no USDe", {"tokens_exclude": ["USDE"]})],
    "cap": [("no more than 25% in one pool", {"max_weight": 0.25}), ("max 30 percent per pool", {"max_weight": 0.3})],
    "count": [("at least 3 pools", {"min_pools": 3}), ("between 4 and 5 pools", {"min_pools": 4, "max_pools": 5})],
    "tvl": [("TVL over $50m", {"min_tvl_usd": 5e7}), ("pools bigger than 100 million", {"min_tvl_usd": 1e8})],
    "apy": [("at least 5%", {"min_apy": 0.05}), ("yielding more than 6 percent", {"min_apy": 0.06})],
    "il": [("no impermanent loss", {"allow_il": False}), ("IL is fine", {"allow_il": True})],
    "loss": [("max drawdown 5%", {"max_drawdown": 0.05}), ("don't want to lose more than 10%", {"max_drawdown": 0.1})],
    "var": [("VaR below 2%", {"max_var_95": 0.02}), ("95% VaR under 1%", {"max_var_95": 0.01})],
}


def read_or_refuse(question: str) -> Mandate | str:
    try:
        return read(question).mandate
    except MandateError as error:
        return str(error)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    result = read_or_refuse(text)
    if isinstance(result, Mandate):
        check_mandate(result)
        assert Mandate.model_validate_json(result.model_dump_json()) == result
        assert all(note.isprintable() and len(note) <= 120 for note in result.notes)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40), st.sampled_from([" ", ", ", ""]))
def test_any_mix_of_known_words_is_read_or_refused(words: list[str], separator: str) -> None:
    result = read_or_refuse(separator.join(words))
    assert result == read_or_refuse(separator.join(words))


@pytest.mark.parametrize("unit", ["no ", "250 ETH ", "at least 5% ", "Aave and ", "1/2", "how would ", "half "])
def test_long_repetitions_end(unit: str) -> None:
    read_or_refuse((unit * 4_000)[:4_000])


@st.composite
def composed(draw: st.DrawFn) -> tuple[list[str], dict[str, Any]]:
    """Draw an amount and some wishes in any order, and the mandate that they mean together."""
    names = draw(st.lists(st.sampled_from(sorted(WISHES)), unique=True, max_size=5))
    parts = [draw(st.sampled_from(AMOUNTS)), *(draw(st.sampled_from(WISHES[name])) for name in names)]
    wanted: dict[str, Any] = {}
    for _, fields in parts:
        wanted |= fields
    return draw(st.permutations([text for text, _ in parts])), wanted


@settings(max_examples=150, deadline=None)
@given(composed(), st.sampled_from([", ", ". ", "; ", "\n", " - "]))
def test_wishes_keep_their_meaning_side_by_side_in_any_order(
    parts: tuple[list[str], dict[str, Any]], separator: str
) -> None:
    texts, wanted = parts
    reading = read(separator.join(texts))
    assert reading.mandate == Mandate(**wanted)
    assert reading.stated == frozenset(wanted)


@settings(max_examples=150, deadline=None)
@given(composed(), st.sampled_from([str.lower, str.upper, "Hello there. {}".format, "{}. Thank you!".format]))
def test_capitals_and_courtesy_change_nothing(parts: tuple[list[str], dict[str, Any]], change: Any) -> None:
    texts, wanted = parts
    assert read(change(", ".join(texts))).mandate == Mandate(**wanted)
