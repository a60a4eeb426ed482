"""Which pools the demo market lists: known ones by name (``anchors.csv``) and families of many (``families.csv``).

An anchor's ``apy`` (percent) and ``tvl`` (million dollars) are where it stands on the last day, give or take its own
noise. A family draws log-normal APYs and TVLs around its medians. ``split`` says what the feed tells of the APY: base
and reward, base alone, reward alone, or no split.
"""

from __future__ import annotations

import csv
import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal, cast

import numpy as np

LAST_DAY = dt.date(2026, 6, 30)
DAYS = 730
FIRST_DAY = LAST_DAY - dt.timedelta(days=DAYS - 1)

# The API lists no pool below 10,000 dollars.
MIN_TVL_USD = 10_000.0
MAX_FAMILY_TVL_USD = 4e8
# Shares of the families' pools whose APY the feed does not split, and that were listed after the first day.
UNSPLIT_SHARE, LATE_SHARE = 0.08, 0.25
MIN_FAMILY_HISTORY = 70
_NAMESPACE = uuid.UUID("6f1b4a52-9f0e-4d0c-8a44-3a1f7c2d9e10")

Kind = Literal["lending", "savings", "staking", "vault", "pair", "volatile", "campaign"]
Split = Literal["both", "base", "reward", "none"]
MarketAsset = Literal["ETH", "BTC", "USD", "other"]


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool as it is meant: ``apy`` in percent and ``tvl_usd`` as on the last day; on record from day ``start`` on."""

    pool_id: str
    project: str
    chain: str
    symbol: str
    meta: str | None
    kind: Kind
    asset: MarketAsset
    apy: float
    tvl_usd: float
    rewarded: bool
    split: Split
    start: int = 0
    anchor: bool = False


def generator(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """Return the random generator of one purpose and one index: what it draws does not depend on any other."""
    key = (*purpose.encode(), index)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def list_pools(seed: int) -> list[Pool]:
    """Return all pools in a fixed order; the n-th pool's id depends on the seed and n alone."""
    pools: list[Pool] = []
    for row in _read("anchors.csv"):
        pools.append(_anchor(row, _pool_id(seed, len(pools))))
    for number, row in enumerate(_read("families.csv")):
        ids = [_pool_id(seed, len(pools) + n) for n in range(int(row["count"]))]
        pools.extend(_family(row, ids, generator(seed, "family", number)))
    return pools


def _read(name: str) -> list[dict[str, str]]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _pool_id(seed: int, index: int) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{seed}/{index}"))


def _anchor(row: dict[str, str], pool_id: str) -> Pool:
    return Pool(
        pool_id=pool_id,
        project=row["project"],
        chain=row["chain"],
        symbol=row["symbol"],
        meta=row["meta"] or None,
        kind=cast(Kind, row["kind"]),
        asset=cast(MarketAsset, row["asset"]),
        apy=float(row["apy"]),
        tvl_usd=float(row["tvl"]) * 1e6,
        rewarded=row["rewarded"] == "1",
        split=cast(Split, row["split"]),
        anchor=True,
    )


def _family(row: dict[str, str], ids: Sequence[str], rng: np.random.Generator) -> Iterator[Pool]:
    n = len(ids)
    apy = float(row["apy"]) * np.exp(float(row["apy_spread"]) * rng.standard_normal(n))
    tvl = float(row["tvl"]) * 1e6 * np.exp(float(row["tvl_spread"]) * rng.standard_normal(n))
    # One large pool in a family of giants is no accident of the draw; in any other family it would be.
    tvl = np.clip(tvl, MIN_TVL_USD, max(MAX_FAMILY_TVL_USD, 2e6 * float(row["tvl"])))
    rewarded = rng.random(n) < float(row["rewarded"])
    unsplit = rng.random(n) < UNSPLIT_SHARE
    start = np.where(rng.random(n) < LATE_SHARE, rng.integers(1, DAYS - MIN_FAMILY_HISTORY, n), 0)
    chains, symbols, metas = (_draw(row[name], n, rng) for name in ("chains", "symbols", "metas"))
    for i, pool_id in enumerate(ids):
        yield Pool(
            pool_id=pool_id,
            project=row["project"],
            chain=chains[i],
            symbol=symbols[i],
            meta=metas[i] or None,
            kind=cast(Kind, row["kind"]),
            asset=cast(MarketAsset, row["asset"]),
            apy=float(apy[i]),
            tvl_usd=float(tvl[i]),
            rewarded=bool(rewarded[i]),
            split="none" if unsplit[i] else cast(Split, row["split"]),
            start=int(start[i]),
        )


def _draw(choices: str, n: int, rng: np.random.Generator) -> list[str]:
    options = choices.split(";")
    return [options[k] for k in rng.integers(0, len(options), n)]
