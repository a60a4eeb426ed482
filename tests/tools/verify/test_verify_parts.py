"""The parts of the checker beside the text, each against what it mirrors and never imports."""

from __future__ import annotations

import ast
import datetime as dt
import gzip
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from agents.state import Switch
from tools.market.quality import check_history
from tools.market.snapshot import History, Row
from tools.metrics import compute_metrics
from tools.records import METRIC_KEYS, Recommendation, Unit
from tools.verify import metrics, score, series, shape, strict_json
from tools.verify.report import Findings, printable
from tools.verify.score import normalised_ranks

PACKAGE = Path(metrics.__file__).parent


def test_the_checker_imports_nothing_but_the_standard_library_and_itself() -> None:
    for path in sorted(PACKAGE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                assert name.startswith("tools.verify") or name.split(".")[0] in sys.stdlib_module_names, (
                    path.name,
                    name,
                )


def test_nothing_else_of_the_program_is_loaded_with_it() -> None:
    code = """
import sys, tools.verify
ours = [name for name in sys.modules if name.startswith("tools.") and not name.startswith("tools.verify")]
print(ours + [name for name in ("numpy", "pydantic") if name in sys.modules])
"""
    root = PACKAGE.parent.parent
    assert (
        subprocess.run(
            [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


# --- shapes


def test_the_switches_are_in_step_with_the_program() -> None:
    assert set(shape.SWITCHES) == set(Switch)


def _compare(model: type[BaseModel], fields: shape.Fields, where: str) -> None:
    known = {**fields.fields, **fields.later}
    assert set(known) == set(model.model_fields), where
    for name, info in model.model_fields.items():
        inner, expected = _model(info.annotation), _fields(known[name])
        if inner is not None and expected is not None:
            _compare(inner, expected, f"{where}/{name}")


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model(part)) is not None), None)


def _fields(shaped: Any) -> shape.Fields | None:
    while isinstance(shaped, (shape.Listed, shape.Mapped, shape.Optional)):
        shaped = shaped.of
    return shaped if isinstance(shaped, shape.Fields) else None


def test_the_shape_is_in_step_with_the_records() -> None:
    _compare(Recommendation, shape.RECOMMENDATION, "")
    assert set(shape.METRICS) == set(METRIC_KEYS)
    assert set(shape.UNITS) == set(get_args(Unit))


# --- JSON


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        "NaN",
        "[Infinity]",
        "[-Infinity]",
        "1e400",
        "1" * 400,
        "0." + "1" * 400,
        "[1,]",
        "'a'",
        "",
        "1 2",
        "[" * 5000,
        "\ufeff1",
    ],
)
def test_ambiguous_json_is_refused(text: str) -> None:
    with pytest.raises(strict_json.NotStrictJsonError):
        strict_json.parse(text.encode())


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.floats(allow_nan=False, allow_infinity=False, width=32)
        | st.integers(-(10**9), 10**9)
        | st.text(),
        lambda v: st.lists(v) | st.dictionaries(st.text(), v),
        max_leaves=15,
    )
)
def test_strict_json_reads_what_json_writes_and_pointers_find_every_leaf(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", errors="replace")
    read = strict_json.parse(text)
    assert read == json.loads(text)

    def walk(part: Any, pointer: str) -> None:
        assert strict_json.resolve(read, pointer) is part
        for key, inner in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
            walk(inner, f"{pointer}/{strict_json.escape(str(key))}")

    walk(read, "")


def test_what_is_shown_of_a_file_is_safe_to_show() -> None:
    assert printable("a\x1b[31m\u202e\nb") == "a\\u001b[31m\\u202e\\u000ab"
    assert len(printable("x" * 10_000)) < 200
    assert printable([1, 2]) == "a list of 2"
    assert printable("\ud800").encode() == b"\\ud800"


# --- series, metrics, ranks


def test_series_of_the_recorded_market_are_those_of_the_quality_checks(market_folder: Path) -> None:
    """Two implementations of one rule, bit for bit, wherever a history passed."""
    compared = 0
    for path in sorted((market_folder / "charts").glob("*.json.gz")):
        chart = json.loads(gzip.decompress(path.read_bytes()))["data"]
        for day in (dt.date(2024, 10, 1), dt.date(2025, 2, 28), dt.date(2025, 9, 26)):
            history = check_history(Row(path.name, "p", "c", "s", 1.0, 0.01, None, None, None), chart, day)
            if isinstance(history, History):
                _compare_series(history, chart, day.toordinal())
                compared += 1
    assert compared > 100


def _compare_series(history: History, chart: list[dict[str, Any]], last: int) -> None:
    own = series.pool_series(chart, last)
    assert own is not None
    begin = last - series.LARGEST_WINDOW + 1
    assert own.window(max(own.first, begin), last) == history.apy.tolist()
    assert own.first == history.first.toordinal()
    assert len(own.missing(begin, last)) == history.gaps_filled
    assert sum(day >= begin for day in own.spikes) == history.spikes_dropped


def _rows(apys: list[Any]) -> list[dict[str, Any]]:
    start = dt.date(2025, 1, 1)
    return [{"timestamp": f"{start + dt.timedelta(days=n)}T23:00:00Z", "apy": apy} for n, apy in enumerate(apys)]


def _usable(apys: list[Any]) -> list[float | None]:
    first = dt.date(2025, 1, 1).toordinal()
    own = series.pool_series(_rows(apys), first + len(apys))
    assert own is not None
    return [own.usable.get(first + n) for n in range(len(apys))]


def test_a_spike_needs_ten_times_the_median_and_twenty_points() -> None:
    assert _usable([2.0] * 7 + [22.0])[-1] is None
    assert _usable([2.0] * 7 + [21.99])[-1] == pytest.approx(0.2199)  # not twenty points above
    assert _usable([3.0] * 7 + [29.9])[-1] == pytest.approx(0.299)  # not ten times
    assert _usable([3.0] * 7 + [30.0])[-1] is None
    assert _usable([2.0] * 6 + [500.0])[-1] == 5.0  # too few before it


def test_a_lasting_change_of_level_stops_counting_as_a_spike() -> None:
    usable = _usable([2.0] * 10 + [50.0] * 12)
    assert usable[10] is None
    assert usable[-1] == 0.5


@pytest.mark.parametrize("bad", [None, "5", True, -1.0, 1000.1, "NaN"])
def test_what_is_no_rate_is_a_missing_day(bad: Any) -> None:
    assert _usable([2.0, bad, 3.0]) == [0.02, None, 0.03]


def test_the_last_row_of_a_day_counts_even_when_it_is_no_rate() -> None:
    rows = _rows([2.0, 3.0])
    own = series.pool_series(
        [*rows, {**rows[1], "apy": 4.0}, {**rows[0], "apy": None}], dt.date(2025, 2, 1).toordinal()
    )
    assert own is not None
    assert list(own.usable.values()) == [0.04]


def _walk(days: int, level: float, noise: float, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    apy = np.abs(level + noise * np.cumsum(rng.standard_normal(days)) / 10)
    return ((1 + apy) ** (1 / 365) - 1).tolist()


@settings(max_examples=60, deadline=None)
@given(
    days=st.integers(60, 365),
    level=st.floats(0.0, 0.5),
    noise=st.floats(1e-4, 0.1),
    rate=st.floats(-0.01, 0.3),
    seed=st.integers(0, 999),
)
def test_metrics_agree_with_the_vectorised_ones(days: int, level: float, noise: float, rate: float, seed: int) -> None:
    returns, benchmark = _walk(days, level, noise, seed), _walk(days, 0.04, 0.01, seed + 1)
    theirs = compute_metrics(np.array([returns]), np.array(benchmark), rate)
    for name, own in metrics.estimates(returns, benchmark, rate).items():
        value = float(theirs[name][0])
        if math.isnan(value):
            assert own.may_be_null, name
        else:
            assert own.value is not None, name
            assert abs(value - own.value) <= own.absolute + own.relative * abs(own.value), name


def test_textbook_losses() -> None:
    returns = [-n / 1000 for n in range(1, 31)]  # thirty days, the worst loses 3 %
    assert metrics.historical_var(returns) == pytest.approx(0.029)
    assert metrics.conditional_value_at_risk(returns) == pytest.approx((0.030 + 0.5 * 0.029) / 1.5)
    assert metrics.max_drawdown([-0.1, 0.2, -0.5]) == pytest.approx(0.5)
    assert metrics.max_drawdown([-0.1]) == pytest.approx(0.1)  # the start is a peak too


def test_a_constant_series_may_have_no_ratios() -> None:
    found = metrics.estimates([1e-4] * 100, [1e-4] * 100, 0.0)
    assert all(
        found[name].may_be_null
        for name in ("sharpe", "sortino", "calmar", "alpha", "beta", "skewness", "kurtosis", "omega")
    )
    assert not found["annual_return"].may_be_null


@pytest.mark.parametrize(
    ("values", "ranks"),
    [
        ([5.0], [0.5]),
        ([1.0, 1.0, 1.0], [0.5, 0.5, 0.5]),
        ([3.0, 1.0, 2.0], [1.0, 0.0, 0.5]),
        ([1.0, 2.0, 2.0, 3.0], [0.0, 0.5, 0.5, 1.0]),
        ([1.0, 1.0 + 1e-13, 2.0], [0.25, 0.25, 1.0]),
        ([], []),
    ],
)
def test_ranks(values: list[float], ranks: list[float]) -> None:
    assert normalised_ranks(values) == pytest.approx(ranks)


@pytest.mark.parametrize(
    ("part", "weight", "raw", "parts"),
    [
        ("apy", 0.7, [0.04, 0.06, None], [0.0, 0.7, 0.0]),
        ("beta", 0.05, [0.9, 1.05, 3.0], [0.025, 0.05, 0.0]),  # nearest to one is best, from either side
        ("volatility", -0.1, [0.01, 0.02, None], [0.0, -0.1, -0.1]),
        ("sharpe", 0.15, [None, 7.0, None], [0.0, 0.075, 0.0]),
    ],
)
def test_parts_of_a_score(part: str, weight: float, raw: list[float | None], parts: list[float]) -> None:
    candidates = [{"score": {"raw": {part: value}}} for value in raw]
    assert score._part(part, weight, candidates) == pytest.approx(parts)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_ranks_keep_the_order_and_their_sum(values: list[float]) -> None:
    ranks = normalised_ranks(values)
    assert sum(ranks) == pytest.approx(len(values) / 2)
    for left, right in zip(values, ranks, strict=True):
        for other, rank in zip(values, ranks, strict=True):
            assert left >= other or right <= rank


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda v: (
            st.lists(v, max_size=3) | st.dictionaries(st.sampled_from([*shape.RECOMMENDATION.fields]), v, max_size=6)
        ),
        max_leaves=20,
    )
)
def test_no_shape_raises(value: Any) -> None:
    shape.RECOMMENDATION(value, "", Findings())
