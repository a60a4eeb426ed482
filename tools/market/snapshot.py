"""What a market source answers and what is made of it: rows, histories, the market of one day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tools.units import FloatArray

RawRow = dict[str, Any]
Progress = Callable[[int, int], None]  # (done, of)


class Source(Protocol):
    """Where market data come from, in the shape of DefiLlama's API.

    Answers are cut at ``as_of``, the end of that UTC day. Absence is an answer: ``None`` or a missing key means that
    the thing does not exist at the source. A failure raises a ``MarketError``; a source never answers with something
    else than what was asked for.
    """

    label: str
    synthetic: bool

    def day(self, as_of: dt.date | None) -> dt.date:
        """Return the UTC day to decide on; raise ``SnapshotMissing`` when the source has no snapshot for ``as_of``."""

    def pools(self, as_of: dt.date) -> list[RawRow]:
        """Return the rows of ``/pools``, as they came."""

    def charts(
        self, pool_ids: Sequence[str], as_of: dt.date, progress: Progress | None = None
    ) -> dict[str, list[RawRow] | None]:
        """Return the rows of ``/chart/{pool}`` for each id; None where the source has no chart of that pool.

        An id that is left out failed: it could not be fetched, though the others could. Too many failures raise a
        ``MarketError``.
        """

    def hacks(self, as_of: dt.date) -> list[RawRow]:
        """Return the exploits known at ``as_of``; an empty list where the source does not publish any."""

    def table(self, kind: str, name: str, as_of: dt.date) -> list[dict[str, str]] | None:
        """Return a table of ``prices/`` or ``rates/`` up to ``as_of`` as rows of strings.

        None where the source lacks it.
        """


@dataclass(frozen=True, slots=True)
class Row:
    """One pool of a snapshot, checked. Rates are fractions per year.

    ``apy_base`` and ``apy_reward`` are None when not split.
    """

    pool_id: str
    project: str
    chain: str
    symbol: str
    tvl_usd: float
    apy: float
    apy_base: float | None
    apy_reward: float | None
    meta: str | None


class Label(NamedTuple):
    """What a pool is called, as the market has it.

    Never to be shown or sent to a model without ``units.safe_label``.
    """

    project: str
    chain: str
    symbol: str


@dataclass(frozen=True, slots=True)
class History:
    """A pool's daily history without gaps, oldest first: at most the 365 days that end on ``last``, the decision's day.

    ``apy`` and ``tvl_usd`` have shape (n_days,), finite. ``first`` is the first day on record, which may lie further
    back than the arrays.
    """

    pool_id: str
    first: dt.date
    last: dt.date
    apy: FloatArray
    tvl_usd: FloatArray
    gaps_filled: int
    spikes_dropped: int
    constant: bool

    @property
    def days(self) -> int:
        """Return the days on record from the first to the last, both included."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True)
class Market:
    """Everything that was read for one decision.

    ``rows`` are the pools that passed their checks, ``screened`` those of them whose histories were wanted,
    ``histories`` the usable ones; ``excluded`` says, by id, why each other pool has none. ``sha256`` is over all raw
    rows that were read. ``tables`` are price tables by file name, None where the source lacks one.
    """

    source: str
    synthetic: bool
    as_of: dt.date
    pools_total: int
    rows: Mapping[str, Row]
    screened: frozenset[str]
    histories: Mapping[str, History]
    excluded: Mapping[str, str]
    labels: Mapping[str, Label]
    protocol_tvl_usd: Mapping[str, float]
    hacks: Sequence[RawRow]
    prices: Sequence[Mapping[str, str]] | None
    tables: Mapping[str, Sequence[Mapping[str, str]] | None]
    sha256: str
    warnings: tuple[str, ...] = ()
