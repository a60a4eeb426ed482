"""What happened after the decisions: yields paid, pools gone silent, exploits, token prices, and what moving cost.

This is outcome data: it is read to the end of the record and never handed to a decision.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from evals.backtest.records import Holding
from evals.outcomes import Paid, paid
from tools.errors import MarketError
from tools.market.load import COST_TABLES, TOKEN_TABLES
from tools.market.quality import parse_rows
from tools.market.snapshot import RawRow, Source
from tools.records import digest
from tools.risk.costs import Cost, exit_cost, gas_usd
from tools.risk.protocol import Exploit, exploits_by_family
from tools.sizing import bridge_cost
from tools.strategies.universe import protocol_tvl
from tools.units import FloatArray

_Table = list[dict[str, str]]


class Exploited(NamedTuple):
    """An exploit of a protocol within the window, on the day of this number (1 is the first after the first decision).

    ``share`` is the amount over what the protocol's recorded pools held the day before, at most 1; None where one of
    the two is unknown.
    """

    day: int
    share: float | None
    note: str


class Realised:
    """What came of pools from the end of ``first`` to the end of ``last``; arrays are (n_days,), day 1 first.

    ``holdings`` are all that any strategy holds. A day's number counts from ``first``, which is 0.
    """

    def __init__(self, source: Source, holdings: Sequence[Holding], first: dt.date, last: dt.date) -> None:
        self.first, self.days = first, (last - first).days
        pools = sorted({one.pool_id for one in holdings})
        charts = {pool_id: rows or [] for pool_id, rows in source.charts(pools, last).items()}
        names = sorted({*COST_TABLES, *TOKEN_TABLES.values()})
        self._tables: dict[str, _Table | None] = {name: source.table("prices", name, last) for name in names}
        hacks = source.hacks(last)
        self.sha256 = digest([charts, self._tables, hacks])
        self._paid = {pool_id: paid(charts.get(pool_id, []), first, self.days) for pool_id in pools}
        self._sizes = {pool_id: _sizes(charts.get(pool_id, [])) for pool_id in pools}
        self._closes = {token: _closes(self._tables[name]) for token, name in TOKEN_TABLES.items()}
        found = exploits_by_family(hacks, last)
        self._exploits = {
            family: tuple(self._exploited(source, family, one) for one in found.get(family, ()) if self._within(one))
            for family in sorted({one.family for one in holdings})
        }
        self._gas: dict[tuple[str, int, bool], Cost] = {}

    def date(self, day: int) -> dt.date:
        """Return the date of a day's number."""
        return self.first + dt.timedelta(days=day)

    def number(self, day: str) -> int:
        """Return the number of a date."""
        return (dt.date.fromisoformat(day) - self.first).days

    def paid(self, pool_id: str) -> Paid:
        """Return what a pool paid on each day."""
        return self._paid[pool_id]

    def price_growth(self, tokens: Sequence[str]) -> FloatArray:
        """Return the factor by which each day changed the price of equal parts of tokens; 1 without a price."""
        return np.asarray(np.mean([self._token_growth(token) for token in tokens], axis=0))

    def at_par(self, tokens: Sequence[str]) -> list[str]:
        """Name the tokens that no prices are recorded of: they are held at par."""
        return sorted(token for token in tokens if not self._closes.get(token))

    def exploits(self, family: str) -> tuple[Exploited, ...]:
        """Return the exploits of a protocol within the window."""
        return self._exploits[family]

    def gas(self, chain: str, day: int, *, amm: bool) -> Cost:
        """Price one visit to a pool in dollars, as known at the end of the day."""
        key = chain, day, amm
        if key not in self._gas:
            gas, ether = (self._tables[name] for name in COST_TABLES)
            self._gas[key] = gas_usd(chain, 1, gas, ether, self.date(day), amm=amm)
        return self._gas[key]

    def slippage(self, holding: Holding, moved_usd: float, day: int) -> Cost:
        """Price getting so many dollars into or out of a pool, as a share of them.

        At the size that the pool had on the day, or when it last reported.
        """
        stamps, sizes = self._sizes[holding.pool_id]
        place = bisect_right(stamps, self.date(day).isoformat())
        if not place:
            return Cost(None, "the pool's size is not known")
        tokens = len(holding.tokens)
        return exit_cost(moved_usd, sizes[place - 1], tokens, amm=tokens > 1, pegged=True)

    def bridge(self, chain: str, tokens: Sequence[str], day: int) -> Cost:
        """Price one crossing between Ethereum and a chain, as a share of the money and without gas."""
        both_ways = bridge_cost(chain, tokens, self.date(day))
        return both_ways if both_ways.value is None else Cost(both_ways.value / 2.0)

    def _token_growth(self, token: str) -> FloatArray:
        """Return the daily price factors of a token; a day without a close keeps the last one."""
        closes = self._closes.get(token)
        if not closes:
            return np.ones(self.days)
        prices: list[float] = []
        for day in range(self.days + 1):
            known = closes.get(self.date(day).isoformat())
            prices.append(known or (prices[-1] if prices else 1.0))
        return np.asarray(prices[1:]) / np.asarray(prices[:-1], dtype=np.float64)

    def _within(self, exploit: Exploit) -> bool:
        return exploit.day is not None and 1 <= (exploit.day - self.first).days <= self.days

    def _exploited(self, source: Source, family: str, exploit: Exploit) -> Exploited:
        assert exploit.day is not None
        before = exploit.day - dt.timedelta(days=1)
        try:
            held = protocol_tvl(parse_rows(source.pools(before))).get(family)
        except MarketError:
            held = None
        known = exploit.loss_usd is not None and held
        share = min(1.0, exploit.loss_usd / held) if exploit.loss_usd is not None and held else None
        what = f"{exploit.loss_usd:,.0f} of {held:,.0f} dollars" if known else "the amount or the size is not known"
        return Exploited((exploit.day - self.first).days, share, f"{exploit.name}: {what}")


def _sizes(chart: Sequence[RawRow]) -> tuple[list[str], list[float]]:
    """Return the days on which a pool told its size, in their order, and the sizes in dollars."""
    told = {
        str(row["timestamp"])[:10]: float(row["tvlUsd"])
        for row in chart
        if isinstance(row.get("timestamp"), str) and type(row.get("tvlUsd")) in {int, float} and row["tvlUsd"] >= 0.0
    }
    return sorted(told), [told[day] for day in sorted(told)]


def _closes(rows: Sequence[Mapping[str, str]] | None) -> dict[str, float]:
    """Return the closes of a table by day; what is no number above 0 is none."""
    found: dict[str, float] = {}
    for row in rows or ():
        try:
            price = float(row.get("close", ""))
        except ValueError:
            continue
        if 0.0 < price < float("inf"):
            found[row.get("date", "")[:10]] = price
    return found
