"""Walking forward: nothing is seen before its day, models are fitted again on time and at a distance."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from tools.forecast.baselines import last_value
from tools.forecast.walk_forward import Origin, Trained, forecast_all, one_by_one, purged_split, walk_forward

START = dt.date(2024, 1, 1)
DAYS = np.linspace(0.02, 0.08, 400)


def origins(count: int = 30, step: int = 7) -> list[Origin]:
    """Two series: one from the start, one that begins later and ends before the others."""
    found = []
    for number in range(count):
        seen = 100 + step * number
        both = number in range(5, 20)
        histories = (DAYS[:seen], DAYS[40:seen]) if both else (DAYS[:seen],)
        found.append(Origin(START + dt.timedelta(days=seen), (0, 2) if both else (0,), histories))
    return found


def test_a_forecast_stands_at_its_origin_and_series_and_nowhere_else() -> None:
    found = walk_forward(origins(), 3, last_value, horizons=(1, 7))
    assert np.isfinite(found[7].mean[:, 0]).all()
    assert np.isnan(found[7].mean[:, 1]).all()
    assert np.isfinite(found[7].mean[:, 2]).tolist() == [number in range(5, 20) for number in range(30)]
    assert found[1].value[3, 0] == DAYS[100 + 21 - 1]


def test_mean_and_value_are_of_the_first_days_of_the_path() -> None:
    path = one_by_one(lambda history, horizon: history[-1] + np.arange(1.0, horizon + 1))
    found = walk_forward(origins(1), 1, path, horizons=(1, 7, 30))
    today = DAYS[99]
    assert found[1].mean[0, 0] == pytest.approx(today + 1)
    assert found[7].mean[0, 0] == pytest.approx(today + 4)
    assert found[7].value[0, 0] == pytest.approx(today + 7)
    assert found[30].mean[0, 0] == pytest.approx(today + 15.5)


def test_every_nth_origin_only() -> None:
    found = walk_forward(origins(10), 3, last_value, horizons=(1,), every=4)
    assert np.flatnonzero(np.isfinite(found[1].mean[:, 0])).tolist() == [0, 4, 8]


def test_a_model_is_fitted_again_when_due_and_never_sees_the_embargo() -> None:
    fits: list[tuple[int, ...]] = []

    def fit(histories: tuple[np.ndarray, ...], horizons: tuple[int, ...]) -> object:
        assert horizons == (1, 7)
        fits.append(tuple(history.size for history in histories))
        newest = max(float(history[-1]) for history in histories)
        return lambda series, horizon: np.full((len(series), horizon), newest)

    found = walk_forward(origins(), 3, Trained(fit, refit_days=91, embargo_days=28), horizons=(1, 7))
    assert fits == [(72,), (163, 123), (254,)]  # origins 0, 13 and 26: 100, 191 and 282 days less 28
    assert (found[1].mean[:13, 0] == DAYS[71]).all()
    assert (found[1].mean[13:26, 0] == DAYS[162]).all()


def test_a_model_without_anything_to_learn_from_waits() -> None:
    def fit(histories: tuple[np.ndarray, ...], horizons: tuple[int, ...]) -> object:
        return last_value

    found = walk_forward(origins(10), 3, Trained(fit, embargo_days=120), horizons=(1,))
    assert np.isfinite(found[1].mean[:, 0]).tolist() == [False] * 3 + [True] * 7


def test_histories_of_different_lengths_keep_their_places() -> None:
    histories = [DAYS[:50], DAYS[:80], DAYS[:50] * 2]
    assert forecast_all(last_value, histories, 2)[:, 0].tolist() == [DAYS[49], DAYS[79], DAYS[49] * 2]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda series, horizon: np.zeros((len(series), horizon - 1)),
        lambda series, horizon: np.full((len(series), horizon), np.nan),
    ],
)
def test_a_forecast_of_another_shape_or_not_finite_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="finite and 3 days long"):
        forecast_all(wrong, [DAYS[:50]], 3)  # type: ignore[arg-type]


def test_a_validation_lies_an_embargo_behind_what_is_learnt() -> None:
    end, start = purged_split(300, 30, share=0.2, embargo_days=28)
    assert (end, start) == (212, 240)
    with pytest.raises(ValueError, match="nothing to learn"):
        purged_split(60, 30, share=0.2)
