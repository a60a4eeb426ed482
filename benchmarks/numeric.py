"""The metrics against a sort of the same matrix, near the limit of any tail measure, and against three libraries; the
simulation of paths against the normal numbers it needs.

The libraries run in the environment of ``make peers``; without them their cases are skipped.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

from benchmarks.measure import Case, Measured, Unavailable, interleaved

STRATEGIES = 10_000
PATHS, DAYS = 100_000, 365
RATE = 0.02
DAY = (1 + RATE) ** (1 / 365) - 1


def _returns(days: int) -> tuple[Any, Any]:
    import numpy as np

    random = np.random.default_rng(20_250_228)
    return random.normal(5e-4, 0.01, (STRATEGIES, days)), random.normal(5e-4, 0.01, days)


def _peer(name: str) -> Any:
    """Import a library that only the environment of ``make peers`` has."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise Unavailable(f"{missing.name} is not installed: run it with make bench") from missing


def _metrics(days: int, backend: str) -> tuple[Callable[[], object], Any, Any]:
    from tools.metrics import compute_metrics

    if backend == "compiled":
        _peer("numba")
    returns, benchmark = _returns(days)
    return (lambda: compute_metrics(returns, benchmark, RATE, backend)), returns, benchmark  # type: ignore[arg-type]


def _against_sort(days: int, backend: str) -> Measured:
    import numpy as np

    metrics, returns, _ = _metrics(days, backend)
    ours, sort = interleaved(metrics, lambda: np.sort(returns, axis=1))
    return Measured(ours / sort, f"{ours * 1e3:.1f} ms against {sort * 1e3:.1f} ms")


def _per_series(theirs: Callable[[Any, Any, Any], object], library: str, rows: int) -> Measured:
    """Time a library that takes one series at a time on the first ``rows``, and scale that to all of them."""
    peer = _peer(library)
    metrics, returns, benchmark = _metrics(365, "compiled")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, sample = interleaved(metrics, lambda: [theirs(peer, row, benchmark) for row in returns[:rows]])
    whole = sample / rows * STRATEGIES
    note = f"{STRATEGIES / ours:,.0f} against {rows / sample:,.0f} sets/s, theirs from {rows} of {STRATEGIES:,} rows"
    return Measured(whole / ours, note)


def _empyrical(empyrical: Any, row: Any, benchmark: Any) -> tuple[Any, ...]:
    """Compute the thirteen of one series from numpy; skewness and kurtosis by scipy, as the library has none."""
    from scipy import stats

    return (
        empyrical.annual_return(row, annualization=365),
        empyrical.annual_volatility(row, annualization=365),
        empyrical.sharpe_ratio(row, DAY, annualization=365),
        empyrical.sortino_ratio(row, DAY, annualization=365),
        empyrical.max_drawdown(row),
        empyrical.value_at_risk(row, 0.05),
        empyrical.conditional_value_at_risk(row, 0.05),
        empyrical.calmar_ratio(row, annualization=365),
        empyrical.alpha_beta_aligned(row, benchmark, DAY, annualization=365),
        stats.skew(row),
        stats.kurtosis(row),
        empyrical.omega_ratio(row, required_return=RATE, annualization=365),
    )


def _quantstats(quantstats: Any, row: Any, benchmark: Any) -> tuple[Any, ...]:
    """Compute the thirteen of one series; the library takes dated pandas series, whose making is part of the time."""
    import pandas as pd

    days = pd.date_range("2024-01-01", periods=row.size)
    series, reference = pd.Series(row, days), pd.Series(benchmark, days)
    return (
        quantstats.cagr(series, periods=365),
        quantstats.volatility(series, periods=365),
        quantstats.sharpe(series, RATE, periods=365),
        quantstats.sortino(series, RATE, periods=365),
        quantstats.max_drawdown(series),
        quantstats.value_at_risk(series),
        quantstats.conditional_value_at_risk(series),
        quantstats.calmar(series, periods=365),
        quantstats.greeks(series, reference, periods=365),
        quantstats.skew(series),
        quantstats.kurtosis(series),
        quantstats.omega(series, required_return=RATE, periods=365),
    )


def _against_skfolio() -> Measured:
    import numpy as np

    skfolio = _peer("skfolio.measures")
    metrics, returns, _ = _metrics(365, "compiled")
    columns = np.ascontiguousarray(returns.T)  # the library's layout: assets are columns
    ours, theirs = interleaved(metrics, lambda: _skfolio(skfolio, columns))
    return Measured(theirs / ours, f"{ours * 1e3:.1f} ms against {theirs * 1e3:.0f} ms for eight of the thirteen")


def _skfolio(measures: Any, columns: Any) -> tuple[Any, ...]:
    """Compute the eight measures that the library has, of all series at once, in its fastest form."""
    return (
        measures.mean(columns),
        measures.standard_deviation(columns),
        measures.semi_deviation(columns, min_acceptable_return=DAY, biased=True),
        measures.max_drawdown(measures.get_drawdowns(columns, compounded=True)),
        measures.value_at_risk(columns, 0.95),
        measures.cvar(columns, 0.95),
        measures.skew(columns),
        measures.kurtosis(columns),
    )


def _paths() -> Measured:
    import numpy as np

    from tools.risk.paths import simulate_gbm

    buffer = np.empty(1 << 16)  # 512 KB stay in the second-level cache
    random = np.random.Generator(np.random.SFC64(1))

    def normals() -> None:
        for _ in range(-(-PATHS * DAYS // buffer.size)):
            random.standard_normal(out=buffer)

    ours, bare = interleaved(lambda: simulate_gbm(0.08, 0.6, horizon_days=DAYS, paths=PATHS, seed=1), normals)
    return Measured(ours / bare, f"{ours:.2f} s against {bare:.2f} s, {PATHS * DAYS / ours / 1e6:.0f} M path-days/s")


CASES = (
    Case("metrics-365", "13 metrics of 10,000 x 365 / np.sort, compiled", "x", "<=", 2.0,
         lambda: _against_sort(365, "compiled")),
    Case("metrics-365-numpy", "the same with numpy alone", "x", "<=", 8.0, lambda: _against_sort(365, "numpy")),
    Case("metrics-1095", "13 metrics of 10,000 x 1095 / np.sort, compiled", "x", "<=", 1.5,
         lambda: _against_sort(1095, "compiled")),
    Case("metrics-1095-numpy", "the same with numpy alone", "x", "<=", 7.0, lambda: _against_sort(1095, "numpy")),
    Case("metrics-empyrical", "empyrical-reloaded / 13 metrics, compiled", "x", ">=", 500.0,
         lambda: _per_series(_empyrical, "empyrical", 100)),
    Case("metrics-quantstats", "quantstats / 13 metrics, compiled", "x", ">=", 4000.0,
         lambda: _per_series(_quantstats, "quantstats.stats", 20)),
    # No ratio of its own is set for it: it takes 52 sorts where 13 metrics may take 2.
    Case("metrics-skfolio", "skfolio / 13 metrics, compiled", "x", ">=", 26.0, _against_skfolio),
    Case("paths", "100,000 x 365 price paths, end and drawdown / their normals", "x", "<=", 2.2, _paths),
)  # fmt: skip
