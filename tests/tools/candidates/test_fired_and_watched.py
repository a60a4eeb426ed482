"""Limits that fired leave what they found and what they left; what is watched once the money is placed."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from made_market import AS_OF, BY_HAND, MEDIUM, MILLION, losses, pool, universe

from tools.candidates import (
    CandidateSet,
    Draft,
    Weighing,
    assess_candidates,
    build_candidates,
    capped,
    measure,
    rejected,
    sent_back,
)
from tools.candidates.watch import sized_features
from tools.market.features import pool_features
from tools.records import Mandate
from tools.strategies.objectives import load_objectives
from tools.strategies.profiles import load_profiles

PROFILES = load_profiles()
MANDATE = Mandate(asset="USD")

PLAIN = Weighing(load_objectives()["medium"], ("equal", "inverse_volatility", "min_cvar"))


def assess(drafts, pools, limits=MEDIUM, amount=None):
    days = min(p.history.apy.size for p in pools)
    found = measure(CandidateSet(tuple(drafts), (), days), universe(pools), AS_OF, 0.04)
    return assess_candidates(found, losses(found), MANDATE, PROFILES, limits, amount, 0.04)


def draft(pools, weights, method="equal", profile="balanced_apy"):
    return Draft(profile, method, tuple(pools), np.array(weights), BY_HAND, revised=False, raised=False)


def families(count, **options):
    return [pool(n, family=f"f{n}", issuer_shares={}, **options) for n in range(count)]


def test_every_failed_gate_of_a_candidate_is_a_rejection():
    pools = families(2)
    sound, heavy = draft(pools, [0.5, 0.5]), draft(pools, [0.9, 0.1], profile="growth")
    assessed = assess([sound, heavy], pools)
    events = rejected(assessed)
    assert {(event.rule, event.subject) for event in events} == {
        (gate.rule, "growth.equal") for gate in assessed[1].gates if not gate.passed
    }
    assert {(event.before, event.after, event.action) for event in events} == {(1.0, 0.0, "rejected")}
    assert {event.rule for event in events} >= {"max_weight", "protocol_share"}


def test_a_pool_sent_back_leaves_its_largest_weight():
    pools = families(3)
    assessed = assess([draft(pools, [0.2, 0.3, 0.5]), draft(pools, [0.4, 0.3, 0.3], "min_cvar")], pools)
    vetoed = {"balanced_apy": {pools[0].id: "protocol_risk", "never-held": "protocol_risk"}}
    (event,) = sent_back(assessed, vetoed, MEDIUM)
    assert (event.subject, event.rule, event.limit) == (pools[0].id, "protocol_risk", MEDIUM.protocol_risk)
    assert (event.before, event.after, event.action) == (0.4, 0.0, "sent_back")
    assert sent_back(assessed, {}, MEDIUM) == []


def test_a_cap_that_holds_a_pool_says_what_the_method_alone_would_have_given():
    calm = pool(0, family="calm", issuer_shares={}, series=[0.05 + 1e-5 * (day % 2) for day in range(100)])
    wild = [
        pool(n, family=f"w{n}", issuer_shares={}, series=[0.05 + 0.02 * ((day + n) % 2) for day in range(100)])
        for n in (1, 2, 3)
    ]
    pools = [calm, *wild]
    limits = MEDIUM.model_copy(update={"max_weight": 0.4})
    found = build_candidates(universe(pools), Mandate(asset="USD", max_weight=0.4), PROFILES, limits, None)
    drafts = [d for d in found.drafts if d.method == "inverse_volatility" and len(d.pools) == 4]
    assessed = assess(drafts[:1], pools, limits)[0]
    events = capped(assessed, limits, found.days, PLAIN)
    assert [(event.subject, event.rule, event.limit) for event in events] == [(calm.id, "max_weight", 0.4)]
    assert events[0].after == pytest.approx(0.4)
    assert events[0].before > 0.8


def test_equal_weights_within_the_caps_fire_nothing():
    pools = families(4)
    assert capped(assess([draft(pools, [0.25] * 4)], pools)[0], MEDIUM, 100, PLAIN) == []


def test_rounding_and_caps_that_cap_nothing_fire_nothing():
    pools = [
        pool(
            n, family="one", issuer_shares={"Circle": 1.0}, series=[0.05 + 0.001 * n * (day % 2) for day in range(100)]
        )
        for n in (1, 2, 3)
    ]
    free = MEDIUM.model_copy(update={"max_weight": 1.0, "protocol_share": 1.0, "issuer_share": 1.0})
    found = build_candidates(universe(pools), Mandate(asset="USD"), PROFILES, free, 50_000.0)
    assert found.drafts
    for candidate in assess(found.drafts, pools, free, 50_000.0):
        assert [event for event in capped(candidate, free, found.days, PLAIN) if event.rule != "position_share"] == []


def features(p, amount):
    median = np.full(p.history.apy.size, 0.05)
    plain = pool_features(p.history, p.row, median, exit_cost=None, days_to_exit=None)
    return sized_features(plain, p, amount)


def test_features_take_the_size_of_the_position():
    two = pool(1, tokens=("DAI", "USDC"), tvl_usd=10 * MILLION)
    assert features(two, 1e6).exit_cost > features(two, 1e5).exit_cost > 0.0
    assert features(two, 2e6).days_to_exit == pytest.approx(2.0)
    assert features(pool(2, tvl_usd=10 * MILLION), 1e6).exit_cost == 0.0


def test_without_an_amount_they_say_so_and_with_one_they_do_not():
    unknown = features(pool(1), None)
    assert (unknown.exit_cost, unknown.days_to_exit) == (None, None)
    assert {"exit_cost", "days_to_exit"} <= set(unknown.missing)
    known = features(pool(1), 1e5)
    assert not {"exit_cost", "days_to_exit"} & set(known.missing)
    assert known.days_to_exit is not None


def test_a_queue_is_waited_for_however_small_the_position():
    staked = pool(1, project="lido", family="lido", tokens=("STETH",), tvl_usd=1e10)
    assert staked.history.last > dt.date(2023, 5, 15)
    assert features(staked, 1.0).days_to_exit == 5.0
