"""Drafts: pools and weights within every cap, the same on every run, and a named rule where there is none."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_market import LEVELS, MILLION, pool, universe

from tools.candidates import build_candidates
from tools.optimize import Infeasible, optimize
from tools.records import Mandate
from tools.strategies.profiles import load_profiles
from tools.strategies.selection import effective_limits

METHODS = ("equal", "inverse_volatility", "min_cvar")
PROFILES = load_profiles()
# One profile of each kind: they differ in what they accept, so three see what nine would, in a third of the time.
SOME = {name: PROFILES[name] for name in ("ultra_safe", "balanced_apy", "maximum_yield")}
LEAST = 1e-9
ISSUERS = (
    {"Circle": 1.0},
    {"Tether": 1.0},
    {"Sky": 1.0},
    {"Circle": 0.5, "Tether": 0.5},
    {"Ethena": 1.0, "Sky": 0.5},
    {},
)


def build(pools, amount=None, profiles=SOME, vetoed=None, risk="medium", **mandate):
    request = Mandate(asset="USD", risk=risk, **mandate)
    limits = effective_limits(request, LEVELS[risk])
    return build_candidates(universe(pools), request, profiles, limits, amount, vetoed), limits


def random_pools(rng, count, smallest=1.0, largest=2_000.0):
    generator = np.random.default_rng(rng.randrange(2**32))
    pools = []
    for n in range(count):
        level = rng.uniform(0.005, 0.3)
        steps = generator.normal(0.0, rng.choice([0.0, 1e-4, 1e-3]), rng.choice([60, 75, 120]))
        pools.append(
            pool(
                n,
                apy=level,
                series=np.clip(level + np.cumsum(steps), 0.0, 10.0),
                tvl_usd=MILLION * smallest * (largest / smallest) ** rng.random(),
                family=rng.choice(["aave", "curve", "morpho", "sky", "spark", "fluid"]),
                issuer_shares=rng.choice(ISSUERS),
                protocol_risk=rng.choice([0.1, 0.3, 0.5]),
            )
        )
    return pools


def check(found, limits, amount, mandate):
    """Everything that must hold of any set of candidates."""
    ids = [draft.id for draft in found.drafts]
    assert len(set(ids)) == len(ids)
    built = [draft.profile_id for draft in found.drafts]
    emptied = [entry.profile for entry in found.emptied]
    assert sorted({*built, *emptied}) == sorted(SOME)
    assert not set(built) & set(emptied)
    assert all(built.count(name) == len(METHODS) for name in built)
    for draft in found.drafts:
        weights = draft.weights
        assert abs(weights.sum() - 1.0) <= LEAST
        assert weights.min() > 0.0
        assert weights.max() <= limits.max_weight + LEAST
        assert [p.id for p in draft.pools] == sorted({p.id for p in draft.pools})
        assert (mandate.get("min_pools") or 1) <= len(weights) <= min(20, mandate.get("max_pools") or 20)
        for family in {p.family for p in draft.pools}:
            share = sum(w for w, p in zip(weights, draft.pools, strict=True) if p.family == family)
            assert share <= limits.protocol_share + LEAST
        for issuer in {i for p in draft.pools for i in p.issuer_shares}:
            share = sum(w * p.issuer_shares.get(issuer, 0.0) for w, p in zip(weights, draft.pools, strict=True))
            assert share <= limits.issuer_share + LEAST
        if amount is not None:
            for weight, p in zip(weights, draft.pools, strict=True):
                assert weight * amount <= limits.position_share * p.row.tvl_usd * (1.0 + LEAST) + LEAST * amount
    chosen = [p.history.apy.size for draft in found.drafts for p in draft.pools]
    assert found.days == min([365, *chosen])


GENERATORS = st.integers(0, 2**32 - 1).map(random.Random)  # one number to draw, whatever a market takes
MANDATES = st.fixed_dictionaries(
    {},
    optional={
        "max_weight": st.sampled_from([0.05, 0.1, 0.2, 0.3, 1 / 3, 0.5, 1.0]),
        "min_pools": st.integers(1, 8),
        "max_pools": st.integers(1, 12),
    },
)
AMOUNTS = st.sampled_from([None, 1.0, 1e4, 1e6, 3e7, 1e9])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(GENERATORS, st.integers(0, 22), AMOUNTS, st.sampled_from(["low", "medium", "high"]), MANDATES)
def test_weights_keep_every_cap_in_any_market(rng, count, amount, risk, mandate):
    pools = random_pools(rng, count)
    found, limits = build(pools, amount, risk=risk, **mandate)
    check(found, limits, amount, mandate)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(GENERATORS, st.integers(2, 20), AMOUNTS, MANDATES)
def test_the_same_market_gives_the_same_bits_in_any_order(rng, count, amount, mandate):
    pools = random_pools(rng, count)
    first, _ = build(pools, amount, **mandate)
    second, _ = build(rng.sample(pools, count), amount, **mandate)
    assert first.emptied == second.emptied
    assert first.days == second.days
    assert [(d.id, [p.id for p in d.pools], d.weights.tolist()) for d in first.drafts] == [
        (d.id, [p.id for p in d.pools], d.weights.tolist()) for d in second.drafts
    ]


def fits(pools, limits, amount):
    """Tell by the optimiser alone whether weights exist for exactly these pools."""
    upper = [limits.max_weight if amount is None else limits.position_share * p.row.tvl_usd / amount for p in pools]
    groups = [([float(p.family == f) for p in pools], limits.protocol_share) for f in {p.family for p in pools}]
    issuers = {issuer for p in pools for issuer in p.issuer_shares}
    groups += [([p.issuer_shares.get(i, 0.0) for p in pools], limits.issuer_share) for i in issuers]
    try:
        optimize(np.zeros((2, len(pools))), "equal", max_weight=limits.max_weight, max_weights=upper, group_caps=groups)
    except Infeasible:
        return False
    return True


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    GENERATORS,
    st.integers(2, 7),
    st.sampled_from([None, 1e6, 1e7, 3e7]),
    st.sampled_from(["low", "medium"]),
    st.sampled_from([None, 2, 3, 4]),
)
def test_a_profile_is_emptied_by_a_cap_only_where_no_choice_of_pools_would_do(rng, count, amount, risk, most):
    """Against every subset: what could hold the money is found, also where the best-ranked pools could not."""
    pools = random_pools(rng, count, largest=1_000.0)
    found, limits = build(pools, amount, {"maximum_yield": PROFILES["maximum_yield"]}, risk=risk, max_pools=most)
    caps = {"max_weight", "position_share", "protocol_share", "issuer_share"}
    if any(entry.rule in caps for entry in found.emptied):
        sizes = range(2, min(count, most or 20) + 1)
        subsets = itertools.chain.from_iterable(itertools.combinations(pools, size) for size in sizes)
        assert not any(fits(subset, limits, amount) for subset in subsets)


# Single cases


def spread(count, **options):
    return [
        pool(n, apy=0.2 - n / 1000, family=f"family-{n}", issuer_shares={f"issuer-{n}": 1.0}, **options)
        for n in range(count)
    ]


def test_every_profile_and_method_makes_a_candidate():
    found, _ = build(spread(12), profiles=PROFILES)
    assert [d.id for d in found.drafts] == [f"{name}.{method}" for name in PROFILES for method in METHODS]
    assert not found.emptied


def test_one_pool_is_a_candidate_only_where_the_user_asks_for_one():
    found, _ = build(spread(1), risk="high")
    assert not found.drafts
    assert {entry.rule for entry in found.emptied} == {"eligible_pools"}
    found, _ = build(spread(3), risk="high", max_pools=1)
    assert [d.weights.tolist() for d in found.drafts] == [[1.0]] * 9


def test_no_pool_at_all_empties_every_profile():
    found, _ = build([])
    assert (found.drafts, found.days, len(found.emptied)) == ((), 365, 3)


def test_three_hundred_pools_are_no_trouble():
    found, limits = build(random_pools(random.Random(3), 300), 1e6)
    check(found, limits, 1e6, {})
    assert not found.emptied


def test_without_an_amount_positions_are_not_capped_by_size():
    tiny = spread(5, tvl_usd=60 * MILLION)
    assert not build(tiny, None)[0].emptied
    assert {entry.rule for entry in build(tiny, 1e9)[0].emptied} == {"position_share"}


def test_a_large_amount_takes_more_pools_and_a_huge_one_has_no_place():
    pools = spread(40, tvl_usd=100 * MILLION)
    counts = {}
    for amount in (1e6, 5e7, 9e7, 1e9):
        found, limits = build(pools, amount)
        check(found, limits, amount, {})
        counts[amount] = {len(draft.pools) for draft in found.drafts}
        raised = {(draft.profile_id, draft.raised) for draft in found.drafts}
        assert raised == {(d.profile_id, len(d.pools) > PROFILES[d.profile_id].pools) for d in found.drafts}
    assert max(counts[1e6]) == 5
    assert counts[5e7] == {10}
    assert counts[9e7] == {18}
    assert counts[1e9] == set()


def test_large_pools_of_a_lower_rank_take_the_place_of_small_ones():
    small = spread(25, tvl_usd=60 * MILLION)
    large = [pool(50 + n, apy=0.01, family=f"large-{n}", issuer_shares={}, tvl_usd=4_000 * MILLION) for n in range(3)]
    found, limits = build([*small, *large], 3e8, max_pools=3)
    check(found, limits, 3e8, {"max_pools": 3})
    assert not found.emptied
    assert all({p.family for p in draft.pools} <= {f"large-{n}" for n in range(3)} for draft in found.drafts)


def test_the_search_for_pools_that_fit_writes_nothing(capfd):
    """Results go to the standard output, so no solver may write there."""
    for seed in range(20):
        build(random_pools(random.Random(seed), 30, largest=500.0), 1e7, max_pools=4, risk="low")
    assert capfd.readouterr() == ("", "")


def test_a_position_too_small_to_be_a_basis_point_is_never_nothing():
    pools = [*spread(3, tvl_usd=10_000 * MILLION), pool(9, apy=0.5, family="x", issuer_shares={}, tvl_usd=MILLION)]
    found, _ = build(pools, 9e8, {"maximum_yield": PROFILES["maximum_yield"]})
    assert found.drafts
    for draft in found.drafts:
        assert draft.weights.min() > 0.0
        assert abs(draft.weights.sum() - 1.0) <= LEAST


def test_weights_are_whole_basis_points_where_the_caps_allow_it():
    found, _ = build(spread(7))
    for draft in found.drafts:
        points = draft.weights * 10_000
        assert points == pytest.approx(np.round(points), abs=1e-9)


def test_equal_weights_are_equal_and_steadier_pools_get_more_by_volatility():
    calm = pool(1, series=0.05 + 1e-5 * np.sin(np.arange(100)), family="a", issuer_shares={})
    wild = pool(2, series=0.05 + 3e-3 * np.sin(np.arange(100)), family="b", issuer_shares={})
    found, _ = build([calm, wild], profiles={"high_risk": PROFILES["high_risk"]}, risk="high")
    equal, by_volatility, _ = (draft.weights for draft in found.drafts)
    assert equal.tolist() == [0.5, 0.5]
    assert by_volatility[0] > 0.9


def test_all_candidates_share_the_window_of_the_shortest_chosen_pool():
    pools = [*spread(6, days=400), pool(50, days=70, apy=0.5, family="young", issuer_shares={})]
    assert build(pools)[0].days == 70
    pools[-1] = pool(50, days=70, apy=0.0001, family="young", issuer_shares={}, tvl_usd=MILLION)
    assert build(pools)[0].days == 365, "a pool that nobody chose shortens nothing"


def test_a_cap_on_one_pool_raises_the_count():
    found, _ = build(spread(25), max_weight=0.1)
    assert {(len(d.pools), d.raised) for d in found.drafts} == {(10, True)}
    assert all(d.weights.tolist() == pytest.approx([0.1] * 10) for d in found.drafts)
    found, _ = build(spread(25), max_weight=1 / 3)
    assert all(len(d.pools) == PROFILES[d.profile_id].pools for d in found.drafts)


@pytest.mark.parametrize("cap", [0.1, 0.3, 1 / 3, 0.05, 0.07])
def test_as_few_pools_as_the_cap_allows_are_enough(cap):
    needed = {0.1: 10, 0.3: 4, 1 / 3: 3, 0.05: 20, 0.07: 15}[cap]
    assert not build(spread(needed), max_weight=cap)[0].emptied
    fewer = build(spread(needed - 1), max_weight=cap)[0]
    assert (fewer.drafts, {e.rule for e in fewer.emptied}) == ((), {"eligible_pools"})


@pytest.mark.parametrize(
    ("rule", "options"),
    [("protocol_share", {"issuer_shares": {}}), ("issuer_share", {"family": None})],
)
def test_money_on_one_name_alone_is_refused_under_its_rule(rule, options):
    pools = [
        pool(n, family=options.get("family", "aave") or f"f{n}", issuer_shares=options.get("issuer_shares"))
        for n in range(6)
    ]
    found, _ = build(pools, risk="low")
    assert {(entry.rule, entry.pools_after) for entry in found.emptied} == {(rule, 0)}


def test_profiles_that_were_sent_back_are_built_without_the_pools_that_broke_a_limit():
    pools = spread(10)
    vetoed = {"balanced_apy": {pools[0].id: "reward_share", pools[1].id: "protocol_risk"}}
    found, _ = build(pools, vetoed=vetoed)
    for draft in found.drafts:
        ids = {p.id for p in draft.pools}
        assert draft.revised == (draft.profile_id == "balanced_apy")
        assert (pools[0].id in ids) == (draft.profile_id != "balanced_apy")


def test_pools_are_added_by_rank_until_the_issuers_fit():
    """The four best hold one issuer's tokens; the next in rank come in, the best stay."""
    same = [pool(n, apy=0.2 - n / 100, family=f"f{n}", issuer_shares={"Circle": 1.0}) for n in range(4)]
    others = [pool(9 + n, apy=0.05, family=f"g{n}", issuer_shares={f"i{n}": 1.0}) for n in range(6)]
    found, limits = build(same + others, risk="low")
    check(found, limits, None, {})
    draft = next(d for d in found.drafts if d.profile_id == "balanced_apy")
    assert same[0].id in {p.id for p in draft.pools}
    assert len(draft.pools) == PROFILES["balanced_apy"].pools


def test_neither_the_seed_of_hashes_nor_the_process_shows(tmp_path):
    script = tmp_path / "weights.py"
    script.write_text(
        "import random\n"
        "from test_construct import build, random_pools\n"
        "found, _ = build(random_pools(random.Random(8), 15), 2e6, max_weight=0.2)\n"
        "print([(d.id, [p.id for p in d.pools], d.weights.tolist()) for d in found.drafts], found.emptied)\n"
    )
    here = Path(__file__).resolve()
    path = os.pathsep.join([str(here.parent), str(here.parents[2]), str(here.parents[3])])
    outputs = [
        subprocess.run(
            [sys.executable, script],
            env={"PYTHONPATH": path, "PYTHONHASHSEED": seed, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "4242")
    ]
    assert outputs[0] == outputs[1]
    assert "balanced_apy.min_cvar" in outputs[0]
