"""Why a metric has no value, in one short sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tools.metrics.inputs import (
    DAYS_FOR_RATIOS,
    DAYS_FOR_RETURN,
    DISTINCT_RETURNS,
    BoolArray,
    with_few_distinct,
    without_variance,
)
from tools.metrics.returns import checked_pair
from tools.units import FloatArray

_Rule = tuple[BoolArray, str]

_BEYOND_FLOATS = "the figure is beyond the range of floating-point numbers"
_LARGEST = 1e70  # the fourth power of a return above this is no float


def missing_reasons(
    metrics: Mapping[str, FloatArray], returns: npt.ArrayLike, benchmark: npt.ArrayLike
) -> list[dict[str, str]]:
    """Say for each strategy why each NaN of ``compute_metrics`` is one.

    ``metrics`` is its result for the same ``returns`` (n_strategies, n_days) and ``benchmark`` (n_days,). Returns
    n_strategies dictionaries, key → reason, empty where every figure is given. The sentences are stable. Raises
    ValueError as ``compute_metrics`` does.
    """
    rows, reference = checked_pair(returns, benchmark)
    absent = {key: np.isnan(values) for key, values in metrics.items()}
    rules = _rules(rows, reference, absent["annual_return"])
    return [{key: _reason(rules[key], row) for key in absent if absent[key][row]} for row in range(rows.shape[0])]


def _reason(rules: Sequence[_Rule], row: int) -> str:
    return next((reason for strikes, reason in rules if strikes[row]), _BEYOND_FLOATS)


def _rules(returns: FloatArray, benchmark: FloatArray, no_return: BoolArray) -> dict[str, list[_Rule]]:
    """Return the rules of each metric, strongest first: which strategies (n_strategies,) one strikes, and its sentence.

    Where none strikes, the figure left the range of floats.
    """
    every = np.ones(returns.shape[0], dtype=np.bool_)
    young, short, single = (_fewer_than(least, returns) for least in (DAYS_FOR_RETURN, DAYS_FOR_RATIOS, 2))
    huge = np.abs(returns).max(axis=1) > _LARGEST, _BEYOND_FLOATS
    flat = is_flat(returns), "the returns do not vary"
    few = with_few_distinct(returns), f"fewer than {DISTINCT_RETURNS} distinct returns"
    safe = every, "no day below the risk-free rate"
    ruin = returns.min(axis=1) < -1.0, "a day loses more than everything"
    steady = every & is_flat(benchmark[None]), "the benchmark does not vary"
    return {
        "annual_return": [young, ruin],
        "annual_volatility": [single],
        "sharpe": [short, huge, flat, few],
        "sortino": [short, huge, safe],
        "max_drawdown": [ruin],
        "var_95": [],
        "cvar_95": [],
        "calmar": [short, ruin, (no_return, _BEYOND_FLOATS), (every, "drawdown is zero")],
        "alpha": [short, steady],
        "beta": [short, steady],
        "skewness": [huge, flat],
        "kurtosis": [huge, flat],
        "omega": [huge, safe],
    }


def _fewer_than(days: int, returns: FloatArray) -> _Rule:
    return np.full(returns.shape[0], returns.shape[1] < days), f"fewer than {days} days"


def is_flat(returns: FloatArray) -> BoolArray:
    """Tell which rows (n_strategies, n_days) have no variance; a single day has none."""
    if returns.shape[1] < 2:
        return np.ones(returns.shape[0], dtype=np.bool_)
    with np.errstate(over="ignore", invalid="ignore"):
        return without_variance(returns.std(axis=1, ddof=1), returns.mean(axis=1))
