"""Whole basis points that add up to 100 %."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.optimize import round_weights


@pytest.mark.parametrize(
    ("weights", "upper", "expected"),
    [
        ([1 / 3] * 3, [1.0] * 3, [0.3334, 0.3333, 0.3333]),
        ([0.29, 0.71], [0.29, 1.0], [0.29, 0.71]),
        ([0.25, 0.25, 0.25, 0.25], [0.25] * 4, [0.25] * 4),
        ([0.2500449, 0.3499551, 0.4], [1.0] * 3, [0.25, 0.35, 0.4]),
        (
            [0.33336, 0.33333, 0.33331],
            [0.33336, 1.0, 1.0],
            [0.3333, 0.3334, 0.3333],
        ),  # the largest remainder is at its bound
        (
            [0.03235, 0.03305, 0.9346],
            [1.0] * 3,
            [0.0324, 0.033, 0.9346],
        ),  # a tie, though 330.5 is more than 323.5 in floats
        ([0.5, 0.49997, 0.00003, 0.0], [0.5, 1.0, 1.0, 1.0], [0.5, 0.5, 0.0, 0.0]),
    ],
)
def test_largest_remainders(weights: list[float], upper: list[float], expected: list[float]) -> None:
    assert round_weights(weights, upper).tolist() == expected


def test_thirds_capped_at_a_third_stay_as_they_are() -> None:
    assert round_weights([1 / 3] * 3, [1 / 3] * 3).tolist() == [1 / 3] * 3


def test_a_zero_stays_a_zero() -> None:
    assert round_weights([1 / 3, 1 / 3, 1 / 3, 0.0], [1 / 3, 1 / 3, 1 / 3, 1.0]).tolist() == [1 / 3, 1 / 3, 1 / 3, 0.0]


def test_a_group_is_not_rounded_above_its_cap() -> None:
    weights = [0.12508, 0.12492 + 0.25, 0.25004, 0.24996]
    assert round_weights(weights, [1.0] * 4).tolist() == [0.1251, 0.3749, 0.25, 0.25]
    capped = round_weights([0.12505, 0.37495, 0.25002, 0.24998], [1.0] * 4, [([1, 1, 0, 0], 0.5)])
    assert capped[:2].sum() == pytest.approx(0.5, abs=1e-12)
    tight = round_weights([0.12505, 0.37485, 0.25005, 0.25005], [1.0] * 4, [([1, 1, 0, 0], 0.4999)])
    assert tight.tolist() == [0.1251, 0.3748, 0.2501, 0.25]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_laws(assets: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.dirichlet(np.ones(assets))
    upper = np.minimum(weights + random.uniform(0.0, 2e-4, assets), 1.0)
    rounded = round_weights(weights, upper)
    assert rounded.sum() == pytest.approx(1.0, abs=1e-12)
    assert (rounded <= upper + 1e-12).all()
    if (rounded != weights).any():
        assert rounded * 10_000 == pytest.approx((rounded * 10_000).round(), abs=1e-9)
        assert np.abs(rounded - weights).max() < 1e-4
        assert (round_weights(rounded, upper) == rounded).all()


@pytest.mark.parametrize("weights", [[0.5, 0.4], [1.2, -0.2], [float("nan"), 1.0], [[1.0]]])
def test_what_are_no_weights_is_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        round_weights(weights, [1.0, 1.0])


def test_a_named_group_counts_like_another() -> None:
    weights = [0.12505, 0.37485, 0.25005, 0.25005]
    tight = round_weights(weights, [1.0] * 4, [([1, 1, 0, 0], 0.4999, "protocol aave")])
    assert tight.tolist() == [0.1251, 0.3748, 0.2501, 0.25]


def test_a_return_floor_moves_the_points_to_those_who_earn_most() -> None:
    weights, mean = [0.50004, 0.49996], [3e-4, 1e-4]
    assert round_weights(weights, [1.0] * 2).tolist() == [0.5, 0.5]
    floor = float(np.dot(weights, mean))
    assert round_weights(weights, [1.0] * 2, mean=mean, return_floor=floor).tolist() == [0.5001, 0.4999]
    assert round_weights(weights, [0.50005, 1.0], mean=mean, return_floor=floor).tolist() == weights


def test_a_turnover_is_kept() -> None:
    weights, previous = [0.50004, 0.49996], [0.5002, 0.4998]
    moved = float(np.abs(np.subtract(weights, previous)).sum())
    rounded = round_weights(weights, [1.0] * 2, previous=previous, turnover=moved)
    assert rounded.tolist() == [0.5001, 0.4999]
