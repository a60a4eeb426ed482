"""Lines above an income are above it, and what leaving costs is what the risk report says it costs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tools.risk.costs import exit_cost
from tools.sizing.dilution import Leg, RateCurve, Term, flat
from tools.sizing.dilution import _two_legs as two_legs
from tools.sizing.envelope import Leaving, NetIncome
from tools.sizing.lending import TwoSlopes


@st.composite
def curves(draw):
    base = draw(st.sampled_from([-0.05, 0.0, 0.05, 0.3]))
    size = 10.0 ** draw(st.floats(4, 9))
    reward = Term(draw(st.sampled_from([0.0, 0.05])), size, 1)
    power = draw(st.sampled_from([0, 1, 2]))
    if draw(st.booleans()):
        return RateCurve((Leg(math.inf, (Term(base, size, power), reward)),), "square", size, None, "")
    line = TwoSlopes(0.06, draw(st.floats(0.5, 0.95)), draw(st.floats(0.1, 10.0)))
    form = draw(st.sampled_from(["through_borrow", "direct"]))
    legs = two_legs(line, form, abs(base) + 0.001, size, draw(st.floats(0.3, 1.0)), reward)
    return RateCurve(legs, "kinked", size, None, "")


@st.composite
def incomes(draw):
    leaving = draw(st.sampled_from([None, Leaving(1e9, 2), Leaving(1e9, 3), Leaving(1e9, 4, True)]))
    return NetIncome(draw(curves()), draw(st.sampled_from([0.0, 0.02])), leaving, draw(st.sampled_from([1.0, 12.0])))


def falling(power):
    """A term that takes from the rate, as above a lender's kink: convex where others are concave."""
    return NetIncome(RateCurve((Leg(math.inf, (Term(-0.05, 1e6, power),)),), "shared", 1e6, None, ""), 0.0, None, 1.0)


@example(income=falling(1), largest=7.0, pieces=2)
@example(income=falling(2), largest=7.0, pieces=2)
@given(income=incomes(), largest=st.floats(3, 9), pieces=st.integers(1, 5))
def test_the_line_is_above_the_income_everywhere_and_touches_it_at_its_points(income, largest, pieces):
    end = 10.0**largest
    points = np.unique([*np.linspace(0.0, end, pieces + 1), *(bend for bend in income.breaks() if bend < end)])
    x, above = income.above(points)
    assert (np.diff(x) > 0.0).all()
    fine = np.linspace(0.0, end, 997)
    true = income.value(fine)
    slack = 1e-12 * (1.0 + np.abs(true).max())
    assert (np.interp(fine, x, above) >= true - slack).all()
    assert above[::2] == pytest.approx(income.value(points), abs=slack)


@given(income=incomes(), x=st.floats(1.0, 1e8))
def test_the_income_is_the_rate_times_the_position_less_losses_and_leaving(income, x):
    leaving = 0.0 if income.leaving is None else float(income.leaving.cost(np.array(x)))
    expected = x * income.curve.rate(x) - income.loss * x - income.per_year * leaving
    assert float(income.value(np.array(x))) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(income=incomes(), x=st.floats(1e3, 1e8))
def test_marginal_is_the_slope_of_the_income(income, x):
    step = 1e-5 * x
    if all(abs(x - bend) > 2.0 * step for bend in income.breaks()):
        low, high = (float(income.value(np.array(x + side))) for side in (-step, step))
        assert income.marginal(x) == pytest.approx((high - low) / (2.0 * step), rel=1e-3, abs=1e-6)


@given(share=st.floats(0.0, 1.0), tokens=st.integers(1, 8), pegged=st.booleans())
def test_leaving_costs_what_the_risk_report_says(share, tokens, pegged):
    mine = float(Leaving(1e8, tokens, pegged).cost(np.array(share * 1e8)))
    theirs = exit_cost(share * 1e8, 1e8, tokens, True, pegged=pegged).value
    assert mine == pytest.approx(share * 1e8 * theirs, rel=1e-9, abs=1e-6)


def test_a_flat_rate_has_no_bend():
    assert NetIncome(flat(0.05), 0.0, None, 1.0).breaks() == []
