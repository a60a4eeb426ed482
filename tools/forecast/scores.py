"""Which forecaster may be used, as the recorded market says: ``data/scores/DATE.toml``, one file per day of knowledge.

Each file holds what could be known at the end of its day: forecasts whose outcome lay in the record by then. A decision
reads the newest file that is not younger than itself, so that no method is chosen for what it did later. Before the
first file nothing is known, and nothing beats "tomorrow equals today". The files are written by
``plimsoll forecast score``, see ``evals.forecasts`` and ``docs/forecasts.md``.

A method is *used* where it beats ``last`` out of sample (ratio below 1, p < 0.05); one that is heavier than the
baselines also has to beat ``ewma`` and ``ar1``.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from tools.errors import UsageError
from tools.records import Asset, ForecastMethod, ForecastScore, Record

SCORES = Path(__file__).parent / "data" / "scores"
SIGNIFICANCE = 0.05

Group = Literal["USD", "ETH", "BTC", "all"]


class GroupScore(Record):
    """The score of a method on the series of an asset, or of all three.

    ``ratio`` is the median over the series and ``ratio_mean`` the exponential of the mean logarithm, ``ratio_low`` to
    ``ratio_high`` the interval of the median at 95 %; ``against`` has the one-sided p-values of the test that the
    method is not better than each rival. ``every`` says which origins were forecast: 1 all of them, n every n-th.
    """

    asset: Group
    method: ForecastMethod
    horizon_days: int
    every: int = 1
    series: int
    forecasts: int
    ratio: float
    ratio_mean: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    wins: float
    against: dict[ForecastMethod, float]
    used: bool
    why: str

    def record(self) -> ForecastScore:
        """Return the score as it stands in a recommendation."""
        return ForecastScore(
            method=self.method,
            horizon_days=self.horizon_days,
            series=self.series,
            forecasts=self.forecasts,
            ratio=self.ratio,
            p_value=self.against.get("last"),
            wins=self.wins,
            used=self.used,
            why=self.why,
        )


class Unscored(Record):
    """A method that has no score on an asset and horizon, and why."""

    asset: Group
    method: ForecastMethod
    horizon_days: int
    why: str


class Scores(Record):
    """What was known at the end of ``until``: scores and the record that they come from (days, hash of its rows)."""

    until: str
    first: str
    last: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    step_days: int
    score: list[GroupScore]
    unscored: list[Unscored]


def score_days(folder: Path = SCORES) -> list[dt.date]:
    """Return the days that there are scores of, oldest first."""
    return sorted(dt.date.fromisoformat(path.stem) for path in folder.glob("*.toml"))


def load_scores(as_of: dt.date | None = None, folder: Path = SCORES) -> Scores | None:
    """Return the scores known at the end of ``as_of`` (None: the newest); None where nothing was known yet.

    Raises ``UsageError`` for a file that is not in this form.
    """
    known = [day for day in score_days(folder) if as_of is None or day <= as_of]
    return _read(folder / f"{known[-1]}.toml") if known else None


def known_scores(asset: Asset, horizon_days: int, as_of: dt.date | None = None) -> list[ForecastScore]:
    """Return the scores of all methods on the asset at the scored horizon nearest to the one asked for."""
    scores = load_scores(as_of)
    if scores is None:
        return []
    horizon = scored_horizon(horizon_days)
    return [one.record() for one in scores.score if one.asset == asset and one.horizon_days == horizon]


def chosen_method(asset: Asset, horizon_days: int, as_of: dt.date | None = None) -> ForecastMethod | None:
    """Return the best of the methods that won; None where none did, and "tomorrow equals today" stands."""
    won = [one for one in known_scores(asset, horizon_days, as_of) if one.used]
    return min(won, key=lambda one: (one.ratio, one.method)).method if won else None


def scored_horizon(horizon_days: int) -> int:
    """Return the longest scored horizon that is not above the one asked for."""
    from tools.forecast.walk_forward import HORIZONS

    return max((h for h in HORIZONS if h <= horizon_days), default=HORIZONS[0])


@lru_cache(maxsize=8)
def _read(path: Path) -> Scores:
    try:
        return Scores.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise UsageError(f"{path} holds no scores of forecasts: {error}") from error
