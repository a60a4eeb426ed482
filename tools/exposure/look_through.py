"""How much of a pool is a claim on each thing below it, and how much is lost when that thing fails.

A link with share 1 is a thing that its source cannot work without; a link with a smaller share is a slice of it.

    claim(x, x) = 1
    claim(x, n) = min(1, max(max over whole links x → c of claim(c, n), Σ over slices x → c of share · claim(c, n)))

Two ways to the same thing through things one needs whole are one dependence, so the larger counts; slices are
different parts of the money, so they add up. Ways that come back to where they were are not followed.

``look_through`` of a pool is its claim. ``lost_if_fails`` takes each of its links whole: a pool of several tokens is
left with the one that fails, so all of it goes with any of its tokens. For a pool of one token the two are equal.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tools.exposure.facts import load_together
from tools.exposure.links import Link, Links, links_of_day
from tools.exposure.nodes import what_it_is
from tools.records import ExposureLink
from tools.strategies.universe import Pool
from tools.units import FloatArray

COUNTED_KINDS = ("protocol", "issuer", "token", "chain")
DECIMALS = 12  # beyond these a sum depends on the order of its terms

Claims = Mapping[str, float]
_Below = Callable[[str], Claims]


class Hit(NamedTuple):
    """The share of a pool that is a claim on a node, and the share that is lost when the node fails for good."""

    look_through: float
    lost_if_fails: float


class Exposures(Mapping[str, Mapping[str, Hit]]):
    """Pool id → node id → ``Hit``, nodes sorted; with the links below each pool.

    ``claims``: node → node below it → share; every node that a pool depends on is there. ``lost`` has shape (n_pools,
    n_nodes), pools in the order of ``row_of`` and nodes in that of ``nodes``; ``weight_of_node`` (n_nodes,) says how
    far two pools that share a node are one risk.
    """

    def __init__(self, pools: Sequence[Pool], links: Links) -> None:
        self._links = links
        self.claims: dict[str, Claims] = {}
        self.pool_links = {pool.id: links.of_pool(pool) for pool in sorted(pools, key=lambda pool: pool.id)}
        if len(self.pool_links) < len(pools):
            raise ValueError("exposures: the same pool stands twice among the pools")
        self._hits = {pool_id: self._hits_of(direct) for pool_id, direct in self.pool_links.items()}
        self.nodes = tuple(sorted(self.claims))
        self.row_of = {pool_id: row for row, pool_id in enumerate(self._hits)}
        self.lost: FloatArray = np.array(
            [[hits[node].lost_if_fails if node in hits else 0.0 for node in self.nodes] for hits in self._hits.values()]
        ).reshape(len(self._hits), len(self.nodes))
        self.weight_of_node: FloatArray = np.array([_together(node) for node in self.nodes])
        self._column = {node: column for column, node in enumerate(self.nodes)}
        self._marks = {kind: self._direct_marks(kind) for kind in COUNTED_KINDS if kind != "issuer"}
        self._records: dict[Link, ExposureLink] = {}

    def __getitem__(self, pool_id: str) -> Mapping[str, Hit]:
        return self._hits[pool_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._hits)

    def __len__(self) -> int:
        return len(self._hits)

    def marks(self, kind: str, pool_ids: Sequence[str]) -> FloatArray:
        """Return how far some pools hang on nodes of one of ``COUNTED_KINDS``, shape (n_pools, n_nodes of that kind).

        Protocols, tokens and chains count where a pool hangs on them itself (1, else 0); issuers, protocols that issue
        among them, by what is lost with them.
        """
        rows = [self.row_of[pool_id] for pool_id in pool_ids]
        return self._issuer_marks(rows, pool_ids) if kind == "issuer" else self._marks[kind][rows]

    def links_below(self, pool_ids: Sequence[str]) -> list[Link]:
        """Return every link that pools depend on, directly or through others, sorted by its ends."""
        found = {link for pool_id in pool_ids for link in self.pool_links[pool_id]}
        found |= {link for pool_id in pool_ids for node in self._hits[pool_id] for link in self._links.of(node)}
        return sorted(found, key=lambda link: (link.source, link.target))

    def record_of(self, link: Link) -> ExposureLink:
        """Return a link as it stands in the record; each is made once."""
        if link not in self._records:
            share = round(link.share, DECIMALS)
            self._records[link] = ExposureLink(source=link.source, target=link.target, share=share)
        return self._records[link]

    def _direct_marks(self, kind: str) -> FloatArray:
        direct = [{link.target for link in links if _is(link.target, kind)} for links in self.pool_links.values()]
        names = sorted(set().union(*direct))
        return np.array([[float(name in own) for name in names] for own in direct]).reshape(len(direct), len(names))

    def _issuer_marks(self, rows: Sequence[int], pool_ids: Sequence[str]) -> FloatArray:
        """Return what is lost with each who answers for a token that these pools reach."""
        nodes = sorted({node for pool_id in pool_ids for node in self._hits[pool_id]})
        answering = {link.target for node in nodes if _is(node, "token") for link in self._links.of(node)}
        issuers = [n for n in nodes if what_it_is(n) == "issuer" or (_is(n, "protocol") and n in answering)]
        return self.lost[np.ix_(rows, [self._column[node] for node in issuers])]

    def _hits_of(self, direct: Sequence[Link]) -> dict[str, Hit]:
        look = _claims_of(direct, self._claims)
        whole = _claims_of([link._replace(share=1.0) for link in direct], self._claims)
        return {node: Hit(look[node], whole[node]) for node in sorted(look)}

    def _claims(self, node: str) -> Claims:
        if node not in self.claims:
            self.claims[node] = self._follow(node, frozenset())
            for below in self.claims[node]:
                self._claims(below)
        return self.claims[node]

    def _follow(self, node: str, path: frozenset[str]) -> Claims:
        """Follow the links of a node, but not back to a node on the way to it (Stream and Elixir held each other)."""
        on_path = path | {node}
        links = [link for link in self._links.of(node) if link.target not in on_path]
        return {node: 1.0, **_claims_of(links, lambda below: self._follow(below, on_path))}


def exposures(pools: Sequence[Pool], as_of: dt.date) -> Exposures:
    """Return what each pool depends on, by what was publicly known at a day; see ``Hit``.

    What is not known is a node of its own (``unknown:collateral``), never left out. Native coins are no node: nobody
    issues them. Raises ``ValueError`` when a pool stands twice, ``UsageError`` for data that cannot be read.
    """
    return Exposures(pools, links_of_day(as_of))


def _claims_of(links: Sequence[Link], below: _Below) -> dict[str, float]:
    """Put the claims of the things at the end of some links together, by the rule at the top of this module."""
    whole: dict[str, float] = {}
    slices: dict[str, list[float]] = {}
    for link in links:
        for node, claim in below(link.target).items():
            if link.share == 1.0:
                whole[node] = max(whole.get(node, 0.0), claim)
            else:
                slices.setdefault(node, []).append(link.share * claim)
    for node, parts in slices.items():
        whole[node] = min(1.0, max(whole.get(node, 0.0), round(math.fsum(parts), DECIMALS)))
    return whole


def _is(node_id: str, kind: str) -> bool:
    return node_id.startswith(f"{kind}:")


def _together(node_id: str) -> float:
    """Return how far two pools that share a node are one risk; of an unknown node, as the thing that is not known."""
    table = load_together()
    chain = table.chains.get(node_id.removeprefix("chain:")) if _is(node_id, "chain") else None
    return (chain or table.kinds[what_it_is(node_id)]).value
