"""Weights by every method: within the caps, from what is known and not from names, and as good as they say."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
from made_market import AS_OF, HIGH, LEVELS, LOW, MEDIUM, MILLION, day_before, pool, pool_id, universe
from weighed import DAYS, MAXIMISED, hazard, random_pools, renamed, selected, weighing

from tools.candidates import build_candidates
from tools.candidates.outlook import YEARS
from tools.candidates.posing import CHOOSING, SMALLEST_WEIGHT, Weighing, expected_shortfall, least_weight
from tools.candidates.weighing import Weighted, _outward, free_weights, weigh, window_shift
from tools.optimize.moments import Undefined
from tools.records import Mandate
from tools.strategies.objectives import METHOD_WORDS
from tools.strategies.profiles import Limits, load_profiles
from tools.strategies.universe import Pool

METHODS = tuple(METHOD_WORDS)
SEEDS = (0, 1, 4)
A_HAIR = 1e-5  # of yield: what rounding a weight to basis points may cost


def weighed(
    method: Any, pools: list[Pool], limits: Limits = MEDIUM, known: Weighing | None = None, **mandate: Any
) -> Weighted:
    own, selection = selected(pools, limits, **mandate)
    return weigh(method, own, selection, limits, known or weighing(pools), DAYS)


def held(found: Weighted) -> dict[str, float]:
    return dict(zip((p.id for p in found.pools), found.weights.tolist(), strict=True))


def tail(found: Weighted, known: Weighing) -> float:
    """The mean of the worst drawn years."""
    assert known.outlook is not None
    years = known.outlook.years(found.pools, DAYS)
    losses = -(years.returns * found.weights).sum(axis=1)
    return expected_shortfall(losses, years.probabilities, known.objective.confidence)


def kept(found: Weighted, known: Weighing) -> float:
    """The yield expected to be left after events."""
    assert known.outlook is not None
    return math.fsum(known.outlook.net_apy(found.pools, DAYS) * found.weights)


# What holds of all.


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("limits", LEVELS.values(), ids=LEVELS)
def test_weights_keep_every_cap(method: Any, limits: Limits) -> None:
    for seed in SEEDS:
        pools = random_pools(seed)
        found = weighed(method, pools, limits, weighing(pools, amount=10 * MILLION))
        weights = found.weights
        assert abs(weights.sum() - 1.0) <= 1e-9
        assert weights.min() >= SMALLEST_WEIGHT - 1e-9
        assert weights.max() <= limits.max_weight + 1e-9
        assert [p.id for p in found.pools] == sorted({p.id for p in found.pools})
        for weight, p in zip(weights, found.pools, strict=True):
            assert weight * 10 * MILLION <= limits.position_share * p.row.tvl_usd * (1.0 + 1e-9)
        for family in {p.family for p in found.pools}:
            on_it = sum(w for w, p in zip(weights, found.pools, strict=True) if p.family == family)
            assert on_it <= limits.protocol_share + 1e-9
        for issuer in {name for p in found.pools for name in p.issuer_shares}:
            behind = sum(w * p.issuer_shares.get(issuer, 0.0) for w, p in zip(weights, found.pools, strict=True))
            assert behind <= limits.issuer_share + 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_the_same_again_and_in_any_order_of_pools(method: Any) -> None:
    pools = random_pools(7)
    first = weighed(method, pools)
    again = weighed(method, pools)
    turned = weighed(method, pools[::-1])
    for other in (again, turned):
        assert held(other) == held(first)
        assert other.optimisation == first.optimisation


@pytest.mark.parametrize("method", METHODS)
def test_names_and_ids_do_not_matter(method: Any) -> None:
    """The same market under other names gets the same weights."""
    pools = random_pools(7)
    others = [renamed(p) for p in pools]
    first, second = weighed(method, pools), weighed(method, others)
    named = {renamed(p).id: weight for p, weight in zip(first.pools, first.weights.tolist(), strict=True)}
    assert held(second) == pytest.approx(named, abs=1.01e-4)  # a basis point: who is rounded up is a matter of order
    values = [found.optimisation.value for found in (first, second)]
    assert values[0] == (None if values[1] is None else pytest.approx(values[1], rel=1e-9))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", SEEDS)
def test_bounds_lie_on_their_side_of_the_value(method: Any, seed: int) -> None:
    for limits in (LOW, MEDIUM):
        found = weighed(method, random_pools(seed), limits).optimisation
        assert all(entry.price_bps >= 0.0 for entry in found.binding)
        if method in ("equal", "inverse_volatility"):
            assert (found.value, found.bound, found.gap, found.rounded) == (None, None, None, None)
            continue
        assert found.value is not None
        assert found.bound is not None
        assert found.gap is not None
        sign = 1.0 if method in MAXIMISED else -1.0
        assert sign * (found.bound - found.value) >= 0.0
        assert found.gap == pytest.approx(abs(found.bound - found.value), rel=0.06, abs=1e-15)
        assert found.gap <= 1e-6
        if found.rounded is not None:
            assert sign * (found.value - found.rounded) >= -A_HAIR * max(1.0, abs(found.value))
        if found.rounded is not None and method != "min_loss":  # rounding may miss its floor by a hair
            assert sign * (found.bound - found.rounded) >= 0.0


@pytest.mark.parametrize("value", [0.0512345678912, -1.5, 0.0, 3e-7])
@pytest.mark.parametrize("apart", [0.0, 1e-18, 3e-14, 2e-9, 0.004])
def test_a_bound_is_rounded_away_from_the_value_and_never_onto_it(value: float, apart: float) -> None:
    above, below = (_outward(value + sign * apart, value, sign > 0) for sign in (1.0, -1.0))
    assert above >= value + apart - 1e-17
    assert below <= value - apart + 1e-17
    unit = 1e-11 * max(abs(value), 1e-4)
    assert above - value <= apart + unit
    assert value - below <= apart + unit


def test_the_methods_that_choose_take_pools_from_beyond_the_profiles_own() -> None:
    pools = random_pools(3)
    own, _ = selected(pools)
    found = {method: {p.id for p in weighed(method, pools).pools} for method in METHODS}
    assert {method for method in METHODS if found[method] != {p.id for p in own}} <= CHOOSING
    assert any(found[method] - {p.id for p in own} for method in CHOOSING)


def test_no_more_pools_than_the_user_wants() -> None:
    pools = random_pools(3)
    for method in CHOOSING:
        found = weighed(method, pools, max_pools=3)
        assert len(found.pools) <= 3
        assert len(weighed(method, pools, min_pools=6).pools) >= 6


# What each is for.


@pytest.mark.parametrize("seed", range(6))
def test_least_loss_keeps_what_the_simple_rule_keeps_and_loses_less(seed: int) -> None:
    pools = random_pools(seed)
    known = weighing(pools, amount=None)
    simple, found = (weighed(method, pools, known=known) for method in ("equal", "min_loss"))
    assert found.optimisation.note is None
    assert kept(found, known) >= kept(simple, known) - A_HAIR
    assert tail(found, known) <= tail(simple, known) + A_HAIR
    assert found.optimisation.rounded == pytest.approx(tail(found, known), rel=1e-9)


def test_least_loss_says_which_floor_it_gave_up() -> None:
    pools = random_pools(0)
    unreachable = weighed("min_loss", pools, known=weighing(pools, amount=None, risk_free=0.5))
    assert unreachable.optimisation.note == "these pools cannot be expected to keep the risk-free rate"
    free = kept(weighed("equal", pools, known=weighing(pools, amount=None)), weighing(pools, amount=None)) + 0.003
    known = weighing(pools, amount=None, risk_free=free)
    above = weighed("min_loss", pools, known=known)
    assert above.optimisation.note is None
    assert kept(above, known) >= free - A_HAIR
    assert tail(unreachable, known) <= tail(above, known) + A_HAIR


def test_with_no_aversion_to_loss_the_best_payers_are_filled_first() -> None:
    pools = [pool(n, apy=0.02 + n / 100, family=f"f{n}", issuer_shares={}) for n in range(1, 11)]
    limits = HIGH.model_copy(update={"max_weight": 0.4})
    found = weighed("yield_less_loss", pools, limits, weighing(pools, loss_aversion=0.0, amount=None))
    assert held(found) == pytest.approx({pool_id(10): 0.4, pool_id(9): 0.4, pool_id(8): 0.2})


def test_the_more_averse_to_loss_the_smaller_the_tail() -> None:
    pools = random_pools(2)
    found = [
        (kept(w, known), tail(w, known))
        for known in (weighing(pools, amount=None, loss_aversion=aversion) for aversion in (0.0, 0.1, 1.0))
        for w in [weighed("yield_less_loss", pools, known=known)]
    ]
    for (more, worse), (less, better) in itertools.pairwise(found):
        assert less <= more + A_HAIR
        assert better <= worse + A_HAIR
    assert found[-1][1] < found[0][1] - 0.01


def test_a_pool_that_may_fail_is_left_for_one_that_may_not() -> None:
    safe = [pool(n, apy=0.05, family=f"safe-{n}", issuer_shares={}) for n in range(1, 5)]
    risky = [pool(n, apy=0.06, family=f"risky-{n}", issuer_shares={}) for n in range(5, 9)]
    pools = [*safe, *risky]

    def of(node: str) -> Any:
        return hazard(0.1) if node.startswith("protocol:risky") else None

    known = weighing(pools, of=of)
    for method in ("min_loss", "yield_less_loss", "net_yield", "max_sharpe"):
        assert sum(w for w, p in held_by(weighed(method, pools, known=known)) if "safe" in p.family) > 0.8, method
    assert sum(w for w, p in held_by(weighed("risk_adjusted", pools, known=known)) if "safe" in p.family) < 0.5


def held_by(found: Weighted) -> list[tuple[float, Pool]]:
    return list(zip(found.weights.tolist(), found.pools, strict=True))


def test_more_money_is_spread_wider() -> None:
    pools = [pool(n, apy=0.04 + n / 250, family=f"f{n}", issuer_shares={}, tvl_usd=50 * MILLION) for n in range(1, 11)]
    concentration = []
    for amount in (1e4, 3e6, 2e7):
        found = weighed("net_yield", pools, HIGH, weighing(pools, amount=amount, of=lambda node: None))
        concentration.append(math.fsum(found.weights**2))
    assert concentration == sorted(concentration, reverse=True)
    assert concentration[0] > 0.5
    assert concentration[-1] < 0.25


@pytest.mark.parametrize(
    ("amount", "least"),
    [(None, 0.05), (1e3, 0.05), (1e4, 0.05), (1e5, 0.005), (1e6, 5e-4), (5e6, 1e-4), (5e7, 1e-4)],
)
def test_a_position_is_500_dollars_at_least_and_a_basis_point(amount: float | None, least: float) -> None:
    assert least_weight(amount) == pytest.approx(least)


def left_over() -> tuple[list[Pool], Limits]:
    """Two pools that take 49.97 % of ten millions each, and a third with room for what is left."""
    sizes = {1: 99.94, 2: 99.94, 3: 500.0}
    pools = [
        pool(n, apy=0.20 if n < 3 else 0.04, family=f"f{n}", issuer_shares={}, tvl_usd=size * MILLION)
        for n, size in sizes.items()
    ]
    return pools, HIGH.model_copy(update={"position_share": 0.05, "max_weight": 0.5})


@pytest.mark.parametrize(
    ("least", "wanted", "mandate"),
    [(least_weight(10 * MILLION), 0.0006, {}), (None, 0.05, {}), (least_weight(10 * MILLION), 0.05, {"min_pools": 3})],
    ids=["as it is", "5 % at least", "no third pool of those that were asked for"],
)
def test_what_the_caps_leave_over_is_a_position_and_makes_up_no_least_number(
    least: float | None, wanted: float, mandate: dict[str, Any]
) -> None:
    pools, limits = left_over()
    known = dataclasses.replace(weighing(pools, amount=10 * MILLION, of=lambda node: None), least_weight=least)
    assert min(weighed("net_yield", pools, limits, known, **mandate).weights) == pytest.approx(wanted)


def test_equal_shares_of_risk_are_equal() -> None:
    pools = random_pools(5)
    limits = HIGH
    known = weighing(pools)
    found = weighed("risk_parity", pools, limits, known)
    assert known.outlook is not None
    weights, covariance = found.weights, known.outlook.covariance(found.pools, DAYS)
    shares = weights * (covariance * weights).sum(axis=1)
    assert found.optimisation.note is None
    assert shares / shares.sum() == pytest.approx(np.full(len(weights), 1.0 / len(weights)), abs=2e-3)


# What drives the risk.


def test_the_days_that_drive_the_steadiest_yield_lie_in_the_window() -> None:
    found = weighed("min_cvar", random_pools(0)).optimisation
    assert found.over == "days"
    names = [driver.name for driver in found.drivers]
    assert len(set(names)) == len(names) >= 5
    assert min(names) >= day_before(DAYS - 1).isoformat()
    assert max(names) <= AS_OF.isoformat()
    chances = [driver.probability for driver in found.drivers]
    assert chances == sorted(chances, reverse=True)
    assert math.fsum(chances) == pytest.approx(1.0, abs=1e-6)
    assert max(chances) <= 1.0 / (0.05 * DAYS) + 1e-9


@pytest.mark.parametrize("back", [0, 40, DAYS - 1])
def test_the_one_bad_day_is_named_by_its_date(back: int) -> None:
    def rates(number: int) -> list[float]:
        series = 0.05 + 1e-4 * np.sin(np.arange(120) + number)
        series[-1 - back] = 0.01 * number
        return list(series)

    pools = [pool(n, series=rates(n), family=f"f{n}", issuer_shares={}) for n in (1, 2)]
    found = weighed("min_cvar", pools, HIGH, weighing(pools, confidence=0.99)).optimisation
    assert [(driver.name, driver.probability) for driver in found.drivers] == [
        (day_before(back).isoformat(), pytest.approx(1.0))
    ]


@pytest.mark.parametrize("method", ["min_loss", "yield_less_loss"])
def test_what_drives_the_loss_is_what_fails_in_the_worst_years(method: Any) -> None:
    pools = random_pools(0)
    known = weighing(pools)
    found = weighed(method, pools, known=known)
    outlook, drivers = known.outlook, found.optimisation.drivers
    assert outlook is not None
    assert found.optimisation.over == "years"
    assert drivers
    rows = [outlook.row_of[p.id] for p in found.pools]
    for driver in drivers:
        column = outlook.nodes.index(driver.name)
        assert outlook.lost[rows, column].max() > 0.0, "nothing that is held hangs on it"
        assert 0.0 < driver.probability <= outlook.struck[driver.name].size / YEARS / 0.05 + 1e-9
    assert [d.probability for d in drivers] == sorted((d.probability for d in drivers), reverse=True)
    assert len({d.name for d in drivers}) == len(drivers)


def test_nothing_drives_what_looks_at_no_scenario() -> None:
    for method in ("equal", "inverse_volatility", "risk_adjusted", "risk_parity", "max_sharpe", "net_yield"):
        found = weighed(method, random_pools(0)).optimisation
        assert (found.over, found.drivers) == ("nothing", [])


# No answer.


def test_a_method_without_an_answer_is_named_and_no_other_takes_its_place() -> None:
    pools = random_pools(0)
    known = dataclasses.replace(weighing(pools, risk_free=0.9), methods=("equal", "max_sharpe", "min_cvar"))
    mandate = Mandate(asset="USD", risk="medium")
    found = build_candidates(universe(pools), mandate, load_profiles(), MEDIUM, MILLION, None, known)
    profiles = {draft.profile_id for draft in found.drafts}
    assert profiles
    assert {draft.method for draft in found.drafts} == {"equal", "min_cvar"}
    assert sorted((entry.profile, entry.method) for entry in found.unsolved) == sorted(
        (profile, "max_sharpe") for profile in profiles
    )
    assert all("risk-free" in entry.reason for entry in found.unsolved)


def test_weighing_alone_raises_where_a_method_has_no_answer() -> None:
    pools = random_pools(0)
    with pytest.raises(Undefined):
        weighed("max_sharpe", pools, known=weighing(pools, risk_free=0.9))


# Other windows, other caps.


def two_halves() -> list[Pool]:
    """One pool was wild and became calm, the other the other way round."""
    calm, wild = 1e-4 * np.sin(np.arange(50)), 4e-4 * np.sin(np.arange(50))
    series = {1: np.concatenate([wild, calm]), 2: np.concatenate([calm, wild])}
    return [pool(n, series=0.05 + series[n], family=f"f{n}", issuer_shares={}) for n in (1, 2)]


def test_the_shift_is_the_money_that_lies_elsewhere_after_half_a_window() -> None:
    pools = two_halves()
    known = weighing(pools)
    assert window_shift("equal", pools, HIGH, known, 100) == 0.0
    # The whole window says one half each; the younger half a fifth and four fifths.
    assert window_shift("inverse_volatility", pools, HIGH, known, 100) == pytest.approx(0.3, abs=0.005)


def test_half_a_window_of_less_than_a_month_says_nothing() -> None:
    pools = two_halves()
    assert window_shift("inverse_volatility", pools, HIGH, weighing(pools), 59) is None
    assert window_shift("inverse_volatility", pools, HIGH, weighing(pools), 60) is not None
    assert window_shift("max_sharpe", pools, HIGH, weighing(pools, risk_free=0.9), 100) is None


def test_without_caps_everything_goes_where_it_earns_most() -> None:
    pools = [pool(n, apy=0.02 + n / 100, family="f", tvl_usd=MILLION) for n in range(1, 5)]
    none = weighing(pools, loss_aversion=0.0, amount=None, of=lambda node: None)
    assert free_weights("yield_less_loss", pools, LOW, none, DAYS).tolist() == pytest.approx([0, 0, 0, 1])
    # but no more than can be withdrawn
    large = dataclasses.replace(none, amount_usd=2.5 * MILLION)
    assert free_weights("yield_less_loss", pools, LOW, large, DAYS).tolist() == pytest.approx([0, 0.2, 0.4, 0.4])


# The measure of the tail.


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_mean_of_the_worst_is_the_least_of_rockafellar_and_uryasevs_function(confidence: float) -> None:
    generator = np.random.default_rng(3)
    losses = generator.normal(size=60)
    for chances in (None, generator.dirichlet(np.ones(60))):
        p = np.full(60, 1 / 60) if chances is None else chances

        def at(threshold: float, p: Any = p) -> float:
            return threshold + float(p @ np.maximum(losses - threshold, 0.0)) / (1.0 - confidence)

        assert expected_shortfall(losses, chances, confidence) == pytest.approx(min(map(at, losses)), rel=1e-9)


def test_the_tail_of_one_scenario_is_that_scenario() -> None:
    assert expected_shortfall(np.array([0.3]), None, 0.95) == pytest.approx(0.3)
    for share, expected in ((0.1, 1.0), (0.05, 0.5), (0.5, 1.0)):
        assert expected_shortfall(np.array([0.0, 1.0]), np.array([1.0 - share, share]), 0.9) == pytest.approx(expected)
