"""What a pool's history says beside its yield, recomputed from the saved rows.

A second implementation of the definitions that stand in the record's documentation, in plain Python: window, trend and
correlation by their sums, the cost of leaving by its closed form.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence

from tools.verify.book import Book, JsonObject
from tools.verify.report import Findings, printable
from tools.verify.series import LARGEST_WINDOW, fraction, ordinal

TREND_DAYS, TREND_LEAST = 30, 20
LEAST_DAYS = 30
SPIKE_MEMORY, SPIKE_RATIO, SPIKE_RISE = 30, 3.0, 0.01
TVL_DAYS = 30
TVL_LOOKS_BACK = 60  # days before the window from which a TVL may be carried into it
STILL = 1e-8  # a series that moves by less does not move
DAILY_SHARE = 0.10
PEGGED_SHARE = 0.13  # of the cost under constant product: the tokens of a pool are all of one asset
# Days that a project makes leavers wait, since when; the last line that holds counts.
QUEUES: Mapping[str, Sequence[tuple[str, float]]] = {
    "ethena-usde": (("2024-02-19", 7.0),),
    "lido": (("2023-05-15", 5.0),),
}
POSITIONAL = ("exit_cost", "days_to_exit")  # what depends on the position and not on the pool alone

Values = dict[str, float | None]


def check_features(pool: JsonObject, pointer: str, book: Book, findings: Findings) -> None:
    """Recompute every feature of a candidate's pool, and see that each null has a reason and nothing else has one."""
    found, place = pool["features"], f"{pointer}/features"
    expected = _history_features(pool["pool_id"], book)
    if expected is None:
        findings.at(place, "cannot be recomputed: there is no saved chart of the pool", "a chart", pool["pool_id"])
        return
    for name, value in {**expected, **_exit(pool, book.last)}.items():
        findings.number(f"{place}/{name}", found[name], value, "what the saved rows give")
    missing = {name for name, value in found.items() if value is None}
    reasons = found["missing"]
    for name in sorted(missing ^ reasons.keys()):
        what = "is null without a reason" if name in missing else "has a reason for being null and is not"
        findings.at(f"{place}/{printable(name)}", what, "a value or a reason", found.get(name))
    for name in sorted(missing & reasons.keys()):
        if not reasons[name].strip():
            findings.at(f"{place}/missing/{name}", "is an empty reason", "a reason", "")


def _history_features(pool_id: str, book: Book) -> Values | None:
    """Return what does not depend on the position; once per pool, for candidates share pools."""
    # Kept on the book beside its own series, which are kept in the same way.
    known: dict[str, Values | None] = vars(book).setdefault("_features", {})
    if pool_id not in known:
        known[pool_id] = _computed(pool_id, book)
    return known[pool_id]


def _computed(pool_id: str, book: Book) -> Values | None:
    series = book.series(pool_id)
    if series is None:
        return None
    first = max(series.first, book.last - LARGEST_WINDOW + 1)
    apys = book.apys(pool_id, first, book.last)
    tvls = _tvls(book.evidence.charts[pool_id], series.first, first, book.last)
    if not apys or len(apys) < 2:
        return None
    rows = book.evidence.rows.get(pool_id, [])
    still = max(apys) - min(apys) <= STILL
    return {
        "days": len(apys),
        "apy_mean": math.fsum(apys) / len(apys),
        "apy_volatility": 0.0 if still else statistics.stdev(apys),
        "apy_trend": _trend(apys),
        "persistence": None if still or len(apys) < LEAST_DAYS else _persistence(apys),
        "spikes": sum(_is_spike(apys, day) for day in range(SPIKE_MEMORY, len(apys))),
        "reward_share": _reward_share(rows[0]) if rows else None,
        "tvl_change_30d": _tvl_change(tvls),
        "tvl_worst_day": _tvl_worst_day(tvls),
        "correlation_with_median": _correlation(apys, _medians(book)),
    }


def _tvls(chart: Sequence[JsonObject], begin: int, first: int, last: int) -> list[float]:
    """Return one TVL a day from ``first``; the last known one stands in, before the first known one that one.

    Empty where no TVL is recorded.
    """
    by_day: dict[int, float | None] = {}
    earliest = max(begin, last - LARGEST_WINDOW - TVL_LOOKS_BACK)
    for row in chart:
        day = ordinal(row.get("timestamp")) if isinstance(row, dict) else None
        if day is not None and earliest <= day <= last:
            by_day[day] = _number(row.get("tvlUsd"))
    known = [day for day in sorted(by_day) if by_day[day] is not None]
    if not known:
        return []
    value, tvls = by_day[known[0]] or 0.0, []
    for day in range(earliest, last + 1):
        held = by_day.get(day)
        value = value if held is None else held
        if day >= first:
            tvls.append(value)
    return tvls


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _trend(apys: Sequence[float]) -> float | None:
    recent = apys[-TREND_DAYS:]
    if len(recent) < TREND_LEAST:
        return None
    pairs = itertools.combinations(enumerate(recent), 2)
    return TREND_DAYS * statistics.median((later - earlier) / (j - i) for (i, earlier), (j, later) in pairs)


def _persistence(apys: Sequence[float]) -> float:
    mean = math.fsum(apys) / len(apys)
    pairs = math.fsum((now - mean) * (before - mean) for before, now in itertools.pairwise(apys))
    return pairs / math.fsum((apy - mean) ** 2 for apy in apys)


def _is_spike(apys: Sequence[float], day: int) -> bool:
    before = apys[day - SPIKE_MEMORY : day]
    # The median is at least the smallest: most days need no sorting.
    if apys[day] < SPIKE_RISE or apys[day] < SPIKE_RATIO * min(before) - STILL:
        return False
    median = statistics.median(before)
    return apys[day] >= round(SPIKE_RATIO * median, 12) and apys[day] >= round(median + SPIKE_RISE, 12)


def _reward_share(row: Mapping[str, object]) -> float | None:
    apy, base, reward = (fraction(row.get(key)) for key in ("apy", "apyBase", "apyReward"))
    if (base is None and reward is None) or not apy or apy <= 0.0:
        return None
    return min(1.0, (reward or 0.0) / apy)


def _tvl_change(tvls: Sequence[float]) -> float | None:
    if len(tvls) <= TVL_DAYS or min(tvls) < 0.0 or tvls[-1 - TVL_DAYS] == 0.0:
        return None
    return (tvls[-1] - tvls[-1 - TVL_DAYS]) / tvls[-1 - TVL_DAYS]


def _tvl_worst_day(tvls: Sequence[float]) -> float | None:
    falls = [(before - after) / before for before, after in itertools.pairwise(tvls) if before > 0.0]
    return max(0.0, *falls) if falls and min(tvls) >= 0.0 else None


def _medians(book: Book) -> list[float]:
    """Return the median APY of the eligible pools of each day of the longest window, as far back as any reaches."""
    known: list[float] | None = vars(book).get("_medians")
    if known is None:
        days: list[list[float]] = [[] for _ in range(LARGEST_WINDOW)]
        for pool_id in book.eligible:
            series = book.series(pool_id)
            begin = book.last + 1 if series is None else max(series.first, book.last - LARGEST_WINDOW + 1)
            apys = book.apys(pool_id, begin, book.last) if begin <= book.last else None
            for day, apy in zip(days[LARGEST_WINDOW - len(apys or ()) :], apys or (), strict=True):
                day.append(apy)
        known = vars(book)["_medians"] = [statistics.median(day) for day in days if day]
    return known


def _correlation(apys: Sequence[float], medians: Sequence[float]) -> float | None:
    days = min(len(apys), len(medians))
    if days < LEAST_DAYS:
        return None
    own, market = ([now - before for before, now in itertools.pairwise(values[-days:])] for values in (apys, medians))
    if max(own) - min(own) <= STILL or max(market) - min(market) <= STILL:
        return None
    return statistics.correlation(own, market)


def _exit(pool: JsonObject, last: int) -> Values:
    """Return the cost of leaving at once, Σ (1 − (1 − s)^k)/n for k up to n − 1, and the days at a tenth a day."""
    share, tokens = pool["share_of_pool"], max(1, len(pool["tokens"]))
    if share is None:
        return dict.fromkeys(POSITIONAL)
    cost = None
    if share <= 1.0:
        swaps = range(1, tokens)
        lost = (1.0 if share == 1.0 else -math.expm1(swap * math.log1p(-share)) for swap in swaps)
        cost = PEGGED_SHARE * math.fsum(lost) / tokens
    return {"exit_cost": cost, "days_to_exit": max(_queue(pool["project"], last), share / DAILY_SHARE)}


def _queue(project: str, last: int) -> float:
    day = dt.date.fromordinal(last).isoformat()
    return max(((since, days) for since, days in QUEUES.get(project, ()) if since <= day), default=("", 0.0))[1]
