"""What goes down with a node that fails: the share of the money, and everything that hangs on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from tools.exposure.look_through import DECIMALS, Exposures
from tools.exposure.portfolio import checked_weights


class Contagion(NamedTuple):
    """A node, the share of the money lost when it fails, the pools that lose, and what else falls.

    ``falls``: node → the share of it that goes, the most first; ``pools``: pool id → the same.
    """

    node: str
    lost: float
    pools: Mapping[str, float]
    falls: Mapping[str, float]


def contagion(hits: Exposures, node_id: str, weights: Mapping[str, float]) -> float:
    """Return the share of the money that is lost when a node fails for good; 0 for one that nothing depends on.

    ``weights`` are pool id → fraction, together 1; raises ``ValueError`` as ``portfolio_exposure`` does.
    """
    return _contagion(hits, node_id, checked_weights(weights, hits)).lost


def contagion_table(hits: Exposures, weights: Mapping[str, float]) -> tuple[Contagion, ...]:
    """Return what goes down with each node that the money depends on, the largest loss first, ties by id.

    Raises ``ValueError`` as ``portfolio_exposure`` does.
    """
    held = checked_weights(weights, hits)
    nodes = sorted({node for pool_id in held for node in hits[pool_id]})
    table = [_contagion(hits, node, held) for node in nodes]
    return tuple(sorted(table, key=lambda row: (-row.lost, row.node)))


def falls_with(hits: Exposures, node_id: str) -> dict[str, float]:
    """Return every other node that hangs on one, and the share of it that goes with it, the most first, ties by id.

    ``protocol:lido`` → ``{"token:STETH": 1.0, "token:WSTETH": 1.0}`` where pools hold them.
    """
    found = {node: claims[node_id] for node, claims in hits.claims.items() if node != node_id and node_id in claims}
    return _most_first(found)


def _contagion(hits: Exposures, node_id: str, weights: Mapping[str, float]) -> Contagion:
    pools = {pool_id: hits[pool_id][node_id].lost_if_fails for pool_id in weights if node_id in hits[pool_id]}
    lost = math.fsum(weights[pool_id] * share for pool_id, share in pools.items())
    below = {node for pool_id in weights for node in hits[pool_id]}
    falls = {node: share for node, share in falls_with(hits, node_id).items() if node in below}
    return Contagion(node_id, min(1.0, round(lost, DECIMALS)), _most_first(pools), falls)


def _most_first(shares: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))
