"""Allocation by size: against brute force, against closed forms, with its limits and their prices."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest

from tools.optimize import Infeasible, SolverFailed
from tools.sizing import Leaving, RateCurve, allocate, flat
from tools.sizing.dilution import Leg, Term
from tools.sizing.dilution import _two_legs as two_legs
from tools.sizing.lending import TwoSlopes
from tools.sizing.search import GOOD_ENOUGH

STEPS = 24


def curve(rate, base=1e6, power=1):
    return RateCurve((Leg(math.inf, (Term(rate, base, power),)),), "shared", base, None, "")


def kinked(rate, base, used, kink=0.9, steep=5.0, form="through_borrow"):
    legs = two_legs(TwoSlopes(0.06, kink, steep), form, rate, base, used, Term(0.0, base, 1))
    return RateCurve(legs, "kinked", base, used, "")


def random_case(seed):
    """A small problem of every kind: models, gas, slippage, losses, caps, a group, least weights, few pools."""
    random = np.random.default_rng(seed)
    pools = int(random.integers(2, 5))
    curves = []
    for _ in range(pools):
        rate, base = random.uniform(0.0, 0.15), 10.0 ** random.uniform(4.0, 7.0)
        form = ("through_borrow", "direct")[random.integers(2)]
        lender = kinked(
            rate + 1e-3, base, random.uniform(0.5, 1.0), random.uniform(0.7, 0.95), random.uniform(0.2, 6.0), form
        )
        curves.append((flat(rate), curve(rate, base), curve(rate, base, 2), lender)[random.integers(4)])
    limits = {
        "fixed_cost_usd": random.uniform(0.0, 60.0, pools) * (random.random(pools) < 0.7),
        "expected_loss": random.uniform(0.0, 0.03, pools),
        "exit_cost": [Leaving(10.0 ** random.uniform(6, 8), 2) if random.random() < 0.3 else None for _ in curves],
        "upper": np.ceil(random.uniform(0.5, 1.0, pools) * STEPS) / STEPS,
        "group_caps": [((random.random(pools) < 0.6).astype(float), 0.5, "group")] if random.random() < 0.6 else [],
        "min_weight": float(random.choice([0.0, 0.125, 0.25])),
        "max_pools": int(random.integers(pools - 1, pools + 1)),
    }
    return curves, 10.0 ** random.uniform(4.0, 7.0), float(random.choice([30.0, 365.0])), limits


def net_income(curves, amount, horizon, weights, limits):
    """Dollars a year of weights, straight from the definition; None where they break a limit."""
    held = [i for i, w in enumerate(weights) if w > 0.0]
    group = [(row, cap) for row, cap, _ in limits["group_caps"]]
    total = 0.0
    if len(held) > limits["max_pools"] or any(np.dot(row, weights) > cap + 1e-12 for row, cap in group):
        return None
    for i in held:
        x = weights[i] * amount
        way_out = limits["exit_cost"][i]
        if weights[i] > limits["upper"][i] + 1e-12 or weights[i] < limits["min_weight"] - 1e-12:
            return None
        if way_out is not None and x > way_out.tvl_usd:
            return None
        leaving = 0.0 if way_out is None else float(way_out.cost(np.array(x)))
        once = limits["fixed_cost_usd"][i] + leaving
        total += x * curves[i].rate(x) - limits["expected_loss"][i] * x - once * 365.0 / horizon
    return total


def grid(pools):
    for cuts in itertools.combinations_with_replacement(range(STEPS + 1), pools - 1):
        edges = (0, *cuts, STEPS)
        yield [(b - a) / STEPS for a, b in itertools.pairwise(edges)]


def test_no_grid_point_beats_the_bound_and_the_gap_is_small():
    """The certificate: on every case the true optimum, here the best of a grid, lies below the bound."""
    solved = 0
    for seed in range(45):
        curves, amount, horizon, limits = random_case(seed)
        values = (net_income(curves, amount, horizon, w, limits) for w in grid(len(curves)))
        best = max((value for value in values if value is not None), default=None)
        try:
            found = allocate(curves, amount, horizon, **limits)
        except Infeasible:
            assert best is None
            continue
        solved += 1
        assert found.weights.sum() == pytest.approx(1.0, abs=1e-9)
        rounding = {"min_weight": limits["min_weight"] - 1e-9, "upper": limits["upper"] + 1e-9}
        mine = net_income(curves, amount, horizon, list(found.weights), limits | rounding)
        assert found.value == pytest.approx(mine, abs=1e-9 * amount)
        assert found.gap == found.bound - found.value >= 0.0
        assert found.gap <= 2.0 * GOOD_ENOUGH * amount
        assert best is None or best <= found.bound + 1e-10 * amount
    assert solved >= 25


def test_a_search_cut_short_says_so_and_its_gap_still_holds(monkeypatch):
    """Without branching the first relaxation alone must bound every grid point; somewhere it leaves a gap."""
    monkeypatch.setattr("tools.sizing.search.MOST_BRANCHES", 0)
    short = 0
    for seed in range(100, 130):
        curves, amount, horizon, limits = random_case(seed)
        values = [net_income(curves, amount, horizon, w, limits) for w in grid(len(curves))]
        best = max((value for value in values if value is not None), default=None)
        try:
            found = allocate(curves, amount, horizon, **limits)
        except (Infeasible, SolverFailed):
            continue
        if best is not None:
            assert best <= found.bound + 1e-10 * amount
            short += best > found.value + 1e-9 * amount
        if found.gap > 2.0 * GOOD_ENOUGH * amount:
            assert found.notes[-1].startswith("the search was cut short")
    assert short > 0


def test_shared_pools_end_at_equal_marginal_rates():
    """Two pools of equal size paying 8 and 2 %: r T²/(T + x)² alike, so (T + x)/(T + A − x) = 2."""
    found = allocate([curve(0.08), curve(0.02)], 1e6, 365)
    assert found.weights[0] * 1e6 == pytest.approx(1e6, rel=1e-3)  # x = T: both conditions meet at the whole amount
    found = allocate([curve(0.08), curve(0.02)], 4e6, 365)
    assert found.weights[0] * 4e6 == pytest.approx(3e6, rel=1e-3)
    assert found.gap <= GOOD_ENOUGH * 4e6


def test_money_stops_before_a_kink_would_take_the_rate():
    """A lender just above its kink pays 10 % to a little, 5 % to much more: the rest goes to a flat 6 %."""
    lender = kinked(0.10, 1e9, 0.93, kink=0.92)
    small, large = (allocate([lender, flat(0.06)], amount, 365) for amount in (1e5, 5e7))
    assert small.weights[0] == 1.0
    assert 0.01 < large.weights[0] < 0.2
    at = large.weights[0] * 5e7
    assert lender.marginal(at) == pytest.approx(0.06, rel=0.01)


def test_gas_keeps_a_small_amount_in_one_pool_and_lets_a_large_one_spread():
    pools = [curve(0.06, 1e7), curve(0.0599, 1e7), curve(0.0598, 1e7)]
    held = [int((allocate(pools, a, 365, fixed_cost_usd=20.0).weights > 0).sum()) for a in (1e4, 1e7)]
    assert held == [1, 3]


def test_what_is_paid_once_weighs_more_over_a_short_horizon():
    pools = [flat(0.08), flat(0.05)]
    dear = [300.0, 0.0]
    assert allocate(pools, 1e5, 365, fixed_cost_usd=dear).weights[0] == 1.0
    assert allocate(pools, 1e5, 30, fixed_cost_usd=dear).weights[1] == 1.0


def test_leaving_a_small_pool_costs_more_than_its_yield():
    pools = [flat(0.08), flat(0.07)]
    found = allocate(pools, 1e6, 30, exit_cost=[Leaving(1e7, 2), None])
    # d/dx of 365/30 · x²/(2T) is the difference of the rates.
    assert found.weights[0] * 1e6 == pytest.approx(0.01 * 1e7 * 30 / 365, rel=0.02)


def test_a_position_is_never_larger_than_a_pool_that_must_be_left_through_itself():
    found = allocate([flat(0.5), flat(0.01)], 1e6, 365, exit_cost=[Leaving(1e5, 2, True), None])
    assert found.weights[0] == pytest.approx(0.1)


def test_idle_money_earns_its_rate_and_needs_no_pool():
    found = allocate([curve(0.06, 1e5)], 1e7, 365, idle_rate=0.04, max_pools=1)
    assert found.idle == pytest.approx(1.0 - found.weights[0])
    assert found.idle > 0.9
    kept_out = allocate([flat(0.05)], 1e4, 30, fixed_cost_usd=100.0, idle_rate=0.0)
    assert (kept_out.idle, kept_out.value, list(kept_out.weights)) == (1.0, 0.0, [0.0])


def test_the_price_of_a_limit_is_what_loosening_it_brings():
    pools = [flat(0.10), flat(0.08), flat(0.05), flat(0.04)]
    groups = [([0.0, 1.0, 1.0, 0.0], 0.4, "middle")]
    found = allocate(pools, 1e6, 365, upper=[0.3, 1.0, 1.0, 1.0], group_caps=groups, names=list("abcd"))
    assert [(b.limit, round(b.price_bps, 6)) for b in found.binding] == [("weight of a", 6.0), ("middle", 4.0)]
    looser = allocate(pools, 1e6, 365, upper=[0.31, 1.0, 1.0, 1.0], group_caps=groups)
    assert 1e4 * (looser.net_apy - found.net_apy) == pytest.approx(6.0)
    looser = allocate(pools, 1e6, 365, upper=[0.3, 1.0, 1.0, 1.0], group_caps=[(groups[0][0], 0.41, "middle")])
    assert 1e4 * (looser.net_apy - found.net_apy) == pytest.approx(4.0)


def test_a_least_weight_has_a_price_too():
    found = allocate([flat(0.10), flat(0.05)], 1e6, 365, upper=[0.9, 1.0], min_weight=0.2, names=["a", "b"])
    assert list(found.weights) == pytest.approx([0.8, 0.2])
    assert [(b.limit, round(b.price_bps, 6)) for b in found.binding] == [("least weight of b", 5.0)]


def test_no_more_pools_than_may_be_held():
    pools = [curve(0.06, 1e5), curve(0.055, 1e5), curve(0.05, 1e5)]
    found = allocate(pools, 1e6, 365, max_pools=2)
    assert int((found.weights > 0.0).sum()) == 2
    assert found.notes == ("as many pools are held as may be: 2",)


def test_limits_that_leave_no_weights_are_named():
    pools = [flat(0.05)] * 3
    with pytest.raises(Infeasible) as caught:
        allocate(pools, 1e6, 30, upper=0.3)
    assert caught.value.limits == ("upper",)
    with pytest.raises(Infeasible) as caught:
        allocate(pools, 1e6, 30, group_caps=[([1.0, 1.0, 1.0], 0.5, "issuer Circle")])
    assert caught.value.limits == ("issuer Circle",)
    with pytest.raises(Infeasible) as caught:
        allocate(pools, 1e6, 30, upper=0.4, max_pools=2)
    assert set(caught.value.limits) == {"max_pools", "upper"}


def test_the_order_of_the_pools_does_not_matter():
    names = list("abcdef")
    pools = [curve(0.05 + 0.001 * (i // 2), 1e6, 1 + i % 2) for i in range(6)]
    gas = [3.0, 3.0, 5.0, 5.0, 1.0, 1.0]
    first = allocate(pools, 1e6, 90, fixed_cost_usd=gas, names=names, upper=0.3)
    order = [4, 2, 0, 5, 3, 1]
    again = allocate(
        [pools[i] for i in order],
        1e6,
        90,
        fixed_cost_usd=[gas[i] for i in order],
        names=[names[i] for i in order],
        upper=0.3,
    )
    assert (again.weights == first.weights[order]).all()
    assert (again.value, again.bound, again.binding) == (first.value, first.bound, first.binding)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("amount_usd", {"amount_usd": math.nan}),
        ("amount_usd", {"amount_usd": 0.0}),
        ("horizon_days", {"horizon_days": 0.0}),
        ("expected_loss", {"expected_loss": [math.nan, 0.0]}),
        ("fixed_cost_usd", {"fixed_cost_usd": -1.0}),
        ("upper", {"upper": [math.inf, 1.0]}),
        ("min_weight", {"min_weight": 1.1}),
        ("max_pools", {"max_pools": 0}),
        ("curves", {"curves": []}),
        ("a group", {"group_caps": [([math.nan, 1.0], 0.5, "a group")]}),
        ("group_caps", {"group_caps": [([1.0, 1.0], math.nan, "a group")]}),
        ("idle_rate", {"idle_rate": math.nan}),
        ("exit_cost", {"exit_cost": [None]}),
    ],
)
def test_a_figure_that_is_none_is_refused_by_name(name, changes):
    arguments = {"curves": [flat(0.05), flat(0.04)], "amount_usd": 1e6, "horizon_days": 90.0} | changes
    with pytest.raises(ValueError, match=name):
        allocate(**arguments)


def test_forty_pools_with_gas_and_groups_are_solved_within_a_tenth_of_a_basis_point(published):
    random = np.random.default_rng(7)
    bases = 10.0 ** random.uniform(6.0, 9.3, 40)
    curves = [curve(float(random.uniform(0.02, 0.12)), float(b), int(random.integers(0, 3))) for b in bases]
    groups = [((random.random(40) < 0.3).astype(float), 0.5, f"group {i}") for i in range(8)]
    times = []
    for amount in (1e4, 1e6, 1e7, 5e7):
        start = time.process_time()
        found = allocate(
            curves, amount, 90, fixed_cost_usd=random.uniform(0.0, 20.0, 40), group_caps=groups, idle_rate=0.0,
            upper=np.minimum(0.4, 0.05 * bases / amount),
        )  # fmt: skip
        times.append(time.process_time() - start)
        assert found.gap <= 1e-5 * amount
    published.append(f"allocation by size, 40 pools: {1e3 * sorted(times)[2]:.0f} ms")
