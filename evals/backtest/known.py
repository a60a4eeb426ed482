"""A recorded market as it was known at the end of any day, also of one that nobody took a snapshot of."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.errors import MarketError, SnapshotMissing, UsageError
from tools.market.demo import DemoSource
from tools.market.quality import MAX_GAP_DAYS
from tools.market.snapshot import Progress, RawRow, Source
from tools.market.sources.answers import POOL_ID, Table
from tools.market.sources.folder import FolderSource
from tools.records import digest

STATIC = ("project", "chain", "symbol", "poolMeta")
PARTS = ("pools/*.json.gz", "charts/*.json.gz", "prices/*.csv", "rates/*.csv", "hacks.json")
FIGURES = ("tvlUsd", "apy", "apyBase", "apyReward")


class KnownMarket:
    """Answer for any day: with the snapshot of the day where one was recorded, else with one made from the charts.

    The row of a pool is then the last of its chart up to the day, at most three days old: no figure of a later day is
    in it. What a pool is called comes from the first snapshot that says so, which for a day before all of them is a
    later one. Charts, exploits and tables are the folder's, cut at the day.
    """

    synthetic = False

    def __init__(self, folder: FolderSource) -> None:
        self.label, self._folder = folder.label, folder

    def recorded(self, day: dt.date) -> bool:
        """Tell whether a snapshot of the day is on record; one that lists no size decides nothing and is none."""
        try:
            return any(row.get("tvlUsd") is not None for row in self._folder.pools(day) if isinstance(row, dict))
        except MarketError:
            return False

    def day(self, as_of: dt.date | None) -> dt.date:
        """Return ``as_of``; raise ``SnapshotMissing`` without one, for a folder has no day of its own here."""
        if as_of is None:
            raise SnapshotMissing(f"{self.label}: a day is needed")
        return as_of

    def pools(self, as_of: dt.date) -> list[RawRow]:
        """Return the rows of the day; raise ``SnapshotMissing`` where no pool has a chart that reaches it."""
        if self.recorded(as_of):
            return self._folder.pools(as_of)
        rows = [row for pool_id in sorted(self._names) if (row := self._row(pool_id, as_of)) is not None]
        if not rows:
            raise SnapshotMissing(f"{self.label}: no pool with a chart reported up to {as_of}")
        return rows

    def charts(
        self, pool_ids: Sequence[str], as_of: dt.date, progress: Progress | None = None
    ) -> dict[str, list[RawRow] | None]:
        """Return the histories up to the day."""
        return self._folder.charts(pool_ids, as_of, progress)

    def hacks(self, as_of: dt.date) -> list[RawRow]:
        """Return the exploits known at the end of the day."""
        return self._folder.hacks(as_of)

    def table(self, kind: str, name: str, as_of: dt.date) -> Table | None:
        """Return a table up to the day."""
        return self._folder.table(kind, name, as_of)

    def _row(self, pool_id: str, day: dt.date) -> RawRow | None:
        first = (day - dt.timedelta(days=MAX_GAP_DAYS)).isoformat()
        chart = self._folder.charts([pool_id], day)[pool_id] or []
        recent = [row for row in chart if isinstance(row, dict) and first <= str(row.get("timestamp"))[:10]]
        if not recent:
            return None
        last = max(recent, key=lambda row: str(row["timestamp"]))
        return {"pool": pool_id, **self._names[pool_id], **{name: last.get(name) for name in FIGURES}}

    @functools.cached_property
    def _names(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what each pool with a chart is called, field by field from the first snapshot that says it."""
        charted = {path.name.removesuffix(".json.gz") for path in (self._folder.folder / "charts").glob("*.json.gz")}
        names: dict[str, dict[str, Any]] = {}
        for day in self._folder.days():
            for row in self._folder.pools(day):
                pool_id = row.get("pool") if isinstance(row, dict) else None
                if isinstance(pool_id, str) and pool_id in charted and POOL_ID.fullmatch(pool_id):
                    own = names.setdefault(pool_id, dict.fromkeys(STATIC))
                    own.update({name: row.get(name) for name in STATIC if own[name] is None})
        return names


@functools.lru_cache(maxsize=2)
def open_known(name: str, seed: int = 0) -> Source:
    """Open what a backtest can read: a folder, or ``demo``. Kept, so that a process reads the names once.

    Raises UsageError for any other source: a live market or an address does not say what it said on a day long past.
    """
    if name == "demo":
        return DemoSource(seed=seed)
    if not Path(name).expanduser().is_dir():
        raise UsageError(
            f"a backtest needs the market of days past: name a folder of recorded answers, or demo, not {name!r}"
        )
    return KnownMarket(FolderSource(name))


def is_recorded(source: Source, day: dt.date) -> bool:
    """Tell whether a source has a snapshot of its own of a day."""
    return not isinstance(source, KnownMarket) or source.recorded(day)


def fingerprint(name: str, seed: int = 0) -> str:
    """Return a hash over all that a source could answer, so that decisions on another market count for nothing."""
    source = open_known(name, seed)
    if not isinstance(source, KnownMarket):
        return digest([name, seed])
    folder = Path(name).expanduser()
    kept = sorted(path for part in PARTS for path in folder.glob(part))
    return digest([[str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()] for path in kept])
