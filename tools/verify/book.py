"""What the checks of a record share: its amounts, its shares, and the series rebuilt from the saved rows, each once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.verify.evidence import Evidence
from tools.verify.report import Findings, printable
from tools.verify.series import LONGEST_GAP, PoolSeries, daily_return, pool_series

JsonObject = dict[str, Any]

WEIGHTS = 1e-9  # within which weights and shares agree


@dataclass
class Book:
    """What the checks of a record share: the saved rows, and the series made of them, each once."""

    record: JsonObject
    evidence: Evidence
    last: int
    _series: dict[str, PoolSeries | None] = field(default_factory=dict)
    _windows: dict[tuple[str, int, int], list[float] | None] = field(default_factory=dict)
    _returns: dict[tuple[str, int, int], list[float]] = field(default_factory=dict)

    def series(self, pool_id: str) -> PoolSeries | None:
        """Return the series of a pool, None without a usable chart."""
        if pool_id not in self._series:
            chart = self.evidence.charts.get(pool_id)
            self._series[pool_id] = pool_series(chart, self.last) if isinstance(chart, list) else None
        return self._series[pool_id]

    def apys(self, pool_id: str, first: int, last: int, findings: Findings) -> list[float] | None:
        """Return one APY a day of the window; None, and a difference, when the saved chart does not give them."""
        key = (pool_id, first, last)
        if key not in self._windows:
            series = self.series(pool_id)
            window = series.window(first, last) if series else None
            if window is None:
                findings.at(
                    "/candidates",
                    f"use pool {printable(pool_id)}, whose saved chart does not reach the window's first day",
                )
            elif window[1] > LONGEST_GAP:
                findings.at(
                    "/candidates",
                    f"use pool {printable(pool_id)}, which has {window[1]} days in a row without a usable value",
                )
            self._windows[key] = window[0] if window else None
        return self._windows[key]

    def returns(self, pool_id: str, first: int, last: int, findings: Findings) -> list[float] | None:
        """Return the daily returns of a pool over the window."""
        key = (pool_id, first, last)
        apys = self.apys(pool_id, first, last, findings)
        if apys is not None and key not in self._returns:
            self._returns[key] = [daily_return(apy) for apy in apys]
        return self._returns.get(key)


def amounts(record: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return the amount of the mandate in its asset and in dollars, None for what is not known."""
    mandate, market = record["mandate"], record["market"]
    amount, dollars = mandate["amount"], mandate["amount_usd"]
    if mandate["asset"] == "USD":
        return amount, amount
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
