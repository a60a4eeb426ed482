"""What a benchmark is, what it measured, and how things are timed against each other."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 5


class Unavailable(Exception):
    """What a case needs is not on this machine; the message says what."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The value of a case, and in words what stands behind it."""

    value: float
    note: str


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table: what is measured, in which unit, against which target."""

    name: str
    what: str
    unit: Literal["x", "s", "ms", ""]
    bound: Literal["<=", ">="]
    target: float
    run: Callable[[], Measured]

    def met(self, value: float) -> bool:
        """Tell whether ``value`` keeps the target."""
        return value <= self.target if self.bound == "<=" else value >= self.target


def interleaved(*actions: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Run the actions in turn, once to warm up and then ``rounds`` times; return the median seconds of each.

    Taking turns lets a slow moment of the machine strike all of them alike.
    """
    seconds: list[list[float]] = [[] for _ in actions]
    for lap in range(rounds + 1):
        for action, laps in zip(actions, seconds, strict=True):
            gc.collect()
            start = time.perf_counter()
            action()
            if lap:
                laps.append(time.perf_counter() - start)
    return [statistics.median(laps) for laps in seconds]


def market_folder() -> Path:
    """Return the recorded market: the folder in PLIMSOLL_MARKET, else shared/market beside the repository."""
    folder = Path(os.environ.get("PLIMSOLL_MARKET") or ROOT.parent / "shared" / "market")
    if not (folder / "pools").is_dir():
        raise Unavailable("no recorded market: set PLIMSOLL_MARKET to its folder")
    return folder
