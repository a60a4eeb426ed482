"""The synthetic market: what it lists, what is planted in it, that neither the future nor the process shows in it."""

import datetime as dt
import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
import uuid
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from tools.errors import SnapshotMissing, SourceError
from tools.market.demo import FIRST_DAY, LAST_DAY, DemoSource
from tools.strategies.tokens import load_tokens

ROW_FAULTS = ("nan_apy", "missing_fields", "string_number", "negative_tvl")
KEYS = """
    chain project symbol tvlUsd apyBase apyReward apy rewardTokens pool apyPct1D apyPct7D apyPct30D stablecoin ilRisk
    exposure predictions poolMeta mu sigma count outlier underlyingTokens il7d apyBase7d apyMean30d volumeUsd1d
    volumeUsd7d apyBaseInception
"""
ROW_KEYS = set(KEYS.split())
PLANTED = """
    dead 20, duplicate_id 2, duplicate_symbol 8, extreme_apy 8, gap_long 10, gap_short 40, hostile_name 22, late_feed 4,
    late_split 8, look_alike 8, missing_fields 3, nan_apy 2, negative_tvl 2, no_chart 4, short_history_0 5,
    short_history_30 5, short_history_5 5, short_history_59 5, spike 24, spike_common_mode 12, spike_on_last_day 6,
    string_number 3, stuck_feed 6, tvl_drop_30 3, tvl_drop_60 3, tvl_drop_95 5, unit_shift_down 4, unit_shift_up 4,
    zero_tvl 5, zero_yield 8
"""
EARLIER = (LAST_DAY - dt.timedelta(days=1), dt.date(2026, 4, 16), dt.date(2025, 2, 28), FIRST_DAY)


@pytest.fixture(scope="module")
def source() -> DemoSource:
    return DemoSource()


@pytest.fixture(scope="module")
def rows(source):
    """First row of each id, so that a row served twice counts once."""
    listed = {}
    for row in source.pools(LAST_DAY):
        listed.setdefault(row["pool"], row)
    return listed


@pytest.fixture(scope="module")
def faulty(source):
    """Ids of the pools that carry a planted fault (a feed that does not split its APY is none)."""
    return set().union(*(ids for name, ids in source.planted.items() if name != "unsplit"))


@pytest.fixture(scope="module")
def sound(rows, faulty):
    return sorted(set(rows) - faulty)


@pytest.fixture(scope="module")
def charts(source, faulty, sound):
    """The charts of all faulty pools and of a sixth of the others: all of them would fill a gigabyte."""
    return source.charts(sorted(faulty | set(sound[::6])), LAST_DAY)


@pytest.fixture(scope="module")
def sound_charts(charts, faulty):
    return {pool_id: chart for pool_id, chart in charts.items() if pool_id not in faulty}


def day_of(row):
    return dt.date.fromisoformat(row["timestamp"][:10])


def steps(chart):
    """Return the days between neighbouring rows."""
    return [(day_of(after) - day_of(before)).days for before, after in pairwise(chart)]


# What it lists


def test_lists_enough_pools_of_every_asset_in_the_shape_of_the_api(rows, sound):
    assert len(rows) >= 2_000
    assert all(set(rows[pool_id]) == ROW_KEYS for pool_id in sound)
    assert all(uuid.UUID(pool_id).version == 5 for pool_id in rows)
    tokens = load_tokens()
    count = Counter()
    for pool_id in sound:
        row = rows[pool_id]
        assets = [a for a in tokens.issuers if tokens.allowed(a, tokens.tokens_of(row["project"], row["symbol"]))]
        assert len(assets) <= 1
        count[assets[0] if assets else "other"] += 1
    assert min(count[asset] for asset in ("USD", "ETH", "BTC", "other")) >= 100
    assert count["other"] >= 500


def test_charts_hold_two_years_of_daily_rows_in_the_shape_of_the_api(rows, sound, sound_charts):
    assert sum(rows[pool_id]["count"] == 730 for pool_id in sound) > 1_000
    longest = max(sound_charts.values(), key=len)
    first, last = longest[0], longest[-1]
    assert (first["timestamp"], last["timestamp"]) == (f"{FIRST_DAY}T23:01:00.000Z", f"{LAST_DAY}T23:01:00.000Z")
    assert set(first) == {"timestamp", "tvlUsd", "apy", "apyBase", "apyReward", "il7d", "apyBase7d"}
    assert all(set(steps(chart)) <= {1} for chart in sound_charts.values())


def test_apy_is_the_sum_of_the_parts_that_are_given(sound_charts):
    given = Counter()
    for chart in sound_charts.values():
        for row in chart[-3:]:
            parts = [part for part in (row["apyBase"], row["apyReward"]) if part is not None]
            given[row["apyBase"] is not None, row["apyReward"] is not None] += 1
            assert not parts or row["apy"] == pytest.approx(sum(parts), abs=1e-9)
    assert len(given) == 4, "base and reward, either, and neither all occur"


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("asset", "low", "high"), [("USD", 3.5, 7.0), ("ETH", 2.0, 4.0), ("BTC", 0.1, 2.0)])
def test_large_pools_of_established_protocols_pay_what_such_pools_pay(seed, asset, low, high):
    source, tokens = DemoSource(seed), load_tokens()
    established = {
        "aave-v3",
        "compound-v3",
        "lido",
        "rocket-pool",
        "sparklend",
        "sky-lending",
        "fluid-lending",
        "curve-dex",
    }
    established |= {
        "fluid-dex",
        "euler-v2",
        "pendle",
        "kelp",
        "coinbase-wrapped-staked-eth",
        "ether.fi-stake",
        "frax-ether",
    }
    bad = set().union(*(ids for name, ids in source.planted.items() if name not in {"unsplit", "gap_short"}))
    apy = [
        row["apy"]
        for row in source.pools(LAST_DAY)
        if row["pool"] not in bad and row["tvlUsd"] > 1e8 and row["project"] in established
        and tokens.allowed(asset, tokens.tokens_of(row["project"], row["symbol"]))
    ]  # fmt: skip
    assert sum(low <= value <= high for value in apy) >= 4
    assert max(apy) < 3 * high


def test_tvl_is_heavy_tailed(rows, sound):
    tvl = sorted(rows[pool_id]["tvlUsd"] for pool_id in sound)
    assert 1e5 < statistics.median(tvl) < 3e6
    assert 5 <= sum(value > 1e9 for value in tvl) <= 40
    assert sum(tvl[-50:]) > 0.5 * sum(tvl)


def test_dollar_lenders_move_together(source, rows, sound):
    lenders = [
        pool_id
        for pool_id in sound
        if rows[pool_id]["project"] in {"aave-v3", "sparklend"}
        and rows[pool_id]["symbol"] in {"USDC", "USDT", "DAI"}
        and rows[pool_id]["count"] == 730
    ]
    assert len(lenders) >= 10
    logs = [[math.log(row["apy"]) for row in chart] for chart in source.charts(lenders, LAST_DAY).values()]
    halves = [[statistics.fmean(day) for day in zip(*part, strict=True)] for part in (logs[::2], logs[1::2])]
    assert statistics.correlation(*halves) > 0.8


def test_rewards_start_decay_and_end(sound_charts):
    changes = Counter()
    for chart in sound_charts.values():
        for before, after in pairwise([row["apyReward"] or 0.0 for row in chart]):
            changes["start"] += before == 0.0 < after
            changes["end"] += before > 0.0 == after
            changes["decay"] += 0.0 < after < before
    assert min(changes.values()) > 20


# What is planted


def test_every_fault_is_planted_in_a_known_number_of_listed_pools(source, rows):
    counts = {name: len(ids) for name, ids in source.planted.items()}
    assert counts.pop("unsplit") > 100
    assert counts == {name: int(count) for name, count in (entry.split() for entry in PLANTED.split(","))}
    assert set().union(*source.planted.values()) <= set(rows)


def test_the_documentation_names_every_fault(source):
    text = (Path(__file__).parents[3] / "docs" / "demo-market.md").read_text(encoding="utf-8")
    text = text.replace("`_", "`short_history_")
    assert [name for name in source.planted if f"`{name}`" not in text] == []


def test_no_pool_carries_two_faults(source):
    carried = Counter(pool_id for name, ids in source.planted.items() if name != "unsplit" for pool_id in ids)
    assert set(carried.values()) == {1}


def test_spikes(source, charts, rows):
    def tops(name):
        return {
            pool_id: sorted(charts[pool_id], key=lambda row: -row["apy"])[:2] for pool_id in source.planted[name]
        }.values()

    assert all(top["apy"] > 900 and next_["apy"] < 0.25 * top["apy"] for top, next_ in tops("spike"))
    assert max(top["apy"] for top, _ in tops("spike")) == pytest.approx(1e6, rel=1e-3)
    assert len({top["timestamp"] for top, _ in tops("spike")}) > 10
    common = list(tops("spike_common_mode"))
    assert len({top["timestamp"] for top, _ in common}) == 1
    assert all(top["apy"] >= 1_000 for top, _ in common)
    assert {rows[pool_id]["project"] for pool_id in source.planted["spike_common_mode"]} == {"balancer-v2"}
    for top, next_ in tops("spike_on_last_day"):
        assert day_of(top) == LAST_DAY
        assert top["apy"] > 2 * next_["apy"]


def test_gaps_and_ends(source, charts):
    for pool_id in source.planted["gap_short"]:
        missing = [step - 1 for step in steps(charts[pool_id]) if step > 1]
        assert len(missing) == 5
        assert max(missing) <= 3
    for pool_id in source.planted["gap_long"]:
        assert max(steps(charts[pool_id])) > 5
    assert {(LAST_DAY - day_of(charts[pool_id][-1])).days for pool_id in source.planted["late_feed"]} == {2}
    assert all((LAST_DAY - day_of(charts[pool_id][-1])).days > 7 for pool_id in source.planted["dead"])


def test_short_histories(source, charts, rows):
    for days in (0, 5, 30, 59):
        for pool_id in source.planted[f"short_history_{days}"]:
            assert len(charts[pool_id]) == rows[pool_id]["count"] == days
    assert all(charts[pool_id] is None for pool_id in source.planted["no_chart"])


@pytest.mark.parametrize(("name", "factor"), [("unit_shift_up", 100.0), ("unit_shift_down", 0.01)])
def test_unit_shifts(source, charts, name, factor):
    for pool_id in source.planted[name]:
        for key in ("apy", "apyReward"):
            values = [row[key] or 0.0 for row in charts[pool_id][-300:]]
            days = [n for n in range(7, 294) if min(values[n - 7 : n + 7]) > 0.0]
            changes = [
                math.log10(statistics.median(values[n : n + 7]) / statistics.median(values[n - 7 : n])) for n in days
            ]
            if key == "apy" or changes:
                assert max(changes, key=abs) == pytest.approx(math.log10(factor), abs=0.4)


def test_stuck_zero_and_extreme(source, charts):
    def last_days(name, days):
        return [charts[pool_id][-days:] for pool_id in sorted(source.planted[name])]

    assert all(len({(row["apy"], row["tvlUsd"]) for row in chart}) == 1 for chart in last_days("stuck_feed", 60))
    assert all(row["apy"] == 0.0 for chart in last_days("zero_yield", 120) for row in chart)
    assert all(row["apy"] > 1_000.0 for chart in last_days("extreme_apy", 730) for row in chart)
    assert all(row["tvlUsd"] == 0 for chart in last_days("zero_tvl", 30) for row in chart)


@pytest.mark.parametrize("percent", [30, 60, 95])
def test_tvl_drops(source, charts, percent):
    for pool_id in source.planted[f"tvl_drop_{percent}"]:
        tvl = [row["tvlUsd"] for row in charts[pool_id]]
        left, day = min((after / before, day) for day, (before, after) in enumerate(pairwise(tvl), start=1))
        assert left == pytest.approx(1 - percent / 100, abs=1e-3)
        assert set(tvl[day:]) == {tvl[day]}


def test_the_hacked_protocol_lost_its_money_on_the_day_of_the_hack(source, rows, charts):
    hack = next(hack for hack in source.hacks(LAST_DAY) if hack["name"] == "Bilge Farm")
    day = dt.datetime.fromtimestamp(hack["date"], dt.UTC).date().isoformat()
    for pool_id in source.planted["tvl_drop_95"]:
        assert rows[pool_id]["project"] == "bilge-farm"
        falls = {
            after["timestamp"][:10]: after["tvlUsd"] / before["tvlUsd"] for before, after in pairwise(charts[pool_id])
        }
        assert min(falls, key=falls.__getitem__) == day


def test_splits(source, charts):
    unsplit = [charts[pool_id] for pool_id in source.planted["unsplit"] if charts.get(pool_id)]
    assert len(unsplit) > 20
    assert all(row["apyBase"] is None and row["apyReward"] is None for chart in unsplit for row in chart)
    for pool_id in source.planted["late_split"]:
        assert charts[pool_id][0]["apyBase"] is None
        assert charts[pool_id][-1]["apyBase"] is not None


def test_malformed_rows(source, rows):
    planted = source.planted
    assert all(math.isnan(rows[pool_id]["apy"]) for pool_id in planted["nan_apy"])
    assert all(len(rows[pool_id]) < len(ROW_KEYS) for pool_id in planted["missing_fields"])
    assert all(
        any(isinstance(rows[pool_id][field], str) for field in ("apy", "tvlUsd", "apyBase"))
        for pool_id in planted["string_number"]
    )
    assert all(rows[pool_id]["tvlUsd"] < 0 for pool_id in planted["negative_tvl"])
    listed = Counter(row["pool"] for row in source.pools(LAST_DAY))
    assert {pool_id for pool_id, times in listed.items() if times > 1} == planted["duplicate_id"]


def test_names_that_attack(source, rows):
    planted = source.planted
    hostile = [rows[pool_id] for pool_id in sorted(planted["hostile_name"])]
    names = "".join(f"{row['project']}{row['chain']}{row['symbol']}{row['poolMeta']}" for row in hostile)
    attacks = ["ignore all previous", "<script>", "\x1b[", "\x07", "\u202e", "\u200b", "{{7*7}}", "=cmd", "|\n|", "../"]
    assert [attack for attack in attacks if attack not in names] == []
    assert max(len(row["symbol"]) for row in hostile) > 1_000
    assert all(not rows[pool_id]["symbol"].isascii() for pool_id in planted["look_alike"])
    tokens = load_tokens()
    for pool_id in planted["look_alike"]:
        own = tokens.tokens_of(rows[pool_id]["project"], rows[pool_id]["symbol"])
        assert not any(tokens.allowed(asset, own) for asset in tokens.issuers)
    twins = [rows[pool_id] for pool_id in planted["duplicate_symbol"]]
    named = Counter((row["project"], row["chain"], row["symbol"]) for row in twins)
    assert min(named.values()) >= 2


# Point in time


@pytest.mark.parametrize("day", [LAST_DAY, *EARLIER])
def test_a_pool_of_the_snapshot_shows_the_last_row_of_its_chart(source, charts, day):
    planted = source.planted
    exempt = set().union(*(planted[name] for name in (*ROW_FAULTS, "duplicate_id", "no_chart", "short_history_0")))
    compared = 0
    for row in source.pools(day):
        if row["pool"] in exempt or row["pool"] not in charts:
            continue
        chart = [other for other in charts[row["pool"]] if other["timestamp"][:10] <= day.isoformat()]
        assert all(row[key] == chart[-1][key] for key in ("tvlUsd", "apy", "apyBase", "apyReward"))
        assert row["count"] == len(chart)
        compared += 1
    assert compared > 300


@pytest.mark.parametrize("day", EARLIER)
def test_an_earlier_day_sees_the_prefix(source, charts, day):
    earlier = source.charts(list(charts), day)
    for pool_id, chart in charts.items():
        cut = chart and [row for row in chart if row["timestamp"][:10] <= day.isoformat()]
        assert earlier[pool_id] == cut
    listed = {row["pool"] for row in source.pools(day)} & set(charts)
    assert listed == {pool_id for pool_id, chart in earlier.items() if chart is None or chart}


@pytest.mark.parametrize("day", [dt.date(2026, 4, 16), FIRST_DAY + dt.timedelta(days=5)])
def test_changes_and_means_are_those_of_the_chart(source, charts, day):
    exempt = set().union(*(source.planted[name] for name in (*ROW_FAULTS, "duplicate_id", "no_chart")))
    for row in source.pools(day):
        if row["pool"] in exempt or row["pool"] not in charts:
            continue
        apy = {day_of(r): r["apy"] for r in charts[row["pool"]] if r["timestamp"][:10] <= day.isoformat()}
        last = max(apy)
        for key, lag in (("apyPct1D", 1), ("apyPct7D", 7), ("apyPct30D", 30)):
            before = apy.get(last - dt.timedelta(days=lag))
            assert row[key] == (None if before is None else pytest.approx(apy[last] - before, abs=2e-5))
        recent = [value for d, value in apy.items() if (day - d).days < 30]
        assert row["apyMean30d"] == (pytest.approx(statistics.fmean(recent), abs=2e-5) if recent else None)


def test_days(source):
    assert source.day(None) == LAST_DAY
    assert source.day(FIRST_DAY) == FIRST_DAY
    assert (LAST_DAY - FIRST_DAY).days + 1 == 730
    for outside in (FIRST_DAY - dt.timedelta(days=1), LAST_DAY + dt.timedelta(days=1)):
        for ask in (source.day, source.pools, source.hacks, lambda day: source.charts([], day)):
            with pytest.raises(SnapshotMissing, match=f"{FIRST_DAY} to {LAST_DAY}"):
                ask(outside)


def test_hacks_and_tables_are_cut(source):
    assert len(source.hacks(LAST_DAY)) == 5
    assert source.hacks(FIRST_DAY) == []
    day = dt.date(2025, 10, 21)
    hacked = source.hacks(day)
    assert max(hack["date"] for hack in hacked) <= dt.datetime(2025, 10, 21, 23, 59, 59, tzinfo=dt.UTC).timestamp()
    assert hacked[-1]["name"] not in {hack["name"] for hack in source.hacks(day - dt.timedelta(days=1))}
    for name, near in (("eth_usd_daily.csv", 3_000), ("btc_usd_daily.csv", 90_000)):
        prices = source.table("prices", name, LAST_DAY)
        assert float(prices[-1]["close"]) == pytest.approx(near, rel=0.1)
        assert [row["date"] for row in prices][::729] == [FIRST_DAY.isoformat(), LAST_DAY.isoformat()]
        assert source.table("prices", name, FIRST_DAY) == prices[:1]
    assert source.table("prices", "doge_usd_daily.csv", LAST_DAY) is None
    assert source.table("rates", "eth_usd_daily.csv", LAST_DAY) is None


def test_the_bill_has_completed_months_only_and_says_that_it_is_synthetic(source):
    bill = source.table("rates", "us_3_month_bill_monthly.csv", LAST_DAY)
    assert bill[-1]["month"] == "2026-05"
    assert float(bill[-1]["rate_percent"]) == pytest.approx(3.6, abs=0.2)
    assert source.table("rates", "us_3_month_bill_monthly.csv", FIRST_DAY)[-1]["month"] == "2024-06"
    assert all("synthetic" in row["source"] for row in bill)


# Determinism


def fingerprint(source):
    """Return one hash over everything that the source serves on two days."""
    answers = []
    for day in (LAST_DAY, dt.date(2025, 2, 28)):
        rows = source.pools(day)
        ids = [row["pool"] for row in rows[::40]]
        answers.append(
            [rows, source.charts(ids, day), source.hacks(day), source.table("prices", "eth_usd_daily.csv", day)]
        )
    answers.append(source.table("rates", "us_3_month_bill_monthly.csv", LAST_DAY))
    return hashlib.sha256(json.dumps(answers).encode()).hexdigest()


def test_the_bytes_are_the_same_in_another_process_and_differ_by_seed(source):
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_demo as t;"
        "print(t.fingerprint(t.DemoSource(0)), t.fingerprint(t.DemoSource(3)))"
    )
    outputs = []
    for hash_seed in ("1", "4242"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": hash_seed[0]}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        outputs.append(run.stdout.split())
    assert outputs[0] == outputs[1]
    assert outputs[0][0] == fingerprint(source)
    assert outputs[0][0] != outputs[0][1]


def test_a_chart_does_not_depend_on_which_others_are_asked_for(source, charts):
    ids = list(charts)[::40]
    together = source.charts(ids[::-1], LAST_DAY)
    assert all(source.charts([pool_id], LAST_DAY)[pool_id] == together[pool_id] == charts[pool_id] for pool_id in ids)
    assert source.charts(["00000000-0000-0000-0000-000000000000"], LAST_DAY) == {
        "00000000-0000-0000-0000-000000000000": None
    }


def test_what_a_caller_does_with_the_rows_stays_with_the_caller(source):
    first = source.pools(LAST_DAY)
    before = json.dumps(first)
    for row in first:
        row["predictions"]["predictedClass"] = "Up"
        row.clear()
    assert json.dumps(source.pools(LAST_DAY)) == before


def test_everything_but_the_planted_nan_is_json(source, charts):
    nan = source.planted["nan_apy"]
    for row in source.pools(LAST_DAY):
        if row["pool"] in nan:
            with pytest.raises(ValueError, match="JSON"):
                json.dumps(row, allow_nan=False)
        else:
            assert json.loads(json.dumps(row, allow_nan=False)) == row
    json.dumps([charts[pool_id] for pool_id in sorted(charts)[::4]], allow_nan=False, ensure_ascii=False).encode()


def test_progress_is_told_and_the_label_says_synthetic(source):
    told = []
    source.charts(["a", "b"], LAST_DAY, lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]
    assert (source.label, source.synthetic) == ("demo", True)


def test_a_negative_seed_is_refused():
    with pytest.raises(SourceError, match="seed"):
        DemoSource(-1)


@pytest.mark.parametrize("seed", [1, 17, 2**40])
def test_other_seeds_plant_as_much(source, seed):
    other = DemoSource(seed).planted
    assert {name: len(ids) for name, ids in other.items() if name != "unsplit"} == {
        name: len(ids) for name, ids in source.planted.items() if name != "unsplit"
    }
    assert not set().union(*other.values()) & set().union(*source.planted.values())
