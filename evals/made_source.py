"""A market that a case states, answered in the shape of DefiLlama's API, so that the whole workflow can be asked.

Histories are made: each pool's rate wavers by a hundredth of itself around its level and ends at it, so that no metric
is undefined and nothing but the level tells the pools apart.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tools.market.snapshot import Progress, RawRow

AS_OF = dt.date(2025, 2, 28)
DAYS = 120
WAVER = 0.01
Table = list[dict[str, str]]


@dataclass(frozen=True)
class Listed:
    """A pool as a feed lists it: dollars that can be withdrawn, rates as fractions a year."""

    id: str
    project: str
    chain: str
    symbol: str
    tvl_usd: float
    apy_base: float
    apy_reward: float = 0.0
    phase: float = 0.0

    def row(self) -> RawRow:
        """Return the row of ``/pools``, in percent."""
        return {
            "pool": self.id,
            "project": self.project,
            "chain": self.chain,
            "symbol": self.symbol,
            "tvlUsd": self.tvl_usd,
            "apy": 100.0 * (self.apy_base + self.apy_reward),
            "apyBase": 100.0 * self.apy_base,
            "apyReward": 100.0 * self.apy_reward,
            "poolMeta": None,
        }

    def chart(self, as_of: dt.date, days: int = DAYS) -> list[RawRow]:
        """Return the rows of ``/chart/{pool}``, the last on ``as_of`` with the row's own rate."""
        rates = [1.0 + WAVER * math.sin(0.7 * back + self.phase) for back in range(days)]
        return [
            {
                "timestamp": f"{as_of - dt.timedelta(days=back)}T23:01:00.000Z",
                "tvlUsd": self.tvl_usd,
                "apy": 100.0 * (self.apy_base + self.apy_reward) * (rates[back] if back else 1.0),
                "apyBase": 100.0 * self.apy_base,
                "apyReward": 100.0 * self.apy_reward,
            }
            for back in reversed(range(days))
        ]


class MadeSource:
    """A source of these pools and tables (``kind/name``) on one day; it knows of no exploit."""

    label = "made for an evaluation"
    synthetic = True

    def __init__(
        self, pools: Sequence[Listed], tables: Mapping[str, Table] | None = None, as_of: dt.date = AS_OF
    ) -> None:
        self.pools_listed, self.tables, self.as_of = tuple(pools), dict(tables or {}), as_of

    def day(self, as_of: dt.date | None) -> dt.date:
        """Return the day of the market, whatever was asked for."""
        return self.as_of

    def pools(self, as_of: dt.date) -> list[RawRow]:
        """Return the rows of ``/pools``."""
        return [pool.row() for pool in self.pools_listed]

    def charts(
        self, pool_ids: Sequence[str], as_of: dt.date, progress: Progress | None = None
    ) -> dict[str, list[RawRow] | None]:
        """Return the histories."""
        known = {pool.id: pool for pool in self.pools_listed}
        return {pool_id: known[pool_id].chart(self.as_of) if pool_id in known else None for pool_id in pool_ids}

    def hacks(self, as_of: dt.date) -> list[RawRow]:
        """Return no exploit."""
        return []

    def table(self, kind: str, name: str, as_of: dt.date) -> Table | None:
        """Return a table, or None."""
        return self.tables.get(f"{kind}/{name}")
