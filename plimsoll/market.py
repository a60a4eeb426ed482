"""Looking at a market without a question: which pools an asset has, and why the others are none of them."""

from __future__ import annotations

import csv
import datetime as dt
import functools
import sys

from tools.market.evidence import Evidence
from tools.market.load import read_market
from tools.market.snapshot import Market, Progress, Source
from tools.records import Asset
from tools.risk.lookup import ProtocolRisks
from tools.strategies.universe import Universe, build_universe, protocol_tvl, screen
from tools.units import safe_label

COLUMNS = ("pool_id", "project", "chain", "symbol", "tvl_usd", "apy", "eligible", "reason")


def look(source: Source, asset: Asset, as_of: dt.date | None, progress: Progress | None) -> tuple[Market, Universe]:
    """Read a market for an asset, as a question would."""
    market = read_market(Evidence(source), asset, as_of, functools.partial(screen, asset=asset), protocol_tvl, progress)
    return market, build_universe(market, asset, ProtocolRisks(market))


def print_pools(market: Market, universe: Universe, *, reasons: bool, csv: bool) -> None:
    """Print the pools, the eligible first, largest first; ``reasons`` adds the others with why they are not."""
    rows = _rows(market, universe, reasons)
    if csv:
        _print_csv(rows)
    else:
        _print_table(rows, market)


def _rows(market: Market, universe: Universe, reasons: bool) -> list[tuple[str, ...]]:
    eligible = {pool.id for pool in universe.pools}
    found = []
    for pool_id in sorted(eligible | (set(market.excluded) if reasons else set())):
        label, row = market.labels.get(pool_id), market.rows.get(pool_id)
        names = tuple(safe_label(text) for text in label) if label else ("", "", "")
        figures = (f"{row.tvl_usd:.0f}", f"{row.apy:.6f}") if row else ("", "")
        found.append(
            (pool_id, *names, *figures, "yes" if pool_id in eligible else "no", market.excluded.get(pool_id, ""))
        )
    return sorted(found, key=lambda r: (r[6] != "yes", r[7], -float(r[4] or 0.0), r[0]))


def _print_csv(rows: list[tuple[str, ...]]) -> None:
    """Write CSV; a cell that a spreadsheet would take for a formula gets an apostrophe in front."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([f"'{cell}" if cell[:1] in {"=", "+", "-", "@"} else cell for cell in row] for row in rows)


def _print_table(rows: list[tuple[str, ...]], market: Market) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{market.as_of.isoformat()}{' · SYNTHETIC' if market.synthetic else ''}", title_justify="left")
    for name, justify in (
        ("project", "left"),
        ("chain", "left"),
        ("symbol", "left"),
        ("TVL $", "right"),
        ("APY", "right"),
        ("eligible or why not", "left"),
    ):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for _, project, chain, symbol, tvl, apy, eligible, reason in rows:
        shown = (f"{float(tvl):,.0f}" if tvl else "", f"{float(apy):.2%}" if apy else "")
        table.add_row(project, chain, symbol, *shown, "eligible" if eligible == "yes" else reason)
    Console(highlight=False, markup=False).print(table)
