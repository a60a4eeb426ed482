"""The exposure of a set of weights: what is lost with each node, and how many independent risks that makes.

The effective number of risks is the diversity of order 2 with similarity of Leinster & Cobbold (2012), "Measuring
diversity: the importance of species similarity", *Ecology* 93(3), 477-489, equation 1 at q = 2:

    D = 1 / Σ_i Σ_j w_i Z_ij w_j,   Z_ii = 1,   Z_ij = max over nodes n of together(n) · min(lost_i(n), lost_j(n))

with w the weights, lost_i(n) the share of pool i that is lost when n fails and together(n) how far sharing n makes one
risk (``data/together.toml``). It lies between 1 and the number of pools. With Z the identity it is the inverse
Herfindahl index 1/Σw²; two equal pools count as one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from tools.exposure.look_through import COUNTED_KINDS, DECIMALS, Exposures
from tools.exposure.nodes import shown, split, what_it_is
from tools.records import Exposure, NodeExposure, NodeHazard
from tools.units import FloatArray

# Nearly everything stands on one chain and one oracle network: naming them says nothing about the choice of pools.
NOT_SINGLE_POINTS = frozenset({"chain", "oracle"})
WEIGHT_TOLERANCE = 1e-6

HazardOf = Callable[[str], NodeHazard | None]


def portfolio_exposure(pool_weights: Mapping[str, float], hits: Exposures, hazards: HazardOf) -> Exposure:
    """Return what weights (pool id → fraction of the money, together 1) depend on.

    Nodes are sorted by what is lost with them, the most first; of several, parties before the tokens that they answer
    for, then by expected loss, then by id. ``expected_loss`` is per year: lost_if_fails · rate · mean severity; 0 for a
    node without a hazard of its own. ``single_point`` is the first node that is neither chain nor oracle, of these only
    where there is nothing else. Pools of weight 0 are left out.
    Raises ``ValueError`` for weights that are no fractions of a whole and for a pool without exposures.
    """
    weights = checked_weights(pool_weights, hits)
    nodes = _nodes(weights, hits, hazards)
    single = next(node for node in nodes if what_it_is(node.id) not in NOT_SINGLE_POINTS)
    return Exposure(
        nodes=nodes,
        links=[hits.record_of(link) for link in hits.links_below(list(weights))],
        effective_risks=effective_number(weights, hits),
        effective_by_kind=_by_kind(weights, hits),
        single_point=single.id,
    )


def checked_weights(pool_weights: Mapping[str, float], hits: Exposures) -> dict[str, float]:
    """Return the weights above 0 in the order of their pools; raises ``ValueError`` as ``portfolio_exposure`` does."""
    for pool_id, weight in pool_weights.items():
        if pool_id not in hits:
            raise ValueError(f"no exposures for the pool {pool_id!r}")
        if not 0.0 <= weight <= 1.0 + WEIGHT_TOLERANCE:
            raise ValueError(f"the weight of {pool_id!r} must lie between 0 and 1, not {weight!r}")
    total = math.fsum(pool_weights.values())
    if abs(total - 1.0) > WEIGHT_TOLERANCE:
        raise ValueError(f"the weights of the pools must add up to 1, not to {total!r}")
    return {pool_id: pool_weights[pool_id] for pool_id in sorted(pool_weights) if pool_weights[pool_id] > 0.0}


def effective_number(weights: Mapping[str, float], hits: Exposures) -> float:
    """Return the effective number of independent risks of checked weights: between 1 and the number of pools."""
    lost = hits.lost[[hits.row_of[pool_id] for pool_id in weights]]
    return diversity(np.array(list(weights.values())), _similarity(lost, hits.weight_of_node))


def diversity(shares: FloatArray, similarity: FloatArray) -> float:
    """Return the diversity of order 2 of ``shares`` (n,) with ``similarity`` (n, n), which has ones on its diagonal.

    Shares are scaled to add up to 1. Leinster & Cobbold (2012), see the top of this module. Exact sums, so that the
    order of the pools does not matter.
    """
    concentration = math.fsum((shares[:, None] * shares[None, :] * similarity).ravel().tolist())
    number = math.fsum(shares.tolist()) ** 2 / concentration
    return round(min(max(number, 1.0), float(shares.size)), DECIMALS)


def _by_kind(weights: Mapping[str, float], hits: Exposures) -> dict[str, float]:
    """Count by one kind of node only: what the pools lie in, hold and run on, and who answers for what they hold.

    Pools that hang on the same node of the kind are alike, so where each hangs on one this is 1/Σ share². Pools that
    hang on none (nobody issues ETH) are left out, and a kind that no pool hangs on too.
    """
    counts = {}
    for kind in COUNTED_KINDS:
        marks = hits.marks(kind, list(weights))
        rows = marks.any(axis=1)
        if rows.any():
            similarity = _similarity(marks[rows], np.ones(marks.shape[1]))
            counts[kind] = diversity(np.array(list(weights.values()))[rows], similarity)
    return counts


def _similarity(lost: FloatArray, together: FloatArray) -> FloatArray:
    """Return Z of shape (n_pools, n_pools) from ``lost`` (n_pools, n_nodes) and ``together`` (n_nodes,)."""
    shared = np.minimum(lost[:, None, :], lost[None, :, :]) * together
    similarity: FloatArray = shared.max(axis=2, initial=0.0)
    np.fill_diagonal(similarity, 1.0)
    return similarity


def _nodes(weights: Mapping[str, float], hits: Exposures, hazards: HazardOf) -> list[NodeExposure]:
    names = sorted({node for pool_id in weights for node in hits[pool_id]})
    nodes = [_node(node, weights, hits, hazards(node)) for node in names]
    return sorted(nodes, key=lambda node: (-node.lost_if_fails, node.kind == "token", -node.expected_loss, node.id))


def _node(node: str, weights: Mapping[str, float], hits: Exposures, hazard: NodeHazard | None) -> NodeExposure:
    shares = [(weight, hits[pool_id][node]) for pool_id, weight in weights.items() if node in hits[pool_id]]
    lost = _share(weight * hit.lost_if_fails for weight, hit in shares)
    severity = (hazard.severity_low + hazard.severity_high) / 2.0 if hazard else 0.0
    return NodeExposure(
        id=node,
        kind=split(node)[0],
        name=shown(node),
        pools=len(shares),
        look_through=_share(weight * hit.look_through for weight, hit in shares),
        lost_if_fails=lost,
        hazard=hazard,
        expected_loss=round(lost * (hazard.rate if hazard else 0.0) * severity, DECIMALS),
    )


def _share(parts: Iterable[float]) -> float:
    return min(1.0, round(math.fsum(parts), DECIMALS))
