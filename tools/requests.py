"""What a plan may ask of the agents' tools before any market is read, and how each request is carried out.

Every request is an enum and bounded numbers. It makes things stricter or adds information: none loosens a limit, none
brings a pool in. A screen that would leave too few pools to choose from is not applied.

    data: Screen      quant: Compare      risk: Stress
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import Field, model_validator

from tools.candidates import Assessed, Measured
from tools.records import Record, RequestTool
from tools.strategies.selection import pools_needed
from tools.strategies.universe import Pool, Universe

MOST_REQUESTS = 6
LEAST_POOLS = 6  # that a screen must leave, and twice as many as the cap on one pool needs
LEAST_TVL_USD, MOST_TVL_USD = 1e6, 1e9
LEAST_DAYS, MOST_DAYS = 60, 365

Exclusion = Literal["several_tokens", "rewards", "falling_yield"]
Measure = Literal[
    "annual_return", "annual_volatility", "sharpe", "sortino", "max_drawdown", "var_95", "cvar_95", "calmar",
    "alpha", "beta", "skewness", "kurtosis", "omega",
]  # fmt: skip
MEASURES: tuple[Measure, ...] = get_args(Measure)

EXCLUSIONS: Mapping[Exclusion, str] = {
    "several_tokens": "pools of several tokens, which can lose against holding them",
    "rewards": "pools that pay reward tokens",
    "falling_yield": "pools whose yield falls against the market's",
}
_FALLS_OUT: Mapping[Exclusion, Callable[[Pool], bool]] = {
    "several_tokens": lambda pool: not pool.single,
    "rewards": lambda pool: bool(pool.row.apy_reward),
    "falling_yield": lambda pool: pool.trend == "down",
}


class Screen(Record):
    """Data's: leave out of every candidate what is smaller, younger, or of these kinds."""

    tool: Literal["screen"]
    min_tvl_usd: Annotated[float, Field(ge=LEAST_TVL_USD, le=MOST_TVL_USD)] | None = None
    min_history_days: Annotated[int, Field(ge=LEAST_DAYS, le=MOST_DAYS)] | None = None
    exclude: list[Exclusion] = Field(default_factory=list, max_length=len(EXCLUSIONS))

    @model_validator(mode="after")
    def _asks(self) -> Screen:
        if self.min_tvl_usd is None and self.min_history_days is None and not self.exclude:
            raise ValueError("a screen asks for something")
        return self

    def keeps(self, pool: Pool) -> bool:
        """Tell whether a pool passes."""
        return (
            (self.min_tvl_usd is None or pool.row.tvl_usd >= self.min_tvl_usd)
            and (self.min_history_days is None or pool.history.days >= self.min_history_days)
            and not any(_FALLS_OUT[kind](pool) for kind in self.exclude)
        )


class Compare(Record):
    """Quant's: show the best candidates side by side in these measures of their yields."""

    tool: Literal["compare"]
    measures: Annotated[list[Measure], Field(min_length=1, max_length=6)]


class Stress(Record):
    """Risk's: show what these dated events would take from the choice, or how it fares at the high hazard."""

    tool: Literal["stress"]
    events: list[str] = Field(default_factory=list, max_length=6)
    hazard: Literal["high"] | None = None

    @model_validator(mode="after")
    def _asks(self) -> Stress:
        if not self.events and self.hazard is None:
            raise ValueError("a stress asks for something")
        return self


Asked = Screen | Compare | Stress
KINDS: Mapping[RequestTool, type[Asked]] = {"screen": Screen, "compare": Compare, "stress": Stress}


class Done(NamedTuple):
    """What came of a request: numbers, and why it changed nothing where it did."""

    results: dict[str, float]
    no_effect: str | None = None


def arguments_of(asked: Asked) -> dict[str, Any]:
    """Return what was asked, without what was not."""
    given = asked.model_dump(exclude={"tool"})
    return {
        name: float(value) if isinstance(value, int) else value
        for name, value in given.items()
        if value not in (None, [])
    }


def screened(universe: Universe, asked: Screen, max_weight: float) -> tuple[Universe, Done]:
    """Leave the pools out that a screen turns away; all stay where too few would be left.

    The benchmark stays that of all eligible pools.
    """
    kept = tuple(pool for pool in universe.pools if asked.keeps(pool))
    before = float(len(universe.pools))
    if len(kept) == len(universe.pools):
        return universe, Done({"pools_before": before, "pools_after": before}, "every eligible pool passes it")
    if len(kept) < max(LEAST_POOLS, 2 * pools_needed(max_weight)):
        done = Done({"pools_before": before, "pools_after": before}, "it would leave too few pools to choose from")
        return universe, done
    done = Done({"pools_before": before, "pools_after": float(len(kept))})
    return dataclasses.replace(universe, pools=kept), done


def compared(measured: Sequence[Measured], asked: Compare) -> Done:
    """Return the range of each measure over all candidates; a measure that none has is left out."""
    results: dict[str, float] = {"candidates": float(len(measured))}
    for name in dict.fromkeys(asked.measures):
        values = [value for candidate in measured if (value := candidate.metrics[name]) is not None]
        if values:
            results |= {f"{name}_low": min(values), f"{name}_high": max(values)}
    return Done(results, None if len(results) > 1 else "no candidate has any of these measures")


def stressed(assessed: Sequence[Assessed], asked: Stress) -> Done:
    """Return the most that each event takes from any candidate, and the ends that the high hazard leaves."""
    if not assessed:
        return Done({}, "there is no candidate")
    results: dict[str, float] = {}
    for event in dict.fromkeys(asked.events):
        losses = [one.loss for candidate in assessed for one in candidate.risk.stress if one.event == event]
        results |= {event: max(losses)} if losses else {}
    high = asked.hazard is not None and assessed[0].risk.all_in.hazard_level != "high"
    if high:
        views = [candidate.risk.all_in for candidate in assessed]
        results["expected_loss_high"] = max(view.expected_loss_high for view in views)
        results["net_apy_low"] = min(view.net_apy_low for view in views)
    return Done(results, None if results else _nothing_to_stress(asked))


def _nothing_to_stress(asked: Stress) -> str:
    if asked.events:
        return "the events had not happened by the day of the decision"
    return "the run reckons with the high hazard as it is"
