"""One day's market: the snapshot first, then the histories of the pools that pass the screen."""

from __future__ import annotations

import datetime as dt
import functools
from collections import Counter

import pytest
from made_market import AS_OF, MadeSource, chart, pool_id, raw_row, wavy

from tools.errors import EmptyMarket, MarketError, MarketUnavailable
from tools.market.demo import DemoSource
from tools.market.evidence import Evidence
from tools.market.load import read_market
from tools.market.sources import FolderSource
from tools.strategies.universe import protocol_tvl, screen


def read(source, asset="USD", as_of=AS_OF, progress=None):
    return read_market(Evidence(source), asset, as_of, functools.partial(screen, asset=asset), protocol_tvl, progress)


def sound(numbers):
    rows = [raw_row(pool_id(n)) for n in numbers]
    return rows, {pool_id(n): chart(wavy(100, phase=n)) for n in numbers}


def test_every_row_is_a_history_or_has_a_reason():
    rows, charts = sound(range(1, 6))
    rows += [
        raw_row(pool_id(11), symbol="PEPE"),
        raw_row(pool_id(12), tvlUsd=999_999),
        raw_row(pool_id(13), apy=-1),
        raw_row(pool_id(14), apy="NaN"),
        raw_row(pool_id(15), chain=None),
        raw_row(pool_id(16)),
        raw_row(pool_id(16)),
        raw_row(pool_id(17)),
        raw_row(pool_id(18)),
        raw_row(pool_id(19)),
        "not a row",
        {"pool": 5},
    ]
    charts |= {pool_id(17): chart(wavy(59)), pool_id(18): chart([])}
    market = read(MadeSource(rows, charts))
    assert market.pools_total == len(rows) == len(market.histories) + len(market.excluded)
    assert set(market.histories) == {pool_id(n) for n in range(1, 6)}
    assert Counter(market.excluded.values()) == {
        "token_not_allowed": 1,
        "too_small": 1,
        "out_of_bounds": 1,
        "not_finite": 1,
        "malformed": 3,
        "duplicate_id": 2,
        "short_history": 1,
        "no_history": 2,
    }
    assert set(market.rows) >= set(market.histories)


def test_only_pools_that_pass_the_screen_are_asked_for_their_history():
    rows, charts = sound([1, 2])
    source = MadeSource([*rows, raw_row(pool_id(3), symbol="PEPE"), raw_row(pool_id(4), tvlUsd=5)], charts)
    read(source)
    assert source.asked == [pool_id(1), pool_id(2)]


def test_a_history_that_failed_is_told_from_one_that_does_not_exist():
    rows, charts = sound(range(1, 11))
    charts[pool_id(3)], charts[pool_id(4)] = ..., None
    market = read(MadeSource(rows, charts))
    assert (market.excluded[pool_id(3)], market.excluded[pool_id(4)]) == ("history_failed", "no_history")
    assert market.warnings == ("1 histories could not be fetched",)


def test_more_than_a_fifth_of_failed_histories_is_a_failure():
    rows, charts = sound(range(1, 11))
    for n in (1, 2):
        charts[pool_id(n)] = ...
    assert len(read(MadeSource(rows, charts)).histories) == 8
    charts[pool_id(3)] = ...
    with pytest.raises(MarketUnavailable, match="3 of 10 histories"):
        read(MadeSource(rows, charts))


def test_a_snapshot_without_a_row_is_an_empty_market():
    with pytest.raises(EmptyMarket, match="2025-02-28"):
        read(MadeSource([]))
    assert issubclass(EmptyMarket, MarketError)


def test_a_snapshot_without_a_usable_row_is_a_market_without_histories():
    market = read(MadeSource([raw_row(symbol="PEPE"), {"pool": None}]))
    assert (market.pools_total, len(market.histories), len(market.excluded)) == (2, 0, 2)


def test_the_market_does_not_depend_on_the_order_of_rows():
    rows, charts = sound(range(1, 8))
    rows += [raw_row(pool_id(9), apy=None), raw_row(pool_id(8), symbol=""), raw_row(pool_id(7))]
    first = read(MadeSource(rows, charts))
    second = read(MadeSource(rows[::-1], dict(reversed(charts.items()))))
    assert first.sha256 == second.sha256
    assert first.rows == second.rows
    assert first.excluded == second.excluded
    assert list(first.histories) == list(second.histories)


def test_what_comes_after_the_day_is_not_seen():
    rows, charts = sound([1, 2, 3])
    later = {p: [*c, *chart([900.0] * 20, AS_OF + dt.timedelta(days=20))] for p, c in charts.items()}
    first, second = read(MadeSource(rows, charts)), read(MadeSource(rows, later))
    for pool in first.histories:
        assert first.histories[pool].apy.tolist() == second.histories[pool].apy.tolist()


@pytest.mark.parametrize(
    ("asset", "table"), [("ETH", "eth_usd_daily.csv"), ("BTC", "btc_usd_daily.csv"), ("USD", None)]
)
def test_prices_are_read_for_what_is_no_dollar(asset, table):
    prices = [{"date": "2025-02-28", "close": "2240.5"}]
    market = read(MadeSource([raw_row()], tables={f"prices/{table}": prices}), asset)
    assert market.prices == (prices if table else None)


def test_the_size_of_a_protocol_is_the_sum_of_all_its_sound_pools():
    rows = [
        raw_row(pool_id(1), project="aave-v3", tvlUsd=3e6),
        raw_row(pool_id(2), project="aave-v2", tvlUsd=2e6, symbol="PEPE"),
        raw_row(pool_id(3), project="aave-v3", tvlUsd=-1),
        raw_row(pool_id(4), project="curve-dex", tvlUsd=7e6),
    ]
    assert read(MadeSource(rows)).protocol_tvl_usd == {"aave": 5e6, "curve": 7e6}


def test_progress_is_passed_on():
    seen = []

    class Counting(MadeSource):
        def charts(self, pool_ids, as_of, progress=None):
            progress(1, 1)
            return super().charts(pool_ids, as_of, progress)

    rows, charts = sound([1])
    read(Counting(rows, charts), progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 1)]


def test_without_a_day_the_source_names_its_own():
    rows, charts = sound([1])
    assert read(MadeSource(rows, charts), as_of=None).as_of == AS_OF


def test_the_demo_market_says_that_it_is_synthetic_and_adds_up():
    market = read(DemoSource(), "BTC", None)
    assert market.synthetic
    assert market.pools_total == len(market.histories) + len(market.excluded)


@pytest.mark.parametrize("asset", ["USD", "ETH", "BTC"])
@pytest.mark.parametrize("day", [dt.date(2024, 10, 1), dt.date(2025, 2, 28), dt.date(2025, 9, 26)])
def test_the_recorded_market_adds_up_on_every_day(market_folder, asset, day):
    market = read(FolderSource(market_folder), asset, day)
    assert market.pools_total == len(market.histories) + len(market.excluded)
    assert all(history.last == day for history in market.histories.values())


def test_no_look_ahead_in_the_recorded_market(market_folder):
    """A source that forgets to cut its charts at the day changes nothing."""

    class Uncut(FolderSource):
        def charts(self, pool_ids, as_of, progress=None):
            return super().charts(pool_ids, dt.date(2030, 1, 1), progress)

    day = dt.date(2024, 12, 1)
    cut, uncut = read(FolderSource(market_folder), "ETH", day), read(Uncut(market_folder), "ETH", day)
    assert cut.excluded == uncut.excluded
    for pool, history in cut.histories.items():
        assert history.apy.tolist() == uncut.histories[pool].apy.tolist()
