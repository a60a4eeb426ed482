"""What the checks of a record share: its amounts and shares, and the series rebuilt from the saved rows, each once."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.verify.evidence import Evidence
from tools.verify.series import PoolSeries, daily_return, pool_series

JsonObject = dict[str, Any]

WEIGHTS = 1e-9  # within which weights and shares agree


@dataclass
class Book:
    """A record, the rows saved beside it, and the series made of them; ``last``: the ordinal of its day."""

    record: JsonObject
    evidence: Evidence
    last: int
    _series: dict[str, PoolSeries | None] = field(default_factory=dict)
    _apys: dict[tuple[str, int, int], list[float] | None] = field(default_factory=dict)
    _returns: dict[tuple[str, int, int], list[float]] = field(default_factory=dict)

    @functools.cached_property
    def eligible(self) -> dict[str, None]:
        """Return the ids of the eligible pools, each once, in their order."""
        return dict.fromkeys(self.record["market"]["benchmark_pools"])

    def series(self, pool_id: str) -> PoolSeries | None:
        """Return the series of a pool, None without a usable chart."""
        if pool_id not in self._series:
            chart = self.evidence.charts.get(pool_id)
            lenient = "data" in self.record["off"]  # then spikes count as rates
            self._series[pool_id] = pool_series(chart, self.last, lenient) if isinstance(chart, list) else None
        return self._series[pool_id]

    def apys(self, pool_id: str, first: int, last: int) -> list[float] | None:
        """Return one APY a day of the window, None when the saved chart does not reach its first day."""
        key = (pool_id, first, last)
        if key not in self._apys:
            series = self.series(pool_id)
            self._apys[key] = series.window(first, last) if series else None
        return self._apys[key]

    def returns(self, pool_id: str, first: int, last: int) -> list[float] | None:
        """Return the daily returns of a pool over the window, None as ``apys``."""
        key = (pool_id, first, last)
        apys = self.apys(pool_id, first, last)
        if apys is not None and key not in self._returns:
            self._returns[key] = [daily_return(apy) for apy in apys]
        return self._returns.get(key)

    def benchmark(self, window: tuple[int, int]) -> list[float]:
        """Return the per-day median return of the eligible pools; a day counts those whose history has begun."""
        days: list[list[float]] = [[] for _ in range(window[0], window[1] + 1)]
        for pool_id in self.eligible:
            series = self.series(pool_id)
            begin = window[1] + 1 if series is None else max(window[0], series.first)
            returns = self.returns(pool_id, begin, window[1]) if begin <= window[1] else None
            for day, value in zip(days[begin - window[0] :], returns or [], strict=False):
                day.append(value)
        return [statistics.median(day) if day else 0.0 for day in days]

    @functools.cached_property
    def market_apy(self) -> float | None:
        """Return the median APY of the eligible pools on the day decided on; None when none has a series."""
        apys = [apys[0] for pool_id in self.eligible if (apys := self.apys(pool_id, self.last, self.last))]
        return statistics.median(apys) if apys else None


def amounts(record: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return the amount of the mandate in its asset and in dollars, None for what is not known."""
    mandate, market = record["mandate"], record["market"]
    amount, dollars = mandate["amount"], mandate["amount_usd"]
    if mandate["asset"] == "USD":
        known = dollars if amount is None else amount
        return known, known
    price = market["price_usd"] if market else None
    if amount is None and dollars is not None and price:
        return dollars / price, dollars
    if amount is not None and dollars is None and price:
        return amount, amount * price
    return amount, dollars


def shares(candidate: JsonObject, key: str) -> dict[str, float]:
    """Return the weight behind each name of a pool's field."""
    total: dict[str, float] = {}
    for pool in candidate["pools"]:
        total[pool[key]] = total.get(pool[key], 0.0) + pool["weight"]
    return total


def issuer_bounds(candidate: JsonObject) -> dict[str, tuple[float, float]]:
    """Return the least and the most weight that can stand behind each issuer.

    A pool's weight is split equally over its tokens, and each issuer of a token carries the token's share in full. The
    record names a pool's issuers together: for a pool of one token the share is exact, for others it lies between one
    token's share and the whole.
    """
    bounds: dict[str, tuple[float, float]] = {}
    for pool in candidate["pools"]:
        for issuer in set(pool["issuers"]):
            least, most = bounds.get(issuer, (0.0, 0.0))
            bounds[issuer] = (least + pool["weight"] / max(1, len(pool["tokens"])), most + pool["weight"])
    return bounds


def rewards(candidate: JsonObject) -> tuple[float, float | None]:
    """Return the weight of the pools that split their APY, and the share of rewards in the APY of these pools.

    The share is None where they pay nothing.
    """
    split = [pool for pool in candidate["pools"] if pool["apy_base"] is not None or pool["apy_reward"] is not None]
    paid = sum(pool["weight"] * pool["apy"] for pool in split)
    rewarded = sum(pool["weight"] * (pool["apy_reward"] or 0.0) for pool in split)
    return sum(pool["weight"] for pool in split), min(1.0, rewarded / paid) if paid > 0.0 else None
