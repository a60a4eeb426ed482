"""The caps that weights are solved under, each with the name that the record gives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tools.optimize.conflicts import keepable
from tools.optimize.limits import Limits as WeightLimits
from tools.optimize.limits import read_limits
from tools.strategies.profiles import Limits
from tools.strategies.universe import Pool
from tools.units import FloatArray

NamedCap = tuple[FloatArray, float, str]


class Caps(NamedTuple):
    """The cap of each pool, shape (n_pools,), and (share of each pool, cap, name) of every group that could break it.

    ``names`` say which limit each pool's cap is.
    """

    upper: FloatArray
    names: tuple[str, ...]
    groups: list[NamedCap]

    def limits(self, smallest: float = 0.0) -> WeightLimits:
        """Return the limits for a solver, with a least weight of every pool."""
        return read_limits(self.upper.size, min_weight=smallest, max_weights=self.upper, group_caps=self.groups)

    def hold(self, smallest: float) -> bool:
        """Tell whether any weights of at least ``smallest`` each keep all caps."""
        return keepable(self.limits(min(smallest, float(self.upper.min()))))

    def name(self, limit: str) -> str:
        """Return the record's name of what the solver calls ``max_weight[2]``: the cap of the third pool."""
        kind, _, place = limit.partition("[")
        if not place:
            return limit
        pool = int(place.rstrip("]"))
        return self.names[pool] if kind.startswith("max_weight") else f"{kind}:{self.names[pool].partition(':')[2]}"


def caps_of(pools: Sequence[Pool], limits: Limits, amount_usd: float | None) -> Caps:
    """Gather the caps: on one pool, on its share of what can be withdrawn, on one protocol, on one issuer.

    ``amount_usd`` None leaves positions uncapped by size.
    """
    upper, names = np.full(len(pools), limits.max_weight), [f"max_weight:{pool.id}" for pool in pools]
    if amount_usd is not None:
        for place, pool in enumerate(pools):
            by_size = limits.position_share * pool.row.tvl_usd / amount_usd
            if by_size < upper[place]:
                upper[place], names[place] = by_size, f"position_share:{pool.id}"
    return Caps(upper, tuple(names), _groups(pools, limits))


def _groups(pools: Sequence[Pool], limits: Limits) -> list[NamedCap]:
    families = sorted({pool.family for pool in pools}) if limits.protocol_share < 1.0 else []
    issuers = sorted({issuer for pool in pools for issuer in pool.issuer_shares}) if limits.issuer_share < 1.0 else []
    return [
        *((_on(pools, family), limits.protocol_share, f"protocol_share:{family}") for family in families),
        *((_behind(pools, name), limits.issuer_share, f"issuer_share:{name}") for name in issuers),
    ]


def _on(pools: Sequence[Pool], family: str) -> FloatArray:
    return np.array([float(pool.family == family) for pool in pools])


def _behind(pools: Sequence[Pool], issuer: str) -> FloatArray:
    return np.array([pool.issuer_shares.get(issuer, 0.0) for pool in pools])
