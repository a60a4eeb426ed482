"""Draw the generated markets of the regret suite: ``python -m evals.regret.generate`` writes their lines anew.

Seeded by the market's own name, so that a market does not change when others are added. Four kinds for each asset:

* ``concave``: flat, shared and staked yields, no cost of entering: the optimum is certified by its KKT conditions;
* ``lending``: lenders around their kinks, and gas: not concave;
* ``mixed``: all of it, with rewards on top;
* ``thin``: small pools without a limit on the share of a pool, with expected losses: a large deposit is the market.

Levels of rates, utilisation, kinks and sizes are of the order seen on DefiLlama in 2024 and 2025; no market is a copy
of a recorded one.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from evals.regret.markets import LEAST_SERVED_USD, Market, RegretCase, as_line
from tools.records import Asset

AMOUNTS_USD = [10_000.0, 1_000_000.0, 10_000_000.0, 50_000_000.0]
POSITION_SHARE = 0.10
ROOM = 1.25  # of the largest amount, that the pools of a market can take at least
ENTRY_USD = {"Ethereum": 12.0, "Arbitrum": 0.6, "Base": 0.6, "Optimism": 0.6}
COPIES = 3
POOLS = (8, 14)
GROWTH = 1.25


class Kind(NamedTuple):
    """How the markets of a kind are drawn."""

    name: str
    words: str
    curves: tuple[str, ...]
    share_of_rewards: float
    entry: bool
    max_position_share: float | None
    chains: tuple[str, ...]
    least_usd: float
    most_usd: float


KINDS = (
    Kind(
        "concave", "flat, shared and staked yields; entering is free", ("flat", "root", "shared"), 0.5, False,
        POSITION_SHARE, ("Ethereum",), 2e7, 2e9,
    ),
    Kind(
        "lending", "lenders around their kinks, and gas", ("lender",), 0.2, True, POSITION_SHARE, tuple(ENTRY_USD),
        3e7, 3e9,
    ),
    Kind(
        "mixed", "lenders, vaults, staking and rewards, and gas", ("flat", "root", "shared", "square", "lender"), 0.5,
        True, POSITION_SHARE, tuple(ENTRY_USD), 1e7, 2e9,
    ),
    Kind(
        "thin", "pools so small that a large deposit is the market; some lose money in a mean year",
        ("flat", "root", "shared", "square", "lender"), 0.5, True, None, tuple(ENTRY_USD), 2e6, 8e7,
    ),
)  # fmt: skip

# Projects and tokens by how they pay; the level of the rate, and the risk that a page of ratings would state.
_PLACES: dict[Asset, dict[str, tuple[tuple[str, str, float], ...]]] = {
    "USD": {
        "flat": (("sky-lending", "SUSDS", 0.2),),
        "root": (("ethena", "SUSDE", 0.45),),
        "shared": (("ethena", "SUSDE", 0.45), ("yearn-finance", "DAI", 0.3), ("yearn-finance", "USDC", 0.3),
                   ("stargate-v3", "USDC", 0.4), ("harvest-finance", "USDC", 0.6)),
        "square": (("compound-v3", "USDC", 0.12), ("fluid-lending", "USDT", 0.3), ("euler-v2", "USDC", 0.4)),
        "lender": (("aave-v3", "USDC", 0.1), ("aave-v3", "USDT", 0.1), ("aave-v3", "DAI", 0.1),
                   ("sparklend", "USDS", 0.2), ("fluid-lending", "USDC", 0.3), ("compound-v3", "USDT", 0.12),
                   ("euler-v2", "USDT", 0.4), ("morpho-v1", "STEAKUSDC", 0.3)),
    },
    "ETH": {
        "flat": (("lido", "STETH", 0.1), ("rocket-pool", "RETH", 0.15), ("coinbase-wrapped-staked-eth", "CBETH", 0.2),
                 ("meth-protocol", "METH", 0.3), ("stader", "ETHX", 0.3), ("frax-ether", "SFRXETH", 0.3)),
        "root": (("ether.fi-stake", "WEETH", 0.35), ("liquid-collective", "LSETH", 0.3)),
        "shared": (("yearn-finance", "WETH", 0.3), ("harvest-finance", "WETH", 0.6), ("origin-ether", "OETH", 0.45)),
        "square": (("compound-v3", "WETH", 0.12), ("fluid-lending", "WETH", 0.3), ("euler-v2", "WETH", 0.4)),
        "lender": (("aave-v3", "WETH", 0.1), ("sparklend", "WETH", 0.2), ("fluid-lending", "WSTETH", 0.3),
                   ("morpho-v1", "STEAKETH", 0.3), ("euler-v2", "WSTETH", 0.4), ("aave-v3", "WEETH", 0.2)),
    },
    "BTC": {
        "flat": (("solv-basis-trading", "SOLVBTC", 0.5), ("lombard-vault", "LBTC", 0.5)),
        "root": (("solv-basis-trading", "SOLVBTC", 0.5),),
        "shared": (("yearn-finance", "WBTC", 0.3), ("harvest-finance", "CBBTC", 0.6), ("lombard-vault", "LBTC", 0.5),
                   ("yearn-finance", "TBTC", 0.35)),
        "square": (("compound-v3", "WBTC", 0.12), ("fluid-lending", "CBBTC", 0.3)),
        "lender": (("aave-v3", "WBTC", 0.1), ("aave-v3", "CBBTC", 0.15), ("sparklend", "WBTC", 0.2),
                   ("fluid-lending", "WBTC", 0.3), ("morpho-v1", "MWCBBTC", 0.3), ("euler-v2", "LBTC", 0.4)),
    },
}  # fmt: skip
_LEVEL: dict[Asset, float] = {"USD": 0.05, "ETH": 0.03, "BTC": 0.015}


def generated() -> list[Market]:
    """Return the generated markets, the same on every machine."""
    return [_market(asset, kind, number) for asset in _LEVEL for kind in KINDS for number in range(1, COPIES + 1)]


def _market(asset: Asset, kind: Kind, number: int) -> Market:
    name = f"{asset.lower()}-{kind.name}-{number}"
    draw = random.Random(int.from_bytes(hashlib.sha256(name.encode()).digest(), "big"))  # noqa: S311 - no secret
    places = {
        (chain, *place[:2]): (curve, place[2])
        for curve in kind.curves
        for place in _PLACES[asset][curve]
        for chain in kind.chains
    }
    chosen = draw.sample(sorted(places), min(len(places), draw.randint(*POOLS)))
    pools = [_pool(draw, asset, kind, place, *places[place]) for place in chosen]
    pools.sort(key=lambda pool: -pool["deposits_usd"])
    fields = {
        "id": name,
        "asset": asset,
        "words": kind.words,
        "tags": ["generated", kind.name],
        "max_weight": draw.choice([0.3, 0.4, 0.5]),
        "max_position_share": kind.max_position_share,
        "servable": kind.max_position_share is not None,
        "amounts_usd": AMOUNTS_USD,
    }
    return _with_room(fields, [{"id": f"{name}-{place:02d}"} | pool for place, pool in enumerate(pools, start=1)])


def _with_room(fields: dict[str, Any], pools: list[dict[str, Any]]) -> Market:
    """Enlarge all pools alike until they can take the largest amount, and some more, within the limits."""
    scale, largest = 1.0, max(AMOUNTS_USD)
    if fields["servable"]:
        pools = [_large_enough(pool) for pool in pools]
    while True:
        roomy = fields | {"amounts_usd": [AMOUNTS_USD[0]], "pools": [_scaled(pool, scale) for pool in pools]}
        market = Market.model_validate(roomy)
        if math.fsum(RegretCase(market, largest).caps().values()) >= ROOM:
            return market.model_copy(update={"amounts_usd": AMOUNTS_USD})
        scale *= GROWTH


def _large_enough(pool: dict[str, Any]) -> dict[str, Any]:
    """Enlarge a pool of which less can be withdrawn than any of our profiles asks for: it would not be looked at."""
    left = pool["deposits_usd"] - pool["curve"].get("borrowed_usd", 0.0)
    return _scaled(pool, max(1.0, 1.1 * LEAST_SERVED_USD / left))


def _scaled(pool: dict[str, Any], scale: float) -> dict[str, Any]:
    curve = {key: rounded(value * scale) if key.endswith(("_usd", "_per_year")) else value
             for key, value in pool["curve"].items()}  # fmt: skip
    sized = {key: rounded(pool[key] * scale) for key in ("deposits_usd", "reward_usd_per_year")}
    return pool | sized | {"curve": curve}


def _pool(
    draw: random.Random, asset: Asset, kind: Kind, place: tuple[str, str, str], curve: str, risk: float
) -> dict[str, Any]:
    chain, project, symbol = place
    deposits = rounded(math.exp(draw.uniform(math.log(kind.least_usd), math.log(kind.most_usd))))
    terms = _CURVES[curve](draw, _LEVEL[asset], deposits)
    rewarded = draw.random() < kind.share_of_rewards
    risk = round(min(0.9, max(0.02, risk + draw.uniform(-0.05, 0.05))), 2)
    return {
        "project": project,
        "chain": chain,
        "symbol": symbol,
        "deposits_usd": deposits,
        "curve": terms,
        "reward_usd_per_year": rounded(deposits * _LEVEL[asset] * draw.uniform(0.1, 0.8)) if rewarded else 0.0,
        "expected_loss": round(risk * draw.uniform(0.0, 0.03), 4) if kind.max_position_share is None else 0.0,
        "entry_cost_usd": ENTRY_USD[chain] if kind.entry else 0.0,
        "risk": risk,
    }


def _flat(draw: random.Random, level: float, deposits: float) -> dict[str, Any]:
    return {"kind": "flat", "rate": round(level * draw.uniform(0.7, 1.2), 5)}


def _root(draw: random.Random, level: float, deposits: float) -> dict[str, Any]:
    rate = round(level * draw.uniform(0.7, 1.5), 5)
    return {"kind": "root", "rate": rate, "network_usd": rounded(deposits * draw.uniform(1.0, 5.0))}


def _shared(draw: random.Random, level: float, deposits: float) -> dict[str, Any]:
    return {"kind": "shared", "usd_per_year": rounded(deposits * level * draw.uniform(0.6, 2.2))}


def _square(draw: random.Random, level: float, deposits: float) -> dict[str, Any]:
    return {"kind": "square", "rate": round(level * draw.uniform(0.7, 1.6), 5)}


def _lender(draw: random.Random, level: float, deposits: float) -> dict[str, Any]:
    kink = draw.choice([0.8, 0.85, 0.9, 0.92])
    used = min(
        0.985, kink + draw.choice([draw.uniform(-0.25, -0.01), draw.uniform(0.001, 0.02), draw.uniform(0.02, 0.06)])
    )
    return {
        "kind": "lender",
        "borrowed_usd": rounded(deposits * used),
        "base_rate": draw.choice([0.0, 0.0, 0.005]),
        "slope_low": round(level * draw.uniform(0.8, 1.6), 4),
        "slope_high": round(level * draw.uniform(4.0, 15.0), 3),
        "kink": kink,
        "reserve_factor": draw.choice([0.1, 0.15, 0.2]),
    }


_CURVES: dict[str, Callable[[random.Random, float, float], dict[str, Any]]] = {
    "flat": _flat,
    "root": _root,
    "shared": _shared,
    "square": _square,
    "lender": _lender,
}


def rounded(value: float) -> float:
    """Round dollars to five digits, as a person would write them."""
    return float(f"{value:.4e}")


if __name__ == "__main__":
    target = Path(__file__).resolve().parent.parent / "cases" / "regret_generated.jsonl"
    target.write_text("".join(f"{as_line(market)}\n" for market in generated()), encoding="utf-8")
