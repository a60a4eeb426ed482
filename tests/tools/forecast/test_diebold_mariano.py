"""The test of Diebold and Mariano against its formula written out, its size, and several series that move together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

from tools.forecast.diebold_mariano import compare, diebold_mariano, student_tail


def naive(d: list[float], k: int) -> float:
    """The corrected statistic in loops."""
    n = len(d)
    mean = sum(d) / n
    variance = 0.0
    for lag in range(k):
        covariance = sum((d[t] - mean) * (d[t - lag] - mean) for t in range(lag, n)) / n
        variance += covariance if lag == 0 else 2.0 * (1.0 - lag / k) * covariance
    return mean / math.sqrt(variance / n) * math.sqrt((n + 1 - 2 * k + k * (k - 1) / n) / n)


@pytest.mark.parametrize("overlap", [1, 2, 5])
def test_statistic_and_p_value_equal_the_formula(overlap: int) -> None:
    d = np.random.default_rng(1).standard_normal(60) + 0.3
    found = diebold_mariano(d, overlap)
    expected = naive(d.tolist(), overlap)
    assert found.statistic == pytest.approx(expected, rel=1e-12)
    assert found.p_value == pytest.approx(student.sf(expected, 59), abs=1e-13)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 30, 187, 188])
def test_tail_of_students_t(degrees: int) -> None:
    for statistic in (-30.0, -3.0, -0.5, 0.0, 1e-3, 0.7, 2.2, 9.0, 50.0):
        assert student_tail(statistic, degrees) == pytest.approx(student.sf(statistic, degrees), abs=1e-13)


def test_what_cannot_be_tested_says_why() -> None:
    assert diebold_mariano(np.zeros(20)).reason == "both make the same errors"
    assert diebold_mariano(np.full(20, 0.1)).reason == "the difference of the losses never changed"
    assert diebold_mariano(np.ones(5)).reason == "fewer than 8 origins"
    assert diebold_mariano(np.arange(11.0), overlap=6).reason == "fewer than 12 origins"
    with pytest.raises(ValueError, match="finite"):
        diebold_mariano([0.0, math.nan])
    with pytest.raises(ValueError, match="overlap"):
        diebold_mariano(np.ones(20), 0)


def test_alternating_differences_have_a_variance_all_the_same() -> None:
    d = np.where(np.arange(40) % 2, -1.0, 1.0) + 0.01 * np.arange(40)
    assert diebold_mariano(d, overlap=2).p_value is not None


def test_the_test_rejects_about_as_often_as_it_should_when_forecasts_overlap() -> None:
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(600):
        shocks = rng.standard_normal(104)
        overlapping = np.convolve(shocks, np.ones(5), mode="valid")  # five neighbours share their shocks
        found = diebold_mariano(overlapping, overlap=5)
        hits += found.p_value is not None and found.p_value < 0.05
    assert 0.03 <= hits / 600 <= 0.13  # Bartlett's weights make it a little too ready; without lags it is above 0.2


def errors(origins: int = 80, series: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rival = rng.standard_normal((origins, series)) * 0.01
    return rival * 0.8, rival


def test_ratio_wins_and_interval_of_a_method_that_is_a_fifth_better() -> None:
    own, rival = errors()
    found = compare(own, rival, 7, 7)
    assert (found.series, found.forecasts) == (6, 480)
    for value in (found.ratio, found.ratio_mean, found.ratio_low, found.ratio_high):
        assert value == pytest.approx(0.8, rel=1e-9)
    assert found.wins == 1.0
    assert found.test.p_value is not None
    assert found.test.p_value < 1e-6


def test_a_wild_series_counts_no_more_than_a_calm_one() -> None:
    own, rival = errors()
    own = own + np.random.default_rng(5).standard_normal(own.shape) * 0.003
    wild = np.array([1.0, 1000.0, 1.0, 1e-3, 1.0, 1.0])
    plain, scaled = compare(own, rival, 7, 7), compare(own * wild, rival * wild, 7, 7)
    assert scaled.test.p_value == pytest.approx(plain.test.p_value, rel=1e-9)
    assert scaled.ratio == pytest.approx(plain.ratio, rel=1e-12)


def test_the_same_series_ten_times_proves_no_more_than_once() -> None:
    rng = np.random.default_rng(2)
    rival = rng.standard_normal((40, 1))
    own = rival * 0.9 + rng.standard_normal((40, 1)) * 0.2
    once, often = compare(own, rival, 1, 7), compare(np.tile(own, 10), np.tile(rival, 10), 1, 7)
    assert often.test.p_value == pytest.approx(once.test.p_value, rel=1e-9)


def test_only_forecasts_that_both_made_count() -> None:
    own, rival = errors()
    own[1::4] = rival[1::4]
    sampled = own.copy()
    sampled[1::4] = np.nan
    kept = [row for row in range(80) if row % 4 != 1]
    assert compare(sampled, rival, 7, 7) == compare(own[kept], rival[kept], 7, 7)


def test_series_that_are_short_or_that_the_rival_never_misses_are_left_out() -> None:
    own, rival = errors(series=3)
    own[7:, 0] = np.nan
    rival[:, 1] = 0.0
    found = compare(own, rival, 7, 7)
    assert found.series == 1
    nothing = compare(own[:, :2], rival[:, :2], 7, 7)
    assert nothing.ratio is None
    assert nothing.reason == "no series has 8 forecasts"


def test_too_few_origins_have_no_interval() -> None:
    own, rival = errors(origins=20)
    found = compare(own, rival, 7, 7)
    assert found.ratio is not None
    assert found.ratio_low is None


def test_the_interval_covers_the_ratio_and_repeats() -> None:
    own, rival = errors()
    own = own + np.random.default_rng(9).standard_normal(own.shape) * 0.004
    found = compare(own, rival, 30, 7)
    assert found.ratio_low is not None
    assert found.ratio is not None
    assert found.ratio_high is not None
    assert found.ratio_low < found.ratio < found.ratio_high
    assert compare(own, rival, 30, 7) == found
