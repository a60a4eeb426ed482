"""The baselines of the forecasts against their limit, and against the heavier models where those are installed."""

from __future__ import annotations

import functools
from typing import Any

from benchmarks.measure import Case, Measured, Unavailable, interleaved

SERIES, DAYS, HORIZON = 100, 365, 7
SAMPLE = 3  # series that a heavy model is timed on


@functools.cache
def histories() -> Any:
    """Draw APYs (n_series, n_days) that return to their mean."""
    import numpy as np

    random = np.random.default_rng(20_250_228)
    shocks = random.normal(0.0, 0.002, (SERIES, DAYS))
    level = np.zeros((SERIES, DAYS))
    for day in range(1, DAYS):
        level[:, day] = 0.95 * level[:, day - 1] + shocks[:, day]
    return random.uniform(0.03, 0.15, (SERIES, 1)) + np.clip(level, -0.025, None)


def _baselines() -> None:
    from tools.forecast.baselines import ar1, ewma

    ewma(histories(), HORIZON)
    ar1(histories(), HORIZON)


def _time() -> Measured:
    import numpy as np

    series = histories()
    ours, one_pass = interleaved(_baselines, lambda: np.add.reduce(series, axis=1))
    return Measured(ours * 1e3, f"one pass over the same days takes {one_pass * 1e3:.3f} ms")


def _auto_arima() -> Measured:
    try:
        from statsforecast.models import AutoARIMA
    except ModuleNotFoundError as missing:
        raise Unavailable(f"{missing.name} is not installed: the extra forecast has it") from missing

    def sample() -> None:
        for series in histories()[:SAMPLE]:
            AutoARIMA().forecast(y=series, h=HORIZON)

    ours, theirs = interleaved(_baselines, sample, rounds=3)
    each = theirs / SAMPLE
    return Measured(each * SERIES / ours, f"{each * 1e3:.0f} ms a series, from {SAMPLE} of {SERIES}")


CASES = (
    Case("baselines", f"T9: EWMA and AR(1) of {SERIES} series x {DAYS} days", "ms", "<=", 1.0, _time),
    # No ratio is set for a heavier model: what counts is whether it forecasts better (``plimsoll forecasts``).
    Case("baselines-arima", "AutoARIMA / both baselines", "x", ">=", 1.0, _auto_arima),
)
