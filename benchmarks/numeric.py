"""The thirteen metrics against a sort of the same matrix, near the limit of any tail measure, and against a library."""

from __future__ import annotations

import warnings
from typing import Any

from benchmarks.measure import Case, Measured, interleaved

STRATEGIES = 10_000
SAMPLE = 100


def _returns(days: int) -> tuple[Any, Any]:
    import numpy as np

    random = np.random.default_rng(20_250_228)
    return random.normal(5e-4, 0.01, (STRATEGIES, days)), random.normal(5e-4, 0.01, days)


def _against_sort(days: int) -> Measured:
    import numpy as np

    from tools.metrics import compute_metrics

    returns, benchmark = _returns(days)
    ours, sort = interleaved(lambda: compute_metrics(returns, benchmark, 0.02), lambda: np.sort(returns, axis=1))
    return Measured(ours / sort, f"{ours * 1e3:.1f} ms against {sort * 1e3:.1f} ms")


def _against_empyrical() -> Measured:
    from tools.metrics import compute_metrics

    returns, benchmark = _returns(365)
    ours, sample = interleaved(
        lambda: compute_metrics(returns, benchmark, 0.02),
        lambda: [_empyrical(row, benchmark) for row in returns[:SAMPLE]],
    )
    theirs = sample / SAMPLE * STRATEGIES
    note = f"{STRATEGIES / ours:,.0f} sets/s; {theirs:.1f} s is scaled from {SAMPLE} of {STRATEGIES:,} rows"
    return Measured(theirs / ours, note)


def _empyrical(row: Any, benchmark: Any) -> tuple[Any, ...]:
    """Compute the thirteen of one series from numpy; skewness and kurtosis by scipy, as the library has none."""
    import empyrical
    from scipy import stats

    day = 1.02 ** (1 / 365) - 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (
            empyrical.annual_return(row, annualization=365),
            empyrical.annual_volatility(row, annualization=365),
            empyrical.sharpe_ratio(row, day, annualization=365),
            empyrical.sortino_ratio(row, day, annualization=365),
            empyrical.max_drawdown(row),
            empyrical.value_at_risk(row, 0.05),
            empyrical.conditional_value_at_risk(row, 0.05),
            empyrical.calmar_ratio(row, annualization=365),
            empyrical.alpha_beta_aligned(row, benchmark, day, annualization=365),
            stats.skew(row),
            stats.kurtosis(row),
            empyrical.omega_ratio(row, required_return=0.02, annualization=365),
        )


CASES = (
    Case("metrics-365", "13 metrics of 10,000 x 365 / np.sort", "x", "<=", 8.0, lambda: _against_sort(365)),
    Case("metrics-1095", "13 metrics of 10,000 x 1095 / np.sort", "x", "<=", 7.0, lambda: _against_sort(1095)),
    Case("metrics-empyrical", "empyrical-reloaded / 13 metrics, 10,000 x 365", "x", ">=", 100.0, _against_empyrical),
)
