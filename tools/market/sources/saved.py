"""The rows that a run saved beside its recommendation, as a source: what ``replay`` reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.errors import CorruptMarket, SnapshotMissing, SourceError
from tools.market.snapshot import Progress, RawRow
from tools.market.sources.answers import Table, gunzip, read_json

INPUTS = "inputs.json.gz"
_MOST_BYTES = 512 << 20
_SHAPE = {
    "as_of": str,
    "synthetic": bool,
    "pools": list,
    "charts": dict,
    "failed_charts": list,
    "hacks": list,
    "tables": dict,
}


class SavedSource:
    """Answer from ``inputs.json.gz`` of a run folder, for its one day.

    A history that the run asked for and did not get, or never asked for, is left out of ``charts``, like one that
    failed. A table that the run never asked for raises ``CorruptMarket``: whether it existed is not known.

    Raises
    ------
    SourceError
        When the folder holds no saved rows.
    CorruptMarket
        When the file is not what a run writes.
    """

    label = "saved"

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / INPUTS
        try:
            packed = self.path.read_bytes()
        except OSError as error:
            raise SourceError(f"{self.path}: no saved rows to read ({error.strerror})") from error
        self._saved = _checked(read_json(gunzip(packed, _MOST_BYTES, str(self.path)), str(self.path)), str(self.path))
        self.synthetic: bool = self._saved["synthetic"]

    def day(self, as_of: dt.date | None) -> dt.date:
        """Return the day of the run; raise ``SnapshotMissing`` for any other."""
        day = dt.date.fromisoformat(self._saved["as_of"])
        if as_of not in {None, day}:
            raise SnapshotMissing(f"{self.path} holds the rows of {day}, none of {as_of}")
        return day

    def pools(self, as_of: dt.date) -> list[RawRow]:
        """Return the rows of the snapshot, reduced to the fields that are used."""
        return list(self._of(as_of)["pools"])

    def charts(
        self, pool_ids: Sequence[str], as_of: dt.date, progress: Progress | None = None
    ) -> dict[str, list[RawRow] | None]:
        """Return the saved histories of these pools; None where the run's source had none."""
        charts = self._of(as_of)["charts"]
        if progress is not None:
            progress(len(pool_ids), len(pool_ids))
        return {pool_id: charts[pool_id] for pool_id in pool_ids if pool_id in charts}

    def hacks(self, as_of: dt.date) -> list[RawRow]:
        """Return the saved exploits."""
        return list(self._of(as_of)["hacks"])

    def table(self, kind: str, name: str, as_of: dt.date) -> Table | None:
        """Return a saved table; None where the run's source had none."""
        tables: dict[str, Table | None] = self._of(as_of)["tables"]
        if f"{kind}/{name}" not in tables:
            raise CorruptMarket(f"{self.path}: the run did not read {kind}/{name}")
        return tables[f"{kind}/{name}"]

    def _of(self, as_of: dt.date) -> dict[str, Any]:
        self.day(as_of)
        return self._saved


def _checked(saved: Any, where: str) -> dict[str, Any]:
    sound = (
        isinstance(saved, dict)
        and saved.keys() == _SHAPE.keys()
        and all(type(saved[name]) is kind for name, kind in _SHAPE.items())
        and all(rows is None or isinstance(rows, list) for rows in saved["charts"].values())
        and all(_is_table(rows) for rows in saved["tables"].values())
    )
    if not sound:
        raise CorruptMarket(f"{where}: not the rows that a run saves")
    try:
        dt.date.fromisoformat(saved["as_of"])
    except ValueError as error:
        raise CorruptMarket(f"{where}: {error}") from error
    return dict(saved)


def _is_table(rows: object) -> bool:
    if rows is None:
        return True
    return isinstance(rows, list) and all(
        isinstance(row, dict) and all(isinstance(text, str) for text in row.values()) for row in rows
    )
