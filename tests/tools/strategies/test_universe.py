"""From rows to pools that may be held: the screen, the benchmark, risk, the user's own limits, the price."""

from __future__ import annotations

import datetime as dt
import functools
import random

import numpy as np
import pytest
from made_market import AS_OF, MILLION, MadeSource, chart, market, pool, pool_id, raw_row, wavy
from made_market import universe as made_universe

from tools.market.evidence import Evidence
from tools.market.load import read_market
from tools.market.quality import parse_rows
from tools.records import Mandate
from tools.strategies.universe import build_universe, counted, price_on, protocol_tvl, ruled_out, screen
from tools.units import daily_return


class Risks:
    """The risks that a test gives; custodians have none."""

    def __init__(self, projects=None, issuers=None):
        self.projects, self.issuers = projects or {}, issuers or {}

    def project(self, project):
        return self.projects.get(project, 0.1)

    def issuer(self, issuer):
        return self.issuers.get(issuer)


def read(rows, charts=None, asset="USD", risks=None):
    charts = charts or {row["pool"]: chart(wavy(100, phase=n)) for n, row in enumerate(rows)}
    found = read_market(
        Evidence(MadeSource(rows, charts)), asset, AS_OF, functools.partial(screen, asset=asset), protocol_tvl
    )
    return build_universe(found, asset, risks or Risks())


# The screen


def test_other_tokens_come_before_faults_and_faults_before_size():
    parsed = parse_rows(
        [
            raw_row(pool_id(1)),
            raw_row(pool_id(2), symbol="PEPE", apy=-1),
            raw_row(pool_id(3), apy=-1, tvlUsd=5),
            raw_row(pool_id(4), tvlUsd=999_999.99),
            raw_row(pool_id(5), tvlUsd=1_000_000),
            raw_row(pool_id(6), symbol="WETH"),
        ]
    )
    assert screen(parsed, "USD") == {
        pool_id(2): "token_not_allowed",
        pool_id(3): "out_of_bounds",
        pool_id(4): "too_small",
        pool_id(6): "token_not_allowed",
    }
    assert set(parsed.rows) - set(screen(parsed, "ETH")) == {pool_id(6)}


@pytest.mark.parametrize("asset", ["USD", "ETH", "BTC"])
def test_every_row_is_eligible_or_counted(asset):
    symbols = ["USDC", "WETH", "WBTC", "USDC-USDT", "USDC-WETH", "U\u0405DC", "u\u017fdc", "PEPE"]
    rows = [raw_row(pool_id(n), symbol=symbol, tvlUsd=n * 200_000) for n, symbol in enumerate(symbols * 2)]
    found = read(rows, asset=asset)
    assert len(rows) == len(found.pools) + sum(counted(found.excluded).values())
    assert found.pools


def test_reasons_are_counted_most_frequent_first():
    assert list(counted({"a": "y", "b": "x", "c": "z", "d": "z"}).items()) == [("z", 2), ("x", 1), ("y", 1)]


# Pools


def test_pools_say_what_they_hold_and_who_stands_behind_it():
    rows = [
        raw_row(pool_id(1), symbol="USDC-USDT-sDAI", project="curve-dex"),
        raw_row(pool_id(2), symbol="spDAI", project="morpho-v1"),
        raw_row(pool_id(3), symbol="USDC.e-DAI.e", project="curve-dex"),
    ]
    first, second, third = read(rows).pools
    assert first.tokens == ("SDAI", "USDC", "USDT")
    assert not first.single
    assert first.issuer_shares == pytest.approx({"Circle": 1 / 3, "Tether": 1 / 3, "Sky": 1 / 3})
    assert (second.tokens, second.single) == (("DAI",), True)
    assert second.issuer_shares == {"Ethena": 1.0, "Sky": 1.0}
    assert third.issuer_shares == {"Circle": 0.5, "Sky": 0.5, "Canonical bridge": 1.0}
    assert all(0.0 <= share <= 1.0 for p in (first, second, third) for share in p.issuer_shares.values())


@pytest.mark.parametrize(
    ("project", "symbol", "projects", "issuers", "risk"),
    [
        ("aave-v3", "USDC", {"aave-v3": 0.2}, {}, 0.2),
        ("aave-v3", "USDE", {"aave-v3": 0.2}, {"Ethena": 0.7}, 0.7),
        ("aave-v3", "USDE", {"aave-v3": 0.8}, {"Ethena": 0.7}, 0.8),
        ("morpho-v1", "STEAKUSDCRWA", {"morpho-v1": 0.2}, {}, 0.5),
        ("morpho-v1", "spDAI", {"morpho-v1": 0.2}, {"Ethena": 0.65}, 0.65),
        ("aave-v3", "USDC", {"aave-v3": 0.2}, {"Circle": None}, 0.2),
    ],
)
def test_the_risk_of_a_pool_is_that_of_its_weakest_party(project, symbol, projects, issuers, risk):
    found = read([raw_row(project=project, symbol=symbol)], risks=Risks(projects, issuers)).pools[0]
    assert found.protocol_risk == risk
    assert found.weakest_party


@pytest.mark.parametrize(
    ("base", "reward", "counts"),
    [
        (4.0, 1.0, 0.04),
        (None, None, 0.05),
        (None, 2.0, 0.0),
        (None, 0.0, 0.05),
        (0.0, 5.0, 0.0),
        (400.0, None, 0.05),
    ],
)
def test_the_base_yield_counts_no_reward_and_never_more_than_the_whole(base, reward, counts):
    found = read([raw_row(apyBase=base, apyReward=reward)])
    assert found.pools[0].counted_base_apy == pytest.approx(counts)


@pytest.mark.parametrize(("level", "apy", "multiple"), [(5.0, 5.0, 1.0), (5.0, 12.5, 2.5), (1.0, 1.5, 0.5)])
def test_a_yield_is_set_against_the_market_but_never_against_next_to_nothing(level, apy, multiple):
    """A market of under 3 % is taken for 3 %: ten times next to nothing would alarm at nothing."""
    rows = [raw_row(pool_id(n), apy=apy if n == 9 else level, apyBase=None, apyReward=None) for n in (1, 2, 9)]
    found = read(rows, {row["pool"]: chart([level] * 100) for row in rows})
    assert found.pools[-1].apy_multiple == pytest.approx(multiple)


def test_names_are_safe_to_show():
    found = read([raw_row(pool_id(1), symbol="USDC"), raw_row(pool_id(2), symbol="usdc")])
    assert {pool.name for pool in found.pools} == {"Aave v3 USDC, Ethereum", "Aave v3 usdc, Ethereum"}


@pytest.mark.parametrize(
    "label",
    [
        {"project": "<b>x</b>"},
        {"chain": "Ethereum\x1b]0;owned\x07"},
        {"chain": "https://x.example"},
        {"project": "A" * 61},
    ],
)
def test_a_project_or_chain_that_no_feed_writes_is_malformed(label):
    found = read([raw_row(pool_id(1), **label), raw_row(pool_id(2))])
    assert [pool.id for pool in found.pools] == [pool_id(2)]
    assert set(found.excluded.values()) == {"malformed"}


# The benchmark


def test_the_benchmark_is_the_median_of_the_pools_that_reach_each_day():
    lengths = (60, 100, 400, 75, 90)
    rows = [raw_row(pool_id(n)) for n in range(len(lengths))]
    charts = {pool_id(n): chart(wavy(days, 2.0 + n, phase=n)) for n, days in enumerate(lengths)}
    found = read(rows, charts)
    assert found.benchmark.shape == found.benchmark_apy.shape == (365,)
    for back in (1, 30, 60, 61, 76, 91, 101, 365):
        there = [p.history.apy[-back] for p in found.pools if p.history.apy.size >= back]
        assert found.benchmark_apy[-back] == np.median(there)
        assert found.benchmark[-back] == pytest.approx(np.median([daily_return(float(a)) for a in there]), rel=1e-14)


def test_a_market_that_falls_as_a_whole_empties_no_pool():
    rows = [raw_row(pool_id(n)) for n in range(5)]
    charts = {pool_id(n): chart([9.0 + n - 0.05 * day for day in range(100)]) for n in range(5)}
    assert {p.trend for p in read(rows, charts).pools} == {"not_down"}
    charts[pool_id(4)] = chart([13.0 - 0.05 * day - (0.03 * max(0, day - 60)) for day in range(100)])
    assert [p.trend for p in read(rows, charts).pools] == ["not_down"] * 4 + ["down"]


def test_an_empty_market_has_an_empty_universe():
    found = read([raw_row(symbol="PEPE")])
    assert (found.pools, found.benchmark.size) == ((), 0)


def test_neither_order_nor_future_changes_the_universe():
    rows = [raw_row(pool_id(n), symbol=s) for n, s in enumerate(["USDC", "DAI", "USDT", "sUSDS", "USDC-DAI"])]
    charts = {pool_id(n): chart(wavy(60 + 20 * n, phase=n)) for n in range(5)}
    later = {p: c + chart([500.0] * 9, AS_OF + dt.timedelta(days=9)) for p, c in charts.items()}
    shuffled = random.Random(2).sample(rows, 5)
    for other in (read(shuffled, charts), read(rows, later)):
        first = read(rows, charts)
        assert [p.id for p in other.pools] == [p.id for p in first.pools] == sorted(p.id for p in first.pools)
        assert [p.trend for p in other.pools] == [p.trend for p in first.pools]
        np.testing.assert_array_equal(other.benchmark, first.benchmark)


def test_the_benchmark_of_made_universes_is_the_same_one():
    pools = [pool(n, series=np.linspace(0.02, 0.03 + n / 100, 60 + 10 * n)) for n in range(4)]
    built = made_universe(pools)
    assert built.benchmark[-1] == pytest.approx(np.median([daily_return(float(p.history.apy[-1])) for p in pools]))


# The user's own limits

POOLS = (
    pool(1, chain="Ethereum", family="aave", tokens=("USDC",), tvl_usd=50 * MILLION),
    pool(2, chain="OP Mainnet", family="aave", tokens=("DAI",), tvl_usd=20 * MILLION),
    pool(3, chain="Base", family="curve", tokens=("USDC", "USDT"), tvl_usd=5 * MILLION),
    pool(4, chain="Ethereum", family="sky", tokens=("SUSDS",), tvl_usd=80 * MILLION),
    pool(5, chain="BSC", family="morpho", tokens=("USDC.E",), tvl_usd=9 * MILLION),
)


@pytest.mark.parametrize(
    ("limits", "rule", "out"),
    [
        ({}, None, ()),
        ({"chains_include": ["Ethereum"]}, "chains_include", (2, 3, 5)),
        ({"chains_include": ["Optimism", "Base"]}, "chains_include", (1, 4, 5)),
        ({"chains_exclude": ["Optimism"]}, "chains_exclude", (2,)),
        ({"chains_exclude": ["OP Mainnet", "Binance"]}, "chains_exclude", (2, 5)),
        ({"protocols_include": ["aave", "sky"]}, "protocols_include", (3, 5)),
        ({"protocols_exclude": ["curve"]}, "protocols_exclude", (3,)),
        ({"tokens_include": ["USDC"]}, "tokens_include", (2, 3, 4)),
        ({"tokens_include": ["USDC", "USDT"]}, "tokens_include", (2, 4)),
        ({"tokens_include": ["USDS"]}, "tokens_include", (1, 2, 3, 5)),
        ({"tokens_exclude": ["USDC"]}, "tokens_exclude", (1, 3, 5)),
        ({"tokens_exclude": ["USDC.E"]}, "tokens_exclude", (1, 3, 5)),
        ({"tokens_exclude": ["USDS"]}, "tokens_exclude", (4,)),
        ({"allow_il": False}, "allow_il", (3,)),
        ({"allow_il": True}, None, ()),
        ({"allow_il": None}, None, ()),
        ({"min_tvl_usd": 20 * MILLION}, "min_tvl_usd", (3, 5)),
        ({"min_tvl_usd": 0.0}, None, ()),
    ],
)
def test_each_limit_rules_out_what_it_says(limits, rule, out):
    found = ruled_out(POOLS, Mandate(asset="USD", **limits))
    assert found == {pool_id(n): rule for n in out}


@pytest.mark.parametrize("written", ["OP Mainnet", "Optimism", "optimism"])
@pytest.mark.parametrize("asked", ["OP Mainnet", "Optimism", "optimism"])
def test_a_chain_is_the_same_however_feed_and_user_write_it(written, asked):
    pools = (pool(1, chain=written), pool(2, chain="Base"))
    assert set(ruled_out(pools, Mandate(asset="USD", chains_exclude=[asked]))) == {pool_id(1)}
    assert set(ruled_out(pools, Mandate(asset="USD", chains_include=[asked]))) == {pool_id(2)}


@pytest.mark.parametrize("excluded", ["STETH", "WSTETH"])
def test_a_token_is_excluded_with_its_wrappers(excluded):
    pools = (pool(1, tokens=("WSTETH",)), pool(2, tokens=("STETH",)), pool(3, tokens=("WETH",)))
    assert set(ruled_out(pools, Mandate(asset="ETH", tokens_exclude=[excluded]))) == {pool_id(1), pool_id(2)}


def test_only_ether_takes_wrapped_ether():
    pools = (pool(1, tokens=("WETH",)), pool(2, tokens=("ETH",)), pool(3, tokens=("ETH", "STETH")))
    assert set(ruled_out(pools, Mandate(asset="ETH", tokens_include=["ETH"]))) == {pool_id(3)}


def test_the_first_limit_that_applies_is_named():
    mandate = Mandate(asset="USD", chains_exclude=["Base"], protocols_exclude=["curve"], allow_il=False)
    assert ruled_out(POOLS, mandate) == {pool_id(3): "chains_exclude"}


# Prices


def prices(*rows):
    return market([], prices=[{"date": date, "close": close} for date, close in rows])


@pytest.mark.parametrize(
    ("rows", "price"),
    [
        ([("2025-02-27", "10"), ("2025-02-28", "11")], 11.0),
        ([("2025-02-28", "11"), ("2025-02-27", "10")], 11.0),
        ([("2025-02-28", "11"), ("2025-03-01", "12")], 11.0),
        ([("2025-02-25", "10")], 10.0),
        ([("2025-02-24", "10")], None),
        ([("2025-02-27", "10"), ("2025-02-28", "")], 10.0),
        ([("2025-02-27", "10"), ("2025-02-28", "nan")], 10.0),
        ([("2025-02-27", "10"), ("2025-02-28", "0")], 10.0),
        ([("2025-02-27", "10"), ("2025-02-28", "-3"), ("", "99")], 10.0),
        ([("2025-02-28", "inf"), ("2025-02-27", "n/a")], None),
        ([], None),
    ],
)
def test_a_price_is_the_last_close_of_at_most_three_days_ago(rows, price):
    assert price_on(prices(*rows), AS_OF) == price


def test_without_a_table_there_is_no_price():
    assert price_on(market([]), AS_OF) is None
