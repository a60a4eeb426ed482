"""The thirteen metrics: golden values, naive loops, a library where it is installed, laws and what is undefined."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tools.metrics import RETURN_METRICS, compute_metrics
from tools.records import METRIC_KEYS
from tools.units import FloatArray

RATE = 0.03
SHORT = [
    (1, {"annual_return", "annual_volatility", "skewness", "kurtosis", "sharpe", "sortino", "calmar", "alpha", "beta"}),
    (29, {"annual_return", "sharpe", "sortino", "calmar", "alpha", "beta"}),
    (30, {"sharpe", "sortino", "calmar", "alpha", "beta"}),
    (59, {"sharpe", "sortino", "calmar", "alpha", "beta"}),
    (60, set()),
]


def sample(strategies: int, days: int, seed: int = 7, scale: float = 0.01) -> tuple[FloatArray, FloatArray]:
    random = np.random.default_rng(seed)
    return random.normal(scale / 20, scale, (strategies, days)), random.normal(scale / 20, scale, days)


def single(returns: Any, benchmark: Any = None, rate: float = 0.0) -> dict[str, float]:
    row = np.asarray(returns, dtype=float)
    reference = np.linspace(-0.01, 0.01, row.size) if benchmark is None else benchmark
    return {key: float(values[0]) for key, values in compute_metrics(row[None], reference, rate).items()}


def naive(returns: list[float], benchmark: list[float], rate: float) -> dict[str, float]:
    """Every definition as a loop over Python floats, written from the formulas; shares nothing with the code tested."""
    days = len(returns)
    theta = (1 + rate) ** (1 / 365) - 1
    mean, mean_b = sum(returns) / days, sum(benchmark) / days
    moment = [sum((r - mean) ** power for r in returns) / days for power in range(5)]
    std = (moment[2] * days / (days - 1)) ** 0.5
    wealth, peak, drawdown = 1.0, 1.0, 0.0
    for r in returns:
        wealth *= 1 + r
        peak = max(peak, wealth)
        drawdown = max(drawdown, 1 - wealth / peak)
    losses = sorted((-r for r in returns), reverse=True)
    whole, part = divmod(days, 20)  # 5 % of the days: whole days and twentieths of one
    tail = sum(losses[:whole]) + (part / 20 * losses[whole] if part else 0.0)
    gains, shortfalls = sum(max(r - theta, 0) for r in returns), sum(max(theta - r, 0) for r in returns)
    covariance = sum((r - mean) * (b - mean_b) for r, b in zip(returns, benchmark, strict=True))
    beta = covariance / sum((b - mean_b) ** 2 for b in benchmark)
    annual = wealth ** (365 / days) - 1
    return {
        "annual_return": annual,
        "annual_volatility": std * 365**0.5,
        "sharpe": (mean - theta) / std * 365**0.5,
        "sortino": (mean - theta) / (sum(min(r - theta, 0) ** 2 for r in returns) / days) ** 0.5 * 365**0.5,
        "max_drawdown": drawdown,
        "var_95": losses[whole],
        "cvar_95": tail / (days / 20),
        "calmar": annual / drawdown,
        "alpha": ((mean - theta) - beta * (mean_b - theta)) * 365,
        "beta": beta,
        "skewness": moment[3] / moment[2] ** 1.5,
        "kurtosis": moment[4] / moment[2] ** 2 - 3,
        "omega": gains / shortfalls,
    }


def test_keys_are_the_first_thirteen_of_the_record() -> None:
    assert METRIC_KEYS[:13] == RETURN_METRICS
    assert tuple(compute_metrics(*sample(2, 70))) == RETURN_METRICS


def test_ten_percent_apy_compounds_to_ten_percent() -> None:
    metrics = single(np.full(365, 1.1 ** (1 / 365) - 1))
    assert metrics["annual_return"] == pytest.approx(0.1, abs=1e-12)
    assert metrics["annual_volatility"] == pytest.approx(0.0, abs=1e-12)
    assert metrics["max_drawdown"] == 0.0
    assert metrics["var_95"] == metrics["cvar_95"] == -(1.1 ** (1 / 365) - 1)


def test_two_gains_to_one_loss() -> None:
    """Forty days of +1 % and twenty of −1 %: Ω = 2, TDD = 1 %·√(1/3), population moments of a coin with p = 2/3."""
    metrics = single([0.01, 0.01, -0.01] * 20)
    assert metrics["omega"] == pytest.approx(2.0, abs=1e-12)
    assert metrics["sortino"] == pytest.approx((365 / 3) ** 0.5, rel=1e-12)
    assert metrics["skewness"] == pytest.approx(-(0.5**0.5), rel=1e-12)
    assert metrics["kurtosis"] == pytest.approx(-1.5, rel=1e-12)
    assert metrics["annual_volatility"] == pytest.approx(0.02 * (2 / 9 * 60 / 59 * 365) ** 0.5, rel=1e-12)


def test_loss_on_the_first_day_is_a_drawdown() -> None:
    assert single([-0.2, 0.1, 0.1])["max_drawdown"] == pytest.approx(0.2, abs=1e-15)
    assert single([0.1, -0.2, 0.05, -0.1, 0.5])["max_drawdown"] == pytest.approx(1 - 0.8 * 1.05 * 0.9, abs=1e-15)


@pytest.mark.parametrize(
    ("days", "var", "cvar"), [(100, 95.0, 98.0), (30, 29.0, (30 + 0.5 * 29) / 1.5), (20, 19.0, 20.0), (1, 1.0, 1.0)]
)
def test_tail_of_one_to_n_permille_losses(days: int, var: float, cvar: float) -> None:
    """Losses 1 … T ‰: VaR is L_(⌈0.95 T⌉), CVaR the mean of the worst 0.05 T days, the last counted in part."""
    metrics = single(-np.random.default_rng(1).permutation(np.arange(1.0, days + 1)) / 1000)
    assert metrics["var_95"] * 1000 == pytest.approx(var, rel=1e-12)
    assert metrics["cvar_95"] * 1000 == pytest.approx(cvar, rel=1e-12)


def test_twice_the_benchmark_plus_a_constant() -> None:
    benchmark = sample(1, 90)[1]
    metrics = single(2 * benchmark + 1e-4, benchmark, RATE)
    theta = (1 + RATE) ** (1 / 365) - 1
    assert metrics["beta"] == pytest.approx(2.0, rel=1e-12)
    assert metrics["alpha"] == pytest.approx(365 * (1e-4 + theta), rel=1e-9)


def test_the_benchmark_has_beta_one_and_alpha_zero() -> None:
    benchmark = sample(1, 365)[1]
    metrics = single(benchmark, benchmark, RATE)
    assert metrics["beta"] == pytest.approx(1.0, rel=1e-14)
    assert metrics["alpha"] == pytest.approx(0.0, abs=1e-14)


@pytest.mark.parametrize(("scale", "tolerance"), [(0.01, 1e-10), (1e-6, 1e-8)])
@pytest.mark.parametrize("days", [60, 73, 100, 365])
def test_equal_to_loops_over_the_formulas(days: int, scale: float, tolerance: float) -> None:
    """Relative. The stable book loses digits: 1 + r rounds an r of 1e-6 to 1e-10 of it, in loop and code."""
    returns, benchmark = sample(20, days, scale=scale)
    metrics = compute_metrics(returns, benchmark, RATE)
    for row, series in enumerate(returns):
        expected = naive(series.tolist(), benchmark.tolist(), RATE)
        actual = {key: metrics[key][row] for key in RETURN_METRICS}
        assert actual == pytest.approx(expected, rel=tolerance, abs=1e-13)


def test_equal_to_empyrical_where_the_definitions_coincide() -> None:
    empyrical = pytest.importorskip("empyrical", reason="empyrical is not installed: make parity runs this test")
    returns, benchmark = sample(10, 365)
    theta = (1 + RATE) ** (1 / 365) - 1
    metrics = compute_metrics(returns, benchmark, RATE)
    for row, series in enumerate(returns):
        theirs = {
            "annual_return": empyrical.annual_return(series, annualization=365),
            "annual_volatility": empyrical.annual_volatility(series, annualization=365),
            "sharpe": empyrical.sharpe_ratio(series, theta, annualization=365),
            "sortino": empyrical.sortino_ratio(series, theta, annualization=365),
            "max_drawdown": -empyrical.max_drawdown(series),
            "calmar": empyrical.calmar_ratio(series, annualization=365),
            "beta": empyrical.beta_aligned(series, benchmark, theta),
            "omega": empyrical.omega_ratio(series, required_return=RATE, annualization=365),
            # empyrical compounds its alpha: (1 + a)^365 − 1
            "alpha": ((1 + empyrical.alpha_aligned(series, benchmark, theta, annualization=365)) ** (1 / 365) - 1)
            * 365,
        }
        assert {key: metrics[key][row] for key in theirs} == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize(("days", "missing"), SHORT)
def test_short_windows_leave_figures_out(days: int, missing: set[str]) -> None:
    metrics = single(np.where(np.arange(days) % 2, 0.01, -0.02) + np.arange(days) * 1e-6)
    assert {key for key, value in metrics.items() if np.isnan(value)} == missing


def test_constant_returns_have_no_ratios() -> None:
    metrics = single(np.full(90, 1e-4))
    missing = {"sharpe", "sortino", "calmar", "skewness", "kurtosis", "omega"}
    assert {key for key, value in metrics.items() if np.isnan(value)} == missing
    assert metrics["beta"] == pytest.approx(0.0, abs=1e-12)


def test_nine_distinct_returns_have_no_sharpe_ten_have() -> None:
    few = np.where(np.arange(60) < 40, 0.01, np.arange(60) % 8 * -0.001)
    enough = np.where(np.arange(60) < 40, 0.01, np.arange(60) % 9 * -0.001)
    assert (np.unique(few).size, np.unique(enough).size) == (9, 10)
    assert np.isnan(single(few)["sharpe"])
    assert np.isfinite(single(enough)["sharpe"])


@pytest.mark.parametrize("residue", [0.0, 1e-13])
def test_flat_benchmark_gives_no_alpha_and_no_beta(residue: float) -> None:
    returns = sample(1, 90)[0][0]
    metrics = single(returns, 1e-4 + residue * np.sin(np.arange(90)))
    assert np.isnan([metrics["alpha"], metrics["beta"]]).all()


def test_rounding_below_the_threshold_is_no_loss() -> None:
    """A pool that pays exactly the risk-free rate, computed another way: off by the last digit of (1 + r)^(1/365)."""
    theta = (1 + RATE) ** (1 / 365) - 1
    metrics = single(theta - 1e-17 * np.arange(90), rate=RATE)
    assert np.isnan([metrics["sortino"], metrics["omega"]]).all()


def test_all_days_lose() -> None:
    metrics = single(np.full(365, -0.001) - np.arange(365) * 1e-7)
    assert metrics["omega"] == 0.0
    assert metrics["sortino"] < 0.0
    assert metrics["max_drawdown"] == pytest.approx(-metrics["annual_return"], abs=1e-12)


def test_a_day_that_loses_everything_and_one_that_loses_more() -> None:
    returns, benchmark = sample(3, 90)
    returns[0, 5], returns[1, 5:7] = -1.0, -1.5  # two losses of 150 % multiply to a gain
    metrics = compute_metrics(returns, benchmark)
    assert metrics["annual_return"][0] == -1.0
    assert metrics["max_drawdown"][0] == 1.0
    assert np.isnan([metrics[key][1] for key in ("annual_return", "max_drawdown", "calmar")]).all()
    assert np.isfinite([metrics[key][2] for key in RETURN_METRICS]).all()


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 5), st.integers(1, 70)),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_any_finite_input_gives_finite_figures_or_nan(returns: FloatArray) -> None:
    for values in compute_metrics(returns, returns[0]).values():
        assert values.shape == (returns.shape[0],)
        assert not np.isinf(values).any()
        assert not (np.signbit(values) & (values == 0.0)).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_input_is_refused_by_place(bad: float) -> None:
    returns, benchmark = sample(4, 90)
    hole = returns.copy()
    hole[2, 17] = bad
    with pytest.raises(ValueError, match=r"returns\[2, 17\]"):
        compute_metrics(hole, benchmark)
    benchmark[3] = bad
    with pytest.raises(ValueError, match=r"benchmark\[3\]"):
        compute_metrics(returns, benchmark)


@pytest.mark.parametrize(
    ("returns", "benchmark"),
    [((90,), (90,)), ((2, 90), (89,)), ((2, 90), (1, 90)), ((2, 0), (0,)), ((1, 2, 90), (90,))],
)
def test_wrong_shapes_are_refused(returns: tuple[int, ...], benchmark: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"returns|benchmark"):
        compute_metrics(np.zeros(returns), np.zeros(benchmark))


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_impossible_risk_free_rates_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="risk_free_rate"):
        compute_metrics(*sample(1, 90), rate)


def test_no_strategy_gives_empty_arrays() -> None:
    assert all(values.shape == (0,) for values in compute_metrics(np.zeros((0, 90)), np.arange(90.0)).values())


def test_input_is_neither_changed_nor_needed_in_c_order() -> None:
    returns, benchmark = sample(300, 90)
    kept = returns.copy()
    returns.flags.writeable = benchmark.flags.writeable = False
    expected = compute_metrics(returns, benchmark)
    assert (returns == kept).all()
    for other in (np.asfortranarray(returns), returns.tolist()):
        assert_same(compute_metrics(other, benchmark), expected)


def assert_same(left: dict[str, FloatArray], right: dict[str, FloatArray]) -> None:
    for key in RETURN_METRICS:
        np.testing.assert_array_equal(left[key], right[key], err_msg=key)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400), st.integers(60, 400), st.integers(0, 2**32 - 1))
def test_a_strategy_does_not_depend_on_those_beside_it(strategies: int, days: int, seed: int) -> None:
    """To the last bit: neither on their order, nor on their number, nor on duplicates."""
    returns, benchmark = sample(strategies, days, seed)
    order = np.random.default_rng(seed).permutation(strategies)
    whole = compute_metrics(returns, benchmark, RATE)
    assert_same(compute_metrics(returns[order], benchmark, RATE), {key: values[order] for key, values in whole.items()})
    twice = np.repeat(returns[:1], 2, axis=0)
    assert_same(compute_metrics(twice, benchmark, RATE), {key: values[[0, 0]] for key, values in whole.items()})


@settings(max_examples=30, deadline=None)
@given(st.integers(60, 200), st.floats(0.01, 5.0), st.floats(-0.002, 0.002), st.integers(0, 2**32 - 1))
def test_laws_of_scale_and_shift(days: int, factor: float, shift: float, seed: int) -> None:
    """Losses are positively homogeneous and translation-equivariant (Artzner et al. 1999)."""
    returns, benchmark = sample(1, days, seed)
    base, scaled, shifted = (
        single(series, benchmark) for series in (returns[0], factor * returns[0], returns[0] + shift)
    )
    for key in ("annual_volatility", "var_95", "cvar_95", "beta", "alpha"):
        assert scaled[key] == pytest.approx(factor * base[key], rel=1e-9, abs=1e-12)
    for key in ("sharpe", "sortino", "skewness", "kurtosis", "omega"):
        assert scaled[key] == pytest.approx(base[key], rel=1e-9, abs=1e-9)
    for key in ("var_95", "cvar_95"):
        assert shifted[key] == pytest.approx(base[key] - shift, abs=1e-12)
    for key in ("annual_volatility", "beta", "skewness", "kurtosis"):
        assert shifted[key] == pytest.approx(base[key], rel=1e-9, abs=1e-9)
    assert shifted["alpha"] == pytest.approx(base["alpha"] + 365 * shift, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 130)), elements=st.floats(-1.0, 2.0)))
def test_laws_between_the_figures(returns: FloatArray) -> None:
    metrics = compute_metrics(returns, returns[0], RATE)
    theta = (1 + RATE) ** (1 / 365) - 1
    assert (metrics["cvar_95"] >= metrics["var_95"]).all()
    assert (metrics["cvar_95"] <= -returns.min(axis=1) + 1e-12).all()
    assert ((metrics["max_drawdown"] >= 0.0) & (metrics["max_drawdown"] <= 1.0)).all()
    shortfall = np.maximum(theta - returns, 0.0).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        omega = 1.0 + (returns.mean(axis=1) - theta) / shortfall
    assert np.allclose(metrics["omega"][shortfall > 1e-9], omega[shortfall > 1e-9], rtol=1e-9, atol=1e-9)


def test_importing_the_metrics_imports_numpy_alone() -> None:
    code = """
import sys
before = set(sys.modules)
import tools.metrics
print(*{name.split(".")[0] for name in set(sys.modules) - before})
"""
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert {name for name in loaded - sys.stdlib_module_names if not name.startswith("_")} == {"numpy", "tools"}
