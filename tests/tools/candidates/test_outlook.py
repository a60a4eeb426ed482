"""What a year may bring: closed forms, drawn years that agree with them, and names that change nothing."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
from made_market import AS_OF, BY_HAND, losses, pool, universe
from weighed import DAYS, by_kind, hazard, outlook_of, random_pools, renamed

from tools.candidates import CandidateSet, Draft, measure
from tools.candidates.outlook import YEARS, daily_returns
from tools.exposure import exposures
from tools.risk.hazards import Hazards
from tools.strategies.universe import Pool

LEVELS = ("low", "central", "high")


def still(number: int, family: str, **options: Any) -> Pool:
    """A pool whose yield never moves."""
    return pool(number, series=[0.05] * 120, family=family, project=family, issuer_shares={}, **options)


def protocols(rate: float, low: float = 0.2, high: float = 1.0) -> Any:
    return lambda node: hazard(rate, low, high) if node.startswith("protocol:") else None


# The drawn years.


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", range(4))
def test_everything_fails_as_often_as_it_should_and_as_hard(level: Any, seed: int) -> None:
    pools = random_pools(seed)
    outlook = outlook_of(pools, level=level, seed=seed)
    rates = {node: by_kind(node) for node in outlook.nodes}
    assert set(outlook.struck) == set(outlook.nodes)
    for node, rate in zip(outlook.nodes, outlook.rates, strict=True):
        found = rates[node]
        assert found is not None
        assert rate == {"low": found.rate_low, "central": found.rate, "high": found.rate_high}[level]
        assert abs(outlook.struck[node].size - rate * YEARS) < 1.0


@pytest.mark.parametrize(("low", "high"), [(0.2, 1.0), (0.5, 0.5), (0.0, 0.1)])
@pytest.mark.parametrize("rate", [0.0031, 0.02, 0.7])
def test_the_mean_of_what_is_lost_is_right_in_the_sample(rate: float, low: float, high: float) -> None:
    outlook = outlook_of([still(1, "aave")], protocols(rate, low, high))
    lost = 1.0 - outlook.left[:, 0]
    struck = outlook.struck["protocol:aave"]
    assert lost.sum() == pytest.approx(struck.size * (low + high) / 2.0, rel=1e-9)
    assert np.flatnonzero(lost).tolist() == struck.tolist()
    assert (lost[struck].min(), lost[struck].max()) == pytest.approx((low, high), abs=(high - low) / struck.size)


def test_what_fails_more_than_once_a_year_does_so_in_some_years() -> None:
    outlook = outlook_of([still(1, "aave")], protocols(1.5, 0.1, 0.1))
    left = outlook.left[:, 0]
    times = np.round(np.log(left) / math.log(0.9)).astype(int)
    assert abs(times.sum() - 1.5 * YEARS) <= 1
    assert times.max() >= 3
    assert (left > 0.0).all()


def test_what_nothing_can_happen_to_keeps_everything() -> None:
    outlook = outlook_of([still(1, "aave"), still(2, "morpho")], lambda node: None)
    assert (outlook.nodes, outlook.lost.shape, outlook.left.min()) == ((), (2, 0), 1.0)
    years = outlook.years([still(1, "aave"), still(2, "morpho")], DAYS)
    assert years.returns == pytest.approx(np.array([[0.05, 0.05]]))
    assert (years.probabilities.tolist(), years.numbers.tolist()) == ([1.0], [-1])


def test_another_seed_draws_other_years() -> None:
    pools = random_pools(0)
    assert (outlook_of(pools).left == outlook_of(pools).left).all()
    assert not (outlook_of(pools).left == outlook_of(pools, seed=1).left).all()


def test_two_protocols_fail_together_as_often_as_chance_has_it() -> None:
    outlook = outlook_of([still(1, "aave"), still(2, "morpho", chain="Base")], protocols(0.2))
    both = np.intersect1d(outlook.struck["protocol:aave"], outlook.struck["protocol:morpho"]).size
    assert both / YEARS == pytest.approx(0.04, abs=5 * math.sqrt(0.04 / YEARS))


def test_neither_names_nor_ids_nor_order_change_a_year() -> None:
    pools = random_pools(2)

    plain, other = outlook_of(pools), outlook_of([renamed(p) for p in pools])
    assert other.left == pytest.approx(plain.left, abs=1e-15)
    turned = outlook_of(pools[::-1])
    assert turned.left[:, ::-1].tolist() == plain.left.tolist()
    assert turned.expected_loss(pools).tolist() == plain.expected_loss(pools).tolist()


def test_a_pool_beside_the_others_changes_no_year_of_what_it_does_not_hang_on() -> None:
    pools = [still(n, f"f{n}", chain=f"Chain {n}", tokens=(f"T{n}",)) for n in (1, 2, 3)]
    few, more = outlook_of(pools[:2], protocols(0.1)), outlook_of(pools, protocols(0.1))
    assert more.left[:, :2].tolist() == few.left.tolist()


# The years as scenarios.


def test_quiet_years_are_one_with_the_probability_of_all() -> None:
    pools = random_pools(1)
    outlook = outlook_of(pools)
    for some in (pools, pools[:1], pools[3:6]):
        years = outlook.years(some, DAYS)
        left = outlook.left[:, [outlook.row_of[p.id] for p in some]]
        quiet = int((left == 1.0).all(axis=1).sum())
        assert years.numbers[0] == -1
        assert years.probabilities[0] == quiet / YEARS > 0.0
        assert years.probabilities[1:].tolist() == [1.0 / YEARS] * (YEARS - quiet)
        assert math.fsum(years.probabilities) == pytest.approx(1.0, abs=1e-12)
        assert not (left[years.numbers[1:]] == 1.0).all(axis=1).any()
        grown = (1.0 + years.returns) / (1.0 + years.returns[0])
        assert grown[1:] == pytest.approx(left[years.numbers[1:]])
        assert (years.probabilities[:, None] * grown).sum(axis=0) == pytest.approx(left.mean(axis=0))


def test_what_fails_in_a_year_is_named_only_where_it_takes_something() -> None:
    pools = [still(1, "aave", chain="Base"), still(2, "morpho")]
    outlook = outlook_of(pools, protocols(0.3))
    both, aave = (outlook.struck[f"protocol:{name}"] for name in ("aave", "morpho"))
    year = int(np.intersect1d(both, aave)[0])
    assert outlook.failing(year, pools) == ["protocol:aave", "protocol:morpho"]
    assert outlook.failing(year, pools[:1]) == ["protocol:aave"]
    quiet = next(n for n in range(YEARS) if n not in both and n not in aave)
    assert outlook.failing(quiet, pools) == []


# Closed forms.


def test_the_expected_loss_is_that_of_the_all_in_view() -> None:
    for seed, level in itertools.product((0, 1), LEVELS):
        pools = random_pools(seed)
        weights = np.arange(1.0, len(pools) + 1.0) / sum(range(len(pools) + 1))
        draft = Draft("balanced_apy", "equal", tuple(pools), weights, BY_HAND, revised=False, raised=False)
        found = measure(CandidateSet((draft,), (), DAYS), universe(pools), AS_OF, 0.04)
        (view,) = losses(found, hits=exposures(pools, AS_OF), hazard=by_kind, hazard_level=level)
        own = outlook_of(pools, level=level).expected_loss(pools)
        assert math.fsum(own * weights) == pytest.approx(view.all_in.expected_loss, rel=1e-9)


def test_the_drawn_years_lose_what_is_expected() -> None:
    pools = random_pools(0)
    outlook = outlook_of(pools)
    assert 1.0 - outlook.left.mean(axis=0) == pytest.approx(outlook.expected_loss(pools), rel=0.03)


def test_the_covariance_of_two_pools_is_that_of_what_they_share() -> None:
    """E[L²] of a loss that is uniform between a fifth and all, at the rate of each thing that both or one hang on."""
    rates = {"protocol:aave": 0.02, "protocol:morpho": 0.05, "chain:Ethereum": 0.01}
    pools = [still(1, "aave"), still(2, "morpho")]
    outlook = outlook_of(pools, lambda node: hazard(rates[node]) if node in rates else None)
    square = (0.2**2 + 0.2 * 1.0 + 1.0**2) / 3.0
    expected = [[0.03 * square, 0.01 * square], [0.01 * square, 0.06 * square]]
    assert outlook.covariance(pools, DAYS) == pytest.approx(np.array(expected), rel=1e-9)


def test_what_varies_in_the_yield_comes_on_top() -> None:
    pools = random_pools(0)
    carry, events = outlook_of(pools, lambda node: None), outlook_of(pools)
    still_ones = [dataclasses.replace(p, history=still(1, "x").history) for p in pools]
    total = carry.covariance(pools, DAYS) + events.covariance(still_ones, DAYS)
    assert events.covariance(pools, DAYS) == pytest.approx(total, rel=1e-9)
    assert np.diag(carry.covariance(pools, DAYS)).min() > 0.0


@pytest.mark.parametrize("seed", range(5))
def test_a_covariance_is_one(seed: int) -> None:
    pools = random_pools(seed)
    matrix = outlook_of(pools).covariance(pools, DAYS)
    assert matrix == pytest.approx(matrix.T, abs=1e-18)
    assert np.linalg.eigvalsh(matrix).min() >= -1e-12 * np.abs(matrix).max()
    some = outlook_of(pools).covariance(pools[4:1:-1], DAYS)
    events = outlook_of(pools, lambda node: None)
    part = matrix - events.covariance(pools, DAYS)
    assert some - events.covariance(pools[4:1:-1], DAYS) == pytest.approx(part[4:1:-1, 4:1:-1], abs=1e-15)


# The yield to expect.


def test_rates_that_differ_for_good_are_taken_as_they_are_and_noise_as_none() -> None:
    steady = [still(n, f"f{n}") for n in range(1, 7)]
    steady = [
        dataclasses.replace(p, row=dataclasses.replace(p.row, apy=0.02 * n),
                            history=pool(1, series=0.02 * n + 1e-5 * np.sin(np.arange(120) + n)).history)
        for n, p in enumerate(steady, start=1)
    ]  # fmt: skip
    plain = outlook_of(steady, lambda node: None)
    assert plain.net_apy(steady, DAYS) == pytest.approx([p.row.apy for p in steady], rel=1e-3)
    generator = np.random.default_rng(0)
    noisy = [
        dataclasses.replace(p, history=pool(1, series=np.clip(generator.normal(0.07, 0.05, 120), 0.0, 1.0)).history)
        for p in steady
    ]
    shrunk = outlook_of(noisy, lambda node: None).net_apy(noisy, DAYS)
    assert shrunk.mean() == pytest.approx(0.07)
    assert np.ptp(shrunk) < 0.75 * 0.10
    assert (np.diff(shrunk) > 0.0).all()


def test_what_is_expected_of_a_pool_does_not_depend_on_those_it_is_weighed_with() -> None:
    pools = random_pools(2, noise=5e-3)
    outlook = outlook_of(pools)
    assert outlook.net_apy(pools[3:6], DAYS).tolist() == outlook.net_apy(pools, DAYS)[3:6].tolist()
    years = [outlook.years(some, DAYS).returns[0] for some in (pools, pools[3:6])]
    assert years[1].tolist() == years[0][3:6].tolist()


def test_what_events_take_is_taken_from_the_yield() -> None:
    pools = random_pools(3)
    with_events, without = outlook_of(pools), outlook_of(pools, lambda node: None)
    taken = without.net_apy(pools, DAYS) - with_events.net_apy(pools, DAYS)
    assert taken == pytest.approx(with_events.expected_loss(pools))
    assert taken.min() > 0.0


def test_daily_returns_are_those_of_the_last_days_one_column_a_pool() -> None:
    pools = random_pools(0)[:3]
    found = daily_returns(pools, 30)
    assert found.shape == (30, 3)
    assert (1.0 + found[-1, 2]) ** 365 - 1.0 == pytest.approx(pools[2].history.apy[-1])


def test_the_hazards_of_the_project_fit_in() -> None:
    """Known names, with what is known of them: every hazard gives a rate, every rate its years."""
    pools = [pool(1), pool(2, family="curve", project="curve-dex", tokens=("DAI", "USDC"))]
    found = Hazards(AS_OF, [], {}, {})
    outlook = outlook_of(pools, found.of)
    assert {"protocol:aave", "protocol:curve"} <= set(outlook.nodes)
    assert (outlook.rates >= 0.0).all()
    assert 0.0 < outlook.expected_loss(pools).max() < 0.2
