"""The checker's own features against the writer's, over the recorded market and over made charts; and forgeries."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import math
import random
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.market.evidence import Evidence
from tools.market.features import pool_features
from tools.market.load import read_market
from tools.market.quality import check_history, parse_rows
from tools.market.snapshot import History, Market
from tools.market.sources.folder import FolderSource
from tools.records import Asset, PoolFeatures
from tools.risk.costs import DAILY_SHARE, days_to_exit, exit_cost, queue_days_of
from tools.strategies.universe import build_universe, protocol_tvl, screen
from tools.units import FloatArray
from tools.verify import features
from tools.verify.book import Book
from tools.verify.evidence import read_evidence
from tools.verify.report import Findings

MADE = dt.date(2025, 2, 28)


class NoRisk:
    """Risks of a market in which nothing is known."""

    def project(self, project: str) -> float:
        return 0.5

    def issuer(self, issuer: str) -> float | None:
        return None


def book_of(payload: dict[str, Any], eligible: list[str], day: dt.date) -> Book:
    findings = Findings()
    evidence = read_evidence(payload, findings)
    assert evidence is not None
    return Book({"off": [], "market": {"benchmark_pools": eligible}}, evidence, day.toordinal())


def written(
    history: History, row: Any, median: FloatArray, tokens: tuple[str, ...], money: float | None, day: dt.date
) -> dict[str, Any]:
    """Return the pool of a candidate as the writer would put it down, as far as its features are checked."""
    cost = exit_cost(money, row.tvl_usd, len(tokens), amm=len(tokens) > 1, pegged=True)
    days = days_to_exit(money, row.tvl_usd, queue_days=queue_days_of(row.project, day))
    found = pool_features(
        history,
        row,
        median,
        exit_cost=cost.value,
        days_to_exit=days.value,
        reasons={"exit_cost": cost.reason, "days_to_exit": days.reason},
    )
    return {
        "pool_id": row.pool_id,
        "project": row.project,
        "tokens": list(tokens),
        "share_of_pool": None if money is None else money / row.tvl_usd,
        "features": found.model_dump(mode="json"),
    }


def differences(pool: dict[str, Any], book: Book) -> list[str]:
    findings = Findings()
    features.check_features(pool, "/candidates/0/pools/0", book, findings)
    assert findings.recomputed >= len(PoolFeatures.model_fields) - 1 or findings.total
    return [str(difference) for difference in findings.report().differences]


@functools.cache
def recorded(folder: Path, asset: Asset, day: dt.date) -> tuple[Market, dict[str, Any], Any]:
    evidence = Evidence(FolderSource(folder))
    market = read_market(evidence, asset, day, lambda parsed: screen(parsed, asset), protocol_tvl)
    return market, evidence.payload(), build_universe(market, asset, NoRisk())


@pytest.mark.parametrize(
    ("asset", "day"), [("USD", "2025-02-28"), ("USD", "2024-10-01"), ("ETH", "2025-09-26"), ("BTC", "2025-09-26")]
)
@pytest.mark.parametrize("money", [None, 2e4, 5e7])
def test_the_recorded_pools_are_found_as_they_were_written(
    market_folder: Path, asset: Asset, day: str, money: float | None
) -> None:
    as_of = dt.date.fromisoformat(day)
    _, payload, universe = recorded(market_folder, asset, as_of)
    book = book_of(payload, [pool.id for pool in universe.pools], as_of)
    assert len(universe.pools) >= 3
    for pool in universe.pools:
        pool_written = written(pool.history, pool.row, universe.benchmark_apy, pool.tokens, money, as_of)
        assert differences(pool_written, book) == [], pool.name


def test_every_feature_that_is_changed_is_found(market_folder: Path) -> None:
    _, payload, universe = recorded(market_folder, "USD", MADE)
    book = book_of(payload, [pool.id for pool in universe.pools], MADE)
    pool = next(pool for pool in universe.pools if not pool.single)
    good = written(pool.history, pool.row, universe.benchmark_apy, pool.tokens, 1e6, MADE)
    assert not good["features"]["missing"]
    for name in PoolFeatures.model_fields.keys() - {"missing"}:
        for change in (lambda value: value * (1 + 1e-6) + 1e-6, lambda _: None):
            forged = copy.deepcopy(good)
            forged["features"][name] = change(forged["features"][name])
            assert any(f"features/{name}" in difference for difference in differences(forged, book)), name


def test_reasons_go_with_what_is_null(market_folder: Path) -> None:
    _, payload, universe = recorded(market_folder, "USD", MADE)
    book = book_of(payload, [pool.id for pool in universe.pools], MADE)
    pool = universe.pools[0]
    good = written(pool.history, pool.row, universe.benchmark_apy, pool.tokens, None, MADE)
    assert differences(good, book) == []
    for forge, what in (
        (lambda missing: missing.pop("exit_cost"), "null without a reason"),
        (lambda missing: missing.update(apy_mean="because"), "a reason for being null and is not"),
        (lambda missing: missing.update(exit_cost=" "), "an empty reason"),
    ):
        forged = copy.deepcopy(good)
        forge(forged["features"]["missing"])
        found = differences(forged, book)
        assert len(found) == 1
        assert what in found[0]


def test_a_pool_without_a_saved_chart_is_no_pool(market_folder: Path) -> None:
    _, payload, universe = recorded(market_folder, "USD", MADE)
    pool = universe.pools[0]
    good = written(pool.history, pool.row, universe.benchmark_apy, pool.tokens, None, MADE)
    without = {**payload, "charts": {key: rows for key, rows in payload["charts"].items() if key != pool.id}}
    found = differences(good, book_of(without, [pool.id], MADE))
    assert len(found) == 1
    assert "no saved chart" in found[0]


def made_chart(seed: int, days: int) -> list[dict[str, Any]]:
    """A chart with holes, doubled days, spikes, missing and negative TVLs, and some rows out of order."""
    rng = random.Random(seed)
    level, tvl = rng.choice([0.0, 0.4, 5.0, 30.0]), 10.0 ** rng.randint(0, 9)
    rows: list[dict[str, Any]] = []
    for back in range(days - 1, -1, -1):
        if rng.random() < 0.03 and back:
            continue
        apy = max(0.0, level * (1.0 + rng.choice([0.0, 0.1, 0.6]) * rng.gauss(0, 1)))
        apy = apy * 4.0 + 1.0 if rng.random() < 0.05 else apy
        tvl *= math.exp(0.1 * rng.gauss(0, 1))
        held = rng.choice([None, 0.0, tvl, -1.0 if seed % 7 == 0 else tvl, int(tvl)]) if rng.random() < 0.1 else tvl
        stamp = f"{(MADE - dt.timedelta(days=back)).isoformat()}T23:00:00.000Z"
        row = {"timestamp": stamp, "apy": round(apy, 5), "tvlUsd": None if seed % 11 == 0 else held}
        rows += [{**row, "apy": 1.0, "tvlUsd": 7.0}, row] if rng.random() < 0.05 else [row]
    return rows


@given(seeds=st.lists(st.integers(0, 10_000), min_size=1, max_size=3, unique=True), days=st.integers(61, 440))
@settings(max_examples=60)
def test_made_charts_are_read_alike(seeds: list[int], days: int) -> None:
    ids = [f"00000000-0000-4000-8000-{seed:012d}" for seed in seeds]
    rng = random.Random(seeds[0])
    charts = {pool_id: made_chart(seed, days) for pool_id, seed in zip(ids, seeds, strict=True)}
    base, reward = rng.choice([(None, None), (1.0, None), (None, 0.5), (3.0, 2.0)])
    raw = [
        {"pool": pool_id, "project": rng.choice(["lido", "ethena-usde", "curve-dex"]), "chain": "Base", "symbol": "A",
         "apy": 3.0, "apyBase": base, "apyReward": reward, "tvlUsd": 1e6, "poolMeta": None}
        for pool_id in ids
    ]  # fmt: skip
    rows = parse_rows(raw).rows
    histories = {pool_id: check_history(rows[pool_id], charts[pool_id], MADE) for pool_id in ids}
    sound = {pool_id: history for pool_id, history in histories.items() if isinstance(history, History)}
    if not sound:
        return
    longest = max(history.apy.size for history in sound.values())
    stacked = [np.pad(h.apy, (longest - h.apy.size, 0), constant_values=math.nan) for h in sound.values()]
    median = np.nanmedian(np.array(stacked), axis=0)
    payload = {
        "as_of": MADE.isoformat(), "synthetic": True, "pools": raw, "charts": charts, "failed_charts": [],
        "hacks": [], "tables": {},
    }  # fmt: skip
    book = book_of(payload, list(sound), MADE)
    for pool_id, history in sound.items():
        tokens = tuple("ABCD"[: rng.randint(1, 4)])
        money = rng.choice([None, 0.0, 123.4, 1e6, 3e6])
        assert differences(written(history, rows[pool_id], median, tokens, money, MADE), book) == []


def test_a_tvl_of_before_the_window_is_carried_into_it() -> None:
    pool_id = "00000000-0000-4000-8000-000000000001"
    days = [MADE - dt.timedelta(days=back) for back in range(379, -1, -1)]
    tvl = [1000.0] * 15 + [None] * 3 + [500.0] * 362  # the window begins with the first None
    chart = [
        {"timestamp": f"{day}T23:00:00.000Z", "apy": 3.0 + n % 2, "tvlUsd": held}
        for n, (day, held) in enumerate(zip(days, tvl, strict=True))
    ]
    raw = [{"pool": pool_id, "project": "a", "chain": "Base", "symbol": "A", "apy": 3.0, "tvlUsd": 1e6}]
    row = parse_rows(raw).rows[pool_id]
    history = check_history(row, chart, MADE)
    assert isinstance(history, History)
    payload: dict[str, Any] = {
        "as_of": None, "synthetic": True, "pools": raw, "charts": {pool_id: chart}, "failed_charts": [],
        "hacks": [], "tables": {},
    }  # fmt: skip
    good = written(history, row, history.apy, ("A",), None, MADE)
    assert good["features"]["tvl_worst_day"] == 0.5
    assert differences(good, book_of(payload, [pool_id], MADE)) == []


def test_the_checker_knows_the_same_queues() -> None:
    text = (resources.files("tools.risk") / "data" / "queues.toml").read_text(encoding="utf-8")
    lines = {
        project: tuple((line["since"].isoformat(), float(line["days"])) for line in entries)
        for project, entries in tomllib.loads(text).items()
    }
    assert dict(features.QUEUES) == lines
    assert features.DAILY_SHARE == DAILY_SHARE
