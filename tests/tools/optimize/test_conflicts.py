"""Limits that cannot be kept: found, the fewest of them named, and told how far one must give way."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.optimize.conflicts import check
from tools.optimize.limits import Infeasible, Limits, read_limits

Stated = dict[str, Any]


def as_limits(stated: Stated, kept: tuple[str, ...] | None = None) -> Limits:
    """Read the limits that are ``kept`` (all if None), each by the name it has in a conflict."""
    kept = tuple(named(stated)) if kept is None else kept
    assets = stated["assets"]
    own = [stated["max_weights"][n] if f"max_weight[{n}]" in kept else 1.0 for n in range(assets)]
    groups = [group for n, group in enumerate(stated["groups"]) if f"group_caps[{n}]" in kept]
    moved = "turnover" in kept
    return read_limits(
        assets,
        stated["max_weight"] if "max_weight" in kept else 1.0,
        stated["min_weight"] if "min_weight" in kept else 0.0,
        own,
        groups,
        mean=stated["mean"],
        return_floor=stated["floor"] if "return_floor" in kept else None,
        previous=stated["previous"] if moved else None,
        turnover=stated["turnover"] if moved else None,
    )


def named(stated: Stated) -> list[str]:
    names = ["min_weight", "max_weight", *(f"max_weight[{n}]" for n in range(stated["assets"]))]
    names += [f"group_caps[{n}]" for n in range(len(stated["groups"]))]
    return [
        *names,
        *(["return_floor"] if stated["floor"] is not None else []),
        *(["turnover"] if stated["turnover"] is not None else []),
    ]


def can_be_kept(limits: Limits) -> bool:
    """Decide by a program of another form: money bought and money sold, HiGHS as it comes."""
    from scipy.optimize import linprog

    assets = limits.lower.size
    rows, values = [*limits.shares], [*limits.caps]
    if limits.mean is not None and limits.floor is not None:
        rows.append(-limits.mean * 1e3)
        values.append(-limits.floor * 1e3)
    pad = np.zeros((len(rows), 2 * assets))
    matrix = np.hstack([np.array(rows).reshape(len(rows), assets), pad])
    equal, target = [np.r_[np.ones(assets), np.zeros(2 * assets)]], [1.0]
    if limits.turnover is not None and limits.previous is not None:
        matrix = np.vstack([matrix, np.r_[np.zeros(assets), np.ones(2 * assets)]])
        values.append(limits.turnover)
        identity = np.eye(assets)
        equal += list(np.hstack([identity, -identity, identity]))
        target += list(limits.previous)
    bounds = [*zip(limits.lower, limits.upper, strict=True), *[(0.0, None)] * (2 * assets)]
    if (limits.lower > limits.upper).any():
        return False
    return bool(linprog(np.zeros(3 * assets), matrix, values, equal, target, bounds).status == 0)


def draw(seed: int) -> Stated:
    random = np.random.default_rng(seed)
    assets = int(random.integers(1, 6))
    groups = int(random.integers(0, 3))
    mean = random.normal(0.0, 1e-3, assets)
    return {
        "assets": assets,
        "max_weight": float(random.choice([1.0, 0.9, 0.4, 0.2])),
        "min_weight": float(random.choice([0.0, 0.05, 0.3])),
        "max_weights": random.choice([1.0, 0.5, 0.1], assets),
        "groups": [(random.integers(0, 2, assets), float(random.choice([0.9, 0.5, 0.1]))) for _ in range(groups)],
        "mean": mean,
        "floor": float(np.quantile(mean, random.uniform(0.3, 1.0)) + random.choice([0.0, 1e-4]))
        if random.random() < 0.5
        else None,
        "previous": random.dirichlet(np.ones(assets)),
        "turnover": float(random.choice([0.05, 0.5, 1.0])) if random.random() < 0.5 else None,
    }


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_conflict_is_found_and_is_irreducible(seed: int) -> None:
    stated = draw(seed)
    try:
        check(as_limits(stated))
    except Infeasible as error:
        conflict = error.limits
    else:
        assert can_be_kept(as_limits(stated))
        return
    assert not can_be_kept(as_limits(stated, conflict))
    for dropped in conflict:
        assert can_be_kept(as_limits(stated, tuple(name for name in conflict if name != dropped))), dropped


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_smaller_set_is_in_conflict(seed: int) -> None:
    stated = draw(seed)
    try:
        check(as_limits(stated))
    except Infeasible as error:
        size = len(error.limits)
    else:
        return
    for count in range(1, min(size, 4)):
        for some in itertools.combinations(named(stated), count):
            assert can_be_kept(as_limits(stated, some)), some


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_remedy_is_enough_and_not_more_than_that(seed: int) -> None:
    stated = draw(seed)
    limits = as_limits(stated)
    with_remedy = None
    try:
        check(limits)
    except Infeasible as error:
        with_remedy = re.search(r"; (\S+) (at least|at most) (\S+) would do", str(error))
    if with_remedy is None:
        return
    name, _, text = with_remedy.groups()
    value = float(text)
    step = 1e-5 * max(1.0, abs(value)) if name != "return_floor" else 1e-5 * float(np.ptp(stated["mean"]) + abs(value))
    looser = -step if name in ("min_weight", "return_floor") else step
    assert can_be_kept(loosened(limits, name, value + looser))
    assert not can_be_kept(loosened(limits, name, value - 5.0 * looser))


def loosened(limits: Limits, name: str, value: float) -> Limits:
    """Give one limit another value."""
    if name == "min_weight":
        return replace(limits, lower=np.full_like(limits.lower, max(value, 0.0)))
    if name == "max_weight":
        own = (limits.upper < limits.most) & (limits.upper < 1.0)
        return replace(limits, upper=np.where(own, limits.upper, min(value, 1.0)))
    if name in ("return_floor", "turnover"):
        return replace(limits, **{"floor" if name == "return_floor" else name: value})
    place = int(re.findall(r"\d+", name)[0])
    key = "upper" if name.startswith("max_weight") else "caps"
    values = np.array(getattr(limits, key))
    values[place] = value
    return replace(limits, **{key: values})


def test_a_group_has_the_name_it_was_given() -> None:
    limits = read_limits(4, group_caps=[([1, 1, 0, 0], 0.3, "protocol aave"), ([0, 0, 1, 1], 0.6, "protocol curve")])
    with pytest.raises(Infeasible, match=r"protocol curve at least 0\.7 would do") as caught:
        check(limits)
    assert caught.value.limits == ("protocol aave", "protocol curve")


def test_a_floor_above_every_mean_stands_alone() -> None:
    with pytest.raises(Infeasible, match=r"return_floor at most 0\.00029 would do") as caught:
        check(read_limits(3, 0.9, mean=[1e-4, 2e-4, 3e-4], return_floor=4e-4))
    assert caught.value.limits == ("return_floor",)


def test_a_floor_out_of_reach_of_the_turnover() -> None:
    limits = read_limits(2, mean=[1e-4, 3e-4], return_floor=2.5e-4, previous=[1.0, 0.0], turnover=1.0)
    with pytest.raises(Infeasible, match="would do") as caught:
        check(limits)
    assert caught.value.limits == ("return_floor", "turnover")
    assert "turnover at least 1.5" in str(caught.value) or "return_floor at most 0.0002" in str(caught.value)


def test_limits_that_leave_one_portfolio_are_kept() -> None:
    for assets in (6, 10, 20, 49):  # sums of n times 1/n fall on either side of 1
        check(read_limits(assets, 1.0 / assets))
        check(read_limits(assets, 1.0, 1.0 / assets, group_caps=[(np.ones(assets), 1.0)]))
    check(read_limits(3, mean=[1e-4, 1e-4, 3e-4], return_floor=3e-4))
    check(read_limits(3, previous=[0.2, 0.3, 0.5], turnover=0.0))


def test_means_that_hardly_differ_still_decide() -> None:
    mean = 1e-4 + 1e-10 * np.arange(4.0)
    check(read_limits(4, mean=mean, return_floor=float(mean[3])))
    with pytest.raises(Infeasible):
        check(read_limits(4, mean=mean, return_floor=1e-4 + 4e-10))


def test_caps_without_a_part_in_a_conflict_of_many_are_left_out() -> None:
    """Twenty pools hold 4 % each and a protocol 10 %: the caps on the protocol's own four pools do not matter."""
    own = [0.04] * 20 + [0.9] * 4
    limits = read_limits(24, max_weights=own, group_caps=[([0] * 20 + [1] * 4, 0.1, "protocol curve")])
    with pytest.raises(Infeasible) as caught:
        check(limits)
    assert caught.value.limits == (*(f"max_weight[{n}]" for n in range(20)), "protocol curve")
