"""From a market to scored candidates: the recorded market and the demo market, end to end."""

from __future__ import annotations

import datetime as dt
import functools
import math

import numpy as np
import pytest
from made_market import losses

from tools.candidates import assess_candidates, build_candidates, conflicts, measure, vetoes
from tools.exposure import exposures
from tools.market.demo import DemoSource
from tools.market.evidence import Evidence
from tools.market.load import read_market
from tools.market.sources import FolderSource
from tools.records import METRIC_KEYS, Mandate
from tools.risk.hazards import Hazards
from tools.risk.lookup import ProtocolRisks
from tools.scoring import score_candidates
from tools.strategies.profiles import load_limits, load_presets, load_profiles
from tools.strategies.rates import risk_free_rate
from tools.strategies.selection import effective_limits
from tools.strategies.universe import build_universe, counted, price_on, protocol_tvl, screen

DAYS = {"USD": dt.date(2025, 2, 28), "ETH": dt.date(2025, 9, 26), "BTC": dt.date(2025, 9, 26)}
AMOUNT = 250_000.0
RISKS = ("low", "medium", "high")
PLAUSIBLE_RATE = {"USD": (0.03, 0.06), "ETH": (0.02, 0.05), "BTC": (0.0, 0.0)}


def universe_of(source, asset, day):
    market = read_market(Evidence(source), asset, day, functools.partial(screen, asset=asset), protocol_tvl)
    return market, build_universe(market, asset, ProtocolRisks(market))


@pytest.fixture(scope="module")
def recorded(market_folder):
    """Market and universe of each asset, read once."""
    return {asset: universe_of(FolderSource(market_folder), asset, day) for asset, day in DAYS.items()}


@pytest.fixture(scope="module")
def demo():
    source = DemoSource()
    return source, *universe_of(source, "BTC", None)


def decide(market, universe, amount=AMOUNT, **limits):
    mandate = Mandate(asset=universe.asset, **limits)
    caps = effective_limits(mandate, load_limits()[mandate.risk][universe.asset])
    found = build_candidates(universe, mandate, load_profiles(), caps, amount)
    rate = risk_free_rate(universe.asset, market).rate
    measured = measure(found, universe, market.as_of, rate)
    hazard = Hazards(market.as_of, market.hacks, {}, market.protocol_tvl_usd).of
    views = losses(measured, amount, hits=exposures(universe.pools, market.as_of), hazard=hazard)
    assessed = assess_candidates(measured, views, mandate, load_profiles(), caps, amount, rate)
    return found, assessed, caps, mandate


@pytest.mark.parametrize("asset", DAYS)
def test_the_market_adds_up_and_its_pools_are_what_they_should_be(recorded, asset):
    market, universe = recorded[asset]
    assert market.pools_total == len(universe.pools) + sum(counted(universe.excluded).values())
    assert universe.pools
    for pool in universe.pools:
        assert pool.row.tvl_usd >= 1e6
        assert 0.0 <= pool.row.apy <= 10.0
        assert 0.0 <= pool.protocol_risk <= 1.0
        assert pool.trend in {"down", "not_down"}
        assert all(token.isascii() or token == "USD₮0" for token in pool.tokens)
        assert all(0.0 < share <= 1.0 for share in pool.issuer_shares.values())
    assert np.isfinite(universe.benchmark).all()
    assert 0.0 <= np.median(universe.benchmark_apy) <= 0.2


@pytest.mark.parametrize("asset", DAYS)
def test_the_risk_free_rate_is_plausible_and_has_a_source(recorded, asset):
    low, high = PLAUSIBLE_RATE[asset]
    found = risk_free_rate(asset, recorded[asset][0])
    assert low <= found.rate <= high
    assert found.source


@pytest.mark.parametrize(("asset", "low", "high"), [("ETH", 1_000, 10_000), ("BTC", 30_000, 300_000)])
def test_prices_are_plausible(recorded, asset, low, high):
    market, _ = recorded[asset]
    price = price_on(market, market.as_of)
    assert price is not None
    assert low <= price <= high


@pytest.mark.parametrize("risk", RISKS)
@pytest.mark.parametrize("asset", DAYS)
def test_candidates_keep_their_caps_and_have_every_figure(recorded, asset, risk):
    market, universe = recorded[asset]
    found, assessed, caps, mandate = decide(market, universe, risk=risk)
    assert {d.profile_id for d in found.drafts} | {e.profile for e in found.emptied} == set(load_profiles())
    assert 60 <= found.days <= 365
    for candidate in assessed:
        draft, metrics = candidate.measured.draft, candidate.measured.metrics
        assert abs(draft.weights.sum() - 1.0) <= 1e-9
        assert draft.weights.max() <= caps.max_weight + 1e-9
        assert candidate.risk.largest_position_share <= caps.position_share + 1e-9
        assert candidate.risk.largest_protocol.share <= caps.protocol_share + 1e-9
        assert candidate.risk.largest_issuer.share <= caps.issuer_share + 1e-9
        assert tuple(metrics) == METRIC_KEYS
        assert {key for key, value in metrics.items() if value is None} == set(candidate.measured.missing)
        assert all(value is None or math.isfinite(value) for value in metrics.values())
        assert 0.0 < metrics["portfolio_apy"] < 1.0
        assert metrics["annual_return"] > -0.01
        assert metrics["var_95"] <= metrics["cvar_95"] + 1e-15
        assert candidate.measured.apy_low <= metrics["portfolio_apy"] <= candidate.measured.apy_high
        assert candidate.measured.window.last == market.as_of.isoformat()
        permitted = RISKS.index(load_profiles()[draft.profile_id].level) <= RISKS.index(risk)
        assert candidate.gates[0].passed == permitted
        assert candidate.passed == all(gate.passed for gate in candidate.gates)
    sent_back = vetoes(assessed, universe.pools, mandate, load_profiles(), caps)
    assert all(RISKS.index(load_profiles()[name].level) <= RISKS.index(risk) for name in sent_back)
    if not any(candidate.passed for candidate in assessed):
        assert conflicts(assessed) or not assessed


@pytest.mark.parametrize("asset", DAYS)
def test_there_is_something_to_choose_at_high_risk(recorded, asset):
    _, assessed, _, _ = decide(*recorded[asset], risk="high")
    assert any(candidate.passed for candidate in assessed)


def test_dollars_have_something_to_choose_at_medium_risk(recorded):
    _, assessed, _, _ = decide(*recorded["USD"], risk="medium")
    passed = [candidate for candidate in assessed if candidate.passed]
    assert passed
    for candidate in passed:
        assert 0.01 <= candidate.measured.metrics["portfolio_apy"] <= 0.30


@pytest.mark.parametrize("asset", DAYS)
def test_scores_are_sums_of_parts_within_their_weights(recorded, asset):
    _, assessed, _, _ = decide(*recorded[asset], risk="high")
    weights = load_presets()["neutral"]
    scores = score_candidates([candidate.measured.metrics for candidate in assessed], weights, "neutral", "carry_only")
    for score in scores:
        assert score.total == pytest.approx(math.fsum(score.parts.values()), abs=1e-15)
        assert -0.10 <= score.total <= 1.0
    assert len({score.total for score in scores}) > 1


def test_stricter_limits_never_make_more_pools_available(recorded):
    market, universe = recorded["USD"]
    free = decide(market, universe, risk="high")[0]
    tight = decide(market, universe, risk="high", min_tvl_usd=100e6, chains_exclude=["Base"])[0]
    assert len(tight.drafts) <= len(free.drafts)
    for draft in tight.drafts:
        assert all(pool.row.tvl_usd >= 100e6 and pool.row.chain != "Base" for pool in draft.pools)


@pytest.mark.parametrize("cap", [0.1, 0.3, 1 / 3])
def test_a_cap_on_one_pool_is_kept_with_as_many_pools_as_it_takes(recorded, cap):
    found, assessed, _, _ = decide(*recorded["USD"], risk="high", max_weight=cap)
    needed = {0.1: 10, 0.3: 4, 1 / 3: 3}[cap]
    assert assessed
    for draft in found.drafts:
        assert needed <= len(draft.pools) <= 20
        assert draft.weights.max() <= cap + 1e-9


def test_more_money_never_finds_places_that_less_money_does_not(recorded):
    built = [len(decide(*recorded["USD"], amount=amount, risk="high")[0].drafts) for amount in (1e4, 1e7, 1e9, 1e12)]
    assert built == sorted(built, reverse=True)
    assert built[-1] == 0


def test_the_same_market_gives_the_same_candidates_twice(recorded, market_folder):
    again = universe_of(FolderSource(market_folder), "ETH", DAYS["ETH"])
    first, second = (decide(*found, risk="high")[1] for found in (recorded["ETH"], again))
    assert [c.measured.metrics for c in first] == [c.measured.metrics for c in second]
    assert [c.measured.draft.weights.tolist() for c in first] == [c.measured.draft.weights.tolist() for c in second]


def test_the_demo_market_fills_every_profile(demo):
    _, market, universe = demo
    for risk in RISKS:
        found, assessed, _, _ = decide(market, universe, risk=risk)
        assert not found.emptied
        assert any(candidate.passed for candidate in assessed)


def test_no_low_risk_profile_of_the_demo_market_takes_a_pool_with_a_fault(demo):
    source, market, universe = demo
    harmless = ("unsplit", "gap_short", "late_feed", "late_split", "duplicate_symbol", "tvl_drop_30", "tvl_drop_60")
    bad = set().union(*(pools for name, pools in source.planted.items() if name not in harmless))
    found, _, _, _ = decide(market, universe, risk="low")
    for draft in found.drafts:
        if load_profiles()[draft.profile_id].level == "low":
            assert not bad & {pool.id for pool in draft.pools}
