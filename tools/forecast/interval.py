"""The forecast of a portfolio's mean APY over the coming days, with an interval from the errors made before.

The portfolio is one series, p_t = Σ_i w_i x_it, over the days of the window, n of them. With h the horizon (at most 30
days) and f(p_1 … p_t) the mean of the h daily forecasts that the method makes from the first t days:

* the forecast is f(p_1 … p_n);
* errors are e_t = mean(p_{t+1} … p_{t+h}) − f(p_1 … p_t) at the origins t = n − h, n − h − 7, … ≥ 60, N of them;
* the interval is [F + e_(k), F + e_(N+1−k)] with e_(1) ≤ … ≤ e_(N) and k = ⌊(N + 1)·5 %⌋: as long as errors are
  exchangeable, the next one lies between these two with a probability of at least 90 % (Vovk, Gammerman & Shafer,
  Algorithmic Learning in a Random World, 2005). It is widened to hold F itself, and cut at zero, which no APY of the
  market lies below. Errors of windows that overlap say less than their number, so at least 20 errors are asked for
  and a history that holds three horizons behind the first origin.

The own score is √(Σ e² / Σ e_last²) on these errors and the test of ``diebold_mariano`` on their squares, with
k = ⌈h/7⌉. Every sum is exact (``math.fsum``) or numpy's own, never BLAS. ``docs/forecasts.md`` has the same formulas in
full, so that a program of the standard library can check every figure.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.forecast.baselines import BASELINES, Baseline, last_value
from tools.forecast.diebold_mariano import STILL, diebold_mariano
from tools.forecast.scores import known_scores
from tools.forecast.walk_forward import STEP_DAYS, BatchForecaster
from tools.records import Asset, Forecast, ForecastMethod, ForecastScore
from tools.units import FloatArray, significant

LONGEST_DAYS = 30  # no longer horizon has been scored
LEAST_HISTORY_DAYS = 60
LEAST_ERRORS = 20
LEAST_HORIZONS = 3
LEVEL = 0.9
TAIL_PERCENT = 5  # on each side


class Errors(NamedTuple):
    """Outcome less forecast at each origin (n_origins,), oldest first, of a method and of "tomorrow equals today"."""

    method: FloatArray
    last: FloatArray


class SeriesForecast(NamedTuple):
    """The mean APY that a method expects over the horizon, the interval around it, and the errors behind that."""

    apy: float
    low: float
    high: float
    errors: Errors


def forecast_portfolio(
    series: npt.ArrayLike, weights: npt.ArrayLike, horizon_days: int, asset: Asset, as_of: dt.date | None = None
) -> Forecast | str:
    """Forecast the mean APY of a portfolio over the coming days by the baseline that won, or say why that cannot be.

    ``series`` (n_pools, n_days) holds APYs, fractions per year, oldest first, ending on the day of the decision;
    ``weights`` (n_pools,) fractions of the money. Horizons above 30 days are forecast for 30, which the result says.
    The method is the best baseline that won on the recorded market as known at ``as_of`` (None: all that is known);
    where none did, "tomorrow equals today". Networks and ARIMA are not run here. Raises ValueError for NaN, infinity,
    shapes that do not fit and a horizon below one day.
    """
    if horizon_days < 1:
        raise ValueError(f"horizon_days must be at least 1, not {horizon_days}")
    portfolio = portfolio_apy(series, weights)
    horizon = min(horizon_days, LONGEST_DAYS)
    recorded = known_scores(asset, horizon, as_of)
    method = _winner(recorded)
    found = forecast_series(portfolio, BASELINES[method], horizon)
    if isinstance(found, str):
        return found
    if _still(found.errors):
        method = "last"
    return Forecast(
        method=method,
        horizon_days=horizon,
        apy=significant(found.apy),
        apy_low=significant(found.low),
        apy_high=significant(found.high),
        level=LEVEL,
        own=own_score(method, horizon, found.errors),
        recorded=recorded,
    )


def forecast_series(series: FloatArray, forecaster: BatchForecaster, horizon_days: int) -> SeriesForecast | str:
    """Forecast one series (n_days,) with an interval from the errors that the forecaster made on it, or say why not."""
    errors = past_errors(series, forecaster, horizon_days)
    if reason := _too_little(series.size, errors.method.size, horizon_days):
        return reason
    apy = _mean_ahead(series, forecaster, horizon_days)
    return SeriesForecast(apy, *_interval(apy, errors.method), errors)


def portfolio_apy(series: npt.ArrayLike, weights: npt.ArrayLike) -> FloatArray:
    """Return the APY of the portfolio on each day (n_days,): Σ_i w_i x_it, each sum exact.

    Raises ValueError for shapes that do not fit, NaN and infinity.
    """
    rates, shares = np.asarray(series, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if rates.ndim != 2 or 0 in rates.shape or shares.shape != rates.shape[:1]:
        raise ValueError(f"series {rates.shape} and weights {shares.shape} must be (n_pools, n_days) and (n_pools,)")
    for name, values in (("series", rates), ("weights", shares)):
        if not np.isfinite(values).all():
            place = tuple(int(index[0]) for index in np.nonzero(~np.isfinite(values)))
            raise ValueError(f"{name}[{', '.join(map(str, place))}] is {values[place]}: it must be a finite number")
    return np.array([math.fsum(day) for day in (rates * shares[:, None]).T.tolist()])


def past_errors(series: FloatArray, forecaster: BatchForecaster, horizon_days: int) -> Errors:
    """Return the errors made on a series (n_days,) at origins a week apart, see the top of this module."""
    ends = range(series.size - horizon_days, LEAST_HISTORY_DAYS - 1, -STEP_DAYS)
    pairs = []
    for end in reversed(ends):
        outcome = math.fsum(series[end : end + horizon_days].tolist()) / horizon_days
        pairs.append([outcome - _mean_ahead(series[:end], one, horizon_days) for one in (forecaster, last_value)])
    return Errors(*np.array(pairs).reshape(-1, 2).T)


def own_score(method: ForecastMethod, horizon_days: int, errors: Errors) -> ForecastScore:
    """Score the errors of a method on the series itself against "tomorrow equals today"."""
    ratio, p_value, why = 1.0, None, 'no method beat "tomorrow equals today" on the recorded market'
    if _still(errors):
        why = "the APY never changed, so every method says the same"
    elif method != "last":
        tested = diebold_mariano(errors.last**2 - errors.method**2, -(-horizon_days // STEP_DAYS))
        ratio = significant(math.sqrt(_squares(errors.method) / _squares(errors.last)))
        p_value = None if tested.p_value is None else significant(tested.p_value)
        doubt = tested.reason or f"p = {tested.p_value:.2g}"
        better = "smaller" if ratio < 1.0 else "not smaller"
        why = f'won on the recorded market; on these pools its errors are {better} than those of "last" ({doubt})'
    return ForecastScore(
        method=method,
        horizon_days=horizon_days,
        series=1,
        forecasts=errors.last.size,
        ratio=ratio,
        p_value=p_value,
        wins=float(ratio < 1.0),
        used=True,
        why=why,
    )


def _squares(errors: FloatArray) -> float:
    return math.fsum((errors**2).tolist())


def _still(errors: Errors) -> bool:
    return _squares(errors.last) <= STILL**2 * errors.last.size


def _winner(recorded: list[ForecastScore]) -> Baseline:
    """Return the baseline that won with the smallest ratio; "last" where none won."""
    won = {one.method: one.ratio for one in recorded if one.used}
    return min((name for name in BASELINES if name in won), key=lambda name: (won[name], name), default="last")


def _mean_ahead(series: FloatArray, forecaster: BatchForecaster, horizon_days: int) -> float:
    return math.fsum(forecaster(series[None, :], horizon_days)[0].tolist()) / horizon_days


def _too_little(days: int, errors: int, horizon: int) -> str | None:
    needed = LEAST_HISTORY_DAYS + max(LEAST_HORIZONS * horizon, (LEAST_ERRORS - 1) * STEP_DAYS + horizon)
    if errors >= LEAST_ERRORS and days >= needed:
        return None
    return f"a forecast over {horizon} days needs {needed} days that all pools have in common, and there are {days}"


def _interval(apy: float, errors: FloatArray) -> tuple[float, float]:
    ordered = np.sort(errors)
    rank = (ordered.size + 1) * TAIL_PERCENT // 100
    low, high = apy + float(ordered[rank - 1]), apy + float(ordered[-rank])
    return max(0.0, min(low, apy)), max(high, apy)
