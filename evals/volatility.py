"""Score the LSTM's forecast of how much an APY will move in the coming week, walk-forward on recorded charts.

    python -m evals.volatility MARKET_FOLDER

Volatility is the root mean square of an APY's daily changes over the next seven days. The network is compared with the
last week's ("the next week equals the last") and with the exponentially weighted one. It is trained anew every 91 days
on the histories as they were four weeks before. The losses are those of the logarithm of volatility plus a basis point:
in fractions a few wild pools would decide alone.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from evals.forecasts import ASSETS, Panel, read_panel
from evals.rebalancing import recorded_book
from tools.errors import PlimsollError
from tools.forecast.diebold_mariano import Comparison, compare
from tools.forecast.lstm import (
    VOLATILITY_DAYS,
    LstmSettings,
    ewma_volatility,
    forecast_volatility,
    volatility,
)
from tools.forecast.reproducible import reproducible
from tools.forecast.training import train_lstm
from tools.forecast.walk_forward import EMBARGO_DAYS, REFIT_DAYS, STEP_DAYS, Origin
from tools.units import FloatArray

BASIS_POINT = 1e-4
RIVALS = ("last week", "ewma")

Forecast = Callable[[FloatArray], FloatArray]  # (1, n_days) -> (1,)


def realised(panel: Panel) -> FloatArray:
    """Return the volatility of the week after each origin, (n_origins, n_pools); NaN where a day of it is unknown."""
    found = np.full((len(panel.origins), len(panel.pools)), np.nan)
    for asset in ASSETS:
        recorded = recorded_book(panel, asset)
        column = {pool: number for number, pool in enumerate(recorded.pools)}
        for number, origin in enumerate(panel.origins):
            first = recorded.place(origin.day)
            week = recorded.book.apy[first : first + VOLATILITY_DAYS + 1]
            if len(week) > VOLATILITY_DAYS:
                for place in origin.series:
                    if panel.pools[place] in column:
                        found[number, place] = volatility(np.diff(week[:, column[panel.pools[place]]]))
    return found


def forecasts(panel: Panel, settings: LstmSettings) -> Mapping[str, FloatArray]:
    """Return what the network and its rivals forecast of the week after each origin, (n_origins, n_pools) each."""
    found = {name: np.full((len(panel.origins), len(panel.pools)), np.nan) for name in ("lstm", *RIVALS)}
    due, network = dt.date.min, None
    for number, origin in enumerate(panel.origins):
        if origin.day >= due and (seen := _long_enough(origin, settings)):
            network = _network(seen, settings)
            due = origin.day + dt.timedelta(days=REFIT_DAYS)
        if network is not None:
            methods: dict[str, Forecast] = {"lstm": network, "last week": last_week, "ewma": ewma_volatility}
            for place, history in zip(origin.series, origin.histories, strict=True):
                for name, method in methods.items():
                    found[name][number, place] = method(history[None, :])[0]
    return found


def last_week(histories: FloatArray) -> FloatArray:
    """Return the volatility of the last week of histories (n_series, n_days): (n_series,)."""
    return volatility(np.diff(histories[:, -VOLATILITY_DAYS - 1 :], axis=1))


def scores(panel: Panel, settings: LstmSettings) -> dict[str, Comparison]:
    """Compare the network with each rival by the errors of log(volatility + 1 bp)."""
    came = np.log(BASIS_POINT + realised(panel))
    errors = {name: np.log(BASIS_POINT + one) - came for name, one in forecasts(panel, settings).items()}
    return {name: compare(errors["lstm"], errors[name], VOLATILITY_DAYS, STEP_DAYS) for name in RIVALS}


def _long_enough(origin: Origin, settings: LstmSettings) -> list[FloatArray]:
    least = settings.window_days + settings.horizon_days
    return [one[: one.size - EMBARGO_DAYS] for one in origin.histories if one.size >= least + EMBARGO_DAYS]


def _network(series: Sequence[FloatArray], settings: LstmSettings) -> Forecast:
    lstm = train_lstm(series, settings)

    def method(histories: FloatArray) -> FloatArray:
        with reproducible(settings.seed):
            return forecast_volatility(lstm, histories)

    return method


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m evals.volatility")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    for name, one in scores(read_panel(options.folder), LstmSettings()).items():
        sys.stdout.write(f"lstm against {name}: {one}\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PlimsollError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
