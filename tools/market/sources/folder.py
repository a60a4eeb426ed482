"""A folder of recorded answers.

``pools/DATE.json.gz``, ``charts/ID.json.gz``, ``hacks.json``, ``prices/*.csv`` and ``rates/*.csv``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from tools.errors import CorruptMarket, SnapshotMissing, SourceError
from tools.market.snapshot import Progress, RawRow
from tools.market.sources.answers import (
    HACKS,
    MOST_BYTES,
    POOL_ID,
    Table,
    gunzip,
    is_table,
    read_chart,
    read_hacks,
    read_pools,
    read_table,
)


class FolderSource:
    """Answer from a folder, each file cut at the day.

    A file that is not there is an absence, a broken one ``CorruptMarket`` with its name.

    Raises
    ------
    SourceError
        When ``folder`` is not a folder with ``pools/`` in it.
    """

    synthetic = False

    def __init__(self, folder: str | Path) -> None:
        self.label = str(folder)
        self.folder = Path(folder).expanduser()
        if not (self.folder / "pools").is_dir():
            raise SourceError(f"{self.label}: expected a folder with pools/DATE.json.gz in it")

    def day(self, as_of: dt.date | None) -> dt.date:
        """Return ``as_of``, or the newest snapshot's day; raise ``SnapshotMissing`` with the days that are there."""
        days = self.days()
        if as_of in days or (as_of is None and days):
            return as_of or days[-1]
        wanted = "no snapshot" if as_of is None else f"no snapshot of {as_of}"
        raise SnapshotMissing(f"{self.label} has {wanted}; there are: {', '.join(map(str, days)) or 'none'}")

    def pools(self, as_of: dt.date) -> list[RawRow]:
        """Return the rows of the day's snapshot; raise ``SnapshotMissing`` or ``EmptyMarket`` where there are none."""
        path = self.folder / "pools" / f"{self.day(as_of)}.json.gz"
        return read_pools(_unpacked(path, "pools"), str(path), as_of)

    def charts(
        self, pool_ids: Sequence[str], as_of: dt.date, progress: Progress | None = None
    ) -> dict[str, list[RawRow] | None]:
        """Return the history of each pool up to ``as_of``; None without a file, or for an id that is no pool id."""
        charts: dict[str, list[RawRow] | None] = {}
        for done, pool_id in enumerate(pool_ids, start=1):
            charts[pool_id] = self._chart(pool_id, as_of)
            if progress is not None:
                progress(done, len(pool_ids))
        return charts

    def hacks(self, as_of: dt.date) -> list[RawRow]:
        """Return the exploits known at the end of ``as_of``."""
        path = self.folder / HACKS
        return read_hacks(_content(path, "hacks"), str(path), as_of) if path.exists() else []

    def table(self, kind: str, name: str, as_of: dt.date) -> Table | None:
        """Return ``kind/name`` up to ``as_of``; None where there is no such file."""
        path = self.folder / kind / name
        if not is_table(kind, name) or not path.is_file():
            return None
        return read_table(_content(path, kind), str(path), as_of)

    def _chart(self, pool_id: str, as_of: dt.date) -> list[RawRow] | None:
        if not POOL_ID.fullmatch(pool_id):
            return None
        path = self.folder / "charts" / f"{pool_id}.json.gz"
        try:
            return read_chart(_unpacked(path, "chart"), str(path), as_of)
        except FileNotFoundError:
            return None

    def days(self) -> list[dt.date]:
        """Return the days with a snapshot, the oldest first."""
        names = sorted(path.name.removesuffix(".json.gz") for path in (self.folder / "pools").glob("*.json.gz"))
        return [day for name in names if (day := _date(name)) is not None]


def _date(name: str) -> dt.date | None:
    try:
        day = dt.date.fromisoformat(name)
    except ValueError:
        return None
    return day if day.isoformat() == name else None  # fromisoformat reads 20250228 too


def _unpacked(path: Path, kind: str) -> bytes:
    return gunzip(_content(path, kind), MOST_BYTES[kind], str(path))


def _content(path: Path, kind: str) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(MOST_BYTES[kind] + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CorruptMarket(f"{path}: cannot be read ({error.strerror})") from error
    if len(body) > MOST_BYTES[kind]:
        raise CorruptMarket(f"{path}: larger than the {MOST_BYTES[kind]:,} bytes that are accepted")
    return body
