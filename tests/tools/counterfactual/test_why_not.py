"""Why a pool or a candidate was not chosen, on a market of a dozen pools and some that cannot be held."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import small_market
from made_market import MEDIUM, pool, pool_id

from agents.state import Settings
from agents.workflow import advise
from tools.candidates import vetoes
from tools.counterfactual import WhyNotCandidate, WhyNotPool, why_not_candidate, why_not_pool
from tools.counterfactual.in_profile import broken_alone
from tools.errors import UsageError
from tools.market.snapshot import Market
from tools.records import Gate, Mandate, Recommendation
from tools.scoring import PARTS
from tools.strategies.profiles import load_profiles, permitted
from tools.strategies.selection import broken_rule, select
from tools.strategies.universe import Universe

DOLLARS: dict[str, Any] = {"asset": "USD", "amount": 2e6}
OTHER_TOKENS = {"project": "aave-v3", "symbol": "WETH", "tvlUsd": 9e8}
TOO_SMALL = {"project": "aave-v3", "symbol": "USDC", "tvlUsd": 0.5e6}
WITHOUT_HISTORY = {"project": "aave-v3", "symbol": "USDC", "tvlUsd": 9e7}
BROKEN_ROW = {"project": "aave-v3", "symbol": "USDC", "tvlUsd": 9e7, "apy": "NaN"}


class Run(NamedTuple):
    record: Recommendation
    market: Market
    universe: Universe

    def why_not(self, pool: str) -> WhyNotPool:
        return why_not_pool(self.record, self.market, self.universe, pool)

    def holding(self, pool: str) -> set[str]:
        return {c.id for c in self.record.candidates if pool in {p.pool_id for p in c.pools}}


def run(**limits: Any) -> Run:
    source = small_market.market(extra=[OTHER_TOKENS, TOO_SMALL, WITHOUT_HISTORY, BROKEN_ROW])
    mandate, settings = Mandate(**DOLLARS, **limits), Settings(paths=small_market.PATHS)
    record, context = advise("why not?", source, given=mandate, settings=settings, now=small_market.NOW)
    assert context.workspace.market is not None
    assert context.workspace.universe is not None
    return Run(record, context.workspace.market, context.workspace.universe)


@pytest.fixture(scope="module")
def high() -> Run:
    return run(risk="high", max_weight=0.3, chains_exclude=["Base"], protocols_exclude=["aave"])


@pytest.fixture(scope="module")
def medium() -> Run:
    """Asked for more than most pools pay: risk sends those back."""
    return run(risk="medium", max_weight=0.3, min_apy=0.055)


@pytest.fixture(scope="module")
def low() -> Run:
    """Nothing is chosen: two of three profiles cannot keep the cap on one protocol."""
    return run(risk="low", max_weight=0.4)


@pytest.fixture(params=["high", "medium", "low"])
def any_run(request: pytest.FixtureRequest) -> Run:
    found: Run = request.getfixturevalue(request.param)
    return found


def test_a_pool_that_the_market_does_not_have(high: Run) -> None:
    found = high.why_not(pool_id(999))
    assert (found.stage, found.failure, found.profiles) == ("not_in_market", None, [])


@pytest.mark.parametrize(
    ("number", "rule", "value", "limit"),
    [
        (900, "token_not_allowed", "WETH", None),
        (901, "too_small", 0.5e6, 1e6),
        (902, "no_history", None, None),
        (903, "not_finite", None, None),
    ],
)
def test_a_pool_that_the_data_exclude(high: Run, number: int, rule: str, value: Any, limit: Any) -> None:
    found = high.why_not(pool_id(number))
    assert found.stage == "excluded"
    assert found.failure is not None
    assert (found.failure.rule, found.failure.value, found.failure.limit) == (rule, value, limit)


def test_a_pool_that_stated_limits_rule_out_names_each_that_does_so_alone(high: Run) -> None:
    both = high.why_not(pool_id(2))  # Aave on Base
    assert (both.stage, [limit.id for limit in both.limits]) == (
        "ruled_out",
        ["chains_exclude:Base", "protocols_exclude:aave"],
    )
    assert [limit.id for limit in high.why_not(pool_id(1)).limits] == ["protocols_exclude:aave"]


def test_every_pool_is_where_the_record_says(any_run: Run) -> None:
    record = any_run.record
    chosen = {} if record.choice is None else {pool.pool_id: pool.weight for pool in record.choice.pools}
    passed = {pool.pool_id for c in record.candidates if c.passed for pool in c.pools}
    stages = set()
    for one in any_run.universe.pools:
        found = any_run.why_not(one.id)
        stages.add(found.stage)
        assert (found.stage == "held") == (one.id in chosen)
        assert found.weight == chosen.get(one.id)
        if found.stage != "ruled_out":
            assert {c.candidate_id for c in found.candidates} == any_run.holding(one.id)
        order = [(bool(c.failed), -(c.score or 0.0)) for c in found.candidates]
        assert order == sorted(order)  # those that passed first, then by score
        if found.stage in {"not_selected", "failed"}:
            assert one.id not in passed
        if found.stage == "lost":
            assert not found.candidates[0].failed
        assert WhyNotPool.model_validate_json(found.model_dump_json()) == found
    assert len(stages) > 1


def test_a_pool_of_candidates_that_lost_says_by_how_much_and_with_what(high: Run) -> None:
    found = high.why_not(pool_id(12))
    assert found.stage == "lost"
    best = found.candidates[0]
    totals = {c.id: c.score.total for c in high.record.candidates}
    assert high.record.choice is not None
    assert best.score_behind == totals[high.record.choice.candidate_id] - totals[best.candidate_id]
    assert best.score_behind >= 0.0


def test_a_pool_only_of_candidates_that_failed_names_the_gates(low: Run) -> None:
    found = low.why_not(pool_id(5))
    assert found.stage == "failed"
    assert all(one.failed for one in found.candidates)
    assert {one.score_behind for one in found.candidates} == {None}
    assert "profile_risk" in {failure.rule for one in found.candidates for failure in one.failed}


def test_each_permitted_profile_has_its_reason(any_run: Run) -> None:
    record = any_run.record
    wanted = [name for name, profile in load_profiles().items() if permitted(profile, record.mandate.risk)]
    for seen in any_run.universe.pools:
        found = any_run.why_not(seen.id)
        if found.stage in {"ruled_out", "held"}:
            assert found.profiles == []
            continue
        assert [one.profile for one in found.profiles] == wanted
        for one in found.profiles:
            assert (one.stage == "candidates") == bool(one.candidates)
            broken = broken_rule(seen, load_profiles()[one.profile])
            if not one.candidates:
                assert (one.stage == "rule") == (broken is not None)
            if broken is not None and one.failure is not None:
                assert (one.failure.rule, one.failure.value, one.failure.limit) == tuple(broken)
            assert (one.rank is None) == (one.ranked is None) == (one.looked_at is None)


def test_a_named_profile_is_the_only_one_that_is_asked() -> None:
    found = run(risk="low", profile="maximum_yield", max_weight=0.3)
    held = {pool.pool_id for pool in found.record.choice.pools} if found.record.choice else set()
    other = next(one.id for one in found.universe.pools if one.id not in held)
    assert [one.profile for one in found.why_not(other).profiles] == ["maximum_yield"]


def test_a_rule_of_a_profile_comes_with_what_it_found_and_asks(low: Run) -> None:
    profiles = {one.profile: one for one in low.why_not(pool_id(9)).profiles}
    failure = profiles["ultra_safe"].failure
    assert failure is not None
    assert (failure.rule, failure.value, failure.limit) == ("min_tvl", 45e6, 50e6)
    assert profiles["blue_chip"].stage == "emptied"
    assert profiles["blue_chip"].failure is not None
    assert profiles["blue_chip"].failure.rule == "protocol_share"


def test_what_risk_sent_back_says_which_limit_and_by_how_much(medium: Run) -> None:
    assert "min_apy" in {event.rule for event in medium.record.limit_events if event.action == "sent_back"}
    profiles = {one.profile: one for one in medium.why_not(pool_id(1)).profiles}
    back = profiles["balanced_score"]
    assert back.stage == "sent_back"
    assert back.failure is not None
    assert (back.failure.rule, back.failure.value, back.failure.limit) == ("min_apy", 0.041, 0.055)
    assert profiles["balanced_apy"].stage == "unweighted"  # it has a candidate that passed: nothing was sent back


def test_the_rank_is_that_of_the_profiles_own_ranking(high: Run) -> None:
    found = {one.profile: one for one in high.why_not(pool_id(6)).profiles}["maximum_yield"]
    profile, record = load_profiles()["maximum_yield"], high.record
    selection = select("maximum_yield", profile, high.universe.pools, record.mandate, MEDIUM, {})
    ranked = [one.id for one in selection.ranked]  # type: ignore[union-attr]
    assert found.rank == ranked.index(pool_id(6)) + 1 == len(ranked) == found.ranked
    assert (found.stage, found.places, found.looked_at) == ("unweighted", 4, 9)


def test_a_pool_behind_those_that_are_looked_at_has_a_rank() -> None:
    """The simple rules alone take no more than the profile's own number of pools."""
    made = run(risk="high", max_weight=0.5)
    assert made.record.plan is not None
    plan = made.record.plan.model_copy(update={"methods": ["equal"]})
    kept = [c for c in made.record.candidates if c.method == "equal"]
    simple = made._replace(record=made.record.model_copy(update={"plan": plan, "candidates": kept, "choice": None}))
    found = {one.profile: one for one in simple.why_not(pool_id(6)).profiles}["high_risk"]
    assert (found.stage, found.places, found.looked_at) == ("rank", 2, 2)
    assert found.rank is not None
    assert found.rank > 2


def test_the_parts_of_the_score_add_up_to_what_a_candidate_is_behind(any_run: Run) -> None:
    record = any_run.record
    for candidate in record.candidates:
        found = why_not_candidate(record, candidate.id)
        assert [failure.rule for failure in found.failed] == [g.rule for g in candidate.gates if not g.passed]
        assert WhyNotCandidate.model_validate_json(found.model_dump_json()) == found
        if record.choice is None:
            assert (found.score_behind, found.parts_behind, found.chosen) == (None, None, False)
            continue
        assert found.parts_behind is not None
        assert tuple(found.parts_behind) == PARTS
        assert math.fsum(found.parts_behind.values()) == pytest.approx(found.score_behind, abs=1e-12)
        assert found.chosen == (candidate.id == record.choice.candidate_id)
        assert found.score == candidate.score.total


def test_the_choice_is_behind_nothing(high: Run) -> None:
    assert high.record.choice is not None
    found = why_not_candidate(high.record, high.record.choice.candidate_id)
    assert found.chosen
    assert found.score_behind == 0.0
    assert set((found.parts_behind or {}).values()) == {0.0}


def test_a_candidate_that_was_never_built_says_why(low: Run) -> None:
    found = why_not_candidate(low.record, "blue_chip.equal")
    assert found.emptied is not None
    assert (found.emptied.rule, found.score, found.unsolved) == ("protocol_share", None, None)
    unsolved = {"profile": "growth", "method": "max_sharpe", "reason": "no yield beats the bill"}
    assert low.record.plan is not None
    plan = low.record.plan.model_validate(low.record.plan.model_dump() | {"unsolved": [unsolved]})
    found = why_not_candidate(low.record.model_copy(update={"plan": plan}), "growth.max_sharpe")
    assert found.unsolved is not None
    assert found.unsolved.reason == "no yield beats the bill"


@pytest.mark.parametrize("unknown", ["growth.max_sharpe", "nonsense", ""])
def test_a_candidate_that_was_not_tried_is_refused(low: Run, unknown: str) -> None:
    with pytest.raises(UsageError, match="the run tried no such candidate"):
        why_not_candidate(low.record, unknown)


@pytest.mark.parametrize("rule", ["protocol_risk", "history_days", "reward_share", "apy_multiple", "min_apy"])
def test_a_pool_alone_breaks_what_risk_sends_pools_back_for(rule: str) -> None:
    """The same verdict as the gates', asked one rule at a time, on pools on both sides of each."""
    mandate = Mandate(asset="USD", min_apy=0.06)
    limits = MEDIUM.model_copy(
        update={"protocol_risk": 0.2, "reward_share": 0.3, "apy_multiple": 1.5, "history_days": 110}
    )
    pools = [
        pool(
            number,
            apy=0.04 + 0.005 * number,
            apy_reward=(None, 0.001, 0.03)[number % 3],
            history_days=100 + 3 * number,
            protocol_risk=0.03 * number,
            apy_multiple=0.3 * number,
        )
        for number in range(1, 13)
    ]
    failed = Gate(rule=rule, limit=None, value=None, passed=False, tested=True)
    gate = Gate(rule="profile_risk", limit=None, value=None, passed=True, tested=True)
    draft = SimpleNamespace(profile_id="growth")
    assessed: Any = SimpleNamespace(measured=SimpleNamespace(draft=draft), passed=False, gates=(gate, failed))
    sent = vetoes([assessed], pools, mandate, load_profiles(), limits)["growth"]
    alone = {one.id for one in pools if rule in {failure.rule for failure in broken_alone(one, mandate, limits)}}
    assert alone == set(sent)
    assert 0 < len(alone) < len(pools)
