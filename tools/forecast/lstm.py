"""One small network for all series: the APY of the coming days, and how much it will move in the coming week.

A long short-term memory (Hochreiter & Schmidhuber, Neural Computation 9, 1997) reads the last ``window_days`` of a
series and two linear heads answer. It is global: one set of weights learns from every series, as a pool's own year is
too short to train on (Montero-Manso & Hyndman, International Journal of Forecasting 37, 2021).

With x_t the APY, z_t = log(1e-4 + x_t) and m the mean of x over the window, it reads for each day of the window

    z_t − mean of z over the window        the shape, free of the level
    z_t − z_{t−1}                          the change
    (z_t − μ) / σ                          the level among all series, μ and σ from the training data

and answers, for h = 1 … ``horizon_days``, with (x_{n+h} − s_n)/(1e-3 + m), s_n the exponentially weighted mean of the
window (``tools.forecast.baselines``), and with the logarithm of the volatility of the next ``VOLATILITY_DAYS`` over the
one that ``ewma_volatility`` gives. The heads start at zero, where the network is the smoother itself: it has only to
learn what the smoother misses. The loss is Huber's: the rare day on which a rate triples must not decide the weights.
Volatility is √(mean of (x_t − x_{t−1})²): changes of APY in fractions, about zero.

Series have no calendar here and no TVL: the interface of ``walk_forward`` hands over the APYs alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tools.forecast.baselines import ewma
from tools.forecast.reproducible import (
    Module,
    choose_device,
    import_torch,
    module_arrays,
    optimiser_arrays,
    set_module,
    set_optimiser,
)
from tools.units import FloatArray

LOG_OFFSET = 1e-4
SCALE_FLOOR = 1e-3
VOLATILITY_DAYS = 7
VOLATILITY_FLOOR = 1e-5  # the feed gives APYs in steps of 1e-7; below this nothing moves
VOLATILITY_ALPHA = 0.06  # RiskMetrics, Technical Document, 1996: λ = 0.94 for daily data
FEATURES = 3
LARGEST = 5.0  # of a feature or a label, so that one wild day cannot swamp the rest


@dataclass(frozen=True)
class LstmSettings:
    """How the network is made and trained.

    ``stride_days`` lie between the training windows of a series, for windows of neighbouring days are almost the same.
    """

    hidden: int = 32
    window_days: int = 32
    horizon_days: int = 30
    epochs: int = 20
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    stride_days: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.name not in ("seed", "weight_decay") and not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name} must be above 0, not {getattr(self, field.name)}")
        if self.window_days < 2:
            raise ValueError(f"window_days must be at least 2, not {self.window_days}")


class Samples(NamedTuple):
    """Training windows: ``windows`` (n, window_days) APYs, ``ahead`` (n, horizon_days) APYs that followed."""

    windows: FloatArray
    ahead: FloatArray


class Scaling(NamedTuple):
    """Mean and standard deviation of log(1e-4 + APY) over the training windows."""

    mean: float
    deviation: float


@dataclass
class Lstm:
    """A network in training or ready: torch's module and optimiser, the scaling, and how many epochs are done."""

    settings: LstmSettings
    scaling: Scaling
    module: Module
    optimiser: Any
    device: str
    done: int = 0


def volatility(changes: FloatArray) -> FloatArray:
    """Return √(mean of squares) of APY changes (…, n_days) about zero: (…,)."""
    result: FloatArray = np.sqrt(np.add.reduce(changes**2, axis=-1) / changes.shape[-1])
    return result


def ewma_volatility(histories: FloatArray, alpha: float = VOLATILITY_ALPHA) -> FloatArray:
    """Return the exponentially weighted volatility of APY changes of each history (n_series, n_days): (n_series,).

    The weights α(1 − α)^k are scaled to a sum of 1, so that a short history is not taken for a calm one.
    """
    changes = np.diff(histories, axis=1)
    weights = (1.0 - alpha) ** np.arange(changes.shape[1] - 1, -1, -1)
    result: FloatArray = np.sqrt(np.einsum("ij,j->i", changes**2, weights / np.add.reduce(weights)))
    return result


def make_samples(series: Sequence[FloatArray], settings: LstmSettings) -> Samples:
    """Cut training windows out of series (n_days,): every ``stride_days``, counted back from each series' last label.

    Raises ValueError where a value is not finite or no series is long enough for one window and its labels.
    """
    length, ahead = settings.window_days, settings.horizon_days
    cut: list[FloatArray] = []
    for number, one in enumerate(series):
        if not np.isfinite(one).all():
            raise ValueError(f"series[{number}] holds a value that is not finite")
        last = one.size - length - ahead
        if last >= 0:
            starts = np.arange(last, -1, -settings.stride_days)[::-1]
            cut.append(np.lib.stride_tricks.sliding_window_view(one, length + ahead)[starts])
    if not cut:
        raise ValueError(f"no series has the {length + ahead} days that one window and its labels take")
    rows = np.concatenate(cut)
    return Samples(rows[:, :length], rows[:, length:])


def new_lstm(series: Sequence[FloatArray], settings: LstmSettings) -> Lstm:
    """Make a network to be trained on these series; to be called within ``reproducible(settings.seed)``."""
    torch = import_torch()
    nn, device = torch.nn, choose_device()
    module = nn.ModuleDict(
        {
            "memory": nn.LSTM(FEATURES, settings.hidden, batch_first=True),
            "path": nn.Linear(settings.hidden, settings.horizon_days),
            "volatility": nn.Linear(settings.hidden, 1),
        }
    )
    for head in ("path", "volatility"):
        nn.init.zeros_(module[head].weight)
        nn.init.zeros_(module[head].bias)
    module.to(device)
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, foreach=False
    )
    levels = np.log(LOG_OFFSET + make_samples(series, settings).windows)
    scaling = Scaling(float(np.mean(levels)), max(float(np.std(levels)), VOLATILITY_FLOOR))
    return Lstm(settings, scaling, module, optimiser, device)


def train_epoch(lstm: Lstm, samples: Samples) -> float:
    """Go once through the samples and return the mean loss.

    The order is drawn from the seed and the epoch's number alone, so a training that goes on from a checkpoint goes on
    as if nothing had happened.
    """
    torch = import_torch()
    features, labels = _tensors(lstm, _features(samples.windows, lstm.scaling), _labels(samples))
    order = np.random.default_rng((lstm.settings.seed, lstm.done)).permutation(len(samples.windows))
    loss_of = torch.nn.HuberLoss()
    total = 0.0
    lstm.module.train()
    for start in range(0, order.size, lstm.settings.batch):
        batch = torch.from_numpy(order[start : start + lstm.settings.batch]).to(lstm.device)
        lstm.optimiser.zero_grad()
        answer = _answer(lstm.module, features[batch])
        # The path as a whole counts as much as the volatility does.
        loss = loss_of(answer[:, :-1], labels[batch, :-1]) + loss_of(answer[:, -1], labels[batch, -1])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(lstm.module.parameters(), 1.0, foreach=False)
        lstm.optimiser.step()
        total += float(loss.detach()) * batch.numel()
    lstm.done += 1
    return total / order.size


def forecast_path(lstm: Lstm, histories: npt.ArrayLike, horizon_days: int) -> FloatArray:
    """Forecast the APYs of the coming days for histories (n_series, n_days): (n_series, horizon_days), never below 0.

    A history shorter than the window is taken to have stood at its first value before. Raises ValueError for a value
    that is not finite and for a horizon that the network was not made for.
    """
    if not 1 <= horizon_days <= lstm.settings.horizon_days:
        raise ValueError(f"this network answers for 1 to {lstm.settings.horizon_days} days, not for {horizon_days}")
    windows = _windows(histories, lstm.settings.window_days)
    change = _apply(lstm, windows)[:, :horizon_days] * _scale(windows)
    result: FloatArray = np.maximum(_anchor(windows) + change, 0.0)
    return result


def forecast_volatility(lstm: Lstm, histories: npt.ArrayLike) -> FloatArray:
    """Forecast the volatility of the APY's daily changes over the next ``VOLATILITY_DAYS``: (n_series,), fractions.

    Histories and errors as in ``forecast_path``.
    """
    windows = _windows(histories, lstm.settings.window_days)
    base = VOLATILITY_FLOOR + ewma_volatility(windows)
    result: FloatArray = np.maximum(base * np.exp(_apply(lstm, windows)[:, -1]) - VOLATILITY_FLOOR, 0.0)
    return result


def lstm_arrays(lstm: Lstm, with_optimiser: bool) -> dict[str, npt.NDArray[Any]]:
    """Return a network as arrays; with the optimiser's memory, training can go on from them."""
    arrays = module_arrays("module", lstm.module) | {"scaling": np.array(lstm.scaling)}
    return arrays | (optimiser_arrays(lstm.optimiser) if with_optimiser else {})


def set_lstm(lstm: Lstm, arrays: dict[str, npt.NDArray[Any]], done: int) -> None:
    """Give a new network what ``lstm_arrays`` returned."""
    set_module("module", lstm.module, arrays)
    if any(name.startswith("optimiser/") for name in arrays):
        set_optimiser(lstm.optimiser, arrays)
    lstm.scaling = Scaling(*(float(part) for part in arrays["scaling"]))
    lstm.done = done


def _windows(histories: npt.ArrayLike, length: int) -> FloatArray:
    series = np.asarray(histories, dtype=np.float64)
    if series.ndim != 2 or series.shape[1] == 0:
        raise ValueError(f"histories must have shape (n_series, n_days) with at least one day, not {series.shape}")
    if not np.isfinite(series).all():
        row, day = (int(place[0]) for place in np.nonzero(~np.isfinite(series)))
        raise ValueError(f"histories[{row}, {day}] is {series[row, day]}: every APY must be a finite number")
    missing = max(0, length - series.shape[1])
    return np.pad(series[:, -length:], ((0, 0), (missing, 0)), mode="edge")


def _scale(windows: FloatArray) -> FloatArray:
    scale: FloatArray = SCALE_FLOOR + np.add.reduce(np.abs(windows), axis=1, keepdims=True) / windows.shape[1]
    return scale


def _anchor(windows: FloatArray) -> FloatArray:
    """Return what the forecast starts from, the exponentially weighted mean of each window (n, window_days): (n, 1)."""
    return ewma(windows, 1)


def _features(windows: FloatArray, scaling: Scaling) -> FloatArray:
    """Return what the network reads of windows (n, window_days): (n, window_days, FEATURES)."""
    level = np.log(LOG_OFFSET + np.maximum(windows, 0.0))
    shape = level - np.add.reduce(level, axis=1, keepdims=True) / level.shape[1]
    change = np.diff(level, axis=1, prepend=level[:, :1])
    stacked = np.stack([shape, change, (level - scaling.mean) / scaling.deviation], axis=2)
    clipped: FloatArray = np.clip(stacked, -LARGEST, LARGEST)
    return clipped


def _labels(samples: Samples) -> FloatArray:
    """Return what the network is to answer: (n, horizon_days + 1), the volatility last."""
    change = (samples.ahead - _anchor(samples.windows)) / _scale(samples.windows)
    week = np.concatenate([samples.windows[:, -1:], samples.ahead], axis=1)[:, : VOLATILITY_DAYS + 1]
    realised = VOLATILITY_FLOOR + volatility(np.diff(week, axis=1))
    ratio = np.log(realised / (VOLATILITY_FLOOR + ewma_volatility(samples.windows)))
    labels: FloatArray = np.clip(np.column_stack([change, ratio]), -LARGEST, LARGEST)
    return labels


def _tensors(lstm: Lstm, *arrays: FloatArray) -> tuple[Any, ...]:
    torch = import_torch()
    return tuple(torch.from_numpy(array.astype(np.float32)).to(lstm.device) for array in arrays)


def _answer(module: Module, features: Any) -> Any:
    memory, _ = module["memory"](features)
    last = memory[:, -1]
    return import_torch().cat([module["path"](last), module["volatility"](last)], dim=1)


def _apply(lstm: Lstm, windows: FloatArray) -> FloatArray:
    torch = import_torch()
    lstm.module.eval()
    with torch.no_grad():
        (features,) = _tensors(lstm, _features(windows, lstm.scaling))
        answer: FloatArray = _answer(lstm.module, features).cpu().numpy().astype(np.float64)
    return answer
