"""A training that was killed goes on as if nothing had happened; needs torch (see ``make forecast-test``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tools.errors import UsageError
from tools.forecast.dqn import DqnSettings
from tools.forecast.lstm import LstmSettings, forecast_path
from tools.forecast.rebalancing import RateBook
from tools.forecast.training import load_dqn, load_lstm, train_dqn, train_lstm

ROOT = Path(__file__).resolve().parents[3]
LSTM = LstmSettings(hidden=5, window_days=10, horizon_days=7, epochs=4, batch=32)
DQN = DqnSettings(hidden=8, rounds=4, episodes=2, episode_days=20, batch=8, capacity=50, copy_every=11)
RATES = 0.05 + 0.01 * np.sin(np.arange(80)[:, None] / np.array([3.0, 5.0, 7.0, 11.0, 13.0]))
SERIES = list(RATES.T)
BOOKS = [RateBook(RATES, np.ones(RATES.shape, dtype=bool))]

_CHILD = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
from test_training_resumed import BOOKS, DQN, LSTM, SERIES
from tools.forecast.training import train_dqn, train_lstm

def die(done, of):
    if done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

if {name!r} == "lstm":
    train_lstm(SERIES, LSTM, Path({out!r}), progress=die)
else:
    train_dqn(BOOKS, DQN, Path({out!r}), progress=die)
"""


def train(name: str, out: Path, resume: bool = False) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    progress = lambda done, of: seen.append((done, of))  # noqa: E731
    if name == "lstm":
        train_lstm(SERIES, LSTM, out, resume, progress)
    else:
        train_dqn(BOOKS, DQN, out, resume, progress)
    return seen


@pytest.mark.parametrize("name", ["lstm", "dqn"])
def test_a_killed_training_resumed_ends_with_the_same_bytes(name: str, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(name, whole) == [(1, 4), (2, 4), (3, 4), (4, 4)]
    script = _CHILD.format(root=str(ROOT), tests=str(Path(__file__).parent), name=name, out=str(broken))
    died = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert died.returncode == -9, died.stderr
    assert [path.name for path in broken.iterdir()] == [f"{name}.checkpoint.npz"]
    assert train(name, broken, resume=True) == [(3, 4), (4, 4)]
    assert (broken / f"{name}.npz").read_bytes() == (whole / f"{name}.npz").read_bytes()
    assert [path.name for path in broken.iterdir()] == [f"{name}.npz"]
    assert train(name, broken, resume=True) == []  # finished already


@pytest.mark.parametrize("name", ["lstm", "dqn"])
def test_a_checkpoint_of_other_data_is_refused(name: str, tmp_path: Path) -> None:
    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    other = [RateBook(RATES + 1e-9, np.ones(RATES.shape, dtype=bool))]
    begin = {
        "lstm": lambda: train_lstm(list(other[0].apy.T), LSTM, tmp_path, progress=stop),
        "dqn": lambda: train_dqn(other, DQN, tmp_path, progress=stop),
    }
    with pytest.raises(KeyboardInterrupt):
        begin[name]()
    with pytest.raises(UsageError, match="other data"):
        train(name, tmp_path, resume=True)
    assert len(train(name, tmp_path)) == 4  # without resuming it starts anew


def test_resuming_takes_a_folder() -> None:
    with pytest.raises(UsageError, match="name its folder"):
        train_lstm(SERIES, LSTM, None, resume=True)


def test_a_saved_network_forecasts_as_the_trained_one_and_only_for_its_data(tmp_path: Path) -> None:
    lstm = train_lstm(SERIES, LSTM, tmp_path)
    loaded = load_lstm(tmp_path / "lstm.npz", SERIES, LSTM)
    np.testing.assert_array_equal(forecast_path(loaded, RATES.T, 7), forecast_path(lstm, RATES.T, 7))
    with pytest.raises(UsageError, match="other data"):
        load_lstm(tmp_path / "lstm.npz", SERIES[::-1], LSTM)
    with pytest.raises(UsageError, match="other settings"):
        load_lstm(tmp_path / "lstm.npz", SERIES, LstmSettings(**(vars(LSTM) | {"seed": 1})))


def test_a_saved_rebalancer_is_the_trained_one(tmp_path: Path) -> None:
    agent = train_dqn(BOOKS, DQN, tmp_path)
    loaded = load_dqn(tmp_path / "dqn.npz", BOOKS, DQN)
    for one, other in zip(agent.online.parameters(), loaded.online.parameters(), strict=True):
        assert bool((one == other).all())
