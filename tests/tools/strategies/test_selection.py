"""Which pools a profile would hold: limits, ranking, counts, and the rule that left too few."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_market import LEVELS, LOW, MEDIUM, MILLION, pool, pool_id

from tools.optimize import Infeasible, optimize
from tools.records import Emptied, Mandate
from tools.strategies.profiles import Profile, SortKey, load_profiles
from tools.strategies.selection import (
    MAX_POOLS,
    SMALLEST_APY,
    diversified,
    effective_limits,
    pools_needed,
    select,
)

LIMITS = MEDIUM
ANY = Profile(
    name="Any",
    level="low",
    impermanent_loss="pegged",
    not_trending_down=False,
    min_tvl_usd=0.0,
    max_protocol_risk=1.0,
    sort="apy",
    pools=4,
)


def many(count, **options):
    """Pools of different protocols and issuers, so that no share of one of them matters; the first yields most."""
    return [
        pool(n, apy=0.2 - n / 1000, family=f"family-{n}", issuer_shares={f"issuer-{n}": 1.0}, **options)
        for n in range(count)
    ]


def chosen(pools, profile=ANY, limits=None, vetoed=None, **mandate):
    request = Mandate(asset="USD", **mandate)
    return select("balanced_apy", profile, pools, request, limits or effective_limits(request, LIMITS), vetoed or {})


# Counts


@pytest.mark.parametrize(
    ("cap", "count"),
    [
        (1.0, 1),
        (0.5, 2),
        (0.4, 3),
        (1 / 3, 3),
        (0.34, 3),
        (0.3333, 4),
        (0.3, 4),
        (0.25, 4),
        (0.2, 5),
        (0.1, 10),
        (0.05, 20),
    ],
)
def test_a_cap_needs_one_over_itself_rounded_up(cap, count):
    assert pools_needed(cap) == count


@given(st.integers(1, 200), st.integers(1, 1000))
def test_counts_are_exact_for_every_cap_that_people_write(parts, thousandths):
    assert pools_needed(1.0 / parts) == parts
    assert pools_needed(thousandths / 1000) == math.ceil(Fraction(1000, thousandths))


@pytest.mark.parametrize(
    ("mandate", "count", "raised"),
    [
        ({}, 4, False),
        ({"max_weight": 0.5}, 4, False),
        ({"max_weight": 0.25}, 4, False),
        ({"max_weight": 0.2}, 5, True),
        ({"max_weight": 0.1}, 10, True),
        ({"max_weight": 1 / 3}, 4, False),
        ({"max_weight": 0.3}, 4, False),
        ({"max_weight": 0.07}, 15, True),
        ({"max_weight": 0.05}, 20, True),
        ({"max_pools": 3}, 3, False),
        ({"max_pools": 1}, 1, False),
        ({"min_pools": 6}, 6, False),
        ({"min_pools": 20}, 20, False),
        ({"min_pools": 3, "max_pools": 3}, 3, False),
        ({"max_weight": 0.1, "max_pools": 10}, 10, True),
        ({"max_weight": 0.1, "max_pools": 12}, 10, True),
    ],
)
def test_caps_come_before_the_count_of_a_profile(mandate, count, raised):
    selection = chosen(many(30), **mandate)
    assert (selection.count, selection.raised) == (count, raised)
    assert selection.minimum <= selection.count <= selection.maximum <= MAX_POOLS
    assert len(diversified(selection, effective_limits(Mandate(**mandate), LIMITS))) == count


@pytest.mark.parametrize("mandate", [{"max_weight": 0.04}, {"min_pools": 21}])
def test_more_than_twenty_pools_are_never_proposed(mandate):
    emptied = chosen(many(40), **mandate)
    assert isinstance(emptied, Emptied)
    assert (emptied.rule, emptied.pools_after) == ("max_pools", 20)


@pytest.mark.parametrize(
    ("mandate", "pools", "enough"),
    [
        ({"max_weight": 0.1}, 9, False),
        ({"max_weight": 0.1}, 10, True),
        ({"max_weight": 1 / 3}, 3, True),
        ({"max_weight": 1 / 3}, 2, False),
        ({"max_weight": 0.3}, 3, False),
        ({"max_weight": 0.05}, 19, False),
        ({"max_weight": 0.05}, 20, True),
        ({}, 2, True),
        ({}, 1, False),
        ({"max_pools": 1}, 1, True),
        ({"min_pools": 5}, 4, False),
        ({"min_pools": 5}, 5, True),
        ({}, 0, False),
    ],
)
def test_only_too_few_pools_are_infeasible(mandate, pools, enough):
    found = chosen(many(pools), **mandate)
    if enough:
        assert len(found.ranked) == pools
    else:
        assert found == Emptied(profile="balanced_apy", rule="eligible_pools", pools_before=pools, pools_after=pools)


# The user's own limits in the place of the level's


@pytest.mark.parametrize(
    ("mandate", "field", "value"),
    [
        ({}, "max_weight", 0.5),
        ({"max_weight": 0.2}, "max_weight", 0.2),
        ({"max_weight": 0.9}, "max_weight", 0.9),
        ({"max_pools": 1}, "max_weight", 1.0),
        ({"max_pools": 3}, "max_weight", 0.5),
        ({"max_pools": 2, "max_weight": 0.6}, "max_weight", 0.6),
        ({"protocols_include": ["aave"]}, "protocol_share", 1.0),
        ({"protocols_include": ["aave", "sky"]}, "protocol_share", 1.0),
        ({"tokens_include": ["USDC"]}, "issuer_share", 1.0),
        ({"tokens_include": ["USDC", "DAI"]}, "issuer_share", 1.0),
        ({"max_var_95": 0.001}, "var_95", 0.001),
        ({"max_drawdown": 0.3}, "max_drawdown", 0.3),
        ({"max_drawdown": 7.0}, "max_drawdown", 1.0),
    ],
)
def test_a_limit_of_the_user_takes_its_place(mandate, field, value):
    found = effective_limits(Mandate(asset="USD", **mandate), LIMITS)
    assert getattr(found, field) == value
    others = {key: v for key, v in LIMITS.model_dump().items() if key != field}
    assert {key: v for key, v in found.model_dump().items() if key != field} == others


def test_a_cap_on_the_number_of_pools_loosens_a_tight_default_as_far_as_it_must():
    assert effective_limits(Mandate(max_pools=2), LOW).max_weight == 0.5
    assert effective_limits(Mandate(max_pools=3), LOW).max_weight == LOW.max_weight


@pytest.mark.parametrize("risk", ["low", "medium", "high"])
def test_the_protocol_risk_of_a_level_is_never_lifted(risk):
    free = Mandate(
        max_weight=1.0, max_pools=1, protocols_include=["x"], tokens_include=["DAI"], max_drawdown=1.0, max_var_95=1.0
    )
    assert effective_limits(free, LEVELS[risk]).protocol_risk == LEVELS[risk].protocol_risk


# Rules that leave too few

RULES = [
    ("chains_exclude", {"chains_exclude": ["Ethereum"]}, {}, {}),
    ("chains_include", {"chains_include": ["Base"]}, {}, {}),
    ("protocols_exclude", {"protocols_exclude": [f"family-{n}" for n in range(6)]}, {}, {}),
    ("protocols_include", {"protocols_include": ["family-1"]}, {}, {}),
    ("tokens_exclude", {"tokens_exclude": ["USDC"]}, {}, {}),
    ("tokens_include", {"tokens_include": ["DAI"]}, {}, {}),
    ("allow_il", {"allow_il": False}, {}, {"tokens": ("USDC", "USDT")}),
    ("min_tvl_usd", {"min_tvl_usd": 60 * MILLION}, {}, {}),
    ("impermanent_loss", {}, {"impermanent_loss": "none"}, {"tokens": ("USDC", "USDT")}),
    ("max_protocol_risk", {}, {"max_protocol_risk": 0.05}, {}),
    ("min_tvl", {}, {"min_tvl_usd": 60 * MILLION}, {}),
    ("not_trending_down", {}, {"not_trending_down": True}, {"trend": "down"}),
    ("not_trending_down", {}, {"not_trending_down": True}, {"trend": "unknown"}),
]


@pytest.mark.parametrize(("rule", "mandate", "profile", "options"), RULES)
def test_the_rule_that_empties_a_profile_is_named(rule, mandate, profile, options):
    emptied = chosen(many(6, **options), ANY.model_copy(update=profile), **mandate)
    assert isinstance(emptied, Emptied)
    assert (emptied.rule, emptied.pools_before) == (rule, 6)
    assert emptied.pools_after < 2


def test_pools_that_pay_next_to_nothing_are_left_out():
    pools = [pool(n, apy=SMALLEST_APY - 1e-6, family=f"f{n}") for n in range(3)] + [pool(9, apy=SMALLEST_APY)]
    assert chosen(pools).rule == "pays_nothing"


def test_pools_that_risk_sent_back_are_left_out_under_their_rule():
    pools = many(6)
    vetoed = {p.id: "reward_share" for p in pools[:5]}
    assert chosen(pools, vetoed=vetoed).rule == "reward_share"
    kept = chosen(pools, vetoed={pools[0].id: "reward_share"})
    assert pools[0] not in kept.ranked
    assert len(kept.ranked) == 5


def test_a_falling_or_unknown_trend_is_refused_only_where_the_profile_says_so():
    pools = [pool(n, trend=trend) for n, trend in enumerate(["down", "unknown", "not_down", "not_down"])]
    assert len(chosen(pools).ranked) == 4
    careful = chosen(pools, ANY.model_copy(update={"not_trending_down": True}))
    assert {p.id for p in careful.ranked} == {pool_id(2), pool_id(3)}


def test_low_risk_profiles_refuse_an_unknown_trend_and_pairs():
    for name, profile in load_profiles().items():
        if profile.level == "low":
            assert profile.impermanent_loss == "none", name


# Ranking

FIGURES = {
    "tvl": lambda p: p.row.tvl_usd,
    "apy": lambda p: p.row.apy,
    "apy_mean_30d": lambda p: p.apy_mean_30d,
    "apy_base": lambda p: p.counted_base_apy,
    "risk_adjusted_apy": lambda p: p.row.apy * (1 - p.protocol_risk),
    "risk_adjusted_base_apy": lambda p: p.counted_base_apy * (1 - p.protocol_risk),
    "protocol_risk": lambda p: 1 - p.protocol_risk,
}


@pytest.mark.parametrize("sort", get_args(SortKey))
def test_pools_are_ranked_best_first_by_what_the_profile_says(sort):
    rng = random.Random(4)
    pools = [
        pool(
            n,
            apy=rng.uniform(0.01, 0.2),
            series=[rng.uniform(0.01, 0.2)] * 60,
            apy_base=rng.uniform(0.0, 0.01),
            apy_reward=0.01,
            tvl_usd=rng.uniform(1, 99) * MILLION,
            protocol_risk=rng.uniform(0, 0.9),
        )
        for n in range(30)
    ]
    ranked = chosen(pools, ANY.model_copy(update={"sort": sort})).ranked
    figures = [FIGURES[sort](p) for p in ranked]
    assert figures == sorted(figures, reverse=True)
    assert len(set(figures)) == 30


def test_ties_go_to_the_larger_pool_and_then_to_the_id():
    pools = [pool(3), pool(1), pool(2, tvl_usd=60 * MILLION)]
    assert [p.id for p in chosen(pools).ranked] == [pool_id(2), pool_id(1), pool_id(3)]


# Any universe


ISSUERS = ({"Circle": 1.0}, {"Tether": 1.0}, {"Sky": 1.0}, {"Circle": 0.5, "Tether": 0.5}, {})


def random_pools(rng, count):
    return [
        pool(
            n,
            apy=rng.choice([0.03, 0.05, 0.08]),
            tvl_usd=rng.choice([5, 50, 500]) * MILLION,
            family=rng.choice(["aave", "curve", "morpho", "sky"]),
            chain=rng.choice(["Ethereum", "Base", "OP Mainnet"]),
            tokens=rng.choice([("USDC",), ("DAI",), ("USDC", "USDT")]),
            issuer_shares=rng.choice(ISSUERS),
            protocol_risk=rng.choice([0.1, 0.3, 0.5]),
            trend=rng.choice(["down", "not_down"]),
        )
        for n in range(count)
    ]


GENERATORS = st.integers(0, 2**32 - 1).map(random.Random)  # one number to draw, whatever a market takes
MANDATES = st.fixed_dictionaries(
    {},
    optional={
        "chains_exclude": st.just(["Base"]),
        "chains_include": st.just(["Ethereum", "Optimism"]),
        "protocols_exclude": st.just(["sky"]),
        "allow_il": st.booleans(),
        "min_tvl_usd": st.just(20 * MILLION),
        "max_weight": st.sampled_from([0.1, 0.2, 0.3, 1 / 3, 0.5, 1.0]),
        "min_pools": st.integers(1, 6),
        "max_pools": st.integers(1, 12),
    },
)


@settings(max_examples=150, deadline=None)
@given(GENERATORS, st.integers(0, 25), st.sampled_from(sorted(load_profiles())), MANDATES)
def test_the_order_of_pools_changes_nothing(rng, count, profile_id, mandate):
    pools = random_pools(rng, count)
    request = Mandate(asset="USD", **mandate)
    limits = effective_limits(request, LIMITS)
    first, second = (
        select(profile_id, load_profiles()[profile_id], some, request, limits, {})
        for some in (pools, rng.sample(pools, count))
    )
    assert first == second
    if not isinstance(first, Emptied):
        assert diversified(first, limits) == diversified(second, limits)


def feasible(pools, limits):
    groups = [([float(p.family == f) for p in pools], limits.protocol_share) for f in {p.family for p in pools}]
    issuers = {issuer for p in pools for issuer in p.issuer_shares}
    groups += [([p.issuer_shares.get(i, 0.0) for p in pools], limits.issuer_share) for i in issuers]
    try:
        optimize([[0.0] * len(pools)] * 2, "equal", max_weight=limits.max_weight, group_caps=groups)
    except Infeasible:
        return False
    return True


@pytest.mark.parametrize("groups", ["protocols", "issuers", "both"])
@settings(max_examples=40, deadline=None)
@given(
    rng=GENERATORS,
    cap=st.sampled_from([0.2, 0.25, 0.3, 1 / 3, 0.4, 0.5]),
    share=st.sampled_from([0.5, 0.6, 0.8]),
)
def test_the_best_ranked_pools_of_enough_groups_can_hold_the_money(groups, rng, cap, share):
    """One protocol or one issuer to a pool, seven pools to each of six: what is taken is feasible under the caps."""
    limits = LIMITS.model_copy(update={"max_weight": cap, "protocol_share": share, "issuer_share": share})
    pools = [
        pool(
            n,
            apy=rng.choice([0.15, 0.2]) if n % 6 == 0 else rng.uniform(0.01, 0.2),  # one group leads the ranking
            family=f"family-{n if groups == 'issuers' else n % 6}",
            issuer_shares={} if groups == "protocols" else {f"issuer-{n % 6}": 1.0},
        )
        for n in range(42)
    ]
    selection = chosen(pools, limits=limits)
    taken = diversified(selection, limits)
    assert len(taken) == selection.count == len({p.id for p in taken})
    assert feasible(taken, limits)


@settings(max_examples=100, deadline=None)
@given(GENERATORS, st.integers(2, 25))
def test_no_better_ranked_pool_is_passed_over_without_a_reason(rng, count):
    """With caps that bind nobody the best-ranked are taken, in their order."""
    limits = LIMITS.model_copy(update={"protocol_share": 1.0, "issuer_share": 1.0})
    selection = chosen(random_pools(rng, count), limits=limits)
    assert tuple(diversified(selection, limits)) == selection.ranked[: selection.count]
