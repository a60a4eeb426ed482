"""Train the networks so that it can be done again, stopped and gone on with; and the LSTM as a forecaster to be scored.

    train_lstm(series, settings, out, resume, progress) -> Lstm
    train_dqn(books, settings, out, resume, progress) -> Agent
    lstm_method(settings) -> Trained                      for tools.forecast.walk_forward

``series`` are APY histories (n_days,), gapless, fractions per year, in a fixed order; ``books`` are ``RateBook`` of
``tools.forecast.rebalancing``. With ``out``, a folder, the model is written to ``lstm.npz`` or ``dqn.npz`` there, and
after every round a checkpoint beside it, which is removed at the end. ``resume`` goes on from the checkpoint, or
returns the finished model; a checkpoint of other data, settings or code is refused with a UsageError. A training that
was killed and resumed ends with the same bits as one that was not. ``progress`` is called with (rounds done, of).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tools.errors import UsageError
from tools.forecast.baselines import ewma
from tools.forecast.dqn import Agent, DqnSettings, agent_arrays, new_agent, set_agent, train_round
from tools.forecast.lstm import (
    Lstm,
    LstmSettings,
    forecast_path,
    lstm_arrays,
    make_samples,
    new_lstm,
    set_lstm,
    train_epoch,
)
from tools.forecast.model_store import Kind, Manifest, code_sha256, load, save, series_sha256
from tools.forecast.rebalancing import RateBook
from tools.forecast.reproducible import import_torch, reproducible
from tools.forecast.walk_forward import BatchForecaster, Trained
from tools.units import FloatArray

Progress = Callable[[int, int], None]
DQN_CODE = ("tools.forecast.dqn", "tools.forecast.rebalancing", "tools.forecast.reproducible")
LSTM_CODE = ("tools.forecast.baselines", "tools.forecast.lstm", "tools.forecast.reproducible")


def train_lstm(
    series: Sequence[FloatArray],
    settings: LstmSettings | None = None,
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Lstm:
    """Train the LSTM on all series; see the top of this module for files, resuming and what is raised."""
    settings = settings or LstmSettings()
    samples = make_samples(series, settings)
    with reproducible(settings.seed):
        lstm = new_lstm(series, settings)
        store = _Store(out, "lstm", series_sha256(series), code_sha256(LSTM_CODE), _flat(settings))
        if resume:
            store.resume(lambda arrays, done: set_lstm(lstm, arrays, done))
        while lstm.done < settings.epochs:
            train_epoch(lstm, samples)
            store.checkpoint(lstm.done, lstm.device, lambda: lstm_arrays(lstm, with_optimiser=True))
            if progress:
                progress(lstm.done, settings.epochs)
        store.finish(lstm.done, lstm.device, lambda: lstm_arrays(lstm, with_optimiser=False))
    return lstm


def load_lstm(path: Path, series: Sequence[FloatArray], settings: LstmSettings | None = None) -> Lstm:
    """Read a network that was trained on these series, with these settings, by this code; UsageError for any other."""
    settings = settings or LstmSettings()
    wanted = series_sha256(series), code_sha256(LSTM_CODE), _flat(settings)
    manifest, arrays = load(path, "lstm", *wanted)
    with reproducible(settings.seed):
        lstm = new_lstm(series, settings)
        set_lstm(lstm, arrays, manifest.done)
    return lstm


def train_dqn(
    books: Sequence[RateBook],
    settings: DqnSettings | None = None,
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Agent:
    """Train the rebalancer on books; see the top of this module for files, resuming and what is raised."""
    settings = settings or DqnSettings()
    with reproducible(settings.seed):
        agent = new_agent(settings)
        store = _Store(out, "dqn", _books_sha256(books), code_sha256(DQN_CODE), _flat(settings))
        if resume:
            store.resume(lambda arrays, done: set_agent(agent, arrays, done))
        while agent.done < settings.rounds:
            train_round(agent, books)
            store.checkpoint(agent.done, agent.device, lambda: agent_arrays(agent, whole=True))
            if progress:
                progress(agent.done, settings.rounds)
        store.finish(agent.done, agent.device, lambda: agent_arrays(agent, whole=False))
    return agent


def load_dqn(path: Path, books: Sequence[RateBook], settings: DqnSettings | None = None) -> Agent:
    """Read a rebalancer that was trained on these books, with these settings, by this code; UsageError for another."""
    settings = settings or DqnSettings()
    manifest, arrays = load(path, "dqn", _books_sha256(books), code_sha256(DQN_CODE), _flat(settings))
    with reproducible(settings.seed):
        agent = new_agent(settings)
        set_agent(agent, arrays, manifest.done)
    return agent


def _books_sha256(books: Sequence[RateBook]) -> str:
    parts = [(book.apy, book.open.astype(np.float64), book.fast, book.slow) for book in books]
    return series_sha256([part for four in parts for part in four])


def _flat(settings: LstmSettings | DqnSettings) -> dict[str, Any]:
    """Return settings as JSON would give them back: lists for tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(settings).items()}


def lstm_method(settings: LstmSettings | None = None, progress: Progress | None = None) -> Trained:
    """Return the LSTM as ``walk_forward`` scores it: trained anew at every refit, on what was known by then.

    The settings' horizon gives way to the longest one that is asked for. Where no history is long enough to learn from,
    the forecast is the exponentially weighted mean, which is what the network says before it has learnt anything.
    ``progress`` is called at every epoch of every refit.
    """
    chosen = settings or LstmSettings()

    def fit(histories: tuple[FloatArray, ...], horizons: tuple[int, ...]) -> BatchForecaster:
        wanted = dataclasses.replace(chosen, horizon_days=max(horizons))
        if max(history.size for history in histories) < wanted.window_days + wanted.horizon_days:
            return ewma
        lstm = train_lstm(histories, wanted, progress=progress)

        def batch(known: FloatArray, horizon_days: int) -> FloatArray:
            with reproducible(wanted.seed):
                return forecast_path(lstm, known, horizon_days)

        return batch

    return Trained(fit)


class _Set(Protocol):
    def __call__(self, arrays: dict[str, npt.NDArray[Any]], done: int) -> None: ...


@dataclasses.dataclass(frozen=True)
class _Store:
    """Where one training keeps its checkpoint and its model; nowhere without ``out``."""

    out: Path | None
    name: str
    data: str
    code: str
    settings: Mapping[str, Any]

    def resume(self, use: _Set) -> None:
        """Hand over the finished model or, without one, the checkpoint; nothing where there is neither."""
        if self.out is None:
            raise UsageError("a training that keeps no files cannot be resumed: name its folder")
        for path, kind in (self._model, self._unfinished):
            if path.exists():
                manifest, arrays = load(path, kind, self.data, self.code, self.settings)
                use(arrays, manifest.done)
                return

    def checkpoint(self, done: int, device: str, arrays: Callable[[], dict[str, npt.NDArray[Any]]]) -> None:
        """Keep what the training needs to go on."""
        self._save(*self._unfinished, done, device, arrays)

    def finish(self, done: int, device: str, arrays: Callable[[], dict[str, npt.NDArray[Any]]]) -> None:
        """Write the model, then remove the checkpoint: a kill between the two leaves both, and both are good."""
        self._save(*self._model, done, device, arrays)
        if self.out is not None:
            self._unfinished[0].unlink(missing_ok=True)

    @property
    def _model(self) -> tuple[Path, Kind]:
        return self._path(f"{self.name}.npz"), "lstm" if self.name == "lstm" else "dqn"

    @property
    def _unfinished(self) -> tuple[Path, Kind]:
        kind: Kind = "lstm checkpoint" if self.name == "lstm" else "dqn checkpoint"
        return self._path(f"{self.name}.checkpoint.npz"), kind

    def _path(self, name: str) -> Path:
        return (self.out or Path()) / name

    def _save(
        self, path: Path, kind: Kind, done: int, device: str, arrays: Callable[[], dict[str, npt.NDArray[Any]]]
    ) -> None:
        if self.out is not None:
            version = str(import_torch().__version__)
            save(path, Manifest(kind, self.data, self.code, dict(self.settings), done, device, version), arrays())
