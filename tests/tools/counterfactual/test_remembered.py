"""Each problem is solved once."""

from __future__ import annotations

from made_mandates import Counted, choice

from tools.counterfactual import feasible_by, remembered
from tools.records import Mandate

MANDATE = Mandate(asset="USD", max_weight=0.25)


def test_the_same_mandate_with_the_same_rates_is_solved_once() -> None:
    counted = Counted(lambda mandate, apys: choice(0.01 * len(counted.asked), p=1.0))
    decide = remembered(counted)
    first = decide(MANDATE, {"a": 0.1, "b": 0.2})
    assert decide(MANDATE.model_copy(), {"b": 0.2, "a": 0.1}) is first
    assert decide(MANDATE.model_copy(update={"notes": ["hello"], "intent": "what_if"}), {"a": 0.1, "b": 0.2}) is first
    assert len(counted.asked) == 1


def test_another_mandate_or_another_rate_is_another_problem() -> None:
    counted = Counted(lambda mandate, apys: choice(p=1.0))
    decide = remembered(counted)
    decide(MANDATE, {})
    decide(MANDATE, {"a": 0.1})
    decide(MANDATE, {"a": 0.1000001})
    decide(MANDATE.model_copy(update={"max_weight": 0.26}), {})
    assert len(counted.asked) == 4


def test_a_mandate_is_feasible_when_it_leads_to_a_choice() -> None:
    outcomes = iter(["choice", "no_feasible_strategy", "not_enough_data"])
    feasible = feasible_by(lambda mandate, apys: choice(p=1.0).model_copy(update={"outcome": next(outcomes)}))
    assert [feasible(MANDATE) for _ in range(3)] == [True, False, False]
