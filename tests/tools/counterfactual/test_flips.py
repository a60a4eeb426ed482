"""The rate at which a pool changes sides, against rates tried one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_mandates import Counted, by_rate, choice

from tools.counterfactual import Flip, flip_point
from tools.records import Mandate

MANDATE = Mandate(asset="USD")
HELD, OUT = choice(p=0.5, other=0.5), choice(other=1.0)
BASIS_POINT = 1e-4


@given(st.integers(1, 3000), st.floats(0.0, 0.999), st.floats(0.0, 1.0))
def test_a_held_pool_leaves_where_rates_tried_one_by_one_say(whole: int, part: float, where: float) -> None:
    own_bps = whole + part
    leaves_below = round(where * whole)  # held at this rate and above
    flip = flip_point(by_rate("p", lambda bps: bps >= leaves_below), MANDATE, HELD, "p", own_bps / 1e4)
    last_out = next((bps for bps in range(int(own_bps), -1, -1) if bps < leaves_below), None)
    if last_out is None:
        assert (flip.kept_at, flip.gone_at) == (None, None)
        return
    assert flip.gone_at == last_out / 1e4
    assert flip.kept_at is not None
    assert 0.0 < flip.kept_at - flip.gone_at <= BASIS_POINT * (1.0 + 1e-9)
    assert flip.again_at is None
    assert flip.evaluations <= 16


@given(st.integers(0, 3000), st.floats(0.0, 0.999), st.floats(0.0, 1.2))
def test_a_pool_that_is_not_held_enters_where_rates_tried_one_by_one_say(whole: int, part: float, where: float) -> None:
    own_bps = whole + part
    bound = max(3.0 * own_bps, own_bps + 1000.0)
    enters_at = int(own_bps) + 1 + round(where * (bound - own_bps))
    flip = flip_point(by_rate("p", lambda bps: bps >= enters_at), MANDATE, OUT, "p", own_bps / 1e4)
    if flip.kept_at is None:
        assert enters_at >= min(bound, 10_000)
        assert flip.reason == "it is held at no rate that was tried"
        return
    assert flip.kept_at == enters_at / 1e4
    assert flip.gone_at is not None
    assert 0.0 < flip.kept_at - flip.gone_at <= BASIS_POINT * (1.0 + 1e-9)
    assert (flip.again_at, flip.reason) == (None, None)
    assert flip.evaluations <= 16


def test_a_pool_that_stays_at_any_rate_has_no_flip_point() -> None:
    flip = flip_point(by_rate("p", lambda bps: True), MANDATE, HELD, "p", 0.05)
    assert (flip.kept_at, flip.gone_at, flip.again_at) == (None, None, None)
    assert flip.reason == "it is held at every rate that was tried, down to zero"
    assert [probe.apy for probe in flip.probes] == [0.0, 0.0125, 0.025, 0.0375]
    assert flip.evaluations == 4


def test_a_pool_that_comes_back_below_says_so() -> None:
    """Held above 4.2 %, not between 1.5 % and 4.2 %, and held again below."""
    flip = flip_point(by_rate("p", lambda bps: bps > 420 or bps < 150), MANDATE, HELD, "p", 0.06)
    assert (flip.kept_at, flip.gone_at) == (0.0421, 0.042)
    assert flip.again_at == 0.0  # 1.5 % was solved, and it was out


def test_a_pool_that_is_refused_far_above_says_so() -> None:
    """Three times its rate is taken for a spike: it enters at 6 % and is out again from 12 % on."""
    flip = flip_point(by_rate("p", lambda bps: 600 <= bps < 1200), MANDATE, OUT, "p", 0.05)
    assert (flip.kept_at, flip.gone_at) == (0.06, 0.0599)
    assert flip.again_at == 0.15


def test_a_pool_that_is_held_between_two_rates_only_is_found_when_one_of_the_first_rates_meets_it() -> None:
    flip = flip_point(by_rate("p", lambda bps: 700 <= bps < 800), MANDATE, OUT, "p", 0.05)
    assert (flip.kept_at, flip.gone_at, flip.again_at) == (0.07, 0.0699, 0.1)


def test_evaluations_are_capped_and_the_two_rates_then_lie_farther_apart() -> None:
    counted = Counted(by_rate("p", lambda bps: bps >= 433))
    flip = flip_point(counted, MANDATE, HELD, "p", 0.08, most=6)
    assert len(counted.asked) == flip.evaluations == 6
    assert flip.gone_at is not None
    assert flip.kept_at is not None
    assert flip.gone_at < 0.0433 <= flip.kept_at
    assert flip.kept_at - flip.gone_at > BASIS_POINT


def test_one_evaluation_is_spent_near_the_own_rate() -> None:
    counted = Counted(by_rate("p", lambda bps: bps >= 433))
    assert flip_point(counted, MANDATE, HELD, "p", 0.08, most=1).evaluations == 1
    assert [apys for _, apys in counted.asked] == [{"p": 0.06}]


def test_no_rate_is_solved_twice_and_no_other_pool_is_assumed() -> None:
    counted = Counted(by_rate("p", lambda bps: bps >= 431))
    flip_point(counted, MANDATE, HELD, "p", 0.08)
    rates = [tuple(apys.items()) for _, apys in counted.asked]
    assert len(set(rates)) == len(rates)
    assert {name for ((name, _),) in rates} == {"p"}
    assert {mandate for mandate, _ in [(m.model_dump_json(), 0) for m, _ in counted.asked]} == {
        MANDATE.model_dump_json()
    }


def test_the_rates_were_solved_and_stand_in_the_record() -> None:
    flip = flip_point(by_rate("p", lambda bps: bps >= 431), MANDATE, HELD, "p", 0.08)
    sides = {probe.apy: probe.held for probe in flip.probes}
    assert (sides[0.0431], sides[0.043]) == (True, False)
    assert [probe.apy for probe in flip.probes] == sorted(sides)
    assert Flip.model_validate_json(flip.model_dump_json()) == flip


@pytest.mark.parametrize(("apy", "highest"), [(0.02, 0.12), (0.30, 0.90), (0.60, 1.0), (0.0, 0.10)])
def test_how_far_up_is_tried(apy: float, highest: float) -> None:
    flip = flip_point(by_rate("p", lambda bps: False), MANDATE, OUT, "p", apy)
    assert max(probe.apy for probe in flip.probes) == pytest.approx(highest)


def test_a_bound_can_be_given() -> None:
    flip = flip_point(by_rate("p", lambda bps: False), MANDATE, OUT, "p", 0.05, highest=0.06)
    assert max(probe.apy for probe in flip.probes) == 0.06


def test_a_pool_that_pays_nothing_cannot_fall() -> None:
    flip = flip_point(by_rate("p", lambda bps: False), MANDATE, HELD, "p", 0.0)
    assert (flip.evaluations, flip.kept_at) == (0, None)


def test_a_mandate_without_a_choice_holds_no_pool() -> None:
    flip = flip_point(by_rate("p", lambda bps: bps >= 600), MANDATE, choice(), "p", 0.05)
    assert (flip.held, flip.kept_at) == (False, 0.06)
