"""A recorded series as daily returns: of a pool's yield, or of a price table."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tools.errors import UsageError

if TYPE_CHECKING:
    from tools.market.snapshot import Source
    from tools.units import FloatArray


def daily_returns(source: Source, name: str, day: dt.date) -> FloatArray:
    """Return the daily returns (n_days,) of a pool's chart, or of the closes of a table of ``prices/`` (NAME.csv).

    Days that are missing are left out, not filled. Raises UsageError where the source has no such series.
    """
    import numpy as np

    values = _closes(source, name, day) if name.endswith(".csv") else _yields(source, name, day)
    if len(values) < 2:
        raise UsageError(f"{source.label} has no series of {name!r} up to {day.isoformat()}")
    return np.array(values)


def _closes(source: Source, name: str, day: dt.date) -> list[float]:
    rows = source.table("prices", name, day) or []
    closes = [float(row["close"]) for row in rows if _positive(row.get("close", ""))]
    return [after / before - 1.0 for before, after in pairwise(closes)]


def _yields(source: Source, pool_id: str, day: dt.date) -> list[float]:
    from tools.units import daily_return, from_percent

    rows: list[dict[str, Any]] = source.charts([pool_id], day).get(pool_id) or []
    rates = (row.get("apy") for row in rows)
    return [daily_return(from_percent(float(rate))) for rate in rates if isinstance(rate, (int, float))]


def _positive(text: str) -> bool:
    try:
        return float(text) > 0.0
    except ValueError:
        return False
