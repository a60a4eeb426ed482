"""Daily series of a pool, rebuilt from the saved chart rows by the rules of the market's quality checks.

One value a UTC day, the last row of the day. A day is missing when it has no row, when its APY is no number from 0 to
1000 %, or when it is a spike: at least 10 times the median of the (up to 30) valid values before it, and at least 20
percentage points above that median; fewer than 7 values before it decide nothing. Missing days take the last value
before them, at most 3 in a row.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DAYS_PER_YEAR = 365
LARGEST_WINDOW = 365
LONGEST_GAP = 3
LARGEST_PERCENT = 1000.0
SPIKE_RATIO, SPIKE_RISE, SPIKE_MEMORY, SPIKE_LEAST_BEFORE = 10.0, 0.20, 30, 7

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class PoolSeries:
    """A pool's usable values (APY as a fraction) by ordinal day, its spikes, and the first day with a valid value."""

    first: int
    usable: Mapping[int, float]
    spikes: frozenset[int]

    def window(self, first: int, last: int) -> list[float] | None:
        """Return one APY a day from ``first`` to ``last``; None without a value to begin with."""
        value = self.usable.get(first)
        if value is None:
            value = self.usable.get(max((day for day in self.usable if day < first), default=0))
        if value is None:
            return None
        values = []
        for day in range(first, last + 1):
            value = self.usable.get(day, value)
            values.append(value)
        return values

    def missing(self, first: int, last: int) -> list[int]:
        """Return the days from ``first`` (or the pool's own first) to ``last`` without a usable value."""
        return [day for day in range(max(first, self.first), last + 1) if day not in self.usable]


def longest_run(days: Sequence[int]) -> int:
    """Return the length of the longest run of consecutive days in an ascending list."""
    longest = run = 0
    for index, day in enumerate(days):
        run = run + 1 if index and day == days[index - 1] + 1 else 1
        longest = max(longest, run)
    return longest


def ordinal(text: object) -> int | None:
    """Return the ordinal of the UTC day that a timestamp begins with, None when it begins with none."""
    return _ordinal(text[:10]) if isinstance(text, str) else None


@functools.lru_cache(maxsize=4096)  # charts share their days
def _ordinal(day: str) -> int | None:
    try:
        return dt.date.fromisoformat(day).toordinal() if _DAY.fullmatch(day) else None
    except ValueError:
        return None


def fraction(percent: object) -> float | None:
    """Return percent as a fraction with 12 decimals (the API gives five of percent), None for what is no number."""
    if isinstance(percent, bool) or not isinstance(percent, (int, float)):
        return None
    return round(percent / 100.0, 12)


def pool_series(chart: Sequence[Any], last: int, lenient: bool = False) -> PoolSeries | None:
    """Build the series of a pool from its chart up to the ordinal day ``last``; ``lenient`` takes spikes for rates.

    None when the chart has no valid value.
    """
    valid: dict[int, float] = {}
    for row in chart:
        day = ordinal(row.get("timestamp")) if isinstance(row, dict) else None
        if day is None or day > last:
            continue
        valid.pop(day, None)
        apy = fraction(row.get("apy"))
        if apy is not None and 0.0 <= apy <= LARGEST_PERCENT / 100.0:
            valid[day] = apy
    if not valid:
        return None
    days = sorted(valid)
    values = [valid[day] for day in days]
    spikes = frozenset(day for n, day in enumerate(days) if not lenient and _spike(values, n))
    return PoolSeries(days[0], {day: value for day, value in valid.items() if day not in spikes}, spikes)


def _spike(values: Sequence[float], n: int) -> bool:
    # A value below the rise cannot lie that much above a median that is not negative: most days need no median.
    if n < SPIKE_LEAST_BEFORE or values[n] < SPIKE_RISE:
        return False
    before = sorted(values[max(0, n - SPIKE_MEMORY) : n])
    middle = len(before) // 2
    median = before[middle] if len(before) % 2 else (before[middle - 1] + before[middle]) / 2.0
    return values[n] >= SPIKE_RATIO * median and values[n] >= median + SPIKE_RISE


def daily_return(apy: float) -> float:
    """Turn an APY into the simple daily return (1 + apy)^(1/365) − 1."""
    return float((1.0 + apy) ** (1.0 / DAYS_PER_YEAR)) - 1.0
