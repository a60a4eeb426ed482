"""The market rows saved beside a run, and what a decision of their day must not have seen."""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.verify.folder import INPUTS
from tools.verify.report import Findings, printable
from tools.verify.strict_json import NotStrictJsonError, canonical_sha256

_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?")
_PARTS: dict[str, type | tuple[type, ...]] = {
    "as_of": (str, type(None)),
    "synthetic": bool,
    "pools": list,
    "charts": dict,
    "failed_charts": list,
    "hacks": list,
    "tables": dict,
}


@dataclass(frozen=True)
class Evidence:
    """The saved rows: every pool's raw rows by id, charts by pool id, hacks, tables by name.

    ``sha256`` is over all of it.
    """

    as_of: str | None
    synthetic: bool
    pools_total: int
    screened: int
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    charts: Mapping[str, Any]
    hacks: Sequence[Any]
    tables: Mapping[str, Any]
    sha256: str


def read_evidence(payload: dict[str, Any], findings: Findings) -> Evidence | None:
    """Give the saved rows their names; None, and differences, when they are not in the form that a run saves."""
    wrong = [name for name, kind in _PARTS.items() if not isinstance(payload.get(name), kind)]
    for name in wrong:
        findings.add(INPUTS, f"has no usable '{name}'", "", payload.get(name))
    if wrong:
        return None
    try:
        sha256 = canonical_sha256(payload)
    except NotStrictJsonError as error:
        findings.add(INPUTS, printable(str(error)))
        return None
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in payload["pools"]:
        if isinstance(row, dict) and isinstance(row.get("pool"), str):
            rows.setdefault(row["pool"], []).append(row)
    failed = (name for name in payload["failed_charts"] if isinstance(name, str))
    return Evidence(
        as_of=payload["as_of"],
        synthetic=payload["synthetic"],
        pools_total=len(payload["pools"]),
        screened=len(set(payload["charts"]).union(failed)),
        rows=rows,
        charts=payload["charts"],
        hacks=payload["hacks"],
        tables=payload["tables"],
        sha256=sha256,
    )


def as_number(text: object) -> float | None:
    """Return a number, or the number that a text is; None when it is none."""
    try:
        return float(text) if isinstance(text, (str, int, float)) else None
    except (ValueError, OverflowError):
        return None


def check_future(evidence: Evidence, last: int, findings: Findings) -> None:
    """See that no saved row is later than the ordinal day ``last``."""
    day = dt.date.fromordinal(last).isoformat()
    for where, stamp, moment in _moments(evidence):
        if moment is not None and moment > day[: len(moment)]:
            findings.add(
                INPUTS, f"{where} has a row of {printable(stamp, 30)}, later than {day}", f"{day} at the latest", stamp
            )


def _moments(evidence: Evidence) -> Iterator[tuple[str, object, str | None]]:
    """Go through all dated rows: where each stands, its stamp, and the stamp as a day or a month."""
    for pool_id, chart in evidence.charts.items():
        where = f"the chart of {printable(pool_id, 40)}"
        for row in chart if isinstance(chart, list) else []:
            stamp = row.get("timestamp") if isinstance(row, dict) else None
            yield where, stamp, _moment(stamp)
    for row in evidence.hacks:
        stamp = row.get("date") if isinstance(row, dict) else None
        yield "the list of hacks", stamp, _moment(stamp)
    for name, rows in evidence.tables.items():
        for row in rows if isinstance(rows, list) else []:
            for key in ("date", "date_time", "month", "timestamp"):
                stamp = row.get(key) if isinstance(row, dict) else None
                yield f"the table {printable(name, 40)}", stamp, _moment(stamp)


def _moment(stamp: object) -> str | None:
    """Read a stamp: an ISO day or month, or seconds since 1970; None when it is none of these."""
    if isinstance(stamp, str) and not stamp.isdecimal():
        return _day_or_month(stamp[:10])
    seconds = as_number(stamp)
    if seconds is None or isinstance(stamp, bool) or not 0 <= seconds < 2**36:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC).date().isoformat()


@functools.lru_cache(maxsize=4096)  # charts share their days
def _day_or_month(text: str) -> str | None:
    match = _STAMP.match(text)
    return match[0] if match else None
