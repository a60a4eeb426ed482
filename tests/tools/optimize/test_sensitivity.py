"""How much of the money moves when the window does."""

from __future__ import annotations

import numpy as np
import pytest

from tools.optimize import optimize
from tools.optimize.moments import Undefined
from tools.optimize.sensitivity import moved, weight_shift, window_shift
from tools.units import FloatArray


def best_mean(returns: FloatArray) -> FloatArray:
    weights = np.zeros(returns.shape[1])
    weights[int(np.argmax(returns.mean(axis=0)))] = 1.0
    return weights


def test_money_that_lies_elsewhere() -> None:
    assert moved(np.array([0.5, 0.5, 0.0]), np.array([0.2, 0.5, 0.3])) == pytest.approx(0.3)
    assert moved(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0


def test_the_younger_half_decides() -> None:
    returns = np.array([[9.0, 0.0]] * 5 + [[0.0, 1.0]] * 5)
    assert weight_shift(best_mean, returns) == 1.0
    assert weight_shift(best_mean, returns[::-1]) == 0.0
    assert weight_shift(lambda days: np.array([0.5, 0.5]), returns) == 0.0
    odd = np.array([[9.0, 0.0]] * 2 + [[0.0, 1.0]] * 3)
    assert weight_shift(lambda days: np.array([days.shape[0], 5.0 - days.shape[0]]) / 5.0, odd) == pytest.approx(0.4)


def test_known_weights_are_not_computed_again() -> None:
    seen: list[int] = []

    def solve(days: FloatArray) -> FloatArray:
        seen.append(days.shape[0])
        return best_mean(days)

    weight_shift(solve, np.ones((10, 2)), np.array([1.0, 0.0]))
    assert seen == [5]


def test_windows_give_mean_and_largest() -> None:
    returns = np.array([[9.0, 0.0]] * 5 + [[0.0, 1.0]] * 5)
    report = window_shift(best_mean, returns, [2, 5, 10])
    assert report.shifts == (1.0, 1.0, 0.0)
    assert report.mean == pytest.approx(2 / 3)
    assert report.largest == 1.0


@pytest.mark.parametrize("windows", [[], [1], [11], [5, 0]])
def test_windows_that_are_none_are_said(windows: list[int]) -> None:
    with pytest.raises(Undefined, match="windows"):
        window_shift(best_mean, np.ones((10, 2)), windows)


def test_least_variance_moves_less_than_the_best_mean() -> None:
    returns = np.random.default_rng(0).normal(0.0, [0.01, 0.02, 0.03], (200, 3))
    steady = weight_shift(lambda days: optimize(days, "min_variance"), returns)
    assert 0.0 < steady < 0.2
