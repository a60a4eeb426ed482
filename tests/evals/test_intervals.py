"""Intervals hold what they say, and are the same on every run."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evals.comparison import compare
from evals.intervals import bootstrap, mean, median, p95
from evals.records import SCHEMA_VERSION, CaseResult, Score, Spent, SuiteResult
from tools.errors import UsageError

VALUES = np.random.Generator(np.random.PCG64(1)).normal(3.0, 2.0, 200)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    found = bootstrap(VALUES)
    error = VALUES.std() / math.sqrt(VALUES.size)
    assert found.value == pytest.approx(VALUES.mean())
    assert found.high - found.value == pytest.approx(1.96 * error, rel=0.1)
    assert found.value - found.low == pytest.approx(1.96 * error, rel=0.1)
    assert bootstrap(VALUES) == found


def test_other_statistics_and_small_samples() -> None:
    assert bootstrap(VALUES, median).value == pytest.approx(np.median(VALUES))
    assert bootstrap(VALUES, p95).value == pytest.approx(np.quantile(VALUES, 0.95))
    assert bootstrap(np.array([4.0])) == (4.0, 4.0, 4.0)
    assert bootstrap(np.full(9, 2.0), mean) == (2.0, 2.0, 2.0)
    low, high = bootstrap(np.array([0.0, 1.0]))[1:]
    assert (low, high) == (0.0, 1.0)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf], [[1.0]]])
def test_what_is_no_row_of_numbers_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        bootstrap(np.array(values))


def result(suite: str, cases: dict[str, tuple[float | None, bool | None]], sha: str = "a") -> SuiteResult:
    return SuiteResult(
        schema_version=SCHEMA_VERSION,
        suite=suite,
        words="",
        subject="policy",
        fast=False,
        cases=[
            CaseResult(
                suite=suite, case=name, case_sha256=sha, program_sha256="p", subject="policy", tags=[],
                scores={"s": Score(value=value, passed=passed, explanation="")}, error=None, spent=Spent(),
                seconds=0.0, details={},
            )
            for name, (value, passed) in cases.items()
        ],
    )  # fmt: skip


def test_a_comparison_pairs_cases_and_names_what_got_worse() -> None:
    before = result("t", {"a": (1.0, True), "b": (2.0, True), "c": (3.0, False), "d": (0.0, False), "x": (1.0, True)})
    after = result("t", {"a": (1.5, True), "b": (2.5, False), "c": (3.5, True), "d": (0.5, False), "y": (9.0, False)})
    found = compare(after, before)
    assert found.differences == {"s": ((0.5, 0.5, 0.5), 4)}
    assert found.regressions == ("b",)
    assert found.repaired == ("c",)
    assert found.unpaired == ("x", "y")


def test_what_changed_or_has_no_value_is_not_compared() -> None:
    before = result("t", {"a": (1.0, True)})
    assert compare(result("t", {"a": (1.0, False)}, sha="b"), before).unpaired == ("a",)
    assert compare(result("t", {"a": (None, True)}), before).differences == {}
    with pytest.raises(UsageError, match="the suite 't', not of 'u'"):
        compare(result("u", {}), before)
