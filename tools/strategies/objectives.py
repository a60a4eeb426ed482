"""What each level of risk asks of the weights: a data file that a user can edit."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tools.records import Preference, Record, RiskLevel, WeightMethod
from tools.strategies.profiles import RISK_ORDER, read_records
from tools.strategies.tokens import read_table

CONFIDENCES = (0.9, 0.95, 0.99)
METHOD_WORDS: Mapping[WeightMethod, str] = {
    "equal": "the same weight for every pool, the simple rule that the others have to beat",
    "inverse_volatility": "the less a pool's yield varies, the more weight",
    "risk_adjusted": "the highest yield times one less the protocol risk first, each up to its caps",
    "min_cvar": "the steadiest yield: the least mean of the worst days of the history",
    "risk_parity": "every pool adds the same to the risk of a year with events",
    "max_sharpe": "the most yield per unit of risk, of a year with events",
    "min_loss": "the least mean loss of the worst years, drawn with events, while keeping the risk-free rate",
    "yield_less_loss": "the most yield expected to be kept less a part of the mean loss of the worst years",
    "net_yield": "the most yield expected to be kept once the deposit itself, gas and exit are counted",
}


class Objective(Record):
    """What the weights of a level of risk are chosen for, and the methods tried (``data/objectives.toml``).

    ``prefers`` is the figure that decides between candidates whose scores are near the best; None leaves it to the
    score.
    """

    words: str
    methods: Annotated[list[WeightMethod], Field(min_length=1)]
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)]
    loss_aversion: Annotated[float, Field(ge=0.0)]
    prefers: Preference | None = None


@functools.cache
def load_objectives(path: Path | None = None) -> Mapping[RiskLevel, Objective]:
    """Read the objective of each level of risk; raises UsageError naming the level and field that is wrong."""
    return read_records(read_table(path, "objectives.toml"), str(path or "objectives.toml"), RISK_ORDER, Objective)


def allowed_methods(risk: RiskLevel) -> tuple[WeightMethod, ...]:
    """Return the methods that a mandate of this risk may be given: those planned for it or for less risk, in order."""
    levels = RISK_ORDER[: RISK_ORDER.index(risk) + 1]
    return tuple(dict.fromkeys(method for level in levels for method in load_objectives()[level].methods))
