"""The price of each limit is the difference of two solved problems, as found."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from made_mandates import NO_CHOICE, Counted, choice, ids, limit

from tools.counterfactual import Decided, Price, prices
from tools.records import Mandate

MANDATE = Mandate(asset="USD", risk="low", max_weight=0.25, chains_exclude=["Base"], min_pools=4)
BASE = choice(0.05, a=0.4, b=0.6)


def solved(mandate: Mandate, apys: Mapping[str, float]) -> Decided:
    """What each limit is known to cost; the number of pools is needed for there to be a choice at all."""
    assert not apys
    lifted = {"max_weight", "chains_exclude:Base", "min_pools"} - ids(mandate)
    if mandate.risk == "medium":
        return choice(0.07, a=0.1, c=0.9)
    return {
        "max_weight": choice(0.0512, a=0.5, b=0.5),
        "chains_exclude:Base": choice(0.0475, b=0.6, c=0.4),
        "min_pools": NO_CHOICE,
    }[lifted.pop()]


@pytest.fixture
def found() -> dict[str, Price]:
    return {price.limit.id: price for price in prices(solved, MANDATE, BASE)}


def test_every_stated_limit_has_a_price(found: dict[str, Price]) -> None:
    assert list(found) == ["chains_exclude:Base", "max_weight", "min_pools", "risk"]
    assert {name: price.price_bps for name, price in found.items()} == {
        "chains_exclude:Base": pytest.approx(-25.0),
        "max_weight": pytest.approx(12.0),
        "min_pools": None,
        "risk": pytest.approx(200.0),
    }


def test_a_price_says_what_changes_in_the_pools(found: dict[str, Price]) -> None:
    moved = found["chains_exclude:Base"]
    assert (moved.entered, moved.left, moved.moved) == (["c"], ["a"], 0.4)
    kept = found["max_weight"]
    assert (kept.entered, kept.left, kept.moved) == ([], [], 0.1)
    assert kept.after == choice(0.0512, a=0.5, b=0.5)
    assert (kept.net_apy_before, kept.net_apy_after) == (0.05, 0.0512)


def test_a_limit_without_which_nothing_is_chosen_has_no_price(found: dict[str, Price]) -> None:
    price = found["min_pools"]
    assert price.reason == "without this limit nothing is chosen"
    assert price.after == NO_CHOICE
    assert (price.net_apy_after, price.moved, price.entered, price.left) == (None, None, [], [])


def test_where_nothing_was_chosen_nothing_is_solved() -> None:
    counted = Counted(solved)
    found = prices(counted, MANDATE, NO_CHOICE)
    assert {price.price_bps for price in found} == {None}
    assert all(price.reason and "nothing was chosen" in price.reason for price in found)
    assert counted.asked == []


def test_each_limit_is_lifted_with_all_others_kept() -> None:
    counted = Counted(solved)
    prices(counted, MANDATE, BASE)
    assert [mandate for mandate, _ in counted.asked] == [
        limit(MANDATE, name).without(MANDATE) for name in ("chains_exclude:Base", "max_weight", "min_pools", "risk")
    ]


def test_prices_survive_json(found: dict[str, Price]) -> None:
    for price in found.values():
        assert Price.model_validate_json(price.model_dump_json()) == price
