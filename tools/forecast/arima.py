"""ARIMA on APY: the order is chosen for every history by AICc, as AutoARIMA of statsforecast does.

Hyndman & Khandakar, "Automatic time series forecasting", Journal of Statistical Software 27(3), 2008. Needs the
``forecast`` extra. What the library is known to stumble over is kept away from it: histories that never changed, or
hardly (it has returned zeros, or no model, for them: its issues 121, 182, 870), and histories too short to choose an
order on, are forecast by their last value; ``reason_without_fit`` says why. So are those that no order fits, and those
whose forecast runs away: their errors are the method's own.
"""

from __future__ import annotations

import warnings
from types import ModuleType

import numpy as np

from tools.errors import UsageError
from tools.forecast.baselines import STILL
from tools.units import FloatArray

LEAST_DAYS = 30
LEAST_MOVED_SHARE = 0.1  # of the days; a history that moves more rarely is sparse
LARGEST_MULTIPLE = 3.0  # of the largest APY of the history; a forecast beyond that has run away
_MOST_TERMS = 3


class ForecastExtraMissing(UsageError):
    """A method needs a library of the ``forecast`` extra that is not installed."""


def arima(history: FloatArray, horizon_days: int) -> FloatArray:
    """Forecast a history (n_days,), fractions per year, oldest first, by ARIMA: (horizon_days,), at least 0.

    Raises ``ForecastExtraMissing`` without statsforecast, ValueError for NaN, infinity, no day and no horizon.
    """
    _check(history, horizon_days)
    if reason_without_fit(history) is not None:
        return np.full(horizon_days, history[-1])
    ahead = _fitted(history, horizon_days)
    bound = LARGEST_MULTIPLE * float(history.max())
    if ahead is None or not np.isfinite(ahead).all() or float(ahead.max()) > bound:
        return np.full(horizon_days, history[-1])
    return np.maximum(ahead, 0.0)


def reason_without_fit(history: FloatArray) -> str | None:
    """Say why ARIMA is not fitted to a history (n_days,) and its last value stands; None where it is."""
    if history.size < LEAST_DAYS:
        return f"fewer than {LEAST_DAYS} days of history"
    if np.ptp(history) <= STILL:
        return "the APY never changed"
    moved = np.count_nonzero(np.abs(np.diff(history)) > STILL)
    return "the APY hardly ever changed" if moved < LEAST_MOVED_SHARE * history.size else None


def require_library() -> None:
    """Raise ``ForecastExtraMissing`` where statsforecast is not installed."""
    _library()


def _fitted(history: FloatArray, horizon_days: int) -> FloatArray | None:
    """Return the forecast (horizon_days,), None where no model can be fitted."""
    model = _library().AutoARIMA(
        season_length=1, max_p=_MOST_TERMS, max_q=_MOST_TERMS, max_d=1, approximation=True, seasonal=False
    )
    scale = float(np.std(history))  # optimisers stop early on numbers that are small in themselves
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # Of the many orders that are tried some do not converge, which the library says of each; AICc drops them.
            warnings.simplefilter("ignore", UserWarning)
            found = model.forecast(y=(history - history.mean()) / scale, h=horizon_days)
    except (ValueError, ZeroDivisionError, FloatingPointError, np.linalg.LinAlgError):
        return None
    ahead: FloatArray = np.asarray(found["mean"], dtype=np.float64) * scale + history.mean()
    return ahead


def _library() -> ModuleType:
    try:
        import statsforecast.models
    except ImportError as error:
        raise ForecastExtraMissing(
            "ARIMA needs statsforecast, which is not installed here; `make forecast` installs it in a place of its own"
        ) from error
    return statsforecast.models  # type: ignore[no-any-return]


def _check(history: FloatArray, horizon_days: int) -> None:
    if history.ndim != 1 or history.size == 0 or horizon_days < 1:
        raise ValueError(f"a history of shape {history.shape} and a horizon of {horizon_days} days cannot be forecast")
    if not np.isfinite(history).all():
        day = int(np.argmin(np.isfinite(history)))
        raise ValueError(f"history[{day}] is {history[day]}: every APY must be a finite number")
