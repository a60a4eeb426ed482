"""The income of a deposit is what its curve's definition says, and it is concave exactly where that is claimed."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.regret.income import Stretch, income_of, rate_at
from evals.regret.markets import Pool, load_markets

RATES = st.floats(0.001, 0.5)
KINKED = {
    "kind": "lender", "borrowed_usd": 9.6e7, "base_rate": 0.005, "slope_low": 0.05, "slope_high": 0.8, "kink": 0.9,
    "reserve_factor": 0.1,
}  # fmt: skip


def pool(curve: dict[str, Any], **changes: Any) -> Pool:
    fields = {"id": "p", "project": "a", "chain": "b", "symbol": "c", "deposits_usd": 1e8, "curve": curve}
    return Pool.model_validate(fields | changes)


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    deposits = draw(st.floats(1e6, 1e9))
    kink = draw(st.floats(0.3, 0.95))
    curve = draw(
        st.sampled_from(
            [
                {"kind": "flat", "rate": draw(RATES)},
                {"kind": "root", "rate": draw(RATES), "network_usd": draw(st.floats(1e6, 1e10))},
                {"kind": "shared", "usd_per_year": draw(st.floats(1e3, 1e8))},
                {"kind": "square", "rate": draw(RATES)},
                {
                    "kind": "lender", "borrowed_usd": deposits * draw(st.floats(0.05, 0.99)),
                    "base_rate": draw(st.floats(0.0, 0.02)), "slope_low": draw(RATES), "slope_high": draw(RATES) * 4.0,
                    "kink": kink, "reserve_factor": draw(st.floats(0.0, 0.3)),
                },
            ]
        )
    )  # fmt: skip
    reward = draw(st.sampled_from([0.0, 1e4, 5e6]))
    loss = draw(st.sampled_from([0.0, 0.02]))
    return pool(curve, deposits_usd=deposits, reward_usd_per_year=reward, expected_loss=loss)


@settings(max_examples=40)
@given(pools(), st.floats(0.0, 3.0))
def test_the_income_is_the_deposit_times_the_rate_of_the_definition(one: Pool, share: float) -> None:
    x = share * one.deposits_usd
    expected = x * (rate_at(one, x) - one.expected_loss)
    assert income_of(one).value(x) == pytest.approx(expected, rel=1e-9, abs=1e-9 * one.deposits_usd)


@settings(max_examples=40)
@given(pools(), st.floats(0.001, 3.0))
def test_the_marginal_is_the_slope_of_the_income(one: Pool, share: float) -> None:
    income, x = income_of(one), share * one.deposits_usd
    piece = next(p for p in income.pieces(0.0, 10.0 * one.deposits_usd) if p.low <= x <= p.high)
    step = 1e-5 * x
    up, down = (income.value_on(piece.stretch, x + side * step) for side in (1.0, -1.0))
    assert income.marginal_on(piece.stretch, x) == pytest.approx((up - down) / (2.0 * step), rel=1e-4, abs=1e-6)


@settings(max_examples=40)
@given(pools())
def test_every_piece_bends_as_it_says(one: Pool) -> None:
    income = income_of(one)
    pieces = income.pieces(0.0, 5.0 * one.deposits_usd)
    assert pieces[0].low == 0.0
    assert pieces[-1].high == 5.0 * one.deposits_usd
    for piece in pieces:
        places = [piece.low + (piece.high - piece.low) * n / 20.0 for n in range(21)]
        slopes = [income.marginal_on(piece.stretch, x) for x in places]
        sign = -1.0 if piece.concave else 1.0
        assert all(sign * (b - a) >= -1e-12 for a, b in itertools.pairwise(slopes))


@settings(max_examples=40)
@given(pools(), st.floats(0.01, 5.0), st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3))
def test_what_is_called_concave_lies_above_its_chords(one: Pool, width: float, places: list[float]) -> None:
    income, high = income_of(one), width * one.deposits_usd
    if not income.concave(high):
        return
    a, m, b = (place * high for place in sorted(places))
    if b - a < 1e-6 * high:
        return
    chord = income.value(a) + (income.value(b) - income.value(a)) * (m - a) / (b - a)
    assert income.value(m) >= chord - 1e-9 * one.deposits_usd


def test_a_kink_makes_an_income_not_concave() -> None:
    one = pool(KINKED)
    kink_at = 9.6e7 / 0.9 - 1e8
    income = income_of(one)
    assert income.concave(kink_at)
    assert not income.concave(2.0 * kink_at)
    # The chord over the kink lies above it: the failure that the check exists for.
    assert income.value(kink_at) < (income.value(0.5 * kink_at) + income.value(1.5 * kink_at)) / 2.0


def test_the_square_turns_at_twice_what_is_deposited() -> None:
    (stretch,) = income_of(pool({"kind": "square", "rate": 0.05})).stretches
    assert stretch.concave_until(1e8) == (pytest.approx(2e8), True)


def test_a_root_beside_what_is_not_concave_is_refused() -> None:
    with pytest.raises(ValueError, match="curvature"):
        Stretch(0.0, math.inf, 0.0, 0.03, -0.01, 0.0).concave_until(1e8)


def test_the_cases_hold_incomes_that_are_not_concave() -> None:
    found = [income_of(p).concave(0.1 * p.withdrawable_usd) for m in load_markets() for p in m.pools]
    assert sum(found) > 100
    assert len(found) - sum(found) > 20
