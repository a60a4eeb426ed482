"""The baselines against loops written out, on spikes, on series that do not move, and against the clock."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.forecast.baselines import ALPHA, BASELINES, MOST_PERSISTENT, ar1, ar1_fit, ar1_reason, ewma, last_value


def wandering(series: int, days: int, seed: int = 0) -> np.ndarray:
    steps = np.random.default_rng(seed).standard_normal((series, days)) * 0.004
    return np.abs(0.05 + steps.cumsum(axis=1)) + 0.001


def test_last_value_is_today_on_every_day_ahead() -> None:
    histories = wandering(3, 40)
    assert (last_value(histories, 5) == histories[:, -1:]).all()


def test_ewma_equals_its_recursion() -> None:
    history = wandering(1, 75)[0]
    smoothed = float(np.median(history[:7]))
    for value in history.tolist():
        smoothed = ALPHA * value + (1.0 - ALPHA) * smoothed
    assert ewma(history[None, :], 3)[0] == pytest.approx([smoothed] * 3, rel=1e-13)


def test_ewma_of_a_short_history_does_not_start_at_a_spike() -> None:
    history = np.array([[2.0, *[0.05] * 8]])
    spiked_start = ewma(history, 1)[0, 0]
    assert spiked_start == pytest.approx(0.05 + ALPHA * (1 - ALPHA) ** 8 * 1.95, rel=1e-12)


def test_ar1_equals_least_squares_written_out() -> None:
    noise = np.random.default_rng(3).standard_normal(200) * 0.002
    history = [0.06]
    for shock in noise.tolist():
        history.append(0.04 + 0.7 * (history[-1] - 0.04) + shock)
    pairs = np.array(history)
    constant, slope = np.linalg.lstsq(np.column_stack([np.ones(200), pairs[:-1]]), pairs[1:], rcond=None)[0]
    mean = constant / (1.0 - slope)
    level = float(np.median(pairs[-3:]))
    expected = [mean + slope**h * (level - mean) for h in range(1, 31)]
    assert ar1(pairs[None, :], 30)[0] == pytest.approx(expected, rel=1e-10)


def test_a_spike_today_is_not_taken_for_the_level() -> None:
    history = wandering(1, 120)
    spiked = history.copy()
    spiked[0, -1] = 5.0
    assert ar1(spiked, 1)[0, 0] < 0.1
    assert last_value(spiked, 1)[0, 0] == 5.0


def test_a_history_that_never_moved_is_forecast_by_its_last_value_with_a_reason() -> None:
    still = np.full((2, 80), 0.05)
    still[1, -1] = 0.06  # moved today only: no pair to learn a slope from
    assert (ar1(still, 4) == still[:, -1:]).all()
    assert ar1_reason(still[0]) == "the APY never changed"
    assert ar1_reason(np.full(4, 0.1)) == "fewer than 10 days of history"
    assert ar1_reason(wandering(1, 80)[0]) is None
    assert (ar1(np.array([[0.1, 0.2]]), 2) == 0.2).all()


def test_a_history_that_runs_away_has_a_bounded_forecast() -> None:
    explosive = 0.01 * 1.2 ** np.arange(60)[None, :]
    assert ar1_fit(explosive)[1][0] == MOST_PERSISTENT
    ahead = ar1(explosive, 90)
    assert np.isfinite(ahead).all()
    assert ahead.max() <= explosive.max()
    alternating = np.where(np.arange(60) % 2, 0.01, 0.09)[None, :]
    assert ar1_fit(alternating)[1][0] == 0.0


@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-4, 1.0, 30.0]), days=st.integers(1, 90))
def test_no_forecast_leaves_the_range_of_its_history(seed: int, scale: float, days: int) -> None:
    histories = wandering(4, days, seed) * scale
    for name, forecaster in BASELINES.items():
        ahead = forecaster(histories, 30)
        assert ahead.shape == (4, 30), name
        assert (ahead >= histories.min(axis=1)[:, None] * (1 - 1e-12)).all(), name
        assert (ahead <= histories.max(axis=1)[:, None] * (1 + 1e-12)).all(), name


def test_a_series_is_forecast_alike_alone_and_among_others() -> None:
    histories = wandering(30, 365)
    for forecaster in BASELINES.values():
        together = forecaster(histories, 7)
        alone = np.concatenate([forecaster(row[None, :], 7) for row in histories])
        assert (together == alone).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_refused_by_its_place(bad: float) -> None:
    histories = wandering(3, 20)
    histories[1, 7] = bad
    for forecaster in BASELINES.values():
        with pytest.raises(ValueError, match=r"histories\[1, 7\]"):
            forecaster(histories, 1)


def test_shapes_and_horizons_that_mean_nothing_are_refused() -> None:
    for forecaster in BASELINES.values():
        with pytest.raises(ValueError, match="shape"):
            forecaster(np.zeros(5), 1)
        with pytest.raises(ValueError, match="shape"):
            forecaster(np.zeros((2, 0)), 1)
        with pytest.raises(ValueError, match="horizon_days"):
            forecaster(np.zeros((2, 5)), 0)
    with pytest.raises(ValueError, match="alpha"):
        ewma(np.zeros((2, 5)), 1, alpha=0.0)


def test_a_hundred_series_take_less_than_a_millisecond() -> None:
    histories = wandering(100, 358)
    best = math.inf
    for _ in range(300):
        start = time.perf_counter()
        ewma(histories, 7)
        ar1(histories, 7)
        best = min(best, time.perf_counter() - start)
    assert best < 1e-3
