"""A market with other rates of the day: those that were asked for, in every field, and nothing else."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_market import AS_OF, MadeSource, chart, pool_id, raw_row, wavy

from tools.errors import SourceError
from tools.market.evidence import Evidence
from tools.market.load import read_market
from tools.market.quality import parse_rows
from tools.market.snapshot import Market, Row
from tools.market.sources import SavedSource
from tools.market.sources.altered import AlteredSource
from tools.strategies.universe import protocol_tvl, screen

ONE, TWO, THREE = pool_id(1), pool_id(2), pool_id(3)


def source(*rows: dict[str, Any]) -> MadeSource:
    rows = rows or (raw_row(ONE), raw_row(TWO, apy=3.0, apyBase=3.0, apyReward=None), raw_row(THREE, apy=7.0))
    return MadeSource(
        rows,
        {row["pool"]: chart(wavy(100, level=5.0)) for row in rows if "pool" in row},
        hacks=[{"date": 1, "name": "known"}],
        tables={"prices/eth_usd_daily.csv": [{"date": "2025-02-28", "close": "2"}]},
    )


def altered(row: dict[str, Any], apy: float) -> Row:
    return parse_rows(AlteredSource(source(row), {ONE: apy}).pools(AS_OF)).rows[ONE]


def test_only_the_given_pools_pay_something_else() -> None:
    made = source()
    before, after = made.pools(AS_OF), AlteredSource(made, {TWO: 0.045}).pools(AS_OF)
    assert [row for row in after if row["pool"] != TWO] == [row for row in before if row["pool"] != TWO]
    assert after[1] == before[1] | {"apy": 4.5, "apyBase": 4.5}
    assert before[1]["apy"] == 3.0  # the rows of the source stay as they are


def test_base_and_reward_go_in_proportion_and_null_stays_null() -> None:
    row = altered(raw_row(ONE, apy=5.0, apyBase=4.0, apyReward=1.0), 0.025)
    assert (row.apy, row.apy_base, row.apy_reward) == (0.025, 0.02, 0.005)
    row = altered(raw_row(ONE, apy=5.0, apyBase=None, apyReward=5.0), 0.0)
    assert (row.apy, row.apy_base, row.apy_reward) == (0.0, None, 0.0)


@pytest.mark.parametrize(
    ("base", "reward", "expected"),
    [(0.0, 0.0, (0.03, 0.0)), (0.0, None, (0.03, None)), (None, 0.0, (None, 0.03)), (None, None, (None, None))],
)
def test_a_pool_that_paid_nothing_is_given_base(base: Any, reward: Any, expected: Any) -> None:
    row = altered(raw_row(ONE, apy=0.0, apyBase=base, apyReward=reward), 0.03)
    assert (row.apy, row.apy_base, row.apy_reward) == (0.03, *expected)


@given(st.floats(0.0, 10.0))
def test_the_rate_that_is_read_is_the_one_that_was_asked_for(apy: float) -> None:
    assert altered(raw_row(ONE), apy).apy == pytest.approx(apy, abs=1e-12)


@given(st.integers(0, 100_000))
def test_a_whole_number_of_basis_points_is_read_exactly(bps: int) -> None:
    row = raw_row(ONE, apyBase=None, apyReward=None)
    assert altered(row, bps / 10_000).apy == bps / 10_000
    assert AlteredSource(source(row), {ONE: bps / 10_000}).pools(AS_OF)[0]["apy"] == bps / 100


def test_the_past_and_all_else_are_the_sources() -> None:
    made = source()
    assumed = AlteredSource(made, {ONE: 0.5})
    assert assumed.day(None) == made.day(None)
    assert assumed.charts([ONE], AS_OF) == made.charts([ONE], AS_OF)
    assert assumed.hacks(AS_OF) == made.hacks(AS_OF)
    assert assumed.table("prices", "eth_usd_daily.csv", AS_OF) == [{"date": "2025-02-28", "close": "2"}]


def test_the_label_says_that_rates_are_assumed() -> None:
    assert AlteredSource(source(), {ONE: 0.5}).label == "made, with assumed rates"
    assert AlteredSource(source(), {}).label == "made"
    assert not AlteredSource(source(), {ONE: 0.5}).synthetic


def test_a_pool_that_the_market_does_not_have_is_refused() -> None:
    with pytest.raises(SourceError, match="not in the market of 2025-02-28"):
        AlteredSource(source(), {pool_id(99): 0.5}).pools(AS_OF)


@pytest.mark.parametrize("apy", [-0.01, 10.01, float("nan"), float("inf")])
def test_a_rate_out_of_bounds_is_refused(apy: float) -> None:
    with pytest.raises(SourceError, match="between 0 and 10"):
        AlteredSource(source(), {ONE: apy})


@pytest.mark.parametrize("apy", [None, "5", float("nan"), True])
def test_a_pool_without_a_rate_has_none_to_assume_another_for(apy: Any) -> None:
    with pytest.raises(SourceError, match="no rate"):
        AlteredSource(source(raw_row(ONE, apy=apy)), {ONE: 0.5}).pools(AS_OF)


@pytest.mark.parametrize("odd", [7, None, "text", {}, {"pool": 5}, {"malformed": "x"}])
def test_rows_that_are_none_pass_as_they_came(odd: Any) -> None:
    made = source()
    made.rows.append(odd)
    assert AlteredSource(made, {ONE: 0.5}).pools(AS_OF)[-1] == odd


def read(evidence: Evidence) -> Market:
    return read_market(evidence, "USD", AS_OF, functools.partial(screen, asset="USD"), protocol_tvl)


def test_a_run_on_assumed_rates_saves_them_and_reads_them_again(tmp_path: Path) -> None:
    plain = read(Evidence(source()))
    evidence = Evidence(AlteredSource(source(), {TWO: 0.045}))
    market = read(evidence)
    assert market.rows[TWO].apy == 0.045
    assert market.sha256 != plain.sha256
    evidence.save(tmp_path / "inputs.json.gz")
    again = read(Evidence(SavedSource(tmp_path)))
    assert again.sha256 == market.sha256
    assert again.rows == market.rows
    assert plain.rows[TWO].apy == 0.03


def test_what_was_read_for_one_run_serves_another_with_assumed_rates() -> None:
    made = source()
    first = Evidence(made)
    read(first)
    asked = len(made.asked)
    market = read(Evidence(AlteredSource(first, {TWO: 0.045})))
    assert len(made.asked) == asked
    assert market.sha256 == read(Evidence(AlteredSource(source(), {TWO: 0.045}))).sha256
