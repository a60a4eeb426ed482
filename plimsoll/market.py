"""Looking at a market without a question: which pools an asset has, and why the others are none of them."""

from __future__ import annotations

import csv
import datetime as dt
import functools
import re
import sys

from tools.market.evidence import Evidence
from tools.market.features import pool_features
from tools.market.load import read_market
from tools.market.snapshot import Market, Progress, Source
from tools.records import Asset
from tools.risk.lookup import ProtocolRisks
from tools.strategies.universe import Universe, build_universe, protocol_tvl, screen
from tools.units import safe_label

_NUMBER = re.compile(r"-[0-9.]+(e-?[0-9]+)?")
# Feature → its heading in a terminal.
FEATURES = {
    "days": "days",
    "apy_mean": "APY",
    "apy_volatility": "vol",
    "apy_trend": "trend",
    "persistence": "persist",
    "spikes": "spikes",
    "reward_share": "reward",
    "tvl_change_30d": "TVL30",
    "tvl_worst_day": "worst",
    "correlation_with_median": "corr",
}
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


def print_features(universe: Universe, *, csv: bool) -> None:
    """Print the features of every eligible pool, largest pool first; what is missing is empty, with its reason."""
    pools = sorted(universe.pools, key=lambda pool: (-pool.row.tvl_usd, pool.id))
    rows = []
    for pool in pools:
        found = pool_features(pool.history, pool.row, universe.benchmark_apy, exit_cost=None, days_to_exit=None)
        figures = [getattr(found, name) for name in FEATURES]
        reasons = "; ".join(f"{name}: {why}" for name, why in found.missing.items() if name in FEATURES)
        shown = ("" if value is None else f"{value:.6g}" if csv else f"{value:.3g}" for value in figures)
        rows.append((pool.id, safe_label(pool.name, 60), *shown, reasons))
    if csv:
        _print_csv(rows, ("pool_id", "pool", *FEATURES, "missing"))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Features of the eligible pools", title_justify="left")
    table.add_column("pool", overflow="fold")
    for heading in FEATURES.values():
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(row[1], *row[2:-1])
    console = Console(highlight=False, markup=False)
    console.print(table, width=max(console.width, 132), crop=False)


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


def _print_csv(rows: list[tuple[str, ...]], columns: tuple[str, ...] = COLUMNS) -> None:
    """Write CSV; a cell that a spreadsheet would take for a formula gets an apostrophe in front."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([cell if _harmless(cell) else f"'{cell}" for cell in row] for row in rows)


def _harmless(cell: str) -> bool:
    """Tell whether a spreadsheet takes a cell for text or for a plain number."""
    return cell[:1] not in {"=", "+", "-", "@"} or _NUMBER.fullmatch(cell) is not None


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
