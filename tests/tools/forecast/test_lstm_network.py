"""The network itself; what needs torch is skipped where it is not installed (see ``make forecast-test``)."""

from __future__ import annotations

import datetime as dt
import itertools
import math

import numpy as np
import pytest

from tools.forecast.baselines import ewma
from tools.forecast.lstm import (
    LOG_OFFSET,
    SCALE_FLOOR,
    VOLATILITY_FLOOR,
    Lstm,
    LstmSettings,
    Samples,
    _features,
    _labels,
    ewma_volatility,
    forecast_path,
    forecast_volatility,
    lstm_arrays,
    make_samples,
    new_lstm,
    volatility,
)
from tools.forecast.reproducible import reproducible
from tools.forecast.training import lstm_method, train_lstm
from tools.forecast.walk_forward import Origin, walk_forward
from tools.units import FloatArray

SMALL = LstmSettings(hidden=6, window_days=12, horizon_days=7, epochs=3, batch=64)


def reverting(n_series: int, days: int, seed: int) -> list[FloatArray]:
    """Series that lose half of their distance to 5 % each day: the last value is a poor forecast of them."""
    draw = np.random.default_rng(seed)
    noise = draw.normal(0, 0.01, (n_series, days))
    series = np.full((n_series, days), 0.05)
    for day in range(1, days):
        series[:, day] = 0.05 + 0.5 * (series[:, day - 1] - 0.05) + noise[:, day]
    return list(np.maximum(series, 0.0))


def test_volatility_is_the_root_mean_square_of_the_changes() -> None:
    assert volatility(np.array([0.01, -0.01, 0.02, 0.0])) == pytest.approx(math.sqrt(6e-4 / 4))
    assert volatility(np.zeros((3, 5))).tolist() == [0.0, 0.0, 0.0]


def test_the_weighted_volatility_gives_the_newest_change_most_and_needs_no_long_history() -> None:
    x = np.array([0.05, 0.06, 0.04])
    weights = np.array([0.94, 1.0]) / 1.94
    expected = math.sqrt(weights[0] * 0.01**2 + weights[1] * 0.02**2)
    assert ewma_volatility(x[None, :])[0] == pytest.approx(expected, abs=1e-15)
    steady = np.cumsum(np.tile([0.01, -0.01], 50)) + 0.1
    assert ewma_volatility(steady[None, :3])[0] == pytest.approx(0.01)
    assert ewma_volatility(steady[None, :])[0] == pytest.approx(0.01)


def test_windows_are_cut_back_from_the_last_label() -> None:
    settings = LstmSettings(window_days=3, horizon_days=2, stride_days=2)
    found = make_samples([np.arange(8.0), np.arange(4.0)], settings)  # the second is too short
    assert found.windows.tolist() == [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]
    assert found.ahead.tolist() == [[4.0, 5.0], [6.0, 7.0]]


def test_series_that_teach_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no series has the 19 days"):
        make_samples([np.zeros(18)], SMALL)
    with pytest.raises(ValueError, match=r"series\[1\]"):
        make_samples([np.zeros(30), np.full(30, math.nan)], SMALL)
    with pytest.raises(ValueError, match="hidden"):
        LstmSettings(hidden=0)


def test_the_labels_are_the_scaled_change_and_the_logarithm_of_the_volatility() -> None:
    draw = np.random.default_rng(0)
    window, ahead = draw.uniform(0.04, 0.06, (1, 12)), draw.uniform(0.04, 0.06, (1, 10))
    labels = _labels(Samples(window, ahead))[0]
    scale = SCALE_FLOOR + window.mean()
    np.testing.assert_allclose(labels[:10], (ahead[0] - ewma(window, 1)[0]) / scale, atol=1e-12)
    week = [window[0, -1], *ahead[0, :7]]
    realised = math.sqrt(sum((b - a) ** 2 for a, b in itertools.pairwise(week)) / 7)
    expected = math.log((VOLATILITY_FLOOR + realised) / (VOLATILITY_FLOOR + ewma_volatility(window)[0]))
    assert labels[10] == pytest.approx(expected, abs=1e-12)


@pytest.fixture(scope="module")
def torch() -> object:
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def trained(torch: object) -> Lstm:
    return train_lstm(reverting(6, 60, 0), SMALL)


def test_an_untrained_network_is_the_smoother(torch: object) -> None:
    series = reverting(3, 40, 1)
    with reproducible(0):
        lstm = new_lstm(series, SMALL)
        ahead = forecast_path(lstm, np.stack(series), 7)
        moves = forecast_volatility(lstm, np.stack(series))
    np.testing.assert_allclose(ahead, ewma(np.stack(series)[:, -12:], 7), rtol=1e-12)
    np.testing.assert_allclose(moves, ewma_volatility(np.stack(series)[:, -12:]), rtol=1e-9)


def test_training_twice_gives_the_same_bits_whatever_the_threads_and_the_seed_before(
    torch: object, trained: Lstm
) -> None:
    import torch as library

    library.manual_seed(99)
    library.rand(3)
    threads = library.get_num_threads()
    library.set_num_threads(2)
    try:
        again = train_lstm(reverting(6, 60, 0), SMALL)
        assert library.get_num_threads() == 2
    finally:
        library.set_num_threads(threads)
    one, other = lstm_arrays(trained, with_optimiser=True), lstm_arrays(again, with_optimiser=True)
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name


def test_training_leaves_torch_as_it_was(torch: object) -> None:
    import torch as library

    library.manual_seed(5)
    expected = library.rand(4)
    library.manual_seed(5)
    train_lstm(reverting(2, 30, 0), SMALL)
    assert library.equal(library.rand(4), expected)
    assert not library.are_deterministic_algorithms_enabled()


def test_another_seed_gives_another_network(trained: Lstm) -> None:
    other = train_lstm(reverting(6, 60, 0), LstmSettings(**(vars(SMALL) | {"seed": 1})))
    assert not np.array_equal(
        lstm_arrays(trained, with_optimiser=False)["module/memory.weight_ih_l0"],
        lstm_arrays(other, with_optimiser=False)["module/memory.weight_ih_l0"],
    )


def test_it_learns_what_can_be_learnt(torch: object) -> None:
    lstm = train_lstm(
        reverting(12, 200, 0), LstmSettings(hidden=12, window_days=12, horizon_days=7, epochs=12, batch=128)
    )
    unseen = np.stack(reverting(200, 60, 7))
    ahead = forecast_path(lstm, unseen[:, :-7], 7)
    own, last = ahead - unseen[:, -7:], unseen[:, [-8]] - unseen[:, -7:]
    ratio = math.sqrt(np.mean(own[:, 2:] ** 2) / np.mean(last[:, 2:] ** 2))
    assert ratio < 0.80  # the best there is: 1/√2 = 0.71, as the last value errs by its own distance as well


def test_only_the_window_counts(trained: Lstm) -> None:
    history = np.stack(reverting(2, 60, 3))
    before = history.copy()
    before[:, :-12] = 9.0
    np.testing.assert_array_equal(forecast_path(trained, before, 7), forecast_path(trained, history, 7))
    np.testing.assert_array_equal(forecast_volatility(trained, before), forecast_volatility(trained, history))


def test_a_short_history_is_taken_to_have_stood_still_before(trained: Lstm) -> None:
    short = np.array([[0.03, 0.04]])
    long = np.array([[0.03] * 11 + [0.04]])
    np.testing.assert_array_equal(forecast_path(trained, short, 7), forecast_path(trained, long, 7))


def test_forecasts_are_never_below_zero(trained: Lstm) -> None:
    history = np.stack([np.zeros(20), np.r_[np.full(19, 5.0), 0.0], np.full(20, 1e-7)])
    assert (forecast_path(trained, history, 7) >= 0.0).all()
    assert (forecast_volatility(trained, history) >= 0.0).all()


def test_wrong_questions_are_refused(trained: Lstm) -> None:
    with pytest.raises(ValueError, match="1 to 7 days, not for 8"):
        forecast_path(trained, np.full((1, 20), 0.05), 8)
    with pytest.raises(ValueError, match=r"histories\[1, 3\] is nan"):
        forecast_path(trained, np.where(np.arange(10).reshape(2, 5) == 8, np.nan, 0.05), 7)
    with pytest.raises(ValueError, match="shape"):
        forecast_volatility(trained, np.full(20, 0.05))


def test_the_features_are_the_shape_the_change_and_the_level(trained: Lstm) -> None:
    window = np.array([[0.02, 0.03, 0.05]])
    level = np.log(LOG_OFFSET + window[0])
    found = _features(window, trained.scaling)[0]
    np.testing.assert_allclose(found[:, 0], level - level.mean(), atol=1e-12)
    np.testing.assert_allclose(found[:, 1], [0.0, *np.diff(level)], atol=1e-12)
    np.testing.assert_allclose(found[:, 2], (level - trained.scaling.mean) / trained.scaling.deviation, atol=1e-12)


def origins_of(series: list[FloatArray], every: int = 30) -> list[Origin]:
    days = range(40, series[0].size - 7, every)
    start = dt.date(2024, 1, 1)
    return [
        Origin(start + dt.timedelta(days=n), tuple(range(len(series))), tuple(one[: n + 1] for one in series))
        for n in days
    ]


def test_it_is_scored_walk_forward_without_seeing_what_came(torch: object) -> None:
    series = reverting(4, 200, 2)
    origins = origins_of(series)
    found = walk_forward(origins, 4, lstm_method(SMALL), horizons=(1, 7))
    assert np.isfinite(found[7].mean).all()
    # The first origins have less than a window and its labels once the embargo is off: the smoother.
    np.testing.assert_allclose(found[7].mean[0], ewma(np.stack(series)[:, :41], 1)[:, 0])
    changed = [np.r_[one[:131], one[131:] + 1.0] for one in series]
    again = walk_forward(origins_of(changed), 4, lstm_method(SMALL), horizons=(1, 7))
    known = sum(origin.day <= dt.date(2024, 1, 1) + dt.timedelta(days=130) for origin in origins)
    assert 0 < known < len(origins)
    np.testing.assert_array_equal(found[7].mean[:known], again[7].mean[:known])
    assert not np.array_equal(found[7].mean[known:], again[7].mean[known:])
