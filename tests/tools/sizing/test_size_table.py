"""Four sizes on the recorded market: the allocations differ, and what stands in the way says why."""

from __future__ import annotations

import datetime as dt
import functools
import itertools

import numpy as np
import pytest

from tools.market.evidence import Evidence
from tools.market.load import read_market
from tools.market.sources import FolderSource
from tools.risk.costs import gas_usd
from tools.risk.lookup import ProtocolRisks
from tools.sizing import curve_of, dilution_tables, flat, size_table
from tools.strategies.universe import build_universe, protocol_tvl, screen

DAY = dt.date(2025, 2, 28)


@pytest.fixture(scope="module")
def rows(market_folder):
    """Pools of medium risk and their allocations; 2 % of the protocol risk stands in for expected losses."""
    source = FolderSource(market_folder)
    market = read_market(Evidence(source), "USD", DAY, functools.partial(screen, asset="USD"), protocol_tvl)
    pools = [
        p for p in build_universe(market, "USD", ProtocolRisks(market)).pools if p.protocol_risk <= 0.55 and p.single
    ]
    tables = {name: source.table("rates", name, DAY) for name in dilution_tables()}
    prices = (market.tables["eth_gas_gwei_daily.csv"], market.tables["eth_usd_daily.csv"], DAY)
    families = sorted({p.family for p in pools})
    table = size_table(
        [curve_of(p, DAY, tables) for p in pools],
        [p.row.tvl_usd for p in pools],
        [f"{p.id[:8]} {p.name}" for p in pools],
        horizon_days=90,
        max_weight=0.5,
        position_share=0.05,
        fixed_cost_usd=[gas_usd(p.row.chain, 2, *prices).value for p in pools],
        expected_loss=[0.02 * p.protocol_risk for p in pools],
        group_caps=[([float(p.family == family) for p in pools], 0.6, f"protocol {family}") for family in families],
    )
    return pools, table


def test_every_size_has_its_own_allocation_with_proof(rows):
    pools, table = rows
    for row in table:
        found = row.allocation
        assert found.gap <= 1e-5 * row.amount_usd
        assert (found.weights * row.amount_usd <= 0.05 * np.array([p.row.tvl_usd for p in pools]) + 1e-3).all()
    for one, other in itertools.pairwise(table):
        assert np.abs(one.allocation.weights - other.allocation.weights).sum() > 0.02


def test_large_money_earns_less_and_its_limits_cost_more(rows, published):
    _, table = rows
    small, million, ten, fifty = (row.allocation for row in table)
    assert million.net_apy > ten.net_apy > fifty.net_apy
    assert small.net_apy < million.net_apy  # gas
    held = [int((row.allocation.weights > 0.0).sum()) for row in table]
    assert held[0] < held[-1]
    for row in table:
        dearest = row.allocation.binding[0]
        published.append(
            f"${row.amount_usd:,.0f}: {row.allocation.net_apy:.2%} a year in {int((row.allocation.weights > 0).sum())} "
            f"pools, {dearest.limit} costs {dearest.price_bps:.2f} bps per point"
        )


def test_pools_that_cannot_hold_the_amount_are_a_row_with_the_limits_named():
    curves = [flat(0.05), flat(0.04)]
    small, large = size_table(
        curves, [1e6, 1e6], ["a", "b"], horizon_days=90, max_weight=1.0, position_share=0.05, amounts_usd=(1e4, 1e6)
    )
    assert small.allocation.net_apy == pytest.approx(0.05)
    assert (large.allocation, large.conflict) == (None, ("upper",))


def test_a_small_pool_is_capped_by_its_share_and_a_large_one_by_its_weight():
    curves = [flat(0.06), flat(0.05), flat(0.04)]
    (row,) = size_table(
        curves, [1e6, 1e9, 1e9], ["a", "b", "c"],
        horizon_days=90, max_weight=0.5, position_share=0.05, amounts_usd=(1e6,),
    )  # fmt: skip
    assert [b.limit for b in row.allocation.binding] == ["weight of a, by what can be withdrawn", "weight of b"]
    assert list(row.allocation.weights) == pytest.approx([0.05, 0.5, 0.45])
