"""How far a leveraged position is from being liquidated."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.risk.liquidation import Collateral, days_to_liquidation, liquidation, looped

amounts = st.floats(0.01, 1e6)
thresholds = st.floats(0.05, 1.0)


def ether(amount=10.0, price=2000.0, threshold=0.825):
    return Collateral(amount=amount, price=price, threshold=threshold)


def test_one_collateral_by_hand():
    found = liquidation([ether()], 10_000.0)
    assert found.health == pytest.approx(1.65)
    assert found.distance == pytest.approx(1.0 - 1.0 / 1.65)
    assert found.prices[0] == pytest.approx(10_000.0 / (10.0 * 0.825))
    assert found.leverage == pytest.approx(2.0)


def test_two_collaterals_fall_together():
    found = liquidation([ether(), Collateral(amount=5000.0, price=1.0, threshold=0.78)], 10_000.0)
    assert found.health == pytest.approx((20_000.0 * 0.825 + 5000.0 * 0.78) / 10_000.0)
    at_edge = [ether(price=found.prices[0]), Collateral(amount=5000.0, price=found.prices[1], threshold=0.78)]
    assert liquidation(at_edge, 10_000.0).health == pytest.approx(1.0)


def test_without_debt_nothing_can_be_liquidated():
    found = liquidation([ether()], 0.0)
    assert (found.health, found.distance, found.prices, found.state) == (None, None, None, "normal")
    assert found.reason == "no debt: nothing can be liquidated"


def test_a_position_beyond_liquidation_has_no_distance_left():
    found = liquidation([ether()], 30_000.0)
    assert found.health < 1.0
    assert (found.distance, found.leverage, found.state) == (0.0, None, "emergency")


@pytest.mark.parametrize(("debt", "state"), [(8.5, "normal"), (8.7, "reduce"), (9.2, "emergency")])
def test_states_of_a_loop_of_staked_ether(debt, state):
    position = Collateral(amount=10.0, price=1.0, threshold=0.95)
    assert liquidation([position], debt, same_asset=True).state == state


def test_a_loop_that_is_safe_against_its_own_asset_is_not_against_dollars():
    position = Collateral(amount=10.0, price=1.0, threshold=0.95)
    assert liquidation([position], 6.0, same_asset=True).state == "normal"
    assert liquidation([position], 6.0).state == "reduce"


@given(amounts, amounts, thresholds, amounts)
def test_the_health_factor_is_one_at_the_distance(amount, price, threshold, debt):
    found = liquidation([Collateral(amount=amount, price=price, threshold=threshold)], debt)
    assert 0.0 <= found.distance <= 1.0
    if found.health > 1.0 and found.distance < 0.999:
        fallen = Collateral(amount=amount, price=price * (1.0 - found.distance), threshold=threshold)
        assert liquidation([fallen], debt).health == pytest.approx(1.0, rel=1e-9)


@given(amounts, thresholds, st.floats(0.01, 100.0), st.floats(1.0, 10.0))
def test_more_debt_is_never_farther_from_liquidation(amount, threshold, debt, times):
    order = ["normal", "reduce", "emergency"]
    position = [Collateral(amount=amount, price=1.0, threshold=threshold)]
    less, more = liquidation(position, debt), liquidation(position, debt * times)
    assert more.distance <= less.distance
    assert order.index(more.state) >= order.index(less.state)


def test_loops_by_hand():
    assert looped(0.9, 0) == (1.0, 0.0, 1.0)
    assert looped(0.9, 2) == pytest.approx((1.0 + 0.9 + 0.81, 0.9 + 0.81, 2.71))
    assert looped(0.0, 5) == (1.0, 0.0, 1.0)


@given(st.floats(0.0, 0.99), st.integers(0, 60))
def test_loops_follow_the_geometric_sum_and_its_bound(ltv, loops):
    made = looped(ltv, loops)
    assert made.collateral == pytest.approx((1.0 - ltv ** (loops + 1)) / (1.0 - ltv), rel=1e-9)
    assert made.leverage <= 1.0 / (1.0 - ltv) + 1e-9
    assert made.collateral - made.debt == pytest.approx(1.0)


def test_drift_reaches_one_on_the_day():
    found = days_to_liquidation(1.05, 0.05, 0.03)
    assert found.days == pytest.approx(365.0 * math.log(1.05) / (math.log(1.05) - math.log(1.03)))
    assert 1.05 * (1.03 / 1.05) ** (found.days / 365.0) == pytest.approx(1.0)


def test_drift_that_never_comes_has_a_reason():
    assert days_to_liquidation(1.05, 0.03, 0.03) == (None, "the collateral grows at least as fast as the debt")
    assert days_to_liquidation(0.9, 0.05, 0.0).days == 0.0


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_bad_numbers_are_refused(bad):
    with pytest.raises(ValueError, match="debt"):
        liquidation([ether()], bad)
    with pytest.raises(ValueError, match="amount"):
        Collateral(amount=bad, price=1.0, threshold=0.8)
    with pytest.raises(ValueError, match="borrow_apy"):
        days_to_liquidation(1.1, bad, 0.0)
    with pytest.raises(ValueError, match="health factor"):
        days_to_liquidation(bad, 0.1, 0.0)
    with pytest.raises(ValueError, match="loan to value"):
        looped(bad, 3)


def test_limits_of_the_input():
    with pytest.raises(ValueError, match="needs collateral"):
        liquidation([], 1.0)
    with pytest.raises(ValueError, match="threshold"):
        ether(threshold=1.1)
    with pytest.raises(ValueError, match="a number cannot hold"):
        liquidation([ether(amount=1e200, price=1e200)], 1.0)
    with pytest.raises(ValueError, match="-1 loops"):
        looped(0.5, -1)
    with pytest.raises(ValueError, match="loan to value"):
        looped(1.0, 3)
    assert liquidation([ether()], 1e-300).distance == 1.0
