"""What the figures of a backtest claim: overfitting of noise and skill, ranges that hold, ratios that say nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evals.backtest.overfitting import EMBARGO_DAYS, PURGE_DAYS, _left_out, cscv, distinct, effective_trials
from evals.backtest.statistics import Tried, block_days, compare, figures

TRIED = Tried(40, 10.0)


def noise(strategies: int, days: int, seed: int = 0, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 0.01, (strategies, days))


def test_the_best_of_noise_is_luck_half_of_the_time() -> None:
    found = [cscv(noise(20, 168, seed)).probability for seed in range(30)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)  # type: ignore[arg-type]


def test_a_strategy_that_is_always_best_is_no_luck_and_one_that_tires_is() -> None:
    rows = noise(10, 224)
    rows[3] += 0.02
    found = cscv(rows)
    assert (found.probability, found.reason, found.blocks, found.splits) == (0.0, None, 14, math.comb(14, 7))
    assert found.rank == pytest.approx(10 / 11)
    assert found.degradation == pytest.approx(0.0, abs=1.0)
    turns = np.where(np.arange(224) // 16 % 2 == 0, 0.02, -0.02)  # what is good in a block is bad in the next
    fitted = np.vstack([turns, -turns])
    assert (cscv(fitted).probability or 0.0) > 0.5


def test_overfitting_needs_blocks_and_strategies_that_differ() -> None:
    few = cscv(noise(5, 90))
    assert (few.probability, few.reason) == (None, "90 days are fewer than the 96 of 6 blocks")
    same = cscv(np.vstack([noise(1, 200)] * 3))
    assert (same.probability, same.reason) == (None, "fewer than two strategies differ")


def test_days_beside_a_block_outside_the_sample_are_left_out_of_it() -> None:
    outside = np.zeros(60, dtype=bool)
    outside[20:30] = True
    marked = np.flatnonzero(_left_out(outside) & ~outside)
    assert marked.tolist() == [20 - PURGE_DAYS, *range(30, 30 + PURGE_DAYS + EMBARGO_DAYS)]


def test_equal_series_count_once_and_what_moves_as_one_is_one_trial() -> None:
    rows = noise(4, 300)
    assert len(distinct(np.vstack([rows, rows]))) == 4
    assert effective_trials(np.vstack([rows, rows])) == pytest.approx(4.0, abs=0.3)
    together = noise(1, 300) + 1e-6 * noise(6, 300, seed=1)
    assert effective_trials(together) == pytest.approx(1.0, abs=0.01)
    assert effective_trials(np.zeros((3, 50))) == 0.0


def test_a_ratio_of_carry_is_none_with_a_reason_and_one_of_prices_has_a_range() -> None:
    carry = 0.0003 + 1e-6 * noise(1, 200)
    bold = noise(1, 400, seed=3, mean=0.001)
    (found,) = figures(carry, 0.0, TRIED)
    assert (found.sharpe, found.sharpe_low, found.deflated_sharpe) == (None, None, None)
    assert "above 1 in size" in (found.sharpe_missing or "")
    assert found.annual_return == pytest.approx(float(np.prod(1.0 + carry)) ** (365 / 200) - 1.0, rel=1e-8)
    rows = np.vstack([bold, noise(3, 400, seed=4)])
    ratio = figures(rows, 0.0, TRIED)[0]
    assert ratio.sharpe is not None
    assert ratio.sharpe_low is not None
    assert ratio.sharpe_high is not None
    assert ratio.sharpe_low < ratio.sharpe < ratio.sharpe_high
    assert ratio.deflated_sharpe is not None
    assert ratio.deflated_sharpe_effective is not None
    assert ratio.deflated_sharpe < ratio.deflated_sharpe_effective
    short = figures(bold[:, :40], 0.0, TRIED)[0]
    assert "fewer than 60 days" in (short.sharpe_missing or "")


def test_a_difference_is_that_of_the_pairs_and_its_range_holds_it() -> None:
    own, other = noise(2, 365, seed=7)
    found = compare("a", own + 0.001, "b", other, "net")
    assert found.difference == pytest.approx(float(np.sum(np.log1p(own + 0.001) - np.log1p(other))), rel=1e-8)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.difference < found.high
    same = compare("a", own, "b", own, "net")
    assert (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)
    assert compare("a", own[:15], "b", other[:15], "net").low is None


def test_the_range_of_a_difference_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        own, other = noise(2, 360, seed=1000 + seed)
        found = compare("a", own, "b", other, "net")
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.0 <= found.high
    assert held >= 78  # of 90: few blocks, so a little too narrow


@pytest.mark.parametrize(("days", "length"), [(20, 10), (150, 15), (365, 30), (900, 30)])
def test_a_block_is_a_tenth_of_the_window_between_ten_days_and_a_month(days: int, length: int) -> None:
    assert block_days(days) == length
