"""The market rows saved beside a run: what the recommendation says of them, and what it must not have seen."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.verify.folder import INPUTS
from tools.verify.report import Findings, printable
from tools.verify.series import ordinal
from tools.verify.strict_json import NotStrictJsonError, canonical_sha256

_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?")
_PARTS: dict[str, type | tuple[type, ...]] = {
    "as_of": str,
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

    as_of: str
    synthetic: bool
    pools_total: int
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
    names = ("as_of", "synthetic", "charts", "hacks", "tables")
    return Evidence(
        pools_total=len(payload["pools"]), rows=rows, sha256=sha256, **{name: payload[name] for name in names}
    )


def check_evidence(record: dict[str, Any], evidence: Evidence, findings: Findings) -> None:
    """Compare the market's summary with the saved rows, and see that no row is later than the day decided on."""
    day = record["as_of"][:10]
    findings.same("/as_of", day, evidence.as_of[:10], "the day of the saved rows")
    market = record["market"]
    if market is not None:
        findings.same(
            "/market/snapshot_sha256", market["snapshot_sha256"], evidence.sha256, "the SHA-256 of the saved rows"
        )
        findings.same("/market/snapshot_date", market["snapshot_date"], day, "the day decided on")
        findings.same("/market/synthetic", market["synthetic"], evidence.synthetic, "what the saved rows say")
        findings.same("/market/pools_total", market["pools_total"], evidence.pools_total, "the number of saved pools")
        accounted = market["pools_eligible"] + sum(market["excluded"].values())
        findings.same(
            "/market/pools_total", market["pools_total"], accounted, "pools_eligible and all of excluded together"
        )
        _check_price(record, evidence, findings)
    last = ordinal(day)
    if last is not None:
        _check_future(evidence, last, findings)


def _check_price(record: dict[str, Any], evidence: Evidence, findings: Findings) -> None:
    """See that the price stands in the last row of a saved price table of the asset, where there is one."""
    asset, price = record["mandate"]["asset"], record["market"]["price_usd"]
    if asset not in ("ETH", "BTC") or price is None:
        return
    tables = [
        rows
        for name, rows in evidence.tables.items()
        if f"{asset.lower()}_usd" in name and isinstance(rows, list) and rows
    ]
    known = [text for rows in tables if isinstance(rows[-1], dict) for text in rows[-1].values()]
    if known:
        findings.recomputed += 1
        if not any(_as_number(text) == price for text in known):
            findings.at(
                "/market/price_usd",
                f"is {printable(price)}, which the last row of the saved prices does not say",
                "a saved price",
                price,
            )


def _as_number(text: object) -> float | None:
    try:
        return float(text) if isinstance(text, (str, int, float)) else None
    except (ValueError, OverflowError):
        return None


def _check_future(evidence: Evidence, last: int, findings: Findings) -> None:
    day = dt.date.fromordinal(last).isoformat()
    for where, stamp, moment in _moments(evidence):
        if moment is not None and moment > day[: len(moment)]:
            findings.add(
                INPUTS, f"{where} has a row of {printable(stamp, 30)}, later than {day}", f"{day} at the latest", stamp
            )


def _moments(evidence: Evidence) -> Iterator[tuple[str, object, str | None]]:
    """Go through all dated rows: where each stands, its stamp, and the stamp as a day or a month."""
    for pool_id, chart in evidence.charts.items():
        for row in chart if isinstance(chart, list) else []:
            stamp = row.get("timestamp") if isinstance(row, dict) else None
            yield f"the chart of {printable(pool_id, 40)}", stamp, _moment(stamp)
    for row in evidence.hacks:
        stamp = row.get("date") if isinstance(row, dict) else None
        yield "the list of hacks", stamp, _moment(stamp)
    for name, rows in evidence.tables.items():
        for row in rows if isinstance(rows, list) else []:
            for key in ("date", "month", "timestamp"):
                stamp = row.get(key) if isinstance(row, dict) else None
                yield f"the table {printable(name, 40)}", stamp, _moment(stamp)


def _moment(stamp: object) -> str | None:
    """Read a stamp: an ISO day or month, or seconds since 1970; None when it is none of these."""
    if isinstance(stamp, str) and not stamp.isdecimal():
        match = _STAMP.match(stamp)
        return match[0] if match else None
    seconds = _as_number(stamp)
    if seconds is None or isinstance(stamp, bool) or not 0 <= seconds < 2**36:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC).date().isoformat()
