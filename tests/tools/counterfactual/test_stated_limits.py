"""What a mandate states, one limit at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from made_mandates import FULL, ids, limit, mandates

from tools.counterfactual import StatedLimit, stated_limits, with_only
from tools.records import Mandate


def test_every_limit_is_listed_once_the_level_of_risk_last() -> None:
    assert [(one.id, one.value) for one in stated_limits(FULL)] == [
        ("chains_include", ["Ethereum", "Base"]),
        ("chains_exclude:Solana", "Solana"),
        ("protocols_include", ["aave", "morpho"]),
        ("protocols_exclude:curve", "curve"),
        ("protocols_exclude:ethena", "ethena"),
        ("tokens_include", ["USDC"]),
        ("tokens_exclude:USDE", "USDE"),
        ("tokens_exclude:DAI", "DAI"),
        ("min_tvl_usd", 50e6),
        ("min_apy", 0.05),
        ("max_weight", 0.25),
        ("min_pools", 4),
        ("max_pools", 6),
        ("allow_il", False),
        ("max_drawdown", 0.1),
        ("max_var_95", 0.05),
        ("profile", "blue_chip"),
        ("risk", "low"),
    ]


def test_a_mandate_that_states_nothing_has_its_level_of_risk() -> None:
    assert [one.id for one in stated_limits(Mandate(asset="ETH"))] == ["risk"]
    assert stated_limits(Mandate(asset="ETH", risk="high")) == ()


def test_what_limits_nothing_is_no_limit() -> None:
    assert ids(Mandate(asset="ETH", allow_il=True, min_apy=0.0, min_tvl_usd=0.0)) == set()


@pytest.mark.parametrize("one", stated_limits(FULL), ids=lambda one: one.id)
def test_a_limit_is_lifted_alone(one: StatedLimit) -> None:
    lifted = one.without(FULL)
    assert ids(lifted) == ids(FULL) - {one.id}
    changed = {name for name in Mandate.model_fields if getattr(lifted, name) != getattr(FULL, name)}
    assert changed == {one.field}
    assert Mandate.model_validate(lifted.model_dump()) == lifted


def test_lifting_one_exclusion_keeps_the_others() -> None:
    assert limit(FULL, "protocols_exclude:curve").without(FULL).protocols_exclude == ["ethena"]
    assert limit(FULL, "chains_include").without(FULL).chains_include == []


def test_the_level_of_risk_is_lifted_by_one() -> None:
    risk = limit(FULL, "risk")
    once = risk.without(FULL)
    assert (once.risk, risk.without(once).risk, risk.without(risk.without(once)).risk) == ("medium", "high", "high")


@given(mandates())
def test_keeping_all_limits_keeps_the_mandate_and_keeping_none_states_nothing(mandate: Mandate) -> None:
    kept = with_only(mandate, stated_limits(mandate))
    assert kept == mandate
    bare = with_only(mandate, [])
    assert ids(bare) == set()
    assert (bare.risk, bare.asset) == (mandate.risk, mandate.asset)


@given(mandates())
def test_any_part_of_the_limits_can_be_kept(mandate: Mandate) -> None:
    half = [one for one in stated_limits(mandate) if one.id != "risk"][::2]
    assert ids(with_only(mandate, half)) == {one.id for one in half}


@given(mandates())
def test_limits_survive_json(mandate: Mandate) -> None:
    for one in stated_limits(mandate):
        again = StatedLimit.model_validate_json(one.model_dump_json())
        assert again == one
        assert type(again.value) is type(one.value)
