"""How a wish joins the mandate before."""

from __future__ import annotations

from typing import Any

import pytest

from tools.dialogue.merging import Wishes, changes_between, merge
from tools.errors import MandateError
from tools.market.names import family_aliases
from tools.records import Mandate

BEFORE = Mandate(
    asset="USD", amount=1e6, protocols_include=["aave", "lido"], chains_exclude=["Base"], notes=["as before"]
)


def merged(wishes: Wishes, before: Mandate = BEFORE) -> dict[str, Any]:
    after, _ = merge(before, wishes)
    return {change.field: change.after for change in changes_between(before, after)}


def test_names_kept_out_join_those_before_and_leave_the_ones_let_in() -> None:
    assert merged(Wishes(excluded={"protocols": {"lido"}, "chains": {"Polygon"}})) == {
        "chains_exclude": ["Base", "Polygon"],
        "protocols_include": ["aave"],
        "protocols_exclude": ["lido"],
    }


def test_only_takes_the_place_of_what_was_let_in_before() -> None:
    assert merged(Wishes(only={"protocols": {"morpho"}, "chains": {"Base"}})) == {
        "chains_include": ["Base"],
        "chains_exclude": [],
        "protocols_include": ["morpho"],
    }


def test_what_is_allowed_joins_a_list_and_starts_none() -> None:
    assert merged(Wishes(allowed={"protocols": {"curve"}, "chains": {"Base"}})) == {
        "chains_exclude": [],
        "protocols_include": ["aave", "curve", "lido"],
    }


@pytest.mark.parametrize(
    ("low", "high", "values", "expected"),
    [
        (4, 4, {"max_pools": 6}, {"min_pools": None, "max_pools": 6}),
        (4, 4, {"min_pools": 3}, {"min_pools": 3, "max_pools": None}),
        (3, None, {"max_pools": 6}, {"max_pools": 6}),
        (5, None, {"max_pools": 4}, {"min_pools": None, "max_pools": 4}),
        (None, 4, {"min_pools": 6}, {"min_pools": 6, "max_pools": None}),
    ],
)
def test_a_new_number_of_pools_takes_the_place_of_one_that_it_contradicts(
    low: int | None, high: int | None, values: dict[str, int], expected: dict[str, int | None]
) -> None:
    before = Mandate(asset="ETH", min_pools=low, max_pools=high)
    assert merged(Wishes(values=dict(values)), before) == expected


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(MandateError, match="max_weight"):
        merge(Mandate(asset="ETH", max_weight=0.25), Wishes(values={"max_pools": 3}))


def test_what_makes_no_sense_for_another_asset_goes_with_a_note_and_what_is_kept_out_stays() -> None:
    before = Mandate(
        asset="ETH", tokens_include=["STETH"], tokens_exclude=["EZETH"], protocols_include=["aave", "lido"]
    )
    after, notes = merge(before, Wishes(values={"asset": "BTC"}))
    assert (after.tokens_include, after.protocols_include, after.tokens_exclude) == ([], ["aave"], ["EZETH"])
    assert notes == ["only STETH and lido makes no sense for BTC and is dropped"]
    assert after.notes == notes


def test_notes_of_before_stay_and_changes_come_in_the_order_of_the_fields() -> None:
    after, notes = merge(BEFORE, Wishes(values={"max_weight": 0.5, "risk": "low", "asset": "ETH"}, notes=["soon"]))
    assert after.notes == ["as before", "soon"]
    assert notes == ["soon"]
    assert [change.field for change in changes_between(BEFORE, after)] == [
        "asset", "amount", "amount_usd", "risk", "max_weight",
    ]  # fmt: skip


def test_families_of_one_asset_are_known_names() -> None:
    from tools.dialogue.merging import _homes

    assert set(_homes()) <= set(family_aliases().values())
