"""Two years of days for every pool: mean-reverting yields around one factor per asset, decaying rewards, wandering TVL.

    log base APY = log level + loading · factor(asset) + own deviation (autoregressive) + noise of the day

The factor ends at 0 on the last day, so that the levels of the catalogue hold there for every seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.market.demo.catalogue import DAYS, Kind, MarketAsset, Pool, generator
from tools.units import FloatArray

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

APY_DECIMALS = 5  # as the API gives them
FACTOR_PERSISTENCE = 0.97
FACTOR_SHOCKS: dict[MarketAsset, float] = {"USD": 0.05, "ETH": 0.02, "BTC": 0.015, "other": 0.05}
TVL_PERSISTENCE = 0.995
SAVINGS_STEP_PERCENT, SAVINGS_REVIEW_DAYS = 0.25, 45
PROGRAMMES = 3  # reward programmes of a pool that has any
BLOCK = 256  # pools simulated at a time: temporaries stay small


class Dynamics(NamedTuple):
    """How the log APY and log TVL of a kind of pool move from day to day."""

    loading: float
    persistence: float
    shock: float
    noise: float
    tvl_shock: float


DYNAMICS: dict[Kind, Dynamics] = {
    "lending": Dynamics(1.0, 0.88, 0.08, 0.04, 0.025),
    "savings": Dynamics(0.8, 0.0, 0.0, 0.0, 0.012),
    "staking": Dynamics(0.1, 0.97, 0.004, 0.012, 0.008),
    "vault": Dynamics(0.9, 0.90, 0.07, 0.05, 0.025),
    "pair": Dynamics(0.4, 0.75, 0.22, 0.18, 0.020),
    "volatile": Dynamics(0.3, 0.85, 0.30, 0.30, 0.050),
    "campaign": Dynamics(0.0, 0.0, 0.0, 0.0, 0.040),
}


@dataclass(frozen=True)
class Series:
    """What happened, of shape (n_pools, DAYS): ``base`` and ``reward`` in percent per year, ``tvl_usd`` in dollars.

    ``observed`` marks the days that the feed has a row for. ``split_from`` (n_pools,) is the day number from which on
    the feed splits the APY.
    """

    base: FloatArray
    reward: FloatArray
    tvl_usd: IntArray
    observed: BoolArray
    split_from: IntArray

    def apy(self, pools: IntArray | slice, days: IntArray | slice | int) -> FloatArray:
        """Return base plus reward (percent, rounded as the API does) of the given pools and days."""
        total: FloatArray = np.round(self.base[pools, days] + self.reward[pools, days], APY_DECIMALS)
        return total

    def freeze(self) -> None:
        """Round as the API does and refuse any later change."""
        for rates in (self.base, self.reward):
            np.round(rates, APY_DECIMALS, out=rates)
        for array in (self.base, self.reward, self.tvl_usd, self.observed, self.split_from):
            array.setflags(write=False)


def simulate(pools: Sequence[Pool], seed: int) -> Series:
    """Simulate all days of all pools; a pool's series depends on the seed, its place in the list and its attributes."""
    n = len(pools)
    series = Series(
        base=np.empty((n, DAYS)),
        reward=np.zeros((n, DAYS)),
        tvl_usd=np.empty((n, DAYS), dtype=np.int64),
        observed=np.arange(DAYS) >= np.array([pool.start for pool in pools])[:, None],
        split_from=np.array([DAYS if pool.split == "none" else 0 for pool in pools]),
    )
    factors = {asset: _factor(seed, n, shock) for n, (asset, shock) in enumerate(FACTOR_SHOCKS.items())}
    for first in range(0, n, BLOCK):
        _simulate_block(series, pools, first, factors, seed)
    return series


def _simulate_block(
    series: Series, pools: Sequence[Pool], first: int, factors: dict[MarketAsset, FloatArray], seed: int
) -> None:
    block = pools[first : first + BLOCK]
    rows = slice(first, first + len(block))
    shocks = np.empty((len(block), 3, DAYS))
    for n, pool in enumerate(block):
        rng = generator(seed, "pool", first + n)
        rng.standard_normal(out=shocks[n])
        if pool.rewarded:
            series.reward[first + n] = _rewards(pool.apy, rng)
    moves = np.array([DYNAMICS[pool.kind] for pool in block])
    loading, persistence, shock, noise, tvl_shock = moves.T
    factor = np.array([factors[pool.asset] for pool in block])
    deviation = _autoregressive(shocks[:, 0], persistence, shock) + noise[:, None] * shocks[:, 1]
    level = np.array([pool.apy for pool in block])[:, None]
    series.base[rows] = level * np.exp(loading[:, None] * factor + deviation)
    for n, pool in enumerate(block):
        if pool.kind == "savings":
            series.base[first + n] = _set_rate(series.base[first + n])
        elif pool.kind == "campaign":
            series.base[first + n] = 0.0
    walk = _autoregressive(shocks[:, 2], np.full(len(block), TVL_PERSISTENCE), tvl_shock)
    tvl = np.array([pool.tvl_usd for pool in block])[:, None] * np.exp(walk - walk[:, -1:])
    series.tvl_usd[rows] = np.rint(tvl).astype(np.int64)


def _autoregressive(shocks: FloatArray, persistence: FloatArray, scale: FloatArray) -> FloatArray:
    """Return x(t) = persistence · x(t−1) + scale · shock(t) for each row, started from its stationary distribution."""
    steps = np.ascontiguousarray(shocks.T) * scale
    steps[0] /= np.sqrt(1.0 - persistence**2)
    for day in range(1, steps.shape[0]):
        steps[day] += persistence * steps[day - 1]
    result: FloatArray = steps.T
    return result


def _factor(seed: int, number: int, shock: float) -> FloatArray:
    shocks = generator(seed, "factor", number).standard_normal((1, DAYS))
    factor = _autoregressive(shocks, np.array([FACTOR_PERSISTENCE]), np.array([shock]))[0]
    pinned: FloatArray = factor - factor[-1] * np.linspace(0.0, 1.0, DAYS)
    return pinned


def _set_rate(wanted: FloatArray) -> FloatArray:
    """Return the rate that a committee sets: reviewed now and then, in steps of a quarter of a percent."""
    reviewed = np.arange(DAYS) // SAVINGS_REVIEW_DAYS * SAVINGS_REVIEW_DAYS
    rate: FloatArray = np.maximum(np.rint(wanted[reviewed] / SAVINGS_STEP_PERCENT), 1.0) * SAVINGS_STEP_PERCENT
    return rate


def _rewards(level: float, rng: np.random.Generator) -> FloatArray:
    """Return the reward APY (percent) of a few programmes that start, decay exponentially and end."""
    start = rng.integers(-60, DAYS, PROGRAMMES)[:, None]
    length = rng.integers(40, 300, PROGRAMMES)[:, None]
    half_life = rng.uniform(40.0, 150.0, PROGRAMMES)[:, None]
    initial = level * rng.uniform(0.1, 0.9, PROGRAMMES)[:, None]
    age = np.arange(DAYS) - start
    running = (age >= 0) & (age < length)
    total: FloatArray = np.where(running, initial * 0.5 ** (np.maximum(age, 0) / half_life), 0.0).sum(axis=0)
    return total
