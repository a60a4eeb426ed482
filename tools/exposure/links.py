"""What each thing hangs on directly: pools, tokens, protocols and issuers, as known at a day."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from tools.exposure.facts import CANONICAL, BridgedFact, LinkFact, carriers_at, links_at, load_bridges
from tools.exposure.nodes import (
    POOL,
    UNKNOWN_BRIDGE,
    UNKNOWN_COLLATERAL,
    UNKNOWN_CURATOR,
    UNKNOWN_ISSUER,
    UNKNOWN_ORACLE,
    party,
)
from tools.market.names import canonical_chain
from tools.risk.protocol_facts import latest, load_facts
from tools.strategies.tokens import TokenTable, VaultShare, load_tokens
from tools.strategies.universe import Pool
from tools.units import safe_label

# Kinds of protocols that place the money elsewhere: what is behind them is not known unless a link says so.
# Vaults of curators are looked at one by one.
OPAQUE = frozenset({"aggregator", "leveraged", "credit", "basis_trading", "synthetic_dollar", "real_world_assets"})
# The token list gives this risk to vaults that lend against major collateral only, and more to all others.
MAJOR_COLLATERAL_RISK = 0.30
HOME = "Ethereum"
MARKET, TOKEN_LIST, PROTOCOL_FACTS = "the market's own row", "tokens.toml", "protocols.toml"
_PLAIN = re.compile(r"[A-Z0-9.+]{1,24}")
_REMARK = re.compile(r" \(|, ")  # "Gauntlet (frontier)", "MEV Capital, lent against USD0": the curator comes first


class Link(NamedTuple):
    """``source`` hangs on ``target``; ``share`` is the part of it that does: 1 all of it, less a slice."""

    source: str
    target: str
    share: float
    why: str
    reference: str
    since: dt.date | None


class Links:
    """The links of a day, looked up by node; those of a token or product are worked out once."""

    def __init__(self, as_of: dt.date) -> None:
        self._as_of = as_of
        self._facts = links_at(as_of)
        self._carriers = carriers_at(as_of)
        self._bridges = load_bridges()
        self._bridge_names = frozenset(self._bridges.issuers_that_are_bridges)
        self._known: dict[str, tuple[Link, ...]] = {}
        self._products: dict[str, tuple[Link, ...]] = {}

    def of(self, node_id: str) -> tuple[Link, ...]:
        """Return the links of a node that is no pool."""
        if node_id not in self._known:
            kind, _, name = node_id.partition(":")
            own = self._token_links(name) if kind == "token" else []
            self._known[node_id] = _merged([*own, *self._from_facts(node_id, node_id)])
        return self._known[node_id]

    def of_pool(self, pool: Pool) -> tuple[Link, ...]:
        """Return the links of a pool, one per target; a pool of n tokens hangs on each with 1/n."""
        source = f"{POOL}:{pool.id}"
        chain = safe_label(canonical_chain(pool.row.chain))
        links = [
            Link(source, f"protocol:{pool.family}", 1.0, "its contracts hold the money", MARKET, None),
            Link(source, f"chain:{chain}", 1.0, "runs there", MARKET, None),
            *self._of_tokens(source, pool.tokens, chain),
            *self._beside_tokens(source, pool),
            *self._of_vault(source, pool),
            *(link._replace(source=source) for link in self._of_product(pool.row.project, pool.family)),
        ]
        return _merged(links)

    def _of_tokens(self, source: str, tokens: tuple[str, ...], chain: str) -> Iterator[Link]:
        share = 1.0 / len(tokens)
        for token in tokens:
            if not _native_coin(token):
                yield Link(source, token_node(token), share, "one of its tokens", MARKET, None)
            carrier = self._carrier(token, chain)
            if carrier:
                yield carrier._replace(source=source, share=share)

    def _carrier(self, token: str, chain: str) -> Link | None:
        """Return the bridge that a token came to a chain by: None where it is at home or names its own bridge."""
        issuers, shown = _issuers().get(token, ()), safe_label(token, 24)
        if CANONICAL in issuers:
            return Link("", self._bridges.canonical(chain), 1.0, f"carries {shown} there", TOKEN_LIST, None)
        if chain == HOME or self._bridge_names & {*issuers}:
            return None
        fact = self._carriers.get((token, chain))
        if fact is None:
            return Link("", UNKNOWN_BRIDGE, 1.0, f"how {shown} came there is not in these data", "", None)
        if not isinstance(fact, BridgedFact):
            return None
        bridge = self._bridges.canonical(chain) if fact.bridge == CANONICAL else f"bridge:{fact.bridge}"
        return Link("", bridge, 1.0, f"carries {shown} there", fact.source, fact.since)

    def _beside_tokens(self, source: str, pool: Pool) -> Iterator[Link]:
        """Yield the issuers that stand behind a pool and not behind its tokens: those of a vault's collateral."""
        behind = {issuer for token in pool.tokens for issuer in _issuers().get(token, ())}
        for issuer, share in sorted(pool.issuer_shares.items()):
            if issuer not in behind:
                target = party(issuer, self._bridge_names)
                yield Link(source, target, share, "stands behind its collateral", TOKEN_LIST, None)

    def _of_vault(self, source: str, pool: Pool) -> Iterator[Link]:
        vault = load_tokens().vault_share(pool.row.project, pool.row.symbol)
        if vault:
            yield Link(source, f"curator:{_curator(vault)}", 1.0, "chooses its markets", TOKEN_LIST, None)
            if vault.risk > MAJOR_COLLATERAL_RISK and not vault.backing:
                why = "lent against collateral that is exotic, concentrated or not known"
                yield Link(source, UNKNOWN_COLLATERAL, 1.0, why, TOKEN_LIST, None)
        elif self._category(pool.row.project, pool.family) == "curated_vault":
            why = "a vault that is not in the token list"
            yield Link(source, UNKNOWN_CURATOR, 1.0, why, PROTOCOL_FACTS, None)
            yield Link(source, UNKNOWN_COLLATERAL, 1.0, why, PROTOCOL_FACTS, None)

    def _of_product(self, project: str, family: str) -> tuple[Link, ...]:
        """Return what hangs on the product rather than on the pool: its oracle, what it is built on, what it hides."""
        if project not in self._products:
            links = list(self._from_facts(f"project:{project}", ""))
            below = {link.target.partition(":")[0] for link in [*links, *self.of(f"protocol:{family}")]}
            if self._oracle_unknown(project, family) and "oracle" not in below:
                links.append(Link("", UNKNOWN_ORACLE, 1.0, "whose prices it trusts is not known", "", None))
            if self._hides_collateral(project, family) and not below - {"oracle"}:
                links.append(Link("", UNKNOWN_COLLATERAL, 1.0, "where it places the money is not known", "", None))
            self._products[project] = tuple(links)
        return self._products[project]

    def _oracle_unknown(self, project: str, family: str) -> bool:
        """Tell whether the oracle needs a name: own oracles are part of the protocol, and some need none."""
        known = load_facts().get(family)
        fact = latest(known.oracle, project, family, self._as_of) if known else None
        return fact is None or fact.value in {"network", "market_chosen"}

    def _hides_collateral(self, project: str, family: str) -> bool:
        category = self._category(project, family)
        return category is None or category in OPAQUE

    def _category(self, project: str, family: str) -> str | None:
        known = load_facts().get(family)
        fact = latest(known.category, project, family, self._as_of) if known else None
        return fact.value if fact else None

    def _token_links(self, label: str) -> Iterator[Link]:
        """Yield what a token hangs on: what it wraps, and whoever answers for it beside those of what it wraps."""
        source, table, token = f"token:{label}", load_tokens(), label
        if token not in _issuers():
            if source not in self._facts:
                yield Link(source, UNKNOWN_ISSUER, 1.0, "in none of the token lists", "", None)
                yield Link(source, UNKNOWN_COLLATERAL, 1.0, "in none of the token lists", "", None)
            return
        wrapped = table.wraps.get(token)
        inherited: tuple[str, ...] = ()
        if wrapped and not _native_coin(wrapped):
            yield Link(source, f"token:{wrapped}", 1.0, "a claim on it", TOKEN_LIST, None)
            inherited = _issuers().get(wrapped, ())
        for issuer in _issuers()[token]:
            if issuer not in inherited and issuer != CANONICAL:
                yield Link(source, party(issuer, self._bridge_names), 1.0, "answers for it", TOKEN_LIST, None)

    def _from_facts(self, origin: str, source: str) -> Iterable[Link]:
        return (_as_link(source, fact) for fact in self._facts.get(origin, ()))


@lru_cache(maxsize=4)
def links_of_day(as_of: dt.date) -> Links:
    """Return the links of a day; they do not depend on the pools."""
    return Links(as_of)


def token_node(token: str) -> str:
    """Return the node of a token: its symbol, or a printable form of it that no token of these data has."""
    plain = token in _issuers() or _PLAIN.fullmatch(token)
    return f"token:{token}" if plain else f"token:{safe_label(token, 24)} (not listed)"


@cache
def _issuers() -> dict[str, tuple[str, ...]]:
    """Return who answers for each listed token, whatever the asset."""
    table: TokenTable = load_tokens()
    return {token: issuers for tokens in table.issuers.values() for token, issuers in tokens.items()}


def _native_coin(token: str) -> bool:
    """Tell whether a token is the asset itself: nobody issues it, so nobody can fail."""
    return _issuers().get(token) == ()


def _curator(vault: VaultShare) -> str:
    return _REMARK.split(vault.curator, maxsplit=1)[0]


def _as_link(source: str, fact: LinkFact) -> Link:
    return Link(source, fact.on, fact.share, fact.why, fact.source, fact.since)


def _merged(links: Iterable[Link]) -> tuple[Link, ...]:
    """Make one link per target, sorted: slices of different tokens add up, to at most 1."""
    merged: dict[str, Link] = {}
    for link in links:
        known = merged.get(link.target)
        merged[link.target] = link if known is None else _joined(known, link)
    return tuple(merged[target] for target in sorted(merged))


def _joined(first: Link, second: Link) -> Link:
    share = 1.0 if 1.0 in (first.share, second.share) else round(min(1.0, first.share + second.share), 12)
    why = first.why if second.why in first.why else f"{first.why}; {second.why}"
    return first._replace(share=share, why=why)
