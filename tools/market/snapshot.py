"""What a market source answers and what is made of it: rows, histories, the market of one day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tools.units import FloatArray

RawRow = dict[str, Any]
Progress = Callable[[int, int], None]  # (done, of)


class Source(Protocol):
    """Where market data come from. Answers are in the shape of DefiLlama's API, cut at ``as_of`` (the end of that UTC day).

    Absence is an answer: ``None`` or a missing key means that the thing does not exist at the source. A failure raises a
    ``MarketError``; a source never answers with something else than what was asked for.
    """

    label: str
    synthetic: bool

    def day(self, as_of: dt.date | None) -> dt.date:
        """Return the UTC day to decide on; raise ``SnapshotMissing`` when the source has no snapshot for ``as_of``."""

    def pools(self, as_of: dt.date) -> list[RawRow]:
        """Return the rows of ``/pools``, as they came."""

    def charts(self, pool_ids: Sequence[str], as_of: dt.date, progress: Progress | None = None) -> dict[str, list[RawRow] | None]:
        """Return the rows of ``/chart/{pool}`` for each id; None where the source has no chart of that pool."""

    def hacks(self, as_of: dt.date) -> list[RawRow]:
        """Return the exploits known at ``as_of``; an empty list where the source does not publish any."""

    def table(self, kind: str, name: str, as_of: dt.date) -> list[dict[str, str]] | None:
        """Return a table of ``prices/`` or ``rates/`` up to ``as_of`` as rows of strings; None where the source lacks it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One pool of a snapshot, checked. Rates are fractions per year; ``apy_base`` and ``apy_reward`` are None when not split."""

    pool_id: str
    project: str
    chain: str
    symbol: str
    tvl_usd: float
    apy: float
    apy_base: float | None
    apy_reward: float | None
    meta: str | None


@dataclass(frozen=True, slots=True)
class History:
    """A pool's daily history without gaps, oldest first, ending on ``last``.

    ``apy`` and ``tvl_usd`` have shape (n_days,), finite; ``apy_base`` too, with NaN where the source does not split the APY.
    """

    pool_id: str
    last: dt.date
    apy: FloatArray
    apy_base: FloatArray
    tvl_usd: FloatArray
    gaps_filled: int
    spikes_dropped: int
    constant: bool

    @property
    def days(self) -> int:
        """Return the number of days, gaps filled included."""
        return int(self.apy.shape[0])


@dataclass(frozen=True)
class Market:
    """Everything that was read for one decision.

    ``rows`` are the pools that passed their checks, sorted by id; ``excluded`` says why the others did not, by pool id.
    ``histories`` holds the usable histories of the screened pools. ``sha256`` is over all raw rows used.
    """

    source: str
    synthetic: bool
    as_of: dt.date
    pools_total: int
    rows: Mapping[str, Row]
    histories: Mapping[str, History]
    excluded: Mapping[str, str]
    screened: int
    hacks: Sequence[RawRow]
    tables: Mapping[str, Sequence[Mapping[str, str]]]
    sha256: str
    warnings: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)  # pool id → project, chain, symbol of every row, also the excluded


DayArray = npt.NDArray[np.datetime64]
