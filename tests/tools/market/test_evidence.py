"""Evidence: what is used is what is saved, and its hash depends on the market alone."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tools.market.evidence import Evidence, reduce_chart, reduce_pools
from tools.market.snapshot import Progress, RawRow
from tools.market.sources import FolderSource, SavedSource
from tools.records import canonical_json, digest

DAY = dt.date(2025, 2, 28)
FIELDS = ["apy", "apyBase", "apyReward", "chain", "pool", "poolMeta", "project", "symbol", "tvlUsd"]


class Given:
    """A source of given rows that counts what it is asked."""

    synthetic = False

    def __init__(self, pools: Sequence[Any], charts: dict[str, Any] | None = None, label: str = "given") -> None:
        self.label, self._pools, self._charts = label, list(pools), charts or {}
        self.asked: list[str] = []

    def day(self, as_of: dt.date | None) -> dt.date:
        return as_of or DAY

    def pools(self, as_of: dt.date) -> list[RawRow]:
        self.asked.append("pools")
        return self._pools

    def charts(
        self, pool_ids: Sequence[str], as_of: dt.date, progress: Progress | None = None
    ) -> dict[str, list[RawRow] | None]:
        self.asked += pool_ids
        return {pool_id: self._charts[pool_id] for pool_id in pool_ids if pool_id in self._charts}

    def hacks(self, as_of: dt.date) -> list[RawRow]:
        self.asked.append("hacks")
        return [{"date": 2, "amount": float("inf"), "chain": ["Ethereum"]}, {"date": 1, "amount": 10**400}]

    def table(self, kind: str, name: str, as_of: dt.date) -> list[dict[str, str]] | None:
        self.asked.append(f"{kind}/{name}")
        return [{"date": "2025-02-28", "close": "1"}] if kind == "prices" else None


def row(pool_id: str, **values: Any) -> RawRow:
    base = {"pool": pool_id, "project": "aave-v3", "chain": "Base", "symbol": "USDC", "tvlUsd": 5, "apy": 3.25}
    return {
        **base,
        "apyBase": None,
        "apyReward": 0.5,
        "poolMeta": "x",
        "sigma": 0.1,
        "predictions": {"a": []},
        **values,
    }


def stamp(day: int, **values: Any) -> RawRow:
    return {"timestamp": f"2025-02-{day:02d}T23:00:00Z", "apy": 1.0, "tvlUsd": 7, "il7d": None, **values}


def read(source: Any) -> Evidence:
    evidence = Evidence(source)
    evidence.pools(DAY)
    evidence.charts(["a", "b", "c"], DAY)
    evidence.hacks(DAY)
    evidence.table("prices", "eth.csv", DAY)
    evidence.table("rates", "bill.csv", DAY)
    return evidence


CHARTS = {"a": [stamp(27), stamp(28, apyBase=1.0)], "b": None}


def test_rows_are_reduced_to_the_fields_used_and_sorted() -> None:
    rows = Evidence(Given([row("b"), row("a"), {"pool": "c"}])).pools(DAY)
    assert [r["pool"] for r in rows] == ["a", "b", "c"]
    assert sorted(rows[0]) == FIELDS
    assert rows[0]["apyReward"] == 0.5
    assert rows[2] == dict.fromkeys(FIELDS) | {"pool": "c"}


def test_the_payload_holds_everything_that_was_read() -> None:
    payload = read(Given([row("a")], CHARTS)).payload()
    assert payload == {
        "as_of": "2025-02-28",
        "synthetic": False,
        "pools": [{name: row("a")[name] for name in FIELDS}],
        "charts": {
            "a": [
                {"timestamp": "2025-02-27T23:00:00Z", "apy": 1.0, "apyBase": None, "apyReward": None, "tvlUsd": 7},
                {"timestamp": "2025-02-28T23:00:00Z", "apy": 1.0, "apyBase": 1.0, "apyReward": None, "tvlUsd": 7},
            ],
            "b": None,
        },
        "failed_charts": ["c"],
        "hacks": [{"date": 2, "amount": "Infinity", "chain": ["Ethereum"]}, {"date": 1, "amount": "Infinity"}],
        "tables": {"prices/eth.csv": [{"date": "2025-02-28", "close": "1"}], "rates/bill.csv": None},
    }


def test_the_hash_is_that_of_the_payload_and_of_nothing_else() -> None:
    evidence = read(Given([row("a")], CHARTS))
    assert evidence.sha256() == digest(evidence.payload())
    assert read(Given([row("a")], CHARTS, label="elsewhere")).sha256() == evidence.sha256()


def test_the_order_of_the_source_does_not_matter() -> None:
    rows: list[Any] = [row(f"{n:03d}", apy=n / 7) for n in range(200)]
    rows += [row("050", apy=9.0), row("050", apy="x"), row("050", apy=None), 7, None, {"pool": 3}, {"apy": [1]}, "text"]
    digests = set()
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        digests.add(read(Given(rows, CHARTS)).sha256())
    assert len(digests) == 1


def test_every_value_that_is_used_changes_the_hash() -> None:
    sound = read(Given([row("a")], CHARTS)).sha256()
    for name in FIELDS:
        assert read(Given([row("a") | {name: "other"}], CHARTS)).sha256() != sound
    for name in ("timestamp", "apy", "apyBase", "apyReward", "tvlUsd"):
        changed = {"a": [stamp(27), stamp(28, apyBase=1.0) | {name: "2020"}], "b": None}
        assert read(Given([row("a")], changed)).sha256() != sound
    assert read(Given([row("a")], {**CHARTS, "c": None})).sha256() != sound  # no chart is not a failure
    assert read(Given([row("a", sigma=9)], CHARTS)).sha256() == sound  # a field that nobody uses


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (10**400, "Infinity"),
        (-(10**400), "-Infinity"),
        (1e308, 1e308),
        (True, True),
        (None, None),
        ("12.5", "12.5"),
        (-0.0, -0.0),
        (2**70, 2**70),
    ],
)
def test_numbers_that_json_cannot_carry_become_text(value: Any, kept: Any) -> None:
    [pool], text = reduce_pools([row("a", tvlUsd=value)])
    assert pool["tvlUsd"] == kept
    assert type(pool["tvlUsd"]) is type(kept)
    assert text == canonical_json([pool]).encode()
    assert reduce_chart([stamp(1, apy=value)])[0][0]["apy"] == kept


def test_half_a_surrogate_pair_becomes_its_escape() -> None:
    rows, _ = reduce_pools([row("a\ud800"), row("a\ud801", symbol="\udfff")])
    assert [(r["pool"], r["symbol"]) for r in rows] == [("a\\ud800", "USDC"), ("a\\ud801", "\\udfff")]


MALFORMED = [
    7,
    None,
    "text",
    [],
    [1, float("nan")],
    {},
    {"pool": None},
    {"pool": 5, "apy": 1},
    {"pool": ["a"]},
    {"apy": 1.0},
    row("a", apy=[1]),
    row("a", symbol={"x": "\ud800"}),
    row("a", poolMeta=[[[[[[[[[[[[[[1]]]]]]]]]]]]]]),
    {"malformed": 3},
    {"pool": True, "x": "y" * 10_000},
]


@pytest.mark.parametrize("raw", MALFORMED, ids=range(len(MALFORMED)))
def test_a_row_that_is_none_stays_to_be_counted(raw: Any) -> None:
    rows, _ = reduce_pools([row("z"), raw, row("a")])
    assert [r.get("pool") for r in rows] == ["a", "z", None]
    assert rows[2].keys() == {"malformed"}
    assert type(rows[2]["malformed"]) is str
    assert len(rows[2]["malformed"]) <= 200
    chart, _ = reduce_chart([stamp(1), raw])
    assert chart[1].keys() == {"malformed"}


def test_bottomless_rows_do_not_exhaust_the_stack() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    rows, text = reduce_pools([{"pool": "a", "symbol": deep}])
    assert rows == [{"malformed": '{"pool":"a","symbol":[[[[["nested too deeply"]]]]]}'}]
    assert json.loads(text) == rows


def test_reducing_twice_changes_nothing() -> None:
    rows = [*MALFORMED, row("a"), row("a", apy=float("nan")), row("\ud800"), row("b", apy=10**400)]
    once, text = reduce_pools(rows)
    assert reduce_pools(once) == (once, text)
    charted, text = reduce_chart([*MALFORMED, stamp(1, apy=float("inf"))])
    assert reduce_chart(charted) == (charted, text)


def test_the_careful_way_gives_the_same_as_the_quick_one() -> None:
    rows = [row(str(n), apy=n / 3, apyBase=None if n % 2 else n) for n in range(50)]
    quick, _ = reduce_pools(rows)
    careful, _ = reduce_pools([*rows, None])
    assert careful[:-1] == quick


def test_everything_is_asked_once_and_of_one_day() -> None:
    source = Given([row("a")], CHARTS)
    evidence = read(source)
    read_again = (evidence.pools(DAY), evidence.charts(["b", "a"], DAY), evidence.hacks(DAY))
    assert list(read_again[1]) == ["b", "a"]
    evidence.table("rates", "bill.csv", DAY)
    assert sorted(source.asked) == sorted(["pools", "a", "b", "c", "hacks", "prices/eth.csv", "rates/bill.csv"])
    with pytest.raises(ValueError, match="evidence of 2025-02-28; 2025-02-27 needs one of its own"):
        evidence.pools(dt.date(2025, 2, 27))


def test_a_history_that_failed_is_asked_for_again() -> None:
    source = Given([row("a")], {"a": []})
    evidence = Evidence(source)
    assert evidence.charts(["a", "b"], DAY) == {"a": []}
    assert evidence.payload()["failed_charts"] == ["b"]
    source._charts["b"] = [stamp(3)]
    assert evidence.charts(["a", "b"], DAY).keys() == {"a", "b"}
    assert evidence.payload()["failed_charts"] == []
    assert source.asked == ["a", "b", "b"]


def test_reading_more_changes_the_hash() -> None:
    evidence = Evidence(Given([row("a")], CHARTS))
    evidence.pools(DAY)
    before = evidence.sha256()
    evidence.charts(["a"], DAY)
    assert evidence.sha256() != before
    assert evidence.sha256() == digest(evidence.payload())


def test_what_was_saved_replays_to_the_same_hash_and_bytes(tmp_path: Path) -> None:
    rows = [row("b"), row("a", apy=float("nan")), 7, {"pool": "\ud800"}]
    evidence = read(Given(rows, CHARTS))
    path = tmp_path / "inputs.json.gz"
    evidence.save(path)
    assert gzip.decompress(path.read_bytes()) == canonical_json(evidence.payload()).encode()
    again = read(SavedSource(tmp_path))
    assert again.sha256() == evidence.sha256()
    assert again.pools(DAY) == evidence.pools(DAY)
    before = path.read_bytes()
    assert before[4:8] == bytes(4)  # no time of writing in the header
    again.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.glob("*inputs*")) == [path]


SCRIPT = """
import datetime as dt, sys
from pathlib import Path
from tools.market.evidence import Evidence
from tools.market.sources import FolderSource
evidence, day = Evidence(FolderSource(sys.argv[1])), dt.date(2025, 2, 28)
evidence.charts(sorted({row["pool"] for row in evidence.pools(day)}), day)
evidence.save(Path(sys.argv[2]))
print(evidence.sha256())
"""


def test_the_hash_does_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    (tmp_path / "pools").mkdir()
    body = json.dumps({"status": "success", "data": [row(str(n)) for n in range(50)]}).encode()
    (tmp_path / "pools" / "2025-02-28.json.gz").write_bytes(gzip.compress(body))
    results = set()
    for seed in ("1", "2"):
        saved = tmp_path / f"{seed}.gz"
        command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(saved)]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        root = Path(__file__).parents[3]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=root)
        results.add((done.stdout, saved.read_bytes()))
    assert len(results) == 1


def test_of_the_recorded_market_nothing_used_is_lost(market_folder: Path) -> None:
    source = FolderSource(market_folder)
    raw = {pool["pool"]: pool for pool in source.pools(DAY)}
    evidence = Evidence(source)
    for reduced in evidence.pools(DAY):
        assert {name: raw[reduced["pool"]][name] for name in FIELDS} == reduced
    pool_id = "747c1d2a-c668-4682-b9f9-296708a3dd90"
    [rows] = evidence.charts([pool_id], DAY).values()
    [given] = source.charts([pool_id], DAY).values()
    assert rows is not None
    assert given is not None
    assert [r["apy"] for r in rows] == [r["apy"] for r in given]
    assert evidence.sha256() == digest(evidence.payload())
