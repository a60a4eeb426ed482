"""The forecast of a portfolio: recomputed without numpy, its coverage, and what it refuses to say."""

from __future__ import annotations

import datetime as dt
import math
import time

import numpy as np
import pytest

from tools.forecast import interval as module
from tools.forecast.baselines import ar1, ewma
from tools.forecast.interval import forecast_portfolio, forecast_series, past_errors
from tools.records import Forecast, ForecastScore


def returning(series: int, days: int, seed: int = 0, persistence: float = 0.9) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = np.empty((series, days))
    rows[:, 0] = 0.05
    for day in range(1, days):
        rows[:, day] = 0.05 + persistence * (rows[:, day - 1] - 0.05) + rng.standard_normal(series) * 0.002
    return np.abs(rows)


def won(method: str, ratio: float = 0.8, used: bool = True) -> ForecastScore:
    return ForecastScore(
        method=method, horizon_days=30, series=9, forecasts=300, ratio=ratio, p_value=0.01, wins=0.7, used=used, why="x"
    )


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[ForecastScore]:
    """The scores that are taken for known; empty until a test adds some."""
    scores: list[ForecastScore] = []
    monkeypatch.setattr(module, "known_scores", lambda asset, horizon, as_of=None: list(scores))
    return scores


def by_hand(apys: list[list[float]], weights: list[float], h: int) -> tuple[float, float, float, float]:
    """EWMA, its interval and its ratio, with the standard library only."""
    days = len(apys[0])
    p = [math.fsum(w * row[t] for w, row in zip(weights, apys, strict=True)) for t in range(days)]

    def smoothed(seen: list[float]) -> float:
        s = sorted(seen[:7])[3]
        for x in seen:
            s = 0.2 * x + 0.8 * s
        return s

    ends = list(range(days - h, 59, -7))[::-1]
    outcomes = [math.fsum(p[end : end + h]) / h for end in ends]
    errors = [outcome - smoothed(p[:end]) for outcome, end in zip(outcomes, ends, strict=True)]
    last = [outcome - p[end - 1] for outcome, end in zip(outcomes, ends, strict=True)]
    k = (len(errors) + 1) * 5 // 100
    ordered = sorted(errors)
    forecast = smoothed(p)
    low, high = forecast + ordered[k - 1], forecast + ordered[-k]
    ratio = math.sqrt(math.fsum(e * e for e in errors) / math.fsum(e * e for e in last))
    return forecast, max(0.0, min(low, forecast)), max(high, forecast), ratio


@pytest.mark.parametrize("horizon", [1, 7, 30])
def test_the_figures_can_be_recomputed_without_numpy(recorded: list[ForecastScore], horizon: int) -> None:
    recorded.append(won("ewma"))
    series, weights = returning(5, 365), [0.3, 0.3, 0.2, 0.1, 0.1]
    found = forecast_portfolio(series, weights, horizon, "USD")
    assert isinstance(found, Forecast)
    expected = by_hand(series.tolist(), weights, horizon)
    assert (found.apy, found.apy_low, found.apy_high, found.own.ratio) == pytest.approx(expected, rel=1e-10)
    assert found.own.forecasts == (365 - horizon - 60) // 7 + 1
    assert found.recorded == recorded


def test_the_method_is_the_best_baseline_that_won(recorded: list[ForecastScore]) -> None:
    series, weights = returning(3, 365), [0.5, 0.3, 0.2]

    def method() -> str:
        found = forecast_portfolio(series, weights, 30, "USD")
        assert isinstance(found, Forecast)
        return found.method

    assert method() == "last"
    recorded.append(won("ar1", 0.7, used=False))
    assert method() == "last"
    recorded.append(won("ewma", 0.9))
    assert method() == "ewma"
    recorded.append(won("lstm", 0.5))
    assert method() == "ewma"
    recorded[0] = won("ar1", 0.7)
    assert method() == "ar1"


def test_tomorrow_equals_today_is_its_own_measure(recorded: list[ForecastScore]) -> None:
    series = returning(2, 365)
    found = forecast_portfolio(series, [0.5, 0.5], 30, "USD")
    assert isinstance(found, Forecast)
    assert found.apy == pytest.approx(float(series[:, -1].mean()), rel=1e-11)
    assert (found.own.ratio, found.own.p_value, found.own.wins) == (1.0, None, 0.0)


def test_about_nine_of_ten_outcomes_lie_in_the_interval() -> None:
    inside = 0
    for seed in range(200):
        series = returning(1, 395, seed)[0]
        found = forecast_series(series[:365], ewma, 30)
        assert not isinstance(found, str)
        inside += found.low <= float(series[365:].mean()) <= found.high
    assert 0.82 <= inside / 200 <= 0.97  # errors of windows that overlap are no independent draws


def test_the_interval_holds_the_forecast_and_no_rate_below_zero() -> None:
    rising = forecast_series(np.linspace(0.02, 0.08, 365), ewma, 30)
    assert not isinstance(rising, str)
    assert (rising.errors.method > 0.0).all()  # a smoother lags: without widening the interval would lie above
    assert rising.low == rising.apy < rising.high
    falling = forecast_series(np.linspace(0.2, 0.0001, 365), ewma, 90)
    assert not isinstance(falling, str)
    assert falling.low == 0.0
    assert falling.high == falling.apy > 0.0


def test_no_error_looks_beyond_its_own_window() -> None:
    series = returning(1, 365)[0]
    changed = series.copy()
    changed[-20:] = 0.5
    errors, others = past_errors(series, ar1, 30), past_errors(changed, ar1, 30)
    untouched = sum(end + 30 <= 345 for end in range(335, 59, -7))
    assert (errors.method[:untouched] == others.method[:untouched]).all()
    assert (errors.method[untouched:] != others.method[untouched:]).all()


def test_horizons_beyond_what_was_scored_are_forecast_for_a_month(recorded: list[ForecastScore]) -> None:
    series = returning(2, 365)
    year, month = (forecast_portfolio(series, [0.5, 0.5], days, "USD") for days in (365, 30))
    assert isinstance(year, Forecast)
    assert year == month
    assert year.horizon_days == 30


@pytest.mark.parametrize(
    ("days", "horizon", "enough"), [(223, 30, True), (222, 30, False), (200, 7, True), (199, 7, False)]
)
def test_a_short_history_is_a_reason_not_a_forecast(
    recorded: list[ForecastScore], days: int, horizon: int, enough: bool
) -> None:
    found = forecast_portfolio(returning(2, days), [0.5, 0.5], horizon, "USD")
    assert isinstance(found, Forecast) == enough
    if not enough:
        needed = f"a forecast over {horizon} days needs {days + 1} days that all pools have in common"
        assert found == f"{needed}, and there are {days}"


def test_an_apy_that_never_changed_is_forecast_as_it_is(recorded: list[ForecastScore]) -> None:
    recorded.append(won("ewma"))
    found = forecast_portfolio(np.full((2, 365), 0.05), [0.5, 0.5], 30, "USD")
    assert isinstance(found, Forecast)
    assert found.method == "last"
    assert (found.apy, found.apy_low, found.apy_high) == pytest.approx((0.05, 0.05, 0.05), rel=1e-12)
    assert found.own.ratio == 1.0


def test_the_order_of_the_pools_changes_nothing(recorded: list[ForecastScore]) -> None:
    recorded.append(won("ar1"))
    series, weights = returning(6, 365), np.array([0.3, 0.25, 0.2, 0.15, 0.06, 0.04])
    order = [3, 1, 5, 0, 2, 4]
    assert forecast_portfolio(series, weights, 30, "USD") == forecast_portfolio(
        series[order], weights[order], 30, "USD"
    )


def test_what_means_nothing_is_refused() -> None:
    series = returning(2, 365)
    for wrong in ([0.5], [[0.5, 0.5]]):
        with pytest.raises(ValueError, match="n_pools"):
            forecast_portfolio(series, wrong, 30, "USD")
    with pytest.raises(ValueError, match=r"weights\[1\]"):
        forecast_portfolio(series, [0.5, math.nan], 30, "USD")
    with pytest.raises(ValueError, match="horizon_days"):
        forecast_portfolio(series, [0.5, 0.5], 0, "USD")
    series[1, 9] = math.inf
    with pytest.raises(ValueError, match=r"series\[1, 9\]"):
        forecast_portfolio(series, [0.5, 0.5], 30, "USD")


def test_a_decision_waits_milliseconds_for_its_forecast() -> None:
    series, weights = returning(10, 365), np.full(10, 0.1)
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        forecast_portfolio(series, weights, 30, "USD", dt.date(2025, 2, 28))
        best = min(best, time.perf_counter() - start)
    assert best < 0.02
