"""Derived values: the little interpreter knows arithmetic and nothing else."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.verify.formula import FormulaError, check_derived, evaluate
from tools.verify.report import Findings

POOLS = [{"w": 0.25, "p": "aave"}, {"w": 0.75, "p": "aave"}, {"w": 0.5, "p": "sky"}]


@pytest.mark.parametrize(
    ("formula", "inputs", "value"),
    [
        ("a", [7], 7),
        ("0.95", [], 0.95),
        ("a + b * 2 - -c", [1, 2, 3], 8),
        ("(a - b) * 10000", [0.05, 0.03], 200.0),
        ("a ** b", [2, 0.5], 2**0.5),
        ("len(a)", [POOLS], 3),
        ("len(a)", [{"x": 1, "y": 2}], 2),
        ("sum(a)", [{"x": 1, "y": 2}], 3),
        ("sum(pluck(a, 'w'))", [POOLS], 1.5),
        ("max(pluck(a, 'w'))", [POOLS], 0.75),
        ("min(a, b)", [3, 2], 2),
        ("abs(a - b)", [1, 3], 2),
        ("len(unique(pluck(a, 'p')))", [POOLS], 2),
        ("count(pluck(a, 'p'), 'aave')", [POOLS], 2),
        ("count(a, True)", [[True, False, 1]], 1),
        ("date(a)", ["2025-02-28T23:59:59Z"], "2025-02-28"),
        ("a", ["text"], "text"),
    ],
)
def test_arithmetic(formula: str, inputs: list[Any], value: Any) -> None:
    found = evaluate(formula, inputs)
    assert found == pytest.approx(value) if isinstance(value, float) else found == value


@pytest.mark.parametrize(
    ("formula", "inputs"),
    [
        ("", []),
        ("a", []),
        ("b", [1]),
        ("a +", [1]),
        ("__import__('os')", []),
        ("a.real", [1]),
        ("a[0]", [[1]]),
        ("[x for x in a]", [[1]]),
        ("lambda: 1", []),
        ("(a := 1)", [1]),
        ("a if a else a", [1]),
        ("a and a", [1]),
        ("f'{a}'", [1]),
        ("a < 1", [1]),
        ("a % 2", [5]),
        ("a // 2", [5]),
        ("a << 9", [5]),
        ("max(*a)", [[1]]),
        ("max(a, key=len)", [[1]]),
        ("open('x')", []),
        ("9 ** 9 ** 9 ** 9", []),
        ("(0 - 8) ** 0.5", []),
        ("a / b", [1, 0]),
        ("a + b", [1, None]),
        ("a + b", [True, 1]),
        ("a", [[1, 2]]),
        ("a", [None]),
        ("a", [True]),
        ("a", [float("inf")]),
        ("1j", []),
        ("True", []),
        ("sum(a)", [[1, None]]),
        ("max(a)", [[]]),
        ("pluck(a, 'x')", [POOLS]),
        ("pluck(a, a)", [POOLS]),
        ("unique(a)", [POOLS]),
        ("date(a)", ["today"]),
        ("len(a)", ["text"]),
        ("-" * 290 + "1" + "+" * 50, []),
        ("(" * 250 + "1", []),
        ("\0", []),
    ],
)
def test_everything_else_is_refused(formula: str, inputs: list[Any]) -> None:
    started = time.perf_counter()
    with pytest.raises(FormulaError):
        evaluate(formula, inputs)
    assert time.perf_counter() - started < 1.0


@settings(max_examples=200)
@given(st.text(alphabet="ab0123456789.+-*/()' ,lensumixcotpk", max_size=40))
def test_no_formula_raises_anything_else(formula: str) -> None:
    try:
        value = evaluate(formula, [[1, 2], 0.5])
    except FormulaError:
        return
    assert isinstance(value, (int, float, str))


def derived(**entries: dict[str, Any]) -> str:
    findings = Findings()
    check_derived({"x": 4, "y": 0.5, "rationale": {"n": 1}, "derived": entries}, findings)
    return "\n".join(difference.what for difference in findings.report().differences)


def entry(value: Any, formula: str = "a", inputs: tuple[str, ...] = ("/x",)) -> dict[str, Any]:
    return {"value": value, "formula": formula, "inputs": list(inputs)}


@pytest.mark.parametrize(
    "good", [entry(4), entry(4.0), entry(2.0, "a * b", ("/x", "/y")), entry(2.0 * (1 + 1e-10), "a * b", ("/x", "/y"))]
)
def test_a_right_value_passes(good: dict[str, Any]) -> None:
    assert derived(good=good) == ""


@pytest.mark.parametrize(
    "bad",
    [
        entry(5),
        entry(4.0000000001),  # counts are exact
        entry(2.0 * (1 + 1e-8), "a * b", ("/x", "/y")),
        entry("4"),
        entry(True, "1", ()),
        entry(None),
        entry(4, "a", ("/z",)),
        entry(1, "a", ("/rationale/n",)),
        entry(4, "a", ("/derived/bad/value",)),
        entry(4, "len(a)", ("/derived",)),
    ],
)
def test_a_wrong_value_is_named(bad: dict[str, Any]) -> None:
    assert derived(bad=bad) != ""


def test_derived_values_may_build_on_each_other_but_not_in_a_circle() -> None:
    assert derived(p=entry(4), q=entry(8, "2 * a", ("/derived/p/value",))) == ""
    circle = derived(p=entry(8, "a", ("/derived/q/value",)), q=entry(8, "a", ("/derived/p/value",)))
    assert circle.count("computed from itself") == 2
