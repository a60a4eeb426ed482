"""The smallest loosening of each limit, against values tried one by one, and which is called the cheapest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_mandates import FULL, Counted, ids, limit

from tools.counterfactual import ConflictSet, Feasible, Relaxation, Relaxations, cheapest_relaxation
from tools.counterfactual.relaxations import two_digits_below
from tools.records import Mandate


def conflict(*names: str, mandate: Mandate = FULL, blame: Any = "limits") -> ConflictSet:
    return ConflictSet(limits=[limit(mandate, name) for name in names], blame=blame, smallest=True, evaluations=0)


def only(found: Relaxations) -> Relaxation:
    [one] = found.found
    assert found.cheapest == one
    return one


@pytest.mark.parametrize(
    ("name", "feasible", "after"),
    [
        ("max_weight", lambda m: m.max_weight >= 0.3334, 0.34),
        ("max_weight", lambda m: m.max_weight >= 0.26, 0.26),
        ("max_weight", lambda m: m.max_weight == 1.0, 1.0),
        ("min_tvl_usd", lambda m: m.min_tvl_usd <= 49e6, 49e6),
        ("min_tvl_usd", lambda m: m.min_tvl_usd <= 3_456_789.0, 3.4e6),
        ("min_tvl_usd", lambda m: m.min_tvl_usd == 0.0, 0.0),
        ("min_apy", lambda m: m.min_apy <= 0.04321, 0.0432),
        ("min_apy", lambda m: m.min_apy == 0.0, 0.0),
        ("min_pools", lambda m: m.min_pools <= 2, 2),
        ("max_pools", lambda m: m.max_pools >= 9, 9),
        ("max_pools", lambda m: m.max_pools == 20, 20),
        ("max_drawdown", lambda m: m.max_drawdown >= 0.1234, 0.124),
        ("max_var_95", lambda m: m.max_var_95 >= 0.0501, 0.051),
    ],
)
def test_a_figure_is_loosened_to_the_first_value_on_its_grid(name: str, feasible: Feasible, after: float) -> None:
    found = only(cheapest_relaxation(feasible, FULL, conflict(name)))
    assert (found.limit_id, found.kind, found.after) == (name, "loosened", after)
    assert found.before == getattr(FULL, name)
    assert found.relative_change == pytest.approx(abs(after - found.before) / found.before)
    assert found.mandate == FULL.model_copy(update={name: after})
    assert feasible(found.mandate)


@given(st.integers(1, 99), st.integers(1, 100))
def test_weights_are_those_of_values_tried_one_by_one(stated: int, needed: int) -> None:
    mandate = Mandate(asset="USD", max_weight=stated / 100)
    counted = Counted(lambda m: (m.max_weight or 0.0) >= needed / 100)
    found = cheapest_relaxation(counted, mandate, conflict("max_weight", mandate=mandate))
    assert only(found).after == max(stated + 1, needed) / 100
    assert found.evaluations == len(counted.asked) <= 8
    assert mandate not in [asked for (asked,) in counted.asked]


@given(st.integers(1, 2000), st.integers(0, 2000))
def test_smallest_rates_are_those_of_values_tried_one_by_one(stated: int, needed: int) -> None:
    mandate = Mandate(asset="USD", min_apy=stated / 10_000)
    counted = Counted(lambda m: m.min_apy is not None and m.min_apy <= needed / 10_000)
    found = cheapest_relaxation(counted, mandate, conflict("min_apy", mandate=mandate))
    assert only(found).after == min(stated - 1, needed) / 10_000
    assert mandate not in [asked for (asked,) in counted.asked]


@given(st.floats(1e4, 1e10), st.floats(0.0, 1.0))
def test_sizes_have_two_digits_and_are_the_largest_that_do(stated: float, part: float) -> None:
    mandate, needed = Mandate(asset="USD", min_tvl_usd=stated), part * stated
    found = cheapest_relaxation(
        lambda m: (m.min_tvl_usd or 0.0) <= needed and m != mandate, mandate, conflict("min_tvl_usd", mandate=mandate)
    )
    after = only(found).after
    assert isinstance(after, float)
    assert float(f"{after:.1e}") == after
    grid = [float(f"{digits}e{power}") for power in range(-1, 10) for digits in range(10, 100)]
    fits = [value for value in grid if stated * 1e-3 <= value < stated * (1 - 1e-9) and value <= needed]
    assert after == max(fits, default=0.0)


def test_the_numbers_of_two_digits_run_down_through_the_decades() -> None:
    assert two_digits_below(123.0, 90.0) == [
        120.0,
        110.0,
        100.0,
        99.0,
        98.0,
        97.0,
        96.0,
        95.0,
        94.0,
        93.0,
        92.0,
        91.0,
        90.0,
    ]
    assert two_digits_below(0.1, 0.098) == [0.099, 0.098]


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("chains_include", ["Ethereum", "Base"]),
        ("protocols_exclude:curve", "curve"),
        ("allow_il", False),
        ("profile", "blue_chip"),
    ],
)
def test_what_is_no_figure_is_removed(name: str, before: Any) -> None:
    found = only(cheapest_relaxation(lambda m: name not in ids(m), FULL, conflict(name)))
    assert (found.kind, found.before, found.after, found.relative_change) == ("removed", before, None, None)
    assert ids(found.mandate) == ids(FULL) - {name}


def test_figures_come_first_by_their_relative_change_then_removals() -> None:
    def feasible(mandate: Mandate) -> bool:
        assert mandate.max_weight is not None
        assert mandate.min_apy is not None
        return mandate.max_weight >= 0.30 or mandate.min_apy <= 0.048 or "curve" not in mandate.protocols_exclude

    found = cheapest_relaxation(feasible, FULL, conflict("protocols_exclude:curve", "max_weight", "min_apy"))
    assert [(one.limit_id, one.after) for one in found.found] == [
        ("min_apy", 0.048),
        ("max_weight", 0.30),
        ("protocols_exclude:curve", None),
    ]
    assert (found.unhelpful, found.reason) == ([], None)


def test_what_does_not_help_alone_is_named() -> None:
    found = cheapest_relaxation(
        lambda m: (m.max_weight or 1.0) >= 0.3, FULL, conflict("protocols_exclude:curve", "max_weight", "min_apy")
    )
    assert only(found).limit_id == "max_weight"
    assert found.unhelpful == ["protocols_exclude:curve", "min_apy"]


def test_a_bolder_level_is_tried_when_no_limit_helps() -> None:
    found = cheapest_relaxation(lambda m: m.risk == "medium", FULL, conflict("max_weight"))
    one = only(found)
    assert (one.limit_id, one.kind, one.before, one.after) == ("risk", "bolder", "low", "medium")
    assert one.mandate == FULL.model_copy(update={"risk": "medium"})
    assert found.unhelpful == ["max_weight"]


def test_a_smaller_amount_is_tried_last() -> None:
    found = cheapest_relaxation(lambda m: m.amount <= 1_234_000.0, FULL, conflict("max_weight"))
    one = only(found)
    assert (one.limit_id, one.kind, one.before, one.after) == ("amount", "smaller", 2e6, 1.2e6)
    assert one.relative_change == pytest.approx(0.4)
    assert one.mandate == FULL.model_copy(update={"amount": 1.2e6})
    assert found.unhelpful == ["max_weight", "risk"]


def test_where_the_background_is_to_blame_both_ways_out_are_looked_for() -> None:
    found = cheapest_relaxation(lambda m: m.risk != "low" or m.amount <= 1e6, FULL, conflict(blame="risk_or_amount"))
    assert [(one.kind, one.after) for one in found.found] == [("bolder", "medium"), ("smaller", 1e6)]


def test_the_dollars_that_were_given_for_another_asset_are_made_fewer() -> None:
    mandate = Mandate(asset="ETH", risk="high", amount_usd=5e5)
    found = cheapest_relaxation(lambda m: m.amount_usd <= 4.4e5, mandate, conflict(mandate=mandate, blame="amount"))
    assert only(found).mandate == mandate.model_copy(update={"amount_usd": 4.4e5})


def test_a_limit_is_loosened_with_all_others_kept() -> None:
    counted = Counted(lambda m: m.max_weight >= 0.5)
    cheapest_relaxation(counted, FULL, conflict("max_weight"))
    assert {ids(mandate) == ids(FULL) for (mandate,) in counted.asked} == {True}


def test_two_separate_conflicts_have_no_way_out_of_one_change() -> None:
    found = cheapest_relaxation(lambda m: False, FULL, conflict("max_weight"))
    assert (found.found, found.cheapest) == ([], None)
    assert found.reason == "no change of a single limit is enough: others stand in the way as well"
    assert found.unhelpful == ["max_weight", "risk", "amount"]
    market = cheapest_relaxation(lambda m: False, FULL, conflict(blame="market"))
    assert market.reason is not None
    assert market.reason.startswith("neither a bolder level of risk nor a smaller amount")


def test_evaluations_are_counted_and_few() -> None:
    counted = Counted(lambda m: m.min_apy <= 0.0123)
    found = cheapest_relaxation(counted, FULL, conflict("min_apy"))
    assert found.evaluations == len(counted.asked) <= 11


def test_relaxations_survive_json() -> None:
    found = cheapest_relaxation(
        lambda m: m.max_weight >= 0.3 or m.min_pools <= 2, FULL, conflict("max_weight", "min_pools")
    )
    assert Relaxations.model_validate_json(found.model_dump_json()) == found
