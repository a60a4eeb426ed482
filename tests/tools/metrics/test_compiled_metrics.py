"""The compiled sums against numpy's: the loops as plain Python everywhere, and compiled where numba is installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tools.metrics import RETURN_METRICS, compiled, compute_metrics, returns
from tools.metrics.compiled import PLAIN, compiled_sums, is_available
from tools.metrics.sums import numpy_sums
from tools.units import FloatArray

RATE = 0.03
needs_numba = pytest.mark.skipif(not is_available(), reason='numba is not installed: pip install "plimsoll[fast]"')


def sample(strategies: int, days: int, seed: int = 5) -> tuple[FloatArray, FloatArray]:
    random = np.random.default_rng(seed)
    return random.normal(5e-4, 0.01, (strategies, days)), random.normal(5e-4, 0.01, days)


def special(days: int) -> FloatArray:
    """Rows that defeat a cut at so many standard deviations below the mean, and rows without some figures."""
    rising = np.arange(days) * 1e-5
    outlier = np.where(np.arange(days) == days // 2, -0.9, 1e-4 + rising)
    two_valued = np.where(np.arange(days) % 2, 0.01, -0.01)
    ruined = np.where(np.arange(days) == 3, -1.5, rising)
    constant = [np.full(days, value) for value in (-1.0, -0.1, -0.01, 0.0, 0.01, 0.03, 0.07)]  # a mean may round below
    huge = np.where(np.arange(days) == 1, 1e200, rising)  # its square is no float
    return np.array([rising, -rising, outlier, -outlier, two_valued, ruined, huge, *constant])


def assert_equal_to_numpy(rows: FloatArray, benchmark: FloatArray) -> None:
    """To 1e-10, relative or absolute: the sums are taken in another order. The tail and drawdown to the last bit."""
    expected = compute_metrics(rows, benchmark, RATE, "numpy")
    actual = compute_metrics(rows, benchmark, RATE, "compiled")
    for key in RETURN_METRICS:
        np.testing.assert_allclose(actual[key], expected[key], rtol=1e-10, atol=1e-10, err_msg=key)
    for key in ("var_95", "cvar_95", "max_drawdown"):
        np.testing.assert_array_equal(actual[key], expected[key], err_msg=key)


@pytest.fixture
def _plain_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_compiled", lambda: PLAIN)


@pytest.mark.usefixtures("_plain_loops")
@pytest.mark.parametrize(("strategies", "days"), [(1, 1), (1, 20), (7, 60), (9, 73), (17, 120)])
def test_loops_equal_numpy(strategies: int, days: int) -> None:
    assert_equal_to_numpy(*sample(strategies, days))


@pytest.mark.usefixtures("_plain_loops")
@pytest.mark.parametrize("days", [1, 19, 60, 100])
def test_loops_equal_numpy_on_rows_that_defeat_the_cut(days: int) -> None:
    assert_equal_to_numpy(special(days), sample(1, days)[1])


@pytest.mark.usefixtures("_plain_loops")
@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(0, 10), st.integers(1, 65)), elements=st.floats(-1.0, 1.0, width=16)))
def test_loops_take_the_lowest_returns_whatever_the_row(rows: FloatArray) -> None:
    deviations = np.linspace(-1.0, 1.0, rows.shape[1])
    expected, actual = numpy_sums(rows, deviations, 0.0), compiled_sums(rows, deviations, 0.0)
    for key in ("worst", "var", "cvar", "drawdown"):
        np.testing.assert_array_equal(getattr(actual, key), getattr(expected, key), err_msg=key)


@needs_numba
@pytest.mark.parametrize(("strategies", "days"), [(1, 1), (3, 60), (500, 365), (100, 1095), (2, 40_000)])
def test_compiled_equals_numpy(strategies: int, days: int) -> None:
    assert_equal_to_numpy(*sample(strategies, days))


@needs_numba
@pytest.mark.parametrize("days", [1, 19, 60, 100, 365])
def test_compiled_equals_numpy_on_rows_that_defeat_the_cut(days: int) -> None:
    assert_equal_to_numpy(special(days), sample(1, days)[1])


@needs_numba
def test_a_compiled_row_does_not_depend_on_those_beside_it() -> None:
    rows, benchmark = sample(301, 365)
    order = np.random.default_rng(2).permutation(301)
    whole = compute_metrics(rows, benchmark, RATE, "compiled")
    shuffled = compute_metrics(rows[order], benchmark, RATE, "compiled")
    alone = compute_metrics(rows[:1], benchmark, RATE, "compiled")
    for key in RETURN_METRICS:
        np.testing.assert_array_equal(shuffled[key], whole[key][order], err_msg=key)
        np.testing.assert_array_equal(alone[key], whole[key][:1], err_msg=key)


@needs_numba
def test_compiled_takes_rows_that_cannot_be_written() -> None:
    rows, benchmark = sample(3, 90)
    rows.flags.writeable = benchmark.flags.writeable = False
    assert_equal_to_numpy(rows, benchmark)


@needs_numba
def test_compiled_without_a_place_to_keep_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    njit = numba.njit

    def without_cache(cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", without_cache)
    kernels = compiled._compiled.__wrapped__()
    np.testing.assert_array_equal(
        compiled_sums(*sample(3, 60), 0.0, kernels).drawdown, numpy_sums(*sample(3, 60), 0.0).drawdown
    )


def test_size_and_numba_alone_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    large, small = np.zeros((1000, 1000)), np.zeros((999, 1000))
    for installed, expected in ((True, compiled_sums), (False, numpy_sums)):
        monkeypatch.setattr(returns, "is_available", lambda installed=installed: installed)
        assert returns._sums("auto", large) is expected
        assert returns._sums("auto", small) is numpy_sums
        assert returns._sums("compiled", small) is compiled_sums
        assert returns._sums("numpy", large) is numpy_sums


def test_compiled_without_numba_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr(compiled, "_compiled", compiled._compiled.__wrapped__)
    with pytest.raises(ModuleNotFoundError, match="numba"):
        compute_metrics(*sample(1, 90), RATE, "compiled")
