"""Read the bodies of a market API and cut them at a day; folder and URL share this, so that both give the same answer.

Each reader takes the body, ``where`` it came from (for messages) and the day, and raises ``CorruptMarket`` when the
body is not in the shape of DefiLlama's API. Later rows are dropped: a chart's by the date in ``timestamp``, exploits by
``date`` (Unix seconds), a table's by its date column, a monthly table's last month only when it is complete. Rows of a
chart that carry no timestamp are kept for the quality checks to count; exploits without a date are dropped, for nobody
can tell whether they were known.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tools.errors import CorruptMarket, EmptyMarket
from tools.market.snapshot import RawRow
from tools.units import safe_label

POOL_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TABLE_NAME = re.compile(r"[\w.-]+\.csv", re.ASCII)
TABLE_KINDS = ("prices", "rates")
HACKS = "hacks.json"

MOST_BYTES = {"pools": 128 << 20, "chart": 16 << 20, "hacks": 16 << 20, "prices": 32 << 20, "rates": 32 << 20}
_MOST_ROWS = 200_000
_GZIP = 31  # zlib's code for a gzip header with the largest window
_DATE_COLUMNS = ("date", "date_time", "month")

Table = list[dict[str, str]]
T = TypeVar("T")
Reader = Callable[[bytes, str, dt.date], T]


def gunzip(packed: bytes, most: int, where: str) -> bytes:
    """Decompress a gzip file of one member; more than ``most`` bytes, or anything else, is ``CorruptMarket``."""
    inflate = zlib.decompressobj(_GZIP)
    try:
        body = inflate.decompress(packed, most + 1)
    except zlib.error as error:
        raise CorruptMarket(f"{where}: not a sound gzip file ({error}); fetch it again") from error
    if len(body) > most:
        raise CorruptMarket(f"{where}: holds more than the {most:,} bytes that are accepted")
    if not inflate.eof or inflate.unused_data:
        raise CorruptMarket(f"{where}: the gzip file is cut short or has something behind it; fetch it again")
    return body


def read_json(body: bytes, where: str) -> Any:
    """Parse JSON; refuse a key that stands twice and nesting beyond reason. NaN and Infinity are left to each row."""
    try:
        return json.loads(body, object_pairs_hook=_unique)
    except ValueError as error:
        raise CorruptMarket(f"{where}: not the JSON that was expected ({error})") from error
    except RecursionError:
        raise CorruptMarket(f"{where}: JSON nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return row


def read_pools(body: bytes, where: str, as_of: dt.date) -> list[RawRow]:
    """Return the rows of ``/pools`` as they came, for a snapshot is of its day; raise ``EmptyMarket`` without any."""
    rows = _enveloped(body, where)
    if not rows:
        raise EmptyMarket(f"{where}: lists no pool at all for {as_of}; choose another date or source")
    return rows


def read_chart(body: bytes, where: str, as_of: dt.date) -> list[RawRow]:
    """Return the rows of ``/chart/{pool}`` up to the end of ``as_of``."""
    rows, last = _enveloped(body, where), as_of.isoformat()
    try:
        return [row for row in rows if row["timestamp"][:10] <= last]
    except (KeyError, TypeError, IndexError):
        return [row for row in rows if not isinstance(stamp := _stamp(row), str) or stamp[:10] <= last]


def _stamp(row: object) -> object:
    return row.get("timestamp") if isinstance(row, dict) else None


def read_hacks(body: bytes, where: str, as_of: dt.date) -> list[RawRow]:
    """Return the exploits dated before the end of ``as_of``."""
    rows = read_json(body, where)
    if not isinstance(rows, list) or len(rows) > _MOST_ROWS:
        raise CorruptMarket(f"{where}: expected a list of exploits")
    end = dt.datetime.combine(as_of, dt.time(), dt.UTC).timestamp() + 86_400
    return [
        row for row in rows if isinstance(row, dict) and type(row.get("date")) in {int, float} and row["date"] < end
    ]


def read_table(body: bytes, where: str, as_of: dt.date) -> Table:
    """Return the rows of a CSV file up to ``as_of`` as strings by column name."""
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=None), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorruptMarket(f"{where}: not the CSV that was expected ({error})") from error
    header = lines[0] if lines else []
    column = next((n for n, title in enumerate(header) if title.lower() in _DATE_COLUMNS), None)
    if column is None or len(set(header)) != len(header) or len(lines) > _MOST_ROWS:
        raise CorruptMarket(f"{where}: expected a table with one of the columns {', '.join(_DATE_COLUMNS)}")
    rows = [line for line in lines[1:] if line]
    if any(len(row) != len(header) for row in rows):
        raise CorruptMarket(f"{where}: has lines that do not match its header")
    if header[column] == "month":
        kept = [row for row in rows if row[column] < as_of.isoformat()[:7]]
    else:
        kept = [row for row in rows if row[column][:10] <= as_of.isoformat()]
    return [dict(zip(header, row, strict=True)) for row in kept]


READERS: Mapping[str, Reader[Any]] = {
    "pools": read_pools,
    "chart": read_chart,
    "hacks": read_hacks,
    "prices": read_table,
    "rates": read_table,
}


def is_table(kind: str, name: str) -> bool:
    """Tell whether a source could hold such a table at all; anything else never enters a path or an address."""
    return kind in TABLE_KINDS and TABLE_NAME.fullmatch(name) is not None


def _enveloped(body: bytes, where: str) -> list[RawRow]:
    """Return the list in ``{"status": "success", "data": […]}``."""
    answer = read_json(body, where)
    if not isinstance(answer, dict) or "status" not in answer:
        raise CorruptMarket(f'{where}: expected {{"status": "success", "data": [...]}}')
    if answer["status"] != "success":
        raise CorruptMarket(f"{where}: the answer's status is {safe_label(str(answer['status']))}, not success")
    rows = answer.get("data")
    if not isinstance(rows, list):
        raise CorruptMarket(f"{where}: the answer holds no list of rows")
    if len(rows) > _MOST_ROWS:
        raise CorruptMarket(f"{where}: {len(rows):,} rows are more than the {_MOST_ROWS:,} that are accepted")
    return rows
