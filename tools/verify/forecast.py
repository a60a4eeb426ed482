"""The forecast of the choice's mean APY, recomputed from the saved rows.

The choice is one series p_1 … p_n, Σ weight · APY of each day that its pools have in common, a year at most. With f the
mean of the next h days that a method expects, errors are e_t = mean(p_{t+1} … p_{t+h}) − f(p_1 … p_t) at t = n − h,
n − h − 7, … ≥ 60. The interval adds the k-th smallest and the k-th largest error, k = ⌊(N + 1)·5 %⌋, to f(p_1 … p_n).
See ``docs/forecasts.md``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from tools.verify.book import Book, JsonObject
from tools.verify.report import Findings, printable
from tools.verify.series import LARGEST_WINDOW

LONGEST_DAYS, DEFAULT_HORIZON_DAYS = 30, 365
STEP_DAYS, LEAST_HISTORY_DAYS, LEAST_HORIZONS = 7, 60, 3
LEAST_ERRORS_DAYS = 19 * STEP_DAYS  # from the first of twenty errors to the last
LEVEL, TAIL_PERCENT = 0.9, 5
ALPHA, START_DAYS = 0.2, 7
LEVEL_DAYS, LEAST_DAYS, MOST_PERSISTENT, STILL = 3, 10, 0.999, 1e-8
LEAST_ORIGINS = 8
SIGNIFICANCE = 0.05
RESIDUE = 1e-9  # errors of a rate below this come from arithmetic
NEAR = 1e-7  # within which recomputed figures agree; errors are small differences of rates

Series = Sequence[float]


def check_forecast(book: Book, findings: Findings) -> None:
    """Recompute the forecast, its interval and its own score, and see that it is there where it can be made."""
    record = book.record
    forecast, choice = record["forecast"], record["choice"]
    told = record["forecast_missing"] is not None
    findings.same("/forecast_missing", told, forecast is None, "whether there is no forecast")
    chosen = None
    if choice is not None:
        chosen = next((c for c in record["candidates"] if c["id"] == choice["candidate_id"]), None)
    if chosen is None:
        findings.same("/forecast", forecast, None, "the forecast of no choice")
        return
    if "forecast" in record["off"]:
        findings.same("/forecast", forecast, None, "the forecast where forecasts are off")
        return
    horizon = min(LONGEST_DAYS, record["mandate"]["horizon_days"] or DEFAULT_HORIZON_DAYS)
    series = _portfolio(chosen, book)
    if forecast is not None:
        findings.same("/forecast/horizon_days", forecast["horizon_days"], horizon, "the mandate's horizon, 30 at most,")
        findings.number("/forecast/level", forecast["level"], LEVEL, "the level of every interval")
        _check_recorded(forecast, findings)
    if series is not None:
        enough = len(series) >= LEAST_HISTORY_DAYS + max(LEAST_HORIZONS * horizon, LEAST_ERRORS_DAYS + horizon)
        findings.same("/forecast", forecast is not None, enough, f"whether {len(series)} days are enough for {horizon}")
        if enough and forecast is not None:
            _check_figures(forecast, series, horizon, findings)


def _check_recorded(forecast: JsonObject, findings: Findings) -> None:
    """See that each method stands once, at one horizon, and that those that are used did win."""
    recorded = forecast["recorded"]
    names = [score["method"] for score in recorded]
    findings.same("/forecast/recorded", len(set(names)), len(names), "the number of methods, each once,")
    for place, score in enumerate(recorded):
        sure = score["p_value"] is not None and score["p_value"] < SIGNIFICANCE
        findings.recomputed += 1
        if score["used"] and not (score["ratio"] < 1.0 and sure):
            what = f"is true at a ratio of {score['ratio']} and p = {printable(score['p_value'])}"
            findings.at(f"/forecast/recorded/{place}/used", what, False, True)
        first = recorded[0]["horizon_days"]
        findings.same(f"/forecast/recorded/{place}/horizon_days", score["horizon_days"], first, "that of the others")


def _winner(forecast: JsonObject) -> str:
    won = sorted((score["ratio"], score["method"]) for score in forecast["recorded"] if score["used"])
    return next((method for _, method in won if method in MEANS), "last")


def _portfolio(chosen: JsonObject, book: Book) -> Series | None:
    """Return the APY of the candidate on each day that all its pools have, 365 at most; None without their charts."""
    days = min([LARGEST_WINDOW, *(pool["history_days"] for pool in chosen["pools"])])
    parts = []
    for pool in chosen["pools"]:
        apys = book.apys(pool["pool_id"], book.last - days + 1, book.last)
        if apys is None:
            return None
        parts.append([pool["weight"] * apy for apy in apys])
    return [math.fsum(day) for day in zip(*parts, strict=True)]


def _check_figures(forecast: JsonObject, series: Series, horizon: int, findings: Findings) -> None:
    method, rival = _winner(forecast), past_errors(series, "last", horizon)
    errors, apy = past_errors(series, method, horizon), MEANS[method](series, horizon)
    rank = (len(errors) + 1) * TAIL_PERCENT // 100
    ordered = sorted(errors)
    expected = {
        "apy": apy,
        "apy_low": max(0.0, min(apy, apy + ordered[rank - 1])),
        "apy_high": max(apy, apy + ordered[-rank]),
    }
    for name, value in expected.items():
        findings.number(f"/forecast/{name}", forecast[name], value, "what the saved rows give", NEAR, 1e-10)
    if _squares(rival) <= RESIDUE**2 * len(rival):  # a rate that never moved: all methods are one
        method, errors = "last", rival
    findings.same("/forecast/method", forecast["method"], method, "the best baseline that won, else the last value,")
    _check_own(forecast["own"], method, horizon, errors, rival, findings)


def _check_own(own: JsonObject, method: str, horizon: int, errors: Series, rival: Series, findings: Findings) -> None:
    facts = {"method": method, "horizon_days": horizon, "series": 1, "forecasts": len(errors), "used": True}
    for name, value in facts.items():
        findings.same(f"/forecast/own/{name}", own[name], value, "what the forecast was made with")
    same = method == "last"
    ratio = 1.0 if same else math.sqrt(_squares(errors) / _squares(rival))
    findings.number("/forecast/own/ratio", own["ratio"], ratio, "its errors over those of the last value", NEAR)
    if same or abs(ratio - 1.0) > NEAR:
        findings.number("/forecast/own/wins", own["wins"], float(ratio < 1.0), "whether its errors are the smaller")
    p_value = None
    if not same:
        losses = [other * other - mine * mine for mine, other in zip(errors, rival, strict=True)]
        p_value = diebold_mariano(losses, -(-horizon // STEP_DAYS))
    findings.number("/forecast/own/p_value", own["p_value"], p_value, "the test of the saved rows", 1e-6, 1e-9)


def _squares(errors: Series) -> float:
    return math.fsum(error * error for error in errors)


# --- the methods ------------------------------------------------------------------------------------------------------


def past_errors(series: Series, method: str, horizon: int) -> list[float]:
    """Return outcome less forecast at origins a week apart, oldest first."""
    ends = range(len(series) - horizon, LEAST_HISTORY_DAYS - 1, -STEP_DAYS)
    return [
        math.fsum(series[end : end + horizon]) / horizon - MEANS[method](series[:end], horizon)
        for end in reversed(ends)
    ]


def _last(series: Series, horizon: int) -> float:
    return series[-1]


def _ewma(series: Series, horizon: int) -> float:
    """Return s_n, s_t = 0.2 · x_t + 0.8 · s_{t−1} from the median of the first seven days."""
    level = statistics.median(series[:START_DAYS])
    for value in series:
        level += ALPHA * (value - level)
    return level


def _ar1(series: Series, horizon: int) -> float:
    """Return the mean over the horizon of μ + φ^h (y − μ), by least squares of each day on the day before."""
    before, after = series[:-1], series[1:]
    if len(series) < LEAST_DAYS or max(before) - min(before) <= STILL:
        return series[-1]
    mean_before, mean_after = math.fsum(before) / len(before), math.fsum(after) / len(after)
    squares = math.fsum((x - mean_before) ** 2 for x in before)
    slope = math.fsum((x - mean_before) * y for x, y in zip(before, after, strict=True)) / squares
    slope = min(max(slope, 0.0), MOST_PERSISTENT)
    mean = min(max((mean_after - slope * mean_before) / (1.0 - slope), min(series)), max(series))
    powers = math.fsum(slope**ahead for ahead in range(1, horizon + 1))
    return mean + (statistics.median(series[-LEVEL_DAYS:]) - mean) * powers / horizon


MEANS: Mapping[str, Callable[[Series, int], float]] = {"last": _last, "ewma": _ewma, "ar1": _ar1}


# --- the test ---------------------------------------------------------------------------------------------------------


def diebold_mariano(losses: Series, overlap: int) -> float | None:
    """Return the one-sided p-value of Diebold & Mariano (1995) for losses of the rival less those of the method.

    Long-run variance with Bartlett's weights (Newey & West 1987), the factor and Student's t of Harvey, Leybourne &
    Newbold (1997). None where there are too few losses, or they do not vary.
    """
    count = len(losses)
    if count < max(LEAST_ORIGINS, 2 * overlap) or not any(losses):
        return None
    mean = math.fsum(losses) / count
    away = [loss - mean for loss in losses]
    lagged = [
        math.fsum(late * early for late, early in zip(away[lag:], away, strict=False)) / count for lag in range(overlap)
    ]
    variance = lagged[0] + 2.0 * math.fsum((1.0 - lag / overlap) * lagged[lag] for lag in range(1, overlap))
    if variance <= 1e-24 * mean * mean or variance == 0.0:
        return None
    factor = (count + 1 - 2 * overlap + overlap * (overlap - 1) / count) / count
    return student_tail(mean * math.sqrt(factor * count / variance), count - 1)


def student_tail(statistic: float, degrees: int) -> float:
    """Return P(T > t) of Student's t, by Simpson's rule on ∫ cos^(ν−1) θ dθ from 0 to atan(t/√ν)."""
    scale = math.exp(math.lgamma((degrees + 1) / 2.0) - math.lgamma(degrees / 2.0)) / math.sqrt(math.pi)
    end, steps = math.atan(statistic / math.sqrt(degrees)), 2_000
    points = [math.cos(end * step / steps) ** (degrees - 1) for step in range(steps + 1)]
    total = math.fsum(value * (1 if n in (0, steps) else 4 if n % 2 else 2) for n, value in enumerate(points))
    return min(1.0, max(0.0, 0.5 - scale * total * end / steps / 3.0))
