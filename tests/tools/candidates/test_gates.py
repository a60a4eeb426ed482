"""Gates: each fails when its limit is broken; what risk sends back; which limits conflict."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_market import AS_OF, BY_HAND, LOW, MEDIUM, MILLION, losses, pool, universe

from tools.candidates import CandidateSet, Draft, assess_candidates, build_candidates, conflicts, measure, vetoes
from tools.records import Mandate, NodeHazard, ProfileId
from tools.strategies.profiles import load_profiles
from tools.strategies.selection import effective_limits

PROFILES = load_profiles()
LIMITS = MEDIUM
ALWAYS = (
    "profile_risk", "protocol_risk", "position_share", "max_weight", "protocol_share", "issuer_share", "reward_share",
    "apy_multiple", "history_days", "var_95", "cvar_95", "max_drawdown",
)  # fmt: skip
UNTESTABLE = {"var_95", "cvar_95", "max_drawdown"}


HALF_GONE = NodeHazard(
    rate_low=0.5, rate=0.5, rate_high=0.5, severity_low=0.5, severity_high=0.5, basis="made", sources=[]
)


def assess(pools, weights, amount=None, of="balanced_apy", limits=LIMITS, hazard=lambda node: None, **mandate):
    draft = Draft(of, "equal", tuple(pools), np.array(weights), BY_HAND, revised=False, raised=False)
    days = min(p.history.apy.size for p in pools)
    found = measure(CandidateSet((draft,), (), days), universe(pools), AS_OF, 0.04)
    request = Mandate(asset="USD", **mandate)
    return assess_candidates(found, losses(found, amount, hazard=hazard), request, PROFILES, limits, amount, 0.04)[0]


def gate(candidate, rule):
    (found,) = [g for g in candidate.gates if g.rule == rule]
    return found


def two(**options):
    first = {"family": "aave", "issuer_shares": {"Circle": 1.0}, "chain": "Ethereum"} | options
    return [pool(1, **first), pool(2, family="sky", issuer_shares={"Sky": 1.0}, chain="Base")]


def test_a_sound_candidate_passes_every_gate():
    candidate = assess(two(apy_base=0.04, apy_reward=0.01), [0.5, 0.5], 1e6)
    assert candidate.passed
    assert tuple(g.rule for g in candidate.gates) == ALWAYS
    assert all(g.passed for g in candidate.gates)


BREACHES = [
    ("protocol_risk", {"protocol_risk": LIMITS.protocol_risk + 0.001}, [0.5, 0.5], {}),
    ("position_share", {"tvl_usd": 9 * MILLION}, [0.5, 0.5], {}),
    ("max_weight", {}, [0.51, 0.49], {}),
    ("protocol_share", {}, [0.61, 0.39], {}),
    ("issuer_share", {}, [0.81, 0.19], {}),
    ("reward_share", {"apy_base": 0.0, "apy_reward": 0.05}, [0.5, 0.5], {}),
    ("apy_multiple", {"apy_multiple": LIMITS.apy_multiple + 0.01}, [0.5, 0.5], {}),
    ("history_days", {"series": [0.05, 0.06] * 29}, [0.5, 0.5], {}),
    ("min_tvl", {"tvl_usd": 19 * MILLION}, [0.5, 0.5], {"min_tvl_usd": 20 * MILLION}),
    ("min_apy", {}, [0.5, 0.5], {"min_apy": 0.0501}),
    ("min_pools", {}, [0.5, 0.5], {"min_pools": 3}),
    ("max_pools", {}, [0.5, 0.5], {"max_pools": 1}),
    ("profile_risk", {}, [0.5, 0.5], {"risk": "low"}),
    ("profile_risk", {}, [0.5, 0.5], {"profile": "growth"}),
]


@pytest.mark.parametrize(("rule", "options", "weights", "mandate"), BREACHES)
def test_each_gate_vetoes_what_breaks_its_limit(rule, options, weights, mandate):
    candidate = assess(two(**options), weights, 1e6, **mandate)
    broken = gate(candidate, rule)
    assert (broken.passed, broken.tested) == (False, True)
    assert not candidate.passed


@pytest.mark.parametrize(
    ("rule", "options", "weights", "mandate"),
    [
        ("protocol_risk", {"protocol_risk": LIMITS.protocol_risk}, [0.5, 0.5], {}),
        ("position_share", {"tvl_usd": 10 * MILLION}, [0.5, 0.5], {}),
        ("max_weight", {}, [0.5, 0.5], {}),
        ("protocol_share", {}, [0.6, 0.4], {}),
        ("issuer_share", {}, [0.8, 0.2], {}),
        ("apy_multiple", {"apy_multiple": LIMITS.apy_multiple}, [0.5, 0.5], {}),
        ("history_days", {"series": [0.05, 0.06] * 30}, [0.5, 0.5], {}),
        ("min_tvl", {"tvl_usd": 20 * MILLION}, [0.5, 0.5], {"min_tvl_usd": 20 * MILLION}),
        ("min_apy", {}, [0.5, 0.5], {"min_apy": 0.05}),
        ("min_pools", {}, [0.5, 0.5], {"min_pools": 2}),
        ("max_pools", {}, [0.5, 0.5], {"max_pools": 2}),
    ],
)
def test_the_limit_itself_is_kept(rule, options, weights, mandate):
    limits = LIMITS.model_copy(update={"max_weight": 0.5 if rule == "max_weight" else 1.0})
    assert gate(assess(two(**options), weights, 1e6, limits=limits, **mandate), rule).passed


@pytest.mark.parametrize("rule", sorted(UNTESTABLE))
def test_losses_that_carry_cannot_show_are_not_tested(rule):
    found = gate(assess(two(), [0.5, 0.5], risk="high"), rule)
    assert (found.passed, found.tested) == (True, False)


@pytest.mark.parametrize("rule", sorted(UNTESTABLE))
def test_a_breach_of_a_loss_limit_that_shows_all_the_same_is_tested_and_vetoes(rule):
    """Carry only gains, so only a limit below the gain itself is one that it breaks."""
    candidate = assess(two(), [0.5, 0.5], risk="high")
    value = gate(candidate, rule).value
    limits = LIMITS.model_copy(update={rule: value - 1e-6})
    found = gate(assess(two(), [0.5, 0.5], limits=limits, risk="high"), rule)
    assert (found.passed, found.tested) == (False, True)


def often(node):
    """A world where every protocol fails every other year and takes half of what it holds."""
    return HALF_GONE if node.startswith("protocol:") else None


@pytest.mark.parametrize("risk", ["low", "medium"])
@pytest.mark.parametrize(
    ("rule", "figure"), [("var_95", "var_95"), ("cvar_95", "cvar_95"), ("max_drawdown", "drawdown_95")]
)
def test_below_high_risk_the_loss_limits_see_events(rule, figure, risk):
    found = gate(calm := assess(two(), [0.5, 0.5], risk=risk), rule)
    assert (found.passed, found.tested, found.value) == (True, True, getattr(calm.risk.all_in, figure))
    struck = assess(two(), [0.5, 0.5], hazard=often, risk=risk)
    found = gate(struck, rule)
    assert (found.passed, found.tested) == (False, True)
    assert found.value == getattr(struck.risk.all_in, figure) > getattr(LIMITS, rule)
    assert not struck.passed


def test_at_high_risk_they_do_not():
    struck = assess(two(), [0.5, 0.5], hazard=often, risk="high")
    assert all(gate(struck, rule).passed for rule in UNTESTABLE)
    assert struck.risk.gate_view == "carry_only"
    assert struck.risk.all_in.cvar_95 > LIMITS.cvar_95


def test_without_an_amount_the_position_is_not_tested():
    found = gate(assess(two(tvl_usd=MILLION), [0.5, 0.5], None), "position_share")
    assert (found.passed, found.tested, found.value) == (True, False, None)
    assert gate(assess(two(), [0.5, 0.5], 1e6), "position_share").tested


@pytest.mark.parametrize(
    ("first", "second", "share", "known", "passed", "tested"),
    [
        ({}, {}, None, 0.0, True, False),
        ({"apy_base": 0.05}, {}, 0.0, 0.5, True, False),
        ({"apy_base": 0.05}, {"apy_base": 0.05}, 0.0, 1.0, True, True),
        ({"apy_reward": 0.05}, {}, 1.0, 0.5, False, True),
        ({"apy_base": 0.03, "apy_reward": 0.02}, {"apy_base": 0.05}, 0.2, 1.0, True, True),
        ({"apy_base": 0.0, "apy_reward": 0.05}, {"apy_base": 0.05, "apy_reward": 0.0}, 0.5, 1.0, True, True),
        ({"apy_reward": 5.0}, {"apy_reward": 5.0}, 1.0, 1.0, False, True),
    ],
)
def test_the_share_of_rewards_is_tested_where_the_split_is_known(first, second, share, known, passed, tested):
    pools = [pool(1, family="a", **first), pool(2, family="b", issuer_shares={}, **second)]
    candidate = assess(pools, [0.5, 0.5])
    assert candidate.risk.reward_share == (None if share is None else pytest.approx(share))
    assert candidate.risk.reward_share_known_weight == pytest.approx(known)
    found = gate(candidate, "reward_share")
    assert (found.passed, found.tested) == (passed, tested)


# Profiles and risk


@pytest.mark.parametrize("risk", ["low", "medium", "high"])
@pytest.mark.parametrize("profile", get_args(ProfileId))
def test_the_risk_decides_which_profiles_may_be_chosen(risk, profile):
    order = ["low", "medium", "high"]
    found = gate(assess(two(), [0.5, 0.5], of=profile, risk=risk), "profile_risk")
    assert found.passed == (order.index(PROFILES[profile].level) <= order.index(risk))
    assert (found.limit, found.value, found.tested) == (risk, PROFILES[profile].level, True)


@pytest.mark.parametrize("risk", ["low", "medium", "high"])
@pytest.mark.parametrize("named", get_args(ProfileId))
def test_a_named_profile_is_used_whatever_the_risk_and_no_other(risk, named):
    for profile in get_args(ProfileId):
        found = gate(assess(two(), [0.5, 0.5], of=profile, profile=named, risk=risk), "profile_risk")
        assert found.passed == (profile == named)
        assert (found.limit, found.value) == (named, profile)


# The risk report


def test_the_report_adds_up():
    pools = [
        pool(1, family="aave", chain="Ethereum", issuer_shares={"Circle": 1.0}, apy=0.04, protocol_risk=0.2),
        pool(2, family="sky", chain="Base", issuer_shares={"Sky": 1.0}, apy=0.06, protocol_risk=0.3),
        pool(3, family="aave", chain="Base", issuer_shares={"Circle": 0.5, "Sky": 0.5}, apy=0.08, protocol_risk=0.1),
    ]
    report = assess(pools, [0.5, 0.3, 0.2], 2e6).risk
    assert (report.largest_protocol.name, report.largest_protocol.share) == ("aave", pytest.approx(0.7))
    assert (report.largest_chain.name, report.largest_chain.share) == ("Base", pytest.approx(0.5))
    assert (report.largest_issuer.name, report.largest_issuer.share) == ("Circle", pytest.approx(0.6))
    assert report.protocol_risk_max == 0.3
    assert report.protocol_risk_mean == pytest.approx(0.5 * 0.2 + 0.3 * 0.3 + 0.2 * 0.1)
    assert report.risk_adjusted_apy == pytest.approx(0.5 * 0.04 * 0.8 + 0.3 * 0.06 * 0.7 + 0.2 * 0.08 * 0.9)
    assert report.largest_weight == 0.5
    assert report.largest_position_share == pytest.approx(0.5 * 2e6 / (50 * MILLION))
    assert report.basis == "carry_only"


def test_ties_of_shares_go_to_the_first_name():
    report = assess(two(), [0.5, 0.5]).risk
    assert (report.largest_protocol.name, report.largest_chain.name) == ("aave", "Base")


def test_native_coins_have_no_issuer():
    pools = [pool(1, issuer_shares={}), pool(2, family="b", issuer_shares={})]
    report = assess(pools, [0.5, 0.5]).risk
    assert (report.largest_issuer.name, report.largest_issuer.share) == ("none", 0.0)


def test_the_report_repeats_the_losses_of_the_metrics():
    candidate = assess(two(), [0.5, 0.5], risk="high")
    for rule in UNTESTABLE:
        assert getattr(candidate.risk, rule) == candidate.measured.metrics[rule] == gate(candidate, rule).value


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=8), st.sampled_from([None, 1e3, 1e8]))
def test_every_figure_of_a_report_is_finite(parts, amount):
    weights = np.array(parts) / sum(parts)
    pools = [pool(n, apy=0.01 * n, family=f"f{n % 3}", apy_reward=0.001 * n) for n in range(len(parts))]
    candidate = assess(pools, weights, amount)
    numbers = [v for v in candidate.risk.model_dump().values() if isinstance(v, float)]
    numbers += [g.value for g in candidate.gates if isinstance(g.value, float)]
    assert all(math.isfinite(number) for number in numbers)
    assert candidate.passed == all(g.passed for g in candidate.gates)


# What risk sends back


def sent_back(pools, profiles=("balanced_apy",), limits=LIMITS, method="equal", others=(), **mandate):
    drafts = tuple(
        Draft(name, m, tuple(pools), np.full(len(pools), 1 / len(pools)), BY_HAND, revised=False, raised=False)
        for name in profiles
        for m in (method, "min_cvar")
    )
    everything = universe([*pools, *others])
    request = Mandate(asset="USD", **mandate)
    found = measure(CandidateSet(drafts, (), 58), everything, AS_OF, 0.04)
    assessed = assess_candidates(found, losses(found), request, PROFILES, limits, None, 0.04)
    return vetoes(assessed, everything.pools, request, PROFILES, limits)


def four(**bad):
    pools = [pool(n, family=f"f{n}", issuer_shares={f"i{n}": 1.0}) for n in range(3)]
    return [*pools, pool(3, family="f3", issuer_shares={"i3": 1.0}, **bad)]


@pytest.mark.parametrize(
    ("rule", "bad", "mandate"),
    [
        ("protocol_risk", {"protocol_risk": 0.9}, {}),
        ("history_days", {"series": [0.05, 0.06] * 29}, {}),
        ("reward_share", {"apy": 0.5, "apy_reward": 0.5}, {}),
        ("apy_multiple", {"apy_multiple": 50.0}, {}),
        ("min_apy", {"apy": 0.001}, {"min_apy": 0.045}),
    ],
)
def test_the_pool_that_breaks_a_limit_by_itself_is_sent_back_with_its_rule(rule, bad, mandate):
    pools = four(**bad)
    assert sent_back(pools, **mandate) == {"balanced_apy": {pools[3].id: rule}}


def test_pools_that_nobody_chose_are_named_too_so_that_they_do_not_come_in_next():
    pools = four(protocol_risk=0.9)
    other = pool(9, family="f9", protocol_risk=0.8)
    found = sent_back(pools, others=[other])
    assert found == {"balanced_apy": {pools[3].id: "protocol_risk", other.id: "protocol_risk"}}


def test_a_profile_with_a_candidate_that_passed_is_left_alone():
    assert sent_back(four()) == {}


def test_a_profile_that_may_not_be_chosen_is_not_built_again():
    pools = four(protocol_risk=0.9)
    profiles = ("ultra_safe", "balanced_apy", "high_risk")
    assert set(sent_back(pools, profiles)) == {"ultra_safe", "balanced_apy"}
    assert set(sent_back(pools, profiles, risk="low", limits=LOW)) == {"ultra_safe"}
    assert set(sent_back(pools, profiles, profile="high_risk")) == {"high_risk"}


def test_nothing_is_sent_back_where_no_pool_is_to_blame_by_itself():
    pools = four()
    assert sent_back(pools, limits=LIMITS.model_copy(update={"max_weight": 0.2})) == {}
    assert sent_back(pools, min_pools=5) == {}


def test_building_again_without_what_was_sent_back_passes():
    pools = [
        pool(n, apy=0.2 - n / 100, family=f"f{n}", issuer_shares={}, apy_reward=0.2 if n < 3 else None)
        for n in range(12)
    ]
    request = Mandate(asset="USD", profile="balanced_apy")
    limits = effective_limits(request, LIMITS)
    everything = universe(pools)

    def round_of(vetoed):
        found = measure(build_candidates(everything, request, PROFILES, limits, None, vetoed), everything, AS_OF, 0.04)
        return assess_candidates(found, losses(found), request, PROFILES, limits, None, 0.04)

    first = round_of({})
    assert not any(candidate.passed for candidate in first)
    vetoed = vetoes(first, everything.pools, request, PROFILES, limits)
    assert vetoed == {"balanced_apy": {pools[n].id: "reward_share" for n in range(3)}}
    again = [c for c in round_of(vetoed) if c.measured.draft.profile_id == "balanced_apy"]
    assert again
    assert all(candidate.passed and candidate.measured.draft.revised for candidate in again)


# Conflicts


def test_conflicts_name_each_broken_limit_most_vetoes_first_with_the_nearest_value():
    near = assess(two(protocol_risk=0.6), [0.5, 0.5])
    far = assess(two(protocol_risk=0.9), [0.55, 0.45])
    other = assess(two(), [0.7, 0.3])
    found = conflicts([far, near, other])
    assert [(c.rule, c.vetoed) for c in found] == [("max_weight", 2), ("protocol_risk", 2), ("protocol_share", 1)]
    by_rule = {c.rule: c for c in found}
    assert (by_rule["protocol_risk"].nearest, by_rule["protocol_risk"].limit) == (0.6, LIMITS.protocol_risk)
    assert by_rule["max_weight"].nearest == 0.55
    assert conflicts([near, other, far]) == found


def test_conflicts_of_limits_in_words_are_told_in_words():
    found = conflicts([assess(two(), [0.5, 0.5], of="high_risk", risk="low")])
    assert [(c.rule, c.limit, c.nearest) for c in found] == [("profile_risk", "low", "high")]


def test_where_all_pass_nothing_conflicts():
    assert conflicts([assess(two(), [0.5, 0.5])]) == []
    assert conflicts([]) == []
