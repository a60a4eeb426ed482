"""Forecasts made day by day from what was known on the day, and what came after: no look-ahead by construction.

An *origin* is the end of a day. A forecaster sees the histories that end there and nothing else; the errors are taken
against the days after it. Origins lie ``STEP_DAYS`` apart. A series is in the universe of an origin when its history
passes the checks of that day, and stays in it until it ends: what died later is scored up to its death.

**Interface of a forecaster.** ``Forecaster`` maps one history (n_days,), oldest first, gapless, fractions per year, and
a horizon to the point forecast of the APY of each of the coming days (horizon_days,). ``BatchForecaster`` does so for
several histories of one length at once, (n_series, n_days) → (n_series, horizon_days); ``one_by_one`` makes the second
from the first. Both must be deterministic and must not write to the history.

**Models that are trained** come as ``Trained``: ``fit`` gets every history of the universe as it was ``embargo_days``
before the refit (a tuple of (n_days,) arrays of different lengths) and the horizons, and returns a ``BatchForecaster``.
It is fitted at the first origin and again once ``refit_days`` have passed. What it may learn from ends before the
origin, labels included, so the purge of one label horizon is given by construction: a window inside the histories is a
training sample only if its label lies inside them too. The embargo of four weeks comes on top, because the APYs of
neighbouring weeks are almost the same number (López de Prado, Advances in Financial Machine Learning, 2018, chapter
7). A split for early stopping inside ``fit`` has to keep the same distance (``purged_split``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from tools.units import FloatArray

Forecaster: TypeAlias = Callable[[FloatArray, int], FloatArray]
BatchForecaster: TypeAlias = Callable[[FloatArray, int], FloatArray]
Fit: TypeAlias = Callable[[tuple[FloatArray, ...], tuple[int, ...]], BatchForecaster]

HORIZONS = (1, 7, 30)
STEP_DAYS = 7
REFIT_DAYS = 91
EMBARGO_DAYS = 28


@dataclass(frozen=True)
class Trained:
    """A model that learns from all series at once; see the top of this module for what ``fit`` gets."""

    fit: Fit
    refit_days: int = REFIT_DAYS
    embargo_days: int = EMBARGO_DAYS


def one_by_one(forecaster: Forecaster) -> BatchForecaster:
    """Make a forecaster of one series into one of several."""

    def batch(histories: FloatArray, horizon_days: int) -> FloatArray:
        return np.stack([forecaster(history, horizon_days) for history in histories])

    return batch


def purged_split(n_days: int, horizon_days: int, share: float, embargo_days: int = EMBARGO_DAYS) -> tuple[int, int]:
    """Split days 0 … n_days − 1 into an older part to learn from and a younger one to validate on.

    Returns (end, start): learn from labels that end before ``end``; validate on forecasts whose origin is ``start`` or
    later, with ``start`` − ``end`` ≥ the embargo. The younger part is ``share`` of the days. As a label ends
    ``horizon_days`` after its origin, windows with an origin below ``end`` − ``horizon_days`` qualify for learning.
    Raises ValueError where the days do not suffice.
    """
    start = n_days - max(horizon_days, int(n_days * share))
    end = start - embargo_days
    if end <= horizon_days:
        raise ValueError(f"{n_days} days leave nothing to learn from before a validation at horizon {horizon_days}")
    return end, start


class Origin(NamedTuple):
    """What is known at the end of ``day``: the histories of the universe, each (n_days,), by the place of its series.

    ``series`` are places in the list of all series, ascending.
    """

    day: dt.date
    series: tuple[int, ...]
    histories: tuple[FloatArray, ...]


class Forecasts(NamedTuple):
    """What a method forecast of every origin and series, (n_origins, n_series) each; NaN where it made no forecast.

    ``mean`` is the mean APY of the coming days, ``value`` the APY of the last of them.
    """

    mean: FloatArray
    value: FloatArray


def walk_forward(
    origins: Sequence[Origin],
    n_series: int,
    method: BatchForecaster | Trained,
    horizons: tuple[int, ...] = HORIZONS,
    every: int = 1,
) -> dict[int, Forecasts]:
    """Let a method forecast from every origin (from every n-th only, where it is slow), by horizon in days.

    Origins must be in the order of their days. Raises ValueError where a method returns another shape than its
    interface says, NaN or infinity.
    """
    found = {h: Forecasts(*(np.full((len(origins), n_series), np.nan) for _ in range(2))) for h in horizons}
    fitted: BatchForecaster | None = None if isinstance(method, Trained) else method
    due = dt.date.min
    for place in range(0, len(origins), every):
        origin = origins[place]
        if isinstance(method, Trained) and origin.day >= due and (seen := _embargoed(origin, method.embargo_days)):
            fitted = method.fit(seen, horizons)
            due = origin.day + dt.timedelta(days=method.refit_days)
        if fitted is None or not origin.series:
            continue
        ahead = forecast_all(fitted, origin.histories, max(horizons))
        for horizon, (mean, value) in found.items():
            mean[place, origin.series] = np.add.reduce(ahead[:, :horizon], axis=1) / horizon
            value[place, origin.series] = ahead[:, horizon - 1]
    return found


def forecast_all(batch: BatchForecaster, histories: Sequence[FloatArray], horizon_days: int) -> FloatArray:
    """Forecast histories (n_days,) of different lengths, those of one length at once: (n_series, horizon_days).

    Raises ValueError where the answer has another shape or is not finite.
    """
    ahead = np.empty((len(histories), horizon_days))
    for length in sorted({history.size for history in histories}):
        places = [place for place, history in enumerate(histories) if history.size == length]
        part = np.asarray(batch(np.stack([histories[place] for place in places]), horizon_days))
        if part.shape != (len(places), horizon_days) or not np.isfinite(part).all():
            raise ValueError(f"a forecast of {len(places)} series must be finite and {horizon_days} days long")
        ahead[places] = part
    return ahead


def _embargoed(origin: Origin, days: int) -> tuple[FloatArray, ...]:
    """Return the histories without their last days; those that nothing is left of are dropped."""
    return tuple(history[: history.size - days] for history in origin.histories if history.size > days)
