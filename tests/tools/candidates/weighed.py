"""Markets in which things fail, and what the weight methods may know of them, for the tests of the weighing."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from made_market import AS_OF, MEDIUM, MILLION, pool, pool_id

from tools.candidates import Outlook, Weighing, build_outlook, pool_mark
from tools.exposure import exposures
from tools.records import Emptied, HazardLevel, Mandate, NodeHazard
from tools.risk.costs import Cost
from tools.sizing.dilution import Leg, RateCurve, Term
from tools.strategies.objectives import METHOD_WORDS, Objective
from tools.strategies.profiles import Limits, load_profiles
from tools.strategies.selection import Selection, diversified, select
from tools.strategies.universe import Pool

DAYS = 100
MAXIMISED = ("risk_adjusted", "max_sharpe", "yield_less_loss", "net_yield")
RATES = {"protocol": 0.02, "issuer": 0.005, "token": 0.003, "chain": 0.002}


def hazard(rate: float, low: float = 0.2, high: float = 1.0) -> NodeHazard:
    return NodeHazard(
        rate_low=rate / 3.0,
        rate=rate,
        rate_high=3.0 * rate,
        severity_low=low,
        severity_high=high,
        basis="made",
        sources=[],
    )


def by_kind(node: str) -> NodeHazard | None:
    """A hazard of every protocol, issuer, token and chain: the protocols' rates differ by the last letter."""
    kind = node.partition(":")[0]
    if kind == "protocol":
        return hazard(0.005 + 0.003 * (ord(node[-1]) % 7))
    return hazard(RATES[kind]) if kind in RATES else None


def random_pools(seed: int, count: int = 14, noise: float = 1e-4) -> list[Pool]:
    """Pools of seven protocols, four issuers with a token each, and two chains, with rates that wander."""
    generator = np.random.default_rng(seed)
    pools = []
    for number in range(1, count + 1):
        level, letter = float(generator.uniform(0.03, 0.12)), "ABCD"[generator.integers(4)]
        series = np.clip(level + np.cumsum(generator.normal(0.0, noise, 120)), 0.001, 1.0)
        pools.append(
            pool(
                number,
                apy=float(series[-1]),
                series=series,
                tvl_usd=float(generator.uniform(50.0, 400.0)) * MILLION,
                family=f"family-{generator.integers(7)}",
                project=f"project-{number}",
                chain=f"Chain {number % 2}",
                tokens=(f"T{letter}",),
                issuer_shares={f"Issuer {letter}": 1.0},
                protocol_risk=float(generator.uniform(0.05, 0.4)),
            )
        )
    return pools


def renamed(p: Pool) -> Pool:
    """The same pool with other names and another id, all of which sort the other way round."""
    number = 1_000 - int(p.id[-4:])

    def turned(name: str, places: str) -> str:
        return f"{'zyxwvut'[places.index(name[-1])]} {name}"

    return dataclasses.replace(
        p,
        row=dataclasses.replace(p.row, pool_id=pool_id(number), chain=turned(p.row.chain, "01")),
        history=dataclasses.replace(p.history, pool_id=pool_id(number)),
        family=turned(p.family, "0123456"),
        issuer_shares={turned(name, "ABCD"): share for name, share in p.issuer_shares.items()},
    )


def shared(pool: Pool) -> RateCurve:
    """The same yield for more money."""
    return RateCurve(
        (Leg(math.inf, (Term(pool.row.apy, pool.row.tvl_usd, 1),)),), "shared", pool.row.tvl_usd, None, "made"
    )


def outlook_of(pools: list[Pool], of: Any = by_kind, level: HazardLevel = "central", seed: int = 0) -> Outlook:
    hits = exposures(pools, AS_OF)
    return build_outlook(pools, hits, {p.id: pool_mark(p) for p in pools}, of, level, seed)


def weighing(
    pools: list[Pool],
    *,
    amount: float | None = MILLION,
    confidence: float = 0.95,
    loss_aversion: float = 0.1,
    risk_free: float = 0.04,
    of: Any = by_kind,
) -> Weighing:
    objective = Objective(words="made", methods=["equal"], confidence=confidence, loss_aversion=loss_aversion)
    return Weighing(
        objective,
        tuple(METHOD_WORDS),
        outlook_of(pools, of),
        risk_free,
        amount,
        shared,
        lambda pool: Cost(2.0),
    )


def selected(pools: list[Pool], limits: Limits = MEDIUM, **mandate: Any) -> tuple[list[Pool], Selection]:
    """What the profile that takes the best scores would hold, and its ranking."""
    asked = Mandate(asset="USD", risk="medium", **mandate)
    found = select("balanced_apy", load_profiles()["balanced_apy"], pools, asked, limits, {})
    assert not isinstance(found, Emptied)
    return sorted(diversified(found, limits), key=lambda p: p.id), found
