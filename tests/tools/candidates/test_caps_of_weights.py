"""The caps that weights are solved under: which there are, how large, and under which name the record shows them."""

from __future__ import annotations

import pytest
from made_market import HIGH, LOW, MEDIUM, MILLION, pool, pool_id

from tools.candidates.caps import caps_of

POOLS = [
    pool(1, tvl_usd=10 * MILLION, family="aave", issuer_shares={"Circle": 1.0}),
    pool(2, tvl_usd=200 * MILLION, family="aave", issuer_shares={"Circle": 0.5, "Tether": 0.5}),
    pool(3, tvl_usd=40 * MILLION, family="morpho", issuer_shares={}),
]


def test_a_pool_is_capped_by_its_size_where_that_is_less_than_the_cap_on_any():
    caps = caps_of(POOLS, MEDIUM, 4 * MILLION)  # at most 5 % of what can be withdrawn
    assert caps.upper.tolist() == pytest.approx([0.125, 0.5, 0.5])  # 2 of 4 millions is no less than half
    assert caps.names == (f"position_share:{pool_id(1)}", f"max_weight:{pool_id(2)}", f"max_weight:{pool_id(3)}")


def test_without_an_amount_no_position_is_too_large():
    caps = caps_of(POOLS, MEDIUM, None)
    assert caps.upper.tolist() == [0.5, 0.5, 0.5]
    assert all(name.startswith("max_weight:") for name in caps.names)


def test_every_protocol_and_issuer_has_a_cap_and_each_pool_its_share_of_it():
    groups = {name: (shares.tolist(), cap) for shares, cap, name in caps_of(POOLS, MEDIUM, None).groups}
    assert groups == {
        "protocol_share:aave": ([1.0, 1.0, 0.0], 0.6),
        "protocol_share:morpho": ([0.0, 0.0, 1.0], 0.6),
        "issuer_share:Circle": ([1.0, 0.5, 0.0], 0.8),
        "issuer_share:Tether": ([0.0, 0.5, 0.0], 0.8),
    }


def test_a_share_of_everything_caps_nothing():
    assert caps_of(POOLS, HIGH, None).groups == []
    only_issuers = caps_of(POOLS, HIGH.model_copy(update={"issuer_share": 0.7}), None).groups
    assert [name for _, _, name in only_issuers] == ["issuer_share:Circle", "issuer_share:Tether"]


def test_caps_follow_the_order_of_the_pools():
    caps, turned = caps_of(POOLS, LOW, 4 * MILLION), caps_of(POOLS[::-1], LOW, 4 * MILLION)
    assert turned.upper.tolist() == caps.upper.tolist()[::-1]
    assert turned.names == caps.names[::-1]
    assert [name for *_, name in turned.groups] == [name for *_, name in caps.groups]
    assert [row.tolist() for row, *_ in turned.groups] == [row.tolist()[::-1] for row, *_ in caps.groups]


@pytest.mark.parametrize(
    ("limit", "name"),
    [
        ("max_weight[0]", f"position_share:{pool_id(1)}"),
        ("max_weight[1]", f"max_weight:{pool_id(2)}"),
        ("min_weight[0]", f"min_weight:{pool_id(1)}"),
        ("min_weight[2]", f"min_weight:{pool_id(3)}"),
        ("issuer_share:Circle", "issuer_share:Circle"),
        ("return_floor", "return_floor"),
    ],
)
def test_what_the_solver_calls_a_limit_has_a_name_in_the_record(limit, name):
    assert caps_of(POOLS, MEDIUM, 4 * MILLION).name(limit) == name


def test_caps_hold_the_money_or_do_not():
    assert caps_of(POOLS, MEDIUM, None).hold(0.05)
    assert not caps_of(POOLS, MEDIUM, None).hold(0.4), "three times as much is more than all"
    assert not caps_of(POOLS[:2], MEDIUM, None).hold(0.0), "both on one protocol"
    assert caps_of(POOLS[:2], HIGH, None).hold(0.0)
    assert caps_of(POOLS, HIGH, 25 * MILLION).hold(0.0)
    assert not caps_of(POOLS, HIGH, 26 * MILLION).hold(0.0), "a tenth of each pool is 25 millions"


def test_a_pool_too_small_for_the_least_weight_is_held_as_far_as_it_goes():
    caps = caps_of(POOLS, HIGH, 20 * MILLION)
    assert caps.upper[0] == pytest.approx(0.05)
    assert caps.hold(0.3), "the least weight gives way to what the smallest pool takes"


def test_the_limits_for_the_solver_are_these_caps():
    limits = caps_of(POOLS, MEDIUM, 4 * MILLION).limits(0.05)
    assert limits.lower.tolist() == [0.05] * 3
    assert limits.upper.tolist() == pytest.approx([0.125, 0.5, 0.5])
