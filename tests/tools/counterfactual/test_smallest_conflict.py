"""The smallest set of limits in conflict, against every subset there is."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_mandates import FULL, Counted, ids

from tools.counterfactual import ConflictSet, Feasible, smallest_conflict, stated_limits
from tools.records import Mandate

NAMES = ("max_weight", "min_tvl_usd", "min_apy", "max_pools", "chains_exclude:Solana", "protocols_exclude:curve")
SIX = Mandate(
    asset="USD",
    amount=1e6,
    risk="low",
    max_weight=0.25,
    min_tvl_usd=1e8,
    min_apy=0.05,
    max_pools=6,
    chains_exclude=["Solana"],
    protocols_exclude=["curve"],
)


def against(*conflicts: set[str]) -> Feasible:
    """Infeasible as soon as all limits of one of these sets are stated."""
    return lambda mandate: not any(conflict <= ids(mandate) for conflict in conflicts)


def named(found: ConflictSet) -> set[str]:
    return {limit.id for limit in found.limits}


def smallest_size(feasible: Callable[[frozenset[str]], bool]) -> int:
    """Try every subset."""
    for size in range(len(NAMES) + 1):
        if any(not feasible(frozenset(some)) for some in itertools.combinations(NAMES, size)):
            return size
    raise AssertionError("feasible")


_SETS = st.sets(st.sampled_from(NAMES), min_size=1, max_size=4)


@given(st.lists(_SETS, min_size=1, max_size=4))
def test_the_conflict_is_one_of_the_smallest_there_are(conflicts: list[set[str]]) -> None:
    found = smallest_conflict(against(*conflicts), SIX)
    assert found.blame == "limits"
    assert found.smallest
    assert named(found) in conflicts
    assert len(found.limits) == min(map(len, conflicts))


@given(st.lists(_SETS, min_size=1, max_size=4))
def test_without_tries_none_of_the_conflict_can_be_left_out(conflicts: list[set[str]]) -> None:
    feasible = against(*conflicts)
    found = smallest_conflict(feasible, SIX, tries=0)
    assert named(found) in conflicts
    if len(found.limits) > min(map(len, conflicts)):
        assert not found.smallest


@given(st.sets(st.frozensets(st.sampled_from(NAMES), min_size=1), max_size=20))
def test_limits_that_loosen_others_do_not_deceive_it(infeasible: set[frozenset[str]]) -> None:
    """Feasibility of any shape: what is proven smallest is so, and it is in conflict."""
    everything = frozenset(NAMES)

    def keepable(stated: frozenset[str]) -> bool:
        return stated not in infeasible | {everything}

    found = smallest_conflict(lambda mandate: keepable(frozenset(ids(mandate))), SIX)
    assert not keepable(frozenset(named(found)))
    assert found.smallest
    assert len(found.limits) == smallest_size(keepable)


def test_a_set_that_could_not_be_proven_smallest_says_so() -> None:
    conflicts = ({"max_weight", "min_tvl_usd", "min_apy"}, {"max_pools", "chains_exclude:Solana"})
    feasible = against(*conflicts)
    assert not smallest_conflict(against(conflicts[0], conflicts[1] | {"min_apy"}), SIX, tries=5).smallest
    assert named(smallest_conflict(feasible, SIX)) == conflicts[1]


def test_only_the_limits_that_are_given_are_looked_among() -> None:
    given_limits = [limit for limit in stated_limits(SIX) if limit.id in {"max_weight", "min_apy"}]
    feasible = against({"max_weight", "max_pools"}, {"max_weight", "min_apy", "max_pools"})
    assert named(smallest_conflict(feasible, SIX, given_limits)) == {"max_weight"}


def test_a_mandate_that_is_feasible_has_no_conflict() -> None:
    with pytest.raises(ValueError, match="feasible"):
        smallest_conflict(lambda mandate: True, SIX)


@pytest.mark.parametrize("conflict", [{"max_weight", "min_tvl_usd", "min_apy"}, {"min_apy", "max_pools"}])
def test_no_problem_is_solved_twice(conflict: set[str]) -> None:
    counted = Counted(against(conflict))
    found = smallest_conflict(counted, SIX)
    asked = [mandate.model_dump_json() for (mandate,) in counted.asked]
    assert len(set(asked)) == len(asked) == found.evaluations


@pytest.mark.parametrize(
    ("feasible", "blame"),
    [
        (lambda mandate: mandate.risk == "high", "risk"),
        (lambda mandate: mandate.amount is None, "amount"),
        (lambda mandate: mandate.amount is None or mandate.risk == "medium", "risk_or_amount"),
        (lambda mandate: mandate.amount is None and mandate.risk == "high", "risk_and_amount"),
        (lambda mandate: False, "market"),
    ],
)
def test_where_no_limit_is_to_blame_the_background_is(feasible: Feasible, blame: str) -> None:
    counted = Counted(feasible)
    found = smallest_conflict(counted, FULL)
    assert (found.limits, found.blame, found.smallest) == ([], blame, True)
    assert found.evaluations == len(counted.asked)


def test_the_background_is_tried_without_any_stated_limit() -> None:
    seen: list[set[str]] = []

    def feasible(mandate: Mandate) -> bool:
        seen.append(ids(mandate))
        return mandate.risk == "medium"

    assert smallest_conflict(feasible, FULL).blame == "risk"
    assert seen == [ids(FULL), set(), set(), set()]


def test_without_an_amount_a_smaller_one_cannot_help() -> None:
    counted = Counted(lambda mandate: False)
    assert smallest_conflict(counted, Mandate(asset="USD", risk="high", max_weight=0.1)).blame == "market"
    assert len(counted.asked) == 2


def test_a_conflict_survives_json() -> None:
    found = smallest_conflict(against({"max_weight", "min_apy"}), SIX)
    assert ConflictSet.model_validate_json(found.model_dump_json()) == found
