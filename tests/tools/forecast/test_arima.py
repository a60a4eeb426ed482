"""ARIMA: what is kept away from the library, and what is said where the library is missing."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

from tools.errors import UsageError
from tools.forecast import arima as module
from tools.forecast.arima import arima, reason_without_fit


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def guarded(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("statsforecast"):
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", guarded)


def wandering(days: int = 200) -> np.ndarray:
    return 0.05 + np.random.default_rng(4).standard_normal(days) * 0.004


def test_without_the_library_the_error_names_the_command(without_library: None) -> None:
    with pytest.raises(UsageError, match="make forecast"):
        arima(wandering(), 7)


def test_histories_that_the_library_stumbles_over_never_reach_it(without_library: None) -> None:
    sparse = np.zeros(139)
    sparse[4] = 0.2
    for history, reason in (
        (np.full(100, 0.05), "the APY never changed"),
        (sparse, "the APY hardly ever changed"),
        (wandering(20), "fewer than 30 days of history"),
    ):
        assert reason_without_fit(history) == reason
        assert (arima(history, 7) == history[-1]).all()
    assert reason_without_fit(wandering()) is None


@pytest.mark.parametrize(
    "answer",
    [ZeroDivisionError(), np.linalg.LinAlgError(), [np.nan] * 3, [1e9] * 3],
    ids=["no model", "singular", "not finite", "runs away"],
)
def test_a_fit_that_fails_or_runs_away_gives_the_last_value(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    class Model:
        def __init__(self, **options: Any) -> None:
            pass

        def forecast(self, y: np.ndarray, h: int) -> dict[str, Any]:
            assert abs(float(y.mean())) < 1e-9
            if isinstance(answer, Exception):
                raise answer
            return {"mean": answer}

    monkeypatch.setattr(module, "_library", lambda: type("library", (), {"AutoARIMA": Model}))
    history = wandering()
    assert (arima(history, 3) == history[-1]).all()


def test_what_is_not_finite_is_refused_by_its_place() -> None:
    history = wandering()
    history[11] = np.inf
    with pytest.raises(ValueError, match=r"history\[11\]"):
        arima(history, 7)
    with pytest.raises(ValueError, match="cannot be forecast"):
        arima(wandering(), 0)


def test_a_history_that_returns_to_its_mean_is_forecast_there() -> None:
    pytest.importorskip("statsforecast", exc_type=ImportError)
    history = [0.09]
    for shock in (np.random.default_rng(1).standard_normal(300) * 0.001).tolist():
        history.append(0.05 + 0.8 * (history[-1] - 0.05) + shock)
    settled = np.array(history[50:])
    settled[-1] = 0.053
    ahead = arima(settled, 60)
    assert (np.diff(ahead) <= 0.0).all()
    assert ahead[0] < 0.0525
    assert ahead[-1] == pytest.approx(0.05, abs=0.001)
