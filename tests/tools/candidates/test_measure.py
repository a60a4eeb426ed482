"""The figures of candidates: against naive loops, with a reason for each that is missing, all finite."""

from __future__ import annotations

import datetime as dt
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_market import AS_OF, BY_HAND, MEDIUM, MILLION, day_before, pool, universe

from tools.candidates import CandidateSet, Draft, build_candidates, measure
from tools.metrics import compute_metrics
from tools.records import METRIC_KEYS, Mandate
from tools.strategies.profiles import load_profiles
from tools.units import significant

RATE = 0.04


def draft(pools, weights, profile="balanced_apy", method="equal"):
    return Draft(profile, method, tuple(pools), np.array(weights), BY_HAND, revised=False, raised=False)


def measured(pools, weights, days=None, rate=RATE, others=()):
    days = days or min(p.history.apy.size for p in pools)
    return measure(CandidateSet((draft(pools, weights),), (), days), universe([*pools, *others]), AS_OF, rate)[0]


def walk(rng, count, level=0.05, step=0.001):
    values = [level]
    for _ in range(count - 1):
        values.append(max(0.0, values[-1] + rng.gauss(0.0, step)))
    return values


def pools_of(seed, lengths):
    rng = random.Random(seed)
    return [
        pool(n, apy=rng.uniform(0.0, 0.2), series=walk(rng, days), tvl_usd=rng.uniform(1, 900) * MILLION)
        for n, days in enumerate(lengths)
    ]


def test_returns_are_the_naive_sum_of_weighted_daily_returns():
    pools, weights = pools_of(1, (100, 120, 90)), [0.5, 0.3, 0.2]
    found = measured(pools, weights)
    assert found.returns.shape == (90,)
    for day in range(90):
        naive = 0.0
        for p, weight in zip(pools, weights, strict=True):
            rate = p.history.apy[p.history.apy.size - 90 + day]
            naive += weight * ((1.0 + rate) ** (1.0 / 365.0) - 1.0)
        assert found.returns[day] == pytest.approx(naive, abs=1e-15)  # 1 + r costs the last bits of r


def test_metrics_are_those_of_the_numeric_core_over_the_same_window():
    pools, weights = pools_of(2, (200, 150)), [0.4, 0.6]
    others = [pool(8, series=walk(random.Random(9), 300))]
    everything = universe([*pools, *others])
    found = measured(pools, weights, others=others)
    expected = compute_metrics(found.returns[None], everything.benchmark[-150:], RATE)
    for key, (value,) in expected.items():
        assert found.metrics[key] == (None if np.isnan(value) else pytest.approx(value, rel=1e-11)), key
    assert sum(value is None for value in found.metrics.values()) <= 3


def test_aggregates_are_weighted_as_the_contract_says():
    pools = [
        pool(1, apy=0.10, tvl_usd=30 * MILLION),
        pool(2, apy=0.02, tvl_usd=10 * MILLION),
    ]
    found = measured(pools, [0.25, 0.75]).metrics
    assert found["portfolio_apy"] == pytest.approx(0.25 * 0.10 + 0.75 * 0.02)
    assert found["weighted_apy"] == pytest.approx((30 * 0.10 + 10 * 0.02) / 40)
    assert found["total_tvl_usd"] == 40 * MILLION
    assert found["pool_count"] == 2.0


@pytest.mark.parametrize("days", [60, 61, 200, 365])
def test_the_window_ends_on_the_day_and_both_ends_count(days):
    window = measured(pools_of(3, (365, 365)), [0.5, 0.5], days).window
    assert (window.first, window.last, window.days) == (day_before(days - 1).isoformat(), AS_OF.isoformat(), days)
    assert (dt.date.fromisoformat(window.last) - dt.date.fromisoformat(window.first)).days + 1 == days


def test_the_range_is_that_of_thirty_day_averages_widened_to_the_day():
    pools, weights = pools_of(4, (120, 120)), [0.7, 0.3]
    found = measured(pools, weights)
    carry = [math.fsum(w * p.history.apy[day] for p, w in zip(pools, weights, strict=True)) for day in range(120)]
    averages = [math.fsum(carry[start : start + 30]) / 30 for start in range(91)]
    today = found.metrics["portfolio_apy"]
    assert found.apy_mean_30d == pytest.approx(averages[-1], rel=1e-10)
    assert found.apy_low == pytest.approx(min([*averages, today]), rel=1e-10)
    assert found.apy_high == pytest.approx(max([*averages, today]), rel=1e-10)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.lists(st.integers(60, 400), min_size=1, max_size=6),
    st.sampled_from([0.0, 1e-5, 1e-3, 0.05]),
    st.floats(-0.01, 0.2),
)
def test_figures_are_finite_or_missing_with_a_reason(seed, lengths, step, rate):
    rng = random.Random(seed)
    pools = [pool(n, apy=rng.uniform(0.0, 9.0), series=walk(rng, days, 0.05, step)) for n, days in enumerate(lengths)]
    found = measured(pools, [1.0 / len(pools)] * len(pools), min(365, *lengths, 365), rate)
    assert tuple(found.metrics) == METRIC_KEYS
    assert {key for key, value in found.metrics.items() if value is None} == set(found.missing)
    assert all(reason for reason in found.missing.values())
    for value in (*found.metrics.values(), found.apy_mean_30d, found.apy_low, found.apy_high):
        assert value is None or (math.isfinite(value) and type(value) is float)
    assert found.apy_low <= found.metrics["portfolio_apy"] <= found.apy_high
    assert found.apy_low <= found.apy_mean_30d <= found.apy_high
    assert found.metrics["cvar_95"] >= found.metrics["var_95"] - 1e-15
    assert found.metrics["annual_volatility"] >= 0.0


def test_a_rate_that_never_moves_has_no_sharpe_and_says_why():
    found = measured([pool(1, series=[0.05] * 100), pool(2, series=[0.03] * 100)], [0.5, 0.5])
    assert found.metrics["sharpe"] is None
    assert found.metrics["beta"] is None
    assert "vary" in found.missing["sharpe"]
    assert found.metrics["annual_return"] == pytest.approx(0.04, abs=1e-3)
    assert found.metrics["annual_volatility"] < 1e-12


def test_carry_that_always_earns_has_a_negative_value_at_risk():
    """Even the tail earns; the figure is a gain and is not cut at 0."""
    found = measured(pools_of(5, (200, 200)), [0.5, 0.5])
    assert found.metrics["var_95"] < 0.0
    assert found.metrics["max_drawdown"] == 0.0


def test_a_candidate_that_is_the_market_has_beta_one_and_no_alpha():
    only = pool(1, series=walk(random.Random(6), 200))
    found = measured([only], [1.0])
    assert found.metrics["beta"] == pytest.approx(1.0)
    assert found.metrics["alpha"] == pytest.approx(0.0, abs=1e-12)


def test_candidates_do_not_change_each_other():
    pools = pools_of(7, (100, 100, 100))
    drafts = (draft(pools[:2], [0.5, 0.5]), draft(pools[1:], [0.9, 0.1], "growth"))
    everything = universe(pools)
    together = measure(CandidateSet(drafts, (), 100), everything, AS_OF, RATE)
    alone = [measure(CandidateSet((d,), (), 100), everything, AS_OF, RATE)[0] for d in drafts]
    assert [m.metrics for m in together] == [m.metrics for m in alone]


def test_no_candidates_no_figures():
    assert measure(CandidateSet((), (), 365), universe([]), AS_OF, RATE) == ()


def test_figures_of_built_candidates_follow_their_weights():
    pools = [pool(n, apy=0.01 * (n + 1), family=f"f{n}", issuer_shares={}) for n in range(8)]
    everything = universe(pools)
    found = build_candidates(everything, Mandate(asset="USD"), load_profiles(), MEDIUM, None)
    for m in measure(found, everything, AS_OF, RATE):
        assert m.metrics["pool_count"] == len(m.draft.pools)
        expected = math.fsum(w * p.row.apy for w, p in zip(m.draft.weights, m.draft.pools, strict=True))
        assert m.metrics["portfolio_apy"] == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(
    ("value", "kept"),
    [(0.0, 0.0), (-0.0, 0.0), (0.1 + 0.2, 0.3), (1234567.890123456, 1234567.89012), (-1e-300, -1e-300), (1e300, 1e300)],
)
def test_figures_keep_twelve_significant_digits(value, kept):
    assert significant(value) == kept
    assert math.copysign(1.0, significant(0.0 * -1.0)) == 1.0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_figures_is_monotone_and_close(value):
    assert significant(value) == pytest.approx(value, rel=1e-11)
    assert significant(significant(value)) == significant(value)
