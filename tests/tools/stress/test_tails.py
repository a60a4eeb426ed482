"""The worst of the simulated paths."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.stress import black_swan, worst_paths


def test_worst_first_and_ties_by_number():
    assert worst_paths([0.1, -0.5, 0.0, -0.5, -0.9], 3) == (4, 1, 3)
    assert worst_paths([0.0, 0.0, 0.0], 2) == (0, 1)


def test_worst_thousandth():
    returns = np.linspace(-0.999, 0.0, 1000)
    swan = black_swan(returns, 0.002)
    assert swan.paths == 2
    assert swan.worst == (0, 1)
    assert swan.largest_loss == pytest.approx(0.999)
    assert swan.mean_loss == pytest.approx((0.999 + 0.998) / 2)
    assert black_swan([-0.1, 0.2]).paths == 1


@given(st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=60), st.data())
def test_against_a_plain_sort(returns, data):
    k = data.draw(st.integers(1, len(returns)))
    assert worst_paths(returns, k) == tuple(sorted(range(len(returns)), key=lambda n: (returns[n], n))[:k])


@pytest.mark.parametrize(
    ("returns", "k"), [([], 1), ([0.1], 0), ([0.1], 2), ([math.nan], 1), ([0.1, math.inf], 1), ([[0.1]], 1)]
)
def test_bad_input_is_refused(returns, k):
    with pytest.raises(ValueError):
        worst_paths(returns, k)


@pytest.mark.parametrize("share", [0.0, 1.5, math.nan])
def test_a_share_is_a_fraction(share):
    with pytest.raises(ValueError, match="share"):
        black_swan([0.1], share)
