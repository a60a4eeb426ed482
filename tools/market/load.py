"""Read one day's market: the snapshot first, then only the histories of the pools that pass the screen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from tools.errors import EmptyMarket, MarketUnavailable
from tools.market.evidence import Evidence
from tools.market.quality import ParsedRows, check_history, parse_rows
from tools.market.snapshot import History, Market, Progress
from tools.records import Asset

PRICE_TABLES: dict[Asset, str] = {"ETH": "eth_usd_daily.csv", "BTC": "btc_usd_daily.csv"}
# Gas is paid in ether; the prices of the great dollars show whether one of them is off its peg.
COST_TABLES = ("eth_gas_gwei_daily.csv", "eth_usd_daily.csv")
TOKEN_TABLES: dict[str, str] = {"USDC": "usdc_usd_daily.csv", "USDT": "usdt_usd_daily.csv", "DAI": "dai_usd_daily.csv"}
PRICE_DAYS = 400  # of these tables: a year, and what may stand in for a missing day
RATE_DAYS = 40  # of a lender's: the month that its slopes are read off, and some for missing days
MAX_FAILED_SHARE = 0.2

Screen = Callable[[ParsedRows], dict[str, str]]
ProtocolTvl = Callable[[ParsedRows], dict[str, float]]


def read_market(
    source: Evidence,
    asset: Asset,
    as_of: dt.date | None,
    screen: Screen,
    protocol_tvl: ProtocolTvl,
    progress: Progress | None = None,
    rates: Sequence[str] = (),
    *,
    lenient: bool = False,
) -> Market:
    """Read what a decision about ``asset`` needs, as known at the end of ``as_of`` (None: the source's own day).

    ``screen`` returns the reason of each row that needs no history; ``rates`` names tables of lenders' rates to read;
    ``lenient`` takes histories as they are (``quality.check_history``).
    Raises a ``MarketError`` when there is no snapshot, no pool, or when more than a fifth of the histories could not be
    fetched; a pool whose history alone failed is excluded as ``history_failed``.
    """
    day = source.day(as_of)
    parsed = parse_rows(source.pools(day))
    if parsed.total == 0:
        raise EmptyMarket(f"{source.label}: the snapshot of {day.isoformat()} lists no pool")
    excluded = screen(parsed)
    wanted = sorted(pool_id for pool_id in parsed.rows if pool_id not in excluded)
    charts = source.charts(wanted, day, progress)
    failed = [pool_id for pool_id in wanted if pool_id not in charts]
    if len(failed) > MAX_FAILED_SHARE * len(wanted):
        raise MarketUnavailable(
            f"{source.label}: {len(failed)} of {len(wanted)} histories could not be fetched; try again later"
        )
    histories: dict[str, History] = {}
    for pool_id in wanted:
        chart = charts.get(pool_id)
        checked = "history_failed" if pool_id in failed else "no_history"
        result = check_history(parsed.rows[pool_id], chart, day, lenient=lenient) if chart else checked
        if isinstance(result, History):
            histories[pool_id] = result
        else:
            excluded[pool_id] = result
    first_price = day - dt.timedelta(days=PRICE_DAYS)
    wanted_tables = (*COST_TABLES, *(TOKEN_TABLES.values() if asset == "USD" else ()))
    return Market(
        source=source.label,
        synthetic=source.synthetic,
        as_of=day,
        pools_total=parsed.total,
        rows=parsed.rows,
        screened=frozenset(wanted),
        histories=histories,
        excluded=excluded,
        labels=parsed.labels,
        protocol_tvl_usd=protocol_tvl(parsed),
        hacks=source.hacks(day),
        prices=source.table("prices", PRICE_TABLES[asset], day) if asset in PRICE_TABLES else None,
        tables={name: source.table("prices", name, day, first_price) for name in wanted_tables}
        | {name: source.table("rates", name, day, day - dt.timedelta(days=RATE_DAYS)) for name in rates},
        sha256=source.sha256(),
        warnings=(f"{len(failed)} histories could not be fetched",) if failed else (),
    )
