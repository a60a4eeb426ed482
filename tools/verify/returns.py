"""The metrics of the candidates, recomputed from the saved charts."""

from __future__ import annotations

from collections.abc import Sequence

from tools.verify import metrics
from tools.verify.book import WEIGHTS, Book, JsonObject
from tools.verify.report import Findings, close
from tools.verify.series import DAYS_PER_YEAR, daily_return, ordinal

LARGEST_WINDOW = 365


def check_returns(book: Book, findings: Findings) -> None:
    """Recompute every metric of every candidate that follows from its daily returns."""
    rate = book.record["market"]["risk_free"]["rate"]
    if rate <= -1.0:
        findings.at("/market/risk_free/rate", "is a loss of everything", "a rate above −1", rate)
        return
    for index, candidate in enumerate(book.record["candidates"]):
        if candidate["pools"]:
            window = _window(candidate, f"/candidates/{index}/window", book, findings)
            if window is not None:
                _check_return_metrics(candidate, f"/candidates/{index}", window, book, findings)
    _check_alpha_and_beta(book, findings)


def _window(candidate: JsonObject, pointer: str, book: Book, findings: Findings) -> tuple[int, int] | None:
    """Return the first and the last day of the window; None, and a difference, when it cannot be used."""
    window = candidate["window"]
    first, last = ordinal(window["first"]), ordinal(window["last"])
    if first is None or last is None or not 1 < last - first + 1 <= LARGEST_WINDOW:
        findings.at(
            pointer, f"is not a window of 2 to {LARGEST_WINDOW} days", f"at most {LARGEST_WINDOW} days", str(window)
        )
        return None
    findings.same(f"{pointer}/days", window["days"], last - first + 1, "the days from first to last")
    findings.same(f"{pointer}/last", last, book.last, "the day decided on")
    shortest = min(pool["history_days"] for other in book.record["candidates"] for pool in other["pools"])
    findings.same(
        f"{pointer}/days",
        window["days"],
        min(LARGEST_WINDOW, shortest),
        "the days that all candidates' pools have, at most 365,",
    )
    return first, last


def strategy_returns(
    candidate: JsonObject, window: tuple[int, int], book: Book, findings: Findings
) -> list[float] | None:
    """Return the weighted daily returns of a candidate; None when a pool has none."""
    total = [0.0] * (window[1] - window[0] + 1)
    for pool in candidate["pools"]:
        returns = book.returns(pool["pool_id"], *window, findings)
        if returns is None:
            return None
        weight = pool["weight"]
        total = [value + weight * r for value, r in zip(total, returns, strict=True)]
    return total


def _check_return_metrics(
    candidate: JsonObject, pointer: str, window: tuple[int, int], book: Book, findings: Findings
) -> None:
    returns = strategy_returns(candidate, window, book, findings)
    if returns is None:
        return
    rate = book.record["market"]["risk_free"]["rate"]
    for name, estimate in metrics.estimates(returns, rate).items():
        found = candidate["metrics"][name]
        if found is None and estimate.may_be_null:
            continue
        findings.number(
            f"{pointer}/metrics/{name}",
            found,
            estimate.value,
            "what the saved rows give",
            estimate.relative,
            metrics.ABSOLUTE,
        )
    _check_range(candidate, pointer, window, returns, book, findings)


def _check_range(
    candidate: JsonObject,
    pointer: str,
    window: tuple[int, int],
    returns: Sequence[float],
    book: Book,
    findings: Findings,
) -> None:
    """See that the range of the APY lies within what the window saw (or includes today's own)."""
    low, high = candidate["apy_low"], candidate["apy_high"]
    today = candidate["metrics"]["portfolio_apy"]
    days = [0.0] * len(returns)
    for pool in candidate["pools"]:
        apys = book.apys(pool["pool_id"], *window, findings) or days
        days = [value + pool["weight"] * apy for value, apy in zip(days, apys, strict=True)]
    if today is None:
        return
    least = min((1.0 + min(returns)) ** DAYS_PER_YEAR - 1.0, min(days), today)
    most = max(max(days), today)
    findings.recomputed += 1
    if not (least - WEIGHTS <= low <= high <= most + WEIGHTS):
        what = f"and apy_high are {low} and {high}, but the window saw {least} to {most}"
        findings.at(f"{pointer}/apy_low", what, f"{least} to {most}", f"{low} to {high}")


def _check_alpha_and_beta(book: Book, findings: Findings) -> None:
    """See that one benchmark explains alpha and beta of all candidates.

    alpha = 365 · ((mean − rf) − beta · (mean of the benchmark − rf)), and the benchmark is the same for all: each
    candidate with a beta gives the benchmark's excess return, and all must give the same. The eligible pools that make
    it are not in the record, so one candidate alone proves nothing.
    """
    rate = book.record["market"]["risk_free"]["rate"]
    known: list[tuple[str, float, float, float]] = []
    for index, candidate in enumerate(book.record["candidates"]):
        alpha, beta = candidate["metrics"]["alpha"], candidate["metrics"]["beta"]
        first, last = ordinal(candidate["window"]["first"]), ordinal(candidate["window"]["last"])
        if alpha is None or beta is None or first is None or last is None or not 1 < last - first + 1 <= LARGEST_WINDOW:
            continue
        returns = strategy_returns(candidate, (first, last), book, findings) if candidate["pools"] else None
        if returns:
            excess = DAYS_PER_YEAR * (sum(returns) / len(returns) - daily_return(rate))
            known.append((f"/candidates/{index}/metrics/alpha", alpha, beta, excess))
    steepest = max(known, key=lambda entry: abs(entry[2]), default=None)
    if steepest is None or steepest[2] == 0.0:
        return
    benchmark = (steepest[3] - steepest[1]) / steepest[2]
    for pointer, alpha, beta, excess in known:
        expected = excess - beta * benchmark
        findings.recomputed += 1
        if not close(alpha, expected, metrics.RELATIVE, 1e-9 * (1.0 + abs(beta * benchmark))):
            what = f"is {alpha}, but with its beta and the benchmark of the other candidates it is {expected}"
            findings.at(pointer, what, expected, alpha)
