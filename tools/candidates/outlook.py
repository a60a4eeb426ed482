"""What the coming year may bring to every eligible pool: yield, events, and years drawn at random.

The weight methods that look at losses need more than a history of rates, which never shows one. They get the mean and
covariance of yield and events together in closed form, and a set of years in which protocols, tokens, issuers … fail as
often as their hazards say. One set serves all candidates, so that the difference between two is not the luck of a draw.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.exposure import Exposures
from tools.exposure.streams import rate_at, stream_keys
from tools.metrics.inputs import without_variance
from tools.optimize.moments import shrunk_covariance, shrunk_mean
from tools.records import HazardLevel, NodeHazard
from tools.strategies.universe import Pool
from tools.units import DAYS_PER_YEAR, FloatArray, daily_return

YEARS = 4_000
_IndexArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Outlook:
    """What a year may bring to ``pools``, the eligible ones, in the order of ``row_of``.

    ``lost`` (n_pools, n_nodes): the share of a pool that is lost when a node fails for good; ``rates`` (n_nodes,):
    failures per year; ``severities`` (n_nodes, 2): what is lost of it is uniform between these. ``left`` (n_years,
    n_pools): the share that the events of each year leave; ``struck``: for every node, the years in which it fails.
    """

    pools: tuple[Pool, ...]
    row_of: Mapping[str, int]
    nodes: tuple[str, ...]
    lost: FloatArray
    rates: FloatArray
    severities: FloatArray
    left: FloatArray
    struck: Mapping[str, _IndexArray]
    _seen: dict[int, FloatArray] = field(default_factory=dict, repr=False)

    def apy(self, pools: Sequence[Pool], days: int) -> FloatArray:
        """Return the yield to expect of some pools (n_pools,), per year, before events and costs.

        The rate of the day, which every figure of the record is about, shrunk towards the average of all eligible pools
        by as much as the errors of their means over the last ``days`` days ask (see ``shrunk_mean``).
        One centre and one intensity serve all candidates, so that their yields can be compared.
        """
        if days not in self._seen:
            rates = np.array([pool.row.apy for pool in self.pools])
            known = [pool for pool in self.pools if pool.history.apy.size >= days]
            intensity = shrunk_mean(daily_returns(known, days)).intensity
            centre = math.fsum(rates) / rates.size
            self._seen[days] = centre + (1.0 - intensity) * (rates - centre)
        return np.asarray(self._seen[days][self._rows(pools)])

    def net_apy(self, pools: Sequence[Pool], days: int) -> FloatArray:
        """Return the yield to expect less the expected loss by events (n_pools,), per year, before costs."""
        return np.asarray(self.apy(pools, days) - self.expected_loss(pools))

    def expected_loss(self, pools: Sequence[Pool]) -> FloatArray:
        """Return what events take in a mean year (n_pools,): Σ share lost · rate · mean severity."""
        mean = self.rates * (self.severities[:, 0] + self.severities[:, 1]) / 2.0
        return np.asarray(np.einsum("ij,j->i", self.lost[self._rows(pools)], mean))

    def covariance(self, pools: Sequence[Pool], days: int) -> FloatArray:
        """Return the covariance (n_pools, n_pools) of a year's return, yield and events together.

        That of yields is shrunk (``tools.optimize.moments``).
        """
        return np.asarray(_carry_covariance(daily_returns(pools, days)) + self.event_covariance(pools))

    def event_covariance(self, pools: Sequence[Pool]) -> FloatArray:
        """Return the covariance (n_pools, n_pools) of what events take in a year.

        A compound Poisson loss: Σ rate · E[severity²] · share · share.
        """
        lost, (low, high) = self.lost[self._rows(pools)], self.severities.T
        squares = self.rates * (low * low + low * high + high * high) / 3.0
        return np.asarray(np.einsum("ik,k,jk->ij", lost, squares, lost))

    def years(self, pools: Sequence[Pool], days: int) -> Years:
        """Return the years as scenarios for these pools; those in which nothing strikes them are one, the first."""
        left = self.left[:, self._rows(pools)]
        eventful = np.flatnonzero((left < 1.0).any(axis=1))
        total = self.left.shape[0]
        scenarios = np.vstack([np.ones(left.shape[1]), left[eventful]])
        return Years(
            returns=(1.0 + self.apy(pools, days)) * scenarios - 1.0,
            probabilities=np.concatenate([[(total - eventful.size) / total], np.full(eventful.size, 1.0 / total)]),
            numbers=np.concatenate([[-1], eventful]),
        )

    def failing(self, year: int, pools: Sequence[Pool]) -> list[str]:
        """Name what fails in a year and takes something from one of these pools, sorted."""
        touched = np.flatnonzero((self.lost[self._rows(pools)] > 0.0).any(axis=0))
        return [self.nodes[n] for n in touched if year in self.struck[self.nodes[n]]]

    def _rows(self, pools: Sequence[Pool]) -> list[int]:
        return [self.row_of[pool.id] for pool in pools]


class Years(NamedTuple):
    """A year's returns (n_scenarios, n_pools) with their ``probabilities``; ``numbers`` of the years, −1 for quiet."""

    returns: FloatArray
    probabilities: FloatArray
    numbers: _IndexArray


def build_outlook(
    pools: Sequence[Pool],
    hits: Exposures,
    marks: Mapping[str, str],
    hazard: Callable[[str], NodeHazard | None],
    level: HazardLevel,
    seed: int,
) -> Outlook:
    """Draw what may happen in a year to ``pools`` from what they hang on.

    ``marks`` tell pools apart by their figures, so that no name enters a random stream.
    """
    hazards = {node: found for node in hits.nodes if (found := hazard(node)) is not None}
    nodes = tuple(sorted(hazards))
    lost = np.array([[_lost(hits, pool, node) for node in nodes] for pool in pools]).reshape(len(pools), len(nodes))
    rates = np.array([rate_at(hazards[node], level) for node in nodes])
    severities = np.array([(hazards[node].severity_low, hazards[node].severity_high) for node in nodes]).reshape(-1, 2)
    left, struck = _years(lost, rates, severities, stream_keys(nodes, hazards, hits, marks), seed)
    return Outlook(
        tuple(pools),
        {pool.id: row for row, pool in enumerate(pools)},
        nodes,
        lost,
        rates,
        severities,
        left,
        dict(zip(nodes, struck, strict=True)),
    )


def _lost(hits: Exposures, pool: Pool, node: str) -> float:
    own = hits[pool.id]
    return own[node].lost_if_fails if node in own else 0.0


def daily_returns(pools: Sequence[Pool], days: int) -> FloatArray:
    """Return the simple daily returns of the last ``days`` days, shape (n_days, n_pools)."""
    return np.column_stack([daily_return(pool.history.apy[-days:]) for pool in pools])


def _carry_covariance(returns: FloatArray) -> FloatArray:
    """Return the shrunk covariance of a year of carry; nothing varies in a history without variation."""
    if without_variance(returns.std(axis=0), returns.mean(axis=0)).all():
        return np.zeros((returns.shape[1], returns.shape[1]))
    return np.asarray(shrunk_covariance(returns)[0] * DAYS_PER_YEAR)


def _years(
    lost: FloatArray, rates: FloatArray, severities: FloatArray, streams: Sequence[str], seed: int
) -> tuple[FloatArray, list[_IndexArray]]:
    """Draw years by systematic sampling: each node fails as often as it should, its severities evenly spread.

    Of ``YEARS`` years a node that fails ``rate`` times a year strikes ⌊rate · YEARS + u⌋ times, u uniform in [0, 1);
    the years are drawn without order, the severities are the midpoints of as many slices. So the mean of each node is
    right in the sample, and only the coincidences of several nodes are left to chance.
    """
    left = np.ones((YEARS, lost.shape[0]))
    struck: list[_IndexArray] = []
    for node, stream in enumerate(streams):
        mark = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
        random = np.random.Generator(np.random.PCG64(int.from_bytes(mark, "big")))
        events = math.floor(rates[node] * YEARS + random.random())
        years = random.choice(YEARS, size=events, replace=events > YEARS)
        low, high = severities[node]
        losses = low + (high - low) * (np.arange(events) + 0.5) / max(events, 1)
        np.multiply.at(left, years, 1.0 - losses[:, None] * lost[:, node])
        struck.append(np.unique(years))
    return left, struck
