"""The series of staked ether that a folder has on record: charts of pools, and the protocol's own rate of rETH."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evals.forecasts import labels_of
from evals.outcomes import paid, rates_of
from tools.errors import SourceError
from tools.market.names import display_project
from tools.market.snapshot import Label, RawRow
from tools.market.sources.folder import FolderSource
from tools.strategies.rates import STAKED_ETH_POOL
from tools.strategies.tokens import load_tokens
from tools.units import DAYS_PER_YEAR, FloatArray, safe_label

LONGEST_GAP_DAYS = 14  # the collectors' own outages last up to 11 days; a pool silent for longer pays nothing
RETH_TABLE = "reth_eth_protocol_rate_daily.csv"
RETH_POOL = ("rocket-pool", "RETH", "Ethereum")
_PLAIN = {"ETH", "WETH"}

BoolArray = npt.NDArray[np.bool_]


class Named(NamedTuple):
    """A series: the pool's id and names, its tokens, and whether money enters it by swapping (a pool of several)."""

    id: str
    label: Label
    tokens: tuple[str, ...]

    @property
    def amm(self) -> bool:
        """Tell whether the series is a pool of several tokens."""
        return len(self.tokens) > 1

    @property
    def name(self) -> str:
        """Return the name to show."""
        label = self.label
        return f"{display_project(label.project)} {safe_label(label.symbol, 24)}, {safe_label(label.chain, 16)}"


@dataclass(frozen=True)
class Panel:
    """Daily series side by side; all arrays (n_days, n_series).

    ``apy`` is what was paid on the day, a fraction per year: the last one on days without a row, 0 after
    ``LONGEST_GAP_DAYS`` of them, NaN before a series begins. ``recorded`` tells the days that have a row. ``tvl_usd``
    is the last known at the end of the day, NaN where none is on record (rETH: its rate holds no size).
    """

    days: tuple[dt.date, ...]
    series: tuple[Named, ...]
    apy: FloatArray
    recorded: BoolArray
    tvl_usd: FloatArray

    def place(self, day: dt.date) -> int:
        """Return the row of a day; raises ValueError for a day outside."""
        return self.days.index(day)

    @property
    def staked(self) -> int | None:
        """Return the column of plain stETH, what doing nothing in particular earns; None where it is missing."""
        found = [n for n, one in enumerate(self.series) if _key(one.label) == STAKED_ETH_POOL]
        return found[0] if found else None


def read_panel(source: FolderSource, first: dt.date, last: dt.date) -> Panel:
    """Read every series of staked ether with a row from ``first`` to ``last``.

    That is every chart whose tokens are ether or stand for it, at least one of them a staked or restaked one, and rETH
    by the rate at which the protocol redeems it. What a pool is called comes from the snapshots, of whatever day.
    Raises ``SourceError`` where there is none.
    """
    days = tuple(first + dt.timedelta(days=n) for n in range((last - first).days + 1))
    labels = labels_of(source.folder, source)
    named = [Named(pool_id, label, tokens) for pool_id, label in sorted(labels.items()) if (tokens := _staked(label))]
    charts = source.charts([one.id for one in named], last)
    columns = [(one, column) for one in named if (rows := charts[one.id]) and (column := _column(rows, days))]
    reth = next((one for one in named if _key(one.label) == RETH_POOL), None)
    rate = source.table("prices", RETH_TABLE, last)
    if reth is not None and rate and (column := _reth(rate, days)):
        columns = [*((one, own) for one, own in columns if one.id != reth.id), (reth, column)]
    if not columns:
        raise SourceError(f"{source.label} holds no series of staked ether between {first} and {last}")
    return Panel(
        days,
        tuple(one for one, _ in columns),
        np.column_stack([apy for _, (apy, _, _) in columns]),
        np.column_stack([recorded for _, (_, recorded, _) in columns]),
        np.column_stack([sizes for _, (_, _, sizes) in columns]),
    )


def _key(label: Label) -> tuple[str, str, str]:
    return label.project, label.symbol.upper(), label.chain


def _staked(label: Label) -> tuple[str, ...]:
    """Return the tokens of a pool of nothing but ether and what stands for it, staked; none for any other."""
    table = load_tokens()
    tokens = table.tokens_of(label.project, label.symbol)
    return tokens if table.allowed("ETH", tokens) and set(tokens) - _PLAIN else ()


_Column = tuple[FloatArray, BoolArray, FloatArray]


def _column(rows: Sequence[RawRow], days: Sequence[dt.date]) -> _Column | None:
    """Return what a chart paid on each day, on which days it has a row, and its TVL; None without a row."""
    rates = rates_of(rows)
    recorded = np.array([day.isoformat() in rates for day in days])
    if not recorded.any():
        return None
    apy = paid(rows, days[0] - dt.timedelta(days=1), len(days), LONGEST_GAP_DAYS).apy
    apy[: int(np.argmax(recorded))] = math.nan
    sizes = {str(row.get("timestamp"))[:10]: row.get("tvlUsd") for row in rows}
    return apy, recorded, _carried(sizes, days)


def _carried(values: Mapping[str, Any], days: Sequence[dt.date]) -> FloatArray:
    """Return the last known finite value at the end of each day (n_days,), NaN before the first."""
    found, last = np.full(len(days), math.nan), math.nan
    for place, day in enumerate(days):
        value = values.get(day.isoformat())
        if isinstance(value, int | float) and math.isfinite(value):
            last = float(value)
        found[place] = last
    return found


def _reth(table: Sequence[Mapping[str, str]], days: Sequence[dt.date]) -> _Column | None:
    """Return what rETH's rate grew by from day to day, as a rate per year.

    Growth over days without a row is booked on the day of the next one, as a holder saw it; nothing is interpolated.
    After the last row the series ends: 0, and not recorded.
    """
    rates = {row["date"][:10]: float(row["eth_per_reth"]) for row in table}
    recorded = np.array([day.isoformat() in rates for day in days])
    before = (days[0] - dt.timedelta(days=1)).isoformat()
    level = _carried(rates, [days[0] - dt.timedelta(days=1), *days])
    if not recorded.any() or (before not in rates and not recorded[0]):
        return None
    apy = (level[1:] / level[:-1]) ** DAYS_PER_YEAR - 1.0
    return apy, recorded, np.full(len(days), math.nan)


def eth_returns(source: FolderSource, days: Sequence[dt.date]) -> FloatArray:
    """Return what ether in dollars did on each day (n_days,), by daily closes.

    Raises ``SourceError`` where a close is missing: a price is never filled in.
    """
    rows = source.table("prices", "eth_usd_daily.csv", days[-1]) or []
    closes = {row["date"][:10]: row["close"] for row in rows}
    wanted = [(days[0] - dt.timedelta(days=1)).isoformat(), *(day.isoformat() for day in days)]
    missing = [day for day in wanted if not closes.get(day)]
    if missing:
        raise SourceError(f"{source.label} has no price of ether on {missing[0]}")
    prices = np.array([float(closes[day]) for day in wanted])
    return np.asarray(prices[1:] / prices[:-1] - 1.0)
