"""Every figure that is not given has a reason, and the reason is the right one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tools.metrics import compute_metrics, missing_reasons
from tools.units import FloatArray

BENCHMARK = np.linspace(-0.01, 0.01, 90)
NOISE = np.random.default_rng(3).normal(0.0, 0.01, 90)
BEYOND = "the figure is beyond the range of floating-point numbers"
MORE_THAN_ALL = "a day loses more than everything"


def reasons(returns: FloatArray, benchmark: FloatArray = BENCHMARK, rate: float = 0.0) -> dict[str, str]:
    return missing_reasons(compute_metrics(returns[None], benchmark, rate), returns[None], benchmark)[0]


def test_a_full_series_lacks_nothing() -> None:
    assert reasons(NOISE) == {}


def test_steady_gains() -> None:
    assert reasons(np.full(90, 1e-4)) == {
        "sharpe": "the returns do not vary",
        "sortino": "no day below the risk-free rate",
        "calmar": "drawdown is zero",
        "skewness": "the returns do not vary",
        "kurtosis": "the returns do not vary",
        "omega": "no day below the risk-free rate",
    }


def test_short_window() -> None:
    few = reasons(NOISE[:20], BENCHMARK[:20])
    assert few == {"annual_return": "fewer than 30 days"} | dict.fromkeys(
        ["sharpe", "sortino", "calmar", "alpha", "beta"], "fewer than 60 days"
    )
    assert reasons(NOISE[:1], BENCHMARK[:1])["annual_volatility"] == "fewer than 2 days"


def test_few_distinct_returns() -> None:
    assert reasons(np.tile([0.01, -0.01], 45)) == {"sharpe": "fewer than 10 distinct returns"}


def test_flat_benchmark() -> None:
    assert reasons(NOISE, np.full(90, 1e-4)) == dict.fromkeys(["alpha", "beta"], "the benchmark does not vary")


def test_loss_of_more_than_everything() -> None:
    assert reasons(np.append(NOISE[:-1], -1.5)) == dict.fromkeys(
        ["annual_return", "max_drawdown", "calmar"], MORE_THAN_ALL
    )


def test_growth_beyond_floats() -> None:
    assert reasons(np.append(NOISE[:-9], [1e60] * 9)) == dict.fromkeys(["annual_return", "calmar"], BEYOND)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 70)), elements=st.floats(-1e100, 1e100)),
    st.floats(-0.5, 0.5),
)
def test_reasons_stand_exactly_where_figures_do_not(returns: FloatArray, rate: float) -> None:
    metrics = compute_metrics(returns, returns[-1], rate)
    for row, given_reasons in enumerate(missing_reasons(metrics, returns, returns[-1])):
        assert set(given_reasons) == {key for key, values in metrics.items() if np.isnan(values[row])}
        assert all(given_reasons.values())


def test_shapes_that_do_not_fit_are_refused() -> None:
    metrics = compute_metrics(NOISE[None], BENCHMARK)
    with pytest.raises(ValueError, match="benchmark has 89 days"):
        missing_reasons(metrics, NOISE[None], BENCHMARK[1:])
