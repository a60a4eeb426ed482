"""Sources over HTTP: a base URL in the shape of DefiLlama's API, and the live API itself.

    answer = what the store knows and is fresh enough, else what the network says: checked, then stored

What was learnt of a past day is kept for good. What was learnt of today counts for an hour.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tools.errors import CorruptMarket, MarketError, SnapshotMissing
from tools.market.http import BreakerOpen, Fetcher
from tools.market.snapshot import Progress, RawRow
from tools.market.sources.answers import MOST_BYTES, POOL_ID, READERS, Table, is_table, read_json
from tools.market.store import Kind, Observation, Store
from tools.units import end_of_day

FRESH = dt.timedelta(hours=1)
MAX_FAILED_SHARE, MIN_FAILED = 0.2, 3
MAX_PRICE_AGE = dt.timedelta(days=1)
_LARGEST = 1e300  # a JSON integer may be larger than any float
_COINS = {"eth_usd_daily.csv": "coingecko:ethereum", "btc_usd_daily.csv": "coingecko:bitcoin"}


class HttpSource:
    """A base URL that serves ``/pools``, ``/chart/{pool}``, ``/hacks``, ``/prices/{file}`` and ``/rates/{file}``.

    404 is an absence. It is taken to answer as of the day asked for; later rows are dropped. ``refresh`` asks the
    network also for what the store knows.
    """

    synthetic = False

    def __init__(
        self,
        base: str,
        *,
        store: Store | None,
        now: Callable[[], dt.datetime],
        refresh: bool = False,
        fetcher: Fetcher | None = None,
    ) -> None:
        self.label = base
        self.fetcher = fetcher or Fetcher(hosts=frozenset({urlsplit(base).netloc}))
        self._store, self._now, self._refresh = store, now, refresh
        # "Today" is fixed when the source is opened: a run that crosses midnight stays on its day.
        self._today = now().astimezone(dt.UTC).date()

    def day(self, as_of: dt.date | None) -> dt.date:
        """Return ``as_of``, or the UTC day on which the source was opened."""
        return as_of or self._today

    def pools(self, as_of: dt.date) -> list[RawRow]:
        """Return the rows of ``/pools``; raise ``SnapshotMissing`` when the source has no such document."""
        rows = self._one("pools", "pools", as_of)
        if rows is None:
            raise SnapshotMissing(f"{self.label} has no snapshot of {as_of}; choose another date")
        return list(rows)

    def charts(
        self, pool_ids: Sequence[str], as_of: dt.date, progress: Progress | None = None
    ) -> dict[str, list[RawRow] | None]:
        """Return the history of each pool up to ``as_of``; None where the source has none, or the id is no pool id.

        A history that cannot be had is left out. Raises the first failure (by the order of ``pool_ids``) when more than
        a fifth of the histories fail, at least three, or when the host failed so often that it is left alone.
        """
        wanted = [pool_id for pool_id in dict.fromkeys(pool_ids) if POOL_ID.fullmatch(pool_id)]
        charts, failures = self._many("chart", wanted, as_of, progress)
        if any(isinstance(error, BreakerOpen) for error in failures.values()) or (
            len(failures) >= MIN_FAILED and len(failures) > MAX_FAILED_SHARE * len(wanted)
        ):
            first = next(failures[pool_id] for pool_id in wanted if pool_id in failures)
            raise type(first)(f"{len(failures)} of {len(wanted)} histories could not be fetched; the first: {first}")
        return {pool_id: charts.get(pool_id) for pool_id in pool_ids if pool_id not in failures}

    def hacks(self, as_of: dt.date) -> list[RawRow]:
        """Return the exploits known at the end of ``as_of``; an empty list where the source does not publish any."""
        return self._one("hacks", "hacks", as_of) or []

    def table(self, kind: str, name: str, as_of: dt.date) -> Table | None:
        """Return ``/kind/name`` up to ``as_of``; None where the source lacks it."""
        if not is_table(kind, name):
            return None
        table: Table | None = self._one("prices" if kind == "prices" else "rates", name, as_of)
        return table

    def _address(self, kind: Kind, key: str, as_of: dt.date) -> str | None:
        """Return where a document is; None when the source does not publish it."""
        return f"{self.label}/{key}" if kind in {"pools", "hacks"} else f"{self.label}/{kind}/{key}"

    def _shaped(self, kind: Kind, key: str, body: bytes, where: str, as_of: dt.date) -> bytes | None:
        """Return a body in the shape that is stored and read; None when it says that the thing does not exist."""
        return body

    def _one(self, kind: Kind, key: str, as_of: dt.date) -> Any:
        answers, failures = self._many(kind, [key], as_of, None)
        if key in failures:
            raise failures[key]
        return answers[key]

    def _many(
        self, kind: Kind, keys: Sequence[str], as_of: dt.date, progress: Progress | None
    ) -> tuple[dict[str, Any], dict[str, MarketError]]:
        """Return the answers and the failures by key; what the store knows is not asked for again."""
        answers: dict[str, Any] = {}
        failures: dict[str, MarketError] = {}
        missing: dict[str, str] = {}
        for key in keys:
            known = self._known(kind, key, as_of)
            if known is not None:
                answers[key] = self._read(kind, known.body, f"{self.label} (from the store)", as_of)
            elif (address := self._address(kind, key, as_of)) is not None:
                missing[key] = address
            else:
                answers[key] = None
        for key, outcome in self._fetched(kind, missing, as_of):
            if isinstance(outcome, MarketError):
                failures[key] = outcome
            else:
                answers[key] = outcome[0]
            if progress is not None:
                progress(len(answers) + len(failures), len(keys))
        if progress is not None and not missing:
            progress(len(keys), len(keys))
        return answers, failures

    def _fetched(
        self, kind: Kind, addresses: Mapping[str, str], as_of: dt.date
    ) -> Iterator[tuple[str, tuple[Any] | MarketError]]:
        """Yield each key with (the answer,), which may be None, or the failure; a sound answer is stored first."""
        for key, outcome in self.fetcher.get_all(addresses, MOST_BYTES[kind]):
            if isinstance(outcome, MarketError):
                yield key, outcome
                continue
            try:
                body = outcome and self._shaped(kind, key, outcome, addresses[key], as_of)
                answer = self._read(kind, body, addresses[key], as_of)
            except MarketError as error:
                yield key, error
                continue
            if self._store is not None:
                self._store.put(self.label, kind, key, as_of, body, self._now())
            yield key, (answer,)

    def _read(self, kind: Kind, body: bytes | None, where: str, as_of: dt.date) -> Any:
        return None if body is None else READERS[kind](body, where, as_of)

    def _known(self, kind: Kind, key: str, as_of: dt.date) -> Observation | None:
        if self._store is None or self._refresh:
            return None
        known = self._store.get(self.label, kind, key, as_of)
        if known is None or as_of < self._today or dt.timedelta(0) <= self._now() - known.fetched_at < FRESH:
            return known
        return None


@dataclass(frozen=True, slots=True)
class LiveAddresses:
    """The three services of DefiLlama's public API; nothing else is asked by ``live``."""

    yields: str = "https://yields.llama.fi"
    main: str = "https://api.llama.fi"
    coins: str = "https://coins.llama.fi"

    @property
    def hosts(self) -> frozenset[str]:
        """Return the hosts, with port where one is given."""
        return frozenset(urlsplit(address).netloc for address in (self.yields, self.main, self.coins))


LIVE = LiveAddresses()


class LiveSource(HttpSource):
    """DefiLlama's public API: today's market, and of past days the snapshots that the store has kept.

    The price tables of ETH and BTC have one row, the price at the end of the day (today: now); other tables are not
    published there.
    """

    def __init__(
        self,
        *,
        store: Store | None,
        now: Callable[[], dt.datetime],
        refresh: bool = False,
        fetcher: Fetcher | None = None,
        addresses: LiveAddresses = LIVE,
    ) -> None:
        fetcher = fetcher or Fetcher(hosts=addresses.hosts)
        super().__init__("live", store=store, now=now, refresh=refresh, fetcher=fetcher)
        self._addresses = addresses

    def day(self, as_of: dt.date | None) -> dt.date:
        """Return today's UTC day, or a past one that the store has a snapshot of; else raise ``SnapshotMissing``."""
        kept = self._store.days(self.label) if self._store is not None else []
        if as_of is None or as_of == self._today or (as_of < self._today and as_of in kept):
            return as_of or self._today
        known = ", ".join(map(str, [day for day in kept if day < self._today])) or "none"
        raise SnapshotMissing(
            f"the live source answers for today ({self._today}), not for {as_of}; snapshots kept in the store: {known}"
        )

    def pools(self, as_of: dt.date) -> list[RawRow]:
        """Return the rows of ``/pools``: today's from the network, a past day's from the store alone."""
        self.day(as_of)
        return super().pools(as_of)

    def _known(self, kind: Kind, key: str, as_of: dt.date) -> Observation | None:
        if self._store is not None and kind == "pools" and as_of < self._today:
            return self._store.get(self.label, kind, key, as_of)  # nothing to refresh it from
        return super()._known(kind, key, as_of)

    def _address(self, kind: Kind, key: str, as_of: dt.date) -> str | None:
        if kind == "rates" or (kind == "prices" and key not in _COINS):
            return None
        if kind == "pools" and as_of != self._today:
            return None  # today's market must not pass for another day's
        if kind == "prices":
            return f"{self._addresses.coins}/prices/historical/{self._moment(as_of)}/{_COINS[key]}"
        return {
            "pools": f"{self._addresses.yields}/pools",
            "chart": f"{self._addresses.yields}/chart/{key}",
            "hacks": f"{self._addresses.main}/hacks",
        }[kind]

    def _moment(self, as_of: dt.date) -> int:
        return int(min(end_of_day(as_of), self._now()).timestamp())

    def _shaped(self, kind: Kind, key: str, body: bytes, where: str, as_of: dt.date) -> bytes | None:
        if kind != "prices":
            return body
        price = read_price(body, where, _COINS[key], self._moment(as_of))
        return None if price is None else f"date,close\n{as_of},{price!r}\n".encode()


def read_price(body: bytes, where: str, coin: str, moment: int) -> float | None:
    """Return the dollars of ``coin`` in ``{"coins": {coin: {"price": …, "timestamp": …}}}``; None without it.

    Raises ``CorruptMarket`` for another shape, a price that is none, or one that is more than a day away from
    ``moment`` (Unix seconds).
    """
    answer = read_json(body, where)
    coins = answer.get("coins") if isinstance(answer, dict) else None
    if not isinstance(coins, dict):
        raise CorruptMarket(f'{where}: expected {{"coins": {{...}}}}')
    if coin not in coins:
        return None
    quote = coins[coin] if isinstance(coins[coin], dict) else {}
    price, stamp = _number(quote.get("price")), _number(quote.get("timestamp"))
    if price is None or price <= 0 or stamp is None:
        raise CorruptMarket(f"{where}: expected a price in dollars and its timestamp for {coin}")
    if abs(stamp - moment) > MAX_PRICE_AGE.total_seconds():
        raise CorruptMarket(f"{where}: the price of {coin} is more than a day away from the moment asked for")
    return price


def _number(value: object) -> float | None:
    sound = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST
    return float(value) if sound else None  # type: ignore[arg-type]
