"""Draw the mandates of the constraints suite: ``python -m evals.suites.mandates`` writes their file anew.

Each limit is drawn as data and put into words at once, so that the case knows what the question means without a parser.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COUNT = 40
SEED = 6
AMOUNTS: dict[str, tuple[tuple[str, float | None], ...]] = {
    "USD": (("$25,000", 25e3), ("$400k", 4e5), ("2 million dollars", 2e6), ("$9m", 9e6)),
    "ETH": (("15 ETH", None), ("400 ETH", None), ("$3m worth of ETH", 3e6)),
    "BTC": (("2 BTC", None), ("$700,000 worth of BTC", 7e5)),
}
# Of each group at most one limit, as two of them may contradict each other: that is the matter of another suite.
ALONE = (
    {"max_weight", "min_pools", "max_pools"}, {"chains_include", "chains_exclude"}, {"protocols_exclude"},
    {"tokens_exclude"}, {"single_token"}, {"min_tvl_usd"},
)  # fmt: skip
RISKS = ("low", "medium", "high")


def drawn() -> Iterator[dict[str, Any]]:
    """Yield the cases, the same on every machine."""
    draw = random.Random(SEED)  # noqa: S311 - no secret
    for number in range(1, COUNT + 1):
        asset = draw.choices(["USD", "ETH", "BTC"], [6, 3, 1])[0]
        words, amount = draw.choice(AMOUNTS[asset])
        risk = draw.choice(RISKS)
        limits: dict[str, Any] = {}
        said = [f"Put {words} to work", f"{risk} risk"]
        for _ in range(draw.randint(1, 3)):
            limit, phrase = _limit(draw, asset)
            if not any(set(limit) & group and set(limits) & group for group in ALONE):
                limits |= limit
                said.append(phrase)
        easy = asset == "USD" and risk != "low" and (amount or 0.0) <= 2e6 and len(limits) <= 2
        yield {
            "id": f"c{number:02d}", "question": ", ".join(said), "asset": asset, "amount_usd": amount, "risk": risk,
            "limits": limits, "must_answer": easy and "chains_include" not in limits,
        }  # fmt: skip


def _limit(draw: random.Random, asset: str) -> tuple[dict[str, Any], str]:
    share = draw.choice([0.2, 0.25, 0.3, 0.45])
    count = draw.choice([3, 4, 5])
    family, shown = draw.choice([("aave", "Aave"), ("curve", "Curve"), ("morpho", "Morpho"), ("fluid", "Fluid")])
    chain = draw.choice(["Base", "Arbitrum", "Ethereum"])
    token = {"USD": "USDT", "ETH": "WEETH", "BTC": "CBBTC"}[asset]
    size = draw.choice([20, 50])
    limits: list[tuple[dict[str, Any], str]] = [
        ({"max_weight": share}, f"at most {share:.0%} in one pool"),
        ({"min_pools": count}, f"at least {count} pools"),
        ({"max_pools": count}, f"no more than {count} pools"),
        ({"protocols_exclude": [family]}, f"no {shown}"),
        ({"chains_include": [chain]}, f"only on {chain}"),
        ({"chains_exclude": [chain]}, f"nothing on {chain}"),
        ({"tokens_exclude": [token]}, f"no {token}"),
        ({"single_token": True}, "no impermanent loss"),
        ({"min_tvl_usd": size * 1e6}, f"only pools with at least ${size}m TVL"),
    ]
    return draw.choice(limits)


if __name__ == "__main__":
    target = Path(__file__).resolve().parent.parent / "cases" / "constraints.jsonl"
    target.write_text("".join(f"{json.dumps(case, ensure_ascii=False)}\n" for case in drawn()), encoding="utf-8")
