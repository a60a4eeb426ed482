"""Mandates with limits of every kind, and decisions that are known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from tools.counterfactual import Decide, Decided, StatedLimit, stated_limits
from tools.records import Mandate

FULL = Mandate(
    asset="USD",
    amount=2_000_000.0,
    risk="low",
    profile="blue_chip",
    chains_include=["Ethereum", "Base"],
    chains_exclude=["Solana"],
    protocols_include=["aave", "morpho"],
    protocols_exclude=["curve", "ethena"],
    tokens_include=["USDC"],
    tokens_exclude=["USDE", "DAI"],
    min_tvl_usd=50e6,
    min_apy=0.05,
    max_weight=0.25,
    min_pools=4,
    max_pools=6,
    allow_il=False,
    max_drawdown=0.1,
    max_var_95=0.05,
    notes=["kept"],
)

_NAMES = st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=2)


def mandates() -> st.SearchStrategy[Mandate]:
    """Mandates that state any of the limits."""
    return st.builds(
        Mandate,
        asset=st.just("USD"),
        risk=st.sampled_from(["low", "medium", "high"]),
        profile=st.sampled_from([None, "balanced_apy"]),
        chains_include=_NAMES,
        chains_exclude=_NAMES,
        protocols_include=_NAMES,
        protocols_exclude=_NAMES,
        tokens_include=_NAMES,
        tokens_exclude=_NAMES,
        min_tvl_usd=st.sampled_from([None, 0.0, 1e7]),
        min_apy=st.sampled_from([None, 0.0, 0.05]),
        max_weight=st.sampled_from([None, 0.25]),
        min_pools=st.sampled_from([None, 1, 3]),
        max_pools=st.sampled_from([None, 5]),
        allow_il=st.sampled_from([None, True, False]),
        max_drawdown=st.sampled_from([None, 0.1]),
        max_var_95=st.sampled_from([None, 0.1]),
    )


def ids(mandate: Mandate) -> set[str]:
    """The ids of what a mandate states, without the level of risk."""
    return {limit.id for limit in stated_limits(mandate)} - {"risk"}


def limit(mandate: Mandate, limit_id: str) -> StatedLimit:
    return next(one for one in stated_limits(mandate) if one.id == limit_id)


def choice(net_apy: float = 0.05, **weights: float) -> Decided:
    return Decided(outcome="choice", candidate_id="balanced_apy.equal", weights=weights, net_apy=net_apy, score=0.5)


NO_CHOICE = Decided(outcome="no_feasible_strategy", candidate_id=None, weights={}, net_apy=None, score=None)


class Counted:
    """A function that solves, and remembers what it was asked."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.asked = function, list[Any]()

    def __call__(self, *asked: Any) -> Any:
        self.asked.append(asked)
        return self.function(*asked)


def by_rate(pool: str, held: Callable[[int], bool]) -> Decide:
    """Hold a pool or not, by its rate in whole basis points; ``held`` is asked for rates between them too."""

    def decide(mandate: Mandate, apys: Mapping[str, float]) -> Decided:
        return choice(**({pool: 0.5, "other": 0.5} if held(round(apys[pool] * 1e4)) else {"other": 1.0}))

    return decide
