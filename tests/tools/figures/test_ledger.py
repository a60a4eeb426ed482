"""The ledger: slots, where they land, what follows from what, and comparisons that hold."""

from __future__ import annotations

import math

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.figures import Ledger, UntrueClaim

RECORD = {
    "mandate": {"asset": "USD", "amount": 250_000.0},
    "market": {"pools_total": 172, "excluded": {"token_not_allowed": 109, "short_history": 8}, "price_usd": None},
    "candidates": [
        {"id": "growth.equal", "profile": "growth", "passed": True, "apy": 0.0621},
        {"id": "growth.min_cvar", "profile": "growth", "passed": False, "apy": 0.058},
        {"id": "high_risk.equal", "profile": "high_risk", "passed": False, "apy": 0.31},
    ],
    "odd": {"a/b": 1.0, "m~n": 2.0, "": 3.0, "~1": 4.0, " ": 5.0, "0": 6.0},
    "name": "Uniswap v3 🦄 3pool",
    "as_of": "2025-02-28T23:59:59Z",
}


@pytest.fixture
def ledger():
    return Ledger(RECORD)


# Pointers


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/mandate/asset", "USD"),
        ("/candidates/0/apy", 0.0621),
        ("/candidates/2/id", "high_risk.equal"),
        ("/odd/a~1b", 1.0),
        ("/odd/m~0n", 2.0),
        ("/odd/", 3.0),
        ("/odd/~01", 4.0),
        ("/odd/ ", 5.0),
        ("/odd/0", 6.0),
        ("/market/price_usd", None),
        ("", RECORD),
    ],
)
def test_pointers_are_read_as_rfc_6901_says(ledger, pointer, value):
    assert ledger.value(pointer) == value


@pytest.mark.parametrize(
    "pointer",
    [
        "/nothing", "/mandate/nothing", "/candidates/3", "/candidates/-1", "/candidates/00", "/candidates/+1",
        "/candidates/1_0", "/candidates/٠", "/candidates/ 0", "/candidates/-", "/candidates/first",
        "/candidates/0/id/0", "/odd/a/b", "/mandate/amount/0", "mandate/asset", "mandate", "#/mandate/asset",
        "/derived/nothing", "/derived/nothing/value", "/market/price_usd/x",
    ],
)  # fmt: skip
def test_a_pointer_to_nothing_raises(ledger, pointer):
    with pytest.raises(KeyError):
        ledger.value(pointer)


# Figures


def test_figures_stand_where_they_say_with_the_value_that_they_show(ledger):
    text = (
        f"Of {ledger.figure('/market/pools_total', 'count')} pools, {ledger.figure('/candidates/0/apy', 'percent', 2)}."
    )
    bound = ledger.bind(text)
    assert bound.markdown == "Of 172 pools, 6.21%."
    assert [(f.text, f.start, f.end, f.pointer, f.unit) for f in bound.figures] == [
        ("172", 3, 6, "/market/pools_total", "count"),
        ("6.21%", 14, 19, "/candidates/0/apy", "percent"),
    ]


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Co", "Cs"]) | st.just("🦄"), max_size=12)


@given(TEXTS, TEXTS, TEXTS, st.integers(0, 3))
def test_offsets_count_code_points_also_beyond_the_basic_plane(before, between, after, digits):
    ledger = Ledger(RECORD)
    marked = (
        f"𝒙🦄{before}{ledger.figure('/name', 'name')}{between}"
        f"{ledger.claim(between + 'more', '/candidates/2/apy', '>', '/candidates/0/apy')}"
        f"{ledger.figure('/candidates/0/apy', 'percent', digits)}{after}"
    )
    bound = ledger.bind(marked)
    assert len(bound.figures) == 2
    for figure in bound.figures:
        assert bound.markdown[figure.start : figure.end] == figure.text
    (claim,) = bound.claims
    assert bound.markdown[claim.start : claim.end] == between + "more"
    assert bound.markdown.startswith("𝒙🦄" + before + "Uniswap v3 🦄 3pool")
    assert bound.markdown.endswith(after)
    assert not set(bound.markdown) & set("\ue000\ue001\ue002\ue003")


def test_figures_land_in_the_order_of_the_text_and_can_be_used_twice(ledger):
    first, second = ledger.figure("/market/pools_total", "count"), ledger.figure("/candidates/1/apy", "percent", 1)
    bound = ledger.bind(f"{second} {first} {second}")
    assert bound.markdown == "5.8% 172 5.8%"
    assert [figure.start for figure in bound.figures] == [0, 5, 9]


def test_a_figure_that_is_not_placed_is_no_figure_of_the_text(ledger):
    ledger.figure("/market/pools_total", "count")
    assert ledger.bind("nothing").figures == []


def test_a_null_figure_is_refused(ledger):
    with pytest.raises(KeyError, match="null"):
        ledger.figure("/market/price_usd", "usd")


def test_a_figure_that_does_not_fit_its_unit_is_refused(ledger):
    for pointer, unit in (("/name", "count"), ("/candidates/0/apy", "count"), ("/mandate/amount", "name")):
        with pytest.raises(ValueError, match=r"no number|no whole number|is text"):
            ledger.figure(pointer, unit)


def test_a_name_that_looks_like_a_mark_or_a_template_stays_text():
    ledger = Ledger({"name": "\ue0000\ue003 {{7*7}}", "n": 5})
    bound = ledger.bind(f"{ledger.figure('/n', 'count')} {ledger.figure('/name', 'name')}")
    assert bound.markdown == "5 \ue0000\ue003 {{7*7}}"
    assert len(bound.figures) == 2


# Derived figures


@pytest.mark.parametrize(
    ("formula", "inputs", "value"),
    [
        ("a - b", ("/candidates/0/apy", "/candidates/1/apy"), 0.0621 - 0.058),
        ("(a - b) * 10000", ("/candidates/0/apy", "/candidates/1/apy"), (0.0621 - 0.058) * 10000),
        ("a / b", ("/candidates/2/apy", "/candidates/0/apy"), 0.31 / 0.0621),
        ("-a + 2 * b", ("/candidates/0/apy", "/mandate/amount"), -0.0621 + 500_000.0),
        (
            "a * ((1 + b) ** (30 / 365) - 1)",
            ("/mandate/amount", "/candidates/0/apy"),
            250_000 * (1.0621 ** (30 / 365) - 1),
        ),
        ("len(a)", ("/candidates",), 3),
        ("sum(a)", ("/market/excluded",), 117),
        ("len(unique(pluck(a, 'profile')))", ("/candidates",), 2),
        ("count(pluck(a, 'passed'), True)", ("/candidates",), 1),
        ("max(pluck(a, 'apy'))", ("/candidates",), 0.31),
        ("min(pluck(a, 'apy'))", ("/candidates",), 0.058),
        ("abs(b - a)", ("/candidates/2/apy", "/candidates/0/apy"), 0.31 - 0.0621),
        ("date(a)", ("/as_of",), "2025-02-28"),
        ("0", (), 0),
    ],
)
def test_derived_figures_are_computed_and_kept_with_their_formula(ledger, formula, inputs, value):
    pointer = ledger.derive("it", formula, *inputs)
    assert pointer == "/derived/it/value"
    assert ledger.value(pointer) == (value if isinstance(value, str) else pytest.approx(value, rel=1e-15))
    assert (ledger.derived["it"].formula, ledger.derived["it"].inputs) == (formula, list(inputs))
    assert ledger.value("/derived/it/formula") == formula
    assert ledger.value("/derived/it/inputs") == list(inputs)


def test_derived_figures_can_be_derived_from_and_shown(ledger):
    gap = ledger.derive("gap", "a - b", "/candidates/0/apy", "/candidates/1/apy")
    bps = ledger.derive("gap_bps", "a * 10000", gap)
    bound = ledger.bind(f"{ledger.figure(bps, 'bps')} bps")
    assert bound.markdown == "41 bps"
    assert bound.figures[0].pointer == "/derived/gap_bps/value"


def test_a_name_means_one_thing_only(ledger):
    ledger.derive("it", "a", "/candidates/0/apy")
    assert ledger.derive("it", "a", "/candidates/0/apy") == "/derived/it/value"
    for formula, pointer in (("a", "/candidates/1/apy"), ("a + 0", "/candidates/0/apy")):
        with pytest.raises(ValueError, match="already"):
            ledger.derive("it", formula, pointer)
    assert ledger.value("/derived/it/value") == 0.0621


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os')", "a.real", "a[0]", "lambda: 1", "[1, 2]", "a if a else 1", "open('x')", "a < 1", "not a",
        "f'{a}'", "{}", "print(a)", "a @ a", "a and a", "eval('1')", "len(a=1)", "(1).bit_length()",
    ],
)  # fmt: skip
def test_formulas_hold_arithmetic_and_the_known_functions_only(ledger, formula):
    with pytest.raises((ValueError, KeyError, TypeError)):
        ledger.derive("it", formula, "/candidates/0/apy")
    assert "it" not in ledger.derived


@pytest.mark.parametrize("formula", ["a / 0", "a - b", "10 ** 400 * a", "unique(a)", "1e308 * 10"])
def test_a_derived_figure_that_is_none_is_refused(ledger, formula):
    with pytest.raises((ValueError, TypeError, KeyError, ArithmeticError)):
        ledger.derive("it", formula, "/candidates/0/apy", "/market/price_usd")
    assert "it" not in ledger.derived


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_derived_figures_are_finite(a, b):
    ledger = Ledger({"a": a, "b": b})
    value = ledger.value(ledger.derive("it", "a * b - a + b", "/a", "/b"))
    assert math.isfinite(value)
    assert value == a * b - a + b


# Claims


@pytest.mark.parametrize(
    ("op", "holds"), [("<", True), ("<=", True), (">", False), (">=", False), ("==", False), ("!=", True)]
)
def test_a_comparison_is_written_only_if_it_is_true(ledger, op, holds):
    left, right = "/candidates/1/apy", "/candidates/0/apy"
    assert ledger.holds(left, op, right) is holds
    if holds:
        bound = ledger.bind(f"It pays {ledger.claim('less than', left, op, right)} that.")
        (claim,) = bound.claims
        assert (claim.start, claim.end, claim.left, claim.op, claim.right) == (8, 17, left, op, right)
        assert bound.markdown == "It pays less than that."
    else:
        with pytest.raises(UntrueClaim, match="less than"):
            ledger.claim("less than", left, op, right)


def test_a_figure_inside_a_claim_is_bound_too(ledger):
    inner = ledger.figure("/candidates/2/apy", "percent")
    bound = ledger.bind(ledger.claim(f"more ({inner}) than", "/candidates/2/apy", ">", "/candidates/0/apy"))
    assert bound.markdown == "more (31%) than"
    assert (bound.figures[0].start, bound.claims[0].start, bound.claims[0].end) == (6, 0, 15)


def test_a_claim_about_nothing_raises(ledger):
    with pytest.raises(KeyError):
        ledger.claim("more than", "/nothing", ">", "/candidates/0/apy")
    with pytest.raises(TypeError):
        ledger.claim("more than", "/market/price_usd", ">", "/candidates/0/apy")


# Templates


def test_a_template_with_a_missing_variable_raises(ledger):
    from agents.prompts import environment

    template = environment().from_string("VaR {{ f.figure('/candidates/0/apy', 'percent') }} and {{ missing }}")
    with pytest.raises(jinja2.UndefinedError, match="missing"):
        template.render(f=ledger)
    with pytest.raises(jinja2.UndefinedError):
        environment().from_string("{{ f.nothing() }}").render(f=ledger)
    with pytest.raises(KeyError):
        environment().from_string("{{ f.figure('/nothing', 'count') }}").render(f=ledger)


def test_data_are_never_templates(ledger):
    from agents.prompts import environment

    text = environment().from_string("{{ name }}").render(name="{{7*7}}")
    assert ledger.bind(text).markdown == "{{7*7}}"


def test_the_record_itself_is_not_changed(ledger):
    before = {**RECORD}
    ledger.derive("it", "a", "/candidates/0/apy")
    ledger.bind(ledger.figure("/candidates/0/apy", "percent"))
    assert before == RECORD
    assert "derived" not in RECORD
