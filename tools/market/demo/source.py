"""Serve the synthetic market in the shape of DefiLlama's API, as it was known at the end of any of its days."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tools.errors import SnapshotMissing, SourceError
from tools.market.demo.catalogue import DAYS, FIRST_DAY, LAST_DAY, Pool, list_pools
from tools.market.demo.oddities import ROW_FAULTS, adapt, choose, distort
from tools.market.demo.series import APY_DECIMALS, IntArray, Series, simulate
from tools.market.demo.tables import bill_table, list_hacks, price_table
from tools.market.snapshot import Progress, RawRow
from tools.units import FloatArray

MEAN_DAYS = 30
DUPLICATE_APY_RISE = 3.0
_STAMPS = [(FIRST_DAY + dt.timedelta(days=n)).isoformat() + "T23:01:00.000Z" for n in range(DAYS)]


@dataclass(frozen=True)
class World:
    """The market of one seed. ``carriers`` maps a fault to the places, in ``pools``, of those that carry it."""

    pools: tuple[Pool, ...]
    series: Series
    carriers: Mapping[str, tuple[int, ...]]
    places: Mapping[str, int]


@functools.lru_cache(maxsize=2)
def build_world(seed: int) -> World:
    """Make the market of a seed; a fraction of a second and 60 MB, so the last two are kept."""
    pools = list_pools(seed)
    chosen = choose(pools, seed)
    adapt(pools, chosen)
    series = simulate(pools, seed)
    distort(series, chosen, seed)
    series.freeze()
    carriers = {name: tuple(numbers) for name, numbers in chosen.items()}
    carriers["unsplit"] = tuple(n for n, pool in enumerate(pools) if pool.split == "none")
    return World(tuple(pools), series, carriers, {pool.pool_id: n for n, pool in enumerate(pools)})


class DemoSource:
    """The embedded synthetic market as a market source (see ``tools.market.snapshot.Source``).

    Every day from ``FIRST_DAY`` to ``LAST_DAY`` can be asked for; all days show the same series, cut. Nothing is
    computed before the first question.

    Raises
    ------
    SourceError
        When the seed is negative.
    """

    label = "demo"
    synthetic = True

    def __init__(self, seed: int = 0) -> None:
        if seed < 0:
            raise SourceError(f"the seed of the demo market must be 0 or more, not {seed}")
        self.seed = seed

    @property
    def planted(self) -> Mapping[str, frozenset[str]]:
        """Return which pools carry which fault: its name → pool ids (``docs/demo-market.md`` lists the faults)."""
        world = build_world(self.seed)
        return {
            name: frozenset(world.pools[n].pool_id for n in numbers) for name, numbers in sorted(world.carriers.items())
        }

    def day(self, as_of: dt.date | None) -> dt.date:
        """Return ``as_of``, or the last day when it is None; raise ``SnapshotMissing`` outside the two years."""
        if as_of is None:
            return LAST_DAY
        if not FIRST_DAY <= as_of <= LAST_DAY:
            raise SnapshotMissing(
                f"the demo market has no snapshot for {as_of}; it has every day from {FIRST_DAY} to {LAST_DAY}"
            )
        return as_of

    def pools(self, as_of: dt.date) -> list[RawRow]:
        """Return the rows of ``/pools`` at the end of ``as_of``; a dead pool stays listed with its last values."""
        world = build_world(self.seed)
        rows = dict(_snapshot_rows(world, self._number(as_of)))
        for name, (_, fault) in ROW_FAULTS.items():
            for n, place in enumerate(world.carriers[name]):
                if place in rows:
                    fault(rows[place], n)
        twins = [dict(rows[place]) for place in world.carriers["duplicate_id"] if place in rows]
        for twin in twins:
            twin["apy"] = round(twin["apy"] + DUPLICATE_APY_RISE, APY_DECIMALS)
        return [*rows.values(), *twins]

    def charts(
        self, pool_ids: Sequence[str], as_of: dt.date, progress: Progress | None = None
    ) -> dict[str, list[RawRow] | None]:
        """Return the rows of ``/chart/{pool}`` up to ``as_of``; None where the id is unknown or has no chart."""
        world = build_world(self.seed)
        days = self._number(as_of) + 1
        charts: dict[str, list[RawRow] | None] = {}
        for done, pool_id in enumerate(pool_ids, start=1):
            place = world.places.get(pool_id)
            without = place is None or place in world.carriers["no_chart"]
            charts[pool_id] = None if place is None or without else _chart_rows(world, place, days)
            if progress is not None:
                progress(done, len(pool_ids))
        return charts

    def hacks(self, as_of: dt.date) -> list[RawRow]:
        """Return the invented exploits known at the end of ``as_of``."""
        return list_hacks(self.day(as_of))

    def table(self, kind: str, name: str, as_of: dt.date) -> list[dict[str, str]] | None:
        """Return the prices of ETH or BTC, or the 3-month bill, up to ``as_of``; None for any other table."""
        day = self.day(as_of)
        if kind == "prices":
            return price_table(self.seed, name, day)
        if (kind, name) == ("rates", "us_3_month_bill_monthly.csv"):
            return bill_table(self.seed, day)
        return None

    def _number(self, as_of: dt.date) -> int:
        return (self.day(as_of) - FIRST_DAY).days


def _chart_rows(world: World, place: int, days: int) -> list[RawRow]:
    series, split = world.series, world.pools[place].split
    seen = np.flatnonzero(series.observed[place, :days])
    base, reward = series.base[place, seen].tolist(), series.reward[place, seen].tolist()
    totals = np.round(series.base[place, seen] + series.reward[place, seen], APY_DECIMALS).tolist()
    tvl = series.tvl_usd[place, seen].tolist()
    first_split = int(series.split_from[place])
    rows: list[RawRow] = []
    for n, day in enumerate(seen.tolist()):
        apy_base, apy_reward = _parts(split if day >= first_split else "none", base[n], reward[n], totals[n])
        rows.append(
            {
                "timestamp": _STAMPS[day],
                "tvlUsd": tvl[n],
                "apy": totals[n],
                "apyBase": apy_base,
                "apyReward": apy_reward,
                "il7d": None,
                "apyBase7d": None,
            }
        )
    return rows


def _parts(split: str, base: float, reward: float, total: float) -> tuple[float | None, float | None]:
    """Return what the feed tells of the APY's parts: base and reward, either, or neither."""
    if split == "both":
        return base, reward
    return (total if split == "base" else None), (total if split == "reward" else None)


def _snapshot_rows(world: World, day: int) -> Iterator[tuple[int, RawRow]]:
    """Yield each listed pool's place and row; its values are those of its last day on record."""
    series = world.series
    observed = series.observed[:, : day + 1]
    count = observed.sum(axis=1)
    last = day - np.argmax(observed[:, ::-1], axis=1)  # today for a pool without a single day
    every = np.arange(last.size)
    totals = series.apy(every, last)
    base, reward, tvl = (values[every, last].tolist() for values in (series.base, series.reward, series.tvl_usd))
    changes = [_changes(series, totals, last, lag) for lag in (1, 7, 30)]
    means = _recent_means(series, day)
    splits_late = (last < series.split_from).tolist()
    for n in np.flatnonzero((count > 0) | (~series.observed.any(axis=1) & (day == DAYS - 1))).tolist():
        pool = world.pools[n]
        apy_base, apy_reward = _parts("none" if splits_late[n] else pool.split, base[n], reward[n], float(totals[n]))
        figures = {
            "tvlUsd": tvl[n],
            "apyBase": apy_base,
            "apyReward": apy_reward,
            "apy": float(totals[n]),
            "apyPct1D": changes[0][n],
            "apyPct7D": changes[1][n],
            "apyPct30D": changes[2][n],
            "apyMean30d": means[n],
            "count": int(count[n]),
        }
        yield n, _row(pool, figures)


def _changes(series: Series, totals: FloatArray, last: IntArray, lag: int) -> list[float | None]:
    """Return the change of the APY over ``lag`` days in percentage points; None where that day is not on record."""
    every = np.arange(last.size)
    before = np.maximum(last - lag, 0)
    known = (last >= lag) & series.observed[every, before] & series.observed[every, last]
    change = np.round(totals - series.apy(every, before), APY_DECIMALS)
    return [value if known[n] else None for n, value in enumerate(change.tolist())]


def _recent_means(series: Series, day: int) -> list[float | None]:
    """Return the mean APY of the days on record among the last 30; None where there is none."""
    window = slice(max(0, day + 1 - MEAN_DAYS), day + 1)
    observed = series.observed[:, window]
    count = observed.sum(axis=1)
    sums = np.where(observed, series.apy(slice(None), window), 0.0).sum(axis=1)
    means = np.round(sums / np.maximum(count, 1), APY_DECIMALS).tolist()
    return [mean if count[n] else None for n, mean in enumerate(means)]


def _row(pool: Pool, figures: Mapping[str, Any]) -> RawRow:
    """Return a row in the API's shape; what the demo market does not have is null."""
    several = "-" in pool.symbol
    return {
        "chain": pool.chain,
        "project": pool.project,
        "symbol": pool.symbol,
        **figures,
        "rewardTokens": None,
        "pool": pool.pool_id,
        "stablecoin": pool.asset == "USD",
        "ilRisk": "yes" if several and pool.asset == "other" else "no",
        "exposure": "multi" if several else "single",
        "predictions": {"predictedClass": None, "predictedProbability": None, "binnedConfidence": None},
        "poolMeta": pool.meta,
        "mu": None,
        "sigma": None,
        "outlier": None,
        "underlyingTokens": None,
        "il7d": None,
        "apyBase7d": None,
        "volumeUsd1d": None,
        "volumeUsd7d": None,
        "apyBaseInception": None,
    }
