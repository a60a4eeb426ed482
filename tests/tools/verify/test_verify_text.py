"""The text: how figures are read, and what counts as a number or a comparison outside them."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.verify import COMPARISON_WORDS, NUMBER_WORDS, check_text
from tools.verify.shown import fault

# --- one figure


GOOD = [
    ("4.12%", "percent", "0.04123"),
    ("4.12 %", "percent", "0.04123"),
    ("-0.5%", "percent", "-0.005"),
    ("−0.5%", "percent", "-0.005"),
    ("+0.5%", "percent", "0.005"),
    ("25%", "percent", "0.25"),
    ("1,250%", "percent", "12.5"),
    ("0.00%", "percent", "0.00001"),
    ("0.00%", "percent", "-0.00001"),
    ("18", "bps", "18.3"),
    ("-18", "bps", "-18.3"),
    ("18 bps", "bps", "17.6"),
    ("0.83", "percentage_points", "0.0083"),
    ("$500,000", "usd", "499999.6"),
    ("$1.37bn", "usd", "1373000000"),
    ("$2m", "usd", "1500000"),
    ("$2m", "usd", "2500000"),
    ("$1.5 million", "usd", "1549999"),
    ("-$5.20", "usd", "-5.2"),
    ("500,000", "usd", "500000"),
    ("62.5", "eth", "62.5"),
    ("1,250", "eth", "1250.4"),
    ("1.2k ETH", "eth", "1234"),
    ("0.015", "btc", "0.015"),
    ("1.66", "ratio", "1.661"),
    ("2.5x", "ratio", "2.5"),
    ("4", "count", "4"),
    ("4", "count", "4.0"),
    ("18,882", "count", "18882"),
    ("four", "count", "4"),
    ("twenty-one", "days", "21"),
    ("268", "days", "268"),
    ("365 days", "days", "365"),
    # half to even at the last digit shown, on the number as JSON writes it
    ("2.12%", "percent", "0.02125"),
    ("2.14%", "percent", "0.02135"),
    ("0", "bps", "0.5"),
    ("2", "bps", "1.5"),
    ("2", "bps", "2.5"),
    ("1.00", "ratio", "1.005"),
    ("1.01", "ratio", "1.0050000000000001"),
]
BAD = [
    ("4.13%", "percent", "0.04123"),
    ("4.1%", "percent", "0.0415"),
    ("4.12", "percent", "0.04123"),  # a percentage without its sign
    ("4.12%", "percent", "4.12"),  # a fraction taken for percent
    ("0.0412%", "percent", "0.0412"),
    ("4.12%", "percent", "-0.0412"),  # a sign dropped
    ("-0.00%", "percent", "-0.00001"),
    ("-0", "count", "0"),
    ("+0.00", "ratio", "0"),
    ("2.13%", "percent", "0.02125"),
    ("1.01", "ratio", "1.005"),
    ("$500", "usd", "500000"),
    ("$1.37m", "usd", "1373000000"),
    ("$1.37M", "usd", "1370000"),
    ("$1.37b", "usd", "1370000000"),
    ("$1,37", "usd", "137"),
    ("$13,70", "usd", "1370"),
    ("$0,500", "usd", "500"),
    ("$1,2345", "usd", "12345"),
    ("1e3", "ratio", "1000"),
    ("04.12%", "percent", "0.0412"),
    (".5%", "percent", "0.005"),
    ("5.%", "percent", "0.05"),
    ("~5%", "percent", "0.05"),
    ("about 5%", "percent", "0.05"),
    ("5 %%", "percent", "0.05"),
    ("٥%", "percent", "0.05"),  # digits of another script
    ("4", "count", "4.5"),
    ("4", "count", "3.6"),
    ("5", "count", "4"),
    ("five", "count", "4"),
    ("twenty-eleven", "count", "31"),
    ("twenty-zero", "count", "20"),
    ("four", "ratio", "4"),
    ("4", "name", "4"),
    ("", "count", "4"),
    ("9" * 200, "count", "9"),
]


@pytest.mark.parametrize(("text", "unit", "value"), GOOD)
def test_a_right_figure_is_accepted(text: str, unit: str, value: str) -> None:
    assert fault(text, unit, Decimal(value)) is None


@pytest.mark.parametrize(("text", "unit", "value"), BAD)
def test_a_wrong_figure_is_refused(text: str, unit: str, value: str) -> None:
    assert fault(text, unit, Decimal(value)) is not None


@pytest.mark.parametrize(
    ("text", "unit", "value", "right"),
    [
        ("2025-02-28", "date", "2025-02-28", True),
        ("2025-02-28", "date", "2025-02-28T23:59:59Z", True),
        ("2025-02-27", "date", "2025-02-28T23:59:59Z", False),
        ("2025-02", "date", "2025-02-28", False),
        ("2025-02-28", "date", Decimal(5), False),
        ("Uniswap v3", "name", "Uniswap v3", True),
        ("Uniswap v2", "name", "Uniswap v3", False),
        ("true", "name", True, False),
        ("1", "count", True, False),
        ("0", "count", None, False),
        ("0", "count", "0", False),
    ],
)
def test_dates_names_and_values_of_other_kinds(text: str, unit: str, value: Any, right: bool) -> None:
    assert (fault(text, unit, value) is None) is right


finite = st.decimals(min_value=Decimal("-1e15"), max_value=Decimal("1e15"), allow_nan=False, places=9)


@given(value=finite, digits=st.integers(0, 6), wrong=st.integers(1, 9))
def test_exactly_the_rounded_text_is_right(value: Decimal, digits: int, wrong: int) -> None:
    step = Decimal(1).scaleb(-digits)
    rounded = (value * 100).quantize(step, rounding=ROUND_HALF_EVEN)
    text = f"{abs(rounded) if rounded == 0 else rounded:,}%"
    assert fault(text, "percent", value) is None
    off = rounded + wrong * step
    assert fault(f"{abs(off) if off == 0 else off:,}%", "percent", value) is not None


@given(value=finite, power=st.sampled_from([(3, "k"), (6, "m"), (9, "bn"), (6, " million")]), digits=st.integers(0, 3))
def test_multiples_are_rounded_at_their_last_digit(value: Decimal, power: tuple[int, str], digits: int) -> None:
    rounded = value.scaleb(-power[0]).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)
    text = f"{'-' if rounded < 0 else ''}${abs(rounded):,}{power[1]}"
    assert fault(text, "usd", value) is None


@given(text=st.text(max_size=30), unit=st.sampled_from(["percent", "usd", "count", "days", "date", "name", "bps"]))
def test_no_text_raises(text: str, unit: str) -> None:
    fault(text, unit, Decimal("1.5"))
    fault(text, unit, "text")


# --- whole texts

RECORD: dict[str, Any] = {
    "mandate": {"asset": "ETH", "notes": ["Uniswap v3 one best 95%"]},
    "a": 0.05,
    "b": 0.03,
    "n": 4,
    "days": 30,
    "tvl_usd": 2e6,
    "amount": 12.5,
    "gap_bps": 18.0,
    "as_of": "2025-02-28T23:59:59Z",
    "a/b~c": 7,
    "candidates": [{"pools": [{"pool_id": "x", "apy": 0.05, "name": "X"}, {"pool_id": "y", "apy": 0.03, "name": "Y"}]}],
}
UNITS = {
    "n": "count",
    "days": "days",
    "a": "percent",
    "b": "percent",
    "tvl_usd": "usd",
    "amount": "eth",
    "gap_bps": "bps",
    "name": "name",
    "as_of": "date",
}
SHOWN = {
    "n": "4",
    "days": "30",
    "a": "5%",
    "b": "3%",
    "tvl_usd": "$2m",
    "amount": "12.5",
    "gap_bps": "18",
    "name": RECORD["mandate"]["notes"][0],
    "as_of": "2025-02-28",
}


def faults(template: str, **changes: Any) -> list[str]:
    """Check a text: ``{key}`` is a figure of the record, ``[words|left op right]`` a claim."""
    markdown, figures, claims = "", [], []
    rest = template
    while rest:
        head, brace, tail = rest.partition("{")
        before, bracket, claimed = head.partition("[")
        if bracket:
            words, _, rest = claimed.partition("|") if "|" in claimed else (claimed, "", "")
            relation, _, after = rest.partition("]")
            left, op, right = relation.split()
            markdown += before
            claims.append(
                {
                    "start": len(markdown),
                    "end": len(markdown) + len(words),
                    "left": f"/{left}",
                    "op": op,
                    "right": f"/{right}",
                }
            )
            markdown += words
            rest = after + brace + tail
            continue
        markdown += head
        if not brace:
            break
        key, _, rest = tail.partition("}")
        text = SHOWN[key]
        figures.append(
            {
                "text": text,
                "start": len(markdown),
                "end": len(markdown) + len(text),
                "pointer": "/mandate/notes/0" if key == "name" else f"/{key}",
                "unit": UNITS[key],
            }
        )
        markdown += text
    rationale = {"markdown": markdown, "figures": figures, "claims": claims, **changes}
    return [difference.what for difference in check_text({**RECORD, "rationale": rationale})]


CLEAN = [
    "Hold {n} pools at {a} over {days} days since {as_of}.",
    "The name {name} may hold anything.",
    "Expect {amount} ETH, {gap_bps} basis points; a {days}-day mean ({a}).",
    "1. alpha\n2. beta\n   1. gamma\n3. delta\n",
    "Both hold a single pair for a few seconds, most recently.",
    "It pays [more than|a > b] the other: {a} against {b}.",
    "It pays [no less than|a >= b] the other, and [at least|a >= b] that.",
    "The other pays [at most|b <= a] this, [not more than|b <= a] this.",
    "[The highest|a == a] of all is {a}.",
    "A pool [over|tvl_usd > n] {tvl_usd}, and over the horizon of {days} days.",
    "> quoted {a}\n",
    "**{a}** a year, _{b}_ before.",
    "From {a} to {b}; {a}–{b}.",
    "It ran over {days} days.",
]
DIRTY = [
    ("Hold 4 pools.", "number '4'"),
    ("Aave v3 pays.", "number '3'"),
    ("See https://example.org/page7", "number '7'"),
    ("Half of it.", "number in words 'half'"),
    ("Twenty-one pools.", "number in words 'twenty'"),
    ("One pool, once.", "number in words 'one'"),
    ("The second pool.", "number in words 'second'"),
    ("A t**w**o of it; tw**en**ty.", "number in words 'twenty'"),
    ("Ｔｗｏ pools", "number in words 'two'"),
    ("½ of it", "number '½'"),
    ("x² and Ⅳ", "number 'Ⅳ'"),
    ("٤ pools", "number '٤'"),
    ("&#52; pools", "number '52'"),
    ("&half; of it", "markup that could hide"),
    ("tw<b>ent</b>y", "markup that could hide"),
    ("<!-- hidden -->", "markup that could hide"),
    ("zero\u200bwidth", "invisible character, U+200B"),
    ("right\u202eleft", "invisible character, U+202E"),
    ("2. not the beginning", "number '2'"),
    ("1. a\n3. c", "number '3'"),
    ("2025. was a year", "number '2025'"),
    ("It pays more.", "comparison 'more'"),
    ("The best of them.", "comparison 'best'"),
    ("Higher than that", "comparison 'than'"),
    ("It holds over {tvl_usd}.", "comparison 'over'"),
    ("It holds ≥ {tvl_usd}.", "comparison '≥'"),
    ("A yield > {a}", "comparison '>'"),
    ("About {a} a year", "makes the figure after it a guess"),
    ("It pays [more than|b > a] the other", "does not hold"),
    ("It pays [less than|a > b] the other", "says the opposite"),
    ("It pays [no more than|a >= b] that", "says the opposite"),
    ("It pays [at most|a >= b] that", "says the opposite"),
    ("It pays [more\nthan|a > b] that", "within one line"),
    ("It pays [more than |a > b] that", "beside its words"),
    ("It pays m[ore than|a > b] that", "beside its words"),
    ("It pays [more than|a > as_of] that", "which is no number"),
    ("It pays [more than|a > nothing] that", "finds no 'nothing'"),
    ("minus -{a}", "continues what stands before"),
    ("a loss of −**{a}**", "continues what stands before"),
    ("a loss of (–{a})", "continues what stands before"),
    ("${n}", "continues what stands before"),
    ("{n}{n}", "continues what stands before"),
    ("{n},{n}", "continues what stands before"),
    ("{n}%", "is followed by '%'"),
    ("{n} %", "is followed by '%'"),
    ("**{n}** percent", "is followed by 'percent'"),
    ("{a} percentage points", "is followed by 'percentage'"),
    ("{n} bps", "is followed by 'bps'"),
    ("{tvl_usd} bn", "is followed by 'bn'"),
    ("{n}k", "is continued by"),
    ("{n} million", "number in words 'million'"),
]


@pytest.mark.parametrize("template", CLEAN)
def test_a_clean_text_passes(template: str) -> None:
    assert faults(template) == []


@pytest.mark.parametrize(("template", "expected"), DIRTY)
def test_a_dirty_text_is_named(template: str, expected: str) -> None:
    assert any(expected in what for what in faults(template)), faults(template)


@pytest.mark.parametrize("word", sorted(NUMBER_WORDS))
def test_every_number_word_needs_a_figure(word: str) -> None:
    assert any("number in words" in what for what in faults(f"It is {word.capitalize()} here."))


@pytest.mark.parametrize("word", sorted(COMPARISON_WORDS))
def test_every_comparing_word_needs_a_claim(word: str) -> None:
    assert any(f"comparison '{word}'" in what for what in faults(f"It is {word.upper()} here."))


def figure(**changes: Any) -> list[str]:
    entry = {"text": "5%", "start": 3, "end": 5, "pointer": "/a", "unit": "percent", **changes}
    return faults("", markdown="At 5% now", figures=[entry])


def test_the_hand_made_figure_is_right() -> None:
    assert figure() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"start": 2, "end": 4}, "is not what stands there"),
        ({"text": "6%"}, "is not what stands there"),
        ({"end": 500}, "lies outside the text"),
        ({"start": 5, "end": 5}, "lies outside the text"),
        ({"pointer": "/c"}, "finds no 'c'"),
        ({"pointer": "a"}, "does not begin with /"),
        ({"pointer": "/a/0"}, "goes on to"),
        ({"pointer": "/candidates/01"}, "finds no entry"),
        ({"pointer": "/candidates/-"}, "finds no entry"),
        ({"pointer": "/a~2"}, "neither ~0 nor ~1"),
        ({"pointer": "/rationale/figures/0/start"}, "is in the text itself"),
        ({"pointer": "/b"}, "shows 0.05, but the value is 0.03"),
        ({"unit": "ratio"}, "is not how a figure in ratio is written"),
        ({"unit": "furlong"}, "belongs to no figure"),
        ({"start": True}, "belongs to no figure"),
    ],
)
def test_a_figure_that_does_not_resolve_is_named(changes: dict[str, Any], expected: str) -> None:
    assert any(expected in what for what in figure(**changes)), figure(**changes)


def test_pointers_are_unescaped() -> None:
    entry = {"text": "7", "start": 0, "end": 1, "pointer": "/a~1b~0c", "unit": "count"}
    assert faults("", markdown="7 pools", figures=[entry]) == []


def test_figures_do_not_overlap() -> None:
    entry = {"text": "5%", "start": 3, "end": 5, "pointer": "/a", "unit": "percent"}
    assert any("overlaps" in what for what in faults("", markdown="At 5% now", figures=[entry, entry]))


def test_a_field_is_not_shown_in_another_unit() -> None:
    for text, pointer, unit in [
        ("$12.5", "/amount", "usd"),
        ("0.05", "/candidates/0/pools/0/apy", "ratio"),
        ("2,000,000", "/tvl_usd", "ratio"),
    ]:
        entry = {"text": text, "start": 0, "end": len(text), "pointer": pointer, "unit": unit}
        assert any("in the unit" in what for what in faults("", markdown=text, figures=[entry]))


def test_a_row_of_a_table_is_about_one_pool() -> None:
    def row(pointer: str, text: str) -> list[str]:
        markdown = f"| X | {text} |\n"
        name = {"text": "X", "start": 2, "end": 3, "pointer": "/candidates/0/pools/0/name", "unit": "name"}
        apy = {"text": text, "start": 6, "end": 8, "pointer": pointer, "unit": "percent"}
        return faults("", markdown=markdown, figures=[name, apy])

    assert row("/candidates/0/pools/0/apy", "5%") == []
    assert any("in the same row" in what for what in row("/candidates/0/pools/1/apy", "3%"))


@settings(max_examples=200)
@given(st.text(max_size=80))
def test_no_prose_raises_and_no_digit_passes(text: str) -> None:
    found = faults("", markdown=f"a {text}", figures=[])
    if any(character.isdigit() for character in text):
        # a list is the one exception, and the text does not begin a line
        assert found or "\n" in text


KEYS = ["text", "start", "end", "pointer", "unit", "left", "op", "right"]


@settings(max_examples=100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
        max_leaves=20,
    )
)
def test_no_record_raises(anything: Any) -> None:
    check_text({"rationale": {"markdown": "5% 4", "figures": anything, "claims": anything}, "a": anything})
    check_text({"rationale": anything})
    check_text({"rationale": {"markdown": anything}})
