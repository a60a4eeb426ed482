"""The random stream of everything that can fail: named by what it is and what hangs on it, never by what it is called.

Names and ids come from the market: a pool renamed must not change a figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tools.exposure.look_through import Exposures
from tools.records import HazardLevel, NodeHazard, digest


def rate_at(hazard: NodeHazard, level: HazardLevel) -> float:
    """Return the events per year at the low, central or high estimate."""
    return {"low": hazard.rate_low, "central": hazard.rate, "high": hazard.rate_high}[level]


def stream_keys(
    nodes: Sequence[str], hazards: Mapping[str, NodeHazard], hits: Exposures, marks: Mapping[str, str]
) -> list[str]:
    """Return a key for the stream of each node, in the order of ``nodes``.

    Pools are known by their figures (``marks``). Nodes alike in everything are told apart by a count; which gets which
    stream makes no difference.
    """
    seen: Counter[str] = Counter()
    streams = []
    for node in nodes:
        pools = sorted((marks[pool], own[node].lost_if_fails) for pool, own in hits.items() if node in own)
        hazard = hazards[node]
        rates = (hazard.rate_low, hazard.rate, hazard.rate_high, hazard.severity_low, hazard.severity_high)
        content = digest([node.partition(":")[0], list(rates), [list(entry) for entry in pools]])
        streams.append(f"{content}.{seen[content]}")
        seen[content] += 1
    return streams
