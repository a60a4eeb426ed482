"""The exposures as a graph, for pictures and for users who want to ask it more."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tools.exposure.look_through import exposures
from tools.exposure.nodes import POOL, shown, split
from tools.strategies.universe import Pool

if TYPE_CHECKING:
    import networkx as nx


def build_graph(pools: Sequence[Pool], as_of: dt.date) -> nx.DiGraph[str]:
    """Return the directed graph from pools (``pool:<id>``) to all that they depend on, as known at a day.

    Node attributes: ``kind`` (pool, or one of ``tools.records.NodeKind``) and ``name``. Edge attributes: ``share`` (of
    the source; 1 all of it), ``why``, ``source`` (a public page, a data file, the market's row; empty where something
    is not known) and ``since`` (ISO date, None for what is not dated). Nodes and edges come in the order of their ids.
    Raises as ``exposures`` does.
    """
    import networkx as nx

    hits = exposures(pools, as_of)
    graph: nx.DiGraph[str] = nx.DiGraph(as_of=as_of.isoformat())
    for pool in sorted(pools, key=lambda pool: pool.id):
        graph.add_node(f"{POOL}:{pool.id}", kind=POOL, name=pool.name)
    for node in hits.nodes:
        graph.add_node(node, kind=split(node)[0], name=shown(node))
    for link in hits.links_below(list(hits)):
        since = link.since.isoformat() if link.since else None
        graph.add_edge(link.source, link.target, share=link.share, why=link.why, source=link.reference, since=since)
    return graph
