"""Two hundred seeded problems of allocation: 25 kinds of book, eight of each. Data only: nothing of the project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Random = np.random.Generator
Limits = dict[str, Any]

SEEDS = 8
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Book:
    """Daily returns (n_days, n_assets) and limits, in the words of ``tools.optimize.solve``."""

    kind: str
    seed: int
    returns: FloatArray
    limits: Limits = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.seed}"


def price_book(random: Random, assets: int, days: int, low: float = 1e-3, high: float = 5e-2) -> FloatArray:
    """Draw returns with one common factor; daily volatilities from ``low`` to ``high``, evenly in logarithms."""
    volatility = np.exp(random.uniform(np.log(low), np.log(high), assets))
    loading = random.uniform(0.1, 0.8, assets)
    common, own = random.standard_t(5, (days, 1)), random.standard_t(5, (days, assets))
    drift = random.uniform(-0.02, 0.08, assets)
    return np.asarray(volatility * (drift + loading * common + np.sqrt(1 - loading**2) * own))


def carry_book(random: Random, assets: int, days: int, volatility: float = 1e-4) -> FloatArray:
    """Draw the days of pools that only accrue: 2 to 15 % a year, swinging slowly by ``volatility`` a day."""
    rate = random.uniform(0.02, 0.15, assets) / 365
    swing = np.zeros((days, assets))
    shocks = random.normal(size=(days, assets))
    for day in range(days):
        swing[day] = 0.8 * swing[day - 1] + shocks[day] if day else shocks[day]
    return np.asarray(rate + swing / swing.std(axis=0) * volatility * random.uniform(0.5, 2.0, assets))


def _floor_at(returns: FloatArray, quantile: float) -> float:
    return float(np.quantile(returns.mean(axis=0), quantile))


def _plain(random: Random) -> tuple[FloatArray, Limits]:
    return price_book(random, 5, 120), {"max_weight": 0.5}


def _many(random: Random) -> tuple[FloatArray, Limits]:
    return price_book(random, 30, 120), {"max_weight": 0.15}


def _uncapped(random: Random) -> tuple[FloatArray, Limits]:
    return price_book(random, 6, 90), {}


def _carry(random: Random) -> tuple[FloatArray, Limits]:
    return carry_book(random, 8, 120), {"max_weight": 0.25}


def _quiet_carry(random: Random) -> tuple[FloatArray, Limits]:
    return carry_book(random, 8, 120, 1e-6), {"max_weight": 0.25}


def _quietest_carry(random: Random) -> tuple[FloatArray, Limits]:
    return carry_book(random, 6, 90, 1e-8), {"max_weight": 0.4}


def _more_assets_than_days(random: Random) -> tuple[FloatArray, Limits]:
    return price_book(random, 20, 12), {"max_weight": 0.2}


def _linear_combination(random: Random) -> tuple[FloatArray, Limits]:
    """Give a singular covariance: the last asset is the mean of the first two."""
    returns = price_book(random, 6, 90)
    returns[:, -1] = (returns[:, 0] + returns[:, 1]) / 2
    return returns, {"max_weight": 0.4}


def _one_asset(random: Random) -> tuple[FloatArray, Limits]:
    return price_book(random, 1, 60), {}


def _all_negative(random: Random) -> tuple[FloatArray, Limits]:
    return -np.abs(price_book(random, 5, 80)) - 1e-6, {"max_weight": 0.4}


def _no_room(random: Random) -> tuple[FloatArray, Limits]:
    return price_book(random, 5, 80), {"max_weight": 0.2}


def _duplicates(random: Random) -> tuple[FloatArray, Limits]:
    returns = price_book(random, 4, 80)
    return np.hstack([returns, returns[:, :2]]), {"max_weight": 0.3}


def _one_constant(random: Random) -> tuple[FloatArray, Limits]:
    returns = price_book(random, 5, 80)
    returns[:, 2] = 1e-4
    return returns, {"max_weight": 0.4}


def _all_constant(random: Random) -> tuple[FloatArray, Limits]:
    return np.tile(random.uniform(1e-5, 4e-4, 5), (70, 1)), {"max_weight": 0.4}


def _group_caps(random: Random) -> tuple[FloatArray, Limits]:
    groups = [((np.arange(8) % 3 == 0).astype(float), 0.3), ((np.arange(8) < 2).astype(float), 0.25)]
    return price_book(random, 8, 100), {"max_weight": 0.3, "group_caps": groups}


def _tight_groups(random: Random) -> tuple[FloatArray, Limits]:
    """Give groups whose caps add up to 1: all of them bind."""
    member = np.arange(9) % 3
    groups = [((member == group).astype(float), cap) for group, cap in enumerate((0.5, 0.3, 0.2))]
    return price_book(random, 9, 100), {"max_weight": 0.3, "group_caps": groups}


def _partial_shares(random: Random) -> tuple[FloatArray, Limits]:
    shares = random.uniform(0.0, 1.0, 7)
    return price_book(random, 7, 100), {"max_weight": 0.4, "group_caps": [(shares, float(np.median(shares)))]}


def _own_caps(random: Random) -> tuple[FloatArray, Limits]:
    return price_book(random, 7, 90), {"max_weight": 0.6, "max_weights": random.uniform(0.1, 0.6, 7) + 0.05}


def _least_weights(random: Random) -> tuple[FloatArray, Limits]:
    return price_book(random, 6, 90), {"max_weight": 0.4, "min_weight": 0.05}


def _return_floor(random: Random) -> tuple[FloatArray, Limits]:
    returns = price_book(random, 8, 110)
    return returns, {"max_weight": 0.4, "return_floor": _floor_at(returns, 0.6)}


def _carry_with_floor(random: Random) -> tuple[FloatArray, Limits]:
    returns = carry_book(random, 8, 110)
    return returns, {"max_weight": 0.4, "return_floor": _floor_at(returns, 0.6)}


def _fat_tails(random: Random) -> tuple[FloatArray, Limits]:
    return np.clip(random.standard_t(2, (120, 6)) * 0.01, -0.9, 3.0), {"max_weight": 0.5}


def _mixed_scales(random: Random) -> tuple[FloatArray, Limits]:
    return 1e-4 + random.normal(size=(100, 6)) * 10.0 ** np.arange(-6, 0), {"max_weight": 0.4}


def _hedge(random: Random) -> tuple[FloatArray, Limits]:
    """Give two assets that cancel each other: a portfolio without variance exists."""
    returns = price_book(random, 5, 80)
    returns[:, 1] = 3e-4 - returns[:, 0]
    return returns, {"max_weight": 0.5}


def _turnover(random: Random) -> tuple[FloatArray, Limits]:
    previous = random.dirichlet(np.ones(6))
    return price_book(random, 6, 90), {"max_weight": 1.0, "previous": previous, "turnover": 0.3}


KINDS: tuple[Callable[[Random], tuple[FloatArray, Limits]], ...] = (
    _plain, _many, _uncapped, _carry, _quiet_carry, _quietest_carry, _more_assets_than_days, _linear_combination,
    _one_asset, _all_negative, _no_room, _duplicates, _one_constant, _all_constant, _group_caps, _tight_groups,
    _partial_shares, _own_caps, _least_weights, _return_floor, _carry_with_floor, _fat_tails, _mixed_scales, _hedge,
    _turnover,
)  # fmt: skip


def books() -> Iterator[Book]:
    """Yield the two hundred; the same ones on every machine."""
    for place, kind in enumerate(KINDS):
        for seed in range(SEEDS):
            returns, limits = kind(np.random.default_rng([place, seed]))
            yield Book(kind.__name__.strip("_").replace("_", "-"), seed, np.ascontiguousarray(returns), limits)
