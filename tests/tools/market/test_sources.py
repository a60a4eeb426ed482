"""Market sources: the same market by folder and by URL, cut at its day; every failure typed; nothing asked twice."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import feed_server as fs
import pytest

from tools.errors import CorruptMarket, EmptyMarket, MarketError, MarketUnavailable, SnapshotMissing, SourceError
from tools.market.evidence import Evidence
from tools.market.http import BreakerOpen, Fetcher, Limits
from tools.market.sources import (
    LIVE,
    FolderSource,
    HttpSource,
    LiveAddresses,
    LiveSource,
    SavedSource,
    open_source,
)
from tools.market.store import Store

DAY = dt.date(2025, 2, 28)
NOON = dt.datetime(2025, 2, 28, 12, 0, tzinfo=dt.UTC)
IDS = [f"{n:08d}-c668-4682-b9f9-296708a3dd90" for n in range(20)]
END = 1740787200  # the first second of 2025-03-01


def chart(*days: str) -> list[dict[str, Any]]:
    return [{"timestamp": f"{day}T23:01:00.000Z", "tvlUsd": 1_000_000, "apy": 3.5, "apyBase": 3.5} for day in days]


POOLS = [{"pool": pool_id, "project": "p", "chain": "c", "symbol": "S", "tvlUsd": 1, "apy": 2.5} for pool_id in IDS]
CHART = chart("2025-02-26", "2025-02-27", "2025-02-28", "2025-03-01")
HACKS = [{"date": END - 1, "name": "known"}, {"date": END, "name": "later"}, {"date": None, "name": "undated"}]
DAILY = "date,close\n2025-02-27,1.0\n2025-02-28,2.0\n2025-03-01,3.0\n"
MONTHLY = "month,rate_percent\n2025-01,4.2\n2025-02,4.3\n2025-03,4.4\n"
STAMPED = "timestamp,date_time,x\n1,2025-02-28 23:59:59,a\n2,2025-03-01 00:00:00,b\n"


def documents() -> dict[str, bytes]:
    """The market as a server has it."""
    return {
        "/pools": fs.envelope(POOLS),
        **{f"/chart/{pool_id}": fs.envelope(CHART) for pool_id in IDS},
        "/hacks": json.dumps(HACKS).encode(),
        "/prices/eth_usd_daily.csv": DAILY.encode(),
        "/rates/bill.csv": MONTHLY.encode(),
        "/rates/stamped.csv": STAMPED.encode(),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same market as a folder."""
    root = tmp_path / "market"
    for name, body in documents().items():
        kind, _, key = name[1:].partition("/")
        if kind == "pools":
            path, body = root / "pools" / "2025-02-28.json.gz", gzip.compress(body)
        elif kind == "chart":
            path, body = root / "charts" / f"{key}.json.gz", gzip.compress(body)
        else:
            path = root / ("hacks.json" if kind == "hacks" else name[1:])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    (root / "pools" / "2024-12-01.json.gz").write_bytes(gzip.compress(fs.envelope(POOLS[:2])))
    return root


@pytest.fixture
def feed() -> Iterator[fs.Feed]:
    with fs.serve(documents()) as running:
        yield running


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@dataclass
class Clock:
    """The time of day, set by the test, and a clock that only pauses move."""

    moment: dt.datetime = NOON
    seconds: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def now(self) -> dt.datetime:
        return self.moment

    def tick(self) -> float:
        return self.seconds

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds

    def fetcher(self, *addresses: str, **limits: float) -> Fetcher:
        hosts = frozenset(urlsplit(address).netloc for address in addresses)
        return Fetcher(hosts, Limits(**limits), pause=self.pause, clock=self.tick, now=self.now)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def remote(
    feed: fs.Feed, clock: Clock, store: Store | None = None, refresh: bool = False, **limits: float
) -> HttpSource:
    fetcher = clock.fetcher(feed.url, **limits)
    return HttpSource(feed.url, store=store, now=clock.now, refresh=refresh, fetcher=fetcher)


def live(feed: fs.Feed, clock: Clock, store: Store | None = None, refresh: bool = False) -> LiveSource:
    addresses = LiveAddresses(yields=f"{feed.url}/yields", main=f"{feed.url}/main", coins=f"{feed.url}/coins")
    fetcher = clock.fetcher(feed.url)
    return LiveSource(store=store, now=clock.now, refresh=refresh, fetcher=fetcher, addresses=addresses)


# Opening


def opened(name: str, **options: Any) -> Any:
    return open_source(name, store=None, now=lambda: NOON, **options)


def test_each_kind_of_source_is_opened_by_its_name(folder: Path) -> None:
    assert type(opened("live")) is LiveSource
    assert type(opened(str(folder))) is FolderSource
    assert type(opened("http://127.0.0.1:8000/")) is HttpSource
    assert opened("https://example.org/api/").label == "https://example.org/api"
    assert opened("demo", seed=3).synthetic
    assert opened("demo", seed=3).seed == 3
    assert opened(str(folder)).label == str(folder)
    assert not opened(str(folder)).synthetic


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("liv", "'liv' is neither a known source nor a folder; accepted are live, demo, a folder"),
        ("/nowhere/at/all", "neither a known source nor a folder"),
        ("", "neither a known source nor a folder"),
        ("ftp://example.org", "ftp://example.org cannot be read; accepted are live"),
        ("file:///etc/passwd", "cannot be read"),
        ("http://", "cannot be read"),
        ("http://:80", "cannot be read"),
        ("http://example.org:99999", "not an address"),
        ("http://[::1", "not an address"),
        ("https://example.org?key=hidden", "neither a query nor a fragment"),
        ("https://example.org/#hidden", "neither a query nor a fragment"),
        ("https://exam ple.org", "blanks or control characters"),
        ("https://example.org/\x1b[2J", "blanks or control characters"),
        ("https://me:hidden@example.org/", "must not carry a user name"),
        ("https://me@example.org/", "must not carry a user name"),
    ],
)
def test_what_is_no_source_is_refused_with_what_is_accepted(name: str, said: str) -> None:
    with pytest.raises(SourceError) as caught:
        opened(name)
    assert said in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_file_and_a_folder_without_pools_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="neither a known source nor a folder"):
        opened(str(tmp_path / "file"))
    with pytest.raises(SourceError, match=r"expected a folder with pools/DATE\.json\.gz"):
        opened(str(tmp_path))


# Folder


def test_a_folder_means_its_newest_snapshot(folder: Path) -> None:
    (folder / "pools" / "notes.txt").touch()
    (folder / "pools" / "20260101.json.gz").touch()  # not a name that we write
    source = FolderSource(folder)
    assert source.day(None) == DAY
    assert source.day(dt.date(2024, 12, 1)) == dt.date(2024, 12, 1)
    assert len(source.pools(dt.date(2024, 12, 1))) == 2


def test_a_date_without_a_snapshot_names_those_that_are_there(folder: Path) -> None:
    source = FolderSource(folder)
    for ask in (source.day, source.pools):
        with pytest.raises(SnapshotMissing, match="no snapshot of 2025-01-01; there are: 2024-12-01, 2025-02-28"):
            ask(dt.date(2025, 1, 1))
    for path in (folder / "pools").iterdir():
        path.unlink()
    with pytest.raises(SnapshotMissing, match="there are: none"):
        source.day(None)


BAD_BODIES = {
    "not JSON": b"<html><body>502 Bad Gateway</body></html>",
    "nothing": b"",
    "cut short": fs.envelope(POOLS)[:-20],
    "a bare list": b"[]",
    "a number": b"7",
    "an error status": b'{"status": "error", "data": []}',
    "an error message": b'{"message": "Internal server error"}',
    "no data": b'{"status": "success"}',
    "null data": b'{"status": "success", "data": null}',
    "data by name": b'{"status": "success", "data": {"a": 1}}',
    "a key twice": b'{"status": "success", "data": [{"pool": "a", "apy": 1, "apy": 2}]}',
    "bottomless": b'{"status": "success", "data": ' + b"[" * 100_000,
    "too many rows": fs.envelope([0] * 200_001),
    "an enormous integer": b'{"status": "success", "data": [{"apy": ' + b"9" * 5000 + b"}]}",
    "no text": b'{"status": "success", "data": ["\xff"]}',
}
BAD_FILES = {
    "no gzip": b"not gzip",
    "empty": b"",
    "half a gzip": gzip.compress(fs.envelope(POOLS))[:-9],
    "a flipped byte": gzip.compress(b'{"status":"success","data":[1]}')[:-6] + b"\x00\x01" + b"\x00" * 4,
    "something behind": gzip.compress(fs.envelope(POOLS)) + b"x",
    **{name: gzip.compress(body) for name, body in BAD_BODIES.items()},
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_broken_file_is_named(folder: Path, content: bytes) -> None:
    source = FolderSource(folder)
    pools, a_chart = folder / "pools" / "2025-02-28.json.gz", folder / "charts" / f"{IDS[3]}.json.gz"
    pools.write_bytes(content)
    a_chart.write_bytes(content)
    with pytest.raises(CorruptMarket, match=str(pools)):
        source.pools(DAY)
    with pytest.raises(CorruptMarket, match=str(a_chart)):
        source.charts(IDS, DAY)


def test_a_file_that_unpacks_to_too_much_is_refused(folder: Path) -> None:
    (folder / "charts" / f"{IDS[0]}.json.gz").write_bytes(gzip.compress(bytes(17 << 20)))
    with pytest.raises(CorruptMarket, match="more than the 16,777,216 bytes"):
        FolderSource(folder).charts(IDS[:1], DAY)


def test_a_market_without_pools_is_empty(folder: Path, feed: fs.Feed, clock: Clock) -> None:
    (folder / "pools" / "2025-02-28.json.gz").write_bytes(gzip.compress(fs.envelope([])))
    feed.documents["/pools"] = fs.envelope([])
    for source in (FolderSource(folder), remote(feed, clock)):
        with pytest.raises(EmptyMarket, match="lists no pool at all for 2025-02-28"):
            source.pools(DAY)


# What both must answer alike


@pytest.fixture(params=["folder", "url"])
def either(request: pytest.FixtureRequest, folder: Path, feed: fs.Feed, clock: Clock) -> FolderSource | HttpSource:
    return FolderSource(folder) if request.param == "folder" else remote(feed, clock)


def test_pools_come_as_they_are(either: FolderSource | HttpSource) -> None:
    assert either.pools(DAY) == POOLS


def test_charts_end_with_their_day(either: FolderSource | HttpSource) -> None:
    unknown = "ffffffff-c668-4682-b9f9-296708a3dd90"
    calls: list[tuple[int, int]] = []
    charts = either.charts([*IDS, unknown], DAY, lambda done, of: calls.append((done, of)))
    assert charts == {**dict.fromkeys(IDS, CHART[:3]), unknown: None}
    assert list(charts) == [*IDS, unknown]
    assert calls == [(n, 21) for n in range(1, 22)]
    assert either.charts(IDS[:1], dt.date(2024, 1, 1)) == {IDS[0]: []}
    assert either.charts([], DAY) == {}


@pytest.mark.parametrize(
    "bad", ["", "a", "../pools/2025-02-28", IDS[0].upper(), IDS[0] + "\n", IDS[0] + "?x=1", "%2e%2e"]
)
def test_an_id_that_is_none_has_no_chart(either: FolderSource | HttpSource, bad: str) -> None:
    bad = bad.replace("00000000-C", "0000000A-C")  # digits have no capitals
    assert either.charts([bad, IDS[0]], DAY) == {bad: None, IDS[0]: CHART[:3]}


def test_exploits_are_those_known_by_the_end_of_the_day(either: FolderSource | HttpSource) -> None:
    assert [hack["name"] for hack in either.hacks(DAY)] == ["known"]
    assert [hack["name"] for hack in either.hacks(DAY + dt.timedelta(days=1))] == ["known", "later"]


def test_tables_end_with_their_day_and_months_with_the_last_complete_one(either: FolderSource | HttpSource) -> None:
    assert either.table("prices", "eth_usd_daily.csv", DAY) == [
        {"date": "2025-02-27", "close": "1.0"},
        {"date": "2025-02-28", "close": "2.0"},
    ]
    assert either.table("rates", "bill.csv", DAY) == [{"month": "2025-01", "rate_percent": "4.2"}]
    assert either.table("rates", "stamped.csv", DAY) == [
        {"timestamp": "1", "date_time": "2025-02-28 23:59:59", "x": "a"}
    ]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("prices", "none.csv"),
        ("pools", "eth_usd_daily.csv"),
        ("prices", "../hacks.json"),
        ("prices", "a/b.csv"),
        ("..", "x.csv"),
    ],
)
def test_a_table_that_is_not_there_is_an_absence(either: FolderSource | HttpSource, kind: str, name: str) -> None:
    assert either.table(kind, name, DAY) is None


def test_without_exploits_the_list_is_empty(folder: Path, feed: fs.Feed, clock: Clock) -> None:
    (folder / "hacks.json").unlink()
    del feed.documents["/hacks"]
    assert FolderSource(folder).hacks(DAY) == remote(feed, clock).hacks(DAY) == []


def test_chart_rows_without_a_timestamp_stay_to_be_counted(folder: Path, feed: fs.Feed, clock: Clock) -> None:
    rows = [*CHART, {"timestamp": None, "apy": 1}, {"apy": 1}, 7, {"timestamp": 1740000000}, [], "x"]
    feed.documents[f"/chart/{IDS[0]}"] = fs.envelope(rows)
    (folder / "charts" / f"{IDS[0]}.json.gz").write_bytes(gzip.compress(fs.envelope(rows)))
    for source in (FolderSource(folder), remote(feed, clock)):
        assert source.charts(IDS[:1], DAY)[IDS[0]] == CHART[:3] + rows[4:]


BAD_TABLES = {
    "HTML": b"<html><body>oops</body></html>",
    "empty": b"",
    "no date": b"a,b\n1,2\n",
    "ragged": b"date,close\n2025-01-01\n",
    "a name twice": b"date,close,close\n2025-01-01,1,2\n",
    "not text": b"date,close\n\xff\xff,1\n",
    "NUL": b'date,close\n"2025,1\n',
}


@pytest.mark.parametrize("content", BAD_TABLES.values(), ids=BAD_TABLES.keys())
def test_a_broken_table_is_corrupt(folder: Path, feed: fs.Feed, clock: Clock, content: bytes) -> None:
    (folder / "prices" / "eth_usd_daily.csv").write_bytes(content)
    feed.documents["/prices/eth_usd_daily.csv"] = content
    for source in (FolderSource(folder), remote(feed, clock)):
        with pytest.raises(CorruptMarket, match=r"prices/eth_usd_daily\.csv"):
            source.table("prices", "eth_usd_daily.csv", DAY)


@pytest.mark.parametrize("content", [b"{}", b"null", b"[", b"<html>"])
def test_a_broken_list_of_exploits_is_corrupt(folder: Path, feed: fs.Feed, clock: Clock, content: bytes) -> None:
    (folder / "hacks.json").write_bytes(content)
    feed.documents["/hacks"] = content
    for source in (FolderSource(folder), remote(feed, clock)):
        with pytest.raises(CorruptMarket, match="hacks"):
            source.hacks(DAY)


# Over HTTP


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_an_answer_that_is_none_is_corrupt_and_not_kept(feed: fs.Feed, clock: Clock, store: Store, body: bytes) -> None:
    feed.documents["/pools"] = body
    source = remote(feed, clock, store)
    with pytest.raises(CorruptMarket, match=f"{feed.url}/pools"):
        source.pools(DAY)
    feed.documents["/pools"] = fs.envelope(POOLS)
    assert source.pools(DAY) == POOLS


def test_an_address_without_pools_has_no_snapshot(feed: fs.Feed, clock: Clock) -> None:
    del feed.documents["/pools"]
    with pytest.raises(SnapshotMissing, match="has no snapshot of 2025-02-28"):
        remote(feed, clock).pools(DAY)


def test_without_a_date_a_url_means_today_in_utc(feed: fs.Feed) -> None:
    east = dt.timezone(dt.timedelta(hours=9))
    clock = Clock(dt.datetime(2025, 3, 1, 8, 0, tzinfo=east))
    assert remote(feed, clock).day(None) == DAY
    assert remote(feed, clock).day(dt.date(2020, 1, 1)) == dt.date(2020, 1, 1)


def read_all(source: HttpSource, day: dt.date = DAY) -> tuple[Any, ...]:
    return (
        source.pools(day),
        source.charts(IDS, day),
        source.hacks(day),
        source.table("prices", "eth_usd_daily.csv", day),
        source.table("prices", "none.csv", day),
    )


def test_a_second_question_asks_the_network_nothing(feed: fs.Feed, clock: Clock, store: Store) -> None:
    first = read_all(remote(feed, clock, store))
    asked = len(feed.requests)
    assert asked == 24
    assert sorted(feed.requests) == sorted(set(feed.requests))
    source = remote(feed, clock, store)
    assert read_all(source) == first
    assert source.fetcher.requests == 0
    assert len(feed.requests) == asked


def test_only_what_is_missing_is_fetched(feed: fs.Feed, clock: Clock, store: Store) -> None:
    remote(feed, clock, store).charts(IDS[:15], DAY)
    source = remote(feed, clock, store)
    calls: list[tuple[int, int]] = []
    assert list(source.charts(IDS, DAY, lambda done, of: calls.append((done, of)))) == IDS
    assert source.fetcher.requests == 5
    assert calls == [(n, 20) for n in range(16, 21)]


def test_today_counts_for_an_hour_and_a_past_day_for_good(feed: fs.Feed, clock: Clock, store: Store) -> None:
    past = dt.date(2025, 1, 15)
    read_all(remote(feed, clock, store))
    read_all(remote(feed, clock, store), past)
    for passed, today_again in ((59, 0), (61, 24)):
        clock.moment = NOON + dt.timedelta(minutes=passed)
        source = remote(feed, clock, store)
        read_all(source, past)
        assert source.fetcher.requests == 0
        read_all(source)
        assert source.fetcher.requests == today_again
    clock.moment = NOON + dt.timedelta(days=400)
    source = remote(feed, clock, store)
    read_all(source, past), read_all(source)
    assert source.fetcher.requests == 0


def test_what_was_fetched_in_the_future_is_not_fresh(feed: fs.Feed, clock: Clock, store: Store) -> None:
    remote(feed, clock, store).pools(DAY)
    clock.moment = NOON - dt.timedelta(minutes=5)
    source = remote(feed, clock, store)
    source.pools(DAY)
    assert source.fetcher.requests == 1


def test_refresh_asks_again(feed: fs.Feed, clock: Clock, store: Store) -> None:
    remote(feed, clock, store).pools(DAY)
    feed.documents["/pools"] = fs.envelope(POOLS[:1])
    assert remote(feed, clock, store, refresh=True).pools(DAY) == POOLS[:1]
    assert remote(feed, clock, store).pools(DAY) == POOLS[:1]


def test_one_source_does_not_answer_for_another(feed: fs.Feed, clock: Clock, store: Store) -> None:
    remote(feed, clock, store).pools(DAY)
    with fs.serve({"/pools": fs.envelope(POOLS[:1])}) as other:
        assert remote(other, clock, store).pools(DAY) == POOLS[:1]


def test_what_the_store_lost_is_fetched_again(feed: fs.Feed, clock: Clock, store: Store) -> None:
    remote(feed, clock, store).pools(DAY)
    store.close()
    store.path.write_bytes(b"x" * 10_000)
    assert remote(feed, clock, store).pools(DAY) == POOLS
    assert len(feed.requests) == 2
    assert len(store.notes) == 1


@pytest.mark.parametrize(
    "fault", [fs.status(500), fs.cut_at(30), fs.sent(b"<html>"), fs.status(302, Location="/pools")]
)
def test_a_history_that_fails_is_left_out(feed: fs.Feed, clock: Clock, store: Store, fault: fs.Fault) -> None:
    for pool_id in IDS[:4]:
        feed.fail(f"/chart/{pool_id}", fault, times=4)
    calls: list[tuple[int, int]] = []
    source = remote(feed, clock, store, breaker_failures=1000)
    charts = source.charts(IDS, DAY, lambda done, of: calls.append((done, of)))
    assert list(charts) == IDS[4:]
    assert calls[-1] == (20, 20)
    feed.faults.clear()
    assert remote(feed, clock, store).charts(IDS, DAY).keys() == set(IDS)  # a failure is not remembered as an absence


def test_too_many_failures_raise_the_first(feed: fs.Feed, clock: Clock) -> None:
    for pool_id in IDS[15:]:
        feed.fail(f"/chart/{pool_id}", fs.sent(b"<html>"))
    with pytest.raises(CorruptMarket, match=f"5 of 20 histories could not be fetched; the first: .*{IDS[15]}"):
        remote(feed, clock).charts(IDS, DAY)


def test_two_failures_of_two_are_not_many(feed: fs.Feed, clock: Clock) -> None:
    for pool_id in IDS[:2]:
        feed.fail(f"/chart/{pool_id}", fs.status(400))
    assert remote(feed, clock).charts(IDS[:2], DAY) == {}


def test_a_host_that_is_down_raises(feed: fs.Feed, clock: Clock) -> None:
    for pool_id in IDS:
        feed.fail(f"/chart/{pool_id}", fs.refused_early, times=9)
    with pytest.raises(MarketUnavailable, match=r"20 of 20 histories could not be fetched; the first:.*ReadError"):
        remote(feed, clock, breaker_failures=8, parallel=1, attempts=2).charts(IDS, DAY)
    assert len(feed.requests) == 8


def test_an_open_breaker_raises_however_few_fail(feed: fs.Feed, clock: Clock) -> None:
    feed.fail(f"/chart/{IDS[0]}", fs.status(500), times=9)
    with pytest.raises(BreakerOpen, match="1 of 1 histories"):
        remote(feed, clock, breaker_failures=2).charts(IDS[:1], DAY)


def test_the_order_of_the_answers_does_not_matter(feed: fs.Feed, clock: Clock) -> None:
    """The first history comes last; ``charts`` is in the order asked for all the same."""
    arrived: list[str] = []

    def wait(handler: fs.Handler, body: bytes) -> None:
        while len(feed.requests) < 8 and not feed.stop.wait(0.001):
            pass
        handler.send(fs.Answer(200, body))

    feed.fail(f"/chart/{IDS[0]}", wait)
    charts = remote(feed, clock).charts(IDS, DAY, lambda done, of: arrived.append(str(done)))
    assert list(charts) == IDS
    assert len(arrived) == 20


def test_a_slow_market_ends_in_time(feed: fs.Feed, clock: Clock) -> None:
    feed.fail("/pools", fs.stalled)
    with pytest.raises(MarketUnavailable, match="took too long"):
        remote(feed, clock, attempts=1, read_seconds=0.1).pools(DAY)


def test_a_market_beyond_its_size_is_refused(feed: fs.Feed, clock: Clock) -> None:
    feed.fail("/hacks", fs.bomb(40 << 20))
    with pytest.raises(MarketUnavailable, match="more than the 16,777,216 bytes"):
        remote(feed, clock).hacks(DAY)


# Live


def test_live_asks_three_hosts_and_no_other() -> None:
    assert LIVE.hosts == {"yields.llama.fi", "api.llama.fi", "coins.llama.fi"}
    assert opened("live").fetcher.hosts == LIVE.hosts
    source = opened("live")
    addresses = [source._address(kind, key, DAY) for kind, key in (("chart", IDS[0]), ("hacks", "hacks"))]
    assert addresses == [f"https://yields.llama.fi/chart/{IDS[0]}", "https://api.llama.fi/hacks"]
    assert source._address("pools", "pools", DAY) == "https://yields.llama.fi/pools"
    assert source._address("prices", "btc_usd_daily.csv", DAY) == (
        f"https://coins.llama.fi/prices/historical/{int(NOON.timestamp())}/coingecko:bitcoin"
    )


def live_documents(feed: fs.Feed) -> None:
    price = {"price": 2237.59, "symbol": "ETH", "timestamp": int(NOON.timestamp()) - 30, "confidence": 0.99}
    feed.documents = {
        "/yields/pools": fs.envelope(POOLS),
        **{f"/yields/chart/{pool_id}": fs.envelope(CHART) for pool_id in IDS},
        "/main/hacks": json.dumps(HACKS).encode(),
        f"/coins/prices/historical/{int(NOON.timestamp())}/coingecko:ethereum": json.dumps(
            {"coins": {"coingecko:ethereum": price}}
        ).encode(),
        f"/coins/prices/historical/{int(NOON.timestamp())}/coingecko:bitcoin": b'{"coins": {}}',
    }


def test_live_answers_for_today(feed: fs.Feed, clock: Clock) -> None:
    live_documents(feed)
    source = live(feed, clock)
    assert source.label == "live"
    assert source.day(None) == source.day(DAY) == DAY
    assert source.pools(DAY) == POOLS
    assert source.charts(IDS[:2], DAY) == dict.fromkeys(IDS[:2], CHART[:3])
    assert [hack["name"] for hack in source.hacks(DAY)] == ["known"]
    assert source.table("prices", "eth_usd_daily.csv", DAY) == [{"date": "2025-02-28", "close": "2237.59"}]
    assert source.table("prices", "btc_usd_daily.csv", DAY) is None
    asked = len(feed.requests)
    assert source.table("rates", "us_3_month_bill_monthly.csv", DAY) is None
    assert source.table("prices", "usdc_usd_daily.csv", DAY) is None
    assert len(feed.requests) == asked


def test_live_never_shows_todays_market_as_another_days(feed: fs.Feed, clock: Clock, store: Store) -> None:
    live_documents(feed)
    for kept in (None, store):
        source = live(feed, clock, kept, refresh=True)
        for day in (dt.date(2025, 2, 27), dt.date(2025, 3, 1)):
            for ask in (source.day, source.pools):
                with pytest.raises(SnapshotMissing, match=f"not for {day}; snapshots kept in the store: none"):
                    ask(day)
    assert feed.requests == []


def test_live_answers_for_a_past_day_from_the_store(feed: fs.Feed, clock: Clock, store: Store) -> None:
    live_documents(feed)
    live(feed, clock, store).pools(DAY)
    clock.moment = NOON + dt.timedelta(days=3)
    feed.documents["/yields/pools"] = fs.envelope(POOLS[:1])
    source = live(feed, clock, store, refresh=True)
    assert source.day(None) == dt.date(2025, 3, 3)
    assert source.day(DAY) == DAY
    assert source.pools(DAY) == POOLS
    assert feed.requests == ["/yields/pools"]
    assert source.charts(IDS[:1], DAY) == {IDS[0]: CHART[:3]}  # a history fetched today, cut at that day
    with pytest.raises(SnapshotMissing, match="snapshots kept in the store: 2025-02-28"):
        source.day(dt.date(2025, 3, 1))


def test_a_past_snapshot_that_was_damaged_is_not_replaced_by_todays(feed: fs.Feed, clock: Clock, store: Store) -> None:
    live_documents(feed)
    live(feed, clock, store).pools(DAY)
    store.close()
    connection = sqlite3.connect(store.path)
    with connection:
        connection.execute("UPDATE blobs SET body = x'00'")
    connection.close()
    clock.moment = NOON + dt.timedelta(days=3)
    with pytest.raises(SnapshotMissing, match="no snapshot of 2025-02-28"):
        live(feed, clock, store).pools(DAY)
    assert feed.requests == ["/yields/pools"]
    assert store.quarantined == 1


def test_live_stays_on_its_day_over_midnight(feed: fs.Feed, store: Store) -> None:
    live_documents(feed)
    clock = Clock(dt.datetime(2025, 2, 28, 23, 59, 59, tzinfo=dt.UTC))
    source = live(feed, clock, store)
    clock.moment += dt.timedelta(seconds=2)
    assert source.pools(source.day(None)) == POOLS
    assert store.days("live") == [DAY]


@pytest.mark.parametrize(
    "quote",
    [
        {"price": "2237", "timestamp": 1740744000},
        {"price": True, "timestamp": 1740744000},
        {"price": 0, "timestamp": 1740744000},
        {"price": -1.0, "timestamp": 1740744000},
        {"price": float("nan"), "timestamp": 1740744000},
        {"price": float("inf"), "timestamp": 1740744000},
        {"price": 10**400, "timestamp": 1740744000},
        {"price": 2237.0},
        {"price": 2237.0, "timestamp": 1740744000 - 86_401},
        {"price": 2237.0, "timestamp": 1740744000 + 86_401},
        {},
        None,
        7,
    ],
)
def test_a_price_that_is_none_is_corrupt(feed: fs.Feed, clock: Clock, quote: Any) -> None:
    path = f"/coins/prices/historical/{int(NOON.timestamp())}/coingecko:ethereum"
    feed.documents[path] = json.dumps({"coins": {"coingecko:ethereum": quote}}).encode()
    with pytest.raises(CorruptMarket, match="coingecko:ethereum"):
        live(feed, clock).table("prices", "eth_usd_daily.csv", DAY)


def test_a_price_of_a_past_day_is_asked_for_at_its_end(feed: fs.Feed, clock: Clock, store: Store) -> None:
    live_documents(feed)
    live(feed, clock, store).pools(DAY)
    clock.moment = NOON + dt.timedelta(days=3)
    quote = {"price": 2212.25, "timestamp": END - 20}
    path = f"/coins/prices/historical/{END - 1}/coingecko:ethereum"
    feed.documents[path] = json.dumps({"coins": {"coingecko:ethereum": quote}}).encode()
    source = live(feed, clock, store)
    assert source.table("prices", "eth_usd_daily.csv", DAY) == [{"date": "2025-02-28", "close": "2212.25"}]


def test_an_exported_live_day_answers_like_live(feed: fs.Feed, clock: Clock, store: Store, tmp_path: Path) -> None:
    live_documents(feed)
    source = live(feed, clock, store)
    first = read_all(source)
    store.export("live", DAY, tmp_path / "out")
    folder = FolderSource(tmp_path / "out")
    assert folder.day(None) == DAY
    assert (folder.pools(DAY), folder.charts(IDS, DAY), folder.hacks(DAY)) == first[:3]
    assert folder.table("prices", "eth_usd_daily.csv", DAY) == first[3]


# The recorded market


@contextmanager
def served(market: Path, day: str) -> Iterator[str]:
    command = [sys.executable, "-B", str(market / "serve.py"), "--as-of", day]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(timeout=10)
        server.stdout.close()


@pytest.mark.parametrize(("day", "step"), [("2025-02-28", 2), ("2025-09-26", 5), ("2024-10-01", 20)])
def test_folder_and_url_of_the_recorded_market_answer_alike(market_folder: Path, day: str, step: int) -> None:
    """A part of tables and histories at each date: all of them would take longer than all other tests."""
    as_of = dt.date.fromisoformat(day)
    ids = sorted(path.name.removesuffix(".json.gz") for path in (market_folder / "charts").iterdir())[::step]
    tables = [(kind, path.name) for kind in ("prices", "rates") for path in (market_folder / kind).iterdir()]
    digests = set()
    with served(market_folder, day) as url:
        for name in (str(market_folder), url):
            evidence = Evidence(opened(name))
            evidence.pools(as_of)
            evidence.charts([*ids, IDS[0]], as_of)
            evidence.hacks(as_of)
            for kind, table in [*sorted(tables)[:: 1 + step // 5], ("prices", "none.csv")]:
                evidence.table(kind, table, as_of)
            digests.add(evidence.sha256())
    assert len(digests) == 1
    payload = evidence.payload()
    assert any(payload["charts"].values())
    assert all(row["timestamp"][:10] <= day for rows in payload["charts"].values() for row in rows or ())
    assert sum(rows is None for rows in payload["tables"].values()) == 1


def test_the_whole_recorded_market_is_read_and_none_of_its_rows_lost(market_folder: Path) -> None:
    evidence = Evidence(opened(str(market_folder)))
    day = evidence.day(None)
    assert day == dt.date(2025, 11, 3)
    rows = evidence.pools(day)
    assert len(rows) == 18_882
    assert not [row for row in rows if "malformed" in row]


# Saved runs


def saved(tmp_path: Path, **changes: Any) -> Path:
    payload = {
        "as_of": "2025-02-28",
        "synthetic": True,
        "pools": POOLS,
        "charts": {IDS[0]: CHART[:3], IDS[1]: None},
        "failed_charts": [IDS[2]],
        "hacks": HACKS[:1],
        "tables": {"prices/eth_usd_daily.csv": [{"date": "2025-02-28", "close": "2.0"}], "rates/none.csv": None},
        **changes,
    }
    (tmp_path / "inputs.json.gz").write_bytes(gzip.compress(json.dumps(payload).encode()))
    return tmp_path


def test_a_saved_run_answers_what_it_read(tmp_path: Path) -> None:
    source = SavedSource(saved(tmp_path))
    assert (source.label, source.synthetic) == ("saved", True)
    assert source.day(None) == source.day(DAY) == DAY
    assert source.pools(DAY) == POOLS
    assert source.charts(IDS[:4], DAY) == {IDS[0]: CHART[:3], IDS[1]: None}
    assert source.hacks(DAY) == HACKS[:1]
    assert source.table("prices", "eth_usd_daily.csv", DAY) == [{"date": "2025-02-28", "close": "2.0"}]
    assert source.table("rates", "none.csv", DAY) is None
    with pytest.raises(CorruptMarket, match=r"did not read rates/bill\.csv"):
        source.table("rates", "bill.csv", DAY)
    with pytest.raises(SnapshotMissing, match="the rows of 2025-02-28, none of 2025-03-01"):
        source.pools(dt.date(2025, 3, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"as_of": "28.2.2025"},
        {"as_of": 20250228},
        {"synthetic": 1},
        {"pools": {}},
        {"charts": {IDS[0]: 7}},
        {"tables": {"prices/a.csv": [{"date": 1}]}},
        {"tables": {"prices/a.csv": ["x"]}},
        {"more": 1},
    ],
)
def test_a_saved_run_of_another_shape_is_corrupt(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(CorruptMarket, match=r"inputs\.json\.gz"):
        SavedSource(saved(tmp_path, **changes))


def test_a_folder_without_a_saved_run_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"inputs\.json\.gz: no saved rows"):
        SavedSource(tmp_path)


def test_sources_work_inside_a_running_event_loop(feed: fs.Feed, clock: Clock) -> None:
    async def inside() -> list[Any]:
        return remote(feed, clock).pools(DAY)

    assert asyncio.run(inside()) == POOLS


def test_every_failure_of_a_source_is_a_market_error(feed: fs.Feed, clock: Clock) -> None:
    feed.fail("/pools", fs.status(418))
    with pytest.raises(MarketError) as caught:
        remote(feed, clock).pools(DAY)
    assert caught.value.exit_code == 4
