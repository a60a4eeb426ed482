"""From the rows of a market to the pools that may be held.

Allowed tokens first, then the data's quality, then the mandate's own limits.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from tools.market.names import canonical_chain, display_project, family_of
from tools.market.quality import RECENT_DAYS, ParsedRows
from tools.market.snapshot import History, Market, Row
from tools.records import Asset, Mandate, Trend
from tools.strategies.profiles import load_profiles
from tools.strategies.tokens import TokenTable, load_tokens
from tools.strategies.trend import falling_trend
from tools.units import FloatArray, daily_return, safe_label

SMALLEST_MARKET_APY = 0.03  # below this, a multiple of the market's APY says nothing


@dataclass(frozen=True)
class Pool:
    """An eligible pool: what the market says of it and what follows from that. Rates are fractions per year."""

    row: Row
    history: History
    tokens: tuple[str, ...]
    issuer_shares: Mapping[str, float]
    family: str
    name: str
    apy_mean_30d: float
    trend: Trend
    protocol_risk: float
    weakest_party: str
    apy_multiple: float

    @property
    def id(self) -> str:
        """Return the pool's id at the source."""
        return self.row.pool_id

    @property
    def single(self) -> bool:
        """Tell whether the pool holds one token only."""
        return len(self.tokens) == 1

    @property
    def counted_base_apy(self) -> float:
        """Return the APY without rewards.

        All of it where no reward is reported, none where rewards are reported without a base.
        """
        if self.row.apy_base is not None:
            return min(self.row.apy_base, self.row.apy)  # a part cannot be more than the whole
        return 0.0 if self.row.apy_reward else self.row.apy


class _Party(NamedTuple):
    """Somebody whose failure would hurt a pool, and how risky that is."""

    risk: float
    name: str


class Risks(Protocol):
    """What the universe asks about protocols: risks at the day of the decision, 0 safest to 1."""

    def project(self, project: str) -> float:
        """Return the risk of the protocol behind a project."""

    def issuer(self, issuer: str) -> float | None:
        """Return the risk of a protocol that issues a token; None for an issuer that is no protocol."""


@dataclass(frozen=True)
class Universe:
    """The eligible pools of an asset, sorted by id, why each other pool is not among them, and the benchmark.

    ``benchmark_apy`` and ``benchmark`` have shape (n_days,): the per-day median over the eligible pools of the APY and
    of the daily return, ending on the day of the decision; a day counts the pools whose history reaches it.
    """

    asset: Asset
    pools: tuple[Pool, ...]
    excluded: Mapping[str, str]
    benchmark_apy: FloatArray
    benchmark: FloatArray


def screen(parsed: ParsedRows, asset: Asset) -> dict[str, str]:
    """Return the reason of every row that is not worth fetching a history for, by id.

    Tokens come first: a pool of other tokens is no candidate however its figures look. ``too_small`` is below the
    smallest minimum of any profile.
    """
    table = load_tokens()
    floor = min(profile.min_tvl_usd for profile in load_profiles().values())
    excluded: dict[str, str] = dict(parsed.excluded)
    allowed: dict[tuple[str, str], bool] = {}
    for pool_id, label in parsed.labels.items():
        key = label.project, label.symbol
        if key not in allowed:
            allowed[key] = table.allowed(asset, table.tokens_of(*key))
        if not allowed[key]:
            excluded[pool_id] = "token_not_allowed"
        elif pool_id in parsed.rows and parsed.rows[pool_id].tvl_usd < floor:
            excluded[pool_id] = "too_small"
    return excluded


def build_universe(market: Market, asset: Asset, risks: Risks) -> Universe:
    """Make the eligible pools of a market, with trend, protocol risk and benchmark.

    A pool's risk is the worst among its protocol, the protocols that issue its tokens, and the vault that it is a share
    of.
    """
    table = load_tokens()
    ids = sorted(market.histories)
    apy_by_day = _stack([market.histories[pool_id].apy for pool_id in ids])
    benchmark_apy = np.nanmedian(apy_by_day, axis=0) if ids else np.empty(0)
    pools = tuple(_pool(market, asset, table, pool_id, benchmark_apy, risks) for pool_id in ids)
    benchmark = np.nanmedian(daily_return(apy_by_day), axis=0) if ids else np.empty(0)
    return Universe(asset, pools, market.excluded, benchmark_apy, benchmark)


def _stack(series: list[FloatArray]) -> FloatArray:
    """Align series of different lengths at their end; NaN before a series begins. Shape (n_series, longest)."""
    longest = max((s.size for s in series), default=0)
    matrix = np.full((len(series), longest), np.nan)
    for row, values in zip(matrix, series, strict=True):
        row[longest - values.size :] = values
    return matrix


def _pool(
    market: Market,
    asset: Asset,
    table: TokenTable,
    pool_id: str,
    benchmark_apy: FloatArray,
    risks: Risks,
) -> Pool:
    row, history = market.rows[pool_id], market.histories[pool_id]
    tokens = table.tokens_of(row.project, row.symbol)
    family = family_of(row.project)
    vault = table.vault_share(row.project, row.symbol)
    issuer_shares: dict[str, float] = dict.fromkeys(vault.backing, 1.0) if vault else {}
    for token in tokens:
        for issuer in table.issuers_of(asset, token):
            issuer_shares[issuer] = min(1.0, issuer_shares.get(issuer, 0.0) + 1.0 / len(tokens))
    recent = min(RECENT_DAYS, history.apy.size)
    # Two rates that move together differ by float residue, which a test of signs would take for a trend.
    above_market = np.round(history.apy[-recent:] - benchmark_apy[-recent:], 12)
    parties = [_Party(risks.project(row.project), display_project(family))]
    parties += [_Party(risk, issuer) for issuer in issuer_shares if (risk := risks.issuer(issuer)) is not None]
    parties += [_Party(vault.risk, f"the vault of {vault.curator}")] if vault else []
    weakest = max(parties, key=lambda party: party.risk)  # the first of equals: the protocol itself
    return Pool(
        row=row,
        history=history,
        tokens=tokens,
        issuer_shares=issuer_shares,
        family=family,
        name=f"{display_project(row.project)} {safe_label(row.symbol, 24)}, {safe_label(row.chain, 16)}",
        apy_mean_30d=float(np.mean(history.apy[-recent:])),
        trend=falling_trend(above_market),
        protocol_risk=weakest.risk,
        weakest_party=weakest.name,
        apy_multiple=round(row.apy / max(float(benchmark_apy[-1]), SMALLEST_MARKET_APY), 12),
    )


def ruled_out(pools: tuple[Pool, ...], mandate: Mandate) -> dict[str, str]:
    """Return, by id, which of the user's own limits rules a pool out; the first that does counts."""
    table = load_tokens()
    chains_in = {canonical_chain(chain) for chain in mandate.chains_include}
    chains_out = {canonical_chain(chain) for chain in mandate.chains_exclude}
    tokens_in = {table.unwrapped(token) for token in mandate.tokens_include}
    tokens_out = {table.unwrapped(token) for token in mandate.tokens_exclude}
    reasons: dict[str, str] = {}
    for pool in pools:
        chain = canonical_chain(pool.row.chain)
        tokens = {table.unwrapped(token) for token in pool.tokens}
        checks = (
            ("chains_include", bool(chains_in) and chain not in chains_in),
            ("chains_exclude", chain in chains_out),
            ("protocols_include", bool(mandate.protocols_include) and pool.family not in mandate.protocols_include),
            ("protocols_exclude", bool(_behind(pool) & set(mandate.protocols_exclude))),
            ("tokens_include", bool(tokens_in) and not tokens <= tokens_in),
            ("tokens_exclude", bool(tokens & tokens_out)),
            ("allow_il", mandate.allow_il is False and not pool.single),
            ("min_tvl_usd", mandate.min_tvl_usd is not None and pool.row.tvl_usd < mandate.min_tvl_usd),
        )
        reason = next((name for name, fails in checks if fails), None)
        if reason:
            reasons[pool.id] = reason
    return reasons


def _behind(pool: Pool) -> set[str]:
    """Return the families behind a pool: its protocol, and the protocols that issue its tokens or back its vault.

    Who wants nothing to do with Ethena does not want a vault that is lent against its dollar either.
    """
    return {pool.family, *(family_of(issuer) for issuer in pool.issuer_shares)}


def counted(reasons: Mapping[str, str]) -> dict[str, int]:
    """Count reasons, most frequent first, ties by name."""
    return dict(sorted(Counter(reasons.values()).items(), key=lambda item: (-item[1], item[0])))


def protocol_tvl(parsed: ParsedRows) -> dict[str, float]:
    """Return the TVL of each protocol family: the sum of its pools in the snapshot of the day, in dollars."""
    totals: dict[str, float] = {}
    for pool_id in sorted(parsed.rows):
        row = parsed.rows[pool_id]
        family = family_of(row.project)
        totals[family] = totals.get(family, 0.0) + row.tvl_usd
    return totals


def price_on(market: Market, day: dt.date) -> float | None:
    """Return the asset's closing price in dollars on the day or at most three days before.

    None when the market has none; what is no finite number above 0 is no price.
    """
    closes = {row.get("date", "")[:10]: row.get("close", "") for row in market.prices or ()}
    prices = (_price(closes.get((day - dt.timedelta(days=age)).isoformat(), "")) for age in range(4))
    return next((price for price in prices if price is not None), None)


def _price(text: str) -> float | None:
    try:
        price = float(text)
    except ValueError:
        return None
    return price if 0.0 < price < math.inf else None
