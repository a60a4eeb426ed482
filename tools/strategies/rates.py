"""What can be earned without choosing: the risk-free rate of each asset at a date."""

from __future__ import annotations

import csv
import datetime as dt
import functools
from importlib import resources
from typing import NamedTuple

import numpy as np

from tools.market.snapshot import Market
from tools.records import Asset, RiskFree
from tools.units import from_percent

STAKED_ETH_POOL = ("lido", "STETH", "Ethereum")
STALE_AFTER_MONTHS = 6


class DatedRate(NamedTuple):
    """A monthly rate of the file: ``month`` is YYYY-MM, the rate a fraction per year."""

    month: str
    rate: float
    source: str


def risk_free_rate(asset: Asset, market: Market) -> RiskFree:
    """Return the risk-free rate of the asset at the market's date, with its source.

    USD: the 3-month Treasury bill of the last completed month. ETH: the 30-day mean of the stETH pool where the market
    has it, else the newest rate on file. BTC: nothing is paid for holding it. A rate on file older than six months, or
    later than the decision because the file begins there, says so in its source.
    """
    staked = _staked_eth(market) if asset == "ETH" else None
    if staked is not None:
        return RiskFree(rate=staked, source=f"stETH on Lido, mean of the 30 days to {market.as_of.isoformat()}")
    this_month = market.as_of.isoformat()[:7]
    known = [entry for entry in dated_rates(asset) if entry.month < this_month]
    newest = known[-1] if known else dated_rates(asset)[0]
    if asset == "BTC":
        return RiskFree(rate=newest.rate, source=newest.source)
    age = _months(newest.month, this_month)
    stale = f", {age} months before the decision" if age > STALE_AFTER_MONTHS else ""
    later = ", later than the decision, for want of an earlier one" if not known else ""
    return RiskFree(rate=newest.rate, source=f"{newest.source} of {newest.month}{stale}{later}")


def _staked_eth(market: Market) -> float | None:
    for pool_id in sorted(market.histories):
        row = market.rows[pool_id]
        if (row.project, row.symbol.upper(), row.chain) == STAKED_ETH_POOL:
            return float(np.mean(market.histories[pool_id].apy[-30:]))
    return None


def _months(earlier: str, later: str) -> int:
    a, b = dt.date.fromisoformat(f"{earlier}-01"), dt.date.fromisoformat(f"{later}-01")
    return (b.year - a.year) * 12 + b.month - a.month


@functools.cache
def dated_rates(asset: Asset) -> tuple[DatedRate, ...]:
    """Return the monthly rates on file for an asset, the oldest first."""
    text = (resources.files(__package__) / "data" / "risk_free.csv").read_text(encoding="utf-8")
    rows = (row for row in csv.DictReader(text.splitlines()) if row["asset"] == asset)
    return tuple(
        sorted(DatedRate(row["month"], from_percent(float(row["rate_percent"])), row["source"]) for row in rows)
    )
