"""Features of a pool: textbook values, what each does not see, and a reason for everything that is None."""

from __future__ import annotations

import datetime as dt
import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.market.features import AMOUNT_UNKNOWN, pool_features
from tools.market.snapshot import History, Row
from tools.records import PoolFeatures

LAST = dt.date(2025, 2, 28)
WOBBLE = [0.04 + 0.001 * math.sin(0.7 * day) + 0.0005 * (day % 3) for day in range(120)]


def features(
    apy: list[float],
    tvl: list[float] | None = None,
    median: list[float] | None = None,
    split: tuple[Any, ...] = (0.04, 0.03, 0.01),
) -> PoolFeatures:
    row = Row("id", "aave-v3", "Ethereum", "USDC", 1e6, *split, meta=None)
    held = np.array(tvl if tvl is not None else [1e6] * len(apy))
    first = LAST - dt.timedelta(days=len(apy) - 1)
    history = History("id", first, LAST, np.array(apy), held, gaps_filled=0, spikes_dropped=0, constant=False)
    return pool_features(
        history, row, np.array(WOBBLE if median is None else median), exit_cost=0.001, days_to_exit=0.5
    )


def test_level_and_volatility_are_those_of_the_textbook() -> None:
    found = features(WOBBLE)
    assert found.days == 120
    assert found.apy_mean == pytest.approx(statistics.fmean(WOBBLE), rel=1e-11)
    assert found.apy_volatility == pytest.approx(statistics.stdev(WOBBLE), rel=1e-10)


def test_trend_is_what_thirty_days_change() -> None:
    falling = [0.10 - 0.0004 * day for day in range(90)]
    assert features(falling).apy_trend == pytest.approx(-0.012, rel=1e-10)


def test_one_wild_day_does_not_make_a_trend() -> None:
    wild = [0.05] * 90
    wild[-3] = 0.9
    assert features(wild).apy_trend == 0.0


def test_trend_looks_at_the_last_thirty_days_only() -> None:
    assert features([0.01 * day for day in range(60)] + [0.05] * 30).apy_trend == 0.0


def test_trend_is_the_median_over_all_pairs() -> None:
    recent = WOBBLE[-30:]
    slopes = [(recent[j] - recent[i]) / (j - i) for i in range(30) for j in range(i + 1, 30)]
    assert features(WOBBLE).apy_trend == pytest.approx(30 * statistics.median(slopes), rel=1e-10)


@pytest.mark.parametrize(("days", "known"), [(19, False), (20, True)])
def test_a_trend_needs_twenty_days(days: int, known: bool) -> None:
    found = features(WOBBLE[:days])
    assert (found.apy_trend is not None) is known
    assert ("apy_trend" in found.missing) is not known


def test_an_apy_that_alternates_does_not_persist() -> None:
    # Around its mean the products of neighbours are all −d², n − 1 of them against n squares.
    assert features([0.04, 0.06] * 50).persistence == pytest.approx(-99 / 100, rel=1e-10)


def test_an_apy_that_changes_its_level_once_persists() -> None:
    # 100 days at −d, 100 at +d: 198 products of d², one of −d², over 200 d².
    assert features([0.04] * 100 + [0.06] * 100).persistence == pytest.approx(197 / 200, rel=1e-10)


def test_a_constant_apy_has_no_persistence_and_no_correlation() -> None:
    found = features([0.05] * 100)
    assert found.apy_volatility == 0.0
    assert found.persistence is None
    assert found.correlation_with_median is None
    assert {"persistence", "correlation_with_median"} <= found.missing.keys()


@pytest.mark.parametrize(
    ("level", "value", "spikes"),
    [(0.02, 0.06, 1), (0.02, 0.0599, 0), (0.002, 0.0119, 0), (0.002, 0.012, 1), (0.1, 0.3, 1), (0.0, 0.01, 1)],
)
def test_a_spike_is_three_times_the_median_before_it_and_a_point_above(level: float, value: float, spikes: int) -> None:
    apy = [level] * 80
    apy[50] = value
    assert features(apy).spikes == spikes


def test_days_without_thirty_days_before_them_are_no_spikes() -> None:
    apy = [0.02] * 80
    apy[29] = apy[30] = 0.2
    assert features(apy).spikes == 1


def test_spikes_are_measured_against_the_days_before_them_and_not_the_window() -> None:
    # The level rises for good: as soon as half of the thirty days before are high, the high days are no spikes.
    assert features([0.02] * 60 + [0.2] * 60).spikes == 15


@pytest.mark.parametrize(
    ("split", "share"),
    [
        ((0.04, 0.03, 0.01), 0.25),
        ((0.04, 0.04, None), 0.0),
        ((0.04, None, 0.04), 1.0),
        ((0.04, 0.0, 0.05), 1.0),
        ((0.04, None, None), None),
        ((0.0, 0.0, 0.0), None),
    ],
)
def test_reward_share_is_the_share_of_the_day_s_apy(split: tuple[float | None, ...], share: float | None) -> None:
    found = features(WOBBLE, split=split)
    assert found.reward_share == share
    assert ("reward_share" in found.missing) is (share is None)


def test_tvl_is_compared_with_thirty_days_before_and_day_by_day() -> None:
    tvl = [1000.0] * 120
    tvl[60:] = [800.0] * 60
    tvl[-10:] = [1000.0] * 10
    found = features(WOBBLE, tvl)
    assert found.tvl_change_30d == pytest.approx(0.25, rel=1e-10)
    assert found.tvl_worst_day == pytest.approx(0.2, rel=1e-10)


def test_a_tvl_that_never_falls_has_a_worst_day_of_zero() -> None:
    assert features(WOBBLE, [1000.0 + day for day in range(120)]).tvl_worst_day == 0.0


@pytest.mark.parametrize(
    ("tvl", "change", "worst"),
    [
        ([0.0] * 90 + [5.0] * 30, None, 0.0),  # nothing thirty days before the last
        ([0.0] * 120, None, None),
        ([-1.0] + [5.0] * 119, None, None),
        ([math.nan] * 120, None, None),
        ([5.0] * 119 + [0.0], -1.0, 1.0),
    ],
)
def test_a_tvl_that_cannot_be_compared_says_so(tvl: list[float], change: float | None, worst: float | None) -> None:
    found = features(WOBBLE, tvl)
    assert (found.tvl_change_30d, found.tvl_worst_day) == (change, worst)
    assert ("tvl_change_30d" in found.missing, "tvl_worst_day" in found.missing) == (change is None, worst is None)


def test_tvl_change_needs_a_day_thirty_days_before() -> None:
    assert features(WOBBLE[:30]).tvl_change_30d is None
    assert features(WOBBLE[:31]).tvl_change_30d == 0.0


def test_correlation_is_of_changes_and_not_of_levels() -> None:
    mirrored = [0.1 - apy for apy in WOBBLE]
    drifting = [apy + 0.001 * day for day, apy in enumerate(WOBBLE)]
    assert features(WOBBLE).correlation_with_median == pytest.approx(1.0, abs=1e-9)
    assert features(mirrored).correlation_with_median == pytest.approx(-1.0, abs=1e-9)
    assert features(drifting).correlation_with_median == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("longer", ["pool", "median"])
def test_correlation_is_over_the_days_that_both_have(longer: str) -> None:
    short, long = WOBBLE[-60:], [0.2] * 60 + WOBBLE[-60:]
    pool, median = (long, short) if longer == "pool" else (short, long)
    assert features(pool, median=median).correlation_with_median == pytest.approx(1.0, abs=1e-9)


def test_correlation_agrees_with_the_library() -> None:
    other = [0.03 + 0.002 * math.cos(1.3 * day) for day in range(120)]
    expected = statistics.correlation(np.diff(other).tolist(), np.diff(WOBBLE).tolist())
    assert features(other).correlation_with_median == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("days", "known"), [(29, False), (30, True)])
def test_persistence_and_correlation_need_thirty_days(days: int, known: bool) -> None:
    found = features(WOBBLE[:days])
    assert (found.persistence is not None, found.correlation_with_median is not None) == (known, known)


def test_an_unknown_cost_carries_the_reason_it_was_given() -> None:
    row = Row("id", "aave-v3", "Ethereum", "USDC", 1e6, 0.04, None, None, None)
    history = History("id", LAST, LAST, np.array(WOBBLE), np.full(120, 1e6), 0, 0, False)
    found = pool_features(
        history, row, np.array(WOBBLE), exit_cost=None, days_to_exit=None, reasons={"exit_cost": "it is too large"}
    )
    assert found.missing["exit_cost"] == "it is too large"
    assert found.missing["days_to_exit"] == AMOUNT_UNKNOWN


@pytest.mark.parametrize("place", ["APY", "TVL", "median APY"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_refused_by_name_and_day(place: str, value: float) -> None:
    series = {"APY": list(WOBBLE), "TVL": [1e6] * 120, "median APY": list(WOBBLE)}
    series[place][7] = value
    with pytest.raises(ValueError, match=f"the {place} of day 7"):
        features(series["APY"], series["TVL"], series["median APY"])


@pytest.mark.parametrize(("apy", "tvl"), [([0.04], [1.0]), ([], []), ([0.04, 0.05], [1.0])])
def test_series_that_do_not_fit_are_refused(apy: list[float], tvl: list[float]) -> None:
    with pytest.raises(ValueError, match="pool id"):
        features(apy, tvl)


APYS = st.lists(st.integers(0, 30_000_00).map(lambda n: n / 1e7), min_size=2, max_size=120)


@given(apy=APYS, tvl=st.lists(st.just(0.0) | st.floats(0.01, 1e9), min_size=120, max_size=120))
def test_every_none_has_a_reason_and_every_value_is_in_its_range(apy: list[float], tvl: list[float]) -> None:
    found = features(apy, tvl[: len(apy)])
    values = found.model_dump(exclude={"missing"})
    assert {name for name, value in values.items() if value is None} == found.missing.keys()
    assert all(found.missing.values())
    assert min(apy) - 1e-9 <= found.apy_mean <= max(apy) + 1e-9
    assert found.apy_volatility >= 0.0
    assert 0 <= found.spikes <= max(0, len(apy) - 30)
    assert -1.0 <= (found.persistence or 0.0) <= 1.0
    assert -1.0 <= (found.correlation_with_median or 0.0) <= 1.0
    assert 0.0 <= (found.tvl_worst_day or 0.0) <= 1.0
    assert (found.tvl_change_30d or 0.0) >= -1.0


@given(apy=APYS, level=st.integers(0, 1_000_000).map(lambda n: n / 1e7))
def test_a_higher_level_changes_neither_steadiness_nor_trend(apy: list[float], level: float) -> None:
    found, raised = features(apy), features([value + level for value in apy])
    assert raised.apy_mean == pytest.approx(found.apy_mean + level, abs=1e-10)
    for name in ("apy_volatility", "apy_trend", "persistence"):
        assert getattr(raised, name) == pytest.approx(getattr(found, name), abs=1e-8), name
