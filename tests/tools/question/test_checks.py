"""Mandates that contradict themselves, also when they came as JSON."""

from __future__ import annotations

from typing import Any

import pytest

from tools.errors import MandateError
from tools.question import check_mandate
from tools.records import Mandate


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"min_pools": 5, "max_pools": 3}, "min_pools (5)"),
        ({"max_weight": 0.3, "max_pools": 3}, "max_weight (0.3)"),
        ({"chains_include": ["Base"], "chains_exclude": ["Base"]}, "Base"),
        ({"protocols_include": ["aave", "curve"], "protocols_exclude": ["curve"]}, "curve"),
        ({"tokens_include": ["DAI"], "tokens_exclude": ["DAI"]}, "DAI"),
        ({"max_drawdown": 1.2}, "max_drawdown"),
        ({"max_var_95": 2.0}, "max_var_95"),
    ],
)
def test_contradictions_are_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(MandateError, match=r".*") as caught:
        check_mandate(Mandate(**fields))
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"min_pools": 3, "max_pools": 3},
        {"max_weight": 1 / 3, "max_pools": 3},
        {"max_weight": 0.1},
        {"chains_include": ["Base"], "chains_exclude": ["Blast"]},
        {"max_drawdown": 1.0},
    ],
)
def test_limits_that_can_be_met_pass(fields: dict[str, Any]) -> None:
    check_mandate(Mandate(**fields))
