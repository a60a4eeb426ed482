"""What a run read: every row, reduced to the fields that are used, remembered, hashed and saved.

What is used is what is saved: the rows that ``Evidence`` hands out are the reduced ones. Reduction keeps a row or
replaces it:

* Pools keep the fields of ``_pool_row`` and are sorted by id, charts keep those of ``_chart_row``; a field that is
  missing becomes null. Exploits and tables stay whole.
* A number that is not finite, or too large for a float, becomes the text "NaN", "Infinity" or "-Infinity"; half a
  surrogate pair becomes its escape.
* A row that is no object, has no text for an id (timestamp), or holds a list or an object where a value belongs,
  becomes ``{"malformed": text}``.

Reducing twice changes nothing, so a run replayed from its saved rows has the same hash.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from tools.market.snapshot import Progress, RawRow, Source
from tools.market.store import write_atomically
from tools.records import canonical_json

_SCALARS = frozenset({str, int, float, bool, type(None)})
_LARGEST = 1e308
_MOST_DEPTH = 6
_MOST_TEXT = 200
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_COMPRESSION = 4  # Python's default, 9, takes six times as long for an eighth fewer bytes

Pick = Callable[[Callable[[str], Any]], RawRow]


class Evidence:
    """A source that remembers. It speaks of one day: the first that is read; another one raises ValueError.

    Each thing is asked of ``source`` once, however often it is read here.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.label, self.synthetic = source.label, source.synthetic
        self._as_of: dt.date | None = None
        self._pools: list[RawRow] = []
        self._pools_text = b"[]"
        self._read_pools = False
        self._charts: dict[str, list[RawRow] | None] = {}
        self._chart_texts: dict[str, bytes] = {}
        self._failed: set[str] = set()
        self._hacks: list[RawRow] | None = None
        self._tables: dict[str, list[dict[str, str]] | None] = {}
        self._text: bytes | None = None

    def day(self, as_of: dt.date | None) -> dt.date:
        """Return the day that the source decides on."""
        return self.source.day(as_of)

    def pools(self, as_of: dt.date) -> list[RawRow]:
        """Return the reduced rows of the snapshot, sorted by id (equal ids by content), malformed ones last."""
        self._reading(as_of)
        if not self._read_pools:
            self._pools, self._pools_text = reduce_pools(self.source.pools(as_of))
            self._read_pools = True
        return list(self._pools)

    def charts(
        self, pool_ids: Sequence[str], as_of: dt.date, progress: Progress | None = None
    ) -> dict[str, list[RawRow] | None]:
        """Return the reduced histories; None where the source has none, left out where it failed."""
        self._reading(as_of)
        wanted = [pool_id for pool_id in dict.fromkeys(pool_ids) if pool_id not in self._charts]
        if wanted:
            charts = self.source.charts(wanted, as_of, progress)
            for pool_id, rows in charts.items():
                reduced = (None, b"null") if rows is None else reduce_chart(_known(rows, as_of))
                self._charts[pool_id], self._chart_texts[pool_id] = reduced
            self._failed = (self._failed | set(wanted)) - self._charts.keys()
        return {pool_id: self._charts[pool_id] for pool_id in pool_ids if pool_id in self._charts}

    def hacks(self, as_of: dt.date) -> list[RawRow]:
        """Return the exploits known at ``as_of``, in the order of their content."""
        self._reading(as_of)
        if self._hacks is None:
            self._hacks = sorted((_plain(row) for row in self.source.hacks(as_of)), key=canonical_json)
        return list(self._hacks)

    def table(self, kind: str, name: str, as_of: dt.date, first: dt.date | None = None) -> list[dict[str, str]] | None:
        """Return a table up to ``as_of``; None where the source lacks it, which is remembered too.

        ``first`` leaves out, and does not save, rows dated before it. A table is read once: what was read first stays.
        """
        self._reading(as_of)
        key = f"{kind}/{name}"
        if key not in self._tables:
            rows = self.source.table(kind, name, as_of)
            if rows is not None and first is not None:
                rows = [row for row in rows if not _day_of(row) < first.isoformat()]
            self._tables[key] = _plain(rows)
        return self._tables[key]

    def payload(self) -> dict[str, Any]:
        """Return everything that was read as plain data, the same for the same market whatever the source."""
        payload: dict[str, Any] = json.loads(self._canonical())
        return payload

    def sha256(self) -> str:
        """Return the SHA-256 of the canonical JSON of ``payload()``."""
        return hashlib.sha256(self._canonical()).hexdigest()

    def save(self, path: Path) -> None:
        """Write the canonical JSON of ``payload()``, compressed, whole or not at all; equal rows give equal bytes."""
        write_atomically(path, gzip.compress(self._canonical(), _COMPRESSION, mtime=0))

    def _reading(self, as_of: dt.date) -> None:
        if self._as_of not in {None, as_of}:
            raise ValueError(f"this is the evidence of {self._as_of}; {as_of} needs one of its own")
        self._as_of = as_of
        self._text = None

    def _canonical(self) -> bytes:
        """Return the canonical JSON of the payload; most of it, pools and charts, was made when they were read."""
        if self._text is None:
            rest = {
                "as_of": None if self._as_of is None else self._as_of.isoformat(),
                "failed_charts": sorted(self._failed),
                "hacks": self._hacks or [],
                "synthetic": self.synthetic,
                "tables": self._tables,
            }
            texts = {name: canonical_json(value).encode() for name, value in rest.items()}
            self._text = _object(texts | {"charts": _object(self._chart_texts), "pools": self._pools_text})
        return self._text


def _object(texts: Mapping[str, bytes]) -> bytes:
    """Return the canonical JSON of an object from that of its values."""
    return b"{" + b",".join(canonical_json(name).encode() + b":" + texts[name] for name in sorted(texts)) + b"}"


def _known(rows: Sequence[Any], as_of: dt.date) -> list[Any]:
    """Leave out rows whose stamp reads as text up to ``as_of`` but is no day: no two readers agree on what it means."""
    last = as_of.isoformat()
    return [row for row in rows if not isinstance(row, dict) or _is_known(row.get("timestamp"), last)]


def _is_known(stamp: Any, last: str) -> bool:
    return not isinstance(stamp, str) or (_DAY.match(stamp) is not None and stamp[:10] <= last)


def reduce_pools(rows: Sequence[Any]) -> tuple[list[RawRow], bytes]:
    """Return the rows of a snapshot reduced and sorted, and their canonical JSON in UTF-8."""
    return _reduce(rows, _pool_row, "pool", _by_id)


def reduce_chart(rows: Sequence[Any]) -> tuple[list[RawRow], bytes]:
    """Return the rows of a history reduced, in their order, and their canonical JSON in UTF-8."""
    return _reduce(rows, _chart_row, "timestamp", list)


def _pool_row(get: Callable[[str], Any]) -> RawRow:
    # Written out because this runs for every pool there is: a loop over the names takes three times as long.
    return {
        "apy": get("apy"),
        "apyBase": get("apyBase"),
        "apyReward": get("apyReward"),
        "chain": get("chain"),
        "pool": get("pool"),
        "poolMeta": get("poolMeta"),
        "project": get("project"),
        "symbol": get("symbol"),
        "tvlUsd": get("tvlUsd"),
    }


def _chart_row(get: Callable[[str], Any]) -> RawRow:
    return {
        "apy": get("apy"),
        "apyBase": get("apyBase"),
        "apyReward": get("apyReward"),
        "timestamp": get("timestamp"),
        "tvlUsd": get("tvlUsd"),
    }


def _reduce(
    rows: Sequence[Any], pick: Pick, name: str, order: Callable[[list[RawRow]], list[RawRow]]
) -> tuple[list[RawRow], bytes]:
    """Reduce sound rows at C speed, others one by one with care; both ways give the same for sound rows."""
    quick = _quick(rows, pick, name)
    if quick is not None:
        with contextlib.suppress(ValueError):  # a number that is not finite, half a surrogate pair
            quick = order(quick)
            return quick, canonical_json(quick).encode()
    careful = order([_careful(row, pick, name) for row in rows])
    return careful, canonical_json(careful).encode()


def _quick(rows: Sequence[Any], pick: Pick, name: str) -> list[RawRow] | None:
    """Return the rows reduced; None when one is no object, holds a value of a wrong kind or an enormous integer."""
    if not set(map(type, rows)) <= {dict}:
        return None
    reduced = [pick(row.get) for row in rows]
    values = list(itertools.chain.from_iterable(map(dict.values, reduced)))
    named = set(map(type, map(itemgetter(name), reduced)))
    if not set(map(type, values)) <= _SCALARS or not named <= {str}:
        return None
    integers = [value for value in values if type(value) is int]
    return reduced if max(map(abs, integers), default=0) <= _LARGEST else None


def _careful(row: Any, pick: Pick, name: str) -> RawRow:
    if isinstance(row, dict):
        if row.keys() == {"malformed"} and isinstance(row["malformed"], str):
            return {"malformed": _scalar(row["malformed"])[:_MOST_TEXT]}
        values = pick(row.get)
        if type(values[name]) is str and all(type(value) in _SCALARS for value in values.values()):
            return {field: _scalar(value) for field, value in values.items()}
    return {"malformed": canonical_json(_plain(row))[:_MOST_TEXT]}


def _by_id(rows: list[RawRow]) -> list[RawRow]:
    """Sort by id, equal ids by content; malformed rows, which have none, come last."""
    sound = sorted((row for row in rows if "pool" in row), key=itemgetter("pool"))
    if len({row["pool"] for row in sound}) < len(sound):
        sound.sort(key=lambda row: (row["pool"], json.dumps(row, sort_keys=True)))
    return sound + sorted((row for row in rows if "pool" not in row), key=canonical_json)


def _day_of(row: Mapping[str, str]) -> str:
    """Return the day of a row of a table, whichever column says it; empty where none does."""
    return str(row.get("date", row.get("date_time", "")))[:10]


def _plain(value: Any, depth: int = 0) -> Any:
    """Return data that canonical JSON can write: finite numbers, whole characters, bounded nesting."""
    if isinstance(value, dict | list) and depth >= _MOST_DEPTH:
        return "nested too deeply"
    if isinstance(value, dict):
        return {_scalar(str(key)): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, float | int) and abs(value) > _LARGEST:
        return "Infinity" if value > 0 else "-Infinity"
    return value
