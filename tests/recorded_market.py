"""A small market of made histories, written as a folder of recorded answers, and ways to spoil its future."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from made_market import chart, pool_id, raw_row, wavy
from small_market import POOLS

FIRST, LAST = dt.date(2024, 6, 1), dt.date(2025, 2, 28)
DAYS = (LAST - FIRST).days + 1
Spoil = Callable[[dict[str, Any]], dict[str, Any] | None]


def write_market(
    folder: Path,
    *,
    numbers: Sequence[int] = tuple(range(1, len(POOLS) + 1)),
    ends: dict[int, dt.date] | None = None,
    hacks: list[dict[str, Any]] | None = None,
) -> Path:
    """Write these pools of the market, with a snapshot of the last day; ``ends`` says when a pool stops reporting."""
    rows = []
    for number in numbers:
        project, chain, symbol, millions, percent = POOLS[number - 1]
        rates = wavy(DAYS, level=percent, swing=0.4, phase=number)
        rows.append(
            raw_row(pool_id(number), project=project, chain=chain, symbol=symbol, tvlUsd=millions * 1e6, apy=rates[-1],
                    apyBase=rates[-1], apyReward=None)
        )  # fmt: skip
        drawn = [row | {"tvlUsd": millions * 1e6} for row in chart(rates, LAST)]
        last = (ends or {}).get(number, LAST).isoformat()
        pack(folder / "charts" / f"{pool_id(number)}.json.gz", [row for row in drawn if row["timestamp"][:10] <= last])
    pack(folder / "pools" / f"{LAST}.json.gz", rows)
    days = [(FIRST + dt.timedelta(days=n)).isoformat() for n in range(DAYS)]
    write_table(folder / "prices" / "eth_gas_gwei_daily.csv", ["date,avg_gas_gwei", *(f"{day},10" for day in days)])
    write_table(folder / "prices" / "eth_usd_daily.csv", ["date,close", *(f"{day},3000" for day in days)])
    usdc = [f"{day},{1.0 + 0.0004 * (n % 3)}" for n, day in enumerate(days)]
    write_table(folder / "prices" / "usdc_usd_daily.csv", ["date,close", *usdc])
    (folder / "hacks.json").write_text(json.dumps(hacks or []))
    return folder


def write_table(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def pack(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps({"status": "success", "data": rows}).encode(), 1, mtime=0))


def unpack(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))["data"]
    return rows


def spoil_future(folder: Path, day: dt.date, spoil: Spoil) -> None:
    """Put what ``spoil`` makes of it in the place of every row of charts, tables and exploits that is after a day.

    None removes the row. Of later snapshots the names stay, for they are what a pool is called.
    """
    end = day.isoformat()
    for path in sorted((folder / "charts").glob("*.json.gz")):
        rows = unpack(path)
        kept = [row if row["timestamp"][:10] <= end else spoil(row) for row in rows]
        pack(path, [row for row in kept if row is not None])
    for path in sorted((folder / "pools").glob("*.json.gz")):
        if path.name[:10] > end:
            pack(path, [(spoil(row) or row) for row in unpack(path)])
    for path in sorted([*(folder / "prices").glob("*.csv"), *(folder / "rates").glob("*.csv")]):
        _spoil_table(path, end, spoil)
    path = folder / "hacks.json"
    seconds = dt.datetime.combine(day, dt.time(), dt.UTC).timestamp() + 86_400
    path.write_text(
        json.dumps([row for row in json.loads(path.read_text()) if row["date"] < seconds] + _hack(day, spoil))
    )


def _spoil_table(path: Path, end: str, spoil: Spoil) -> None:
    head, *lines = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig")))
    column = next((n for n, name in enumerate(head) if name.lower() in ("date", "date_time", "month")), None)
    if column is None:
        return
    removes = spoil(dict.fromkeys(head)) is None
    known = [cells for cells in lines if cells[column][:10] <= end[: len(cells[column])]]
    later = [cells for cells in lines if cells[column][:10] > end[: len(cells[column])]]
    spoilt = [[cell if n == column else "987654" for n, cell in enumerate(cells)] for cells in later]
    text = io.StringIO()
    csv.writer(text).writerows([head, *known, *([] if removes else spoilt)])
    path.write_text(text.getvalue(), encoding="utf-8")


def _hack(day: dt.date, spoil: Spoil) -> list[dict[str, Any]]:
    """Return an exploit of the next day that takes everything, unless the future is removed."""
    if spoil({"timestamp": "", "apy": 1.0, "tvlUsd": 1.0}) is None:
        return []
    seconds = int(dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC).timestamp())
    return [
        {"date": seconds, "name": name, "amount": 1e10, "targetType": "DeFi Protocol"} for name in ("Aave V3", "Morpho")
    ]


def removed(row: dict[str, Any]) -> None:
    return None


def altered(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "apy": 0.5 * (row.get("apy") or 0.0) + 1.0,
        "apyBase": None,
        "tvlUsd": 0.5 * (row.get("tvlUsd") or 1.0),
    }


def absurd(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"apy": 999_999.0, "apyBase": -5.0, "apyReward": 1e300, "tvlUsd": 1e300}
