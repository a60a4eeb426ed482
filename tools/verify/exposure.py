"""What a candidate depends on, looked through again from its own links.

A link with share 1 is a thing that its source cannot work without, a smaller one a slice of it. The claim of a thing on
what lies below it is the largest over whole links or the sum over slices, whichever is more, at most 1; a way that
comes back to where it was is not followed. ``look_through`` of a pool is its claim, ``lost_if_fails`` the same with
every link of the pool itself taken whole.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from tools.verify.book import JsonObject
from tools.verify.report import Findings, printable

# How far two pools that share a node are one risk; what is not known counts as the kind of thing that is not known.
TOGETHER = {
    "protocol": 1.0,
    "token": 1.0,
    "issuer": 1.0,
    "curator": 1.0,
    "bridge": 1.0,
    "collateral": 1.0,
    "oracle": 0.25,
    "chain": 0.25,
}
TOGETHER_CHAINS = {"Ethereum": 0.05}
NATIVE = frozenset({"ETH", "WETH", "BTC"})  # nobody issues them, so they are no nodes
CANONICAL = "Canonical bridge"  # an issuer that is the bridge of the chain, whatever its name
NOT_SINGLE_POINTS = frozenset({"chain", "oracle"})
DISPLAYED_AS = {"sdai": "savings"}
ROUNDING = 1e-10  # shares are kept to twelve decimals
DEEPEST, MOST_STEPS = 50, 100_000

Claims = Mapping[str, float]
Below = Mapping[str, Sequence[tuple[str, float]]]


class Hits(NamedTuple):
    """What one pool hangs on: node → share that is a claim on it, node → share lost if it fails."""

    look_through: Claims
    lost: Claims


class TooTangledError(Exception):
    """Raised when links cannot be followed within bounds that every honest record keeps."""


def check_exposures(record: JsonObject, findings: Findings) -> list[dict[str, Hits]]:
    """Recompute the exposure of every candidate from its links; return what each pool hangs on, by candidate and pool.

    Where the links cannot be followed the entry is empty, and a difference says so.
    """
    _check_agreement(record["candidates"], findings)
    return [
        _check_exposure(candidate, f"/candidates/{index}/risk/exposure", findings)
        for index, candidate in enumerate(record["candidates"])
    ]


def _check_agreement(candidates: Sequence[JsonObject], findings: Findings) -> None:
    """See that the same node has the same hazard everywhere, and that the same thing hangs on the same things."""
    hazards: dict[str, object] = {}
    known: dict[str, list[tuple[str, float]]] = {}
    for index, candidate in enumerate(candidates):
        pointer = f"/candidates/{index}/risk/exposure"
        for place, node in enumerate(candidate["risk"]["exposure"]["nodes"]):
            first = hazards.setdefault(node["id"], node["hazard"])
            if node["hazard"] != first:
                findings.same(f"{pointer}/nodes/{place}/hazard", node["hazard"], first, "that of another candidate")
        for source, targets in _below(candidate).items():
            if targets != known.setdefault(source, targets):
                what = f"let {printable(source)} hang on other things than those of another candidate do"
                findings.at(f"{pointer}/links", what, len(known[source]), len(targets))


def _below(candidate: JsonObject) -> dict[str, list[tuple[str, float]]]:
    below: dict[str, list[tuple[str, float]]] = {}
    for link in candidate["risk"]["exposure"]["links"]:
        below.setdefault(link["source"], []).append((link["target"], link["share"]))
    return below


def _check_exposure(candidate: JsonObject, pointer: str, findings: Findings) -> dict[str, Hits]:
    weights = {pool["pool_id"]: pool["weight"] for pool in candidate["pools"] if pool["weight"] > 0.0}
    below = _below(candidate)
    _check_links(candidate, pointer, findings)
    try:
        hits = _hits(weights, below)
    except TooTangledError:
        findings.at(f"{pointer}/links", "are too tangled to be followed", "links that can be followed")
        return {}
    if weights:
        _check_reached(candidate, hits, pointer, findings)
        _check_nodes(candidate, weights, hits, pointer, findings)
        _check_numbers(candidate, weights, hits, below, pointer, findings)
    return hits


# --- following the links ---------------------------------------------------------------------------------------------


def _hits(weights: Iterable[str], below: Below) -> dict[str, Hits]:
    walk = _Walk(below)
    hits = {}
    for pool_id in weights:
        direct = below.get(f"pool:{pool_id}", ())
        look_through = _joined(direct, walk.claims)
        hits[pool_id] = Hits(look_through, _joined([(target, 1.0) for target, _ in direct], walk.claims))
    return hits


class _Walk:
    """Follows links with a memory; what a way round was cut out of is not remembered, for it depends on the way."""

    def __init__(self, below: Below) -> None:
        self._below = below
        self._known: dict[str, dict[str, float]] = {}
        self._steps = 0

    def claims(self, node: str) -> Claims:
        """Return the claim of a node on itself and on everything below it; raises ``TooTangledError``."""
        return self._follow(node, frozenset())[0]

    def _follow(self, node: str, path: frozenset[str]) -> tuple[Claims, bool]:
        if node in self._known:
            return self._known[node], True
        self._steps += 1
        if self._steps > MOST_STEPS or len(path) > DEEPEST:
            raise TooTangledError
        on_path = path | {node}
        links = self._below.get(node, ())
        open_links = [link for link in links if link[0] not in on_path]
        whole = len(open_links) == len(links)
        found: dict[str, Claims] = {}
        for target, _ in open_links:
            found[target], complete = self._follow(target, on_path)
            whole = whole and complete
            self._steps += len(found[target])
        claims = {node: 1.0, **_joined(open_links, found.__getitem__)}
        if whole:
            self._known[node] = claims
        return claims, whole


def _joined(links: Sequence[tuple[str, float]], below: Callable[[str], Claims]) -> dict[str, float]:
    whole: dict[str, float] = {}
    slices: dict[str, float] = {}
    for target, share in links:
        for node, claim in below(target).items():
            if share == 1.0:
                whole[node] = max(whole.get(node, 0.0), claim)
            else:
                slices[node] = slices.get(node, 0.0) + share * claim
    for node, total in slices.items():
        whole[node] = min(1.0, max(whole.get(node, 0.0), total))
    return whole


# --- what the record says of it --------------------------------------------------------------------------------------


def what_it_is(node_id: str) -> str:
    """Return the kind of thing that a node is; of an unknown one, the kind of thing that is not known."""
    kind, _, name = node_id.partition(":")
    return name if kind == "unknown" else kind


def _check_links(candidate: JsonObject, pointer: str, findings: Findings) -> None:
    """See that links are sorted, join what the candidate holds, and tie each pool to its protocol and its chain."""
    exposure = candidate["risk"]["exposure"]
    nodes = {node["id"] for node in exposure["nodes"]}
    pools = {f"pool:{pool['pool_id']}": pool for pool in candidate["pools"] if pool["weight"] > 0.0}
    ends = [(link["source"], link["target"]) for link in exposure["links"]]
    findings.recomputed += len(ends)
    if sorted(set(ends)) != ends:
        findings.at(f"{pointer}/links", "are not sorted by their ends, each once", "sorted links")
    loose = [(s, t) for s, t in ends if (s not in nodes and s not in pools) or t not in nodes]
    if loose:
        source, target = (printable(end, 60) for end in loose[0])
        findings.at(f"{pointer}/links", f"join {source} and {target}, which the candidate does not hold", 0, len(loose))
    shares = {(link["source"], link["target"]): link["share"] for link in exposure["links"]}
    for source, pool in pools.items():
        protocol = shares.get((source, f"protocol:{pool['family']}"))
        findings.number(f"{pointer}/links", protocol, 1.0, f"the link of {printable(source)} to its protocol")
        chains = [target for start, target in ends if start == source and target.startswith("chain:")]
        if [_letters(chain.partition(":")[2]) for chain in chains] != [_letters(pool["chain"])]:
            what = f"tie {printable(source)} to {printable(', '.join(chains)) or 'no chain'}, not to its own"
            findings.at(f"{pointer}/links", what, pool["chain"], ", ".join(chains))


def _check_reached(candidate: JsonObject, hits: Mapping[str, Hits], pointer: str, findings: Findings) -> None:
    """See that the links lead from each pool to its tokens and to whoever issues them."""
    shown = {node["id"]: node["name"] for node in candidate["risk"]["exposure"]["nodes"]}
    for pool in candidate["pools"]:
        findings.recomputed += 1
        reached = hits[pool["pool_id"]].lost if pool["pool_id"] in hits else {}
        if not reached:
            continue
        tokens = [_letters(node) for node in reached if node.startswith("token:")]
        names = [_letters(name) for node in reached for name in (node.partition(":")[2], shown.get(node, ""))]
        bridged = any(what_it_is(node) == "bridge" for node in reached)
        absent = [t for t in pool["tokens"] if t not in NATIVE and not _begins(f"token{_letters(t)}", tokens)]
        absent += [
            issuer
            for issuer in pool["issuers"]
            if not (_begins(_letters(issuer), names) or (issuer == CANONICAL and bridged))
        ]
        if absent:
            what = f"do not lead from {printable(pool['pool_id'], 40)} to {printable(absent[0], 40)}"
            findings.at(f"{pointer}/links", what, absent[0])


def _begins(start: str, names: Sequence[str]) -> bool:
    return any(name.startswith(start) for name in names)


def _letters(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _check_nodes(
    candidate: JsonObject, weights: Mapping[str, float], hits: Mapping[str, Hits], pointer: str, findings: Findings
) -> None:
    nodes = candidate["risk"]["exposure"]["nodes"]
    ids = [node["id"] for node in nodes]
    expected = sorted({node for own in hits.values() for node in own.lost})
    findings.recomputed += 1
    if sorted(ids) != expected:
        odd = sorted(set(ids) ^ set(expected)) or ids
        findings.at(f"{pointer}/nodes", f"are not what the links lead to: {printable(odd[0])}", len(expected), len(ids))
        return
    order = sorted(nodes, key=_rank)
    findings.same(f"{pointer}/nodes", ids, [node["id"] for node in order], "the order of what is lost with them")
    for place, node in enumerate(nodes):
        held = [pool_id for pool_id in weights if node["id"] in hits[pool_id].lost]
        own = f"{pointer}/nodes/{place}"
        claim = min(1.0, math.fsum(weights[p] * hits[p].look_through[node["id"]] for p in held))
        lost = min(1.0, math.fsum(weights[p] * hits[p].lost[node["id"]] for p in held))
        findings.same(f"{own}/pools", node["pools"], len(held), "the number of pools that hang on it")
        findings.number(f"{own}/look_through", node["look_through"], claim, "what the links give", 0.0, ROUNDING)
        findings.number(f"{own}/lost_if_fails", node["lost_if_fails"], lost, "what the links give", 0.0, ROUNDING)
        _check_node(node, own, findings)


def _check_node(node: JsonObject, pointer: str, findings: Findings) -> None:
    kind, _, name = node["id"].partition(":")
    findings.same(f"{pointer}/kind", node["kind"], kind, "the kind that its id names")
    shown = f"unknown {name}" if kind == "unknown" else name
    if kind == "protocol":
        first = DISPLAYED_AS.get(name, re.split(r"[^a-z0-9]+", name.casefold())[0])
        if first not in _letters(node["name"]):
            what = f"is '{printable(node['name'])}', which does not hold '{printable(first)}' of its id"
            findings.at(f"{pointer}/name", what, first, node["name"])
    else:
        findings.same(f"{pointer}/name", node["name"], shown, "the name in its id")
    hazard, loss = node["hazard"], 0.0
    if hazard is not None:
        rates = [hazard["rate_low"], hazard["rate"], hazard["rate_high"]]
        severities = [hazard["severity_low"], hazard["severity_high"]]
        findings.same(f"{pointer}/hazard", rates + severities, sorted(rates) + sorted(severities), "low before high")
        loss = node["lost_if_fails"] * hazard["rate"] * sum(severities) / 2.0
    findings.number(f"{pointer}/expected_loss", node["expected_loss"], loss, "what its hazard gives")


# --- how many risks it is --------------------------------------------------------------------------------------------


def _check_numbers(
    candidate: JsonObject,
    weights: Mapping[str, float],
    hits: Mapping[str, Hits],
    below: Below,
    pointer: str,
    findings: Findings,
) -> None:
    """Recompute the single point of failure and the effective number of risks, in all and by kind."""
    exposure = candidate["risk"]["exposure"]
    ids = [node["id"] for node in exposure["nodes"]]
    single = next((node for node in ids if what_it_is(node) not in NOT_SINGLE_POINTS), ids[0] if ids else "")
    findings.same(f"{pointer}/single_point", exposure["single_point"], single, "the first that is no chain or oracle")
    shared = {pool_id: {n: (share, _together(n)) for n, share in own.lost.items()} for pool_id, own in hits.items()}
    found, number = exposure["effective_risks"], effective_number(weights, shared)
    findings.number(f"{pointer}/effective_risks", found, number, "what weights and links give", 1e-9, ROUNDING)
    answering = {target for source, links in below.items() if source.startswith("token:") for target, _ in links}
    by_kind, expected = exposure["effective_by_kind"], _by_kind(weights, hits, below, answering)
    for kind in sorted(set(expected) | set(by_kind)):
        place, meaning = f"{pointer}/effective_by_kind/{printable(kind)}", "what weights and links give"
        findings.number(place, by_kind.get(kind), expected.get(kind), meaning, 1e-9, ROUNDING)


def _by_kind(weights: Mapping[str, float], hits: Mapping[str, Hits], below: Below, answering: set[str]) -> Claims:
    """Return the effective number by kind; pools that hang on nothing of a kind are left out of it."""
    numbers = {}
    for kind, marks in _marks(hits, below, answering).items():
        own = {pool_id: weight for pool_id, weight in weights.items() if marks[pool_id]}
        if own:
            numbers[kind] = effective_number(own, marks)
    return numbers


def _rank(node: JsonObject) -> tuple[float, bool, float, str]:
    """Order by what is lost, then parties before tokens, then by expected loss, then by id."""
    return -node["lost_if_fails"], node["kind"] == "token", -node["expected_loss"], node["id"]


def _together(node_id: str) -> float:
    kind, _, name = node_id.partition(":")
    return TOGETHER_CHAINS.get(name, TOGETHER["chain"]) if kind == "chain" else TOGETHER.get(what_it_is(node_id), 1.0)


def _marks(
    hits: Mapping[str, Hits], below: Below, answering: set[str]
) -> dict[str, dict[str, dict[str, tuple[float, float]]]]:
    """Return, by kind, how far each pool hangs on each node of the kind.

    Protocols, tokens and chains count where the pool hangs on them itself; whoever answers for a token (an issuer, or a
    protocol that issues one) by what is lost with them.
    """
    marks = {}
    for kind in ("protocol", "token", "chain"):
        marks[kind] = {
            pool_id: {t: (1.0, 1.0) for t, _ in below.get(f"pool:{pool_id}", ()) if t.startswith(f"{kind}:")}
            for pool_id in hits
        }
    marks["issuer"] = {
        pool_id: {
            node: (share, 1.0)
            for node, share in own.lost.items()
            if what_it_is(node) == "issuer" or (node.startswith("protocol:") and node in answering)
        }
        for pool_id, own in hits.items()
    }
    return marks


def effective_number(weights: Mapping[str, float], shared: Mapping[str, Mapping[str, tuple[float, float]]]) -> float:
    """Return (Σ w)² / Σᵢⱼ wᵢ Zᵢⱼ wⱼ, from 1 to the number of pools: diversity of order 2, Leinster & Cobbold (2012).

    ``shared``: pool → node → (share lost, how far sharing the node is one risk); Z is the largest of the products.
    """
    pools = list(weights)
    total = math.fsum(weights.values())
    terms = [weights[pool] ** 2 for pool in pools]
    for place, pool in enumerate(pools):
        for other in pools[:place]:
            mine, theirs = shared[pool], shared[other]
            most = max((min(mine[n][0], theirs[n][0]) * mine[n][1] for n in mine.keys() & theirs.keys()), default=0.0)
            terms.append(2.0 * weights[pool] * weights[other] * most)
    concentration = math.fsum(terms)
    return min(max(total * total / concentration, 1.0), float(len(pools))) if concentration > 0.0 else 1.0
