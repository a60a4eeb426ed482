"""A case shown to our own program the way any market is: DefiLlama's rows, histories, tables of gas and of a lender.

What the rows do not say, our program does not learn: how much a lender has lent out (but for Aave's USDC on Ethereum,
of which a table is on record), whether a project's yield is shared. Its own model of dilution has to guess.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from agents.state import Settings
from evals.made_source import AS_OF, Listed, MadeSource, Table
from evals.regret.income import apy_parts, borrow_rate, supply_rate
from evals.regret.markets import Lender, Pool, RegretCase
from tools.exposure import exposures
from tools.market.evidence import Evidence
from tools.market.load import read_market
from tools.market.snapshot import Market
from tools.risk.costs import WEI_PER_GWEI, gas_per_move
from tools.risk.lookup import ProtocolRisks
from tools.sizing.lending import dilution_tables
from tools.strategies.universe import Universe, build_universe, protocol_tvl, screen

RECORDED = ("aave-v3", "Ethereum", "USDC")
RECORDED_TABLE = "rates/aave_v3_ethereum_usdc_subgraph_daily.csv"
RECORDED_DAYS = 30
ETHER_USD = 2_500.0
_NAMES = {"USD": "", "ETH": " worth of ETH", "BTC": " worth of BTC"}


class Seen(NamedTuple):
    """What our program makes of a served case before it decides anything."""

    market: Market
    universe: Universe


def question_of(case: RegretCase) -> str:
    """Put a case into words: the amount, the year, the limits; high risk, as income alone counts."""
    percent = f"{100.0 * case.market.max_weight:g}"
    name = _NAMES[case.market.asset]
    return f"Put ${case.amount_usd:,.0f}{name} to work for a year, high risk, at most {percent}% in one pool"


def source_of(case: RegretCase) -> MadeSource:
    """Return the case as a source of market data."""
    pools = case.market.pools
    listed = [
        Listed(pool.id, pool.project, pool.chain, pool.symbol, pool.withdrawable_usd, *apy_parts(pool), float(number))
        for number, pool in enumerate(pools)
    ]
    tables = _gas_tables(pools)
    recorded = [pool for pool in pools if (pool.project, pool.chain, pool.symbol) == RECORDED]
    if len(recorded) == 1 and isinstance(recorded[0].curve, Lender):
        tables[RECORDED_TABLE] = _lender_table(recorded[0], recorded[0].curve)
    return MadeSource(listed, tables)


def see(case: RegretCase) -> Seen:
    """Read a served case with the program's own tools."""
    asset = case.market.asset
    market = read_market(
        Evidence(source_of(case)),
        asset,
        None,
        lambda parsed: screen(parsed, asset),
        protocol_tvl,
        None,
        dilution_tables() if asset == "USD" else (),
    )
    return Seen(market, build_universe(market, asset, ProtocolRisks(market, None)))


def settings_of(seen: Seen, paths: int) -> Settings:
    """Return settings under which nothing fails, as nothing does in a case: every hazard is set to 0 by hand."""
    hits = exposures(seen.universe.pools, seen.market.as_of)
    return Settings(paths=paths, hazard_rates=dict.fromkeys(sorted(hits.nodes), 0.0))


def _gas_tables(pools: list[Pool]) -> dict[str, Table]:
    """Return tables from which going in and out on Ethereum costs what the case says; none where it says nothing."""
    entry = next(
        (pool.entry_cost_usd for pool in pools if pool.chain == "Ethereum" and pool.entry_cost_usd > 0.0), None
    )
    if entry is None:
        return {}
    gwei = entry / 2.0 / (gas_per_move(amm=False) * WEI_PER_GWEI * ETHER_USD)
    days = _days()
    return {
        "prices/eth_gas_gwei_daily.csv": [{"date": day, "avg_gas_gwei": repr(gwei)} for day in days],
        "prices/eth_usd_daily.csv": [{"date": day, "close": repr(ETHER_USD)} for day in days],
    }


def _lender_table(pool: Pool, curve: Lender) -> Table:
    """Return a month of a lender's days: utilisation wandered across its kink, and ends where the case has it."""
    used = curve.borrowed_usd / pool.deposits_usd
    rows: Table = []
    for number, day in enumerate(_days()):
        back = RECORDED_DAYS - 1 - number
        level = used if back == 0 else min(0.99, max(0.05, curve.kink - 0.06 + 0.004 * back))
        supplied = pool.deposits_usd if back == 0 else curve.borrowed_usd / level
        rows.append(
            {
                "date": day,
                "totalDepositBalanceUSD": repr(supplied),
                "X_Aave_Utilization": repr(level),
                "Y_Aave_APY": repr(100.0 * supply_rate(curve, level)),
                "X_Variable_Borrow_APY": repr(100.0 * borrow_rate(curve, level)),
            }
        )
    return rows


def _days() -> list[str]:
    return [(AS_OF - dt.timedelta(days=back)).isoformat() for back in reversed(range(RECORDED_DAYS))]
