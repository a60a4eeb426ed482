"""The metrics of the candidates and their benchmark, recomputed from the saved charts."""

from __future__ import annotations

from collections.abc import Sequence

from tools.verify import metrics
from tools.verify.book import WEIGHTS, Book, JsonObject
from tools.verify.report import Findings
from tools.verify.series import LARGEST_WINDOW, ordinal

AVERAGING_DAYS = 30

Window = tuple[int, int]


def check_returns(book: Book, findings: Findings) -> dict[int, list[float]]:
    """Recompute every metric of every candidate that follows from daily returns, over the one window of all of them.

    Return the daily returns of each candidate by its place, without those that cannot be recomputed.
    """
    candidates = [(index, c) for index, c in enumerate(book.record["candidates"]) if c["pools"]]
    rate = book.record["market"]["risk_free"]["rate"]
    window = _window(book, findings) if candidates else None
    if window is None:
        return {}
    if rate <= -1.0:
        findings.at("/market/risk_free/rate", "is a loss of everything", "a rate above −1", rate)
        return {}
    benchmark = book.benchmark(window)
    found = {
        index: _check_metrics(candidate, f"/candidates/{index}", window, benchmark, book, findings)
        for index, candidate in candidates
    }
    return {index: returns for index, returns in found.items() if returns is not None}


def _window(book: Book, findings: Findings) -> Window | None:
    """Return the first and the last day of the shared window; None, and a difference, when it cannot be used."""
    window = book.record["candidates"][0]["window"]
    pointer = "/candidates/0/window"
    first, last = ordinal(window["first"]), ordinal(window["last"])
    if first is None or last is None or not 1 < last - first + 1 <= LARGEST_WINDOW:
        findings.at(pointer, f"is not a window of 2 to {LARGEST_WINDOW} days", "a window", str(window))
        return None
    pools = [pool for candidate in book.record["candidates"] for pool in candidate["pools"]]
    shortest = min([LARGEST_WINDOW, *(pool["history_days"] for pool in pools)])
    findings.same(f"{pointer}/days", window["days"], last - first + 1, "the days from first to last")
    findings.same(f"{pointer}/days", window["days"], shortest, "the history of the youngest pool, at most 365 days,")
    findings.same(f"{pointer}/last", last, book.last, "the day decided on")
    return first, last


def _check_metrics(
    candidate: JsonObject, pointer: str, window: Window, benchmark: Sequence[float], book: Book, findings: Findings
) -> list[float] | None:
    """Recompute the metrics of one candidate; return its daily returns, None where a chart is too short."""
    returns = [0.0] * (window[1] - window[0] + 1)
    apys = list(returns)
    for pool in candidate["pools"]:
        pool_apys, pool_returns = book.apys(pool["pool_id"], *window), book.returns(pool["pool_id"], *window)
        if pool_apys is None or pool_returns is None:
            findings.at(pointer, f"cannot be recomputed: the saved chart of pool {pool['pool_id']:.40} is too short")
            return None
        weight = pool["weight"]
        apys = [total + weight * apy for total, apy in zip(apys, pool_apys, strict=True)]
        returns = [total + weight * r for total, r in zip(returns, pool_returns, strict=True)]
    rate = book.record["market"]["risk_free"]["rate"]
    for name, estimate in metrics.estimates(returns, benchmark, rate).items():
        found = candidate["metrics"][name]
        if found is None and estimate.may_be_null:
            continue
        place, source = f"{pointer}/metrics/{name}", "what the saved rows give"
        findings.number(place, found, estimate.value, source, estimate.relative, estimate.absolute)
    _check_range(candidate, pointer, apys, findings)
    return returns


def _check_range(candidate: JsonObject, pointer: str, apys: Sequence[float], findings: Findings) -> None:
    """Recompute the last, the lowest and the highest 30-day average of the APY, the range widened to the day's own."""
    span = min(AVERAGING_DAYS, len(apys))
    averages = [sum(apys[end - span : end]) / span for end in range(span, len(apys) + 1)]
    today = candidate["metrics"]["portfolio_apy"]
    own = [] if today is None else [today]
    expected = {
        "apy_mean_30d": averages[-1],
        "apy_low": min([*averages, *own]),
        "apy_high": max([*averages, *own]),
    }
    for name, value in expected.items():
        findings.number(f"{pointer}/{name}", candidate[name], value, "what the saved rows give", WEIGHTS)
